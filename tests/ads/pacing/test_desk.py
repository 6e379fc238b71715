"""The desk: whole bids until there is evidence, then what the plan needs; who has no plan is let be."""

from ringwork.ads.budgets import DAY_S
from ringwork.ads.model import Campaign
from ringwork.ads.pacing import DualPacer, Forecast
from ringwork.ads.pacing.desk import EVIDENCE, INTERVAL_S, PacingDesk
from ringwork.ads.pacing.notes import NOTES_WAITING, Notes, Plan
from ringwork.ads.pacing.plans import Plans
from ringwork.ads.pacing_events import CampaignPaced
from ringwork.kernel.money import Money

NOON_S = 20_000 * DAY_S + DAY_S // 2


class Market:
    """Requests come evenly; a campaign buys the more, the more of its bid it bids."""

    def __init__(self, *campaigns: Campaign, per_s: int = 10) -> None:
        self.campaigns = {one.id: one for one in campaigns}
        self.paces: dict[str, int] = {}
        self.spent = dict.fromkeys(self.campaigns, 0)
        self.plans = Plans()
        self.shown = self.plans.sold
        self.shown.update(dict.fromkeys(self.campaigns, 0))
        self.per_s = per_s
        self.desk = self.new_desk()

    def new_desk(self, forecast: Forecast | None = None) -> PacingDesk:
        return PacingDesk(
            self,
            live=lambda: iter(list(self.campaigns.values())),
            plans=self.plans,
            set_pace=self.paces.__setitem__,
            forecast=lambda: forecast,
        )

    @property
    def came(self) -> int:
        return self.plans.requests

    @came.setter
    def came(self, requests: int) -> None:
        self.plans.requests = requests

    def spent_nanos(self, campaign_id: str, day: int) -> int:
        return self.spent[campaign_id]

    def free_nanos(self, campaign: Campaign, now_s: int) -> int:
        return campaign.budget.total_nanos - self.spent[campaign.id]

    def live(self, seconds: int, now_s: int) -> int:
        for _ in range(seconds):
            now_s += 1
            self.came += self.per_s
            for id, one in self.campaigns.items():
                share = self.paces.get(id, 1_000_000) / 1_000_000
                self.shown[id] += self.came % 100 < share * 100
                free = one.daily_budget or one.budget
                price = int(1_000_000 * share)
                self.spent[id] = min(self.spent[id] + self.per_s * price, free.total_nanos)
            while self.desk.work(now_s):
                pass
        return now_s


def one(id: str, **members: object) -> Campaign:
    given = {
        "id": id, "advertiser_id": "a", "name": id, "pricing": "cpm", "bid_nanos": 1_000_000,
        "budget": Money.of_nanos("EUR", 10**12), **members,
    }  # fmt: skip
    return Campaign(**given)


def test_a_daily_budget_lasts_the_day():
    # At whole bids the budget of half a day would be gone within an hour.
    daily = Money.of_nanos("EUR", 36_000 * 1_000_000)
    market = Market(one("c", daily_budget=daily))
    now_s = market.live(6 * 3600, NOON_S)
    half = market.spent["c"] / daily.total_nanos
    assert 0.4 < half < 0.6
    market.live(6 * 3600 - 120, now_s)
    assert 0.95 < market.spent["c"] / daily.total_nanos <= 1


def test_it_bids_all_of_its_bid_until_there_is_evidence():
    market = Market(one("c", daily_budget=Money.of_nanos("EUR", 10**10)), per_s=0)
    market.live(3 * INTERVAL_S, NOON_S)
    assert market.paces == {}
    market.came, market.per_s = EVIDENCE, 1
    market.live(2 * INTERVAL_S, NOON_S + 3 * INTERVAL_S)
    assert 0 < market.paces["c"] < 1_000_000


def test_who_has_no_plan_is_let_be_and_who_loses_it_bids_whole_again():
    paced = one("c", daily_budget=Money.of_nanos("EUR", 10**9))
    market = Market(paced, one("asap", pacing="asap"), one("endless"))
    now_s = market.live(3 * INTERVAL_S, NOON_S)
    assert set(market.paces) == {"c"}
    market.campaigns["c"] = one("c", pacing="asap")
    market.live(2 * INTERVAL_S, now_s)
    assert market.paces["c"] == 1_000_000


def test_a_guaranteed_campaign_takes_part_in_a_share_of_requests():
    promised = one(
        "g", priority="guaranteed", goal_impressions=1000, ends_us=(NOON_S + DAY_S) * 1_000_000
    )
    market = Market(promised)
    market.live(2 * 3600, NOON_S)
    assert market.paces["g"] < 500_000


def test_many_campaigns_are_looked_at_a_few_at_a_time():
    daily = Money.of_nanos("EUR", 10**9)
    for count, slices in ((60, 3), (2_500, 101), (90_000, 3_001)):
        market = Market(*(one(f"c{n}", daily_budget=daily) for n in range(count)))
        market.came = 1000
        rounds = 0
        while market.desk.work(NOON_S):
            rounds += 1
        assert rounds == slices
        assert not market.desk.work(NOON_S + 1)


def test_who_buys_nothing_is_not_paced_but_told_so():
    market = Market(one("c", daily_budget=Money.of_nanos("EUR", 10**10)), per_s=0)
    market.desk.notes.take()
    for minute in range(30):
        market.came += 100
        while market.desk.work(NOON_S + 60 * minute):
            pass
    assert market.paces == {}, "it bids its whole bid"
    first, last = market.desk.notes.take()
    assert (first.due, first.spent) == (0, 0)
    assert (last.reach, last.pace_ppm) == (0, 1_000_000)
    assert last.due == round(10**10 * 900 / (DAY_S // 2))


# ---- notes --------------------------------------------------------------------------------------


def of(market: Market, now_s: int, seconds: int) -> list[CampaignPaced]:
    """What is noted while so many seconds pass."""
    taken = []
    for _ in range(seconds // 60):
        now_s = market.live(60, now_s)
        taken += market.desk.notes.take()
    return taken


def test_a_plan_is_noted_when_it_is_made_and_four_times_an_hour():
    daily = Money.of_nanos("EUR", 36_000 * 1_000_000)
    market = Market(one("c", daily_budget=daily))
    notes = of(market, NOON_S, 3 * 3600)
    times = [note.begins_s for note in notes]
    assert len(notes) == 12
    assert len(set(times)) == 1
    first, second, last = notes[0], notes[1], notes[-1]
    assert first.due == first.spent == 10 * 1_000_000, "a second's requests at the whole bid"
    assert (first.reach, first.pace_ppm) == (None, 1_000_000)
    assert (first.ends_s, first.budget, first.unit) == (
        NOON_S + DAY_S // 2,
        daily.total_nanos,
        "nanos",
    )
    assert second.reach is not None
    # Requests come evenly, so that the plan is even in time: 2 h 45 min of 12 h have passed.
    passed = 11 * 900 / (DAY_S // 2)
    assert abs(last.due / daily.total_nanos - passed) < 0.01
    assert second.spent < last.spent < market.spent["c"]
    # The whole bid costs 0.01 of a euro a second: 360 EUR an hour, far more than the 36 EUR.
    assert last.reach > 5 * daily.total_nanos


def test_who_cannot_spend_the_budget_is_told_how_much_demand_allows():
    # 10 requests a second at 0.001 EUR: 432 EUR in the twelve hours at most, of 1,000.
    daily = Money.of_nanos("EUR", 1_000 * 10**9)
    notes = of(Market(one("c", daily_budget=daily)), NOON_S, 6 * 3600)
    early, late = notes[8], notes[-1]
    assert early.reach < 0.6 * early.budget
    # What it did not buy while it bid less is lost; the rest comes at the whole bid.
    left_s = late.ends_s - (NOON_S + 6 * 3600 - 900)
    assert late.pace_ppm > 900_000
    assert abs(late.reach / (late.spent + left_s * 10_000_000) - 1) < 0.05


def test_another_budget_is_another_plan_from_what_is_spent():
    market = Market(one("c", daily_budget=Money.of_nanos("EUR", 36 * 10**9)))
    of(market, NOON_S, 3600)
    market.campaigns["c"] = one("c", daily_budget=Money.of_nanos("EUR", 72 * 10**9))
    first = of(market, NOON_S + 3600, 120)[0]
    assert NOON_S + 3600 <= first.begins_s <= NOON_S + 3660
    assert first.budget == 72 * 10**9
    assert first.due == first.spent > 0


def test_a_promise_is_noted_in_impressions():
    promised = one(
        "g", priority="guaranteed", goal_impressions=1000, ends_us=(NOON_S + DAY_S) * 1_000_000
    )
    market = Market(promised)
    notes = of(market, NOON_S, 2 * 3600)
    assert {note.unit for note in notes} == {"impressions"}
    assert notes[-1].budget == 1000
    assert notes[-1].reach > 1000, "it is thrown a dice for one request a second"


def test_notes_are_bounded_whoever_takes_them():
    daily = Money.of_nanos("EUR", 10**9)
    market = Market(*(one(f"c{n}", daily_budget=daily) for n in range(700)))
    while market.desk.work(NOON_S):
        pass
    assert len(market.desk.notes.take()) == NOTES_WAITING
    while market.desk.work(NOON_S + 60):
        pass
    assert len(market.desk.notes.take()) == 700 - NOTES_WAITING, "the others' turn"


def test_many_campaigns_are_each_noted_less_often():
    notes = Notes()
    notes.spread_over(36_000)
    plan = Plan("c", NOON_S, NOON_S + DAY_S, 100, 0)
    pacer = DualPacer(100, NOON_S, NOON_S + DAY_S)
    for second in range(0, 2 * 3600, 60):
        notes.note(plan, pacer, NOON_S + second, spent=0, pace_ppm=1, is_known=False)
    assert len(notes.take()) == 2, "36,000 at ten a second are an hour apart"


def test_a_plan_follows_the_traffic_that_is_expected():
    """Three quarters of the requests come in the day's second half: a quarter is due at noon."""
    halves = Forecast.of_minutes([600.0] * 720 + [1_800.0] * 720)
    market = Market(one("c", daily_budget=Money.of_nanos("EUR", 10**11)), per_s=10)
    market.desk = market.new_desk(halves)
    midnight_s = 20_000 * DAY_S
    now_s = midnight_s
    for hour in range(24):
        market.per_s = 10 if hour < 12 else 30
        now_s = market.live(3_600, now_s)
        if hour == 11:
            at_noon = market.spent["c"]
    assert 0.20 < at_noon / 10**11 < 0.30
    assert 0.95 < market.spent["c"] / 10**11 <= 1.0
