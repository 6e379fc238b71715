"""The one-slot auction against hand-worked prices, its laws, and an oracle in exact fractions."""

from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from ringwork.ads.auction import clear, rank, recompute, score, sell, value
from ringwork.ads.events import Considered, SlotOutcome
from ringwork.ads.model import Candidate, Sale

candidates = st.lists(
    st.builds(
        Candidate,
        ad_id=st.sampled_from("abcdef"),
        bid_nanos=st.integers(0, 60) | st.integers(1, 10**12),
        p_ppb=st.sampled_from([0, 1, 5_000_000, 300_000_000, 10**9]) | st.integers(1, 10**9),
        quality_ppm=st.sampled_from([0, 1, 500_000, 10**6, 1_500_000]),
        multiplier_ppm=st.sampled_from([0, 700_000, 10**6, 1_200_000]),
        shift_nanos=st.sampled_from([0, 0, 3, -5, 40]),
    ),
    max_size=6,
    unique_by=lambda candidate: candidate.ad_id,
)
reserves = st.integers(0, 60) | st.integers(0, 10**9)


def sold(among: list[Candidate], **terms: object) -> Sale | None:
    """The sale of a single slot."""
    sales = clear(among, **terms)
    assert len(sales) <= 1
    return sales[0] if sales else None


def cpm(ad_id: str, bid_nanos: int, **scales: int) -> Candidate:
    return Candidate(ad_id=ad_id, bid_nanos=bid_nanos, **scales)


def test_the_second_price_is_the_next_score():
    sale = sold([cpm("b", 500), cpm("a", 900), cpm("c", 100)], rule="second")
    assert (sale.ad_id, sale.price_nanos) == ("a", 500)


def test_the_later_name_pays_one_more_to_win_the_tie():
    assert sold([cpm("b", 900), cpm("a", 500)], rule="second").price_nanos == 501


def test_equal_bids_go_to_the_earlier_name_at_the_bid():
    sale = sold([cpm("b", 500), cpm("a", 500)], rule="second")
    assert (sale.ad_id, sale.price_nanos) == ("a", 500)


def test_alone_the_winner_pays_the_reserve_or_the_least_that_counts():
    assert sold([cpm("a", 900)], rule="second", reserve_nanos=250).price_nanos == 250
    assert sold([cpm("a", 900)], rule="second").price_nanos == 1


def test_quality_lets_a_lower_bid_win_and_is_undone_in_its_price():
    # Scores: a 400 * 1.5 = 600, b 500. a keeps its place down to 500 / 1.5 = 333.3, so 334.
    sale = sold([cpm("a", 400, quality_ppm=1_500_000), cpm("b", 500)], rule="second")
    assert (sale.ad_id, sale.price_nanos) == ("a", 334)


def test_a_click_price_is_in_clicks():
    # At 0.5 % a bid of 1,000,000 a click is worth 5,000 an impression; 4,000 are 800,000 a click.
    sale = sold([cpm("a", 1_000_000, p_ppb=5_000_000), cpm("b", 4_000)], rule="second")
    assert (sale.ad_id, sale.price_nanos) == ("a", 800_000)


def test_a_shift_moves_the_place_and_is_undone_in_the_price():
    # Scores: a 400 + 200 = 600, b 500. a keeps its place down to a worth of 300.
    sale = sold([cpm("a", 400, shift_nanos=200), cpm("b", 500)], rule="second")
    assert (sale.ad_id, sale.price_nanos) == ("a", 300)


def test_first_price_charges_the_bid():
    assert sold([cpm("a", 900), cpm("b", 500)], rule="first").price_nanos == 900


@pytest.mark.parametrize(
    "candidate",
    [
        cpm("a", 0),
        cpm("a", 99),
        cpm("a", 500, p_ppb=0),
        cpm("a", 500, quality_ppm=0),
        cpm("a", 500, multiplier_ppm=0),
        cpm("a", 500, shift_nanos=-500),
    ],
)
def test_no_sale_below_the_reserve_or_without_a_score(candidate):
    assert sold([candidate], rule="second", reserve_nanos=100) is None


def test_no_candidates_no_sale():
    assert clear([], rule="first") == []


def oracle(among: list[Candidate], reserve_nanos: int) -> tuple[str, int] | None:
    """The second price by fractions and a sort of our own."""
    places = []
    for one in among:
        if min(one.p_ppb, one.quality_ppm, one.multiplier_ppm) < 1:
            continue
        worth = floor(Fraction(one.bid_nanos * one.p_ppb, 10**9))
        weight = Fraction(one.quality_ppm, 10**6) * Fraction(one.multiplier_ppm, 10**6)
        points = floor(worth * weight) + one.shift_nanos
        if worth >= reserve_nanos and points >= 1:
            places.append((points, one.ad_id, weight, one))
    if not places:
        return None
    best = max(place[0] for place in places)
    name = min(place[1] for place in places if place[0] == best)
    _, _, weight, winner = next(place for place in places if place[1] == name)
    others = [place for place in places if place[1] != name]
    to_beat = 1
    if others:
        to_beat = max(place[0] + (name > place[1]) for place in others)
    worth = max(Fraction(reserve_nanos), Fraction(ceil((to_beat - winner.shift_nanos) / weight)))
    return name, ceil(worth * 10**9 / winner.p_ppb)


@given(candidates, reserves)
def test_winner_and_price_are_the_oracle_s(among, reserve_nanos):
    sale = sold(among, rule="second", reserve_nanos=reserve_nanos)
    assert (sale and (sale.ad_id, sale.price_nanos)) == oracle(among, reserve_nanos)


@given(candidates, reserves)
def test_a_price_is_at_most_the_bid_and_order_of_asking_does_not_matter(among, reserve_nanos):
    bids = {candidate.ad_id: candidate.bid_nanos for candidate in among}
    for rule in ("first", "second", "gsp", "vcg"):
        sale = sold(among, rule=rule, reserve_nanos=reserve_nanos)
        assert sold(among[::-1], rule=rule, reserve_nanos=reserve_nanos) == sale
        if sale is not None:
            assert 0 <= sale.price_nanos <= bids[sale.ad_id]


@given(candidates, reserves)
def test_the_price_is_the_least_bid_that_keeps_the_place(among, reserve_nanos):
    sale = sold(among, rule="second", reserve_nanos=reserve_nanos)
    assume(sale is not None)

    def wins(bid_nanos: int) -> bool:
        changed = [
            replace(one, bid_nanos=bid_nanos) if one.ad_id == sale.ad_id else one for one in among
        ]
        again = sold(changed, rule="second", reserve_nanos=reserve_nanos)
        return again is not None and again.ad_id == sale.ad_id

    low, high = -1, next(one.bid_nanos for one in among if one.ad_id == sale.ad_id)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if wins(middle) else (middle, high)
    assert sale.price_nanos == high


@given(candidates, reserves, st.integers(1, 10**9))
def test_raising_a_bid_never_worsens_the_place(among, reserve_nanos, more_nanos):
    assume(among)
    places = [one.candidate.ad_id for one in rank(among, reserve_nanos=reserve_nanos)]
    first = among[0]
    raised = [replace(first, bid_nanos=first.bid_nanos + more_nanos), *among[1:]]
    after = [one.candidate.ad_id for one in rank(raised, reserve_nanos=reserve_nanos)]
    if first.ad_id in places:
        assert after.index(first.ad_id) <= places.index(first.ad_id)


@given(candidates, reserves)
def test_who_is_behind_the_second_changes_nothing(among, reserve_nanos):
    ranked = rank(among, reserve_nanos=reserve_nanos)
    for rule in ("first", "second"):
        sale = sold(among, rule=rule, reserve_nanos=reserve_nanos)
        first_two = [one.candidate for one in ranked[:2]]
        assert sold(first_two, rule=rule, reserve_nanos=reserve_nanos) == sale


@given(candidates)
def test_scores_order_the_ranking_and_ties_go_by_name(among):
    ranked = rank(among)
    keys = [(-score(one.candidate), one.candidate.ad_id) for one in ranked]
    assert keys == sorted(keys)
    assert all(one.score_nanos == score(one.candidate) > 0 for one in ranked)
    assert all(value(one.candidate) >= 0 for one in ranked)


@given(candidates, reserves)
def test_a_single_slot_costs_the_same_under_every_second_price(among, reserve_nanos):
    second = sold(among, rule="second", reserve_nanos=reserve_nanos)
    ranked = rank(among, reserve_nanos=reserve_nanos)
    for rule in ("gsp", "vcg"):
        assert sold(among, rule=rule, reserve_nanos=reserve_nanos) == second
        assert sell(ranked, rule=rule, reserve_nanos=reserve_nanos) == second
    first = sold(among, rule="first", reserve_nanos=reserve_nanos)
    assert sell(ranked, rule="first", reserve_nanos=reserve_nanos) == first


@pytest.mark.parametrize(
    ("rule", "charge_bid", "price_nanos"),
    [
        ("second", False, 500),
        ("gsp", False, 500),
        ("vcg", False, 500),
        ("first", False, 900),
        ("second", True, 900),
    ],
)
def test_a_logged_slot_recomputes(rule, charge_bid, price_nanos):
    considered = [
        Considered(ad_id, "", bid_nanos, 10**9, 10**6, 10**6, 0, bid_nanos)
        for ad_id, bid_nanos in (("a", 900), ("b", 500))
    ]
    outcome = SlotOutcome("1", "banner", rule, 100, 2, {}, considered, charge_bid=charge_bid)
    assert recompute(outcome) == ("a", price_nanos)
    assert recompute(replace(outcome, reserve_nanos=1_000)) is None
