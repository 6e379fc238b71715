"""Parameters of an attack, and the life of an account that plays them and adapts to refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
from msgspec import Struct

from ringwork.gate.sim.fleet import Account, Agent, Fleet, Identity, Source
from ringwork.gate.sim.protocol import NUMBERS_MAX, Numbers, Scope
from ringwork.gate.sim.world import DAY_S

HOUR_S: Final = 3600.0
_NOTHING: Final = np.zeros(0, np.uint64)
PATIENCE_S: Final = 6 * HOUR_S
"""Told to wait longer, an attacker asks for less instead."""


class Strategy(Struct, frozen=True, kw_only=True):
    """What an attacker may choose; the learning fleet searches over all of it."""

    source: Source = "leak"
    batch: int = NUMBERS_MAX
    """Targets per sync, at most."""
    every_s: float = 1.0
    cover: float = 0.0
    """Share of a sync that is own, coherent contacts: a real person's book."""
    first: bool = False
    """Send that book first and alone, and targets only afterwards."""
    warm_d: float = 0.0
    """Days of quiet after it."""
    scope: Scope = "full"
    is_sorted: bool = False
    """Walk the source in order: neighbours together, but sequences show."""
    keep_token: bool = True
    total: int | None = None
    """Targets of one account in all."""
    is_repeated: bool = False
    """Send what was asked before with every sync: what was held back may be told now."""
    identity: Identity = "fresh"
    inbound: int = 0
    """People who are paid for to save the account's number."""


class Attack(Struct, frozen=True):
    """A named strategy."""

    name: str
    title: str
    strategy: Strategy
    live: Callable[[Fleet, Strategy, int], Iterable[Agent]]
    """One agent for each of so many accounts."""
    accounts: int = 8
    """How many accounts a measurement takes where nothing else is said."""
    group: int = 1
    """Accounts that work on one list: what they learn is shared among them."""

    @property
    def bought(self) -> bool:
        """Not taken over from a real person: those have a bound of their own (spec 6)."""
        return self.strategy.identity != "taken"


def probing(fleet: Fleet, strategy: Strategy, accounts: int) -> Iterable[Agent]:
    """Accounts that each play the strategy."""
    return [probe(fleet.buy(strategy.identity), fleet, strategy) for _ in range(accounts)]


def probe(account: Account, fleet: Fleet, strategy: Strategy) -> Agent:
    """Ask for targets, hidden among own contacts; after a refusal wait, or ask for half as many.

    What was refused is asked again, by whoever of the fleet comes next.
    """
    if strategy.inbound:
        account.poison(strategy.inbound)
        yield HOUR_S
    if strategy.first:
        account.sync(account.book())
        yield strategy.warm_d * DAY_S
    cover = account.book() if strategy.cover else _NOTHING
    batch, asked, before = strategy.batch, 0, _NOTHING
    while not account.is_spent:
        wanted = batch if strategy.total is None else min(batch, strategy.total - asked)
        targets = account.take(strategy.source, wanted, is_sorted=strategy.is_sorted)
        if not len(targets) and not len(before):
            return
        if not strategy.keep_token:
            account.lose_token()
        fresh = blend(targets, cover, strategy, fleet.rng)
        told = account.sync(np.concatenate([before, fresh]), scope=strategy.scope)
        if told.is_ok:
            asked += len(targets)
            if strategy.is_repeated:
                before = np.concatenate([before, fresh])[-NUMBERS_MAX // 2 :]
            batch = min(strategy.batch, batch + -(-batch // 4))
            yield strategy.every_s
            continue
        account.give_back(strategy.source, len(targets), is_sorted=strategy.is_sorted)
        wait = min(told.retry_after_s, DAY_S)
        if batch > 1 and (told.status == "refused" or told.retry_after_s > PATIENCE_S):
            batch = max(1, min(batch, len(targets)) // 2)
            wait = wait if told.status == "refused" else 1.0
        yield max(strategy.every_s, wait)


def blend(
    targets: Numbers, cover: Numbers, strategy: Strategy, rng: np.random.Generator
) -> Numbers:
    """Targets among own contacts, as many as the share asks for and the book has."""
    if not strategy.cover or not len(cover):
        return targets
    wanted = round(len(targets) * strategy.cover / (1 - strategy.cover))
    room = NUMBERS_MAX - len(targets)
    own = rng.choice(cover, min(wanted, len(cover), room), replace=False)
    mixed = np.concatenate([targets, own])
    return np.sort(mixed) if strategy.is_sorted else np.asarray(rng.permutation(mixed), np.uint64)
