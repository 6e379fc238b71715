"""What a limit is, and what asking it answers.

Times inside are integer picoseconds: an emission interval is rounded up to the next one, so that a
burst of ``limit`` calls is exactly ``limit`` calls (floats let 7 calls of 1/7 s be more than 1 s),
and the rate is off by less than any clock can tell.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import inf
from typing import Final, Literal

from msgspec import Struct

PS_PER_S: Final = 10**12
PS_PER_NS: Final = 1000
FOREVER_PS: Final = 1 << 100
"""A wait that never ends: the cost alone is above the burst."""

Key = Hashable
"""Of a counter: a text or a tuple that holds one. Never a bare number that a caller chooses: those
hash to themselves, and can be chosen to collide."""


class Gcra(Struct, frozen=True, kw_only=True):
    """``limit`` units per ``period_s``, evenly refilled; ``burst`` of them at once.

    The generic cell rate algorithm (ITU-T I.371, virtual scheduling): one number per key.
    """

    limit: int
    period_s: float
    burst: int | None = None
    """None: ``limit``."""
    name: str = "gcra"


class MetaScore(Struct, frozen=True, kw_only=True):
    """Points in a sliding window; the call that would pass ``maximum`` blocks its key.

    As Meta's Marketing API scores ad accounts (overview/rate-limiting, read 2026-09-12). Calls
    while blocked are refused and not scored. "Decay rate" has two readings: ``window`` forgets a
    call ``window_s`` after it; ``linear`` drains ``maximum`` points in ``window_s``.
    """

    maximum: int
    window_s: float
    block_s: float
    decay: Literal["window", "linear"] = "window"
    name: str = "score"


class SlidingWindow(Struct, frozen=True, kw_only=True):
    """About ``limit`` units in any ``window_s``: two counters per key, and not exact.

    The estimate takes the window before to have been even (Cloudflare, "How we built rate limiting
    capable of scaling to millions of domains"). For when whole windows must be counted as such.
    """

    limit: int
    window_s: float
    name: str = "window"


class Concurrent(Struct, frozen=True, kw_only=True):
    """At most ``limit`` requests at once; one that is never settled ends after ``timeout_s``."""

    limit: int
    timeout_s: float
    name: str = "concurrent"


class Volume(Struct, frozen=True, kw_only=True):
    """``limit`` rows or bytes per ``period_s``: an estimate is reserved, the difference settled."""

    limit: int
    period_s: float
    burst: int | None = None
    unit: Literal["rows", "bytes"] = "rows"
    name: str = "volume"


class Distinct(Struct, frozen=True, kw_only=True):
    """At most ``limit`` different entities in ``window_s``, whoever asks how often.

    Exact up to 64, then a HyperLogLog of 2**``precision`` registers; a caller is refused only
    where the estimate less three of its standard errors is above the limit.
    """

    limit: int
    window_s: float
    precision: int = 12
    name: str = "distinct"


Limit = Gcra | MetaScore | SlidingWindow | Concurrent | Volume | Distinct


class Taken(Struct, frozen=True, gc=False):
    """The answer to one request."""

    allowed: bool
    retry_after_s: float
    """0 where allowed; the longest wait of the limits that refused. Infinite: never, since the cost
    alone is larger than a burst."""
    violated: tuple[str, ...]
    """Names of all limits that refused."""
    rooms: Sequence[int]
    units: Sequence[int]

    @property
    def remaining(self) -> tuple[int, ...]:
        """Units left of each limit after this; worked out when it is asked for."""
        return tuple(room // unit for room, unit in zip(self.rooms, self.units, strict=True))


def seconds_of(wait_ps: int) -> float:
    """A wait as it is told; infinite where it never ends."""
    return inf if wait_ps >= FOREVER_PS else wait_ps / PS_PER_S
