"""A real server on a data directory of its own, after an hour of traffic on its own clock."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import uvicorn

from ringwork.ads.model import Ask, Context, Pricing, Slot
from ringwork.ads.requests import NewAdvertiser, NewCampaign, NewCreative, NewPublisher
from ringwork.ads.settings import AdsSettings
from ringwork.app.compose import create
from ringwork.app.platform import Platform
from ringwork.app.settings import Settings
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.journal import Command
from ringwork.kernel.ledger import Transfer
from ringwork.kernel.money import Money
from ringwork.kernel.viewer import NOBODY
from tests.console.day import EURO, NOW

T = TypeVar("T")

BANNER = Slot(id="1", format="banner", sizes=((300, 250),), floor_nanos=500_000)
SITE = Context(
    site="diariodacasa.example", publisher_id="casa", placement_id="article-foot",
    categories=("552",), region="PRT-11", device_type="phone", hour=16,
)  # fmt: skip
CAMPAIGNS: tuple[tuple[str, str, Pricing, int, int, int], ...] = (
    ("hp-autumn-26", "Autumn exteriors", "cpm", 2_500_000, 100 * EURO, 1),
    ("tram", "Tram pass, yearly", "cpm", 3_000_000, 90_000_000, 1),  # soon spent
    ("bikes", "Bicycle <b>repair</b>", "cpc", 300_000_000, 50 * EURO, 1),
    ("loans", "Spring loans", "cpm", 900_000, 50 * EURO, 0),
    ("garden", "Garden tools", "cpm", 600_000, 10 * EURO, 1),  # paced, and outbid by all others
)
ROUNDS = 120
STEP_US = 30_000_000


class Town:
    """The server, its address, and the platform behind it."""

    def __init__(self, data: Path, *, review_required: bool = False) -> None:
        self.clock = ManualClock(NOW - ROUNDS * STEP_US)
        own = AdsSettings(review_required=review_required)
        settings = Settings(data=str(data), ads=own)
        self.app = create(settings, clock=self.clock, entropy=SeededEntropy("town"))
        self.platform: Platform = self.app.platform
        self.url = ""
        self.request_ids: list[bytes] = []
        self._server = uvicorn.Server(
            uvicorn.Config(self.app, host="127.0.0.1", port=0, log_config=None, lifespan="on")
        )
        self._loop: asyncio.AbstractEventLoop | None = None

    @contextmanager
    def serving(self) -> Iterator[Town]:
        """Serve in a thread until the block ends."""
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        while not self._server.started:
            assert thread.is_alive(), "the server did not start"
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        try:
            self.do(self.play())
            yield self
        finally:
            self.app.end_streams()
            self._server.should_exit = True
            thread.join(timeout=20)
            assert not thread.is_alive(), "the server did not stop"

    def _run(self) -> None:
        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            await self._server.serve()

        asyncio.run(serve())

    def do(self, work: Coroutine[object, object, T]) -> T:
        """Run on the server's own loop, where all of its memory lives."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=60)

    def sign_in_link(self) -> str:
        """What a terminal would show."""
        return f"{self.url}/console/sign-in?token={self.platform.sign_in.issue_link()}"

    def cookie(self) -> str:
        """The value of a session cookie, as the link would have set it."""
        return self.platform.sign_in.make_session("admin")

    # ---- traffic --------------------------------------------------------------------------------

    async def play(self) -> None:
        """An hour: a request every thirty seconds, most shown, some clicked; one more not sold."""
        await self._advertise()
        for number in range(ROUNDS):
            self.clock.advance_us(STEP_US)
            await self.ask(shown=number % 5 != 0, clicked=number % 10 == 1)
            while self.platform.pace():
                pass
        stranger = Context(site="else.example", publisher_id="nobody")
        await self.ask(context=stranger)
        while self.platform.expire_due():  # else housekeeping would do it while a test reads
            pass
        await self.caught_up()

    async def caught_up(self) -> None:
        """Until what was acknowledged is durable and in the tables."""
        await self.platform.journal.settled()
        await self.platform.projections.caught_up(self.platform.log.head.seq)

    async def ask(
        self, *, shown: bool = False, clicked: bool = False, context: Context = SITE
    ) -> None:
        """One ad request and what follows from it."""
        request_id = self.platform.ids.new()
        self.request_ids.append(request_id)
        ask = Ask(request_id=request_id, source="openrtb", context=context, slots=(BANNER,))
        served = (await self.platform.serve_ad(ask, NOBODY)).served
        if served and shown:
            await self.platform.record_outcome.impression(served[0].tokens["impression"])
        if served and clicked:
            await self.platform.record_outcome.click(served[0].tokens["click"])

    async def _advertise(self) -> None:
        manage = self.platform.management
        await self.decide(
            lambda c: manage.register_publisher(
                c, NewPublisher(id="casa", name="Diário da Casa", domain="diariodacasa.example")
            )
        )
        await self.decide(
            lambda c: manage.register_advertiser(
                c,
                NewAdvertiser(id="hp", name="Harbour Paints", domain="hp.example", currency="EUR"),
            )
        )
        await self.decide(self._deposit)
        for id, name, pricing, bid, budget, ads in CAMPAIGNS:
            new = NewCampaign(
                id=id, advertiser_id="hp", name=name, pricing=pricing, bid_nanos=bid,
                special_ad_categories=[], budget=Money.of_nanos("EUR", budget),
                daily_budget=Money.of_nanos("EUR", 2 * EURO) if id == "garden" else None,
            )  # fmt: skip
            await self.decide(partial(manage.create_campaign, new=new))
            for number in range(ads):
                creative = NewCreative(
                    id=f"{id}-{number}", campaign_id=id, name=f"{name} {number}", format="banner",
                    width=300, height=250, landing_url="https://hp.example/", html="<p>ad</p>",
                    quality_ppm=970_000,
                )  # fmt: skip
                await self.decide(partial(manage.create_creative, new=creative))

    def _deposit(self, command: Command) -> str:
        ledger = self.platform.memory.ledger
        ledger.open_account(command, id="bank", currency="EUR", limited=False)
        return ledger.transfer(
            command,
            Transfer(
                id="deposit-1", kind="single", debit_account="bank",
                credit_account="advertiser/hp", amount_nanos=1000 * EURO, currency="EUR",
            ),
        )  # fmt: skip

    async def decide(self, decide: Callable[[Command], object]) -> None:
        """One command, durable."""
        journal = self.platform.journal
        with journal.command(tenant="main", request_id=self.platform.ids.new()) as command:
            decide(command)
            durable = command.commit()
        await durable
