"""Ad breaks: hand examples, and every pod and price against trying all of them."""

from fractions import Fraction
from itertools import combinations, permutations
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ringwork.ads import pod_search
from ringwork.ads.model import DurationFloor, Sale
from ringwork.ads.pods import (
    MAX_ADS,
    MAX_POD_S,
    MAX_SPOTS,
    Pod,
    Spot,
    TooManyConflicts,
    fill,
    price,
)

# ---- by hand ------------------------------------------------------------------------------------

LONG = Spot("long", 900, 30, "a.example")
SHORT = [Spot("x", 500, 15, "x.example"), Spot("y", 450, 15, "y.example")]


def test_two_short_spots_beat_a_long_one_that_is_worth_less_than_both():
    assert fill([LONG, *SHORT], Pod(duration_s=30, max_ads=2)) == ["x", "y"]
    assert fill([LONG, *SHORT], Pod(duration_s=30, max_ads=1)) == ["long"]
    assert fill([LONG, *SHORT], Pod(duration_s=29, max_ads=2)) == ["x"]
    assert fill([LONG, *SHORT], Pod(duration_s=60, max_ads=3)) == ["long", "x", "y"]


def test_an_advertiser_a_category_a_creative_or_a_media_file_is_played_once():
    for field, shared, name in (
        ("adomain", "x.example", "advertiser"),
        ("adomain", ("x.example", "y.example"), "advertiser"),
        ("categories", ("IAB2", "IAB3"), "category"),
        ("creative_id", "7", "creative"),
        ("media_url", "https://m.example/7.mp4", "media"),
    ):
        spots = [replace(Spot("x", 500, 15), **{field: shared})]
        spots.append(replace(Spot("y", 450, 15), **{field: shared}))
        apart = Pod(duration_s=60, max_ads=4, distinct=(name,))
        assert fill(spots, apart) == ["x"]
        assert fill(spots, replace(apart, distinct=())) == ["x", "y"]


def test_one_category_in_common_is_enough_and_the_best_pair_is_found():
    spots = [
        Spot("a", 500, 15, "a.example", ("cars", "food")),
        Spot("b", 300, 15, "b.example", ("cars",)),
        Spot("c", 300, 15, "c.example", ("food",)),
    ]
    assert fill(spots, Pod(duration_s=60, max_ads=4)) == ["b", "c"]


def test_floors_keep_spots_out():
    spot = Spot("x", 600, 15)
    for pod, plays in (
        (Pod(15, 1, min_nanos_per_s=40), True),
        (Pod(15, 1, min_nanos_per_s=41), False),
        (Pod(15, 1, floor_nanos=601), False),
        (Pod(15, 1, duration_floors=(DurationFloor(10, 20, 601),)), False),
        (Pod(15, 1, duration_floors=(DurationFloor(16, None, 601),), floor_nanos=600), True),
        (Pod(15, 1, duration_floors=(DurationFloor(16, None, 1),), floor_nanos=601), False),
    ):
        assert fill([spot], pod) == (["x"] if plays else [])


def test_ends_are_kept_and_given_once():
    spots = [
        Spot("last", 100, 15, slotinpod=-1),
        Spot("big", 900, 15),
        Spot("first", 50, 15, slotinpod=1),
        Spot("either", 40, 15, slotinpod=2),
    ]
    pod = Pod(duration_s=60, max_ads=4)
    assert fill(spots, pod) == ["first", "big", "last"], "nothing is left for either"
    assert fill(spots[1:], pod) == ["first", "big", "either"]
    assert fill([spots[1], spots[3]], pod) == ["either", "big"]
    assert fill(spots, replace(pod, slotinpod=-1)) == ["big", "last"], "the first is not promised"
    assert fill(spots, replace(pod, slotinpod=0)) == ["big"]


def test_vcg_charges_the_best_pod_without_the_winner():
    # Without x: long, 900, against y's 450 beside it: x pays 450. Without y: 900 against 500.
    assert price([LONG, *SHORT], Pod(duration_s=30, max_ads=2)) == [
        Sale(ad_id="x", slot=0, price_nanos=450),
        Sale(ad_id="y", slot=1, price_nanos=400),
    ]


def test_a_winner_pays_the_floor_where_nobody_else_would_play():
    pod = Pod(duration_s=30, max_ads=2, min_nanos_per_s=20)
    for rule in ("vcg", "per_second"):
        assert [sale.price_nanos for sale in price(SHORT, pod, rule=rule)] == [300, 300]


def test_per_second_charges_the_runner_up_s_rate():
    # y would play instead of x: 450 for 15 s, so 900 for 30 s.
    spots = [Spot("x", 1_000, 30), SHORT[1]]
    assert price(spots, Pod(duration_s=30, max_ads=1), rule="per_second")[0].price_nanos == 900
    # A runner-up with a better rate but less in all: the winner's value is the most it pays.
    spots = [Spot("x", 800, 30), SHORT[1]]
    assert price(spots, Pod(duration_s=30, max_ads=1), rule="per_second")[0].price_nanos == 800


def test_an_empty_break():
    pod = Pod(duration_s=30, max_ads=2)
    assert fill([], pod) == []
    assert price([], pod) == []
    assert fill([Spot("x", 0, 15)], pod) == [], "what is worth nothing is not played"


@pytest.mark.parametrize(
    ("spots", "pod"),
    [
        ([], Pod(0, 1)),
        ([], Pod(MAX_POD_S + 1, 1)),
        ([], Pod(30, 0)),
        ([], Pod(30, MAX_ADS + 1)),
        ([], Pod(30, 1, min_nanos_per_s=1, duration_floors=(DurationFloor(1, 2, 3),))),
        ([], Pod(30, 1, floor_nanos=-1)),
        ([], Pod(30, 1, min_nanos_per_s=-1)),
        ([], Pod(30, 1, duration_floors=(DurationFloor(1, 2, -3),))),
        ([], Pod(30, 1, distinct=("seat",))),
        ([], Pod(30, 1, slotinpod=3)),
        ([Spot("x", 1, 0)], Pod(30, 1)),
        ([Spot("x", -1, 15)], Pod(30, 1)),
        ([Spot("x", 2**53, 15)], Pod(30, 1)),
        ([Spot("x", 1, 15, slotinpod=3)], Pod(30, 1)),
        ([Spot("x", 1, 15), Spot("x", 2, 15)], Pod(30, 1)),
        ([Spot(str(n), 1, 15) for n in range(MAX_SPOTS + 1)], Pod(30, 1)),
    ],
)
def test_what_makes_no_sense_or_passes_a_bound_is_refused(spots, pod):
    with pytest.raises(ValueError):
        fill(spots, pod)


def test_a_search_that_takes_too_long_says_so(monkeypatch):
    spots = [
        Spot(f"{first}{second}", 100 + first + second, 15, "", (f"c{first}", f"c{second}"))
        for first, second in combinations(range(6), 2)
    ]
    assert len(fill(spots, Pod(duration_s=60, max_ads=4))) == 3, "three pairs of six categories"
    monkeypatch.setattr(pod_search, "MAX_STEPS", 2)
    with pytest.raises(TooManyConflicts, match="fewer"):
        fill(spots, Pod(duration_s=60, max_ads=4))


def test_at_its_bounds_a_pod_is_still_filled():
    spots = [
        Spot(f"s{n:03}", 10**9 + n * 7919 % 1_000, 20 + n % 21, f"d{n}") for n in range(MAX_SPOTS)
    ]
    chosen = fill(spots, Pod(duration_s=MAX_POD_S, max_ads=MAX_ADS))
    assert len(chosen) == MAX_ADS


# ---- oracle -------------------------------------------------------------------------------------

TEXT = st.sampled_from(["", "a", "b", "c"])
SPOTS = st.lists(
    st.builds(
        Spot,
        ad_id=st.sampled_from("abcdefgh"),
        value_nanos=st.integers(0, 30),
        duration_s=st.sampled_from([5, 6, 10, 15, 30]),
        adomain=TEXT,
        categories=st.lists(st.sampled_from(["1", "2", "3", "4"]), max_size=2).map(tuple),
        creative_id=TEXT,
        media_url=TEXT,
        slotinpod=st.sampled_from([0, 0, 0, 1, -1, 2]),
    ),
    max_size=6,
    unique_by=lambda spot: spot.ad_id,
)
FLOORS = st.one_of(
    st.fixed_dictionaries({}),
    st.fixed_dictionaries({"min_nanos_per_s": st.integers(1, 2)}),
    st.fixed_dictionaries(
        {
            "duration_floors": st.just((DurationFloor(6, 15, 9), DurationFloor(15, None, 12))),
            "floor_nanos": st.integers(0, 4),
        }
    ),
)
PODS = st.builds(
    lambda floors, **terms: Pod(**terms, **floors),
    floors=FLOORS,
    duration_s=st.integers(5, 60),
    max_ads=st.integers(1, 4),
    distinct=st.lists(
        st.sampled_from(["advertiser", "category", "creative", "media"]), unique=True
    ).map(tuple),
    slotinpod=st.sampled_from([2, 2, 2, 1, -1, 0]),
)


def floor_nanos(spot: Spot, pod: Pod) -> int:
    if pod.min_nanos_per_s:
        return pod.min_nanos_per_s * spot.duration_s
    ranges = [
        one.floor_nanos
        for one in pod.duration_floors
        if one.min_s <= spot.duration_s and (one.max_s is None or spot.duration_s <= one.max_s)
    ]
    return max(ranges) if ranges else pod.floor_nanos


def may_play(order: tuple[Spot, ...], pod: Pod) -> bool:
    """Whether these spots may be played in this order."""
    if len(order) > pod.max_ads or sum(spot.duration_s for spot in order) > pod.duration_s:
        return False
    for position, spot in enumerate(order):
        first = position == 0 and pod.slotinpod in (1, 2)
        last = position == len(order) - 1 and pod.slotinpod in (-1, 2)
        if spot.value_nanos < floor_nanos(spot, pod):
            return False
        if not {0: True, 1: first, -1: last, 2: first or last}[spot.slotinpod]:
            return False
    for one, other in combinations(order, 2):
        same = {
            "advertiser": one.adomain and one.adomain == other.adomain,
            "category": set(one.categories) & set(other.categories),
            "creative": one.creative_id and one.creative_id == other.creative_id,
            "media": one.media_url and one.media_url == other.media_url,
        }
        if any(same[name] for name in pod.distinct):
            return False
    return True


def best_worth(spots: list[Spot], pod: Pod) -> int:
    """By trying every order of every choice."""
    return max(
        sum(spot.value_nanos for spot in chosen)
        for size in range(min(len(spots), pod.max_ads) + 1)
        for chosen in combinations(spots, size)
        if any(may_play(order, pod) for order in permutations(chosen))
    )


@given(SPOTS, PODS)
def test_the_pod_may_be_played_and_none_is_worth_more(spots, pod):
    by_name = {spot.ad_id: spot for spot in spots}
    order = tuple(by_name[name] for name in fill(spots, pod))
    assert may_play(order, pod)
    assert sum(spot.value_nanos for spot in order) == best_worth(spots, pod)
    assert fill(spots[::-1], pod) == [spot.ad_id for spot in order]
    free = [spot.value_nanos for spot in order if not spot.slotinpod]
    assert free == sorted(free, reverse=True), "by value, where no end was promised"


@settings(max_examples=50)
@given(SPOTS, PODS)
def test_a_vcg_price_is_what_the_others_lose_or_the_floor(spots, pod):
    by_name = {spot.ad_id: spot for spot in spots}
    sales = price(spots, pod)
    assert [sale.ad_id for sale in sales] == fill(spots, pod)
    assert [sale.slot for sale in sales] == list(range(len(sales)))
    for sale in sales:
        winner = by_name[sale.ad_id]
        without = best_worth([spot for spot in spots if spot is not winner], pod)
        others = best_worth(spots, pod) - winner.value_nanos
        least = floor_nanos(winner, pod)
        assert sale.price_nanos == max(without - others, least)
        assert least <= sale.price_nanos <= winner.value_nanos


@settings(max_examples=40)
@given(SPOTS.filter(bool), PODS)
def test_no_misreport_of_a_value_pays_under_vcg(spots, pod):
    worth = spots[0].value_nanos

    def gain(value_nanos: int) -> int:
        told = [replace(spots[0], value_nanos=value_nanos), *spots[1:]]
        return sum(
            worth - sale.price_nanos for sale in price(told, pod) if sale.ad_id == spots[0].ad_id
        )

    truth = gain(worth)
    assert truth >= 0
    assert all(gain(value_nanos) <= truth for value_nanos in range(0, 40, 3))


@settings(max_examples=50)
@given(SPOTS, PODS)
def test_a_price_per_second_is_the_best_rate_that_could_take_the_place(spots, pod):
    by_name = {spot.ad_id: spot for spot in spots}
    sales = price(spots, pod, rule="per_second")
    played = [by_name[sale.ad_id] for sale in sales]
    for sale, winner in zip(sales, played, strict=True):
        others = [spot for spot in played if spot is not winner]
        rates = [
            Fraction(rival.value_nanos, rival.duration_s)
            for rival in spots
            if rival not in played
            and rival.value_nanos
            and any(may_play(order, pod) for order in permutations([rival, *others]))
        ]
        offer = ceil(max(rates, default=Fraction(0)) * winner.duration_s)
        least = floor_nanos(winner, pod)
        assert sale.price_nanos == max(least, min(offer, winner.value_nanos))


@settings(max_examples=25)
@given(st.randoms(use_true_random=False))
def test_many_spots_with_crossing_categories_are_filled_as_a_plain_search_would(dice):
    """Thirty spots: beyond permutations, so the oracle is a depth-first search over subsets."""
    spots = [
        Spot(
            f"s{n}",
            dice.randrange(1, 1_000),
            dice.choice([6, 10, 15, 15, 30]),
            f"d{dice.randrange(20)}",
            tuple(sorted({f"c{dice.randrange(12)}" for _ in range(2)})),
        )
        for n in range(30)
    ]
    pod = Pod(duration_s=60, max_ads=4)

    def search(number: int, left_s: int, ads: int, used: frozenset[str]) -> int:
        if number == len(spots) or not ads:
            return 0
        best = search(number + 1, left_s, ads, used)
        spot = spots[number]
        labels = {spot.adomain, *spot.categories}
        if spot.duration_s <= left_s and not labels & used:
            rest = search(number + 1, left_s - spot.duration_s, ads - 1, used | labels)
            best = max(best, spot.value_nanos + rest)
        return best

    by_name = {spot.ad_id: spot for spot in spots}
    chosen = fill(spots, pod)
    assert sum(by_name[name].value_nanos for name in chosen) == search(
        0, pod.duration_s, pod.max_ads, frozenset()
    )
