"""Subscriptions on a memory log, paid over the real adapter at a provider that may misbehave."""

import asyncio
import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Self, TypeVar

from ringwork.app.payment_http import HttpPayments
from ringwork.consent.subscriptions import (
    EVENTS,
    Billing,
    PaymentRelay,
    Plan,
    PlanPrice,
    Register,
    Subscription,
    Subscriptions,
    SubscriptionSettings,
)
from ringwork.consent.subscriptions.accounts import Accounts, account_id
from ringwork.consent.subscriptions.notices import Notices
from ringwork.consent.subscriptions.requests import NewSubscription
from ringwork.consent.subscriptions.webhook import check_signature, decode
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.events import EventTypes, Recorded, decode_frames
from ringwork.kernel.ids import IdGenerator
from ringwork.kernel.journal import Command, Journal, appliers_of, recorded_of, replay
from ringwork.kernel.ledger import (
    AccountOpened,
    Ledger,
    TransferCreated,
    TransferExpired,
    TransferRefused,
)
from ringwork.storage.memory import MemoryEventLog, MemoryKeyStore, MemorySnapshots
from ringwork.world.payment_provider import SECRET, SimulatedPaymentProvider

T = TypeVar("T")
TYPES = EventTypes((*EVENTS, AccountOpened, TransferCreated, TransferRefused, TransferExpired))
DAY_US = 86_400_000_000
EURO = 10**9
CENT = 10**7


def at(text: str) -> int:
    """Microseconds of an ISO time, UTC where it names no offset."""
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000


def iso(us: int) -> str:
    return datetime.fromtimestamp(us // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M")


def pseudonym(subject: str) -> bytes:
    return hmac.digest(b"tenant secret", subject.encode(), "sha256")[:16]


class Newsstand:
    """Use as a context manager: it owns an event loop. Sells plan ``plus`` at 5.99, extra 4.00."""

    def __init__(
        self, settings: SubscriptionSettings | None = None, start: str = "2026-01-31T10:00"
    ) -> None:
        self.clock = ManualClock(at(start))
        self.loop = asyncio.new_event_loop()
        self.entropy = SeededEntropy("newsstand")
        self.ids = IdGenerator(self.clock, self.entropy)
        self.log = MemoryEventLog(clock=self.clock)
        self.keys = MemoryKeyStore(entropy=self.entropy)
        self.provider = SimulatedPaymentProvider(lambda: self.clock.wall_us() // 1_000_000)
        self.snapshots = MemorySnapshots()
        self.settings = settings or SubscriptionSettings()
        self._client = HttpPayments(
            url="https://pay.example", key="k", timeout_s=5, transport=self.provider
        )
        self.wake()
        self.do(lambda c: self.service.define_plan(c, Plan(id="plus", name="No ads")))
        self.price("first", at("2020-01-01"))

    def wake(self) -> None:
        """A new process on the log: everything in memory is folded anew."""
        self.register, self.ledger = Register(), Ledger()
        self.journal = Journal(
            log=self.log, types=TYPES, folds=(self.register, self.ledger), clock=self.clock,
            ids=self.ids, snapshots=self.snapshots,
        )  # fmt: skip
        self.journal.refold()
        billing = Billing(
            register=self.register, accounts=Accounts(ledger=self.ledger, ids=self.ids),
            ids=self.ids, retry_days=self.settings.retry_days,
        )  # fmt: skip
        self.service = Subscriptions(
            register=self.register, billing=billing, settings=self.settings, keys=self.keys,
            pseudonym=pseudonym, ids=self.ids, sells=True,
        )  # fmt: skip
        self.notices = Notices(register=self.register, billing=billing)
        self.relay = PaymentRelay(
            register=self.register, billing=billing, subscriptions=self.service,
            provider=self._client, journal=self.journal, entropy=self.entropy, tenant="main",
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.loop.run_until_complete(self._client.close())
        self.loop.close()

    # ---- doing ----------------------------------------------------------------------------------

    def do(self, decide: Callable[[Command], T]) -> T:
        """One command, committed and durable."""

        async def run() -> T:
            with self.journal.command(tenant="main", request_id=self.ids.new()) as command:
                result = decide(command)
                durable = command.commit() if command.recorded else None
            if durable is not None:
                await durable
            return result

        return self.loop.run_until_complete(run())

    def price(self, id: str, valid_from_us: int, euros: float = 5.99, **members: object) -> None:
        price = {
            "id": id, "plan": "plus", "channel": "web", "currency": "EUR",
            "price_nanos": round(euros * 100) * CENT, "extra_account_nanos": 4 * EURO,
            "valid_from_us": valid_from_us, **members,
        }  # fmt: skip
        self.do(lambda c: self.service.set_price(c, PlanPrice(**price)))

    def ask(self, id: str = "s", person: str = "ana", **members: object) -> Subscription:
        """Subscribe; nothing is paid yet."""
        new = {
            "id": id, "person": person, "plan": "plus", "region": "PT", "channel": "web",
            "currency": "EUR", "payment_method": f"card of {person}", **members,
        }  # fmt: skip
        return self.do(lambda c: self.service.subscribe(c, NewSubscription(**new)))[0]

    def subscribe(self, id: str = "s", person: str = "ana", **members: object) -> Subscription:
        """Subscribe and pay."""
        self.ask(id, person, **members)
        self.work()
        return self.one(id)

    def one(self, id: str = "s") -> Subscription:
        return self.register.subscriptions[id]

    def work(self) -> None:
        """What the process does every second."""

        async def run() -> None:
            while self.relay.renew():
                pass
            await self.journal.settled()
            await self.relay.work()
            await self.journal.settled()

        self.loop.run_until_complete(run())

    def wait(self, *, us: int = 0, days: float = 0, to: str = "") -> None:
        """Let time pass, then work as the process does: until nothing more is due now."""
        now = self.clock.wall_us()
        end = at(to) if to else now + us + int(days * DAY_US)
        self.clock.advance_us(end - now)
        self.work()
        self.work()

    def hear(self, body: bytes | None = None) -> str:
        """Take a notice of the provider: the next in line, or one that is given."""
        body = body or self.provider.notices.popleft()
        check_signature(
            self.provider.signature(body), body, secrets=[SECRET],
            now_s=self.clock.wall_us() // 1_000_000, tolerance_s=300,
        )  # fmt: skip
        return self.do(lambda c: self.notices.take(c, decode(body)))

    # ---- looking --------------------------------------------------------------------------------

    def reason(self, person: str = "ana", property: str = "news") -> str:
        subject = self.service.subject_of(person)
        return self.register.is_ads_free(subject, property, self.clock.wall_us())

    def events(self) -> list[Recorded]:
        found, seq = [], 0
        for row in self.log.rows():
            for frame in decode_frames(row.payload):
                for envelope in frame.events:
                    seq += 1
                    found.append(recorded_of(envelope, TYPES.decode(envelope), seq, 0))
        return found

    def said(self, prefix: str = "subscription_") -> list[str]:
        """Types of the events so far, without their prefix."""
        types = [one.payload.TYPE for one in self.events()]
        return [type.removeprefix(prefix) for type in types if type.startswith(prefix)]

    def balances(self, currency: str = "EUR") -> dict[str, int]:
        """Posted debits less credits in cents; and what is pending."""
        found = {}
        for kind in ("receivable", "revenue", "cash", "refunds"):
            account = self.ledger.accounts.get(account_id(kind, currency))
            if account is not None:
                found[kind] = (account.debits_posted - account.credits_posted) // CENT
                pending = (account.debits_pending - account.credits_pending) // CENT
                if pending:
                    found[f"{kind} pending"] = pending
        return found

    def replayed(self) -> Register:
        """The register folded from the log, dumped and loaded half way."""
        rows = list(self.log.rows())
        register = Register()
        for row in rows:
            replay([row], TYPES, appliers_of([register]))
            half = register.dump()
            register.clear()
            register.load(half)
            assert register.dump() == half
        return register
