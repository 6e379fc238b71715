"""Run one management request for the command line: at the live server, or in process without one.

Both ways the request goes through the same application, so a command has one meaning: the live
server is reached over its owner-only unix socket, and without a server the store is opened, asked
once and closed.
"""

from __future__ import annotations

import asyncio
import http.client
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import msgspec
from msgspec import Struct

from ringwork.app.lock import hold, holder_of
from ringwork.app.settings import Settings
from ringwork.kernel.errors import Busy, ConfigurationError

if TYPE_CHECKING:
    from ringwork.web.lane import ASGI

TIMEOUT_S: Final = 60


class Reply(Struct, frozen=True):
    """Status and JSON body of an answer."""

    status: int
    body: bytes

    @property
    def json(self) -> object:
        """The decoded body."""
        return msgspec.json.decode(self.body) if self.body else None


def call(
    settings: Settings,
    method: str,
    path: str,
    body: object = None,
    *,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Send one request as the administrator.

    A POST makes the store if there is none. Raises Busy when the store is held and does not answer,
    ConfigurationError when there is nothing to ask.
    """
    sent = {"content-type": "application/json", **(headers or {})}
    content = b"" if body is None else msgspec.json.encode(body)
    holder = holder_of(settings.data_path)
    if holder is not None:
        return _over_socket(holder.socket, method, path, content, sent)
    if method != "POST":
        store_of(settings)
    return asyncio.run(_in_process(settings, method, path, content, sent))


def store_of(settings: Settings) -> Path:
    """The data directory, where there is a store in it; else ConfigurationError."""
    data = settings.data_path
    if not (data / "log").is_dir():
        raise ConfigurationError(f"{data}: no store here; name its directory with --data")
    return data


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(self._path)


def _over_socket(
    socket_path: str, method: str, path: str, content: bytes, headers: Mapping[str, str]
) -> Reply:
    connection = _UnixConnection(socket_path)
    try:
        connection.request(method, path, content or None, dict(headers))
        response = connection.getresponse()
        return Reply(response.status, response.read())
    except (OSError, http.client.HTTPException) as error:
        raise Busy(
            f"the server holds the store but does not answer on {socket_path}: {error}"
        ) from error
    finally:
        connection.close()


async def _in_process(
    settings: Settings, method: str, path: str, content: bytes, headers: Mapping[str, str]
) -> Reply:
    from ringwork.app.compose import create  # noqa: PLC0415  # only a command that opens the store

    with hold(settings, serves=False):
        app = create(settings)
        async with app.platform.lifespan(app):
            return await request(app.local_admin, method, path, content, headers)


async def request(
    app: ASGI, method: str, path: str, content: bytes, headers: Mapping[str, str]
) -> Reply:
    """One request to an ASGI application, without a server."""
    target, _, query = path.partition("?")
    scope: dict[str, object] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": target,
        "raw_path": target.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [
            (b"host", b"localhost"),
            *((name.lower().encode(), value.encode()) for name, value in headers.items()),
        ],
        "server": ("localhost", 0),
        "client": None,
        "state": {},
    }
    status = 0
    parts: list[bytes] = []
    gone = asyncio.Event()
    body: list[dict[str, object]] = [{"type": "http.request", "body": content, "more_body": False}]

    async def receive() -> dict[str, object]:
        if body:
            return body.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, object]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = cast("int", message["status"])
        else:
            parts.append(cast("bytes", message.get("body", b"")))

    await app(scope, receive, send)
    assert status, "the application answered"
    return Reply(status, b"".join(parts))
