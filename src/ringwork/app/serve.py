"""``ringwork serve`` and its like: a server and its follower, until SIGTERM or Ctrl-C.

Two listeners on one event loop: TCP for the world and an owner-only unix socket, named in LOCK, for
the command line. The follower is a child process that keeps projections and snapshots
(follower.py). Shutdown stops accepting, lets running requests finish (10 s), makes durable what
waits, lets the follower save a snapshot and end, closes the store: the lock is held until both
processes are done.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, Protocol

import uvicorn
import uvloop

from ringwork.app.application import Application, Served
from ringwork.app.lock import SOCKET_NAME, hold
from ringwork.app.settings import Settings
from ringwork.kernel.errors import ConfigurationError
from ringwork.web.auth import LOOPBACK_NAMES
from ringwork.web.logs import configure
from ringwork.web.wire import LaneProtocol

GC_THRESHOLDS: Final = (5_000, 50, 100)
"""A request makes hundreds of objects and no cycles: passes after every 700 of them, as Python has
it, find nothing and take a quarter of the time."""


class Create(Protocol):
    """Opens the store of some settings and builds what is served of it."""

    def __call__(self, settings: Settings, *, follower_process: bool) -> Application[Served]: ...


def run(settings: Settings, create: Create) -> None:
    """Serve until told to stop. Raises Busy, ConfigurationError, LogCorrupt before it listens."""
    _refuse_exposed(settings)
    configure(settings.logging.level)
    data = settings.data_path
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    gc.set_threshold(*GC_THRESHOLDS)
    with hold(settings):
        app = create(settings, follower_process=True)
        with _admin_socket(str(data / SOCKET_NAME)) as admin_socket:
            uvloop.run(_serve(settings, app, admin_socket))


class _AdminServer(uvicorn.Server):
    """The second listener: signals and lifespan belong to the first."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _MainServer(uvicorn.Server):
    """The first listener; it takes the other one down with it."""

    def __init__(
        self, config: uvicorn.Config, *, app: Application[Served], admin: _AdminServer
    ) -> None:
        super().__init__(config)
        self._app = app
        self._admin = admin
        self.was_interrupted = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self.was_interrupted = sig == signal.SIGINT
        # uvicorn would raise the signal again after its shutdown: a clean stop ends with 0.
        self._captured_signals.clear()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.end_streams()
        self._admin.should_exit = True
        await super().shutdown(sockets)


async def _serve(settings: Settings, app: Application[Served], admin_socket: socket.socket) -> None:
    admin = _AdminServer(
        uvicorn.Config(
            app.local_admin,
            interface="asgi3",
            lifespan="off",
            proxy_headers=False,
            log_config=None,
            access_log=False,
        )
    )
    main = _MainServer(
        uvicorn.Config(
            app,
            host=settings.http.host,
            port=settings.http.port,
            http=LaneProtocol,
            loop="none",
            interface="asgi3",
            lifespan="on",
            proxy_headers=False,  # who is on loopback is decided by the socket, never by a header
            server_header=False,
            date_header=True,
            access_log=False,
            log_config=None,
            timeout_graceful_shutdown=settings.http.shutdown_s,
        ),
        app=app,
        admin=admin,
    )
    serving = asyncio.create_task(main.serve())
    while not main.started and not serving.done():  # noqa: ASYNC110  # uvicorn has a flag only
        await asyncio.sleep(0.005)
    if not serving.done():
        _greet(settings, app)
        await admin.serve(sockets=[admin_socket])
    await serving
    if main.was_interrupted:
        raise KeyboardInterrupt


def _greet(settings: Settings, app: Application[Served]) -> None:
    """Say where we are; the sign-in link goes to a terminal only, never into a pipe or file."""
    url = settings.http.public_url_or_own
    sys.stderr.write(f"Ringwork serves {url}\n")
    if app.sign_in is not None and settings.console.enabled and sys.stderr.isatty():
        token = app.sign_in.issue_link()
        sys.stderr.write(f"Console: {url}/console/sign-in?token={token} (valid once)\n")


def _refuse_exposed(settings: Settings) -> None:
    """Without TLS in front, other machines are let in only on purpose."""
    host = settings.http.host
    if host not in LOOPBACK_NAMES and host != "::1" and not settings.http.allow_remote:
        raise ConfigurationError(
            f"http.host is {host!r}: other machines could reach a server without TLS; "
            "put a TLS proxy in front and set http.allow_remote = true"
        )


@contextmanager
def _admin_socket(path: str) -> Iterator[socket.socket]:
    if os.path.exists(path):  # left by a process that died; the lock is ours
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        before = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(before)
        listener.listen(16)
        yield listener
    finally:
        listener.close()
        if os.path.exists(path):
            os.unlink(path)
