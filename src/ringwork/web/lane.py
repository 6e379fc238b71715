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
CONCURRENCY_MAX: Final = 256
"""Requests that may be inside the lanes at once; the next one is told to come back."""

_log: Final = logging.getLogger(__name__)
_JSON: Final = (b"content-type", b"application/json")
_PROBLEM: Final = (b"content-type", MEDIA_TYPE.encode())
_BAD_METHOD: Final = (
    b'{"type":"urn:ringwork:problem:method-not-allowed","title":"Method not allowed","status":405}'
)


class Exchange(Struct, kw_only=True, gc=False):
    """One request as a handler sees it."""

    method: str
    path: str
    token: str
    """What follows the prefix of a token lane; empty on an exact path."""
    query: bytes
    body: bytes
    content_type: bytes
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
        lanes = tuple(lanes)
        self._exact = {
            lane.path: (lane, metrics[lane.path]) for lane in lanes if not lane.is_prefix
        }
        self._prefixes = {lane.path: (lane, metrics[lane.path]) for lane in lanes if lane.is_prefix}
        self._rest = rest
        self._new_request_id = new_request_id
        self._monotonic_ns = monotonic_ns
        self._concurrency_max = concurrency_max
        self.running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
            return
        path = scope["path"]
        assert isinstance(path, str)
        found, token = self._exact.get(path), ""
        if found is None:
            cut = path.find("/", 1) + 1
            found = self._prefixes.get(path[:cut])
            token = path[cut:]
            if found is None or not token or "/" in token:
                await self._rest(scope, receive, send)
                return
        lane, metrics = found
        started_ns = self._monotonic_ns()
        exchange = self._read_head(scope, path, token, started_ns)
        self.running += 1
        try:
            reply = await self._answer(lane, exchange, receive, scope)
        finally:
            self.running -= 1
        metrics.count(reply.status, self._monotonic_ns() - started_ns)
        headers = [*reply.headers, (b"content-length", b"%d" % len(reply.body))]
        headers.append((b"x-request-id", _id_text(exchange.request_id)))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    async def _answer(
        self, lane: Lane, exchange: Exchange, receive: Receive, scope: Scope
    ) -> Reply:
        try:
            if exchange.method not in lane.methods:
                allow = (b"allow", ", ".join(lane.methods).encode())
                return Reply(405, _BAD_METHOD, (_PROBLEM, allow))
            if self.running > self._concurrency_max:
                raise Overloaded(f"{self._concurrency_max} requests are being answered")
            if exchange.method == "POST":
                exchange.body = await _read_body(scope, receive, lane.body_max_bytes)
            return await lane.handle(exchange)
        except Refused as refused:
            return lane.error_form(refused, exchange)
        except Exception:  # the edge of the process: counted, logged, answered without detail
            _log.exception("request %s failed", exchange.request_id.hex())
            problem = internal_problem(path=exchange.path, request_id=exchange.request_id)
            return Reply(500, encode(problem), (_PROBLEM,))

    def _read_head(self, scope: Scope, path: str, token: str, started_ns: int) -> Exchange:
        content_type = authorization = origin = given_id = b""
        for name, value in scope["headers"]:  # type: ignore[attr-defined]  # ASGI: pairs of bytes
            if name == b"content-type":
                content_type = value
            elif name == b"authorization":
                authorization = value
            elif name == b"origin":
                origin = value
            elif name == b"x-request-id":
                given_id = value
        client = scope.get("client")
        assert client is None or isinstance(client, tuple | list)
        return Exchange(
            method=scope["method"],  # type: ignore[arg-type]  # ASGI: str
            path=path,
            token=token,
            query=scope["query_string"],  # type: ignore[arg-type]  # ASGI: bytes
            body=b"",
            content_type=content_type,
            authorization=authorization,
            origin=origin,
            request_id=request_id_of(given_id) or self._new_request_id(),
            client=client[0] if client else "",
            headers=scope["headers"],  # type: ignore[arg-type]  # ASGI: pairs of bytes
            is_local=is_local(scope),
            started_ns=started_ns,
        )


def request_id_of(header: bytes) -> bytes | None:
    """A valid ``x-request-id`` (any UUID in canonical form), or None."""
    if not header:
        return None
    try:
        return parse_id(header.decode("latin-1"))
    except ValueError:
        return None


def is_local(scope: Scope) -> bool:
    """Whether the request came over loopback.

    Or over the owner's admin socket (no client address).
    """
    client = scope.get("client")
    return client is None or client[0] in ("127.0.0.1", "::1")  # type: ignore[index]  # (host, port)


def _id_text(value: bytes) -> bytes:
    text = value.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}".encode()


async def _read_body(scope: Scope, receive: Receive, limit_bytes: int) -> bytes:
    """The whole body, never more than the limit, inflated where it is gzip."""
    coding = b""
    for name, value in scope["headers"]:  # type: ignore[attr-defined]  # ASGI: pairs of bytes
        if name == b"content-length":
            if not value.isdigit() or int(value) > limit_bytes:
                raise TooLarge(limit_bytes)
        elif name == b"content-encoding":
            coding = value.strip().lower()
    message = await receive()
    body: bytes = message.get("body", b"")  # type: ignore[assignment]  # ASGI: bytes
    if message.get("more_body"):
        body = await _read_chunks(body, receive, limit_bytes)
    if len(body) > limit_bytes:
        raise TooLarge(limit_bytes)
    if coding in (b"", b"identity"):
        return body
    if coding != b"gzip":
        raise UnsupportedMediaType("expected no content coding, or gzip")
    return _inflate(body, limit_bytes)


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
