"""The response ladder: from evidence to an action, with a budget of false positives per rung.

observe, slow, proof of work, degrade, block. A piece of evidence says how seldom an innocent actor
shows as much (a p-value: of a calibrated behaviour score its conformal one, of a rule the measured
share of innocent actors who go past it, of a cluster that of its test). What several witnesses say
together is Bonferroni's ``witnesses x the least``, which holds however they depend on each other.
A rung is reached where that is at most its budget, so

    P(an innocent actor is met by this rung or a higher one) <= the rung's budget

as far as each witness's own share is right. That is watched on actors who are known to be good
(``respond.trials``).

Evidence from an address alone (or its network, or its operator) may challenge, never more: behind a
carrier's one address stand thousands of people. For the rungs above only what is known of the actor
counts, and with it the number of witnesses stays the same, since who spoke was not chosen before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, Protocol

from msgspec import Struct

from ringwork.gate.facts import Facts
from ringwork.gate.policy.model import Ladder

Rung = Literal["slow", "challenge", "degrade", "block"]
Subject = Literal["actor", "address"]
RUNGS: Final[tuple[Rung, ...]] = ("slow", "challenge", "degrade", "block")
"""In the ladder's order, which is of how much is taken away from somebody innocent."""
OF_ADDRESSES: Final = frozenset({"slow", "challenge"})
ADDRESS_PARTS: Final = frozenset({"ip", "net", "asn", "route"})
"""Of a rule's key: one of these alone says nothing of who is asking."""


class Evidence(Struct, frozen=True, gc=False):
    """What one witness says of who is asking."""

    witness: str
    """A rule, a model, a test of clusters."""
    innocent: float
    """The share of innocent actors who show as much or more, 0 to 1."""
    about: Subject = "actor"
    detail: str = ""
    """For an appeal: the features, the cluster. No name of a person."""


class Witness(Protocol):
    """A behaviour model, a table of clusters: asked on every request, so it answers from memory."""

    def testify(self, facts: Facts) -> Evidence | None:
        """None where it knows nothing of this actor."""
        ...


class Judgement(Struct, frozen=True, gc=False):
    """What the ladder says."""

    rung: Rung | None
    """None: observe."""
    innocent: float
    """The share of innocent actors against whom there is as much, all evidence together, 1 at
    most."""
    by: Sequence[Evidence] = ()
    """What bears the rung, the strongest first."""
    is_capped: bool = False
    """More would have been done, had it been said of more than an address."""


OBSERVE: Final = Judgement(None, 1.0)


def judge(evidence: Sequence[Evidence], ladder: Ladder, *, witnesses: int) -> Judgement:
    """The highest rung that the evidence bears.

    ``witnesses``: how many could have spoken, whether or not they did. ValueError for fewer than
    spoke, or for a share that is none.
    """
    if not evidence:
        return OBSERVE
    if witnesses < len(evidence):
        raise ValueError(f"witnesses: expected {len(evidence)} or more, got {witnesses}")
    if not all(0 <= one.innocent <= 1 for one in evidence):
        raise ValueError("evidence: expected shares of innocent actors from 0 to 1")
    known = [one for one in evidence if one.about == "actor"]
    together = _together(evidence, witnesses)
    of_actor = _together(known, witnesses)
    wanted = reached = None
    for rung in RUNGS:
        budget = getattr(ladder, rung)
        if together <= budget:
            wanted = rung
            if rung in OF_ADDRESSES or of_actor <= budget:
                reached = rung
    if reached is None:
        return Judgement(None, together, is_capped=wanted is not None)
    counted = evidence if reached in OF_ADDRESSES else known
    budget = getattr(ladder, reached)
    bearing = sorted(
        (one for one in counted if witnesses * one.innocent <= budget),
        key=lambda one: one.innocent,
    )
    innocent = together if reached in OF_ADDRESSES else of_actor
    return Judgement(reached, innocent, bearing, wanted != reached)


def _together(evidence: Sequence[Evidence], witnesses: int) -> float:
    """Bonferroni: at most a share alpha of innocent actors comes out at alpha or less.

    Without any evidence more than 1, which no budget is.
    """
    return min(1.0, witnesses * min(one.innocent for one in evidence)) if evidence else 2.0


def about(key: Sequence[str]) -> Subject:
    """What a rule with this key is evidence of."""
    return "address" if ADDRESS_PARTS.issuperset(key) else "actor"
