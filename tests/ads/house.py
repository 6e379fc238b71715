"""A whole ad part on a memory log: what tests need to advertise, sell and bill."""

import asyncio
import hmac
from collections.abc import Callable
from typing import Self, TypeVar

import msgspec

from ringwork.ads.behavioural.service import Behaviour
from ringwork.ads.billing import Billing, Measure
from ringwork.ads.budgets import Budgets
from ringwork.ads.catalogue import Catalogue
from ringwork.ads.events import EVENTS, AuctionCleared, SlotOutcome
from ringwork.ads.management import Management
from ringwork.ads.model import Ask, Campaign, Context, Creative, Served, Slot
from ringwork.ads.outcomes import Outcomes
from ringwork.ads.pacing.known_traffic import KnownTraffic
from ringwork.ads.pacing.plans import PacingMemory, Plans
from ringwork.ads.personal import Personal
from ringwork.ads.requests import NewAdvertiser, NewCampaign, NewCreative, NewPublisher
from ringwork.ads.service import Ads
from ringwork.ads.settings import AdsSettings
from ringwork.ads.special_events import EVENTS as SPECIAL_EVENTS
from ringwork.ads.tokens import Tokens
from ringwork.ads.traffic import Networks, TrafficFilter
from ringwork.consent.epochs import Epochs, in_memory
from ringwork.consent.grants import GrantAuthority
from ringwork.consent.ledger import ConsentLedger
from ringwork.consent.policy import TermsOf
from ringwork.flow.serve_ad import ServeAd
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.events import EventTypes, Recorded, decode_frames
from ringwork.kernel.history import History
from ringwork.kernel.ids import IdGenerator
from ringwork.kernel.journal import Command, Journal, recorded_of
from ringwork.kernel.ledger import (
    AccountOpened,
    Ledger,
    Transfer,
    TransferCreated,
    TransferExpired,
    TransferRefused,
)
from ringwork.kernel.money import Money
from ringwork.kernel.purpose import Grant, Purpose, Terms
from ringwork.kernel.steering import Steer
from ringwork.kernel.viewer import Viewer
from ringwork.storage.memory import MemoryEventLog, MemoryKeyStore, MemorySnapshots

T = TypeVar("T")

TYPES = EventTypes(
    (*EVENTS, *SPECIAL_EVENTS, AccountOpened, TransferCreated, TransferRefused, TransferExpired)
)
SITE = Context(site="news.example", publisher_id="pub", region="PRT-11", device_type="phone")
BANNER = Slot(id="1", format="banner", sizes=((300, 250),))


def euros(nanos: int) -> Money:
    return Money.of_nanos("EUR", nanos)


def pseudonym(subject: str) -> bytes:
    return hmac.digest(b"tenant secret", subject.encode(), "sha256")[:16]


class Folds:
    """Everything that is folded from the log."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.catalogue = Catalogue()
        self.budgets = Budgets(self.ledger)
        self.outcomes = Outcomes()
        self.plans = Plans()
        self.all = (self.ledger, self.catalogue, self.budgets, self.outcomes, self.plans)

    def dumps(self) -> dict[str, bytes]:
        return {fold.name: fold.dump() for fold in self.all}


class NoHistory:
    """Of nobody is anything kept here."""

    def read(self, grant: Grant, *, purpose: Purpose, request_id: bytes) -> History:
        return History()


class House:
    """Use as a context manager: it owns an event loop."""

    def __init__(self, settings: AdsSettings | None = None, steer: Steer | None = None) -> None:
        self.clock = ManualClock()
        self.loop = asyncio.new_event_loop()
        self.entropy = entropy = SeededEntropy("house")
        self.ids = IdGenerator(self.clock, entropy)
        self.log = MemoryEventLog(clock=self.clock)
        self.keys = MemoryKeyStore(entropy=entropy)
        self.folds = Folds()
        self.ledger, self.catalogue = self.folds.ledger, self.folds.catalogue
        self.journal = Journal(
            log=self.log, types=TYPES, folds=self.folds.all, clock=self.clock, ids=self.ids,
            snapshots=MemorySnapshots(),
        )  # fmt: skip
        self.settings = settings or AdsSettings()
        self.tokens = Tokens({1: bytes(32)}, current=1)
        personal = Personal(self.keys, pseudonym)
        self.ads = Ads(
            catalogue=self.catalogue, budgets=self.folds.budgets, ledger=self.ledger,
            tokens=self.tokens, ids=self.ids, entropy=self.entropy, settings=self.settings,
            pacing=PacingMemory(KnownTraffic(), self.folds.plans),
        )  # fmt: skip
        self.ads.steered_by = steer
        self.billing = Billing(
            catalogue=self.catalogue, budgets=self.folds.budgets, outcomes=self.folds.outcomes,
            ledger=self.ledger, tokens=self.tokens, ids=self.ids, personal=personal,
            settings=self.settings,
        )  # fmt: skip
        self.management = Management(
            catalogue=self.catalogue, ledger=self.ledger, ids=self.ids, personal=personal,
            currency=self.settings.currency, services=("main", "market"),
        )  # fmt: skip

        self.traffic = TrafficFilter(
            key=bytes(32), settings=self.settings.traffic, data_centres=Networks([])
        )

    def flow(self) -> ServeAd:
        """The request path, where nobody has decided on anything and nothing is known of anybody."""
        epochs = Epochs(in_memory())
        decide = TermsOf(
            state=ConsentLedger().state,
            authority=GrantAuthority(bytes(32), epochs, self.clock),
            visit_window_s=self.settings.visit_window_s,
        )

        def terms_of(viewer: Viewer, *, request_id: bytes) -> Terms:
            subject = pseudonym(f"person/{viewer.person}") if viewer.person else None
            now_us = self.clock.wall_us()
            return decide(
                subject, viewer.signals, viewer.where, now_us=now_us, request_id=request_id
            )

        behaviour = Behaviour(
            ads=self.ads, catalogue=self.catalogue, history=NoHistory(), ids=self.ids,
            personal=Personal(self.keys, pseudonym), half_life_s=1, interests_max=0,
        )  # fmt: skip
        return ServeAd(
            terms_of=terms_of, ads=self.ads, behaviour=behaviour, journal=self.journal,
            tenant="main",
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.loop.close()

    @property
    def now_s(self) -> int:
        return self.clock.wall_us() // 1_000_000

    def do(
        self,
        decide: Callable[[Command], T],
        *,
        request_id: bytes | None = None,
        cause_id: bytes | None = None,
    ) -> T:
        """One command, committed and durable."""

        async def run() -> T:
            with self.journal.command(
                tenant="main", request_id=request_id or self.ids.new(), cause_id=cause_id
            ) as command:
                result = decide(command)
                durable = command.commit() if command.recorded else None
            if durable is not None:
                await durable
            return result

        return self.loop.run_until_complete(run())

    def events(self) -> list[Recorded]:
        """Every durable event in order."""
        found, seq = [], 0
        for row in self.log.rows():
            for frame in decode_frames(row.payload):
                for envelope in frame.events:
                    seq += 1
                    found.append(recorded_of(envelope, TYPES.decode(envelope), seq, 0))
        return found

    def payloads(self, kind: type[T]) -> list[T]:
        return [event.payload for event in self.events() if isinstance(event.payload, kind)]

    # ---- money and catalogue --------------------------------------------------------------------

    def deposit(self, advertiser_id: str, nanos: int) -> None:
        def pay(command: Command) -> str:
            self.ledger.open_account(command, id="bank", currency="EUR", limited=False)
            return self.ledger.transfer(
                command,
                Transfer(
                    id=self.ids.new().hex(), kind="single", debit_account="bank",
                    credit_account=f"advertiser/{advertiser_id}", amount_nanos=nanos,
                    currency="EUR",
                ),
            )  # fmt: skip

        assert self.do(pay) == "created"

    def open(self, *, deposit: int = 10**15) -> None:
        """A publisher, and an advertiser with money."""
        self.do(lambda c: self.management.register_publisher(
            c, NewPublisher(id="pub", name="News", domain="news.example", origins=["https://news.example"])
        ))  # fmt: skip
        self.do(lambda c: self.management.register_advertiser(
            c, NewAdvertiser(id="adv", name="Adv", domain="adv.example", currency="EUR")
        ))  # fmt: skip
        self.deposit("adv", deposit)

    def campaign(self, id: str = "c1", **members: object) -> Campaign:
        new = {
            "id": id, "advertiser_id": "adv", "name": id, "special_ad_categories": [], "pricing": "cpm",
            "bid_nanos": 2_000_000, "budget": euros(10**12), **members,
        }  # fmt: skip
        return self.do(lambda c: self.management.create_campaign(c, NewCampaign(**new)))[0]

    def creative(self, id: str = "a1", campaign_id: str = "c1", **members: object) -> Creative:
        new = {
            "id": id, "campaign_id": campaign_id, "name": id, "format": "banner", "width": 300,
            "height": 250, "landing_url": "https://adv.example/x", "html": "<b>ad</b>", **members,
        }  # fmt: skip
        return self.do(lambda c: self.management.create_creative(c, NewCreative(**new)))[0]

    # ---- serving --------------------------------------------------------------------------------

    def serve(
        self,
        *slots: Slot,
        context: Context = SITE,
        charge_bid: bool = False,
        visit: str = "",
    ) -> tuple[list[SlotOutcome], list[Served]]:
        """One ad request, as ``flow.serve_ad`` does it."""
        ask = Ask(
            request_id=self.ids.new(), source="native", context=context, slots=slots or (BANNER,),
            charge_bid=charge_bid, visit=visit,
        )  # fmt: skip
        auction_id = self.ids.new()

        def sell(command: Command) -> tuple[list[SlotOutcome], list[Served]]:
            outcomes, served = [], []
            page = self.ads.begin(ask, auction_id, now_s=command.now_s)
            for lots in ask.lots():
                lot = lots
                while lot:
                    shortlist = self.ads.candidates(ask, lot[0], page, now_s=command.now_s)
                    ranked = self.ads.rank(shortlist, lot[0], page)
                    shortlist, ranked = self.ads.steer(ask, lot[0], page, shortlist, ranked)
                    cleared = self.ads.clear(
                        command, ask, lot, page, shortlist, ranked, auction_id=auction_id
                    )
                    outcomes += [outcome for outcome, _ in cleared]
                    served += [sold for _, sold in cleared if sold is not None]
                    lot = lot[len(cleared) :]
            command.record(
                AuctionCleared(ask.source, "EUR", ask.context, outcomes, {}), event_id=auction_id
            )
            return outcomes, served

        return self.do(sell, request_id=ask.request_id)

    def impression(self, token: str, invalid: str = "") -> str | None:
        claim = self.billing.verify(token, "impression")
        return claim and self.do(
            lambda c: self.billing.bill_impression(c, claim, invalid=invalid),
            request_id=claim.request_id, cause_id=claim.auction_id,
        )  # fmt: skip

    def click(self, token: str, invalid: str = "") -> str | None:
        claim = self.billing.verify(token, "click")
        return claim and self.do(
            lambda c: self.billing.record_click(c, claim, invalid=invalid),
            request_id=claim.request_id, cause_id=claim.auction_id,
        )  # fmt: skip

    def measure(self, token: str, measure: Measure) -> str | None:
        claim = self.billing.verify(token, measure)
        return claim and self.do(lambda c: self.billing.record_measured(c, claim, measure))

    def convert(self, rwclid: str, conversion_id: str, **members: object) -> str | None:
        given = {"value_nanos": 0, "customer": None, **members}
        claim = self.billing.verify(rwclid, "conversion")
        return claim and self.do(
            lambda c: self.billing.record_conversion(c, claim, conversion_id=conversion_id, **given)
        )

    def expire(self) -> int:
        return self.do(self.ledger.expire_due)

    def replayed(self) -> Folds:
        """The log folded from its start, with every fold loaded from its own dump half way."""
        folds, events = Folds(), self.events()
        for number, event in enumerate(events):
            if number == len(events) // 2:
                states = folds.dumps()
                for fold in folds.all:
                    fold.load(states[fold.name])
            for fold in folds.all:
                if isinstance(event.payload, fold.hears):
                    fold.apply(event)
        return folds


def changed(item: T, **members: object) -> T:
    return msgspec.structs.replace(item, **members)
