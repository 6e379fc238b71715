"""One ad per advertiser, and competitors kept apart: the price is the least bid over all of it."""

from fractions import Fraction
from math import ceil

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ringwork.ads.auction import clear
from ringwork.ads.model import Candidate


def cpm(ad_id: str, bid_nanos: int, **scales: int) -> Candidate:
    return Candidate(ad_id=ad_id, bid_nanos=bid_nanos, **scales)


FOUR = [cpm("a", 900), cpm("b", 800), cpm("c", 500), cpm("d", 300)]


def prices(**terms: object) -> list[tuple[str, int]]:
    return [(sale.ad_id, sale.price_nanos) for sale in clear(FOUR, slot_ppm=(2, 1), **terms)]


def test_a_competitor_is_kept_out_and_sets_the_winner_s_price():
    cars = {"a": ["cars"], "b": ["cars"]}
    # a must outrank b or be kept out itself; c has the second slot as long as it outranks d.
    assert prices(groups=cars) == [("a", 800), ("c", 300)]


def test_another_ad_of_the_same_advertiser_is_kept_out_and_sets_no_price():
    assert prices(advertisers={"a": "x", "b": "x"}) == [("a", 500), ("c", 300)]


def test_a_competitor_behind_sets_the_price_of_any_slot():
    # Below 500 the ad b would still have the second slot, were it not for c, which excludes it.
    groups = {"b": ["cars"], "c": ["cars"]}
    assert prices(groups=groups) == [("a", 800), ("b", 500)]
    # Of b: one show in the first slot needs more than c too, so both halves of its VCG price do.
    assert prices(groups={"a": ["cars"], "b": ["cars"]}, rule="vcg")[0] == ("a", 800)


def test_an_ad_in_two_groups_needs_both_free():
    assert prices(groups={"a": ["cars", "red"], "b": ["red"], "c": ["cars"], "d": ["blue"]}) == [
        ("a", 800),
        ("d", 1),
    ]


def test_without_anybody_in_common_nothing_changes():
    names = {one.ad_id: one.ad_id for one in FOUR}
    apart = {one.ad_id: [one.ad_id] for one in FOUR}
    for rule in ("gsp", "vcg", "first"):
        assert prices(rule=rule, advertisers=names, groups=apart) == prices(rule=rule)


def test_fewer_winners_than_slots_when_all_exclude_each_other():
    assert prices(groups={one.ad_id: ["cars"] for one in FOUR}) == [("a", 800)]
    assert prices(advertisers={one.ad_id: "x" for one in FOUR}) == [("a", 1)]


def filled(
    among: list[Candidate],
    count: int,
    reserve_nanos: int,
    advertisers: dict[str, str],
    groups: dict[str, list[str]],
) -> list[str]:
    """The whole rule by another hand: who stands in which slot."""
    points = {}
    for one in among:
        worth = one.bid_nanos * one.p_ppb // 10**9
        points[one.ad_id] = worth * one.quality_ppm // 10**6 + one.shift_nanos
        if worth < reserve_nanos:
            points[one.ad_id] = 0
    chosen: list[str] = []
    while len(chosen) < count:
        free = [
            name
            for name, score in points.items()
            if score > 0
            and name not in chosen
            and all(
                advertisers.get(name, name) != advertisers.get(other, other)
                and not set(groups.get(name, ())) & set(groups.get(other, ()))
                for other in chosen
            )
        ]
        if not free:
            break
        chosen.append(min(free, key=lambda name: (-points[name], name)))
    return chosen


@st.composite
def pages(draw: st.DrawFn, p_ppb=(5_000_000, 10**9), qualities=(500_000, 10**6, 1_500_000)):
    among = draw(
        st.lists(
            st.builds(
                Candidate,
                ad_id=st.sampled_from("abcdefgh"),
                bid_nanos=st.integers(0, 60) | st.integers(1, 10**6),
                p_ppb=st.sampled_from(p_ppb),
                quality_ppm=st.sampled_from(qualities),
                shift_nanos=st.sampled_from([0, 0, 3, -5]),
            ),
            max_size=8,
            unique_by=lambda one: one.ad_id,
        )
    )
    advertisers = {one.ad_id: draw(st.sampled_from("xyz")) for one in among if draw(st.booleans())}
    groups = {
        one.ad_id: draw(st.lists(st.sampled_from(["cars", "shoes", "food"]), max_size=2))
        for one in among
    }
    return among, advertisers, groups


SLOTS = st.lists(st.integers(1, 9), min_size=1, max_size=4).map(
    lambda factors: sorted(factors, reverse=True)
)


def least_bid(
    name: str, slot: int, bid_nanos: int, among, count, reserve_nanos, advertisers, groups
) -> int:
    """By bisection: the least bid that has ``slot`` or a higher one, its other ads removed."""
    owner = advertisers.get(name)
    rest = [
        one
        for one in among
        if one.ad_id == name or owner is None or advertisers.get(one.ad_id) != owner
    ]

    def keeps(bid_nanos: int) -> bool:
        bids = [replace(one, bid_nanos=bid_nanos) if one.ad_id == name else one for one in rest]
        return name in filled(bids, count, reserve_nanos, advertisers, groups)[: slot + 1]

    low, high = -1, bid_nanos
    assert keeps(high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if keeps(middle) else (middle, high)
    return high


@given(pages(), SLOTS, st.integers(0, 40))
def test_winners_are_the_rule_s_and_prices_the_bisection_over_it(page, slots, reserve_nanos):
    among, advertisers, groups = page
    context = (among, len(slots), reserve_nanos, advertisers, groups)
    sales = clear(
        among,
        slot_ppm=slots,
        reserve_nanos=reserve_nanos,
        advertisers=advertisers,
        groups=groups,
    )
    assert [sale.ad_id for sale in sales] == filled(*context)
    bids = {one.ad_id: one.bid_nanos for one in among}
    for sale in sales:
        least = least_bid(sale.ad_id, sale.slot, bids[sale.ad_id], *context)
        assert sale.price_nanos == least <= bids[sale.ad_id]


@settings(max_examples=50)
@given(pages(p_ppb=(10**9,), qualities=(10**6,)), SLOTS, st.integers(0, 40))
def test_a_vcg_price_is_the_mean_of_the_least_bids_for_its_slot_and_those_below(
    page, slots, reserve_nanos
):
    among, advertisers, groups = page
    context = (among, len(slots), reserve_nanos, advertisers, groups)
    bids = {one.ad_id: one.bid_nanos for one in among}
    for sale in clear(
        among,
        slot_ppm=slots,
        rule="vcg",
        reserve_nanos=reserve_nanos,
        advertisers=advertisers,
        groups=groups,
    ):
        total = 0
        for slot in range(sale.slot, len(slots)):
            below = slots[slot + 1] if slot + 1 < len(slots) else 0
            least = least_bid(sale.ad_id, slot, bids[sale.ad_id], *context)
            total += (slots[slot] - below) * least
        assert sale.price_nanos == ceil(Fraction(total, slots[sale.slot]))


@given(pages(), SLOTS, st.integers(1, 10**6))
def test_raising_a_bid_never_worsens_the_slot(page, slots, more_nanos):
    among, advertisers, groups = page
    terms = {"slot_ppm": slots, "advertisers": advertisers, "groups": groups}
    for before in clear(among, **terms):
        raised = [
            replace(one, bid_nanos=one.bid_nanos + more_nanos) if one.ad_id == before.ad_id else one
            for one in among
        ]
        after = next(sale for sale in clear(raised, **terms) if sale.ad_id == before.ad_id)
        assert after.slot <= before.slot
