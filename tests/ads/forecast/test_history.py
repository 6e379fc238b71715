"""What a forecast reads of the log: the places that the live index would fill, and their prices."""

import random
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.ads.events import AuctionCleared, Considered, ImpressionBilled, SlotOutcome
from ringwork.ads.forecast import PlannedCampaign, run_forecast
from ringwork.ads.forecast.history import DAY_US, UNREACHABLE, days_of, read_history
from ringwork.ads.model import Context, Excluded, Slot, Targeting
from ringwork.ads.settings import AdsSettings
from ringwork.kernel.errors import Conflict
from tests.ads.house import House, euros
from tests.ads.reports.town import stored

START_US = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp()) * 1_000_000
P_PPB = AdsSettings().p_ppb
SITES = ("news.example", "sport.news.example", "blog.example", "example")
REGIONS = ("PRT", "PRT-11", "PRT-13", "ESP", "")
CATEGORIES = ("IAB1", "IAB2-7", "IAB17", "IAB17-3", "IAB2")
PAIRS = (("section", "sport"), ("section", "home"), ("deal", "d1"), ("paid", "yes"))


def context(draw):
    return Context(
        site=draw.choice(SITES) if draw.random() < 0.8 else "",
        app="" if draw.random() < 0.7 else draw.choice(("one.app", "two.app")),
        publisher_id="pub", placement_id="",
        categories=tuple(draw.sample(CATEGORIES, draw.randrange(3))),
        region=draw.choice(REGIONS), device_type=draw.choice(("phone", "tv", "other")),
        blocked_categories=tuple(draw.sample(CATEGORIES, draw.randrange(2))),
        blocked_domains=tuple(draw.sample(("adv.example", "example", "x.example"), draw.randrange(2))),
        key_values=tuple(draw.sample(PAIRS, draw.randrange(3))),
        blocked_advertisers=tuple(draw.sample(("adv", "other"), draw.randrange(2))),
    )  # fmt: skip


def auction(context, *, price=1_000_000, rule="second", deal="", charge_bid=False, sold=None):
    rival = Considered("r", "rival", price, 10**9, 10**6, 10**6, 0, price)
    slot = SlotOutcome(
        "1", "banner", rule, 500_000, 1, {}, [rival], impression_id=sold, deal_id=deal,
        charge_bid=charge_bid,
    )  # fmt: skip
    return AuctionCleared("native", "EUR", context, [slot], {})


def write(house, at_us, event):
    house.clock.set_wall_us(at_us)
    house.do(lambda c: c.record(event))


def plan(**members):
    new = {
        "pricing": "cpm", "bid_nanos": 2_000_000, "budget": euros(10**15),
        "starts_us": START_US + 20 * DAY_US, "ends_us": START_US + 27 * DAY_US,
        "formats": ["banner"], **members,
    }  # fmt: skip
    return PlannedCampaign(**new)


def some(draw, values, most=2):
    return draw.sample(values, draw.randrange(min(most, len(values)) + 1))


def targeting(draw):
    """Targeting that says little or much; what is wanted is never excluded as well."""
    cut = draw.randrange(1, 3)
    sites, regions, categories, pairs = (
        draw.sample(list(one), len(one)) for one in (SITES, REGIONS[:-1], CATEGORIES, PAIRS)
    )
    return Targeting(
        sites=some(draw, sites[:cut]), apps=some(draw, ["one.app"], 1),
        categories=some(draw, categories[:cut]), regions=some(draw, regions[:cut]),
        device_types=some(draw, ["phone", "tv"]),
        hours=some(draw, range(24), 12) if draw.random() < 0.4 else [],
        weekdays=some(draw, range(7), 4) if draw.random() < 0.3 else [],
        time_zone=draw.choice(("UTC", "Asia/Tokyo", "America/New_York")),
        key_values={key: [value] for key, value in some(draw, pairs[:1], 1)},
        excluded=Excluded(
            sites=some(draw, sites[cut:]), apps=some(draw, ["two.app"], 1),
            categories=some(draw, categories[cut:], 1), regions=some(draw, regions[cut:], 1),
            device_types=some(draw, ["other"], 1),
            key_values={key: [value] for key, value in some(draw, pairs[1:2], 1)},
        ),
    )  # fmt: skip


class Pages(tuple):
    """Pages and their files; without all of them in every message."""

    def __repr__(self):
        return "Pages()"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A week of pages of every kind: (time, context, deal), and their files."""
    draw = random.Random(11)
    with House() as house:
        found = []
        for number in range(300):
            at_us = START_US + number * 7 * DAY_US // 300
            one = (at_us, context(draw), draw.choice(("", "", "d1", "d2")))
            found.append(one)
            write(house, at_us, auction(one[1], deal=one[2]))
        yield Pages((found, stored(house, tmp_path_factory.mktemp("pages"))))


@given(seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_what_matches_is_what_the_live_index_would_fill(pages, seed):
    found, warehouse = pages
    draw = random.Random(seed)
    wanted, categories = targeting(draw), some(draw, CATEGORIES, 1)
    planned = plan(
        targeting=wanted, advertiser="adv", advertiser_domain="adv.example", categories=categories
    )
    history = read_history(warehouse, planned, [START_US + n * DAY_US for n in range(7)])
    with House() as house:
        house.clock.set_wall_us(START_US)
        house.open()
        house.campaign("c1", targeting=wanted)
        house.creative("a1", "c1", categories=categories)
        index = house.ads.index
        fits = [
            at_us
            for at_us, page, deal in found
            if index.shortlist(
                page, Slot(id="1", format="banner", deal_id=deal), now_us=at_us
            ).eligible
        ]
    by_day = np.bincount([(at_us - START_US) // DAY_US for at_us in fits], minlength=7)
    assert [day.opportunities for day in history.days] == by_day.tolist()
    assert [len(day.prices) for day in history.days] == by_day.tolist()


# ---- prices -------------------------------------------------------------------------------------


@pytest.fixture
def house():
    with House() as house:
        yield house


def prices(house, tmp_path, **members):
    write(house, START_US + DAY_US, auction(Context(site="end.example")))
    history = read_history(stored(house, tmp_path), plan(**members), [START_US])
    return history, sorted(history.days[0].prices.tolist())


def test_the_price_to_beat_is_the_best_rival_or_the_floor(house, tmp_path):
    page = Context(site="news.example", publisher_id="pub")
    for n, members in enumerate(
        [{"price": 700_000}, {"price": 1}, {"rule": "priority"}, {"rule": "house", "price": 9**9}]
    ):
        write(house, START_US + n, auction(page, **members))
    history, found = prices(house, tmp_path)
    assert found == [500_000, 500_000, 700_000, UNREACHABLE]
    assert (history.days[0].requests, history.placements) == (4, 1)


def test_who_is_asked_first_beats_the_floor_only(house, tmp_path):
    page = Context(site="news.example")
    for n, members in enumerate([{"price": 9_000_000}, {"rule": "priority"}]):
        write(house, START_US + n, auction(page, **members))
    _, found = prices(house, tmp_path, priority="guaranteed", goal_impressions=10)
    assert found == [500_000, UNREACHABLE]


def test_a_house_ad_has_what_nobody_bought(house, tmp_path):
    page = Context(site="news.example")
    for n, members in enumerate([{"sold": bytes(16)}, {}, {"sold": bytes(16), "rule": "house"}]):
        write(house, START_US + n, auction(page, **members))
    _, found = prices(house, tmp_path, priority="house")
    assert found == [0, 0, UNREACHABLE]


def test_what_was_sold_and_not_shown_is_told(house, tmp_path):
    page = Context(site="news.example")
    for n in range(4):
        id = bytes([n] * 16)
        write(house, START_US + n, auction(page, sold=id, charge_bid=n == 0))
        if n < 3:
            billed = ImpressionBilled(id, "rival", "r", "pub", "", "cpm", 1, "EUR")
            write(house, START_US + n + 10, billed)
    history, _ = prices(house, tmp_path)
    assert (history.shown_ppm, history.pays_bid_ppm) == (750_000, 250_000)


# ---- whole --------------------------------------------------------------------------------------


def test_a_forecast_from_a_log_holds_the_week_that_followed(house, tmp_path):
    """Two weeks of traffic that differs by day, and the truth of the third counted by hand."""
    draw = random.Random(3)
    truth = {"impressions": 0, "spend_nanos": 0, "opportunities": 0}
    for day in range(21):
        level = draw.lognormvariate(0, 0.15)
        for n in range(draw.randrange(25, 40)):
            price = int(1_800_000 * level * draw.lognormvariate(0, 0.5))
            phone = draw.random() < 0.6
            page = Context(site="news.example", device_type="phone" if phone else "tv")
            at_us = START_US + day * DAY_US + n * 1_000_000_000
            if day < 14:
                write(house, at_us, auction(page, price=price))
            elif phone:
                to_beat = max(price, 500_000)
                truth["opportunities"] += 1
                truth["impressions"] += to_beat <= 2_000_000
                truth["spend_nanos"] += to_beat if to_beat <= 2_000_000 else 0
    now_us = START_US + 14 * DAY_US
    write(house, now_us, auction(Context(device_type="tv")))
    found = run_forecast(
        stored(house, tmp_path),
        plan(
            starts_us=now_us, ends_us=now_us + 7 * DAY_US, level_ppm=950_000,
            targeting=Targeting(device_types=["phone"]), history_days=14,
        ),
        now_us=now_us, p_ppb=P_PPB,
    )  # fmt: skip
    assert found.days_seen == 14
    for name, true in truth.items():
        estimate = getattr(found, name)
        assert estimate.low <= true <= estimate.high, name
        assert estimate.low <= estimate.expected <= estimate.high
    assert found.reach.placements == 1
    assert any("reach is impressions over distinct places" in one for one in found.assumptions)


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"ends_us": START_US}, "/ends_us"),
        ({"ends_us": START_US + 200 * DAY_US}, "/ends_us"),
        ({"budget": euros(0)}, "/budget"),
        ({"priority": "sponsorship"}, "/share_ppm"),
        ({"priority": "guaranteed"}, "/goal_impressions"),
        ({"targeting": Targeting(time_zone="Mars/Base")}, "/targeting/time_zone"),
    ],
)
def test_a_plan_that_cannot_be_is_explained(pages, members, pointer):
    with pytest.raises(Conflict) as refused:
        run_forecast(pages[1], plan(**members), now_us=START_US + 7 * DAY_US, p_ppb=P_PPB)
    assert [fault.pointer for fault in refused.value.errors] == [pointer]


def test_a_log_of_two_days_is_too_short(pages):
    with pytest.raises(Conflict, match="at least 3 whole days of the log, there are 2"):
        run_forecast(pages[1], plan(), now_us=START_US + 2 * DAY_US + 1, p_ppb=P_PPB)


def test_days_are_whole_and_before_now():
    planned = plan(starts_us=START_US + 20 * DAY_US + DAY_US // 2)
    begins = days_of(planned, log_begins_us=START_US, now_us=START_US + 4 * DAY_US)
    assert begins == [START_US + n * DAY_US + DAY_US // 2 for n in range(3)]
    assert days_of(planned, log_begins_us=START_US, now_us=START_US) == []


def test_feasibility_of_a_promise(pages):
    _, warehouse = pages
    now_us = START_US + 7 * DAY_US
    for goal, feasible in ((10, "yes"), (10**6, "no")):
        planned = plan(goal_impressions=goal, priority="guaranteed", history_days=7)
        found = run_forecast(warehouse, planned, now_us=now_us, p_ppb=P_PPB)
        assert found.feasible == feasible
