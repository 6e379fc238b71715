"""Several bids for one impression: pods, deals, floors by duration, quantities."""

from decimal import Decimal
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.model import Slot
from ringwork.ads.openrtb import BidderTerms, Rates, to_ask
from ringwork.ads.openrtb.ask import SLOTS_MAX
from ringwork.ads.openrtb.slots import POD_BIDS_MAX
from ringwork.ads.openrtb.validate import DURATION_FLOORS_MAX
from ringwork.kernel.money import MAX_PRICE_NANOS
from tests.ads.openrtb.wire import (
    AUDIO,
    BANNER,
    NOW_US,
    TERMS,
    VIDEO,
    asked,
    read,
    reason,
    refusal,
    request,
    slot_of,
    slots_of,
)

WITH_RATES = BidderTerms(
    currency="EUR",
    rates=Rates(as_of_us=NOW_US - 1, units={"USD": Decimal("0.9171"), "GBP": Decimal("1.2")}),
)


def video(**members) -> dict:
    return {"video": {**VIDEO, **members}}


def deals(*given: dict, private: int = 0, **imp) -> dict:
    """A banner with deals in EUR, unless they say another currency."""
    listed = [{"bidfloorcur": "EUR", **deal} for deal in given]
    return {"banner": BANNER, "pmp": {"private_auction": private, "deals": listed}, **imp}


def seen(slots: tuple[Slot, ...]) -> list[tuple[str, int]]:
    return [(slot.deal_id, slot.floor_nanos) for slot in slots]


# ---- durations ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "bounds"),
    [
        ({}, (0, None, ())),
        ({"minduration": 5, "maxduration": 30}, (5, 30, ())),
        ({"maxduration": 30, "maxextended": 0}, (0, 30, ())),
        ({"maxduration": 30, "maxextended": 15}, (0, 45, ())),
        ({"maxduration": 30, "maxextended": -1}, (0, None, ())),
        ({"maxextended": 15}, (0, None, ())),
        ({"rqddurs": [30, 15, 15]}, (0, None, (15, 30))),
    ],
)
@pytest.mark.parametrize("kind", ["video", "audio"])
def test_durations_that_may_play(kind, members, bounds):
    slot = slot_of({kind: {**(VIDEO if kind == "video" else AUDIO), **members}})
    assert (slot.min_duration_s, slot.max_duration_s, slot.durations_s) == bounds


# ---- pods ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "count", "longest_s"),
    [
        ({"poddur": 60, "maxseq": 4}, 4, 60),
        ({"poddur": 60, "maxseq": 4, "maxduration": 30}, 4, 30),
        ({"poddur": 60, "minduration": 25}, 2, 60),
        ({"poddur": 60, "maxseq": 4, "rqddurs": [15, 30, 90]}, 4, 60),
        ({"poddur": 29, "rqddurs": [15, 30]}, 1, 29),
        ({"poddur": 3600, "maxseq": 100}, POD_BIDS_MAX, 3600),
        ({"poddur": 3600}, POD_BIDS_MAX, 3600),
    ],
)
def test_a_dynamic_pod_is_offered_as_many_bids_as_may_play(members, count, longest_s):
    slots = slots_of(video(podid="pod_1", **members))
    assert len(slots) == count
    assert len(set(slots)) == 1
    slot = slots[0]
    assert (slot.id, slot.group, slot.max_duration_s) == ("1", "pod:pod_1", longest_s)
    assert slot.distinct == ("advertiser", "creative")
    assert all(one <= members["poddur"] for one in slot.durations_s)


def test_the_specification_s_dynamic_pod():
    pod = {
        "podid": "preroll_pod", "mimes": ["video/mp4", "video/ogg", "video/webm"], "linearity": 1,
        "maxduration": 60, "minduration": 0, "maxseq": 4, "poddur": 60, "slotinpod": 2,
    }  # fmt: skip
    slots = slots_of({"video": pod, "exp": 7200, "bidfloor": 8, "bidfloorcur": "EUR"})
    assert [slot.floor_nanos for slot in slots] == [8_000_000] * 4
    assert {slot.hold_s for slot in slots} == {3600}


def test_a_pod_without_a_name_is_its_impression():
    assert slots_of({"audio": {**AUDIO, "poddur": 30, "maxseq": 2}})[0].group == "imp:1"


def test_structured_and_hybrid_pods_share_a_group():
    body = request(video(podid="a", slotinpod=1, maxduration=15))
    body["imp"].append({"id": "2", **video(podid="a", poddur=30, maxseq=2)})
    body["imp"].append({"id": "3", **video(podid="b")})
    body["imp"].append({"id": "4", **video()})
    assert [(slot.id, slot.group) for slot in asked(body).slots] == [
        ("1", "pod:a"), ("2", "pod:a"), ("2", "pod:a"), ("3", "pod:b"), ("4", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("dedupe", "distinct"),
    [
        (None, {"advertiser", "creative"}),
        ([], {"advertiser", "creative"}),
        ([1], {"advertiser", "creative"}),
        ([2, 4], {"category", "media", "creative"}),
        ([3], {"creative"}),
        ([5], {"creative"}),
        ([99, 1, 1], {"advertiser", "creative"}),
    ],
)
def test_what_a_pod_would_remove_is_not_offered(dedupe, distinct):
    assert set(slot_of(video(podid="a", poddedupe=dedupe)).distinct) == distinct


def test_slots_of_one_request_are_bounded():
    body = request(video(podid="a", poddur=900))
    body["imp"] = [{**body["imp"][0], "id": str(number)} for number in range(100)]
    assert len(asked(body).slots) == SLOTS_MAX


# ---- deals --------------------------------------------------------------------------------------


def test_deals_come_with_bids_of_the_open_auction():
    offer = deals({"id": "a", "bidfloor": 2.5}, {"id": "b"}, bidfloor=1, bidfloorcur="EUR")
    slots = slots_of(offer)
    assert seen(slots) == [("a", 2_500_000), ("b", 1_000_000), ("", 1_000_000), ("", 1_000_000)]
    assert [slot.group for slot in slots] == ["", "", "imp:1:banner", "imp:1:banner"]
    assert slots[2].distinct == ("advertiser",)
    alone = BidderTerms(currency="EUR", open_bids=1)
    assert len(slots_of(offer, alone)) == 3


def test_a_private_auction_takes_deals_alone():
    assert seen(slots_of(deals({"id": "a", "bidfloor": 2}, private=1))) == [("a", 2_000_000)]
    assert reason(request(deals(private=1))) == "private-auction"
    theirs = {"id": "a", "wseat": ["other"]}
    assert reason(request(deals(theirs, private=1))) == "private-auction"


def test_a_deal_is_for_its_seats_and_advertisers():
    ours = {"id": "a", "wseat": ["other", "ringwork"], "wadomain": ["Paint.Example"]}
    slots = slots_of(deals(ours, {"id": "b", "wseat": ["other"]}))
    assert [slot.deal_id for slot in slots] == ["a", "", ""]
    assert [slot.allowed_domains for slot in slots] == [("paint.example",), (), ()]


@pytest.mark.parametrize(
    ("deal", "charge"),
    [
        ({}, None), ({"at": 1}, "clearing"), ({"at": 2}, "bid"), ({"at": 500}, "clearing"),
        ({"at": 3, "bidfloor": 4}, "agreed"), ({"at": 3}, None), ({"at": 3, "bidfloor": 0}, None),
    ],
)  # fmt: skip
def test_the_auction_type_of_a_deal_says_what_a_sale_costs(deal, charge):
    first = slots_of(deals({"id": "a", **deal}))[0]
    assert (first.deal_id, first.charge) == ("a", charge)


def test_no_auction_is_held_for_a_deal_that_no_campaign_is_for():
    offer = request(deals(*({"id": str(number)} for number in range(100))))
    ask = to_ask(read(offer), TERMS, request_id=bytes(16), now_us=NOW_US, deals={"70", "x"})
    assert [slot.deal_id for slot in ask.slots] == ["70", "", ""]
    private = request(deals({"id": "1"}, private=1))
    no_bid = to_ask(read(private), TERMS, request_id=bytes(16), now_us=NOW_US, deals=set())
    assert no_bid.reason == "private-auction"


def test_deals_that_are_not_for_us_leave_the_open_auction():
    offer = deals({"id": "d", "wseat": ["x"]})
    assert [(slot.deal_id, slot.group) for slot in slots_of(offer)] == [("", "")]


def test_deals_of_a_dynamic_pod_are_offered_as_often_as_the_pod():
    pmp = {"deals": [{"id": "d"}]}
    slots = slots_of({**video(podid="a", poddur=60, maxseq=2), "pmp": pmp})
    assert [(slot.deal_id, slot.group) for slot in slots] == [
        ("d", "pod:a"), ("d", "pod:a"), ("", "pod:a"), ("", "pod:a"),
    ]  # fmt: skip


# ---- floors -------------------------------------------------------------------------------------

RANGES = [{"mindur": 1, "maxdur": 15, "bidfloor": 5}, {"mindur": 16, "bidfloor": 8}]


@pytest.mark.parametrize(
    ("members", "floors"),
    [
        ({"mincpmpersec": 0.1}, {15: 1_500_000, 30: 3_000_000}),
        ({"mincpmpersec": 10**6}, {3600: 3600 * 10**12, 2**31: MAX_PRICE_NANOS}),
        ({"durfloors": RANGES}, {0: 1_000_000, 1: 5_000_000, 15: 5_000_000, 16: 8_000_000}),
        ({"durfloors": [{"maxdur": 9, "bidfloor": 5}]}, {9: 5_000_000, 10: 1_000_000}),
        ({"durfloors": [{"mindur": 10}]}, {9: 1_000_000, 10: 0}),
        ({"durfloors": [{"bidfloor": 0.5}, {"maxdur": 9, "bidfloor": 2}]},
         {9: 2_000_000, 10: 500_000}),
        ({}, {1: 1_000_000}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["video", "audio"])
def test_the_floor_of_a_bid_depends_on_its_own_duration(kind, members, floors):
    stream = {**(VIDEO if kind == "video" else AUDIO), **members}
    slot = slot_of({kind: stream, "bidfloor": 1, "bidfloorcur": "EUR"})
    assert {duration: slot.floor_for(duration) for duration in floors} == floors


@given(
    ranges=st.lists(
        st.tuples(st.integers(0, 60), st.none() | st.integers(0, 60), st.integers(0, 10**6)),
        max_size=6,
    ),
    duration_s=st.integers(0, 90),
)
def test_a_floor_by_duration_is_the_highest_range_that_holds(ranges, duration_s):
    wire = [{"mindur": low, "maxdur": high, "bidfloor": cpm / 1000} for low, high, cpm in ranges]
    slot = slot_of({**video(durfloors=wire), "bidfloor": 1, "bidfloorcur": "EUR"})
    holding = [
        cpm * 1000
        for low, high, cpm in ranges
        if duration_s >= low and (high is None or duration_s <= high)
    ]
    assert slot.floor_for(duration_s) == max(holding, default=1_000_000)


def test_a_deal_s_floors_replace_those_of_its_impression():
    stream = video(mincpmpersec=0.2)
    pmp = {"deals": [
        {"id": "flat", "bidfloor": 3, "bidfloorcur": "EUR"},
        {"id": "second", "mincpmpersec": 0.1, "bidfloorcur": "EUR"},
        {"id": "range", "durfloors": [{"maxdur": 9, "bidfloor": 4}], "bidfloorcur": "EUR"},
        {"id": "none"},
        {"id": "free", "bidfloor": 0},
    ]}  # fmt: skip
    slots = slots_of({**stream, "pmp": pmp, "bidfloor": 1, "bidfloorcur": "EUR"})
    floors = {slot.deal_id: [slot.floor_for(9), slot.floor_for(10)] for slot in slots}
    assert floors == {
        "flat": [3_000_000, 3_000_000],
        "second": [900_000, 1_000_000],
        "range": [4_000_000, 1_000_000],
        "none": [1_800_000, 2_000_000],
        "free": [0, 0],
        "": [1_800_000, 2_000_000],
    }


def test_a_deal_has_a_currency_of_its_own():
    """``bidfloorcur`` of a deal does not inherit: it is USD where it is not given."""
    pmp = {"deals": [{"id": "usd", "bidfloor": 1}, {"id": "eur", "bidfloor": 1,
                                                    "bidfloorcur": "EUR"}]}  # fmt: skip
    offer = {"banner": BANNER, "pmp": pmp, "bidfloorcur": "EUR", "bidfloor": 1}
    assert [slot.deal_id for slot in slots_of(offer)] == ["eur", "", ""]
    assert seen(slots_of(offer, WITH_RATES))[0] == ("usd", 917_100)
    private = {**offer, "pmp": {**pmp, "private_auction": 1, "deals": pmp["deals"][:1]}}
    assert reason(request(private)) == "currency"


def test_a_deal_in_our_currency_survives_an_open_floor_in_another():
    offer = deals({"id": "a", "bidfloor": 1}, bidfloor=1, bidfloorcur="GBP")
    assert seen(slots_of(offer)) == [("a", 1_000_000)]


@pytest.mark.parametrize(
    ("imp", "path"),
    [
        (video(durfloors=[{}] * (DURATION_FLOORS_MAX + 1)), "imp[0].video.durfloors"),
        (video(rqddurs=[-15]), "imp[0].video.rqddurs[0]"),
        (video(maxextended=-2), "imp[0].video.maxextended"),
        ({"banner": BANNER, "qty": {}}, "imp[0].qty.multiplier"),
        ({"banner": BANNER, "qty": {"multiplier": 0}}, "imp[0].qty.multiplier"),
        ({"banner": BANNER, "qty": {"multiplier": -1}}, "imp[0].qty.multiplier"),
        ({"banner": BANNER, "qty": {"multiplier": 10**7}}, "imp[0].qty.multiplier"),
        ({"banner": BANNER, "qty": {"multiplier": "NaN"}}, "imp[0].qty.multiplier"),
        ({"banner": BANNER, "refresh": {"count": -1}}, "imp[0].refresh.count"),
        ({"banner": BANNER, "refresh": {"refsettings": [{"minint": -1}]}},
         "imp[0].refresh.refsettings[0].minint"),
    ],
)  # fmt: skip
def test_numbers_that_mean_nothing_are_refused(imp, path):
    assert refusal(request(imp)) == path


# ---- currencies ---------------------------------------------------------------------------------


def test_a_floor_in_another_currency_is_exchanged_upwards():
    imp = {"banner": BANNER, "bidfloor": 0.03, "bidfloorcur": "USD"}
    assert slot_of(imp, WITH_RATES).floor_nanos == 27_513
    assert slot_of({"banner": BANNER, "bidfloor": 1}, WITH_RATES).floor_nanos == 917_100
    assert reason(request({**imp, "bidfloorcur": "CHF"}), WITH_RATES) == "currency"


@given(
    st.decimals(0, 10**6, allow_nan=False, allow_infinity=False, places=6),
    st.decimals("0.000001", 10_000, places=6),
)
def test_an_exchanged_floor_is_never_below_the_exact_one(cpm, rate):
    terms = BidderTerms(currency="EUR", rates=Rates(as_of_us=NOW_US, units={"USD": rate}))
    exact = Fraction(cpm) * Fraction(rate) * 10**6
    slot = slot_of({"banner": BANNER, "bidfloor": float(cpm)}, terms)
    assert slot.floor_nanos == min(ceil(exact), MAX_PRICE_NANOS)


def test_a_table_of_rates_has_a_date():
    imp = {"banner": BANNER, "bidfloor": 1}
    units = {"USD": Decimal(1)}

    def reasons_at(as_of_us: int) -> object:
        rates = Rates(as_of_us=as_of_us, units=units, max_age_s=10)
        return asked(request(imp), BidderTerms(currency="EUR", rates=rates))

    assert reasons_at(NOW_US).slots
    assert reasons_at(NOW_US - 9_999_999).slots
    assert reasons_at(NOW_US - 10_000_000).reason == "currency"
    assert reasons_at(NOW_US + 1).reason == "currency"


@pytest.mark.parametrize("rate", ["0", "-1", "NaN", "Infinity"])
def test_a_rate_is_a_positive_number(rate):
    with pytest.raises(ValueError, match="USD"):
        Rates(as_of_us=0, units={"USD": Decimal(rate)})


# ---- public screens -----------------------------------------------------------------------------


def test_one_play_of_a_screen_costs_its_impressions():
    """The specification's example: 2.50 CPM for 30.3 impressions are 0.07575."""
    slot = slot_of({"banner": BANNER, "qty": {"multiplier": 30.3}})
    assert slot.quantity_ppm == 30_300_000
    assert slot.cost_of(2_500_000) == 75_750_000
    assert slot.cost_of(2_500_001) == 75_750_030, "30.3 nanos more, rounded down"
    assert slot_of({"banner": BANNER}).cost_of(2_500_000) == 2_500_000


def test_a_play_with_a_price_is_never_free():
    slot = slot_of({"banner": BANNER, "qty": {"multiplier": 0.000001}})
    assert (slot.cost_of(999_999), slot.cost_of(1), slot.cost_of(0)) == (1, 1, 0)


@given(
    multiplier=st.decimals("0.000001", 10**6, places=6),
    prices=st.lists(st.integers(0, 10**12), min_size=1, max_size=20),
)
def test_nobody_pays_above_what_was_bid_and_less_by_a_nano_a_play_at_most(multiplier, prices):
    slot = slot_of({"banner": BANNER, "qty": {"multiplier": float(multiplier)}})
    for price_nanos in prices:
        exact = price_nanos * Fraction(multiplier)
        cost = slot.cost_of(price_nanos)
        assert exact - 1 < cost <= exact or (cost == 1 and 0 < exact < 1)
    worth = [one for one in prices if one * Fraction(multiplier) >= 1]
    exact = sum(worth) * Fraction(multiplier)
    assert exact - len(worth) <= sum(slot.cost_of(one) for one in worth) <= exact
