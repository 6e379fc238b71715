"""The market simulator: auctions a CPU second, beside one sort of every batch (specification, G9).

48 bidders, 3 places, quality, a reserve. The peer clears a batch as AuctionNet's environment does: argsort
for who, sort for how much, the next score as the price, the reserve as its floor; with quality put in,
because an ad auction has one, and in whichever batch size suits it best. Both clear the same bids, in turns,
and must agree on every winner and price. What is timed of ours is the public call, its checks included.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np

from ringwork.ads.market import (
    Bidder,
    LogNormal,
    Market,
    Paced,
    TargetReturn,
    Truthful,
    clear_batch,
    warm,
)
from ringwork.ads.market.rows import Floats, Ints
from ringwork.ads.model import Rule

BIDDERS = 48
CLICKS = np.array([1.0, 0.8, 0.6])
RESERVE = 0.5
PEER_BATCHES = (64, 256, 1024, 4096)
TARGET_PER_S = 1_500_000
SEED = 9

Cleared = tuple[Ints, Floats]


def sorted_batch(bids: Floats, quality: Floats) -> Cleared:
    """The peer: two sorts a batch."""
    scores = np.where(bids >= RESERVE, bids * quality, 0.0)
    places = CLICKS.size
    winners = np.argsort(-scores, axis=1)[:, :places]
    best = -np.sort(-scores, axis=1)[:, : places + 1]
    prices = best[:, 1:] / np.take_along_axis(quality, winners, axis=1)
    prices[prices < RESERVE] = RESERVE
    return winners, prices


def in_batches(bids: Floats, quality: Floats, size: int) -> list[Cleared]:
    return [
        sorted_batch(bids[start : start + size], quality[start : start + size])
        for start in range(0, len(bids), size)
    ]


def cpu_s(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def agree(ours: Cleared, theirs: list[Cleared]) -> None:
    winners = np.concatenate([part[0] for part in theirs])
    prices = np.concatenate([part[1] for part in theirs])
    assert ours[0].min() >= 0, "a place stayed empty, which the peer does not know"
    assert np.array_equal(ours[0], winners), "winners differ from the peer's"
    assert np.allclose(ours[1], prices, rtol=1e-12, atol=0.0), "prices differ from the peer's"


def clearing(auctions: int, rounds: int) -> list[dict[str, object]]:
    generator = np.random.default_rng(SEED)
    bids = generator.lognormal(0.0, 1.0, (auctions, BIDDERS))
    quality = generator.uniform(0.5, 1.5, (auctions, BIDDERS))
    agree(clear_batch(bids, quality, RESERVE, CLICKS), in_batches(bids, quality, 1024))
    rules: tuple[Rule, ...] = ("gsp", "vcg")
    ours = dict.fromkeys(rules, np.inf)
    peer = dict.fromkeys(PEER_BATCHES, np.inf)
    for _ in range(rounds):
        for rule in rules:
            took = cpu_s(partial(clear_batch, bids, quality, RESERVE, CLICKS, rule=rule))
            ours[rule] = min(ours[rule], took)
        for size in PEER_BATCHES:
            peer[size] = min(peer[size], cpu_s(partial(in_batches, bids, quality, size)))
    size = min(PEER_BATCHES, key=lambda size: peer[size])
    peer_per_s = auctions / peer[size]
    goals: list[dict[str, object]] = []
    for rule in rules:
        per_s = auctions / ours[rule]
        goal: dict[str, object] = {
            "goal": f"market: {rule.upper()} auctions of {BIDDERS} bidders, 3 slots, quality, reserve",
            "measured": round(per_s),
            "target": TARGET_PER_S,
            "unit": "auctions/CPU-s",
            "ok": per_s >= TARGET_PER_S,
        }
        if rule == "gsp":
            goal["peer"] = f"AuctionNet's two sorts a batch of {size}: {peer_per_s:,.0f}"
            goal["ratio"] = round(per_s / peer_per_s, 1)
        goals.append(goal)
    return goals


def whole_market(auctions: int) -> dict[str, object]:
    """Values drawn, strategies, budgets and learning included: what a forecast pays for."""
    worth = LogNormal(1.0, 1.0)
    bidders = [
        Bidder(
            worth, (Truthful, Paced, lambda: TargetReturn(2.0))[number % 3](), budget=auctions / 20
        )
        for number in range(BIDDERS)
    ]
    market = Market(bidders, slots=CLICKS, reserve=RESERVE, generator=np.random.default_rng(SEED))
    market.run(2_048)
    drawn = np.random.default_rng(SEED)
    drawing_s = cpu_s(lambda: [worth.draw(drawn, auctions) for _ in range(BIDDERS)])
    took_s = cpu_s(lambda: market.run(auctions))
    return {
        "goal": f"market: whole rounds of {BIDDERS} bidders, drawing, bidding, budgets, learning",
        "measured": round(auctions / took_s),
        "target": 0,
        "unit": "auctions/CPU-s",
        "ok": True,
        "peer": f"drawing the {BIDDERS} log-normal values alone: {auctions / drawing_s:,.0f}",
        "ratio": round(drawing_s / took_s, 2),
    }


def run(quick: bool) -> list[dict[str, object]]:
    """The goal, from the best of a few rounds or of many."""
    warm()
    goals = clearing(auctions=16_384, rounds=7 if quick else 40)
    return [*goals, whole_market(auctions=50_000 if quick else 400_000)]
