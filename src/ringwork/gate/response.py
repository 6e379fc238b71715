"""From what limits and witnesses say to the one way a request is answered.

Limits that refuse name their own action; rules that are evidence, and the witnesses (a behaviour
model, clusters), are judged by the ladder; who has solved a challenge passes that rung. What is on
trial is watched here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from ringwork.gate.decision import Action, Reason
from ringwork.gate.facts import Facts
from ringwork.gate.limits.model import PS_PER_S, Key
from ringwork.gate.plan import Compiled
from ringwork.gate.policy.model import Over, Policy, Rule
from ringwork.gate.respond.ladder import RUNGS, Evidence, Judgement, Rung, Witness, about, judge
from ringwork.gate.respond.pow import Checked, ProofOfWork, Work
from ringwork.gate.respond.trials import Trials
from ringwork.gate.taking import Asked, Outcome
from ringwork.kernel.ports import Clock

SEVERITY: Final[dict[Action, int]] = {
    "allow": 0,
    "slow": 1,
    "degrade": 2,
    "challenge": 3,
    "block": 4,
}
"""Of how a request goes on: what ends it outweighs what lets it through with less. (The ladder's
own order is of what is taken from somebody innocent: there a challenge comes before ``degrade``.)
"""
ANYWHERE: Final = ""
"""The route that challenges are for: a clearance is for the whole site."""


class Response:
    """How one gate answers."""

    def __init__(
        self,
        policy: Policy,
        secret: bytes,
        *,
        clock: Clock,
        witnesses: Sequence[Witness] = (),
        is_good: Callable[[Facts], bool] | None = None,
    ) -> None:
        """``secret``: 32 bytes or more, the same in all processes that should know a clearance.

        ``is_good``: whether the platform knows that somebody is no scraper, beside the policy's
        ``friction.tiers``.
        """
        self._secret = secret
        self._clock = clock
        self._witnesses = tuple(witnesses)
        self._is_good = is_good
        self.trials = Trials(secret, policy.friction)
        self.policy = policy
        self._work = self._made(policy)
        self._set(policy)

    def reload(self, policy: Policy) -> None:
        """Answer by another policy. What has not changed goes on, back in shadow or not."""
        before = {rule.name: rule for rule in self.policy.rules}
        for rule in policy.rules:
            if before.get(rule.name) != rule:
                self.trials.begin(rule.name)
        if policy.ladder != self.policy.ladder:
            for rung in RUNGS:
                self.trials.begin(_named(rung))
        if policy.challenge != self.policy.challenge:
            self._work = self._made(policy)
        if policy.friction != self.policy.friction:
            self.trials = Trials(self._secret, policy.friction)
        self._set(policy)

    def _made(self, policy: Policy) -> ProofOfWork:
        asked = policy.challenge
        work = Work(
            cost=asked.cost,
            prefix=asked.prefix,
            lifetime_s=asked.lifetime_s,
            clearance_s=asked.clearance_s,
        )
        return ProofOfWork(self._secret, clock=self._clock, work=work)

    def _set(self, policy: Policy) -> None:
        self.policy = policy
        self._tried = any(one.rollout is not None for one in policy.rules)
        self._asked_of = len(self._witnesses) + sum(
            one.evidence is not None for one in policy.rules
        )
        self._overs: Mapping[Rung, Over] = {}
        if (ladder := policy.ladder) is not None:
            self._overs = {
                rung: Over(
                    action=rung,
                    delay_s=ladder.delay_s,
                    rows_max=ladder.rows_max,
                    without=ladder.without,
                )
                for rung in RUNGS
            }
        self._is_laddered = bool(self._overs) and self._asked_of > 0
        self.looks = self._tried or self._is_laddered
        """Whether it has to be asked although no limit refuses."""

    # ---- deciding -------------------------------------------------------------------------------

    def is_clear(self, facts: Facts, actor: Key) -> bool:
        """Whether this actor has solved a challenge, and not too long ago."""
        return self._work.is_clear(facts.clearance, actor)

    def spares(self, rule: Rule, actor: Key, *, is_clear: bool) -> bool:
        """Whether a rule that others are met by is in shadow for this actor.

        One that challenges is, for who has solved one: so it holds up nothing beside it.
        """
        if is_clear and rule.over.action == "challenge":
            return True
        return rule.rollout is not None and not self.trials.is_in(rule.name, rule.rollout, actor)

    def over(
        self,
        facts: Facts,
        actor: Key,
        asked: Sequence[Asked],
        outcome: Outcome,
        now_ps: int,
    ) -> tuple[Over | None, int]:
        """How it is answered (None: as usual) and the wait to be told.

        ``asked`` are the rules that are enforced, ``outcome`` is what they said; its reasons are
        added to.
        """
        refusing, reasons, wait_ps = outcome.refusing, outcome.reasons, outcome.wait_ps
        if self._tried:
            self._watch(facts, actor, asked, refusing, now_ps)
            reasons += self._back_again(reasons)
        overs = [one.rule.over for one in refusing if one.rule.evidence is None]
        if self._is_laddered:
            rung = self._laddered(facts, actor, refusing, reasons, now_ps)
            if rung is not None:
                overs.append(self._overs[rung])
                if rung == "block" and self.policy.ladder is not None:
                    wait_ps = max(wait_ps, round(self.policy.ladder.block_s * PS_PER_S))
        if facts.clearance and self.is_clear(facts, actor):
            if reasons:
                reasons.append(Reason("challenge", "solved before"))
            overs = [one for one in overs if one.action != "challenge"]
        return _severest(overs), wait_ps

    def _laddered(
        self,
        facts: Facts,
        actor: Key,
        refusing: Sequence[Compiled],
        reasons: list[Reason],
        now_ps: int,
    ) -> Rung | None:
        """The rung that is enforced, after its reasons were given."""
        ladder = self.policy.ladder
        assert ladder is not None
        evidence = [
            Evidence(one.rule.name, one.rule.evidence, about(one.rule.key), "over its limit")
            for one in refusing
            if one.rule.evidence is not None
        ]
        evidence += filter(None, (one.testify(facts) for one in self._witnesses))
        found = judge(evidence, ladder, witnesses=self._asked_of)
        is_shadow = ladder.shadow or (
            ladder.rollout is not None and not self.trials.is_in("ladder", ladder.rollout, actor)
        )
        if not is_shadow and ladder.rollout is not None and self._knows_good(facts):
            self._watch_rungs(actor, found, now_ps)
        if found.rung is None:
            return None
        rung = None if is_shadow else self._below(found.rung)
        reasons += _told(found, getattr(ladder, found.rung), is_shadow=rung != found.rung)
        if rung is not None and rung != found.rung:
            reasons.append(Reason("ladder", f"{rung}: the rungs above are back in shadow"))
        return rung

    def _below(self, rung: Rung) -> Rung | None:
        """The rung, or the next below that has not gone back into shadow."""
        ladder = self.policy.ladder
        for one in reversed(RUNGS[: RUNGS.index(rung) + 1]):
            if getattr(ladder, one) > 0 and self.trials.rolled_back(_named(one)) is None:
                return one
        return None

    # ---- watching -------------------------------------------------------------------------------

    def _knows_good(self, facts: Facts) -> bool:
        if facts.tier and facts.tier in self.policy.friction.tiers:
            return True
        return self._is_good is not None and self._is_good(facts)

    def _watch(
        self,
        facts: Facts,
        actor: Key,
        asked: Sequence[Asked],
        refusing: Sequence[Compiled],
        now_ps: int,
    ) -> None:
        """Count good actors for the rules on trial. A short wait is no friction."""
        tried = [
            one for one, _, _ in asked if one.rule.rollout is not None and one.rule.evidence is None
        ]
        if not tried or not self._knows_good(facts):
            return
        for one in tried:
            self.trials.count(
                one.rule.name,
                actor,
                one in refusing and one.rule.over.action != "slow",
                budget=self.policy.friction.budget,
                now_ps=now_ps,
                at_us=self._clock.wall_us(),
            )

    def _back_again(self, reasons: Sequence[Reason]) -> list[Reason]:
        """Why rules are in shadow that were not."""
        found = []
        for one in reasons:
            if one.is_shadow and (back := self.trials.rolled_back(one.rule)) is not None:
                said = (
                    f"back in shadow: it refused {back.refused} of {back.good} good actors, budget "
                    f"{back.budget:g}"
                )
                found.append(Reason(one.rule, said, is_shadow=True))
        return found

    def _watch_rungs(self, actor: Key, found: Judgement, now_ps: int) -> None:
        """Each rung against its own budget."""
        reached = -1 if found.rung is None else RUNGS.index(found.rung)
        for place, rung in enumerate(RUNGS):
            budget = getattr(self.policy.ladder, rung)
            if 0 < budget < 1:
                self.trials.count(
                    _named(rung),
                    actor,
                    place <= reached,
                    budget=budget,
                    now_ps=now_ps,
                    at_us=self._clock.wall_us(),
                )

    # ---- challenges -----------------------------------------------------------------------------

    def challenge(self, actor: Key) -> str:
        """A challenge for an actor, as JSON."""
        return self._work.challenge(actor, ANYWHERE).decode()

    def solved(self, payload: str, actor: Key, *, address: Key) -> Checked:
        """What an actor's solution is worth."""
        return self._work.check(payload, actor, ANYWHERE, address=address)


def _severest(overs: Sequence[Over]) -> Over | None:
    """The severest action answers, the first of equals."""
    return max(overs, key=lambda over: SEVERITY[over.action]) if overs else None


def _named(rung: Rung) -> str:
    return f"ladder/{rung}"


def _told(found: Judgement, budget: float, *, is_shadow: bool) -> list[Reason]:
    """The rung, with what bears it."""
    capped = "; no more on what is known of an address alone" if found.is_capped else ""
    said = (
        f"{found.rung}: as much stands against {found.innocent:.2g} of innocent actors, budget "
        f"{budget:g}{capped}"
    )
    return [
        Reason("ladder", said, is_shadow),
        *(
            Reason(one.witness, f"{one.detail}: {one.innocent:.2g} of innocent actors", is_shadow)
            for one in found.by
        ),
    ]
