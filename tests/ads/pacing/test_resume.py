"""A restart in the middle of a day: the plan goes on as the log tells of it."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.budgets import DAY_S
from ringwork.ads.events import AuctionCleared, SlotOutcome
from ringwork.ads.model import Context
from ringwork.ads.pacing import Forecast
from ringwork.ads.pacing.plans import Plans
from ringwork.ads.pacing_events import CampaignPaced
from ringwork.kernel.events import Recorded
from ringwork.kernel.money import Money
from tests.ads.pacing.test_desk import NOON_S, Market, one

REQUEST = AuctionCleared("native", "EUR", Context(site="s", publisher_id="p"), [], {})


def recorded(event, ts_s: int) -> Recorded:
    return Recorded(0, 1, b"", ts_s * 1_000_000, b"", None, "main", None, None, event)


def note(campaign_id: str = "c", **members: object) -> CampaignPaced:
    given = {
        "campaign_id": campaign_id, "unit": "nanos", "begins_s": NOON_S, "ends_s": NOON_S + DAY_S,
        "budget": 1000, "spent": 0, "due": 0, "reach": None, "pace_ppm": 1_000_000, **members,
    }  # fmt: skip
    return CampaignPaced(**given)


class Life(Market):
    """A market whose notes are recorded as the platform records them."""

    def __init__(self, *campaigns, per_s: int = 10, forecast: Forecast | None = None) -> None:
        super().__init__(*campaigns, per_s=per_s)
        self.forecast = forecast
        self.desk = self.new_desk(forecast)
        self.noted: list[CampaignPaced] = []

    def live(self, seconds: int, now_s: int) -> int:
        for _ in range(0, seconds, 60):
            now_s = super().live(60, now_s)
            for event in self.desk.notes.take():
                self.plans.apply(recorded(event, now_s))
                self.noted.append(event)
        return now_s

    def restart(self, now_s: int) -> None:
        """What a new process finds: the folds, by way of their snapshot."""
        again = Plans()
        again.load(self.plans.dump())
        self.plans, self.shown = again, again.sold
        self.paces.clear()
        self.desk = self.new_desk(self.forecast)
        self.desk.begin(now_s)


HILLS = Forecast.of_minutes([300.0] * 720 + [900.0] * 720)


@pytest.mark.parametrize("forecast", [None, HILLS], ids=["unforeseen", "foreseen"])
@pytest.mark.parametrize(
    "after_s", [3 * 3600, 3 * 3600 + 840], ids=["at a note", "before the next"]
)
def test_a_plan_goes_on_after_a_restart(forecast, after_s):
    daily = Money.of_nanos("EUR", 36_000 * 1_000_000)
    stopped, lasting = (Life(one("c", daily_budget=daily), forecast=forecast) for _ in range(2))
    now_s = stopped.live(after_s, NOON_S)
    lasting.live(after_s, NOON_S)
    before = stopped.noted[-1]
    pace_ppm = stopped.paces["c"]
    stopped.restart(now_s)
    assert stopped.paces["c"] == before.pace_ppm, "from the first request on"
    assert abs(stopped.paces["c"] / pace_ppm - 1) < 0.15
    stopped.live(3600, now_s)
    lasting.live(3600, now_s)
    assert {each.begins_s for each in stopped.noted} == {before.begins_s}, "one plan, one line"
    for one_note, other in zip(stopped.noted, lasting.noted, strict=True):
        assert abs(one_note.due / other.due - 1) < 0.03 or one_note.due == other.due
    for earlier, later in pairwise(stopped.noted):
        assert earlier.due <= later.due
    assert stopped.noted[-1].reach == pytest.approx(lasting.noted[-1].reach, rel=0.2)
    assert abs(stopped.spent["c"] - lasting.spent["c"]) < 0.02 * daily.total_nanos


def test_the_budget_still_lasts_the_day_through_many_restarts():
    daily = Money.of_nanos("EUR", 36_000 * 1_000_000)
    life = Life(one("c", daily_budget=daily))
    now_s = NOON_S
    for _ in range(11):
        now_s = life.live(3600, now_s)
        life.restart(now_s)
    life.live(3600 - 120, now_s)
    assert 0.95 < life.spent["c"] / daily.total_nanos <= 1
    assert len({each.begins_s for each in life.noted}) == 1


def test_notes_of_before_are_not_noted_again():
    life = Life(*(one(f"c{n}", daily_budget=Money.of_nanos("EUR", 10**9)) for n in range(5)))
    now_s = life.live(300, NOON_S)
    noted = len(life.noted)
    life.restart(now_s)
    life.live(300, now_s)
    assert len(life.noted) == noted == 5


def test_a_promise_knows_what_it_has_sold_and_keeps_its_share():
    promised = one(
        "g", priority="guaranteed", goal_impressions=1000, ends_us=(NOON_S + DAY_S) * 1_000_000
    )
    life = Life(promised)
    now_s = life.live(6 * 3600, NOON_S)
    before, sold = life.noted[-1], life.shown["g"]
    assert sold > 100
    life.restart(now_s)
    assert life.paces["g"] == before.pace_ppm
    life.live(1800, now_s)
    after = life.noted[-1]
    assert (after.begins_s, after.budget) == (before.begins_s, 1000)
    assert after.spent >= sold
    assert before.due < after.due < before.due + 100


@pytest.mark.parametrize(
    "changed",
    [
        {"daily_budget": Money.of_nanos("EUR", 72 * 10**9)},
        {"daily_budget": Money.of_nanos("EUR", 36 * 10**9), "pacing": "asap"},
        {"daily_budget": None},
    ],
    ids=["another budget", "no pacing", "no end"],
)
def test_other_terms_after_a_restart_are_another_plan_or_none(changed):
    life = Life(one("c", daily_budget=Money.of_nanos("EUR", 36 * 10**9)))
    now_s = life.live(3600, NOON_S)
    begun_s = life.noted[-1].begins_s
    life.campaigns["c"] = one("c", **changed)
    life.restart(now_s)
    assert life.paces == {}, "nothing of the old plan is bid"
    life.live(120, now_s)
    assert all(each.begins_s > begun_s for each in life.noted if each.budget != 36 * 10**9)


def test_terms_that_change_just_after_the_start_are_seen_at_the_first_look():
    life = Life(one("c", daily_budget=Money.of_nanos("EUR", 36 * 10**9)))
    now_s = life.live(3600, NOON_S)
    life.restart(now_s)
    assert life.paces["c"] < 1_000_000
    life.campaigns["c"] = one("c", daily_budget=Money.of_nanos("EUR", 36 * 10**9), pacing="asap")
    life.live(60, now_s)
    assert life.paces["c"] == 1_000_000


def test_the_next_day_is_another_plan():
    life = Life(one("c", daily_budget=Money.of_nanos("EUR", 36 * 10**9)))
    life.live(3600, NOON_S)
    tomorrow_s = (NOON_S // DAY_S + 1) * DAY_S + 60
    life.spent["c"] = 0
    life.restart(tomorrow_s)
    assert life.paces == {}
    life.live(60, tomorrow_s)
    assert life.noted[-1].begins_s > tomorrow_s


# ---- the fold -----------------------------------------------------------------------------------


def test_requests_after_the_last_note_belong_to_the_plan():
    plans = Plans()
    plans.apply(recorded(REQUEST, NOON_S))
    plans.apply(recorded(note(spent=7), NOON_S))
    for _ in range(3):
        plans.apply(recorded(REQUEST, NOON_S + 1))
    plans.apply(recorded(note(spent=9), NOON_S + 900))
    plans.apply(recorded(REQUEST, NOON_S + 901))
    course = plans.courses["c"]
    assert (course.opened, course.came, plans.requests - course.opened_at) == (7, 3, 4)


def test_priority_sales_are_counted_and_auctions_are_not():
    def sale(rule: str, campaign_id: str) -> SlotOutcome:
        return SlotOutcome("1", "banner", rule, 0, 1, {}, [], bytes(16), "ad", campaign_id)

    plans = Plans()
    slots = [
        sale("priority", "g"),
        sale("second", "c"),
        sale("priority", "g"),
        sale("priority", ""),
    ]
    plans.apply(
        recorded(AuctionCleared("native", "EUR", Context(publisher_id="p"), slots, {}), NOON_S)
    )
    assert (plans.requests, plans.sold) == (1, {"g": 2})


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers(0, 40)), max_size=60))
def test_plans_are_those_under_way_whatever_is_noted(steps):
    """One plan a campaign, and none that ended before the day of the last note."""
    plans, loaded, now_s = Plans(), Plans(), NOON_S
    for campaign, requests, hours in steps:
        now_s += hours * 3600
        for event in [REQUEST] * requests:
            plans.apply(recorded(event, now_s))
        ends_s = (now_s // DAY_S + 1) * DAY_S
        plans.apply(recorded(note(f"c{campaign}", begins_s=now_s, ends_s=ends_s), now_s))
        day = now_s // DAY_S
        assert all(each.noted.ends_s > day * DAY_S for each in plans.courses.values())
        loaded.load(plans.dump())
        assert loaded.dump() == plans.dump()
    assert plans.requests == sum(requests for _, requests, _ in steps)
