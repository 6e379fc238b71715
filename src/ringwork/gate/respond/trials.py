"""Rules on trial: enforced for some, watched on the good, and back in shadow by themselves.

A rule starts in shadow, is enforced for one actor in a hundred, then for all (``rollout``). Who is
in is said by a keyed hash of rule and actor: the same actors stay in as the share grows, others are
in for another rule, and nobody can find an account that is out.

Friction is refusals of actors who are *known* to be good. Each counts once per window, refused or
not, which makes a sequence of Bernoulli draws; a CUSUM of its log likelihood ratio, budget against
five times the budget, goes back to shadow at ln(``false_alarm``). While the budget is kept that
takes ``false_alarm`` draws or more on average (Lorden, "Procedures for reacting to a change in
distribution", 1971); at five times it takes about ln(``false_alarm``) / KL.
"""

from __future__ import annotations

from collections import deque
from hashlib import blake2b
from math import log, log1p
from typing import Final

from msgspec import Struct

from ringwork.gate.limits.generations import Generations
from ringwork.gate.limits.model import PS_PER_S, Key
from ringwork.gate.policy.model import Friction

WORSE: Final = 5.0
"""Times the budget: what an alarm is tuned to find soonest."""
NOTICES_MAX: Final = 1000
ACTORS_MAX: Final = 100_000
"""Good actors of one window that are remembered; more of them are not counted."""


class ShadowRolledBack(Struct, frozen=True):
    """A rule or rung went back into shadow."""

    name: str
    good: int
    """Actors and windows that were counted, all of them known to be good."""
    refused: int
    budget: float
    at_us: int


class FrictionWatch:
    """The CUSUM of one rule."""

    __slots__ = ("_ahead", "_behind", "_limit", "_seen", "budget", "good", "refused", "score")

    def __init__(self, budget: float, friction: Friction) -> None:
        self.budget = budget
        worse = min(WORSE * budget, (1 + budget) / 2)
        self._ahead = log(worse / budget)
        self._behind = log1p(-worse) - log1p(-budget)
        self._limit = log(friction.false_alarm)
        self._seen: Generations[bool] = Generations(
            round(friction.window_s * PS_PER_S), keys_max=ACTORS_MAX
        )
        self.good = self.refused = 0
        self.score = 0.0

    def count(self, actor: Key, is_refused: bool, now_ps: int) -> bool:
        """Count a request of a good actor; whether that is one refusal too many.

        An actor's first request of the window is a draw. A refusal later in it makes that draw a
        refusal, once; that the draw was counted as none before errs on the side of fewer alarms.
        """
        self._seen.turn(now_ps)
        before = self._seen.get(actor)
        if before is None:
            if self._seen.is_full:
                return False
            self.good += 1
            if not is_refused:
                self.score = max(0.0, self.score + self._behind)
        elif before or not is_refused:
            return False
        self._seen.put(actor, is_refused)
        if is_refused:
            self.refused += 1
            self.score += self._ahead
        return self.score >= self._limit


class Trials:
    """What is on trial, and what has come back from it."""

    def __init__(self, secret: bytes, friction: Friction) -> None:
        """``secret``: 16 bytes or more."""
        self._key = blake2b(b"rollout", key=secret[:64]).digest()
        self.friction = friction
        self._watches: dict[str, FrictionWatch] = {}
        self._back: dict[str, ShadowRolledBack] = {}
        self.notices: deque[ShadowRolledBack] = deque(maxlen=NOTICES_MAX)
        """What went back by itself, in its order, for the log: take them from the left."""

    def is_in(self, name: str, share: float, actor: Key) -> bool:
        """Whether what is on trial is enforced for this actor."""
        if name in self._back:
            return False
        if share >= 1:
            return True
        text = repr((name, actor)).encode(errors="replace")
        place = blake2b(text, key=self._key, digest_size=8).digest()
        return int.from_bytes(place, "big") < share * 2.0**64

    def count(
        self, name: str, actor: Key, is_refused: bool, *, budget: float, now_ps: int, at_us: int
    ) -> None:
        """Count a request of an actor who is known to be good, and for whom it is enforced."""
        if name in self._back:
            return
        watch = self._watches.get(name)
        if watch is None:
            watch = self._watches[name] = FrictionWatch(budget, self.friction)
        if watch.count(actor, is_refused, now_ps):
            back = ShadowRolledBack(name, watch.good, watch.refused, budget, at_us)
            self._back[name] = back
            self.notices.append(back)
            del self._watches[name]

    def rolled_back(self, name: str) -> ShadowRolledBack | None:
        """Why something is in shadow again; None where it is not."""
        return self._back.get(name)

    def begin(self, name: str) -> None:
        """Try it anew: who wrote another policy has looked at what was wrong."""
        self._back.pop(name, None)
        self._watches.pop(name, None)
