"""The short way answers every byte as uvicorn's own way through ASGI does."""

import asyncio
import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from uvicorn import Config
from uvicorn.server import ServerState

from ringwork.kernel.errors import Conflict
from ringwork.web.lane import Exchange, FastLane, Lane, Reply
from ringwork.web.metrics import Metrics
from ringwork.web.protocol import BoundedHeadProtocol
from ringwork.web.wire import LaneProtocol

BODY_MAX = 1_000
TIMEOUT_S = 5


class Application:
    def __init__(self, short: bool) -> None:
        self.is_short = short
        self.short = 0
        """Requests that came without ASGI."""
        self.let_go = asyncio.Event()
        self.let_go.set()
        metrics = Metrics({})
        lanes = (
            Lane(path="/echo", methods=("POST",), handle=self.echo, body_max_bytes=BODY_MAX),
            Lane(path="/t/", methods=("GET",), handle=self.token),
            Lane(path="/none", methods=("GET", "POST"), handle=self.none),
            Lane(path="/bug", methods=("GET",), handle=self.bug),
            Lane(path="/rule", methods=("GET",), handle=self.rule),
            Lane(path="/split", methods=("GET",), handle=self.split),
        )
        self.fast = FastLane(
            lanes,
            self.rest,
            new_request_id=lambda: b"n" * 16,
            monotonic_ns=lambda: 0,
            metrics={lane.path: metrics.lane(lane.path) for lane in lanes},
        )

    async def __call__(self, scope, receive, send) -> None:
        self.short -= scope["type"] == "http"
        await self.fast(scope, receive, send)

    async def echo(self, exchange: Exchange) -> Reply:
        await self.let_go.wait()
        told = f"{exchange.content_type!r} {exchange.origin!r} {exchange.client}".encode()
        return Reply(200, told + exchange.body)

    async def token(self, exchange: Exchange) -> Reply:
        return Reply(302, b"", ((b"location", f"/{exchange.token}".encode() + exchange.query),))

    async def none(self, exchange: Exchange) -> Reply:
        return Reply(204, b"", ((b"cache-control", b"no-store"),))

    async def bug(self, exchange: Exchange) -> Reply:
        raise ZeroDivisionError

    async def rule(self, exchange: Exchange) -> Reply:
        raise Conflict("no", "because")

    async def split(self, exchange: Exchange) -> Reply:
        return Reply(200, b"", ((b"location", b"/\r\nset-cookie: stolen"),))

    async def rest(self, scope, receive, send) -> None:
        start = {"type": "http.response.start", "status": 200}
        await send({**start, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"rest"})


LAST = b"GET /none HTTP/1.1\r\nhost: us\r\nconnection: close\r\n\r\n"


async def served(
    application: Application,
    parts: list[bytes],
    *,
    pause: bool = False,
    last: bytes = LAST,
    abandons: bool = True,
) -> bytes:
    """What comes back for bytes that arrive in ``parts``, until the server or we close.

    ``abandons``: what the server still works on then is cancelled.
    """
    protocol = LaneProtocol if application.is_short else BoundedHeadProtocol
    config = Config(
        application,
        interface="asgi3",
        proxy_headers=False,
        lifespan="off",
        access_log=False,
        log_config=None,
    )
    config.load()
    state = ServerState()
    state.default_headers = [(b"date", b"today")]
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: protocol(config, state, {}), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for part in parts:
            writer.write(part)
            await writer.drain()
            if pause:
                await asyncio.sleep(0)
        writer.write(last)
        try:
            return await asyncio.wait_for(reader.read(), TIMEOUT_S)
        finally:
            writer.transport.abort()
            for task in state.tasks if abandons else ():
                task.cancel()


def both(parts: list[bytes], *, pause: bool = False) -> bytes:
    async def run() -> tuple[bytes, bytes]:
        short, own = Application(True), Application(False)
        return await served(short, parts, pause=pause), await served(own, parts, pause=pause)

    short, own = asyncio.run(run())
    assert short == own
    return short


def post(body: bytes, *headers: bytes, path: bytes = b"/echo", length: bool = True) -> bytes:
    lines = [b"POST %b HTTP/1.1" % path, b"host: us", *headers]
    if length:
        lines.append(b"content-length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def get(path: bytes, *headers: bytes, version: bytes = b"1.1") -> bytes:
    return b"\r\n".join((b"GET %b HTTP/%b" % (path, version), *headers)) + b"\r\n\r\n"


def test_an_answer_in_full() -> None:
    told = both([post(b"hello", b"Content-Type: text/x", b"Origin: here")])
    first, _, rest = told.partition(b"HTTP/1.1 204")
    assert first == (
        b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-type: application/json\r\n"
        b"x-request-id: 6e6e6e6e-6e6e-6e6e-6e6e-6e6e6e6e6e6e\r\ncontent-length: 33\r\n\r\n"
        b"b'text/x' b'here' 127.0.0.1hello"
    ).replace(b"33", b"%d" % len(b"b'text/x' b'here' 127.0.0.1hello"))
    assert b"content-length" not in rest, "RFC 9110, section 8.6"
    assert rest.endswith(b"connection: close\r\n\r\n")


@pytest.mark.parametrize(
    "parts",
    [
        [get(b"/t/abc?x=1")],
        [get(b"/t/a/b"), get(b"/t/"), get(b"/elsewhere")],
        [get(b"/t/%41?%42")],
        [get(b"/none", b"x-request-id: 017f22e2-79b0-7cc3-98c4-dc0c0c07398f")],
        [get(b"/none", b"x-request-id: nonsense")],
        [get(b"/bug"), get(b"/rule"), get(b"/echo")],
        [get(b"/none", version=b"1.0")],
        [get(b"/none", b"connection: keep-alive", version=b"1.0")],
        [get(b"/none", b"upgrade: h2c")],
        [get(b"http://us/none")],
        [b"HEAD /none HTTP/1.1\r\n\r\n", b"OPTIONS /none HTTP/1.1\r\n\r\n"],
        [b"nonsense\r\n\r\n"],
        [post(b"", length=False)],
        [post(b"x" * BODY_MAX), post(b"x" * (BODY_MAX + 1))],
        [post(b"x", b"content-length: two", length=False)],
        [post(gzip.compress(b"small"), b"content-encoding: gzip")],
        [post(gzip.compress(b"large" * 1_000), b"content-encoding: gzip")],
        [post(b"plain", b"content-encoding: gzip"), post(b"plain", b"content-encoding: br")],
        [post(b"5\r\nhello\r\n0\r\n\r\n", b"transfer-encoding: chunked", length=False)],
        [post(b"waits", b"expect: 100-continue")],
        [post(b"one") + post(b"two") + get(b"/elsewhere") + post(b"three")],
        [get(b"/none", b"x: " + b"y" * 40_000)],
    ],
)
def test_both_ways_answer_alike(parts: list[bytes]) -> None:
    both(parts)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_however_the_bytes_are_cut(data: st.DataObject) -> None:
    requests = [post(b"one"), get(b"/t/abc"), get(b"/elsewhere"), post(b"two", b"origin: x")]
    chosen = b"".join(data.draw(st.lists(st.sampled_from(requests), min_size=1, max_size=4)))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(chosen) - 1), max_size=3)))
    both([chosen[a:b] for a, b in zip([0, *cuts], [*cuts, len(chosen)], strict=True)], pause=True)


def test_a_header_with_a_line_break_is_never_sent() -> None:
    told = asyncio.run(served(Application(True), [get(b"/split")]))
    assert told.startswith(b"HTTP/1.1 500 ")
    assert b"stolen" not in told


def test_who_goes_the_short_way() -> None:
    async def run() -> list[int]:
        counts = []
        alone = b"connection: close"
        for request in (
            post(b"x", alone),
            get(b"/t/abc", alone),
            get(b"/elsewhere", alone),
            post(b"x", b"expect: 1", alone),
        ):
            application = Application(True)
            await served(application, [], last=request)
            counts.append(application.short)
        return counts

    assert asyncio.run(run()) == [0, 0, -1, -1]


def test_a_client_that_leaves_is_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    gone = asyncio.Event()

    def lost(self: LaneProtocol, error: Exception | None) -> None:
        BoundedHeadProtocol.connection_lost(self, error)
        gone.set()

    def recorded(self: LaneProtocol, reply: Reply, turn: object) -> bytes:
        written.append(reply.body)
        return b""

    monkeypatch.setattr(LaneProtocol, "connection_lost", lost, raising=False)
    monkeypatch.setattr(LaneProtocol, "_written", recorded)

    async def run() -> None:
        application, troubles = Application(True), []
        asyncio.get_running_loop().set_exception_handler(lambda _, told: troubles.append(told))
        application.let_go.clear()
        waiting = asyncio.create_task(served(application, [], last=post(b"x"), abandons=False))
        while not application.fast.running:  # noqa: ASYNC110  # a number, not an event
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await asyncio.wait_for(gone.wait(), TIMEOUT_S)
        application.let_go.set()
        while application.fast.running:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (written, troubles) == ([], [])

    asyncio.run(run())
