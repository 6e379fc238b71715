"""Counters that several processes share: what is asked of them, and what they answer.

A decision over several counters is one call, and all or nothing. Cells are counted in integer
picoseconds, as everywhere in the gate; the store's own clock says what time it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct


class Cell(Struct, frozen=True, gc=False):
    """A cell of the generic cell rate algorithm: ``burst`` units, one more every ``interval_ps``.

    With ``block_us`` a refusal blocks its key for so long (a score that drains evenly).
    """

    burst: int
    interval_ps: int
    block_us: int = 0


class Score(Struct, frozen=True, gc=False):
    """Points in a sliding window; the call that would pass ``maximum`` blocks its key."""

    maximum: int
    window_us: int
    block_us: int


class Window(Struct, frozen=True, gc=False):
    """The estimate of a sliding window by two counters."""

    limit: int
    window_us: int


Meter = Cell | Score | Window

Mode = Literal["all", "soft", "alone", "owed", "back"]
"""How a charge stands to the others of its call. ``all``: charged if every such charge passes, and
refuses them all otherwise; ``soft``: charged with them, and its refusal refuses nothing; ``alone``:
by itself, whatever the others do; ``owed``: was spent already, so it is charged in any case, up to
two bursts; ``back``: gives back what a call took."""


class Charge(Struct, frozen=True, gc=False):
    """One counter, and what is asked of it."""

    actor: str
    """Counters of one actor stand together, on the same machine of the store."""
    counter: str
    """Which one, without its limit: another limit is another counter."""
    meter: Meter
    cost: int
    mode: Mode = "all"
    ahead: int = 0
    """Of a cell: so many times the cost beside it, as far as there is room, for later."""
    at_us: int = 0
    """Of ``back``: when it was taken."""


class Answer(Struct, frozen=True, gc=False):
    """How one charge went."""

    wait_us: int
    """0: there was room for it."""
    left: int
    """Units left after this call."""
    more_us: int
    """Until there is one more; 0 where all are there."""
    granted: int = 0
    """Of ``ahead``: how many times the cost was taken."""


class Answered(Struct, frozen=True, gc=False):
    """One decision."""

    at_us: int
    """The store's time."""
    incarnation: int
    """Of the connection: what was taken under another one may have been forgotten."""
    answers: Sequence[Answer]

    @property
    def is_charged(self) -> bool:
        """Whether nothing refused; ask only where the modes are known."""
        return not any(one.wait_us for one in self.answers)
