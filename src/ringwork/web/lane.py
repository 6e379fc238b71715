"""The fast lane: the few hot endpoints as raw ASGI, in front of everything else.

One dictionary look-up by exact path (or by prefix for one-segment tokens). Order of a request:
method, concurrency, one scan of the headers, length before reading, bounded read, handler, one pair
of sends. A refusal is a kernel ``Refused`` rendered by the lane's own error form, so that an
imitated API answers in its own words.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct

from ringwork.kernel.errors import Overloaded, Refused
from ringwork.kernel.ids import parse_id
from ringwork.web.problems import (
    MEDIA_TYPE,
    TooLarge,
    UnsupportedMediaType,
    encode,
    internal_problem,
    problem_of,
)

if TYPE_CHECKING:
    from ringwork.web.metrics import LaneMetrics

Scope: TypeAlias = "dict[str, object]"
Receive = Callable[[], Awaitable[dict[str, object]]]
Send = Callable[[dict[str, object]], Awaitable[None]]
ASGI = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

AD_BODY_MAX_BYTES: Final = 256 * 1024
LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})
CONCURRENCY_MAX: Final = 256
"""Requests that may be inside the lanes at once; the next one is told to come back."""

_log: Final = logging.getLogger(__name__)
_JSON: Final = (b"content-type", b"application/json")
_PROBLEM: Final = (b"content-type", MEDIA_TYPE.encode())
_BAD_METHOD: Final = (
    b'{"type":"urn:ringwork:problem:method-not-allowed","title":"Method not allowed","status":405}'
)


class Exchange(Struct, gc=False):
    """One request as a handler sees it."""

    method: str
    path: str
    token: str
    """What follows the prefix of a token lane; empty on an exact path."""
    query: bytes
    body: bytes
    """Empty until it was read."""
    content_type: bytes
    content_length: bytes
    coding: bytes
    """Of its body, in lower case; empty for none."""
    authorization: bytes
    origin: bytes
    request_id: bytes
    client: str
    """The address of the connection; empty on the admin socket."""
    headers: Headers
    is_local: bool
    """The client is on the loopback interface or the admin socket."""
    started_ns: int


class Reply(Struct, frozen=True, gc=False):
    """Status, body and headers of an answer."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = (_JSON,)

    def head(self, exchange: Exchange) -> Headers:
        """Its headers, the request's id, its length (RFC 9110, section 8.6: none for 204)."""
        headers = [*self.headers, (b"x-request-id", _id_text(exchange.request_id))]
        if self.status != 204:
            headers.append((b"content-length", b"%d" % len(self.body)))
        return headers


Handler = Callable[[Exchange], Awaitable[Reply]]
ErrorForm = Callable[[Refused, Exchange], Reply]


def problem_reply(refused: Refused, exchange: Exchange) -> Reply:
    """The default error form: problem+json."""
    problem = problem_of(refused, path=exchange.path, request_id=exchange.request_id)
    headers: tuple[tuple[bytes, bytes], ...] = (_PROBLEM,)
    if refused.retry_after_s is not None:
        headers = (*headers, (b"retry-after", b"%d" % refused.retry_after_s))
    return Reply(refused.status, encode(problem), headers)


class Lane(Struct, frozen=True, kw_only=True):
    """One hot endpoint: an exact path.

    Or a prefix that ends in ``/`` and is followed by one segment.
    """

    path: str
    methods: tuple[str, ...]
    handle: Handler
    body_max_bytes: int = AD_BODY_MAX_BYTES
    error_form: ErrorForm = problem_reply

    @property
    def is_prefix(self) -> bool:
        return self.path.endswith("/")


class Found(Struct, frozen=True, gc=False):
    """The lane that a path belongs to."""

    lane: Lane
    metrics: LaneMetrics
    token: str
    """What follows its prefix."""


class FastLane:
    """Dispatches to lanes; what no lane owns goes on to ``rest``."""

    def __init__(
        self,
        lanes: Iterable[Lane],
        rest: ASGI,
        *,
        new_request_id: Callable[[], bytes],
        monotonic_ns: Callable[[], int],
        metrics: Mapping[str, LaneMetrics],
        concurrency_max: int = CONCURRENCY_MAX,
    ) -> None:
        """``metrics``: lane path -> its pre-bound counter and histogram."""
        self._exact: dict[str, Found] = {}
        self._prefixes: dict[str, Found] = {}
        for lane in lanes:
            kept = self._prefixes if lane.is_prefix else self._exact
            kept[lane.path] = Found(lane, metrics[lane.path], "")
        self._rest = rest
        self._new_request_id = new_request_id
        self._monotonic_ns = monotonic_ns
        self._concurrency_max = concurrency_max
        self.running = 0

    def find(self, path: str) -> Found | None:
        """The lane that answers for ``path``."""
        found = self._exact.get(path)
        if found is None:
            cut = path.find("/", 1) + 1
            prefix, token = self._prefixes.get(path[:cut]), path[cut:]
            if prefix is not None and token and "/" not in token:
                found = Found(prefix.lane, prefix.metrics, token)
        return found

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        path = scope["path"] if scope["type"] == "http" else ""
        assert isinstance(path, str)
        found = self.find(path)
        if found is None:
            await self._rest(scope, receive, send)
            return
        client = scope.get("client")
        assert client is None or isinstance(client, tuple | list)
        exchange = self.exchange(
            found,
            path,
            method=scope["method"],  # type: ignore[arg-type]  # ASGI: str
            query=scope["query_string"],  # type: ignore[arg-type]  # ASGI: bytes
            headers=scope["headers"],  # type: ignore[arg-type]  # ASGI: pairs of bytes
            client=client[0] if client else None,
        )
        reply = await self.answer(found, exchange, receive)
        await send(
            {"type": "http.response.start", "status": reply.status, "headers": reply.head(exchange)}
        )
        await send({"type": "http.response.body", "body": reply.body})

    def exchange(
        self,
        found: Found,
        path: str,
        *,
        method: str,
        query: bytes,
        headers: Headers,
        client: str | None,
    ) -> Exchange:
        """A request whose head is known: one pass over its headers. ``client``: its address."""
        started_ns = self._monotonic_ns()
        content_type = authorization = origin = given_id = content_length = coding = b""
        for name, value in headers:
            if name == b"content-type":
                content_type = value
            elif name == b"content-length":
                content_length = value
            elif name == b"authorization":
                authorization = value
            elif name == b"origin":
                origin = value
            elif name == b"x-request-id":
                given_id = value
            elif name == b"content-encoding":
                coding = value.strip().lower()
        return Exchange(
            method,
            path,
            found.token,
            query,
            b"",
            content_type,
            content_length,
            coding,
            authorization,
            origin,
            (request_id_of(given_id) if given_id else None) or self._new_request_id(),
            client or "",
            headers,
            client is None or client in LOOPBACK,
            started_ns,
        )

    async def answer(self, found: Found, exchange: Exchange, receive: Receive | None) -> Reply:
        """The reply of a lane, whatever happens in it, counted.

        Without ``receive`` the body is in ``exchange`` already, as it was sent.
        """
        lane = found.lane
        self.running += 1
        try:
            if exchange.method not in lane.methods:
                allow = (b"allow", ", ".join(lane.methods).encode())
                reply = Reply(405, _BAD_METHOD, (_PROBLEM, allow))
            elif self.running > self._concurrency_max:
                raise Overloaded(f"{self._concurrency_max} requests are being answered")
            else:
                if exchange.method == "POST":
                    if receive is not None:
                        exchange.body = await _read_body(exchange, receive, lane.body_max_bytes)
                    if exchange.coding:
                        exchange.body = _decoded(exchange, lane.body_max_bytes)
                reply = await lane.handle(exchange)
        except Refused as refused:
            reply = lane.error_form(refused, exchange)
        except Exception:  # the edge of the process: counted, logged, answered without detail
            _log.exception("request %s failed", exchange.request_id.hex())
            problem = internal_problem(path=exchange.path, request_id=exchange.request_id)
            reply = Reply(500, encode(problem), (_PROBLEM,))
        finally:
            self.running -= 1
        found.metrics.count(reply.status, self._monotonic_ns() - exchange.started_ns)
        return reply


def request_id_of(header: bytes) -> bytes | None:
    """A valid ``x-request-id`` (any UUID in canonical form), or None."""
    if not header:
        return None
    try:
        return parse_id(header.decode("latin-1"))
    except ValueError:
        return None


def _id_text(value: bytes) -> bytes:
    text = value.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}".encode()


async def _read_body(exchange: Exchange, receive: Receive, limit_bytes: int) -> bytes:
    """The whole body as it was sent, never more than the limit."""
    length = exchange.content_length
    if length and (not length.isdigit() or int(length) > limit_bytes):
        raise TooLarge(limit_bytes)
    message = await receive()
    body: bytes = message.get("body", b"")  # type: ignore[assignment]  # ASGI: bytes
    if message.get("more_body"):
        body = await _read_chunks(body, receive, limit_bytes)
    if len(body) > limit_bytes:
        raise TooLarge(limit_bytes)
    return body


def _decoded(exchange: Exchange, limit_bytes: int) -> bytes:
    """The body without its content coding."""
    if exchange.coding == b"identity":
        return exchange.body
    if exchange.coding != b"gzip":
        raise UnsupportedMediaType("expected no content coding, or gzip")
    return _inflate(exchange.body, limit_bytes)


async def _read_chunks(first: bytes, receive: Receive, limit_bytes: int) -> bytes:
    chunks, size = [first], len(first)
    while True:
        message = await receive()
        chunk: bytes = message.get("body", b"")  # type: ignore[assignment]  # ASGI: bytes
        chunks.append(chunk)
        size += len(chunk)
        if size > limit_bytes:
            raise TooLarge(limit_bytes)
        if not message.get("more_body"):
            return b"".join(chunks)


def _inflate(body: bytes, limit_bytes: int) -> bytes:
    inflater = zlib.decompressobj(wbits=31)
    try:
        plain = inflater.decompress(body, limit_bytes + 1)
    except zlib.error:
        raise UnsupportedMediaType("the body is not gzip") from None
    if len(plain) > limit_bytes:
        raise TooLarge(limit_bytes)
    if not inflater.eof:
        raise UnsupportedMediaType("the gzip body is cut short")
    return plain
