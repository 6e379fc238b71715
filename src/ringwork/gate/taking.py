"""A decision that asks the shared store: what is asked, in which order, and how it is undone.

All or nothing over both sides. What only this process counts is looked at first and charged last,
without a wait between: nobody else can come between the answer of the store and it. Only where it
refuses after all, since another request took the last unit meanwhile, the store is told to undo.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from ringwork.gate.decision import Action, Reason
from ringwork.gate.limits.leases import SharedTable
from ringwork.gate.limits.model import Key
from ringwork.gate.limits.shared import Ask, Heard, SharedLimits
from ringwork.gate.plan import Compiled
from ringwork.kernel.counters import Mode

ENDS_HERE: Final[frozenset[Action]] = frozenset({"challenge", "block"})
"""Actions after which nothing of the request is done, so nothing is charged."""
ALONE: Final = "counted by this machine alone, within its share of the limit"
DOWN: Final = "the shared store does not answer"

Asked = tuple[Compiled, Key, int]


class Outcome(Struct):
    """What the limits said, all of them."""

    taken: list[Asked]
    """Charged, to be given back if the request ends here."""
    refusing: list[Compiled]
    wait_ps: int
    reasons: list[Reason]


class Taking(Struct, frozen=True):
    """One decision on its way."""

    asks: Sequence[Ask]
    """Of the store."""
    rules: Sequence[Compiled]
    """Of the asks."""
    in_hand: Sequence[Asked]
    """Shared limits that need not ask."""
    local: Sequence[Asked]
    shadowed: Sequence[Asked]
    """Not enforced, and without the store."""

    @property
    def wanted(self) -> list[tuple[SharedTable, Key, int]]:
        """Of whom it asks for what."""
        return [(one.table, one.key, one.cost) for one in self.asks]


def ends(one: Compiled) -> bool:
    """Whether a request that this rule refuses goes no further: evidence alone ends nothing."""
    return one.rule.evidence is None and one.rule.over.action in ENDS_HERE


def divided(
    asked: Sequence[Asked], shadowed: Sequence[Asked], actor: tuple[str, ...], now_ps: int
) -> Taking | None:
    """What has to be asked of the store; None where nothing has."""
    asks: list[Ask] = []
    rules: list[Compiled] = []
    in_hand: list[Asked] = []
    local: list[Asked] = []
    rest: list[Asked] = []
    for ones, is_shadow in ((asked, False), (shadowed, True)):
        for one in ones:
            compiled, key, cost = one
            table = compiled.table
            if not isinstance(table, SharedTable):
                (rest if is_shadow else local).append(one)
                continue
            if now_ps >= table.swap_ps:
                table.turn(now_ps)
            if not table.is_short(key, cost, now_ps):
                (rest if is_shadow else in_hand).append(one)
                continue
            rule = compiled.rule
            # Counters of one actor stand together; those that actors share stand by themselves.
            place = actor if actor[0] in rule.key else key
            mode: Mode = "alone" if is_shadow else "all" if ends(compiled) else "soft"
            asks.append(Ask(table, key, cost, repr(place), mode, rule.fail == "closed"))
            rules.append(compiled)
    return Taking(asks, rules, in_hand, local, rest) if asks else None


def is_refused_here(taking: Taking, now_ps: int) -> bool:
    """Whether it ends without the store: then that is not asked, and nothing is charged there."""
    for compiled, key, cost in (*taking.in_hand, *taking.local):
        table = compiled.table
        if now_ps >= table.swap_ps:
            table.turn(now_ps)
        if ends(compiled) and table.wait_ps(key, cost, now_ps):
            return True
    return False


async def settled_with_store(
    shared: SharedLimits, taking: Taking, now_ps: Callable[[], int]
) -> Outcome:
    """Ask the store, then charge what is counted here; or charge nothing."""
    held, refusing, wait_ps = take(taking.in_hand, now_ps())  # others go on while this waits
    heard = await shared.ask(taking.asks)
    local, refusing_local, wait_local_ps = take(taking.local, now_ps())
    refusing += refusing_local
    longest = max(wait_ps, wait_local_ps)
    shadows: list[Reason] = []
    for one, rule, wait in zip(taking.asks, taking.rules, heard.waits_ps, strict=True):
        if wait and one.mode == "alone":
            shadows.append(Reason(rule.rule.name, "over its limit", is_shadow=True))
        elif wait:
            refusing.append(rule)
            longest = max(longest, wait)
    refusing.sort(key=lambda rule: rule.number)
    if any(ends(one) for one in refusing):
        for rule, key, cost in held:
            assert isinstance(rule.table, SharedTable)
            rule.table.unspend(key, cost)
        await shared.give_back(taking.asks, heard)
    reasons = [Reason(one.rule.name, "over its limit") for one in refusing]
    reasons += shadows
    return Outcome(local, refusing, longest, reasons + without_store(taking, heard))


def without_store(taking: Taking, heard: Heard) -> list[Reason]:
    """Said of every limit that the store was not there for."""
    if heard.answered is not None:
        return []
    return [
        Reason(rule.rule.name, DOWN if one.is_closed else ALONE)
        for one, rule in zip(taking.asks, taking.rules, strict=True)
    ]


def take(asked: Sequence[Asked], now_ps: int) -> tuple[list[Asked], list[Compiled], int]:
    """Those that were charged, those that refuse, and the longest wait."""
    taken: list[Asked] = []
    refusing: list[Compiled] = []
    longest = 0
    for one in asked:
        rule, key, cost = one
        table = rule.table
        if now_ps >= table.swap_ps:
            table.turn(now_ps)
        wait_ps = table.take(key, cost, now_ps)
        if wait_ps:
            refusing.append(rule)
            longest = max(longest, wait_ps)
        else:
            taken.append(one)
    return taken, refusing, longest


def shadows(shadowed: Sequence[Asked], now_ps: int) -> list[Reason]:
    """Count for rules that are being tried, and say where they would have refused."""
    _, refusing, _ = take(shadowed, now_ps)
    return [Reason(one.rule.name, "over its limit", is_shadow=True) for one in refusing]


def alone(asked: Sequence[Asked]) -> list[Reason]:
    """Said of every shared limit that was just decided without the store."""
    return [
        Reason(one.rule.name, ALONE)
        for one, _, _ in asked
        if isinstance(one.table, SharedTable) and one.table.alone
    ]
