"""Three theorems of auction theory, played on the market simulator and checked.

    python examples/auction_theory.py [--auctions N] [--seed S]

1. Revenue equivalence (Vickrey 1961; Myerson 1981): first price with equilibrium bids earns the
   seller what second price with honest bids does; n bidders uniform on [0, 1]: (n-1)/(n+1).
2. VCG is truthful (Vickrey, Clarke, Groves): whatever the others bid, no misreport pays. In GSP
   some do.
3. The lowest envy-free equilibrium of GSP earns exactly what VCG does (Edelman, Ostrovsky, Schwarz,
   American Economic Review 97(1), 2007, theorem 1).

Every line is an assertion too: where theory and simulator disagree, the script fails.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from math import sqrt
from typing import Final

import numpy as np
import numpy.typing as npt

from ringwork.ads.market import (
    Bidder,
    EquilibriumShade,
    LogNormal,
    Market,
    Strategy,
    Truthful,
    Uniform,
    Values,
    clear_batch,
)
from ringwork.ads.model import Rule

Floats = npt.NDArray[np.float64]
CLICKS: Final = np.array([1.0, 0.6, 0.35])
"""Click factors of three places."""
ROUNDING: Final = 1e-9
ERRORS: Final = 4.0
"""Standard errors that a mean may be off: one honest run in 16,000 is further."""


def revenue_equivalence(auctions: int, generator: np.random.Generator) -> None:
    print("1. Revenue per auction: equilibrium bids at first price, honest bids at second price")
    print(f"   {'values':<12} {'bidders':>7} {'first':>8} {'second':>8} {'theory':>8} {'error':>8}")
    for name, values in (("uniform", Uniform(0.0, 1.0)), ("log-normal", LogNormal(1.0, 0.8))):
        for bidders in (2, 5, 10):
            shade = EquilibriumShade(values, bidders=bidders)
            first = _revenues(values, bidders, shade, "first", auctions, generator)
            second = _revenues(values, bidders, Truthful(), "second", auctions, generator)
            theory = _second_best(values, bidders)
            if name == "uniform":
                assert abs(theory - (bidders - 1) / (bidders + 1)) < 1e-6
            error = max(first.std(), second.std()) / sqrt(auctions)
            assert abs(first.mean() - theory) < ERRORS * error
            assert abs(second.mean() - theory) < ERRORS * error
            print(
                f"   {name:<12} {bidders:>7} {first.mean():>8.4f} {second.mean():>8.4f}"
                f" {theory:>8.4f} {error:>8.4f}"
            )


def _revenues(
    values: Values,
    bidders: int,
    strategy: Strategy,
    rule: Rule,
    auctions: int,
    generator: np.random.Generator,
) -> Floats:
    each = [Bidder(values, strategy) for _ in range(bidders)]
    return Market(each, rule=rule, generator=generator).run(auctions).revenues


def _second_best(values: Values, bidders: int) -> float:
    """The expected second highest of so many values: the integral of the chance to be above x."""
    points = np.unique(np.append(0.0, values.grid(20_001)))
    below = values.cdf(points)
    above = 1.0 - bidders * below ** (bidders - 1) + (bidders - 1) * below**bidders
    return float(np.trapezoid(above, points))


def vcg_truthfulness(profiles: int, generator: np.random.Generator) -> None:
    bidders, reserve = 5, 0.2
    values = generator.uniform(0.0, 1.0, (profiles, bidders))
    quality = generator.uniform(0.5, 1.5, (profiles, bidders))
    print(f"2. Profiles of {profiles:,} in which some misreport pays some bidder")
    print(f"   {'rule':<5} {'profiles':>9} {'best gain':>10}   (bids from 0 to 2 x the value)")
    rules: tuple[Rule, ...] = ("vcg", "gsp")
    for rule in rules:
        honest = _utilities(values, values, quality, reserve, rule)
        gain = np.zeros(profiles)
        for liar in range(bidders):
            for share in np.linspace(0.0, 2.0, 41):
                bids = values.copy()
                bids[:, liar] *= share
                lied = _utilities(bids, values, quality, reserve, rule)[:, liar]
                gain = np.maximum(gain, lied - honest[:, liar])
        paid = int(np.count_nonzero(gain > ROUNDING))
        print(f"   {rule:<5} {paid:>9,} {gain.max():>10.4f}")
        assert (paid == 0) == (rule == "vcg")


def _utilities(
    bids: Floats, values: Floats, quality: npt.ArrayLike, reserve: float, rule: Rule
) -> Floats:
    """Profiles x bidders: clicks x (value - price), 0 for those who win no place."""
    winners, prices = clear_batch(bids, quality, reserve, CLICKS, rule=rule)
    profile, place = np.nonzero(winners >= 0)
    winner = winners[profile, place]
    utilities = np.zeros_like(values)
    utilities[profile, winner] = CLICKS[place] * (values[profile, winner] - prices[profile, place])
    return utilities


def gsp_equilibrium(profiles: int, generator: np.random.Generator) -> None:
    values = -np.sort(-generator.lognormal(0.0, 0.7, (profiles, 6)), axis=1)
    bids = lowest_envy_free(values, CLICKS)
    winners, prices = clear_batch(bids, 1.0, 0.0, CLICKS)
    _, vcg = clear_batch(values, 1.0, 0.0, CLICKS, rule="vcg")
    _, honest = clear_batch(values, 1.0, 0.0, CLICKS)
    assert np.array_equal(winners, np.broadcast_to(np.arange(CLICKS.size), winners.shape))
    assert np.allclose(prices, vcg, rtol=ROUNDING)
    utilities = _utilities(bids, values, 1.0, 0.0, "gsp")
    # Nobody would rather have another's place at that place's price, losers included.
    swapped = CLICKS * (values[:, :, None] - prices[:, None, :])
    assert np.all(swapped <= utilities[:, :, None] + ROUNDING)
    gain = 0.0
    for mover in range(values.shape[1]):
        for rival in range(values.shape[1]):
            for beside in (0.999_999, 1.000_001):  # just below and just above a rival's bid
                moved = bids.copy()
                moved[:, mover] = bids[:, rival] * beside
                after = _utilities(moved, values, 1.0, 0.0, "gsp")[:, mover]
                gain = max(gain, float((after - utilities[:, mover]).max()))
    assert gain <= ROUNDING
    print(f"3. Revenue per auction over {profiles:,} profiles of 6 bidders and 3 places")
    for name, paid in (
        ("GSP, lowest envy-free equilibrium", prices),
        ("VCG, honest bids", vcg),
        ("GSP, honest bids (no equilibrium)", honest),
    ):
        print(f"   {name:<34} {(paid @ CLICKS).mean():>8.6f}")
    print(f"   best gain by another bid in the equilibrium: {gain:.6f}")


def lowest_envy_free(values: Floats, clicks: Floats) -> Floats:
    """Bids of the lowest envy-free equilibrium of GSP; ``values`` descend along each row.

    Who has place i is just as well off in the place above, at the bid it holds there:
    ``a[i-1] b[i] = a[i] b[i+1] + (a[i-1] - a[i]) v[i]``. Losers and the first bid their value.
    """
    bids = values.copy()
    for place in range(clicks.size - 1, 0, -1):
        above, here = clicks[place - 1], clicks[place]
        bids[:, place] = (here * bids[:, place + 1] + (above - here) * values[:, place]) / above
    return bids


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Three theorems of auction theory, checked.")
    parser.add_argument("--auctions", type=int, default=200_000, help="a line of the first table")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    generator = np.random.default_rng(given.seed)
    revenue_equivalence(given.auctions, generator)
    vcg_truthfulness(given.auctions // 20, generator)
    gsp_equilibrium(given.auctions // 20, generator)


if __name__ == "__main__":
    main()
