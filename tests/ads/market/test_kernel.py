"""Batch clearing against brute force in exact fractions, its laws, its twin, and bad input."""

import doctest
from fractions import Fraction
from importlib import import_module
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ringwork.ads import auction
from ringwork.ads.market import clear_batch, kernel, loops, rows
from ringwork.ads.market.rows import FIRST, GSP, VCG
from ringwork.ads.model import Candidate

LOOPS = pytest.mark.parametrize(
    "loop", [loops.clear, loops.clear.py_func, rows.clear], ids=["compiled", "source", "twin"]
)


def table(elements, rows_, columns):
    return hnp.arrays(np.float64, (rows_, columns), elements=elements)


@st.composite
def batches(draw, amounts, qualities):
    """(bids, quality, reserve, factors, budgets left), as the loops take them."""
    auctions, bidders = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    factors = draw(st.lists(st.sampled_from([1.0, 0.5, 0.25]), min_size=1, max_size=4))
    bids = draw(table(amounts, auctions, bidders))
    quality = draw(table(qualities, draw(st.sampled_from([1, auctions])), bidders))
    reserve = draw(hnp.arrays(np.float64, draw(st.sampled_from([1, auctions])), elements=amounts))
    budget = amounts.map(lambda amount: 3 * amount) | st.just(np.inf)
    left = draw(hnp.arrays(np.float64, bidders, elements=budget))
    return bids, quality, reserve, np.array(sorted(factors, reverse=True)), left


# Halves and quarters of small whole numbers are exact in floats, and full of ties.
exact = batches(st.integers(0, 12).map(float), st.sampled_from([0.0, 0.5, 1.0, 2.0]))
rough = batches(st.floats(0, 1e6), st.floats(0, 3))


def cleared(loop, batch, rule):
    """(winners, prices, bars, budgets left) without touching the batch."""
    bids, quality, reserve, factors, left = batch
    left = left.copy()
    shape = (len(bids), len(factors))
    out = (np.empty(shape, np.int64), np.empty(shape), np.empty((len(bids), 2)))
    loop(bids, quality, reserve, factors, rule, left, out)
    return (*out, left)


def ranked(bids, quality, reserve, able):
    """The bidders that take part, best first, by definition."""
    running = [i for i in able if bids[i] >= reserve and bids[i] * quality[i] > 0]
    return sorted(running, key=lambda i: (-bids[i] * quality[i], i))


def brute_force(bids, quality, reserve, factors, able, rule):
    """[(winner, price)] of one auction from nothing but re-ranking at other bids of the winner."""
    sales = []
    for place, winner in enumerate(ranked(bids, quality, reserve, able)[: len(factors)]):
        # Between two thresholds nothing changes, so one bid inside speaks for all of them.
        thresholds = {Fraction(0), reserve, bids[winner]}
        thresholds |= {bids[i] * quality[i] / quality[winner] for i in able if i != winner}
        steps = sorted(t for t in thresholds if t <= bids[winner])
        probes = [(low + high) / 2 for low, high in pairwise(steps)]
        owed, before, needed = Fraction(0), Fraction(0), None
        for threshold, probe in zip(steps, [*probes, bids[winner]], strict=True):
            trial = [*bids[:winner], probe, *bids[winner + 1 :]]
            order = ranked(trial, quality, reserve, able)
            reached = order.index(winner) if winner in order else len(factors)
            clicks = factors[reached] if reached < len(factors) else Fraction(0)
            # Myerson: what is paid is the sum of the bids at which clicks were gained, each times
            # the clicks gained there. GSP: the first bid that reaches the place.
            owed += threshold * (clicks - before)
            before = clicks
            if needed is None and reached <= place:
                needed = threshold
        price = {GSP: needed, FIRST: bids[winner], VCG: owed / factors[place]}[rule]
        sales.append((winner, price))
    return sales


@LOOPS
@pytest.mark.parametrize("rule", [GSP, FIRST, VCG])
@settings(max_examples=40)
@given(batch=exact)
def test_winners_prices_and_budgets_equal_brute_force_in_fractions(loop, rule, batch):
    winners, prices, bars, left = cleared(loop, batch, rule)
    bids, quality, reserve, factors, budgets = batch
    budgets = [Fraction(b) if b < np.inf else Fraction(10**9) for b in budgets]
    factors = [Fraction(f) for f in factors]
    for a in range(len(bids)):
        offers = [Fraction(b) for b in bids[a]]
        weights = [Fraction(q) for q in quality[a if len(quality) > 1 else 0]]
        floor = Fraction(reserve[a if len(reserve) > 1 else 0])
        able = [i for i in range(len(offers)) if offers[i] * factors[0] <= budgets[i]]
        scores = [offers[i] * weights[i] for i in ranked(offers, weights, floor, able)]
        scores += [0] * (len(factors) + 1)
        sales = brute_force(offers, weights, floor, factors, able, rule)
        for place, (winner, price) in enumerate(sales):
            budgets[winner] -= factors[place] * price
        sales += [(-1, Fraction(0))] * (len(factors) - len(sales))
        assert winners[a].tolist() == [winner for winner, _ in sales]
        assert prices[a].tolist() == pytest.approx([float(p) for _, p in sales], rel=1e-12)
        assert bars[a].tolist() == scores[len(factors) - 1 : len(factors) + 1]
    for have, want in zip(left, budgets, strict=True):
        assert have == np.inf or have == want


@pytest.mark.parametrize("rule", [GSP, FIRST, VCG])
@settings(max_examples=50)
@given(batch=rough | exact)
def test_the_twin_gives_the_same_bits(rule, batch):
    want = cleared(rows.clear, batch, rule)
    for have, expected in zip(cleared(loops.clear, batch, rule), want, strict=True):
        assert np.array_equal(have, expected)


@LOOPS
@settings(max_examples=50)
@given(batch=rough)
def test_laws_of_prices(loop, batch):
    bids, _, reserve, factors, budgets = batch
    gsp = cleared(loop, (*batch[:4], np.full_like(budgets, np.inf)), GSP)
    vcg = cleared(loop, (*batch[:4], np.full_like(budgets, np.inf)), VCG)
    winners, prices = gsp[:2]
    assert np.array_equal(winners, vcg[0])
    sold = winners >= 0
    paid_for = np.take_along_axis(bids, winners, axis=1)
    floor = np.broadcast_to(reserve[:, None], prices.shape)
    assert np.all(prices[sold] <= paid_for[sold])
    assert np.all(prices[sold] >= floor[sold])
    assert np.all(vcg[1] <= prices)
    # One place: there is nothing below it to move to, so the two rules are one.
    if len(factors) == 1:
        assert vcg[1] == pytest.approx(prices, rel=1e-12)


@LOOPS
@settings(max_examples=50)
@given(batch=rough, rule=st.sampled_from([GSP, FIRST, VCG]))
def test_nobody_spends_more_than_it_has(loop, batch, rule):
    assert np.all(cleared(loop, batch, rule)[3] >= 0.0)


@settings(max_examples=50)
@given(batch=exact, rule=st.sampled_from(["gsp", "first", "vcg"]))
def test_a_batch_is_its_auctions_one_by_one(batch, rule):
    bids, quality, reserve, factors, _ = batch
    quality = np.broadcast_to(quality, bids.shape)
    reserve = np.broadcast_to(reserve, len(bids))
    winners, prices = clear_batch(bids, quality, reserve, factors, rule=rule)
    for a in range(len(bids)):
        alone = clear_batch(bids[a : a + 1], quality[a], reserve[a], factors, rule=rule)
        assert winners[a].tolist() == alone[0][0].tolist()
        assert prices[a].tolist() == alone[1][0].tolist()


@given(
    bids=st.lists(st.integers(1, 50), min_size=1, max_size=6),
    qualities=st.lists(st.sampled_from([400_000, 1_000_000, 1_500_000]), min_size=6, max_size=6),
    reserve=st.integers(0, 40),
    slots=st.lists(st.integers(1, 9), min_size=1, max_size=4).map(
        lambda s: sorted(s, reverse=True)
    ),
    rule=st.sampled_from(["gsp", "first", "vcg"]),
)
def test_a_batch_agrees_with_the_auction_that_bills(bids, qualities, reserve, slots, rule):
    # That one counts in whole nanos and gives ties a tick; at 10**6 nanos a unit both vanish.
    candidates = [
        Candidate(ad_id=f"{i}", bid_nanos=bid * 10**6, quality_ppm=quality)
        for i, (bid, quality) in enumerate(zip(bids, qualities, strict=False))
    ]
    sales = auction.clear(candidates, slot_ppm=slots, rule=rule, reserve_nanos=reserve * 10**6)
    quality = np.array(qualities[: len(bids)]) / 1e6
    winners, prices = clear_batch([bids], quality, reserve, slots, rule=rule)
    empty = len(slots) - len(sales)
    assert winners[0].tolist() == [int(sale.ad_id) for sale in sales] + [-1] * empty
    billed = [sale.price_nanos / 1e6 for sale in sales] + [0.0] * empty
    assert prices[0].tolist() == pytest.approx(billed, abs=1e-5)


def test_quality_lets_a_lower_bid_win_and_is_undone_in_its_price():
    # Scores: 400 * 1.5 = 600 and 500. The first keeps its place down to 500 / 1.5.
    winners, prices = clear_batch([[400.0, 500.0]], [1.5, 1.0], 0.0, 2)
    assert winners.tolist() == [[0, 1]]
    assert prices.tolist() == [[pytest.approx(1000 / 3), 0.0]]


def test_the_reserve_is_inside_the_vcg_sum():
    # Slots 1 and 1/2, reserve 4, a rival at 6. The first place costs the reserve for the half of its
    # clicks that the second has too, and the rival's 6 for the other half: 5. So a value of 5 earns
    # (5 - 4) / 2 in the second place, honestly, and nothing by bidding 7 for the first.
    winners, prices = clear_batch([[7.0, 6.0], [5.0, 6.0]], 1.0, 4.0, [1.0, 0.5], rule="vcg")
    assert winners.tolist() == [[0, 1], [1, 0]]
    assert prices.tolist() == [[5.0, 4.0], [4.5, 4.0]]


@pytest.mark.parametrize(("rule", "payments"), [("vcg", [600.0, 200.0]), ("gsp", [800.0, 200.0])])
def test_the_payments_of_the_gsp_paper(rule, payments):
    # Edelman, Ostrovsky, Schwarz 2007, section I: values 10, 4, 2; places of 200 and 100 clicks.
    winners, prices = clear_batch([[10.0, 4.0, 2.0]], 1.0, 0.0, [200.0, 100.0], rule=rule)
    assert winners.tolist() == [[0, 1]]
    assert (prices * [200.0, 100.0]).tolist() == [payments]


def test_a_number_of_slots_means_places_that_are_clicked_alike():
    # Equal places: nobody would pay more for the first, so under VCG all pay the best loser's bid.
    prices = clear_batch([[9.0, 7.0, 4.0]], 1.0, 0.0, 2, rule="vcg")[1]
    assert prices.tolist() == [[4.0, 4.0]]


def test_no_auctions_have_no_winners():
    winners, prices = clear_batch(np.empty((0, 3)), 1.0, 0.0, [1.0, 0.5])
    assert winners.shape == prices.shape == (0, 2)


def test_what_cannot_be_written_to_is_cleared_too():
    bids = np.array([[1.0, 2.0]])
    bids.flags.writeable = False
    assert clear_batch(bids, 1.0, 0.0, 1)[0].tolist() == [[1]]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"bids": [[1.0, np.nan]]}, "bids must be numbers"),
        ({"bids": [[1.0, -1.0]]}, "bids must be numbers"),
        ({"bids": [[1.0, np.inf]]}, "bids must be numbers"),
        ({"bids": [1.0, 2.0]}, "auctions x bidders"),
        ({"bids": np.empty((2, 0))}, "auctions x bidders"),
        ({"quality": [1.0, np.nan]}, "quality must be numbers"),
        ({"quality": [1.0]}, r"quality must have the shape \(2,\)"),
        ({"quality": [[1.0, 1.0], [1.0, 1.0]]}, r"quality must have the shape \(1, 2\)"),
        ({"reserve": np.nan}, "reserve must be numbers"),
        ({"reserve": [0.0, 0.0]}, r"reserve must have the shape \(1,\)"),
        ({"slots": 0}, "1 to 100 slots"),
        ({"slots": []}, "1 to 100 slots"),
        ({"slots": [0.5] * 101}, "1 to 100 slots"),
        ({"slots": [0.5, 1.0]}, "never rise"),
        ({"slots": [1.0, 0.0]}, "positive"),
        ({"slots": [[1.0]]}, "positive"),
        ({"slots": [np.nan]}, "slots must be numbers"),
        ({"rule": "third"}, "rule must be one of gsp, second, first, vcg"),
        ({"rule": "second", "slots": 2}, "'second' sells one slot"),
    ],
)
def test_bad_input_is_refused_with_what_is_wrong(change, told):
    given = {"bids": [[1.0, 2.0]], "quality": 1.0, "reserve": 0.0, "slots": 1} | change
    with pytest.raises(ValueError, match=told):
        clear_batch(**given)


def test_without_numba_the_twin_clears(monkeypatch):
    monkeypatch.setattr(kernel, "find_spec", lambda name: None)
    assert kernel.chosen_loop.__wrapped__() is rows.clear


def test_the_loop_is_compiled_once_for_its_one_signature():
    kernel.warm()
    assert kernel.chosen_loop() is loops.clear
    clear_batch([[1, 2]], 1, 0, 1)
    assert len(loops.clear.signatures) == 1


@pytest.mark.parametrize("module", ["kernel", "outlook"])
def test_the_examples_in_the_docstrings_are_true(module):
    results = doctest.testmod(import_module(f"ringwork.ads.market.{module}"))
    assert results.attempted > 0
    assert results.failed == 0
