"""Bidders over HTTP: bounded, unpacked, without cookies, and every failure has its name."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from ringwork.ads.exchange.transport import RESPONSE_MAX_BYTES, Answered, TooMuch, Unreachable
from ringwork.app.outbound_http import OutboundHttp
from tests.ads.exchange.market import bidder

Answer = Callable[[httpx.Request], httpx.Response]


def answered(status: int, body: bytes = b"", **headers: str) -> httpx.Response:
    """A response that comes in pieces, as from a network."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, content=pieces(), headers=named)


def with_server(answer: Answer, work: Callable[[OutboundHttp], Awaitable[Any]]) -> Any:
    """What ``work`` does with the adapter when the network answers so."""

    async def run() -> Any:
        async with OutboundHttp.serving(transport=httpx.MockTransport(answer)) as http:
            return await work(http)

    return asyncio.run(run())


def post(http: OutboundHttp) -> Awaitable[Answered]:
    return http.bid(bidder(), b"{}", timeout_ms=100)


def test_a_request_as_bidders_expect_it() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.method == "POST"
        assert str(request.url) == "https://dsp.example/dsp"
        assert request.headers["content-type"] == "application/json"
        assert request.headers["x-openrtb-version"] == "2.6"
        assert request.headers["accept-encoding"] == "identity"
        return answered(200, b'{"id":"1"}')

    assert with_server(answer, post) == Answered(200, b'{"id":"1"}')


@pytest.mark.parametrize("status", [204, 302, 400, 500])
def test_a_status_is_the_bidders_word(status: int) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return answered(status, location="https://other.example/")

    assert with_server(answer, post) == Answered(status)


def test_the_largest_answer_is_read_and_one_byte_more_is_too_much() -> None:
    def of(size: int) -> Answer:
        return lambda request: answered(200, b" " * size)

    assert len(with_server(of(RESPONSE_MAX_BYTES), post).body) == RESPONSE_MAX_BYTES
    with pytest.raises(TooMuch):
        with_server(of(RESPONSE_MAX_BYTES + 1), post)


def test_a_packed_answer_is_not_unpacked() -> None:
    body = gzip.compress(b" " * 10_000_000)

    def answer(request: httpx.Request) -> httpx.Response:
        return answered(200, body, content_encoding="gzip")

    with pytest.raises(Unreachable, match="packed"):
        with_server(answer, post)


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (httpx.ConnectError("refused"), Unreachable),
        (httpx.RemoteProtocolError("no HTTP"), Unreachable),
        (httpx.ConnectTimeout("slow"), TimeoutError),
        (httpx.ReadTimeout("slow"), TimeoutError),
    ],
)
def test_a_failure_has_a_name(error: Exception, named: type[Exception]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(named):
        with_server(answer, post)
    with pytest.raises(named):
        with_server(answer, lambda http: http.notify("https://dsp.example/b"))


def test_a_cookie_is_not_kept() -> None:
    sent: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers.get("cookie"))
        return answered(204, set_cookie="id=1; Domain=dsp.example")

    async def twice(http: OutboundHttp) -> None:
        await post(http)
        await post(http)
        await http.notify("https://dsp.example/b")

    with_server(answer, twice)
    assert sent == [None, None, None]


def test_a_closed_port_on_this_machine_is_unreachable() -> None:
    async def run() -> None:
        server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        who = bidder(endpoint=f"http://127.0.0.1:{port}/")
        async with OutboundHttp.serving() as http:
            with pytest.raises(Unreachable):
                await http.bid(who, b"{}", timeout_ms=1000)

    asyncio.run(run())


def test_a_url_that_is_none_is_unreachable() -> None:
    async def work(http: OutboundHttp) -> int:
        return await http.notify("https://dsp.example:x/")

    with pytest.raises(Unreachable):
        with_server(lambda request: answered(204), work)
