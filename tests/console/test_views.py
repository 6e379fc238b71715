"""What the pages say, from hand-made facts that can be added up on paper."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ringwork.ads.events import AuctionCleared
from ringwork.ads.pacing import Forecast
from ringwork.console.ahead import STEPS_MAX, ahead_of, future
from ringwork.console.facts import (
    CampaignFacts,
    Chances,
    Lag,
    Pace,
    Promise,
    Search,
    TransferLine,
)
from ringwork.console.format import MINUS
from ringwork.console.intervals import wilson
from ringwork.console.pages import Page
from ringwork.console.render import json_of
from ringwork.console.views import bins
from ringwork.console.views.campaign import CampaignBody, campaign
from ringwork.console.views.campaigns import campaigns, state_of
from ringwork.console.views.conversions import ConversionsBody, conversions
from ringwork.console.views.health import Health, health
from ringwork.console.views.ledger import LedgerBody, account, ledger, transfer, transfer_row
from ringwork.console.views.matters import LAG_EVENTS, matters, shown
from ringwork.console.views.overview import Overview, overview
from ringwork.console.views.pacing import verdict
from ringwork.console.views.requests import RequestsBody, requests
from ringwork.console.views.spend import time_marks
from ringwork.console.views.stages import scale_end, steps
from ringwork.console.views.trace import TraceBody, trace
from ringwork.console.views.words import describe
from ringwork.kernel.events import UnknownEvent
from ringwork.kernel.ledger import TransferCreated, TransferRefused
from ringwork.kernel.money import Money
from tests.console import day as d


def plain(text: str) -> str:
    """Without the spaces that do not break."""
    return text.replace("\u202f", " ").replace("\u00a0", " ")


def answer(page: Page) -> str:
    return plain(page.answer.text)


# ---- overview -----------------------------------------------------------------------------------


def test_the_overview_answers_with_money_impressions_and_what_waits() -> None:
    # 1801 impressions at 0.002; by 16:20 last Thursday 900 at 0.002 = 1.80.
    assert answer(overview(d.OVERVIEW)) == (
        "€ 3.60 earned today from 1,801 impressions, 100 % more than last Thursday by now. "
        "All three promises checked hold; two matters need a person."
    )


def test_an_empty_platform_says_so() -> None:
    page = overview(d.EMPTY_OVERVIEW)
    assert answer(page) == (
        "€ 0.00 earned today from 0 impressions. No promise has been checked yet; "
        "nothing needs a person."
    )
    assert isinstance(page.body, Overview)
    assert page.body.flow.title == "Impressions a minute today: none yet"


def test_a_broken_promise_stands_in_the_answer() -> None:
    broken = replace(
        d.VERIFIED, promises=(Promise("I1", "Kept", 188, 0), Promise("I4", "Balanced", 1, 2))
    )
    page = overview(replace(d.OVERVIEW, verification=broken))
    assert "1 promise is broken" in answer(page)
    assert isinstance(page.body, Overview)
    assert page.body.promises is not None
    assert page.body.promises.broken == 1


def test_the_figures_of_the_overview() -> None:
    page = overview(d.OVERVIEW)
    assert isinstance(page.body, Overview)
    found = {figure.key: (plain(figure.value), plain(figure.note)) for figure in page.body.figures}
    assert found == {
        "earned": ("€ 3.60", "1.80 last Thursday by now"),
        "requests": ("3,602", "120 a minute now"),  # 600 requests in the five minutes to 16:20
        "filled": ("50.0", "50.0 % last Thursday"),
        "thousand": ("€ 2.00", "clicks 1.00 % (0.63 \u2013 1.57)"),  # 18 of 1801
        "wait": ("99.0", "median 50.0 ms, last 100"),
    }


def test_live_texts_are_those_of_the_page() -> None:
    page = overview(d.OVERVIEW)
    assert page.stream == "/console/live/overview"
    assert page.live["answer-earned"] in page.answer.text
    assert page.live["now"] == "16:20:04 UTC"
    assert overview(d.OVERVIEW, live=False).stream == ""


def test_the_chart_compares_with_the_same_weekday() -> None:
    page = overview(d.OVERVIEW)
    assert isinstance(page.body, Overview)
    flow = page.body.flow
    assert flow.earlier_name == "last Thursday"
    assert flow.today[0] == pytest.approx(((9 * 60 + 2.5) / 1440, 200.0))
    assert flow.now is not None
    assert plain(flow.now[2]) == "now 16:20, 60"
    hours = {row.hour: (row.today, row.earlier) for row in flow.hours}
    assert hours["09:00"] == (1000, 900)
    assert hours["16:00"] == (801, 0)
    assert len(flow.hours) == 8  # 09 to 16, the quiet hours too


# ---- bins and intervals -------------------------------------------------------------------------


def test_the_running_bin_is_divided_by_what_has_passed_of_it() -> None:
    start = d.DAY
    one = d.bin_at(0, 0, 30)
    assert bins.rates([one], start + 90_000_000) == [(start + 45_000_000, 20.0)]
    assert bins.rates([one], start + 59_000_000) == []
    assert bins.rates([], start) == []


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=200), st.floats(0.01, 1.0))
def test_a_quantile_is_reached_by_its_share(values: list[int], share: float) -> None:
    ordered = sorted(values)
    found = bins.quantile(ordered, share)
    assert sum(value <= found for value in ordered) >= share * len(ordered) - 1e-9
    assert sum(value < found for value in ordered) < share * len(ordered) + 1e-9


def test_the_wilson_interval_by_hand() -> None:
    # Wilson 95 % of 10 in 100: centre (0.1 + 0.019207) / 1.038415, half width 0.0597.
    low, high = wilson(10, 100)
    assert (round(low, 4), round(high, 4)) == (0.0552, 0.1744)
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_an_interval_holds_its_share(hits: int, trials: int) -> None:
    hits = min(hits, trials)
    low, high = wilson(hits, trials)
    assert 0.0 <= low <= hits / trials + 1e-12
    assert hits / trials - 1e-12 <= high <= 1.0


# ---- what needs a person ------------------------------------------------------------------------


def found_matters(**changes: object) -> list[str]:
    facts = replace(d.OVERVIEW, **changes)
    return [
        matter.title
        for matter in matters(
            campaigns=facts.campaigns, log=facts.log, lags=facts.lags, balanced=facts.balanced,
            verification=facts.verification, in_review=facts.in_review, now_us=facts.now_us,
        )
    ]  # fmt: skip


def test_campaigns_that_cannot_win_need_a_person() -> None:
    assert found_matters() == [
        "Tram pass, yearly has spent its budget",
        "Spring loans has no ad to show",
    ]


def test_a_campaign_outside_its_dates_needs_nobody() -> None:
    late = replace(d.TRAM.campaign, ends_us=d.NOW)
    early = replace(d.LOANS.campaign, starts_us=d.NOW + 1)
    facts = [replace(d.TRAM, campaign=late), replace(d.LOANS, campaign=early)]
    assert found_matters(campaigns=facts) == []
    assert [state_of(each, d.NOW) for each in facts] == ["over", "not begun"]


def test_the_platforms_own_troubles_come_first() -> None:
    titles = found_matters(
        log=replace(d.LOG, events=LAG_EVENTS + 181, refuses="the disk has no room"),
        balanced=False,
        lags=[Lag("Projections", 180), Lag("ads", 0, "ValueError: no")],
        verification=replace(d.VERIFIED, promises=(Promise("I5", "Within budget", 4, 1),)),
        campaigns=[d.LOANS],
    )
    assert titles == [
        "The log takes nothing",
        "The ledger does not balance",
        "1 promise is broken",
        "Projections is 20,001 events behind",
        "ads stopped",
        "Spring loans has no ad to show",
    ]


def test_a_budget_below_one_bid_is_told_as_that() -> None:
    dear = d.campaign_of("dear", "Dear", bid_nanos=200 * d.EURO)
    assert found_matters(campaigns=[dear]) == ["Dear cannot pay for one bid"]
    assert state_of(dear, d.NOW) == "too small"


def test_a_long_list_is_cut_and_counted() -> None:
    many = [d.campaign_of(f"c{i}", f"C {i}", has_ad=False) for i in range(11)]
    found = matters(
        campaigns=many,
        log=d.LOG,
        lags=[],
        balanced=True,
        verification=None,
        in_review=d.OVERVIEW.in_review,
        now_us=d.NOW,
    )
    first, more = shown(found)
    assert (len(first), more) == (4, 7)


# ---- campaigns ----------------------------------------------------------------------------------


def test_the_list_counts_what_runs_and_what_cannot() -> None:
    page = campaigns(d.CAMPAIGN_LIST)
    assert answer(page) == (
        "1 of 4 campaigns is running; € 186.00 of € 400.00 is spent (46.5 %). "
        "2 campaigns cannot win: their budget is spent or too small, or they have no ad."
    )
    assert answer(campaigns(replace(d.CAMPAIGN_LIST, campaigns=[]))) == "There is no campaign yet."


def test_a_campaigns_funds_add_up_to_the_nano() -> None:
    page = campaign(d.CAMPAIGN)
    assert answer(page) == (
        "Running. Autumn exteriors has spent € 85.00 of € 100.00. "
        "It cannot spend more than was put in."
    )
    assert isinstance(page.body, CampaignBody)
    funds = page.body.funds
    parts = (funds.spent, funds.reserved, funds.free)
    assert sum(part.total_nanos for part in parts) == funds.put_in.total_nanos
    assert [plain(text) for text in page.body.share_texts] == [
        "spent 85.0 %", "reserved € 0.023 058 000", "free 15.0 %",
    ]  # fmt: skip


def test_live_funds_add_up_in_every_message() -> None:
    told = campaign(d.CAMPAIGN).live
    parts = [told[f"row-{name}"].replace("\u202f", "") for name in ("spent", "reserved", "free")]
    assert sum(round(float(part) * 10**9) for part in parts) == 100 * d.EURO


def test_the_spend_curve_is_cumulative_and_ends_now() -> None:
    page = campaign(d.CAMPAIGN)
    assert isinstance(page.body, CampaignBody)
    assert page.body.curve.points == [(0.0, 0.0), (0.5, 40.0), (1.0, 85.0)]
    assert page.body.curve.days == [("26 November 2026", 85 * d.EURO)]


def test_the_time_axis_is_marked_at_round_moments() -> None:
    hour = 3_600_000_000
    start = d.DAY + 15 * hour + 60_000_000  # 15:01
    found = [(round(place * 60), name) for place, name in time_marks(start, start + hour)]
    assert found == [(29, "15:30"), (59, "16:00")]
    assert [name for _, name in time_marks(d.DAY, d.DAY + 72 * hour)] == [
        "26 Nov", "27 Nov", "28 Nov", "29 Nov",
    ]  # fmt: skip
    assert time_marks(start, start + 1) == []


@given(st.integers(0, 2**52), st.integers(1, 2**53))
def test_a_time_axis_has_few_marks_and_all_inside(start: int, span: int) -> None:
    marks = time_marks(start, start + span)
    assert all(0 <= place <= 1 for place, _ in marks)
    if span < 500 * 86_400_000_000:
        assert len(marks) <= 7


def test_a_click_is_not_said_to_be_reserved() -> None:
    paid = replace(d.SOLD, pricing="cpc")
    cleared = d.cleared(paid)
    found, _ = steps(cleared, None)
    assert "charged at the click" in found[-1].why
    assert "reserved" in steps(d.cleared(d.SOLD), None)[0][-1].why


def test_the_store_is_told_by_folder_and_database() -> None:
    files = {
        "log/p0-1.db": 19_000_000, "log/p0-1.db-wal": 1_000_000, "state.db": 9_000_000,
        "state.db-wal": 500_000, "LOCK": 83,
    }  # fmt: skip
    page = health(replace(d.HEALTH, store_bytes=files))
    assert isinstance(page.body, Health)
    assert page.body.files == [("log/", 20_000_000), ("state.db", 9_500_000)]


def test_chances_are_a_funnel_to_one_scale() -> None:
    page = campaign(d.CAMPAIGN)
    assert isinstance(page.body, CampaignBody)
    rows = [(row.step, row.number, row.start, row.part) for row in page.body.chances]
    assert rows == [
        ("Ranked in an auction", 1000, 0.0, 1.0),
        ("Lost to a higher score", 800, 0.0, 0.8),
        ("Won, not shown in time", 20, 0.8, 0.02),
        ("Shown", 180, 0.82, 0.18),
    ]


@pytest.mark.parametrize(
    ("facts", "opening"),
    [
        (d.TRAM, "Spent out. Tram pass, yearly has spent € 100.00 of € 100.00; the € 0.00 left"),
        (d.LOANS, "Nothing to show. Spring loans has spent € 0.00"),
        (
            d.campaign_of("dear", "Dear", bid_nanos=200 * d.EURO),
            "Budget too small. Dear has spent € 0.00 of € 100.00; the whole budget does not pay",
        ),
        (d.HOTEL, "Paused. Blue Tile Hotel has spent € 1.00"),
    ],
)
def test_each_state_has_its_sentence(facts: CampaignFacts, opening: str) -> None:
    new = replace(d.CAMPAIGN, facts=facts, spent=[], chances=Chances(), creatives=[], transfers=[])
    assert answer(campaign(new)).startswith(opening)


def test_a_daily_budget_ends_the_day_and_needs_nobody() -> None:
    daily = replace(d.PAINTS.campaign, daily_budget=Money.of_nanos("EUR", 5 * d.EURO))
    facts = replace(d.PAINTS, campaign=daily, day_free_nanos=daily.bid_nanos - 1)
    assert state_of(facts, d.NOW) == "done for today"
    assert found_matters(campaigns=[facts]) == []
    page = campaign(replace(d.CAMPAIGN, facts=facts))
    assert answer(page) == (
        "Done for today. Autumn exteriors has spent € 85.00 of € 100.00. "
        "Its € 5.00 for today are spent or reserved; it goes on at 00:00 UTC."
    )
    assert isinstance(page.body, CampaignBody)
    assert page.body.figures[0].note == "5.00 today, 5.00 a day"
    listed = campaigns(replace(d.CAMPAIGN_LIST, campaigns=[facts, d.TRAM]))
    assert answer(listed).startswith("0 of 2 campaigns are running, 1 is done for today; ")
    bid = replace(facts, day_free_nanos=daily.bid_nanos)
    assert state_of(bid, d.NOW) == "running"


def test_a_campaign_without_an_account_has_nothing() -> None:
    page = campaign(replace(d.CAMPAIGN, facts=replace(d.PAINTS, account=None)))
    assert isinstance(page.body, CampaignBody)
    assert page.body.shares == (0.0, 0.0)


# ---- trace --------------------------------------------------------------------------------------


def test_a_sold_request_explains_ad_price_and_outcome() -> None:
    page = trace(d.TRACE)
    assert answer(page) == (
        "Autumn exteriors won with the best score of 2 eligible ads. It pays € 0.001 874 227, "
        "the least that keeps its place. It was shown and clicked."
    )
    assert [plain(note) for note in page.notes][1:] == [
        "diariodacasa.example, article-foot",
        "70.0 µs of work, answered after 1.97 ms",
    ]
    assert isinstance(page.body, TraceBody)
    (slot,) = page.body.slots
    assert [row.won for row in slot.scores] == [True, False]
    assert slot.left[0].reason == "The size does not fit"
    assert slot.left_count == 40
    assert [row.cause for row in page.body.events] == [
        "request", "request", "auction_cleared", "auction_cleared", "auction_cleared",
    ]  # fmt: skip


def test_what_would_have_changed_the_price() -> None:
    page = trace(d.TRACE)
    assert isinstance(page.body, TraceBody)
    alone, below = page.body.slots[0].what_ifs
    assert (plain(alone.outcome), plain(alone.note)) == ("0.000 900 000", "\u22120.000 974 227")
    assert (below.outcome, below.note) == ("lost", "to Tram pass, yearly")


def test_an_unsold_request_names_the_commonest_reason() -> None:
    events = [d.recorded(1, d.cleared(d.UNSOLD), id=d.AUCTION)]
    page = trace(replace(d.TRACE, events=events))
    assert answer(page) == (
        "Nothing was sold. All 40 ads left the race early, most for this reason: "
        "the size does not fit (30)."
    )


def test_a_request_without_an_auction_is_told_as_such() -> None:
    page = trace(replace(d.TRACE, events=d.EVENTS[:1]))
    assert answer(page) == "No ad was asked for; the log holds 1 event of this request."


def test_stages_lie_end_to_end_on_one_scale() -> None:
    cleared = d.EVENTS[1].payload
    assert isinstance(cleared, AuctionCleared)
    found, top = steps(cleared, 1_900_000)
    assert top == 80_000
    assert [(step.stage, step.start, step.width) for step in found[:3]] == [
        ("candidates", 0.0, 38.75), ("rank", 38.75, 28.38), ("clear", 67.12, 20.38),
    ]  # fmt: skip
    assert found[-1].mark == "wait"


@given(st.integers(1, 10**10))
def test_a_scale_ends_at_or_just_above_the_work(ns: int) -> None:
    assert ns <= scale_end(ns) <= 2 * ns + 1000


def test_nothing_read_can_be_a_person() -> None:
    page = trace(d.TRACE)
    assert isinstance(page.body, TraceBody)
    never = [row.datum for row in page.body.read if row.verdict == "never read"]
    assert never == [
        "What the person did", "User id, age, gender", "Device and advertising id", "IP address",
    ]  # fmt: skip


# ---- requests -----------------------------------------------------------------------------------


def test_a_search_keeps_its_form_and_pages_on() -> None:
    search = Search(campaign="hp autumn", outcome="billed")
    page = requests(d.REQUESTS, search)
    assert (
        answer(page)
        == "The latest 4 requests from 16:20:00 to 16:20:03 UTC: 2 sold something (50.0 %)."
    )
    assert isinstance(page.body, RequestsBody)
    assert page.body.older_href == (
        "/console/requests?campaign=hp+autumn&outcome=billed&before=100"
    )
    empty = replace(d.REQUESTS, lines=[], older=0)
    assert answer(requests(empty, search)) == "No request fits."
    assert answer(requests(empty, Search())) == "No ad has been asked for yet."


# ---- ledger -------------------------------------------------------------------------------------


def test_the_ledger_balances_or_says_where_not() -> None:
    assert answer(ledger(d.LEDGER)) == (
        "It balances: € 586.00 moved between 9 accounts, and every debit has its credit."
    )
    off = {"EUR": {**d.LEDGER.trial["EUR"], "credits_pending": 0}}
    page = ledger(replace(d.LEDGER, trial=off))
    assert answer(page).startswith("It does not balance in EUR.")
    assert isinstance(page.body, LedgerBody)
    assert plain(page.body.balances[0].difference) == "0.023 058 000"


def test_opposite_differences_do_not_cancel() -> None:
    off = {
        "EUR": {"debits_pending": 1, "debits_posted": 0, "credits_pending": 0, "credits_posted": 1}
    }
    page = ledger(replace(d.LEDGER, trial=off))
    assert isinstance(page.body, LedgerBody)
    assert not page.body.balances[0].balanced


def test_transfers_are_tied_to_their_other_half() -> None:
    pending, post = transfer_row(d.PENDING), transfer_row(d.POST)
    assert (pending.partner_text, pending.partner) == ("posted by", "post-1")
    assert (post.partner_text, post.partner) == ("resolves", d.PENDING.id)
    assert plain(pending.moved) == "0.001 874 227"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            d.PENDING,
            "€ 0.001 874 227 was reserved; € 0.001 874 227 of it was paid, the rest released.",
        ),
        (d.POST, "€ 0.001 874 227 was taken from a reservation; the rest of it was released."),
        (d.REFUSED, "€ 1.000 000 000 was refused: insufficient funds. Nothing moved."),
        (
            replace(d.PENDING, state="pending", resolved_by="", moved_nanos=0),
            "€ 0.001 874 227 is reserved in campaign/hp-autumn-26; paid or released within 360 s.",
        ),
        (
            replace(d.PENDING, state="expired", resolved_by="", moved_nanos=0),
            "€ 0.001 874 227 was reserved and expired; nothing was paid.",
        ),
        (replace(d.POST, kind="void"), "A reservation was released; nothing was paid."),
        (
            replace(d.REFUSED, state="closed", result="created"),
            "€ 1.000 000 000 moved at once from campaign/tram to publisher/casa.",
        ),
    ],
)
def test_what_became_of_a_transfer(line: TransferLine, sentence: str) -> None:
    assert answer(transfer(replace(d.TRANSFER, transfer=line))) == sentence


def test_an_account_says_what_is_available() -> None:
    assert answer(account(d.ACCOUNT)) == (
        "€ 14.976 942 000 is available; this account can never go below zero."
    )


# ---- health -------------------------------------------------------------------------------------


def test_a_healthy_platform_names_what_is_nearest() -> None:
    page = health(d.HEALTH)
    assert answer(page) == (
        "Nothing is near its limit; nearest is disk at 25 %. "
        "188 events are on disk, the last at 16:20:03 UTC."
    )
    assert isinstance(page.body, Health)
    assert page.body.quantiles[1] == ("9 of 10 within", 90_000_000)


@pytest.mark.parametrize(
    ("changes", "opening"),
    [
        ({"disk_free_bytes": 5 * 10**9}, "Disk: 5.00 GB free, fills up."),
        ({"queue_events": 40_000}, "Queue of the log: 40,000, busy."),
        ({"lags": [Lag("ads", 188, "ValueError: no")]}, "ads: 0, stopped."),
        ({"log": replace(d.LOG, refuses="no room")}, "The log takes nothing: no room."),
    ],
)
def test_trouble_comes_first(changes: dict[str, object], opening: str) -> None:
    assert answer(health(replace(d.HEALTH, **changes))).startswith(opening)


# ---- pacing --------------------------------------------------------------------------------------


def pace_at(spent: int, due: int, *, reach: int | None = 40, budget: int = 20) -> Pace:
    """A note at 12:00 of a plan for the day, in whole euros."""
    return Pace(
        ts_us=d.DAY + 12 * 3_600_000_000, unit="nanos", begins_s=d.DAY // 1_000_000,
        ends_s=d.DAY // 1_000_000 + 86_400, budget=budget * d.EURO, spent=spent * d.EURO,
        due=due * d.EURO, reach=None if reach is None else reach * d.EURO, pace_ppm=412_000,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("pace", "standing", "words"),
    [
        (pace_at(10, 10), "on plan", "can spend its € 20.00 by 24:00 UTC on 26 Nov"),
        (pace_at(9, 10), "on plan", "Within 5 % of its plan"),  # 1 of 20 is the corridor's edge
        (pace_at(8, 10), "behind", "€ 2.00 behind its plan and can still spend"),
        (pace_at(14, 10), "ahead", "€ 4.00 ahead of its plan"),
        (pace_at(8, 10, reach=14), "cannot spend it", "demand allows € 14.00 of € 20.00 by 24:00"),
        (pace_at(20, 10, reach=21), "spent", "Its € 20.00 are spent or reserved"),
        (pace_at(0, 0, reach=None), "too early to say", "Fewer than 50 requests"),
    ],
)
def test_the_verdict_on_a_plan(pace: Pace, standing: str, words: str) -> None:
    said = verdict(pace, "EUR")
    assert said.standing == standing
    assert words in plain(said.text)


def test_a_promise_is_told_in_impressions() -> None:
    pace = replace(pace_at(0, 0), unit="impressions", budget=1000, spent=300, due=500, reach=700)
    said = plain(verdict(pace, "EUR").text)
    assert "cannot show what was promised: demand allows 700 impressions of 1,000 imp" in said


def test_a_plans_curves_stand_where_their_times_are() -> None:
    body = campaign(d.paced([pace_at(0, 0), pace_at(8, 10)])).body
    assert isinstance(body, CampaignBody)
    plan = body.pacing
    assert plan is not None
    assert plan.spent[1] == (0.5, 8.0)
    assert plan.plans == [[(0.5, 0.0), (0.5, 10.0), (1.0, 20.0)]]
    assert plan.forecast[1] == (1.0, 20.0)
    assert plan.differences[-1] == (0.5, -2.0)
    assert plan.paces[-1][1] == 41.2
    assert plan.marks[0] == (0.0, "00:00")
    assert plan.marks[-1] == (1.0, "24:00")
    assert [row.difference for row in plan.rows] == [f"{MINUS}2.00", "0.00"], "newest first"


def test_the_future_of_a_plan_follows_the_traffic_that_is_expected() -> None:
    """Of the requests from 12:00 on three quarters come after 18:00."""
    evening = Forecast.of_minutes([1.0] * 1080 + [3.0] * 360)
    note = pace_at(8, 12)
    ahead = ahead_of(evening, note.ts_us // 1_000_000, note.ends_s)
    body = campaign(replace(d.paced([note]), now_us=note.ts_us, ahead=ahead)).body
    assert isinstance(body, CampaignBody)
    plan = body.pacing
    assert plan is not None
    [line] = plan.plans
    assert (line[0], line[-1]) == ((0.5, 12.0), (1.0, 20.0))
    assert len(line) == 49, "a point at every quarter of an hour"
    assert dict(line)[0.75] == pytest.approx(12 + 8 / 4)
    spent_now = plan.forecast[0][1]
    assert dict(plan.forecast)[0.75] == pytest.approx(spent_now + (20 - spent_now) / 4)
    assert plan.forecast[-1] == (1.0, 20.0)


def test_a_plan_that_bought_nothing_yet_is_even_in_time() -> None:
    evening = Forecast.of_minutes([1.0] * 1080 + [3.0] * 360)
    note = pace_at(0, 10)
    ahead = ahead_of(evening, note.ts_us // 1_000_000, note.ends_s)
    body = campaign(replace(d.paced([note]), ahead=ahead)).body
    assert isinstance(body, CampaignBody)
    assert body.pacing is not None
    assert body.pacing.plans == [[(0.5, 10.0), (1.0, 20.0)]]


def test_a_promise_is_to_be_kept_before_its_end() -> None:
    note = replace(pace_at(0, 0), unit="impressions", budget=1000, spent=300, due=500, reach=2000)
    body = campaign(d.paced([note])).body
    assert isinstance(body, CampaignBody)
    assert body.pacing is not None
    [line] = body.pacing.plans
    assert line[1:] == [(pytest.approx(22 / 24), 1000), (1.0, 1000)], "two hours early"


@given(
    minutes=st.lists(st.floats(0, 1000), min_size=1, max_size=300),
    length_s=st.integers(1, 400 * 86_400),
    values=st.tuples(st.integers(0, 10**15), st.integers(0, 10**15)),
)
def test_any_future_begins_and_ends_where_it_must_and_never_goes_back(minutes, length_s, values):
    since_s, (low, high) = d.DAY // 1_000_000, sorted(values)
    ahead = ahead_of(Forecast.of_minutes(minutes), since_s, since_s + length_s)
    begin, end = (since_s * 1_000_000, low), ((since_s + length_s) * 1_000_000, high)
    drawn = future(ahead, begin, end)
    assert (drawn[0], drawn[-1]) == (begin, end)
    assert len(drawn) <= STEPS_MAX + 2
    slack = 1e-6 * max(high, 1)
    assert all(a[0] < b[0] and a[1] <= b[1] + slack for a, b in pairwise(drawn))


def test_nobody_knows_the_traffic_of_a_plan_that_is_over() -> None:
    known = Forecast.of_minutes([1.0])
    assert ahead_of(known, 100, 100) is None
    assert ahead_of(None, 0, 100) is None
    assert ahead_of(Forecast.of_minutes([0.0]), 0, 100) is None


def test_a_plan_made_anew_begins_a_line_of_its_own() -> None:
    again = replace(pace_at(9, 9), ts_us=d.NOW, begins_s=d.NOW // 1_000_000)
    body = campaign(d.paced([pace_at(8, 10), again])).body
    assert isinstance(body, CampaignBody)
    assert body.pacing is not None
    first, second = body.pacing.plans
    assert first == [(0.5, 10.0)], "its end is not the plan any more"
    assert second[-1] == (1.0, 20.0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "neither a daily budget nor an end"),
        ({"pacing": "asap"}, "as soon as it can"),
        ({"priority": "house"}, "house campaign is not paced"),
        ({"ends_us": d.NOW * 2, "status": "draft"}, "once it is live"),
        ({"ends_us": d.NOW * 2}, "within a minute of going live"),
    ],
)
def test_without_a_plan_the_page_says_why(changes: dict[str, object], words: str) -> None:
    facts = replace(d.PAINTS, campaign=replace(d.PAINTS.campaign, **changes))
    body = campaign(replace(d.CAMPAIGN, facts=facts)).body
    assert isinstance(body, CampaignBody)
    assert body.pacing is None
    assert words in body.unplanned


def test_yesterdays_plan_is_none_for_today() -> None:
    old = replace(pace_at(8, 10), ends_s=d.DAY // 1_000_000)
    body = campaign(d.paced([old])).body
    assert isinstance(body, CampaignBody)
    assert body.pacing is None


def test_the_overview_lists_who_is_off_plan_the_unable_first() -> None:
    campaigns = [d.campaign_of(id, id.title()) for id in ("calm", "late", "early", "stuck", "old")]
    paces = {
        "calm": pace_at(10, 10), "late": pace_at(6, 10), "early": pace_at(12, 10),
        "stuck": pace_at(9, 10, reach=12), "old": replace(pace_at(0, 10), ends_s=1),
    }  # fmt: skip
    body = overview(replace(d.OVERVIEW, campaigns=campaigns, paces=paces)).body
    assert isinstance(body, Overview)
    assert [(row.id, row.standing) for row in body.off_plan] == [
        ("stuck", "cannot spend it"), ("late", "behind"), ("early", "ahead"),
    ]  # fmt: skip
    assert body.planned == 4


# ---- conversions ---------------------------------------------------------------------------------


def test_conversions_say_what_they_followed_and_what_was_paid() -> None:
    page = conversions(d.CONVERSIONS)
    assert answer(page).startswith("2 conversions followed a click on Autumn exteriors")
    body = page.body
    assert isinstance(body, ConversionsBody)
    assert [(row.after, row.word, row.ad) for row in body.rows] == [
        ("a click", "charged", "Exteriors"), ("a click", "late", "Exteriors"),
        ("a view", "not paid for", "Exteriors"),
    ]  # fmt: skip
    assert body.older_href == "/console/campaigns/hp-autumn-26/conversions?before=150"


# ---- events and JSON ----------------------------------------------------------------------------


def test_the_day_in_words() -> None:
    assert plain(describe(d.EVENTS[0].payload, d.NAMES)) == (
        "€ 0.001 874 227 reserved, campaign/hp-autumn-26 to publisher/casa"
    )
    assert plain(describe(d.EVENTS[1].payload, d.NAMES)) == "Autumn exteriors at € 0.001 874 227"
    assert describe(d.cleared(d.UNSOLD), d.NAMES) == "not sold: nobody was eligible"
    assert describe(UnknownEvent(b"12345"), {}) == "5 bytes of a type this version does not know"
    refused = TransferRefused("t", "single", "a", "b", 1, "EUR", result="insufficient-funds")
    assert describe(refused, {}) == "refused: insufficient-funds"
    assert describe(TransferCreated("v", "void", pending_id="t"), {}) == "reservation released"


def test_the_json_holds_the_answer_and_the_figures() -> None:
    page = overview(d.OVERVIEW)
    read = msgspec.json.decode(json_of(page))
    assert read["answer"] == page.answer.text
    assert read["data"]["totals"]["impressions"] == 1801
    assert read["command"]


def tiered(tier: str, reasons: tuple[str, ...], reads: dict[str, int]) -> TraceBody:
    """The trace of a request of that tier."""
    auction = replace(
        d.cleared(d.SOLD),
        tier=tier, tier_reasons=reasons, reads=reads,
        stage_ns={"terms": 5_000, "history": 30_000, "rank": 20_000},
    )  # fmt: skip
    event = d.recorded(118, auction, id=d.AUCTION)
    body = trace(replace(d.TRACE, events=[event])).body
    assert isinstance(body, TraceBody)
    return body


def test_a_trace_says_the_tier_why_and_what_was_read():
    body = tiered("consented", ("consented", "gdpr-by-country"), {"main": 0b101})
    assert (body.tier.name, body.tier.css) == ("Consented", "full")
    assert body.tier.reasons[0] == "The person consented, and nothing takes it away."
    assert [(step.stage, step.decision) for step in body.steps[:2]] == [
        ("terms", "Consented"), ("history", "Opened by the grant"),
    ]  # fmt: skip
    read = [row for row in body.read if row.verdict == "read by grant"]
    assert [row.datum for row in read] == ["History of main", "History of main"]
    assert "audiences" in body.steps[2].why
    assert not [row for row in body.read if row.datum == "What the person did"]

    body = tiered("less-personalised", ("grant-ended", "us-sale-opt-out:usca"), {})
    assert body.tier.reasons == [
        "The person decided anew while the request was under way.",
        "Opted out of sale: usca.",
    ]
    assert body.steps[1].decision == "Not opened"
    assert [row.verdict for row in body.read if row.datum == "What the person did"] == [
        "never read"
    ]

    assert tiered("", (), {}).tier is None, "a record from before tiers"
    assert tiered("newer", ("newer-code",), {}).tier.reasons == ["newer-code"]
