"""A fleet that learns: tries strategies on the real thing, keeps the better half, varies them.

Successive halving (Karnin, Koren and Somekh, ICML 2013) with mutation in place of the dropped half:
each round is one month in which all strategies run side by side with a few accounts, as a real
attacker would test. It sees what he sees: how many new people the answers named, per account.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from msgspec import Struct, structs

from ringwork.gate.sim.attackers.doors import pairing, reinstalling
from ringwork.gate.sim.attackers.edges import vouching
from ringwork.gate.sim.attackers.strategy import HOUR_S, Attack, Strategy, probing
from ringwork.gate.sim.fleet import Identity, Source

ARMS: Final = 24
ROUNDS: Final = 4
ACCOUNTS: Final = 2
"""Of each arm in a round: fewer, and luck is kept for skill; more, and the search costs more."""

SYNCS_MAX: Final = 720
"""Of an account in a round, one an hour: what is better by asking more often than that shows in the
month that is played with what was found."""

SOURCES: Final[tuple[Source, ...]] = ("blocks", "leak", "region", "region-leak")
BATCHES: Final = (1, 3, 8, 20, 50, 150, 500, 2_000, 10_000)
EVERY_S: Final = (1.0, HOUR_S, 4 * HOUR_S, 12 * HOUR_S, 24 * HOUR_S, 72 * HOUR_S)
COVERS: Final = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
WARM_D: Final = (0.0, 1.0, 3.0, 7.0)
IDENTITIES: Final[tuple[Identity, ...]] = ("fresh", "recycled", "aged")
INBOUND: Final = (0, 0, 5, 15, 40)

KINDS: Final = {
    "probe": Attack("probe", "one account, alone", Strategy(), probing),
    "ring": Attack("ring", "accounts that vouch for each other", Strategy(), vouching),
    "pair": Attack("pair", "two accounts for one list", Strategy(), pairing, group=2),
    "reinstall": Attack("reinstall", "a new account on the SIM daily", Strategy(), reinstalling),
}
"""What an arm does with its parameters."""

Score = Callable[[Sequence[Attack]], Sequence[float]]
"""Plays all arms in one month; learned per account of each."""


class Search(Struct, frozen=True):
    """What the fleet settled on."""

    best: Attack
    score: float
    evaluations: int


def search(score: Score, rng: np.random.Generator, starts: Sequence[Attack]) -> Search:
    """The best arm of the last round; ``starts`` are tried beside random ones."""
    arms = [*starts[:ARMS], *(_random(rng) for _ in range(ARMS - len(starts)))]
    total, evaluations = dict.fromkeys(arms, 0.0), 0
    played = dict.fromkeys(arms, 0)
    for _ in range(ROUNDS):
        for arm, found in zip(arms, score(arms), strict=True):
            total[arm] += found
            played[arm] += 1
        evaluations += len(arms)
        ranked = sorted(arms, key=lambda arm: -total[arm] / played[arm])
        kept = ranked[: max(2, len(arms) // 2)]
        fresh = [_varied(kept[place % len(kept)], rng) for place in range(len(kept) // 2)]
        arms = list(dict.fromkeys([*kept, *fresh]))
        for arm in arms:
            total.setdefault(arm, 0.0)
            played.setdefault(arm, 0)
    tried = [arm for arm in total if played[arm]]
    # Who was tried often is trusted more: one lucky month is not a strategy.
    best = max(tried, key=lambda arm: (total[arm] / played[arm]) * (1 - 0.5 / (1 + played[arm])))
    return Search(best, total[best] / played[best], evaluations)


def _random(rng: np.random.Generator) -> Attack:
    kind = rng.choice(["probe", "probe", *KINDS])
    strategy = Strategy()
    for name in _CHOICES:
        strategy = structs.replace(strategy, **{name: _drawn(name, rng)})
    return structs.replace(KINDS[str(kind)], strategy=strategy)


def _varied(arm: Attack, rng: np.random.Generator) -> Attack:
    """Two of its parameters drawn anew."""
    strategy = arm.strategy
    for name in rng.choice(list(_CHOICES), 2, replace=False).tolist():
        strategy = structs.replace(strategy, **{name: _drawn(name, rng)})
    return structs.replace(arm, strategy=strategy)


_CHOICES: Final[dict[str, Sequence[object]]] = {
    "source": SOURCES,
    "batch": BATCHES,
    "every_s": EVERY_S,
    "cover": COVERS,
    "first": (False, True),
    "warm_d": WARM_D,
    "scope": ("full", "full", "full", "changes"),
    "is_sorted": (False, False, True),
    "keep_token": (True, True, False),
    "is_repeated": (False, False, True),
    "total": (None, None, 24, 200, 2_000),
    "identity": IDENTITIES,
    "inbound": INBOUND,
}


def _drawn(name: str, rng: np.random.Generator) -> object:
    choices = _CHOICES[name]
    return choices[int(rng.integers(len(choices)))]
