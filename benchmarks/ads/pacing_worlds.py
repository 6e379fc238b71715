"""Simulated days for pacing (ads specification 3.14): traffic, prices, and what a controller buys.

One day in minutes. Every opportunity has a worth and the smallest competing price, both log-normal
and drawn once, so that all controllers meet the same day; a campaign bids its multiplier times the
worth and pays the price it beat (second price). The escrow refuses what the budget does not cover,
whatever a controller says; what it refused is counted, because a controller must not lean on it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from ringwork.ads.pacing import Forecast
from ringwork.ads.pacing.curve import DAY_MINUTES

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ONE_PPM: Final = 1_000_000
BID_NANOS: Final = 4_000_000
"""The bid for a worth of 1: a CPM of 4."""
WORTH_SIGMA: Final = 0.5
PRICE_MEDIAN_NANOS: Final = 2_000_000
PRICE_SIGMA: Final = 0.8
BUDGET_SHARES: Final = (0.1, 0.25, 0.4, 0.6)
"""Of what the day would cost at the full bid; the seed says which."""
CLASSES: Final = 1 << 14
"""Opportunities from which a day that is too large to draw singly is reckoned."""


class Controller(Protocol):
    """What all pacers here have in common."""

    def multiplier(self, now_s: int) -> int:
        """The share of its bid to bid, in 1e-6."""

    def observe(self, now_s: int, spent_nanos: int, opportunities: int) -> None:
        """What came since the last call."""

    def change(self, now_s: int, *, budget_nanos: int | None = None) -> None:
        """The budget changes."""


@dataclass(frozen=True)
class World:
    """A kind of day. Arrays have one number a minute."""

    name: str
    traffic: Floats
    """Expected opportunities."""
    forecast: Floats | None
    """What is expected beforehand; None: nothing is."""
    price_level: Floats
    starts: int = 0
    impressions: float | None = None
    """The budget in impressions at the median price, instead of a share of the day."""
    changes_at: int | None = None
    changes_by: float = 1.0
    is_aggregated: bool = False


@dataclass(frozen=True)
class Day:
    """A world as it came: opportunities in order, minute t has ``ends[t - 1]:ends[t]``."""

    world: World
    counts: Ints
    ends: Ints
    bids: Ints
    prices: Ints
    worth: Floats
    noise: Floats
    """Per minute; used where the day is aggregated."""
    budget_nanos: int

    @property
    def final_budget_nanos(self) -> int:
        return round(self.budget_nanos * self.world.changes_by)

    @property
    def start_s(self) -> int:
        return self.world.starts * 60

    @property
    def forecast(self) -> Forecast | None:
        given = self.world.forecast
        return None if given is None else Forecast.of_minutes(given)


@dataclass(frozen=True)
class Played:
    """What a controller made of a day; one number a minute where it is an array."""

    spend: Ints
    """Cumulated."""
    value: float
    multipliers: Ints
    refused_nanos: int
    """What the escrow stopped."""


def _diurnal(depth: float = 0.7, *, peak: float = 20.0) -> Floats:
    hours = np.arange(DAY_MINUTES) / 60
    shape: Floats = 1.0 + depth * np.cos((hours - peak) * 2 * np.pi / 24)
    return shape


def worlds(mean: float = 60.0) -> dict[str, World]:
    """Every kind of day by name, with so many opportunities a minute where it is not said."""
    ones = np.ones(DAY_MINUTES)
    flat, diurnal = mean * ones, mean * _diurnal()
    shocked, silent, late_shock = flat.copy(), flat.copy(), diurnal.copy()
    shocked[16 * 60 : 18 * 60] *= 3
    silent[12 * 60 : 13 * 60] = 0
    late_shock[9 * 60 : 11 * 60] *= 3
    tripling = 3.0 ** (np.arange(DAY_MINUTES) / DAY_MINUTES)
    few = 10 / 60 * ones
    all_worlds = [
        World("flat", flat, flat, ones),
        World("diurnal", diurnal, diurnal, ones),
        World("rising prices", flat, flat, tripling / np.sqrt(3)),
        World("a rival enters", flat, flat, np.repeat([0.7, 1.4], DAY_MINUTES // 2)),
        World("shock", shocked, flat, ones),
        World("morning shock", late_shock, diurnal, ones),
        World("outage", silent, flat, ones),
        World("wrong forecast", diurnal, np.roll(diurnal, 5 * 60) * 1.4, ones),
        World("no forecast", diurnal, None, ones),
        World("sparse", few, few, ones),
        World("huge", _huge(diurnal), _huge(diurnal), ones, is_aggregated=True),
        World("three impressions", flat, flat, ones, impressions=3.0),
        World("starts at 14:30", diurnal, diurnal, ones, starts=870),
        World("budget doubled at noon", diurnal, diurnal, ones, changes_at=720, changes_by=2.0),
        World("budget cut at noon", diurnal, diurnal, ones, changes_at=720, changes_by=0.7),
    ]
    return {world.name: world for world in all_worlds}


def _huge(shape: Floats) -> Floats:
    return shape * (1e7 / 60 / float(shape.mean()))


def draw(world: World, seed: int) -> Day:
    """A day of a world; equal seeds are equal days."""
    generator = np.random.default_rng([seed, 314])
    counts = generator.poisson(world.traffic).astype(np.int64)
    counts[: world.starts] = 0
    size = CLASSES if world.is_aggregated else int(counts.sum())
    worth = generator.lognormal(-(WORTH_SIGMA**2) / 2, WORTH_SIGMA, size)
    prices = PRICE_MEDIAN_NANOS * generator.lognormal(0.0, PRICE_SIGMA, size)
    if not world.is_aggregated:
        prices *= np.repeat(world.price_level, counts)
    day = Day(
        world=world,
        counts=counts,
        ends=np.cumsum(counts),
        bids=np.rint(BID_NANOS * worth).astype(np.int64),
        prices=np.maximum(np.rint(prices), 1).astype(np.int64),
        worth=worth,
        noise=generator.standard_normal(DAY_MINUTES),
        budget_nanos=0,
    )
    if world.impressions is not None:
        return replace(day, budget_nanos=round(world.impressions * PRICE_MEDIAN_NANOS))
    most = int(day.prices[day.bids >= day.prices].sum())
    if world.is_aggregated:
        most = most * int(counts.sum()) // CLASSES
    share = BUDGET_SHARES[seed % len(BUDGET_SHARES)]
    return replace(day, budget_nanos=round(share * most / max(world.changes_by, 1.0)))


def play(day: Day, controller: Controller) -> Played:
    """The day, minute by minute, with the escrow behind the controller."""
    left = day.budget_nanos
    value, refused = 0.0, 0
    spend = np.zeros(DAY_MINUTES, dtype=np.int64)
    multipliers = np.zeros(DAY_MINUTES, dtype=np.int64)
    buy = _buy_aggregated if day.world.is_aggregated else _buy
    spent = 0
    for minute in range(day.world.starts, DAY_MINUTES):
        if minute == day.world.changes_at:
            controller.change(minute * 60, budget_nanos=day.final_budget_nanos)
            left += day.final_budget_nanos - day.budget_nanos
        pace_ppm = controller.multiplier(minute * 60)
        cost, worth, stopped = buy(day, minute, pace_ppm, max(left, 0))
        spent += cost
        left -= cost
        value += worth
        refused += stopped
        spend[minute], multipliers[minute] = spent, pace_ppm
        controller.observe((minute + 1) * 60, cost, int(day.counts[minute]))
    return Played(spend, value, multipliers, refused)


def _buy(day: Day, minute: int, pace_ppm: int, left: int) -> tuple[int, float, int]:
    """(cost, worth, cost refused by the escrow) of a minute."""
    rows = slice(int(day.ends[minute] - day.counts[minute]), int(day.ends[minute]))
    prices = day.prices[rows]
    won = day.bids[rows] * pace_ppm // ONE_PPM >= prices
    wanted = int(prices[won].sum())
    if wanted > left:
        rest = left
        for number in np.flatnonzero(won):
            if prices[number] <= rest:
                rest -= int(prices[number])
            else:
                won[number] = False
    cost = int(prices[won].sum())
    return cost, float(day.worth[rows][won].sum()), wanted - cost


def _buy_aggregated(day: Day, minute: int, pace_ppm: int, left: int) -> tuple[int, float, int]:
    """The same from the moments of the classes: the sum of very many is normal."""
    won = day.bids * pace_ppm // ONE_PPM >= day.prices
    paid = np.where(won, day.prices, 0).astype(np.float64)
    count = int(day.counts[minute])
    spread = np.sqrt(count * float(np.mean(paid**2))) * float(day.noise[minute])
    wanted = max(round(count * float(paid.mean()) + spread), 0)
    worth = count * float(np.where(won, day.worth, 0.0).mean())
    cost = min(wanted, left)
    return cost, worth * (cost / wanted if wanted else 0.0), wanted - cost


def best_constant(day: Day) -> tuple[float, int, int]:
    """(value, spend, multiplier) of the best multiplier in hindsight that the budget allows."""
    needed = -(-day.prices * ONE_PPM // day.bids)
    each = float(day.counts.sum()) / CLASSES if day.world.is_aggregated else 1.0
    order = np.argsort(needed, kind="stable")
    order = order[needed[order] <= ONE_PPM]
    spends = np.cumsum(day.prices[order]) * each
    bought = int(np.searchsorted(spends, day.final_budget_nanos, side="right"))
    value = float(day.worth[order[:bought]].sum()) * each
    last = int(needed[order[bought - 1]]) if bought else 0
    return value, round(float(spends[bought - 1])) if bought else 0, last


def ideal_curve(day: Day) -> Floats:
    """Spend in proportion to the real traffic of the whole day."""
    return (
        day.final_budget_nanos
        * np.cumsum(day.counts, dtype=np.float64)
        / max(int(day.counts.sum()), 1)
    )


def causal_plan(day: Day) -> Floats:
    """Each minute (budget left) x n / (n + forecast of the rest); no controller, only arithmetic."""
    forecast = day.world.forecast
    unknown = np.full(DAY_MINUTES, day.counts.mean())
    expected = unknown if forecast is None else forecast
    rest = np.append(np.cumsum(expected[::-1])[::-1][1:], 0.0)
    plan = np.zeros(DAY_MINUTES)
    planned, budget = 0.0, float(day.budget_nanos)
    for minute in range(day.world.starts, DAY_MINUTES):
        if minute == day.world.changes_at:
            budget = float(day.final_budget_nanos)
        came = float(day.counts[minute])
        if came:
            planned += max(budget - planned, 0.0) * came / (came + rest[minute])
        plan[minute] = planned
    return plan


def gap(spend: Ints, curve: Floats, budget_nanos: int, *, from_minute: int) -> float:
    """The farthest that a spend is from a curve, as a share of the budget."""
    apart = np.abs(spend - curve)[from_minute:]
    return float(apart.max()) / budget_nanos
