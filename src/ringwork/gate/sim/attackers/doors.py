"""Side doors: the changes scope, the reinstall, and two accounts for one list."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from ringwork.gate.sim.attackers.strategy import HOUR_S, Attack, Strategy, blend, probing
from ringwork.gate.sim.fleet import Account, Agent, Fleet
from ringwork.gate.sim.protocol import Numbers
from ringwork.gate.sim.world import DAY_S


def reinstalling(fleet: Fleet, strategy: Strategy, accounts: int) -> Iterable[Agent]:
    """A new account on the same SIM every day: messages of confirmation come once a day."""
    return [_reinstall(fleet.buy(strategy.identity), fleet, strategy) for _ in range(accounts)]


def _reinstall(account: Account, fleet: Fleet, strategy: Strategy) -> Agent:
    since_s, batch = 0.0, strategy.batch
    cover = account.book() if strategy.cover else _NOTHING
    while not account.is_spent:
        targets = account.take(strategy.source, batch)
        if not len(targets):
            return
        told = account.sync(blend(targets, cover, strategy, fleet.rng))
        if told.is_ok:
            batch = min(strategy.batch, batch + -(-batch // 4))
            since_s += strategy.every_s
            yield strategy.every_s
            continue
        account.give_back(strategy.source, len(targets))
        if batch > 1:
            batch = max(1, batch // 2)
            since_s += 1.0
            yield 1.0
            continue
        yield max(1.0, DAY_S - since_s)
        account.start_over()
        since_s, batch = 0.0, strategy.batch


def pairing(fleet: Fleet, strategy: Strategy, accounts: int) -> Iterable[Agent]:
    """Accounts in twos, which buy one list between them."""
    bought = [fleet.buy(strategy.identity) for _ in range(accounts)]
    return [
        _pair(one, other, fleet, strategy)
        for one, other in zip(bought[::2], bought[1::2], strict=False)
    ]


def _pair(one: Account, other: Account, fleet: Fleet, strategy: Strategy) -> Agent:
    """Overlapping lists under two books: what one is refused, the other asks for in parts.

    The second also shows the first one's token: a token that is bound to no account, or a list that
    was once charged to anybody, is a free side door.
    """
    batch = strategy.batch
    while not one.is_spent:
        targets = one.take(strategy.source, batch)
        if not len(targets):
            return
        half = len(targets) // 2
        told = one.sync(blend(targets, one.book(), strategy, fleet.rng))
        if told.is_ok:
            # For nothing, if the token is good for others: as many again, under the old proof.
            more = one.take(strategy.source, half)
            stolen = other.sync(np.concatenate([targets, more]), token=one.token)
            if not stolen.is_ok:
                one.give_back(strategy.source, len(more))
            yield strategy.every_s
            continue
        rest = _in_parts(other, targets, half)
        if rest:
            one.give_back(strategy.source, rest)
            batch = max(2, batch // 2)
        yield max(strategy.every_s, min(told.retry_after_s, DAY_S))


def _in_parts(account: Account, targets: Numbers, half: int) -> int:
    """Ask for the two halves; how many at the end stay unasked."""
    for first in (0, half):
        if not account.sync(targets[first : first + half] if first == 0 else targets[half:]).is_ok:
            return len(targets) - first
    return 0


def asking_for_changes(fleet: Fleet, strategy: Strategy, accounts: int) -> Iterable[Agent]:
    """Accounts that each watch a list: who registers is told for nothing where changes are free."""
    return [_watch(fleet.buy(strategy.identity), strategy) for _ in range(accounts)]


def _watch(account: Account, strategy: Strategy) -> Agent:
    """A list at a time, a new one whenever there is room: somebody registers in each of them."""
    batch = strategy.batch
    while not account.is_spent:
        numbers = account.take(strategy.source, batch)
        if not len(numbers):
            return
        told = account.sync(numbers, scope="changes")
        if told.is_ok:
            yield strategy.every_s
            continue
        account.give_back(strategy.source, len(numbers))
        batch = max(1, batch // 2) if told.status == "refused" else batch
        yield min(told.retry_after_s, DAY_S)


_NOTHING: Final = np.zeros(0, np.uint64)

CHANGES: Final = Attack(
    "changes-only",
    "the changes scope alone: who has registered lately",
    Strategy(source="blocks", scope="changes", every_s=HOUR_S),
    asking_for_changes,
)
REINSTALL: Final = Attack(
    "reinstall",
    "delete the account and register its SIM again, daily",
    Strategy(),
    reinstalling,
)
PAIR: Final = Attack(
    "two-accounts",
    "two books and one token for one list",
    Strategy(cover=0.5, batch=200, every_s=12 * HOUR_S),
    pairing,
    group=2,
)
TOKENLESS: Final = Attack(
    "token-lost",
    "send a growing book without its token, as after a reinstall",
    Strategy(keep_token=False, cover=0.7, batch=100, first=True, every_s=24 * HOUR_S),
    probing,
)
