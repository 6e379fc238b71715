"""``ringwork serve``."""

from __future__ import annotations

from ringwork.cli.common import DEFAULTS, Options


def serve(*, host: str | None = None, port: int | None = None, common: Options = DEFAULTS) -> None:
    """Start the platform and serve until Ctrl-C.

    Example: ringwork serve --data ./ringwork-data --port 8080

    Parameters
    ----------
    host: Address to listen on.
    port: TCP port.
    """
    given = {"http.host": host, "http.port": port}
    settings = common.settings({key: value for key, value in given.items() if value is not None})
    from ringwork.app.serve import run  # noqa: PLC0415  # a server's weight, only for a server

    run(settings)
