"""The usual request, written out: every limit lets it pass, and nothing else has to be asked.

Counters are charged as they are met, without a call; where one would refuse, what was charged is
taken back and the request goes the general way, which says why. So nothing that is decided here can
be decided otherwise there: it only takes a third of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from ringwork.gate.decision import Charged, Standing
from ringwork.gate.facts import Facts
from ringwork.gate.limits.distinct import DistinctTable
from ringwork.gate.limits.gcra import GcraTable
from ringwork.gate.limits.model import Key
from ringwork.gate.plan import ROUTES_MAX, Compiled, Plan

Taken = tuple[list[Standing], list[Charged]]


class Step(Struct, frozen=True, gc=False):
    """One rule of a route."""

    rule: Compiled
    key_of: Callable[[Facts], Key | None]
    cost: int
    """-1: it depends on the request."""
    cells: GcraTable | None
    """None: of different entities, which a request alone is not charged for."""
    is_settled: bool


def steps_of(rules: Sequence[Compiled]) -> tuple[Step, ...] | None:
    """A route's rules laid out; None where one of them is of a kind that has to be asked."""
    found = []
    for one in rules:
        rule, table = one.rule, one.table
        is_plain = type(table) is GcraTable or type(table) is DistinctTable
        is_tried = rule.shadow or rule.rollout is not None or rule.evidence is not None
        if not is_plain or is_tried or one.quota is not None:
            return None
        found.append(
            Step(
                one,
                one.key_of,
                rule.cost if isinstance(rule.cost, int) else -1,
                table if isinstance(table, GcraTable) else None,
                one.is_settled,
            )
        )
    return tuple(found)


class Lanes:
    """The steps of every route, laid out when it is first asked for."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._known: dict[tuple[str, str, str], tuple[Step, ...] | None] = {}

    def steps_for(self, facts: Facts) -> tuple[Step, ...] | None:
        """None where the route has to go the general way."""
        asked = (facts.route or facts.path, facts.method, facts.tier)
        try:
            return self._known[asked]
        except KeyError:
            if len(self._known) >= ROUTES_MAX:
                self._known.clear()
            found = self._known[asked] = steps_of(self._plan.rules_for(facts))
            return found


def taken(steps: Sequence[Step], facts: Facts, now_ps: int) -> Taken | None:
    """What was charged and how limits stand; None, and nothing charged, where one would refuse."""
    standing: list[Standing] = []
    charged: list[Charged] = []
    undo: list[tuple[dict[Key, int], Key, int]] = []
    for one in steps:
        rule, cells = one.rule, one.cells
        key = one.key_of(facts)
        if key is None:
            continue
        if cells is None:
            stands = _not_refused(rule, key, now_ps)
            if stands is None:
                return _undone(undo)
        else:
            if now_ps >= cells.swap_ps:
                cells.turn(now_ps)
            newer = cells.newer
            at = newer.get(key) or cells.older.get(key)
            if at is None:
                if cells.is_full:
                    return _undone(undo)
                at = now_ps
            more = (one.cost if one.cost >= 0 else rule.cost_of(facts)) * cells.interval_ps
            new = (at if at > now_ps else now_ps) + more
            room = now_ps + cells.tolerance_ps - new
            if room < 0:
                return _undone(undo)
            newer[key] = new
            undo.append((newer, key, more))
            stands = (rule, room, -1, rule.units)
        standing.append(stands)
        if one.is_settled:
            charged.append(Charged(rule, key, rule.cost_of(facts), range(0)))
    return standing, charged


def _not_refused(rule: Compiled, key: Key, now_ps: int) -> Standing | None:
    """How many different entities are left; None where there may be none, or no room for a key."""
    table = rule.table
    table.turn(now_ps)
    if table.is_full:
        return None
    left, more_ps = table.stands(key, now_ps)
    # Less is left than surely is: what is refused is for the general way to say.
    return (rule, left, more_ps, rule.units) if left > 0 else None


def _undone(undo: Sequence[tuple[dict[Key, int], Key, int]]) -> Taken | None:
    """Nothing was charged after all."""
    for newer, key, more in undo:
        newer[key] -= more
    return None
