"""``ringwork serve``."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

from ringwork.app.lock import holder_of
from ringwork.cli.main import INTERRUPTED, OK
from ringwork.cli.options import DEFAULTS, Options
from ringwork.kernel.errors import Busy, ConfigurationError

if TYPE_CHECKING:
    from ringwork.app.serve import Create
    from ringwork.app.settings import Settings


def serve(*, host: str | None = None, port: int | None = None, options: Options = DEFAULTS) -> None:
    """Start the platform and serve until Ctrl-C.

    Example: ringwork serve --data ./ringwork-data --port 8080

    Parameters
    ----------
    host:
        Address to listen on.
    port:
        TCP port.
    """
    settings = listening(host, port, options)
    from ringwork.app.compose import create  # noqa: PLC0415  # a server's weight, for a server

    run_to_end(settings, create)


def listening(host: str | None, port: int | None, options: Options) -> Settings:
    """The settings of a server that can listen where they say. Raises Busy, ConfigurationError."""
    given = {"http.host": host, "http.port": port}
    settings = options.settings({key: value for key, value in given.items() if value is not None})
    if holder_of(settings.data_path) is None:  # else the lock names who serves, port and all
        require_free(settings.http.host, settings.http.port)
    return settings


def run_to_end(settings: Settings, create: Create) -> None:
    """Serve until Ctrl-C, and end the process."""
    from ringwork.app.ending import end_at_once  # noqa: PLC0415  # as the next one
    from ringwork.app.serve import run  # noqa: PLC0415  # a server's weight, only for a server

    code = OK
    try:
        run(settings, create)
    except KeyboardInterrupt:
        code = INTERRUPTED
    end_at_once(code)


def require_free(host: str, port: int) -> None:
    """Find out before the store is opened that nothing can listen there.

    Raises Busy for a port that is taken, ConfigurationError for an address that is not ours.
    """
    where = f"http.host = {host!r}, http.port = {port}"
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except OSError as error:  # gaierror, a host that is unknown, is one too
        if error.errno == errno.EADDRINUSE:
            raise Busy(f"{where}: another program listens there; choose another --port") from None
        raise ConfigurationError(f"{where}: cannot listen there: {error.strerror}") from None
