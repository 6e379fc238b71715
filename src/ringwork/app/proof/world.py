"""One world of the proof: a whole platform in a directory of its own, whose time stands still.

Two worlds with the same seed go in step: ids, tokens and nonces come from one seeded stream, the
clock moves when the proof moves it, and what a server does once a second is done when the proof
says so (``keep_house``), not by a timer. Nothing is replaced by another implementation but the
clock, the entropy and the network, which are ports of the platform itself.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from msgspec import Struct

from ringwork.ads.exchange import Bidder, ExchangeSettings
from ringwork.ads.index import Shortlist
from ringwork.ads.model import Context, Slot
from ringwork.ads.page import Page
from ringwork.ads.rank.features import context_values
from ringwork.app.compose import application
from ringwork.app.platform import Platform
from ringwork.app.proof.reads import Reads
from ringwork.app.settings import Settings
from ringwork.consent.choice.settings import ChoiceSettings
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.events import Envelope, decode_frames

if TYPE_CHECKING:
    from httpx import AsyncBaseTransport

    from ringwork.web.lane import ASGI, Headers

EPOCH_US: Final = 1_764_158_400_000_000
VENDOR_ID: Final = 1111
"""Ours in the TC strings of the proof."""
BIDDER_URL: Final = "https://bidder.example/bid"

_encode: Final = msgspec.json.Encoder().encode
_pack: Final = msgspec.msgpack.Encoder().encode


class Answer(Struct, frozen=True):
    """What came back."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def whole(self) -> bytes:
        """Every byte of it."""
        head = b"\n".join(name + b": " + value for name, value in self.headers)
        return b"%d\n%s\n\n%s" % (self.status, head, self.body)


class ProofFailed(Exception):
    """The proof could not be made: its own worlds did not do what they were told."""


class World:
    """A platform, what it was asked, and what it was about to decide on."""

    def __init__(
        self, folder: Path, *, seed: int, plant: Callable[[World], None] | None = None
    ) -> None:
        """``plant`` changes this world's own platform before its endpoints are put together."""
        self.folder = folder
        self.clock = ManualClock(EPOCH_US)
        self.bidder = _Bidder()
        self.inputs: list[bytes] = []
        """What the auction was given since this was emptied: every input of model and ranking."""
        self.thread = threading.get_ident()
        self.platform = Platform(
            settings_of(folder),
            clock=self.clock,
            entropy=SeededEntropy(seed),
            network=self.bidder.transport(),
            open_database=_unsynced,
        )
        self.reads = Reads(self.platform)
        self.around: Callable[[ASGI], ASGI] = _as_it_is
        """What a planted leak puts around the application."""
        if plant is not None:
            plant(self)
        self._look_on()
        self._app = application(self.platform)
        self._outer = self.around(self._app)
        self._seq = 0

    async def begin(self) -> None:
        """What a server does when it starts, but for its timers."""
        platform, now_s = self.platform, self.clock.wall_us() // 1_000_000
        platform.projections.start()
        platform.model.begin()
        platform.ads.warm_up(now_s)
        platform.ads.pacing.begin(now_s)
        if platform.bidding is not None:
            await platform.bidding.begin()

    async def close(self) -> None:
        """End it, with a snapshot of its memory; its directory stays."""
        platform = self.platform
        await platform.journal.settled()
        platform.snapshots.save(*platform.journal.snapshot())
        if platform.bidding is not None:
            await platform.bidding.close()
        await platform.subscribing.close()
        platform.close()

    # ---- what happens in it ---------------------------------------------------------------------

    async def ask(
        self, method: str, target: str, body: bytes = b"", *, headers: Headers, client: str
    ) -> Answer:
        """A request of anybody, over ASGI."""
        return await _asked(self._outer, method, target, body, headers, client)

    async def tell(self, method: str, path: str, body: object, *, key: str = "") -> Answer:
        """A request of the owner. Raises ProofFailed where it is refused."""
        headers = [(b"content-type", b"application/json"), (b"host", b"localhost")]
        if key:
            headers.append((b"idempotency-key", key.encode()))
        app = cast("ASGI", self._app.local_admin)
        answer = await _asked(app, method, path, _encode(body), headers, "")
        if answer.status >= 400:
            raise ProofFailed(f"{method} {path}: {answer.status} {answer.body.decode()}")
        return answer

    async def keep_house(self) -> None:
        """What a server does every second."""
        platform = self.platform
        while platform.expire_due():
            pass
        while platform.pace():
            pass
        platform.denied.record(platform.journal, tenant=platform.settings.tenant)
        platform.consent.seal_if_due(tenant=platform.settings.tenant)
        platform.projections.notify()
        await platform.journal.settled()

    async def events(self) -> list[Envelope]:
        """The events that were stored since the last look, in their order."""
        await self.platform.journal.settled()
        found = [
            event
            for row in self.platform.log.rows(self._seq)
            for frame in decode_frames(row.payload)
            for event in frame.events
        ]
        self._seq += len(found)
        return found

    def standing(self) -> Mapping[str, bytes]:
        """Everything that decisions read, by what keeps it: budgets, ledger, catalogue, consent."""
        _, states = self.platform.journal.snapshot()
        return states

    def _look_on(self) -> None:
        """Take down what every auction is given: the rest of the decision is computed from it."""
        index = self.platform.ads.index
        shortlist = index.shortlist

        def looked_on(
            context: Context,
            slot: Slot,
            *,
            now_us: int,
            page: Page | None = None,
            is_long: bool = False,
        ) -> Shortlist:
            assert page is not None, "an auction has one"
            self.inputs.append(
                _pack(
                    (
                        context, slot, now_us, index.model_version, context_values(context, slot),
                        page.audiences, page.barred, page.reads, page.knows_viewer, page.explores,
                    )
                )
            )  # fmt: skip
            return shortlist(context, slot, now_us=now_us, page=page, is_long=is_long)

        index.shortlist = looked_on  # type: ignore[method-assign]  # of this world's platform alone


class _Unsynced(sqlite3.Connection):
    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        return super().execute(sql.replace("synchronous=FULL", "synchronous=OFF"), *values)


def _unsynced(path: str) -> sqlite3.Connection:
    """The log's files, not waited for: what is proved is what is written, not that it lasts."""
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=_Unsynced)


def settings_of(folder: Path) -> Settings:
    """As an operator would set them, with two services and an outside bidder."""
    bidder = Bidder(id="outside", endpoint=BIDDER_URL, formats=["video"], tmax_ms=5000)
    return Settings(
        data=str(folder),
        services=["main", "market"],
        choice=ChoiceSettings(vendor_id=VENDOR_ID),
        exchange=ExchangeSettings(bidders=[bidder], tmax_ms=5000),
    )


def _as_it_is(app: ASGI) -> ASGI:
    return app


async def _asked(
    app: ASGI, method: str, target: str, body: bytes, headers: Headers, client: str
) -> Answer:
    path, _, query = target.partition("?")
    scope: dict[str, object] = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": query.encode(),
        "root_path": "", "headers": headers, "server": ("localhost", 8080),
        "client": (client, 40_000) if client else None, "state": {},
    }  # fmt: skip
    sent: list[dict[str, object]] = []
    came = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> dict[str, object]:
        return next(came, {"type": "http.disconnect"})

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    head, *rest = sent
    pairs = cast("list[tuple[bytes, bytes]]", head["headers"])
    content = b"".join(cast("bytes", one.get("body", b"")) for one in rest)
    return Answer(cast("int", head["status"]), tuple(pairs), content)


class _Bidder:
    """Everybody outside: bids on what it is asked for, by what it is told, and keeps that."""

    def __init__(self) -> None:
        self.told: list[bytes] = []

    def transport(self) -> AsyncBaseTransport:
        import httpx  # noqa: PLC0415  # only where a proof runs

        async def handle(request: httpx.Request) -> httpx.Response:
            body = await request.aread()
            self.told.append(f"{request.method} {request.url}\n".encode() + body)
            return httpx.Response(200, stream=httpx.ByteStream(_bid(body)))

        return httpx.MockTransport(handle)


def _bid(body: bytes) -> bytes:
    """A bid whose price is made of all that the bidder was told."""
    asked = msgspec.json.decode(body)
    told = {name: one for name, one in asked.items() if name not in ("id", "source")}
    price = 1 + int.from_bytes(hashlib.sha256(_encode(told)).digest()[:2], "big") / 8192
    bid = {
        "id": "b", "impid": asked["imp"][0]["id"], "price": round(price, 3), "adm": VAST,
        "adomain": ["outside.example"], "crid": "c", "w": 640, "h": 360, "mtype": 2,
    }  # fmt: skip
    return _encode({"id": asked["id"], "cur": "EUR", "seatbid": [{"bid": [bid], "seat": "s"}]})


VAST: Final = (
    '<VAST version="4.2"><Ad id="1"><InLine><AdSystem>x</AdSystem><AdTitle>t</AdTitle>'
    "<Impression><![CDATA[https://bidder.example/i]]></Impression><Creatives><Creative><Linear>"
    '<Duration>00:00:14</Duration><MediaFiles><MediaFile delivery="progressive" type="video/mp4" '
    'width="640" height="360"><![CDATA[https://bidder.example/v.mp4]]></MediaFile></MediaFiles>'
    "</Linear></Creative></Creatives></InLine></Ad></VAST>"
)
