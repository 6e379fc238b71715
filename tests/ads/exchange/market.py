"""The outside world of these tests: bidders that are simulated, and time that only tests move.

``VirtualLoop`` is an event loop whose clock jumps to the next timer instead of waiting for it, so
that a bidder can be a second late in no time. ``SimulatedBidders`` is an ASGI application that
stands for the servers of other companies, reached through httpx by its in-process transport.
"""

from __future__ import annotations

import asyncio
import json
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import httpx

from ringwork.ads.exchange import Bidder, ExchangeSettings
from ringwork.ads.exchange.outbound import Outgoing, PassedOn, outgoing
from ringwork.ads.exchange.worth import worths_of
from ringwork.ads.model import Ask, Context, Slot
from ringwork.ads.openrtb.terms import Rates
from ringwork.app.outbound_http import OutboundHttp

SITE = Context(site="news.example", publisher_id="pub", placement_id="top", region="PRT-11")
BANNER = Slot(id="top", format="banner", sizes=((300, 250),), floor_nanos=500_000)
VIDEO = Slot(
    id="pre", format="video", sizes=((640, 360),), mimes=("video/mp4",), min_duration_s=5,
    max_duration_s=30,
)  # fmt: skip
REQUEST_ID = bytes(15) + b"\x01"
VAST = (
    '<VAST version="4.2"><Ad id="1"><InLine><AdSystem>x</AdSystem><AdTitle>t</AdTitle>'
    "<Impression><![CDATA[https://dsp.example/i?p=${AUCTION_PRICE}]]></Impression><Creatives>"
    "<Creative><Linear><Duration>00:00:14.500</Duration><MediaFiles><MediaFile "
    'delivery="progressive" type="video/mp4" width="640" height="360">'
    "<![CDATA[https://dsp.example/v.mp4]]></MediaFile></MediaFiles></Linear></Creative>"
    "</Creatives></InLine></Ad></VAST>"
)

Handler = Callable[[dict[str, Any]], Awaitable[tuple[int, bytes]]]


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time is a number that jumps to the next timer whenever nothing else is to be done."""

    def __init__(self) -> None:
        selector = selectors.SelectSelector()
        super().__init__(selector)
        self._now_s = 0.0
        really_select = selector.select

        def select(timeout: float | None = None) -> list[Any]:
            ready = really_select(0)
            if not ready and timeout != 0:
                assert timeout is not None, "everybody waits for nothing: a deadlock"
                self._now_s += timeout
            return ready

        selector.select = select  # type: ignore[method-assign]

    def time(self) -> float:
        return self._now_s


class LoopClock:
    """The clock port on a loop's own time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def wall_us(self) -> int:
        return 1_764_158_400_000_000 + round(self._loop.time() * 1_000_000)

    def monotonic_ns(self) -> int:
        return round(self._loop.time() * 1_000_000_000)


def run_virtually(work: Callable[[LoopClock], Coroutine[Any, Any, Any]]) -> Any:
    """What ``work`` returns, in virtual time."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(work(LoopClock(loop)))
    finally:
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


class SimulatedBidders:
    """ASGI: the handler of a path answers as that bidder; what came is kept."""

    def __init__(self, **handlers: Handler) -> None:
        self.handlers = handlers
        self.asked: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.called: list[str] = []
        """Notice URLs, as path and query."""
        self.notice_status = 204

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        name = scope["path"].strip("/")
        if scope["method"] == "GET":
            query = scope["query_string"].decode()
            self.called.append(f"{scope['path']}?{query}")
            status, answer = self.notice_status, b""
        else:
            headers = {key.decode(): value.decode() for key, value in scope["headers"]}
            request = json.loads(body)
            self.asked.append((name, request, headers))
            status, answer = await self.handlers[name](request)
        kind = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": kind})
        await send({"type": "http.response.body", "body": answer})

    def serving(self):
        """The HTTP adapter with these bidders for its network."""
        return OutboundHttp.serving(transport=httpx.ASGITransport(app=self))


def bidder(id: str = "dsp", **members: Any) -> Bidder:
    return Bidder(**{"id": id, "endpoint": f"https://{id}.example/{id}", **members})


def ask(*slots: Slot, context: Context = SITE, **members: Any) -> Ask:
    return Ask(
        **{"request_id": REQUEST_ID, "source": "native", "context": context,
           "slots": slots or (BANNER,), **members}
    )  # fmt: skip


def request_to(
    who: Bidder | None = None,
    asked: Ask | None = None,
    *,
    settings: ExchangeSettings | None = None,
    rates: Rates | None = None,
    passed_on: PassedOn | None = None,
) -> Outgoing:
    """What ``who`` is asked with 130 ms to answer."""
    who = who or bidder()
    worths = worths_of(who, currency="EUR", rates=rates, now_us=1_000_000)
    return outgoing(
        asked or ask(), who, settings or ExchangeSettings(), asi="ads.example", worths=worths,
        tmax_ms=130, passed_on=passed_on,
    )  # fmt: skip


def bid(**members: Any) -> dict[str, Any]:
    """A bid that is taken for ``BANNER``; a member that is None is left out."""
    whole = {
        "id": "b1", "impid": "0", "price": 1.5, "adm": "<a href='https://adv.example'>ad</a>",
        "adomain": ["adv.example"], "crid": "c9", "w": 300, "h": 250, "mtype": 1,
        **members,
    }  # fmt: skip
    return {name: value for name, value in whole.items() if value is not None}


def video_bid(**members: Any) -> dict[str, Any]:
    return bid(**{"adm": VAST, "w": 640, "h": 360, "mtype": 2, **members})


def reply(
    *bids: dict[str, Any], cur: str | None = "EUR", seat: str = "s1", **members: Any
) -> bytes:
    whole: dict[str, Any] = {
        "id": "00000000-0000-0000-0000-000000000001", "seatbid": [{"bid": list(bids), "seat": seat}],
        "cur": cur, **members,
    }  # fmt: skip
    return json.dumps({name: one for name, one in whole.items() if one is not None}).encode()


def answering(
    *bids: dict[str, Any], after_s: float = 0, status: int = 200, **members: Any
) -> Handler:
    """A bidder that bids so, after a while."""

    async def handle(request: dict[str, Any]) -> tuple[int, bytes]:
        if after_s:
            await asyncio.sleep(after_s)
        return status, reply(*bids, id=request["id"], **members)

    return handle


def saying(status: int, body: bytes = b"") -> Handler:
    """A bidder that answers so."""

    async def handle(request: dict[str, Any]) -> tuple[int, bytes]:
        return status, body

    return handle
