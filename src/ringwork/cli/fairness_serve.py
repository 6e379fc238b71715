"""``ringwork fairness serve``."""

from __future__ import annotations

from ringwork.cli.options import DEFAULTS, Options
from ringwork.cli.serve import listening, run_to_end


def serve(*, host: str | None = None, port: int | None = None, options: Options = DEFAULTS) -> None:
    """Serve fairness alone, for auctions elsewhere, until Ctrl-C.

    Example: ringwork fairness serve --data ./fairness-data --port 8090

    Ads and people are told over HTTP, auctions ask what to shift, releases, reports and the signed
    log are read; nothing is sold here. `ringwork serve` may go on with the same data directory.

    Parameters
    ----------
    host:
        Address to listen on.
    port:
        TCP port.
    """
    settings = listening(host, port, options)
    from ringwork.app.fairness_alone import create  # noqa: PLC0415  # a server's weight

    run_to_end(settings, create)
