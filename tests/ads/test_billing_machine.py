"""Holds, beacons, expiry and midnight in any order: no budget is passed, nothing billed twice."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ringwork.ads.auction import recompute
from ringwork.ads.events import ImpressionBilled
from ringwork.ads.requests import CampaignChange
from ringwork.kernel.errors import Conflict
from ringwork.testing.invariants import LogReading
from tests.ads.house import BANNER, House, changed, euros

DAY_S = 86_400
BUDGET, DAILY = 400, 150
CAMPAIGNS = {"impressions": "cpm", "clicks": "cpc", "sales": "cpa"}
P_PPB = {"cpm": 10**9, "cpc": 5_000_000, "cpa": 100_000}


class Billing(RuleBasedStateMachine):
    """Three campaigns of 400 nanos, 150 a day, that bid 60 nanos an impression's worth."""

    def __init__(self) -> None:
        super().__init__()
        self.house = House()
        self.house.open()
        for id, pricing in CAMPAIGNS.items():
            worth = 60 * 10**9 // P_PPB[pricing]
            scale = 10**9 // P_PPB[pricing]
            self.house.campaign(
                id, pricing=pricing, bid_nanos=worth, budget=euros(BUDGET * scale),
                daily_budget=euros(DAILY * scale),
            )  # fmt: skip
            self.house.creative(f"ad-{id}", id)
        self.sold = []
        self.billed: set[bytes] = set()
        self.paid: dict[tuple[str, int], int] = {}
        self.budgets = {id: BUDGET * 10**9 // P_PPB[pricing] for id, pricing in CAMPAIGNS.items()}

    def teardown(self) -> None:
        house = self.house
        bills = [bill.impression_id for bill in house.payloads(ImpressionBilled)]
        assert len(bills) == len(set(bills)) == len(self.billed)
        assert house.replayed().dumps() == house.folds.dumps()
        reading = LogReading()
        reading.read(house.log.rows())
        for name in ("I4", "I5", "I8"):
            assert reading.promises[name].detail == []
        self.house.loop.close()

    @rule(
        rule=st.sampled_from(["first", "second"]), floor=st.integers(0, 61), slots=st.integers(1, 2)
    )
    def ask(self, rule: str, floor: int, slots: int) -> None:
        asked = [changed(BANNER, id=str(n), rule=rule, floor_nanos=floor) for n in range(slots)]
        outcomes, served = self.house.serve(*asked)
        assert all(
            recompute(one) == ((one.ad_id, one.price_nanos) if one.impression_id else None)
            for one in outcomes
        )
        self.sold += served

    def a_sale(self, which: int):
        return self.sold[which % len(self.sold)] if self.sold else None

    @rule(which=st.integers(0, 99))
    def beacon(self, which: int) -> None:
        sale = self.a_sale(which)
        if sale is not None and self.house.impression(sale.tokens["impression"]) == "recorded":
            assert sale.impression_id not in self.billed
            self.billed.add(sale.impression_id)

    @rule(which=st.integers(0, 99))
    def click(self, which: int) -> None:
        sale = self.a_sale(which)
        if sale is not None:
            self.house.click(sale.tokens["click"])

    @rule(which=st.integers(0, 99))
    def convert(self, which: int) -> None:
        sale = self.a_sale(which)
        if sale is not None:
            claim = self.house.billing.verify(sale.tokens["click"], "click")
            token = self.house.billing.conversion_token(claim)
            self.house.convert(token, f"order-{sale.impression_id.hex()}")

    @rule(seconds=st.sampled_from([1, 59, 200, 360, 4000, DAY_S // 2, DAY_S, 8 * DAY_S]))
    def wait(self, seconds: int) -> None:
        self.house.clock.advance_us(seconds * 1_000_000)

    @rule(seconds=st.sampled_from([5, 400, 7200, DAY_S]))
    def set_clock_back(self, seconds: int) -> None:
        self.house.clock.set_wall_us(self.house.clock.wall_us() - seconds * 1_000_000)

    @rule()
    def expire(self) -> None:
        self.house.expire()

    @rule(id=st.sampled_from(sorted(CAMPAIGNS)), budget=st.integers(150, 600))
    def change_budget(self, id: str, budget: int) -> None:
        nanos = budget * 10**9 // P_PPB[CAMPAIGNS[id]]
        change = CampaignChange(budget=euros(nanos))
        try:
            self.house.do(lambda c: self.house.management.change_campaign(c, id, change))
        except Conflict:
            return
        self.budgets[id] = nanos

    @rule()
    def replay(self) -> None:
        states = self.house.replayed().dumps()
        assert states == self.house.folds.dumps()

    @invariant()
    def spend_and_reservations_stay_within_the_budgets(self) -> None:
        house = self.house
        for id, pricing in CAMPAIGNS.items():
            account = house.ledger.accounts[f"campaign/{id}"]
            back = account.credits_posted - self.budgets[id]
            assert back >= 0, "what was funded, less what went back, is the budget"
            assert account.debits_posted - back + account.debits_pending <= self.budgets[id]
            cap = DAILY * 10**9 // P_PPB[pricing]
            today = house.now_s // DAY_S
            for day in range(today - 3, today + 4):
                assert 0 <= house.folds.budgets.spent_nanos(id, day) <= cap
        for sums in house.ledger.trial_balance().values():
            assert sums["debits_pending"] == sums["credits_pending"]
            assert sums["debits_posted"] == sums["credits_posted"]


TestBilling = Billing.TestCase
TestBilling.settings = settings(max_examples=60, stateful_step_count=50)
