"""Auctions: CPU time per clear, and every answer against a plain solution of another kind.

No package sells slots in exact integers, so the peer is the same auction as one would write it down
in floats: no reserve inside a sum, no ties, prices off by a nano or more. Products of three factors
pass 64 bits, so exactness has a price in Python; it may be twice the CPU, and keeping competitors
apart five times. A break may take 2 ms, which is what a request may take at the 99th percentile (ads
specification, section 6), its prices 10. These targets are ours. The answers are compared with prices that are found in fractions,
or by re-ranking everything for each bid of a bisection, and with a depth-first search over the spots
of a break. Times are those of the best of several rounds over auctions that differ.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil, floor
from typing import Final, TypeVar

from msgspec.structs import replace

from benchmarks.foundation.event_log import result
from ringwork.ads import auction, pods
from ringwork.ads.model import Candidate, Rule, Sale

T = TypeVar("T")

SEED: Final = 12
SLOTS: Final = (1_000_000, 700_000, 500_000, 300_000)
RESERVE_NANOS: Final = 200_000
RULES: Final[tuple[Rule, ...]] = ("gsp", "vcg")
POD: Final = pods.Pod(duration_s=60, max_ads=8, min_nanos_per_s=20_000)


def market(rng: random.Random, count: int) -> list[Candidate]:
    """Bids per impression and per click, of different quality."""
    found = []
    for number in range(count):
        p_ppb = 10**9 if rng.random() < 0.7 else rng.randrange(10**6, 3 * 10**7)
        found.append(
            Candidate(
                ad_id=f"campaign-{number}.ad",
                bid_nanos=int(rng.lognormvariate(0, 0.6) * 10**15) // p_ppb,
                p_ppb=p_ppb,
                quality_ppm=rng.choice((1_000_000, 1_000_000, 850_000, 1_200_000)),
                shift_nanos=rng.choice((0, 0, 0, 40_000, -25_000)),
            )
        )
    return found


def break_of(rng: random.Random) -> list[pods.Spot]:
    """Thirty spots of twenty advertisers, one or two of twenty categories each."""
    spots = []
    for number in range(30):
        duration_s = rng.choice((6, 10, 15, 15, 20, 30, 30))
        spots.append(
            pods.Spot(
                f"spot-{number}",
                int(rng.lognormvariate(0, 0.6) * 10**5) * duration_s,
                duration_s,
                f"d{rng.randrange(20)}.example",
                tuple(f"IAB{rng.randrange(1, 21)}" for _ in range(rng.randrange(1, 3))),
            )
        )
    return spots


def order_of(candidates: Sequence[Candidate]) -> list[tuple[int, str]]:
    """(points, name), best first, in fractions."""
    places = []
    for one in candidates:
        worth = floor(Fraction(one.bid_nanos * one.p_ppb, 10**9))
        scale = Fraction(one.quality_ppm * one.multiplier_ppm, 10**12)
        points = floor(worth * scale) + one.shift_nanos
        if worth >= RESERVE_NANOS and points > 0:
            places.append((-points, one.ad_id))
    return [(-points, name) for points, name in sorted(places)]


def bisected(candidates: Sequence[Candidate], name: str, slot: int) -> int:
    """The least bid with which ``name`` has ``slot`` or a better one, everything ranked anew."""
    low, high = -1, next(one.bid_nanos for one in candidates if one.ad_id == name)
    while high - low > 1:
        middle = (low + high) // 2
        bids = [replace(one, bid_nanos=middle) if one.ad_id == name else one for one in candidates]
        keeps = name in [place[1] for place in order_of(bids)[: slot + 1]]
        low, high = (low, middle) if keeps else (middle, high)
    return high


def vcg_price(candidates: Sequence[Candidate], slot: int) -> int:
    """The specification's fraction."""
    order = order_of(candidates)
    winner = next(one for one in candidates if one.ad_id == order[slot][1])
    scale = Fraction(winner.quality_ppm * winner.multiplier_ppm, 10**12)
    least = RESERVE_NANOS * scale + winner.shift_nanos
    charge = Fraction(0)
    for lower in range(slot, len(SLOTS)):
        step = SLOTS[lower] - (SLOTS[lower + 1] if lower + 1 < len(SLOTS) else 0)
        points, name = order[lower + 1]
        charge += step * max(Fraction(points + (winner.ad_id > name)), least)
    worth = ceil((charge / SLOTS[slot] - winner.shift_nanos) / scale)
    return ceil(Fraction(worth * 10**9, winner.p_ppb))


def best_break(spots: Sequence[pods.Spot]) -> int:
    """The worth of the best pod, by trying what fits, dearest first."""
    able = [one for one in spots if one.value_nanos >= POD.min_nanos_per_s * one.duration_s]
    able.sort(key=lambda one: one.value_nanos, reverse=True)
    best = 0

    def search(start: int, left_s: int, ads: int, used: set[str], worth: int) -> None:
        nonlocal best
        best = max(best, worth)
        if not ads:
            return
        for number in range(start, len(able)):
            spot = able[number]
            if worth + spot.value_nanos * ads <= best:
                return  # even as many of this, the dearest left, would not do
            labels = {str(spot.adomain), *spot.categories}
            if spot.duration_s <= left_s and not labels & used:
                rest_s = left_s - spot.duration_s
                search(number + 1, rest_s, ads - 1, used | labels, worth + spot.value_nanos)

    search(0, POD.duration_s, POD.max_ads, set(), 0)
    return best


def check(markets: Sequence[list[Candidate]], breaks: Sequence[list[pods.Spot]]) -> None:
    """Every answer is right; AssertionError where one is not."""
    for candidates in markets:
        order = order_of(candidates)
        for rule in RULES:
            for sale in clear(candidates, rule):
                assert sale.ad_id == order[sale.slot][1], "the best stand first"
                expected = (
                    bisected(candidates, sale.ad_id, sale.slot)
                    if rule == "gsp"
                    else vcg_price(candidates, sale.slot)
                )
                assert sale.price_nanos == expected, f"{rule}: {sale.price_nanos} != {expected}"
        ranked = auction.rank(candidates, reserve_nanos=RESERVE_NANOS)
        single = auction.sell(ranked, rule="second", reserve_nanos=RESERVE_NANOS)
        assert single is not None
        assert single.price_nanos == bisected(candidates, order[0][1], 0), "a single slot"
        for rule in RULES:
            names = [name for name, _ in in_floats(candidates, rule)]
            assert names == [sale.ad_id for sale in clear(candidates, rule)], "as many floats"
    for spots in breaks:
        values = {spot.ad_id: spot.value_nanos for spot in spots}
        assert sum(values[name] for name in pods.fill(spots, POD)) == best_break(spots), "a pod"
        for paid in pods.price(spots, POD):
            without = best_break([spot for spot in spots if spot.ad_id != paid.ad_id])
            duration_s = next(spot.duration_s for spot in spots if spot.ad_id == paid.ad_id)
            lost = without - (best_break(spots) - values[paid.ad_id])
            assert paid.price_nanos == max(lost, POD.min_nanos_per_s * duration_s), "its price"


def clear(candidates: list[Candidate], rule: Rule) -> list[Sale]:
    return auction.clear(candidates, slot_ppm=SLOTS, rule=rule, reserve_nanos=RESERVE_NANOS)


def sell_one(candidates: list[Candidate]) -> None:
    """As a request does."""
    ranked = auction.rank(candidates, reserve_nanos=RESERVE_NANOS)
    auction.sell(ranked, rule="second", reserve_nanos=RESERVE_NANOS)


def apart(candidates: list[Candidate]) -> None:
    """Several slots, one ad per advertiser, competitors kept apart."""
    names = [one.ad_id for one in candidates]
    auction.clear(
        candidates,
        slot_ppm=SLOTS,
        reserve_nanos=RESERVE_NANOS,
        advertisers={name: number % 9 for number, name in enumerate(names)},
        groups={name: (number % 6,) for number, name in enumerate(names)},
    )


def in_floats(candidates: list[Candidate], rule: Rule) -> list[tuple[str, float]]:
    """The peer: (winner, price) as written down plainly."""
    places = []
    for one in candidates:
        worth = one.bid_nanos * (one.p_ppb / 1e9)
        if worth >= RESERVE_NANOS:
            scale = one.quality_ppm / 1e6 * (one.multiplier_ppm / 1e6)
            places.append((worth * scale + one.shift_nanos, scale, one))
    places.sort(key=lambda place: place[0], reverse=True)
    sales = []
    for slot, (_, scale, winner) in enumerate(places[: len(SLOTS)]):
        if rule == "vcg":
            points = 0.0
            for lower in range(slot, len(SLOTS)):
                step = SLOTS[lower] - (SLOTS[lower + 1] if lower + 1 < len(SLOTS) else 0)
                points += step * (places[lower + 1][0] if lower + 1 < len(places) else 0.0)
            points /= SLOTS[slot]
        else:
            points = places[slot + 1][0] if slot + 1 < len(places) else 0.0
        worth = max((points - winner.shift_nanos) / scale, RESERVE_NANOS)
        sales.append((winner.ad_id, worth / (winner.p_ppb / 1e9)))
    return sales


def one_in_floats(candidates: list[Candidate]) -> tuple[str, float] | None:
    """The peer for a single slot."""
    places = []
    for one in candidates:
        worth = one.bid_nanos * (one.p_ppb / 1e9)
        if worth >= RESERVE_NANOS:
            scale = one.quality_ppm / 1e6 * (one.multiplier_ppm / 1e6)
            places.append((worth * scale + one.shift_nanos, scale, one))
    if not places:
        return None
    places.sort(key=lambda place: place[0], reverse=True)
    _, scale, winner = places[0]
    points = places[1][0] if len(places) > 1 else 0.0
    worth = max((points - winner.shift_nanos) / scale, RESERVE_NANOS)
    return winner.ad_id, worth / (winner.p_ppb / 1e9)


def best_us(runs: Sequence[Callable[[T], object]], inputs: Sequence[T], rounds: int) -> list[float]:
    """CPU microseconds per input of each run in its best round, taken in turn."""
    best_s = [float("inf")] * len(runs)
    for _ in range(rounds):
        for number, run_one in enumerate(runs):
            started = time.process_time()
            for one in inputs:
                run_one(one)
            best_s[number] = min(best_s[number], time.process_time() - started)
    return [found_s / len(inputs) * 1e6 for found_s in best_s]


def beside_floats(
    name: str, ours_us: float, peer_us: float, target: float, floats: str = "floats"
) -> dict[str, object]:
    """A goal as a ratio to the same in floats."""
    ratio = ours_us / peer_us
    told = f"{floats} {peer_us:.1f} us, ours {ours_us:.1f} us"
    goal = result(f"auction: {name}: CPU beside floats", ratio, target, "x", at_most=True)
    return {**goal, "peer": told, "ratio": round(ratio, 2)}


def run(quick: bool) -> list[dict[str, object]]:
    """The goals."""
    rng = random.Random(SEED)
    count, rounds = (50, 20) if quick else (200, 60)
    small = [market(rng, 8) for _ in range(count)]
    large = [market(rng, 32) for _ in range(count)]
    breaks = [break_of(rng) for _ in range(8 if quick else 40)]
    check(large[: 5 if quick else 50], breaks[: 3 if quick else 20])
    single = best_us((sell_one, one_in_floats), small, rounds)
    gsp = best_us(
        (lambda one: clear(one, "gsp"), lambda one: in_floats(one, "gsp"), apart), large, rounds
    )
    vcg = best_us((lambda one: clear(one, "vcg"), lambda one: in_floats(one, "vcg")), large, rounds)
    filled, priced = best_us(
        (lambda one: pods.fill(one, POD), lambda one: pods.price(one, POD)), breaks, rounds // 4
    )
    return [
        beside_floats("one slot, 8 candidates, rank and sell", single[0], single[1], 2),
        beside_floats("GSP, 4 slots, 32 candidates", gsp[0], gsp[1], 2),
        beside_floats("VCG, 4 slots, 32 candidates", vcg[0], vcg[1], 2),
        beside_floats("GSP, 4 of 32, kept apart", gsp[2], gsp[1], 5, "without keeping apart"),
        result("auction: a 60 s pod of 30 spots", filled, 2_000, "us CPU", at_most=True),
        result("auction: its VCG prices", priced, 10_000, "us CPU", at_most=True),
    ]
