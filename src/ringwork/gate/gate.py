"""The gate: one decision about one request, in steps that can be read.

    gate = Gate(policy, clock=clock, entropy=entropy)
    decision = gate.admit(facts)
    ... answer, or not ...
    gate.settle(decision, Usage(rows=20, entities=profiles))

``admit`` does no I/O and waits for nothing. What a request really was given is charged after it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from math import inf
from typing import Final

from ringwork.gate.decision import Action, Charged, Decision, Reason
from ringwork.gate.facts import Facts, Usage
from ringwork.gate.limits.concurrent import ConcurrentTable
from ringwork.gate.limits.distinct import DistinctTable
from ringwork.gate.limits.gcra import FOREVER_PS, GcraTable
from ringwork.gate.limits.generations import Generations
from ringwork.gate.limits.model import PS_PER_NS, PS_PER_S, Gcra, Key
from ringwork.gate.plan import Compiled, Plan
from ringwork.gate.policy.load import digest_of
from ringwork.gate.policy.model import Over, Policy, VolumeLimit
from ringwork.gate.respond.challenge import STATUS as CHALLENGED
from ringwork.gate.respond.ladder import Witness
from ringwork.gate.respond.ratelimit import Left
from ringwork.gate.response import Response
from ringwork.kernel.ports import Clock, Entropy

ENDS_HERE: Final = frozenset({"challenge", "block"})
"""Actions after which nothing of the request is done, so nothing is charged."""
TOO_LARGE: Final = 400
"""Of a request that costs more than any burst: asking again later does not help."""
JITTER: Final = 0.1
"""Of a wait: so that clients who were refused together do not come back together."""

_Asked = tuple[Compiled, Key, int]


class Gate:
    """Decides. One per process; not safe for threads."""

    def __init__(
        self,
        policy: Policy,
        *,
        clock: Clock,
        entropy: Entropy,
        secret: bytes | None = None,
        witnesses: Sequence[Witness] = (),
        is_good: Callable[[Facts], bool] | None = None,
    ) -> None:
        """``witnesses``, ``is_good``: see ``response.Response``.

        ``secret``: 32 bytes or more that clearances are signed with, by default fresh ones, which
        end with the process.
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
        self._plan = Plan(policy)
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
        self._digest = digest_of(policy)

    def reload(self, policy: Policy) -> None:
        """Decide by another policy from now on; counters of rules that have not changed go on."""
        self._plan = Plan(policy, self._plan.tables)
        self.response.reload(policy)
        self._set(policy)

    # ---- before the answer ----------------------------------------------------------------------

    def admit(self, facts: Facts) -> Decision:
        """Whether and how a request may go on."""
        now_ps = self._now_ns() * PS_PER_NS
        actor = actor_of(facts)
        if banned_ps := self._ban_left_ps(actor, now_ps):
            return self._banned_decision(banned_ps)
        asked, shadowed = self._asked(facts, actor)
        taken, refusing, wait_ps = _take(asked, now_ps)
        reasons = [Reason(one.rule.name, "over its limit") for one in refusing]
        if shadowed:
            reasons += _shadows(shadowed, now_ps)
        over: Over | None = None
        if refusing or self.response.looks:
            over, wait_ps = self.response.over(
                facts, actor, asked, refusing, reasons, wait_ps, now_ps
            )
        action: Action = "allow" if over is None else over.action
        charged: Sequence[Charged] = ()
        if action in ENDS_HERE:
            for one, key, cost in taken:
                one.table.give_back(key, cost)
            self._probe(actor, now_ps)
        else:
            charged = [_charged(*one) for one in taken if one[0].is_settled]
        return Decision(
            action=action,
            status=_status(over, wait_ps),
            retry_after_s=self._wait_s(actor, wait_ps) if action == "block" else 0.0,
            delay_s=over.delay_s if over is not None and action == "slow" else 0.0,
            reasons=reasons,
            limits=_left(asked, facts, now_ps),
            challenge=self.response.challenge(actor) if action == "challenge" else "",
            over=over,
            trace_id=f"{self._prefix}{next(self._numbers):012x}",
            policy=self._digest,
            charged=charged,
        )

    def _asked(self, facts: Facts, actor: Key) -> tuple[list[_Asked], list[_Asked]]:
        """(rule, key, cost) of all that count this request: those enforced, those in shadow."""
        asked: list[_Asked] = []
        shadowed: list[_Asked] = []
        for one in self._plan.rules_for(facts):
            key = one.key_of(facts)
            if key is not None:
                if one.table.is_full:
                    key = one.table.slot(key)
                rule = one.rule
                is_shadow = rule.shadow or (
                    rule.rollout is not None
                    and not self.response.trials.is_in(rule.name, rule.rollout, actor)
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
            trace_id=f"{self._prefix}{next(self._numbers):012x}",
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


def actor_of(facts: Facts) -> Key:
    """Who is asking, by the strongest name that the request gives."""
    for name in ("account", "app", "device", "visit", "ip"):
        if found := getattr(facts, name):
            return (name, found)
    return ("nobody",)


def _take(asked: Sequence[_Asked], now_ps: int) -> tuple[list[_Asked], list[Compiled], int]:
    """Those that were charged, those that refuse, and the longest wait."""
    taken: list[_Asked] = []
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


def _shadows(shadowed: Sequence[_Asked], now_ps: int) -> list[Reason]:
    """Count for rules that are being tried, and say where they would have refused."""
    _, refusing, _ = _take(shadowed, now_ps)
    return [Reason(one.rule.name, "over its limit", is_shadow=True) for one in refusing]


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


def _left(asked: Sequence[_Asked], facts: Facts, now_ps: int) -> list[Left]:
    """How the limits stand that a client may know of."""
    found = []
    for one, key, _ in asked:
        if one.rule.expose:
            left, more_ps = one.table.stands(key, now_ps)
            quota = one.units
            if one.quota is not None:  # in units as clients know them, not in parts of it
                quota = one.quota.quota(facts.counters)
                left = left * quota // one.units
            more_s = -(-more_ps // PS_PER_S)
            found.append(Left(one.rule, quota, one.window_s, one.unit, left, more_s))
    return found
