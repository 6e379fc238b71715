"""Witnesses for the ladder: a score with the scores of innocent actors, and findings of a job.

behaviour = Scored("behaviour", score_of, innocents=fresh_scores)
clusters = Findings("cluster", clock=clock)
gate = Gate(policy, ..., witnesses=[behaviour, clusters])
clusters.tell(("account", "ann"), 1e-7, "cluster 17: 40 accounts, same pages within an hour")
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from math import isfinite

from ringwork.gate.facts import Facts
from ringwork.gate.gate import actor_of
from ringwork.gate.limits.generations import KEYS_MAX, Generations
from ringwork.gate.limits.model import PS_PER_NS, PS_PER_S, Key
from ringwork.gate.respond.ladder import Evidence, Subject
from ringwork.kernel.ports import Clock


class Scored:
    """A model's score as evidence, by split conformal prediction (Vovk, 2005).

    An innocent actor's score is as likely to stand in any place among those of n others, so that at
    least so many of the n being as high has a chance of (1 + how many are) / (n + 1) at most,
    whatever the scores are like. Nothing finer than 1 / (n + 1) can be said: for a budget of 0.0005
    and two witnesses it takes 4,000 innocents.
    """

    def __init__(
        self,
        name: str,
        score_of: Callable[[Facts], float | None],
        *,
        innocents: Iterable[float],
        about: Subject = "actor",
        detail_of: Callable[[Facts], str] = lambda _: "score",
    ) -> None:
        """ValueError without ``innocents``, or for one whose score is no number.

        ``score_of``: higher is worse; None: nothing known. Scores of ``innocents`` are fresh: the
        model has never seen them.
        """
        self._name = name
        self._score_of = score_of
        self._innocents = sorted(innocents)
        self._about = about
        self._detail_of = detail_of
        if not self._innocents or not all(map(isfinite, self._innocents)):
            raise ValueError("innocents: expected finite scores, one or more")

    def testify(self, facts: Facts) -> Evidence | None:
        """See ``ladder.Witness``."""
        score = self._score_of(facts)
        if score is None:
            return None
        count = len(self._innocents)
        share = (1 + count - bisect_left(self._innocents, score)) / (count + 1)
        return Evidence(self._name, share, self._about, self._detail_of(facts))


class Findings:
    """What a job found of actors, for a while: clusters, scans of logs, sighted canaries."""

    def __init__(
        self, name: str, *, clock: Clock, lifetime_s: float = 86_400, keys_max: int = KEYS_MAX
    ) -> None:
        """A finding counts for ``lifetime_s`` after it was last told; of ``keys_max`` actors."""
        self._name = name
        self._now_ns = clock.monotonic_ns
        self._lifetime_ps = round(lifetime_s * PS_PER_S)
        self._found: Generations[tuple[Evidence, int]] = Generations(
            self._lifetime_ps, keys_max=keys_max
        )

    def tell(self, actor: Key, innocent: float, detail: str) -> bool:
        """Whether there was room. ``actor``: as ``gate.actor_of`` names him, ("account", "ann")."""
        now_ps = self._turn()
        if self._found.get(actor) is None and self._found.is_full:
            return False
        evidence = Evidence(self._name, innocent, detail=detail)
        self._found.put(actor, (evidence, now_ps + self._lifetime_ps))
        return True

    def forget(self, actor: Key) -> None:
        """After an appeal, or where the actor asked to be erased."""
        self._found.newer.pop(actor, None)
        self._found.older.pop(actor, None)

    def testify(self, facts: Facts) -> Evidence | None:
        """See ``ladder.Witness``."""
        now_ps = self._turn()
        found = self._found.get(actor_of(facts))
        return found[0] if found is not None and now_ps < found[1] else None

    def _turn(self) -> int:
        now_ps = self._now_ns() * PS_PER_NS
        self._found.turn(now_ps)
        return now_ps
