"""A policy made ready: which rules are for a request, by what key and at what price."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil
from operator import attrgetter
from typing import Final

from msgspec import Struct

from ringwork.gate.facts import Facts
from ringwork.gate.limits.gcra import GcraTable
from ringwork.gate.limits.leases import SHAREABLE, SharedTable
from ringwork.gate.limits.model import (
    Concurrent,
    Distinct,
    Gcra,
    Key,
    Limit,
    MetaScore,
    SlidingWindow,
    Volume,
)
from ringwork.gate.limits.multi import Table, table_of
from ringwork.gate.policy.formula import Formula
from ringwork.gate.policy.load import quota_of
from ringwork.gate.policy.model import (
    CellLimit,
    ConcurrentLimit,
    DistinctLimit,
    Policy,
    Rule,
    ScoreLimit,
    VolumeLimit,
    WindowLimit,
)

READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
PARTS: Final = 10**12
"""A quota by formula is counted in so many parts of itself: an account that gains an ad keeps the
share that it has used, and no counter is ever told a limit."""
ROUTES_MAX: Final = 8192
"""Routes whose rules are remembered; more than that are paths that somebody makes up."""


class Compiled(Struct, frozen=True, gc=False):
    """One rule with its counters."""

    number: int
    """Of the rule in its policy."""
    rule: Rule
    table: Table
    quota: Formula | None
    parts: Callable[[Facts], object]
    routes: tuple[tuple[str, ...], ...]
    """What stands between the stars of each."""
    units: int
    """Of the whole quota, as its counters have it."""
    window_s: float
    """The time that the quota is for."""
    unit: str
    """Of the quota, as clients are told."""
    is_settled: bool
    """Whether what it was charged is settled after the answer."""

    def key_of(self, facts: Facts) -> Key | None:
        """None where the request does not say who it is in the way this rule counts."""
        parts = self.parts(facts)
        if type(parts) is tuple:
            return (self.rule.name, *parts) if all(parts) else None
        return (self.rule.name, parts) if parts else None

    def cells_left(self, room_ps: int) -> tuple[int, int]:
        """Units in a cell's room, and how long until there is one more; 0: all are there."""
        table = self.table
        assert isinstance(table, GcraTable)
        left = room_ps // table.interval_ps
        is_whole = room_ps >= table.tolerance_ps
        return left, 0 if is_whole else (left + 1) * table.interval_ps - room_ps

    def cost_of(self, facts: Facts) -> int:
        """Whole units, in parts of the quota where that is a formula."""
        cost = self.rule.cost
        if isinstance(cost, int):
            units: float = cost
        else:
            units = cost.read if facts.method in READS else cost.write
            units += cost.rows * facts.estimate
            if cost.field:
                units += cost.each * len(facts.fields.get(cost.field, ()))
        whole = units if isinstance(units, int) else ceil(units)
        if self.quota is None:
            return whole
        # Rounded down, so that a quota of 300 is 300 calls: 300 times a third of a part is lost.
        return whole * PARTS // self.quota.quota(facts.counters)


class Plan:
    """The rules of a policy; ``rules_for`` remembers which are for which route."""

    def __init__(
        self,
        policy: Policy,
        before: Mapping[Rule, Table] | None = None,
        *,
        machines: int | None = None,
    ) -> None:
        """``before``: counters of rules that have not changed, which go on.

        ``machines``: how many share a store of counters; None: there is none.
        """
        self._default_tier = policy.identity.default_tier
        kept = before or {}
        self.rules = tuple(
            _compiled(number, rule, kept.get(rule) or _table_of(rule, policy.keys_max, machines))
            for number, rule in enumerate(policy.rules)
        )
        self._known: dict[tuple[str, str, str], tuple[Compiled, ...]] = {}

    @property
    def tables(self) -> dict[Rule, Table]:
        """The counters of each rule, for the plan that comes after."""
        return {one.rule: one.table for one in self.rules}

    def rules_for(self, facts: Facts) -> tuple[Compiled, ...]:
        """Those that match its route, method and tier, in the policy's order."""
        asked = (facts.route or facts.path, facts.method, facts.tier or self._default_tier)
        found = self._known.get(asked)
        if found is None:
            found = tuple(one for one in self.rules if _matches(one, *asked))
            if len(self._known) >= ROUTES_MAX:
                self._known.clear()
            self._known[asked] = found
        return found


def _matches(one: Compiled, route: str, method: str, tier: str) -> bool:
    match = one.rule.match
    if match.method and method not in match.method:
        return False
    return match.tier in ("*", tier) and any(_fits(pieces, route) for pieces in one.routes)


def _fits(pieces: tuple[str, ...], text: str) -> bool:
    """Whether a text is the pieces in their order with anything between: in one pass.

    A regular expression of many stars takes time without bound on a path that somebody chose.
    """
    first, *rest = pieces
    if not rest:
        return text == first
    *middle, last = rest
    if not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for piece in middle:
        at = text.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return at <= end


def _table_of(rule: Rule, keys_max: int, machines: int | None) -> Table:
    """Empty counters: of this process, or shared by machines where they can be."""
    limit = _limit_of(rule)
    if machines is None or not isinstance(limit, SHAREABLE):
        return table_of(limit, keys_max=keys_max)
    return SharedTable(limit, machines=machines, is_strict=rule.strict, keys_max=keys_max)


def _compiled(number: int, rule: Rule, table: Table) -> Compiled:
    limit = _limit_of(rule)
    window_s, unit, is_settled = _terms(limit)
    units = limit.maximum if isinstance(limit, MetaScore) else limit.limit
    quota = quota_of(rule)
    return Compiled(
        number,
        rule,
        table,
        quota,
        attrgetter(*rule.key),
        tuple(tuple(one.split("*")) for one in _routes(rule)),
        units,
        window_s,
        unit,
        is_settled,
    )


def _routes(rule: Rule) -> tuple[str, ...]:
    route = rule.match.route
    return (route,) if isinstance(route, str) else route


def _terms(limit: Limit) -> tuple[float, str, bool]:
    """Window in seconds, unit as clients are told, whether it is settled after the answer."""
    match limit:
        case Gcra(period_s=window_s):
            return window_s, "requests", False
        case MetaScore(window_s=window_s) | SlidingWindow(window_s=window_s):
            return window_s, "requests", False
        case Concurrent(timeout_s=timeout_s):
            return timeout_s, "concurrent-requests", True
        case Volume(period_s=window_s, unit=unit):
            return window_s, "content-bytes" if unit == "bytes" else "ringwork-rows", True
        case Distinct(window_s=window_s):
            return window_s, "ringwork-entities", True


def _limit_of(rule: Rule) -> Limit:
    """As the counters have it. Units by formula are parts."""
    name = rule.name
    match rule.limit:
        case CellLimit() as one:
            return Gcra(limit=_units(one.limit), period_s=one.period_s, burst=one.burst, name=name)
        case VolumeLimit() as one:
            return Volume(
                limit=one.limit, period_s=one.period_s, burst=one.burst, unit=one.unit, name=name
            )
        case ScoreLimit() as one:
            return MetaScore(
                maximum=_units(one.maximum),
                window_s=one.window_s,
                block_s=one.block_s,
                decay=one.decay,
                name=name,
            )
        case WindowLimit() as one:
            return SlidingWindow(limit=_units(one.limit), window_s=one.window_s, name=name)
        case ConcurrentLimit() as one:
            return Concurrent(limit=one.limit, timeout_s=one.timeout_s, name=name)
        case DistinctLimit() as one:
            return Distinct(
                limit=one.limit, window_s=one.window_s, precision=one.precision, name=name
            )


def _units(units: int | str) -> int:
    return PARTS if isinstance(units, str) else units
