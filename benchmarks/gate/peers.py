"""What ``limits`` is asked in these benchmarks, and the traffic that both sides get."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

from limits import parse
from limits.storage import Storage
from limits.strategies import (
    FixedWindowRateLimiter,
    MovingWindowRateLimiter,
    RateLimiter,
    SlidingWindowCounterRateLimiter,
)

STRATEGIES: Final[dict[str, type[RateLimiter]]] = {
    "fixed": FixedWindowRateLimiter,
    "moving": MovingWindowRateLimiter,
    "sliding": SlidingWindowCounterRateLimiter,
}
SEED: Final = 26


def peers(storage: Callable[[], Storage], item: str) -> dict[str, Callable[[str], bool]]:
    """One key asked of each strategy, with counters of its own."""
    found = {}
    for name, strategy in STRATEGIES.items():
        limiter, limit = strategy(storage()), parse(item)
        found[name] = lambda key, limiter=limiter, limit=limit: limiter.hit(limit, key)
    return found


def zipf(count: int, keys: int) -> list[str]:
    """Keys as popular as words: the n-th comes 1/n as often as the first."""
    weights = [1 / (n + 1) for n in range(keys)]
    picked = random.Random(SEED).choices(range(keys), weights, k=count)
    return [f"user-{n}" for n in picked]


def uniform(count: int, keys: int) -> list[str]:
    rng = random.Random(SEED)
    return [f"user-{rng.randrange(keys)}" for _ in range(count)]


def first_of_each(keys: Sequence[str], limit: int) -> list[bool]:
    """Which a limit of so many per key admits, if no time passes."""
    seen: dict[str, int] = {}
    found = []
    for key in keys:
        seen[key] = seen.get(key, 0) + 1
        found.append(seen[key] <= limit)
    return found
