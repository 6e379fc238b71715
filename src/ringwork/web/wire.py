"""The fast lane without ASGI: from parsed request to written answer, for what is plain HTTP/1.1.

uvicorn's connection as it is, with a shorter way for requests whose path belongs to a lane, whose
length is declared and within the lane's bound, and that stand alone on their connection. All others
(chunked, ``Expect``, upgrades, pipelined, other paths) take uvicorn's own way through ASGI to the
same handlers. Saves a third of what a small request costs beside its handler
(docs/decisions/0004-request-path.md).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from ringwork.web.lane import Exchange, FastLane, Found, Headers, Reply
from ringwork.web.protocol import BoundedHeadProtocol

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

_PLAIN_METHODS: Final = frozenset({b"GET", b"POST"})
_UNUSUAL: Final = frozenset({b"transfer-encoding", b"upgrade", b"expect"})
_CLOSE: Final = b"connection: close\r\n"
_BROKEN: Final = STATUS_LINE[500] + b"content-length: 0\r\n\r\n"
_log: Final = logging.getLogger(__name__)


class _Turn:
    """One request on the short way, as uvicorn's connection sees a request: is it answered yet."""

    __slots__ = ("body", "disconnected", "exchange", "found", "keep_alive", "message_event",
                 "more_body", "response_complete")  # fmt: skip

    def __init__(self, found: Found, exchange: Exchange, *, keep_alive: bool) -> None:
        self.found = found
        self.exchange = exchange
        self.keep_alive = keep_alive
        self.body = b""
        self.more_body = True
        self.message_event = _NOBODY_WAITS
        self.disconnected = False
        self.response_complete = False


class _NobodyWaits:
    """uvicorn sets a cycle's event; a turn begins when its body is there, so that none waits."""

    def set(self) -> None:
        """Nothing to wake."""


_NOBODY_WAITS: Final = _NobodyWaits()


class LaneProtocol(BoundedHeadProtocol):
    """A connection of a server whose application has a fast lane (``fast``)."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        fast = getattr(config.loaded_app, "fast", None)
        assert isinstance(fast, FastLane), "the application has a fast lane"
        self._fast = fast
        self._turn: _Turn | None = None
        """The request on the short way whose body is being read."""

    # ---- what the parser calls ------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A new head; uvicorn's own preparations wait until it is known who needs them."""
        self._head_bytes, self._in_head = 0, True
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        """Choose the way."""
        self._turn = turn = self._plain()
        if turn is not None:
            self._in_head = False
            self.cycle = turn  # type: ignore[assignment]  # what the connection asks of a cycle
            return
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)  # the scope holds the list itself
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body: no more of them than the head has declared."""
        if self._turn is None:
            super().on_body(body)
        else:
            self._turn.body += body

    def on_message_complete(self) -> None:
        """The body is whole: answer."""
        turn = self._turn
        if turn is None:
            super().on_message_complete()
            return
        self._head_bytes, self._in_head, self._turn = 0, True, None
        turn.exchange.body, turn.more_body = turn.body, False
        task = self.loop.create_task(self._answer(turn))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    # ---- the short way --------------------------------------------------------------------------

    def _plain(self) -> _Turn | None:
        """The request, where it may go the short way."""
        parser, cycle = self.parser, self.cycle
        url, _, query = self.url.partition(b"?")
        method = parser.get_method()
        if (
            (cycle is not None and not cycle.response_complete)
            or method not in _PLAIN_METHODS
            or parser.get_http_version() != "1.1"
            or not url.isascii()
        ):
            return None
        path = url.decode()
        found = self._fast.find(path)
        if found is None or "%" in path or not _has_known_end(self.headers, found):
            return None
        exchange = self._fast.exchange(
            found,
            path,
            method=method.decode(),
            query=query,
            headers=self.headers,
            client=None if self.client is None else self.client[0],
        )
        return _Turn(found, exchange, keep_alive=parser.should_keep_alive())

    async def _answer(self, turn: _Turn) -> None:
        reply = await self._fast.answer(turn.found, turn.exchange, None)
        if self.flow.write_paused and not turn.disconnected:
            await self.flow.drain()
        if turn.disconnected:
            return
        self.transport.write(self._written(reply, turn))
        turn.response_complete = True
        if not turn.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _written(self, reply: Reply, turn: _Turn) -> bytes:
        headers = [*self.server_state.default_headers, *reply.head(turn.exchange)]
        lines = [b"%b: %b\r\n" % header for header in headers]
        if not turn.keep_alive:
            lines.append(_CLOSE)
        head = b"".join(lines)
        if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines):
            _log.error("%s: a header of the answer holds a line break", turn.exchange.path)
            return _BROKEN
        return b"".join((STATUS_LINE[reply.status], head, b"\r\n", reply.body))


def _has_known_end(headers: Headers, found: Found) -> bool:
    """Whether the head says how long the body is, within the lane's bound, and nothing unusual."""
    length = b"0"
    for name, value in headers:
        if name == b"content-length":
            length = value
        elif name in _UNUSUAL:
            return False
    return length.isdigit() and int(length) <= found.lane.body_max_bytes
