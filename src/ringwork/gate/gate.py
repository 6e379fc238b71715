"""The gate: one decision about one request, in steps that can be read.

    gate = Gate(policy, clock=clock, entropy=entropy)
    decision = gate.admit(facts)
    ... answer, or not ...
    gate.settle(decision, Usage(rows=20, entities=profiles))

``admit`` does no I/O and waits for nothing. What a request really was given is charged after it.
With a store that machines share, ``await gate.admit_strict(facts)`` asks it where it has to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from math import inf
from typing import Final

from ringwork.gate.decision import Action, Charged, Decision, Reason, Standing
from ringwork.gate.facts import Facts, Usage
from ringwork.gate.limits.concurrent import ConcurrentTable
from ringwork.gate.limits.distinct import DistinctTable
from ringwork.gate.limits.gcra import GcraTable
from ringwork.gate.limits.generations import Generations
from ringwork.gate.limits.leases import SharedTable
from ringwork.gate.limits.model import FOREVER_PS, PS_PER_NS, PS_PER_S, Gcra, Key
from ringwork.gate.limits.shared import WAITS_MAX, SharedLimits
from ringwork.gate.plan import Compiled, Plan
from ringwork.gate.policy.load import digest_of
from ringwork.gate.policy.model import Over, Policy, VolumeLimit
from ringwork.gate.quick import Lanes, taken
from ringwork.gate.respond.challenge import STATUS as CHALLENGED
from ringwork.gate.respond.ladder import Witness
from ringwork.gate.response import Response
from ringwork.gate.taking import (
    ENDS_HERE,
    Asked,
    Outcome,
    alone,
    divided,
    is_refused_here,
    settled_with_store,
    shadows,
    take,
)
from ringwork.kernel.ports import Clock, Entropy, SharedCounters

TOO_LARGE: Final = 400
"""Of a request that costs more than any burst: asking again later does not help."""
JITTER: Final = 0.1
"""Of a wait: so that clients who were refused together do not come back together."""


class Gate:
    """Decides. One per process; not safe for threads."""

    def __init__(
        self,
        policy: Policy,
        *,
        clock: Clock,
        entropy: Entropy,
        store: SharedCounters | None = None,
        machines: int = 1,
        secret: bytes | None = None,
        witnesses: Sequence[Witness] = (),
        is_good: Callable[[Facts], bool] | None = None,
    ) -> None:
        """``store``: counters shared with other processes, ``machines`` of them at most.

        ``secret``: 32 bytes or more that clearances are signed with, by default fresh ones, which
        end with the process. ``witnesses``, ``is_good``: see ``response.Response``.
        """
        self.response = Response(
            policy,
            entropy.take(32) if secret is None else secret,
            clock=clock,
            witnesses=witnesses,
            is_good=is_good,
        )
        self._now_ns = clock.monotonic_ns
        self._prefix = entropy.take(8).hex()
        self._numbers = count(1)
        self.shared = None if store is None else SharedLimits(store, machines=machines, clock=clock)
        """Run ``shared.run()`` as a task: it gives leases back, and takes them in time."""
        self._plan = Plan(policy, machines=None if store is None else machines)
        self._set(policy)
        probes = policy.probes
        self._probes = GcraTable(
            Gcra(limit=probes.limit, period_s=probes.period_s, name="probes"),
            keys_max=policy.keys_max,
        )
        self._banned: Generations[int] = Generations(
            round(probes.block_s * PS_PER_S), keys_max=policy.keys_max
        )

    def _set(self, policy: Policy) -> None:
        self.policy = policy
        if self.shared is not None:
            tables = self._plan.tables.values()
            self.shared.tables = [one for one in tables if isinstance(one, SharedTable)]
        self._digest = digest_of(policy)
        self._lanes = Lanes(self._plan)
        self._is_quick = self.shared is None and not self.response.looks
        """Whether nothing but limits of this process has to be asked."""

    def reload(self, policy: Policy) -> None:
        """Decide by another policy from now on; counters of rules that have not changed go on."""
        machines = None if self.shared is None else self.shared.machines
        self._plan = Plan(policy, self._plan.tables, machines=machines)
        self.response.reload(policy)
        self._set(policy)

    # ---- before the answer ----------------------------------------------------------------------

    def admit(self, facts: Facts) -> Decision:
        """Whether and how a request may go on."""
        now_ps = self._now_ns() * PS_PER_NS
        actor = None
        if self._banned.newer or self._banned.older:
            actor = actor_of(facts)
            if banned_ps := self._ban_left_ps(actor, now_ps):
                return self._banned_decision(banned_ps)
        if self._is_quick and (steps := self._lanes.steps_for(facts)) is not None:
            passed = taken(steps, facts, now_ps)
            if passed is not None:
                return Decision(
                    action="allow",
                    standing=passed[0],
                    charged=passed[1],
                    trace=(self._prefix, next(self._numbers)),
                    policy=self._digest,
                )
        asked, shadowed = self._asked(facts, actor or actor_of(facts))
        return self._decision(facts, asked, self._taken(asked, shadowed, now_ps), now_ps)

    async def admit_strict(self, facts: Facts) -> Decision:
        """The same, asking the shared store where only that can say: once, for all such limits.

        What is refused here already, or was by the store a moment ago, costs no round trip, and
        nor do leases in hand.
        """
        now_ps = self._now_ps()
        actor = actor_of(facts)
        if self.shared is None:
            return self.admit(facts)
        if banned_ps := self._ban_left_ps(actor, now_ps):
            return self._banned_decision(banned_ps)
        asked, shadowed = self._asked(facts, actor)
        taking = divided(asked, shadowed, actor, now_ps)
        for _ in range(WAITS_MAX):
            if taking is None or not await self.shared.lease_under_way(taking.wanted):
                break
            now_ps = self._now_ps()
            taking = divided(asked, shadowed, actor, now_ps)
        if taking is None:
            outcome = self._taken(asked, shadowed, now_ps)
        elif is_refused_here(taking, now_ps):
            outcome = self._taken([*taking.in_hand, *taking.local], taking.shadowed, now_ps)
        else:
            outcome = await settled_with_store(self.shared, taking, self._now_ps)
            now_ps = self._now_ps()
            outcome.reasons += shadows(taking.shadowed, now_ps)
        return self._decision(facts, asked, outcome, now_ps)

    def _now_ps(self) -> int:
        return self._now_ns() * PS_PER_NS

    def _taken(self, asked: Sequence[Asked], shadowed: Sequence[Asked], now_ps: int) -> Outcome:
        """What the limits say, without asking anybody."""
        taken, refusing, wait_ps = take(asked, now_ps)
        reasons = [Reason(one.rule.name, "over its limit") for one in refusing]
        if shadowed:
            reasons += shadows(shadowed, now_ps)
        if self.shared is not None:
            reasons += alone(asked)
        return Outcome(taken, refusing, wait_ps, reasons)

    def _decision(
        self, facts: Facts, asked: Sequence[Asked], outcome: Outcome, now_ps: int
    ) -> Decision:
        """As the severest of the refusing rules says; where it ends here, nothing is charged."""
        actor = actor_of(facts)
        over, wait_ps = None, outcome.wait_ps
        if outcome.refusing or outcome.reasons or self.response.looks:
            over, wait_ps = self.response.over(facts, actor, asked, outcome, now_ps)
        action: Action = "allow" if over is None else over.action
        charged: Sequence[Charged] = ()
        if action in ENDS_HERE:
            for one, key, cost in outcome.taken:
                one.table.give_back(key, cost)
            self._probe(actor, now_ps)
        else:
            charged = [_charged(*one) for one in outcome.taken if one[0].is_settled]
        return Decision(
            action=action,
            status=_status(over, wait_ps),
            retry_after_s=self._wait_s(actor, wait_ps) if action == "block" else 0.0,
            delay_s=over.delay_s if over is not None and action == "slow" else 0.0,
            reasons=outcome.reasons,
            standing=_standing(asked, facts, now_ps),
            challenge=self.response.challenge(actor) if action == "challenge" else "",
            over=over,
            trace=(self._prefix, next(self._numbers)),
            policy=self._digest,
            charged=charged,
        )

    def _asked(self, facts: Facts, actor: tuple[str, ...]) -> tuple[list[Asked], list[Asked]]:
        """(rule, key, cost) of all that count this request: those enforced, those in shadow."""
        is_clear = bool(facts.clearance) and self.response.is_clear(facts, actor)
        asked: list[Asked] = []
        shadowed: list[Asked] = []
        for one in self._plan.rules_for(facts):
            key = one.key_of(facts)
            if key is not None:
                if one.table.is_full:
                    key = one.table.slot(key)
                rule = one.rule
                is_shadow = rule.shadow or (
                    (is_clear or rule.rollout is not None)
                    and self.response.spares(rule, actor, is_clear=is_clear)
                )
                (shadowed if is_shadow else asked).append((one, key, one.cost_of(facts)))
        return asked, shadowed

    # ---- asking on after a refusal --------------------------------------------------------------

    def _probe(self, actor: Key, now_ps: int) -> None:
        """A refused call costs no limit anything; who keeps calling is refused altogether."""
        self._probes.turn(now_ps)
        key = self._probes.slot(actor)
        if self._probes.take(key, 1, now_ps):
            self._banned.turn(now_ps)
            until_ps = now_ps + round(self.policy.probes.block_s * PS_PER_S)
            self._banned.put(self._banned.slot(actor), until_ps)

    def _ban_left_ps(self, actor: Key, now_ps: int) -> int:
        banned = self._banned
        if not banned.newer and not banned.older:
            return 0
        return max((banned.get(actor) or 0) - now_ps, 0)

    def _banned_decision(self, left_ps: int) -> Decision:
        return Decision(
            action="block",
            status=429,
            retry_after_s=left_ps / PS_PER_S,
            reasons=[Reason("probes", "kept asking after it was refused")],
            over=Over(),
            trace=(self._prefix, next(self._numbers)),
            policy=self._digest,
        )

    def _wait_s(self, actor: Key, wait_ps: int) -> float:
        """Never less than what has to be waited, and a little more, by who it is."""
        if wait_ps >= FOREVER_PS:
            return inf
        share = hash((self._prefix, actor)) % 1024 / 1024
        return wait_ps / PS_PER_S * (1 + JITTER * share)

    # ---- after the answer -----------------------------------------------------------------------

    def settle(self, decision: Decision, usage: Usage) -> None:
        """Charge what a request was given: rows, bytes, different entities; end its leases."""
        if not decision.charged:
            return
        now_ps = self._now_ns() * PS_PER_NS
        for one in decision.charged:
            match one.rule.table:
                case ConcurrentTable() as table:
                    table.release(one.key, one.leases)
                case DistinctTable() as table:
                    table.show(one.key, usage.entities, now_ps)
                case GcraTable() as table:
                    limit = one.rule.rule.limit
                    assert isinstance(limit, VolumeLimit)
                    used = usage.rows if limit.unit == "rows" else usage.bytes
                    table.settle(one.key, used - one.reserved, now_ps)


def actor_of(facts: Facts) -> tuple[str, ...]:
    """Who is asking, by the strongest name that the request gives."""
    for name in ("account", "app", "device", "visit", "ip"):
        if found := getattr(facts, name):
            return (name, found)
    return ("nobody",)


def _charged(rule: Compiled, key: Key, cost: int) -> Charged:
    """What has to be settled after the answer."""
    table = rule.table
    leases = table.newest(cost) if isinstance(table, ConcurrentTable) else range(0)
    return Charged(rule, key, cost, leases)


def _status(over: Over | None, wait_ps: int) -> int:
    if over is None or over.action in ("slow", "degrade"):
        return 200
    if over.action == "challenge":
        return CHALLENGED
    return TOO_LARGE if wait_ps >= FOREVER_PS else over.status


def _standing(asked: Sequence[Asked], facts: Facts, now_ps: int) -> list[Standing]:
    """How the limits stand that count the request."""
    found: list[Standing] = []
    for one, key, _ in asked:
        left, more_ps = one.table.stands(key, now_ps)
        quota = one.units
        if one.quota is not None:  # in units as clients know them, not in parts of it
            quota = one.quota.quota(facts.counters)
            left = left * quota // one.units
        found.append((one, left, more_ps, quota))
    return found
