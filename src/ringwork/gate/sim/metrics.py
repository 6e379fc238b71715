"""What is measured, and how far it may be believed."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

CONFIDENCE: Final = 0.95
"""One-sided, everywhere."""


def clopper_pearson(events: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """The largest rate at which so few events would not surprise (Clopper and Pearson, 1934).

    One-sided. 0 of n gives about 3/n: nothing finer can be claimed from n trials.

    >>> clopper_pearson(0, 3000) < 0.001 < clopper_pearson(0, 2990)
    True
    """
    if not 0 <= events <= trials or trials < 1:
        raise ValueError(f"expected 0 to n of n >= 1 trials, got {events} of {trials}")
    if events == trials:
        return 1.0
    low, high = events / trials, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _at_most(events, trials, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _at_most(events: int, trials: int, rate: float) -> float:
    """P(X <= events) of a binomial, summed from its largest term in logarithms."""
    if rate <= 0:
        return 1.0
    if rate >= 1:
        return 0.0
    k = np.arange(events + 1)
    steps = np.log(trials - k[:-1]) - np.log(k[1:]) + math.log(rate) - math.log1p(-rate)
    logs = trials * math.log1p(-rate) + np.concatenate([[0.0], np.cumsum(steps)])
    top = float(logs.max())
    return math.exp(top) * float(np.exp(logs - top).sum())


def mean_bound(counts: NDArray[np.int64]) -> float:
    """Upper 95 % bound of the mean of counts, one per account.

    The larger of two: as if all were one Poisson count (which is 3/n where nothing was found), and
    by Student's t over the accounts, whose spread knows that some are luckier.
    """
    n = len(counts)
    total = int(counts.sum())
    poisson = _poisson_bound(total) / n
    if n < 2:
        return poisson
    spread = float(counts.std(ddof=1)) / math.sqrt(n)
    return max(poisson, float(counts.mean()) + _student(n - 1) * spread)


def _poisson_bound(total: int) -> float:
    """Garwood (1936): the largest mean at which at most so many would not surprise."""
    low, high = float(total), total + 10.0 + 4 * math.sqrt(total + 1)
    k = np.arange(total + 1)
    log_factorials = np.concatenate([[0.0], np.cumsum(np.log(k[1:]))])
    for _ in range(60):
        middle = (low + high) / 2
        logs = k * math.log(middle) - middle - log_factorials if middle > 0 else np.zeros(1)
        if float(np.exp(logs).sum()) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return high


def _student(freedom: int) -> float:
    """The 95 % quantile of Student's t: exact for one and two, then Cornish and Fisher's series."""
    if freedom == 1:
        return 6.3138
    if freedom == 2:
        return 2.9200
    z = 1.6448536269514722
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )


class Enumeration(Struct, frozen=True, kw_only=True):
    """One attack against one rule set."""

    rules: str
    mode: str
    attack: str
    bought: bool
    """False: accounts that were aged on purpose or taken over from real people."""
    accounts: int
    learned: int
    """Registered accounts that the attacker neither knew nor owns: distinct of each account (or
    group that works on one list), summed."""
    distinct: int
    """Of all together: fewer where the world was too small for so many attackers."""
    per_account: float
    """E of the spec: learned per account in the days that were played."""
    per_account_bound: float
    luckiest: int
    """What the account, or group, learned that learned most."""
    asked: int
    """Numbers sent."""
    refused: int
    """Answers other than ``ok``."""
    cost_low_nanos: int
    cost_high_nanos: int
    per_1000_low_nanos: int | None
    """None where nothing was learned: no price would have bought it."""
    per_1000_high_nanos: int | None
    world_users: int
    is_exhausted: bool
    """An account went through all of its source: a larger world would have given it more."""
    parameters: str


class Friction(Struct, frozen=True, kw_only=True):
    """What a rule set costs honest people."""

    rules: str
    mode: str
    user_months: int
    touched: int
    """User-months with a refusal, or a delay of more than two seconds."""
    rate: float
    rate_bound: float
    """One-sided 95 %, Clopper and Pearson."""
    by_cause: dict[str, int]
    """Of the touched: what they did when it happened first."""
    recall: float
    """Of the matches that people had a right to, in their last books: what they were told."""
    expected: int
    starved: int
    """User-months in which less than nine tenths of these were told: a denial that nobody sees."""
    starved_bound: float
    syncs: int


class Pages(Struct, frozen=True, kw_only=True):
    """Profile pages: what bots read, and what people feel."""

    rules: str
    distinct_per_account_day: float
    bot_account_days: int
    user_days: int
    touched: int
    rate: float
    rate_bound: float
    challenges: int
