"""Everything in any order against a model of a few lines: paid once a period, booked to the cent.

The model knows nothing of charges, keys or retries. It keeps, for each person, whether they pay and
what the provider must hold in the end, and is told only what a person or the world does.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ringwork.consent.subscriptions.events import (
    SubscriptionChargePaid,
    SubscriptionRefundSettled,
    SubscriptionRenewed,
    SubscriptionStarted,
)
from ringwork.consent.subscriptions.model import RUNNING
from ringwork.kernel.errors import Conflict
from ringwork.testing.invariants import LogReading
from tests.consent.subscriptions.newsstand import CENT, DAY_US, Newsstand

PEOPLE = ("ana", "bea", "carl")
MOODS = ("pay", "decline", "hang", "lose", "late", "twice", "fail")


class Subscribers(RuleBasedStateMachine):
    """Three people, one plan, a provider in every mood, processes that end, clocks that jump."""

    def __init__(self) -> None:
        super().__init__()
        self.stand = Newsstand()
        self.stand.price("dearer", self.stand.clock.wall_us() + 45 * DAY_US, 6.99, notice_days=7)
        self.number = 0
        self.delivered = []

    def teardown(self) -> None:
        stand = self.stand
        stand.provider.moods.clear()
        for payment in list(stand.provider.ledger.values()):
            if payment.status == "pending":
                stand.provider.decide(payment.key, "succeeded")
        for _ in range(3):
            while stand.provider.notices:
                stand.hear()
            stand.wait(us=3_600_000_000)
        self.everything_is_settled()
        assert stand.replayed().dump() == stand.register.dump()
        reading = LogReading()
        reading.read(stand.log.rows())
        for name in ("I2", "I4"):
            assert reading.promises[name].detail == []
        stand.__exit__()

    def everything_is_settled(self) -> None:
        stand = self.stand
        assert not stand.register.open_charges
        assert not stand.register.refunds
        balances = stand.balances()
        assert balances.get("cash", 0) == stand.provider.kept_minor
        assert balances.get("receivable", 0) == 0
        assert not any(name.endswith("pending") for name in balances)
        earned = -balances.get("revenue", 0) - balances.get("refunds", 0)
        assert earned == stand.provider.kept_minor

    # ---- what people do -------------------------------------------------------------------------

    @rule(person=st.sampled_from(PEOPLE), pinned=st.booleans())
    def subscribe(self, person: str, pinned: bool) -> None:
        self.number += 1
        try:
            self.stand.ask(f"s{self.number}", person, pinned=pinned)
        except Conflict as refused:
            assert refused.slug == "already-subscribed"

    @precondition(lambda self: self.stand.register.subscriptions)
    @rule(
        data=st.data(),
        what=st.sampled_from(["cancel", "refund", "part", "link", "unlink", "method"]),
        person=st.sampled_from(PEOPLE),
    )
    def command(self, data: st.DataObject, what: str, person: str) -> None:
        service = self.stand.service
        id = data.draw(st.sampled_from(sorted(self.stand.register.subscriptions)))
        commands = {
            "cancel": lambda c: service.cancel(c, id),
            "refund": lambda c: service.refund(c, id),
            "part": lambda c: service.refund(c, id, amount_nanos=100 * CENT),
            "link": lambda c: service.link(c, id, person),
            "unlink": lambda c: service.unlink(c, id, person),
            "method": lambda c: service.change_payment_method(c, id, "another card"),
        }
        before = self.stand.log.head.seq
        try:
            self.stand.do(commands[what])
        except Conflict:
            assert self.stand.log.head.seq == before, "a refusal leaves nothing half-done"

    @rule(person=st.sampled_from(PEOPLE))
    def erase(self, person: str) -> None:
        subject = self.stand.service.subject_of(person)
        self.stand.keys.erase(subject)
        self.stand.do(lambda c: self.stand.service.erased(c, subject, self.stand.ids.new()))
        assert self.stand.reason(person) == ""

    # ---- what the world does --------------------------------------------------------------------

    @rule(moods=st.lists(st.sampled_from(MOODS), min_size=1, max_size=4))
    def provider_is(self, moods: list[str]) -> None:
        self.stand.provider.moods.extend(moods)

    @rule(hours=st.sampled_from([1, 24, 24 * 3, 24 * 8, 24 * 29, 24 * 70]))
    def time_passes(self, hours: int) -> None:
        self.stand.wait(us=hours * 3_600_000_000)

    @rule(hours=st.integers(1, 48))
    def clock_goes_back(self, hours: int) -> None:
        self.stand.clock.set_wall_us(self.stand.clock.wall_us() - hours * 3_600_000_000)

    @rule()
    def work(self) -> None:
        self.stand.work()

    @rule()
    def process_ends(self) -> None:
        self.stand.wake()

    @precondition(lambda self: self.stand.provider.notices)
    @rule()
    def notice_comes(self) -> None:
        told = self.stand.provider.notices.popleft()
        self.stand.hear(told)
        assert self.stand.hear(told) == "repeated"

    @precondition(lambda self: self.stand.provider.ledger)
    @rule(data=st.data(), status=st.sampled_from(["succeeded", "declined"]))
    def provider_decides(self, data: st.DataObject, status: str) -> None:
        waiting = [one for one in self.stand.provider.ledger.values() if one.status == "pending"]
        if waiting:
            self.stand.provider.decide(data.draw(st.sampled_from(waiting)).key, status)

    # ---- what always holds ----------------------------------------------------------------------

    @invariant()
    def each_period_is_paid_once(self) -> None:
        paid: dict[str, int] = {}
        returned: dict[str, int] = {}
        periods: set[tuple[str, int]] = set()
        for recorded in self.stand.events():
            event = recorded.payload
            if isinstance(event, SubscriptionChargePaid):
                assert event.charge_id not in paid
                paid[event.charge_id] = event.amount_nanos
            elif isinstance(event, SubscriptionRefundSettled) and event.paid:
                returned[event.charge_id] = returned.get(event.charge_id, 0) + 1
            elif isinstance(event, SubscriptionStarted | SubscriptionRenewed):
                period = (event.id, getattr(event, "period", 1))
                assert period not in periods
                periods.add(period)
                assert event.charge_id in paid, "what is not paid for does not begin"
        held = [one for one in self.stand.provider.ledger.values() if one.kind == "charge"]
        assert len({one.key for one in held}) == len(held)

    @invariant()
    def money_goes_back_at_most_once(self) -> None:
        for charge in self.stand.register.charges.values():
            assert 0 <= charge.refunded_nanos <= charge.amount_nanos
        assert self.stand.provider.kept_minor >= 0

    @invariant()
    def who_pays_sees_no_ads_and_nobody_else(self) -> None:
        """The model: a person sees none while one of the subscriptions that they own or share runs
        and its time is not over."""
        stand = self.stand
        now = stand.clock.wall_us()
        for person in PEOPLE:
            subject = stand.service.subject_of(person)
            spared = any(
                one.state in RUNNING
                and now < one.until_us
                and (
                    one.subject == subject
                    or (subject in one.links and one.links[subject].state == "linked")
                )
                for one in stand.register.subscriptions.values()
            )
            assert bool(stand.reason(person)) == spared

    @invariant()
    def a_paid_period_is_never_cut_short(self) -> None:
        now = self.stand.clock.wall_us()
        for one in self.stand.register.subscriptions.values():
            if one.state in ("active", "ending") and one.starts_us <= now < one.ends_us:
                assert one.until_us >= one.ends_us

    @invariant()
    def one_payment_for_a_period_is_under_way_at_most(self) -> None:
        open_periods = [
            (charge.subscription_id, charge.period)
            for charge in self.stand.register.charges.values()
            if charge.state == "open"
            and charge.kind == "period"
            and self.stand.notices._billing.is_wanted(charge)
        ]
        assert len(open_periods) == len(set(open_periods))


Subscribers.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
TestSubscribers = Subscribers.TestCase
