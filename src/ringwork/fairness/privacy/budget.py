"""What every ad declared, spent, and has left: no budget is exceeded (I9).

A flight (an ad and one segment of its audience) declares all its releases before the first, and
what they will cost; a declaration beyond the plan's ``epsilon_max`` is refused, and so is a release
that was not declared. ``declare`` and ``charge`` decide and change nothing: they return the fact,
which ``apply`` folds once it is in the log. So a replayed ledger is the same ledger, and it needs
no accountant: the facts carry the figures.

Segments of one ad share its terms, and the cap on contributions is kept across them: a unit that
gave all it may to one has nothing left for another. What it loses is then at most one segment's
cost (with c_1 + c_2 <= c, c_1**2 + c_2**2 <= c**2), so an ad costs the maximum of its segments, not
their sum. That holds for the sums over people too, one of which every segment ends with: a unit is
in those of one segment, once (``measure.caps``), and the segment that ends has paid for them.
Different ads are different units, and what a person loses who saw several is composed
(``overall``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from ringwork.fairness.plan import PrivacyPlan
from ringwork.fairness.privacy import accounting
from ringwork.fairness.privacy.accounting import MICRO, Cost
from ringwork.fairness.slugs import SLUGS
from ringwork.kernel.errors import NotFound, Refused

SEGMENTS_MAX: Final = 256
"""Of one ad: a change of audience more often than that is no audience."""

Price = Callable[[PrivacyPlan, int, int], Cost]
"""(privacy, vectors, releases) -> cost; ``accounting.cost`` unless a test counts the calls."""


class FlightDeclared(Struct, frozen=True, kw_only=True):
    """All that an ad will release of one segment, before its first release."""

    ad: str
    segment: int
    privacy: PrivacyPlan
    vectors: int
    cost: Cost
    """Of all its releases."""


class ReleaseCharged(Struct, frozen=True, kw_only=True):
    """One release, with what its flight has spent after it."""

    ad: str
    segment: int
    episode: int
    """From 1 on, without gaps."""
    spent: Cost


class Standing(Struct, frozen=True, kw_only=True):
    """The budget of one ad, in millionths of epsilon at ``delta`` (replace adjacency)."""

    ad: str
    delta: str
    limit_micro: int
    declared_micro: int
    """Of any of its segments: their terms are the same."""
    spent_micro: int
    """Of the segment that cost the most."""
    releases: int
    """Over all segments."""
    releases_left: int
    """Of its newest segment."""

    @property
    def left_micro(self) -> int:
        """What its newest segment may still spend."""
        return self.declared_micro - self.spent_micro


class _Flight(Struct):
    declared: FlightDeclared
    releases: int = 0
    spent: Cost | None = None

    @property
    def paid(self) -> int:
        """Releases that it has paid for: all of them once its last one is made, however early."""
        return self.declared.privacy.episodes if self.spent == self.declared.cost else self.releases


def _price(privacy: PrivacyPlan, vectors: int, releases: int) -> Cost:
    return accounting.cost(privacy, vectors, releases=releases)


class BudgetLedger:
    """The fold of declarations and releases, and the rules for the next of each."""

    __slots__ = ("_flights", "_price")

    def __init__(self, price: Price = _price) -> None:
        self._flights: dict[str, list[_Flight]] = {}
        self._price = price

    def declare(self, ad: str, *, privacy: PrivacyPlan, vectors: int) -> FlightDeclared:
        """The declaration of an ad's next segment.

        Refused: budget-exceeded where all its releases would cost more than ``epsilon_max``, where
        a further segment has other terms than the first, or after SEGMENTS_MAX segments. ValueError
        without a vector.
        """
        if vectors < 1:
            raise ValueError(f"vectors: expected 1 or more, got {vectors}")
        flights = self._flights.get(ad, [])
        segment = len(flights)
        if flights and (privacy, vectors) != (
            flights[0].declared.privacy,
            flights[0].declared.vectors,
        ):
            raise _refused(
                "budget-exceeded",
                f"ad {ad!r}: expected the terms of its first segment; terms that change within a "
                "flight have no cost that was declared",
            )
        cost = self._price(privacy, vectors, privacy.episodes)
        limit = limit_micro(privacy)
        if cost.replace_micro > limit:
            raise _refused(
                "budget-exceeded",
                f"ad {ad!r}: expected releases that cost at most epsilon {privacy.epsilon_max:g}; "
                f"{privacy.episodes} of {vectors} sums at sigma {privacy.sigma:g} cost "
                f"{cost.replace_micro / MICRO:.2f} at delta {cost.delta}: raise sigma or "
                "epsilon_max in the plan",
            )
        if segment >= SEGMENTS_MAX:
            raise _refused(
                "budget-exceeded", f"ad {ad!r}: expected at most {SEGMENTS_MAX} segments"
            )
        return FlightDeclared(ad=ad, segment=segment, privacy=privacy, vectors=vectors, cost=cost)

    def charge(self, ad: str, *, is_last: bool = False) -> ReleaseCharged:
        """The charge of the next release of an ad's newest segment.

        ``is_last``: the segment ends with it, and with it come the sums over people, so it is
        charged all that was declared.

        Refused: budget-spent where all that was declared is released; NotFound for an ad that
        declared nothing.
        """
        flight = self._newest(ad)
        declared = flight.declared
        episode = flight.releases + 1
        if episode > declared.privacy.episodes:
            raise _refused(
                "budget-spent",
                f"ad {ad!r}: expected at most {declared.privacy.episodes} releases, as declared; "
                "all are made",
            )
        paid = declared.privacy.episodes if is_last else episode
        spent = self._price(declared.privacy, declared.vectors, paid)
        return ReleaseCharged(ad=ad, segment=declared.segment, episode=episode, spent=spent)

    def first_charge(self, declared: FlightDeclared) -> ReleaseCharged:
        """The charge of the first release of a flight that is declared in the same command."""
        spent = self._price(declared.privacy, declared.vectors, 1)
        return ReleaseCharged(ad=declared.ad, segment=declared.segment, episode=1, spent=spent)

    def apply(self, fact: FlightDeclared | ReleaseCharged) -> None:
        """Fold one fact, in the order of the log. ValueError for one that cannot follow."""
        flights = self._flights.setdefault(fact.ad, [])
        if isinstance(fact, FlightDeclared):
            if fact.segment != len(flights):
                raise ValueError(f"expected segment {len(flights)} of the ad, got {fact.segment}")
            flights.append(_Flight(fact))
            return
        newest = flights[-1] if flights else None
        if newest is None or (fact.segment, fact.episode) != (
            newest.declared.segment,
            newest.releases + 1,
        ):
            raise ValueError(f"expected the ad's next release, got {fact.segment}.{fact.episode}")
        assert fact.spent.replace_micro <= newest.declared.cost.replace_micro
        newest.releases, newest.spent = fact.episode, fact.spent

    def standing(self, ad: str) -> Standing:
        """What an ad spent and has left. NotFound for one that declared nothing."""
        newest, flights = self._newest(ad).declared, self._flights[ad]
        spent = max((one.spent.replace_micro for one in flights if one.spent), default=0)
        return Standing(
            ad=ad,
            delta=newest.privacy.delta,
            limit_micro=limit_micro(newest.privacy),
            declared_micro=newest.cost.replace_micro,
            spent_micro=spent,
            releases=sum(one.releases for one in flights),
            releases_left=newest.privacy.episodes - flights[-1].releases,
        )

    def ads(self) -> Sequence[str]:
        """All that declared, by name."""
        return sorted(self._flights)

    def overall(self, delta: str) -> Cost:
        """What a unit that was in every ad has lost at most by all releases so far.

        Composed by the accountant, at ``delta`` for all of it together: seconds for many ads.
        """
        dearest = [max(flights, key=lambda one: one.paid) for flights in self._flights.values()]
        spent = {
            replace: [
                accounting.multiplier(
                    one.declared.privacy,
                    one.declared.vectors,
                    replace=replace,
                    releases=one.paid,
                )
                for one in dearest
                if one.paid
            ]
            for replace in (False, True)
        }
        return Cost(
            add_remove_micro=accounting.epsilon_micro(spent[False], delta),
            replace_micro=accounting.epsilon_micro(spent[True], delta),
            delta=delta,
        )

    def dump(self) -> bytes:
        """The state, for a snapshot; equal ledgers dump equal bytes."""
        return msgspec.msgpack.encode(self._flights, order="deterministic")

    def load(self, state: bytes) -> None:
        """Take back what ``dump`` gave."""
        self._flights = msgspec.msgpack.decode(state, type=dict[str, list[_Flight]])

    def _newest(self, ad: str) -> _Flight:
        if ad not in self._flights or not self._flights[ad]:
            raise NotFound(f"ad {ad!r} declared no releases")
        return self._flights[ad][-1]


def limit_micro(privacy: PrivacyPlan) -> int:
    """The plan's ``epsilon_max`` in millionths, rounded down."""
    return int(privacy.epsilon_max * MICRO)


def _refused(slug: str, detail: str) -> Refused:
    return Refused(
        slug, detail, status=SLUGS[slug][0], title="The privacy budget does not allow it"
    )
