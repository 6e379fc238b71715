"""Many requests at once, as a log has them: which of them a set of cells would have admitted.

The same decisions as ``MultiLimiter`` takes one by one, all or nothing over the keys of each
request, in integer picoseconds. Compiled where numba is installed (the extra ``fast``), else a loop
in plain Python with the same answers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from msgspec import Struct

from ringwork.gate.limits.gcra import GcraTable
from ringwork.gate.limits.model import PS_PER_S, Gcra

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Whole = NDArray[np.int64]
    Run = Callable[[Whole, Whole, Whole, Whole, Whole, Whole, Whole], None]

PS_PER_US: Final = 10**6
SPAN_PS: Final = 1 << 61
"""Times are counted from a base that moves on after 26 days, so that they fit 64 bits."""
LIMITS_MAX: Final = 63
"""Their bits are one number."""
FOREVER: Final = -1


class Replayed(Struct, frozen=True):
    """What became of each request."""

    allowed: NDArray[np.bool_]
    violated: Whole
    """Bit k: the k-th limit refused."""
    waits_ps: Whole
    """0 where it was allowed; -1: never, its cost is above a burst."""


class BatchLimiter:
    """Counters of cells whose keys are numbers from 0, kept from one batch to the next."""

    def __init__(self, limits: Sequence[Gcra], keys: Sequence[int]) -> None:
        """``keys``: how many each limit has.

        Raises ValueError for limits that can hold nothing, that need more than 26 days to refill,
        or that are not 1 to 63.
        """
        if not 1 <= len(limits) <= LIMITS_MAX or len(keys) != len(limits):
            raise ValueError(
                f"expected 1 to {LIMITS_MAX} limits and how many keys each has; got "
                f"{len(limits)} limits, {len(keys)} numbers"
            )
        cells = [GcraTable(one) for one in limits]
        for one in cells:
            if one.tolerance_ps >= SPAN_PS:
                raise ValueError(
                    f"{one.name}: expected a burst that refills within {SPAN_PS / PS_PER_S:.0f} s"
                )
        self._counts = np.array(keys, np.int64)
        offsets = np.cumsum(self._counts) - self._counts
        self._cells = np.array(
            [
                (offset, one.interval_ps, one.burst)
                for offset, one in zip(offsets.tolist(), cells, strict=True)
            ],
            np.int64,
        )
        self._ends = np.zeros(sum(keys), np.int64)
        """When each counter will have run out, in picoseconds after the base."""
        self._base_us: int | None = None
        self._last_us = 0

    def replay(self, times_us: Whole, keys: Whole, costs: Whole | int = 1) -> Replayed:
        """Decide requests [n] with keys [n, limits] at times that do not go back.

        A time before the one before it counts as that one, as a clock that steps back does. Raises
        ValueError for shapes, keys or costs that do not fit.
        """
        count = len(times_us)
        each = np.ascontiguousarray(np.broadcast_to(np.asarray(costs, np.int64), (count,)))
        keys = np.ascontiguousarray(keys, np.int64)
        self._check(count, keys, each)
        times = np.maximum.accumulate(np.asarray(times_us, np.int64))
        if self._base_us is None:
            self._base_us = self._last_us = int(times[0]) if count else 0
        times = np.maximum(times, self._last_us)
        violated, waits = np.zeros(count, np.int64), np.zeros(count, np.int64)
        run, span_us = engine(), SPAN_PS // PS_PER_US
        at = 0
        while at < count:
            self._rebase(int(times[at]))
            until = int(np.searchsorted(times, self._base_us + span_us, side="left"))
            part = slice(at, until)
            run(
                (times[part] - self._base_us) * PS_PER_US,
                keys[part],
                each[part],
                self._ends,
                self._cells,
                violated[part],
                waits[part],
            )
            at = until
        if count:
            self._last_us = int(times[-1])
        return Replayed(violated == 0, violated, waits)

    def _rebase(self, now_us: int) -> None:
        """Count from now on; what has run out by then stands at the base, which is the same."""
        assert self._base_us is not None
        if now_us - self._base_us >= SPAN_PS // PS_PER_US // 2:
            shift_ps = (now_us - self._base_us) * PS_PER_US  # a Python number: of any size
            if shift_ps >= 2 * SPAN_PS:
                self._ends[:] = 0
            else:
                np.maximum(self._ends - shift_ps, 0, out=self._ends)
            self._base_us = now_us

    def _check(self, count: int, keys: Whole, costs: Whole) -> None:
        limits = len(self._counts)
        if keys.shape != (count, limits):
            raise ValueError(f"keys: expected shape {(count, limits)}, got {keys.shape}")
        if count and (costs.min() < 0 or keys.min() < 0 or (keys >= self._counts).any()):
            raise ValueError("expected costs of 0 or more, and keys below the number of each limit")


def plain(
    times_ps: Whole,
    keys: Whole,
    costs: Whole,
    ends_ps: Whole,
    cells: Whole,
    violated: Whole,
    waits_ps: Whole,
) -> None:
    """Decide in the order given, charging ``ends_ps``; ``violated`` and ``waits_ps`` are filled.

    ``cells``: per limit where its counters begin, the emission interval and the burst.
    """
    ends = ends_ps.tolist()
    rules = cells[:, 1:].tolist()
    slots = keys + cells[:, 0]
    for number, (now, row, cost) in enumerate(
        zip(times_ps.tolist(), slots.tolist(), costs.tolist(), strict=True)
    ):
        bits = longest = 0
        for bit, (slot, (interval, burst)) in enumerate(zip(row, rules, strict=True)):
            if cost > burst:
                bits |= 1 << bit
                longest = FOREVER
                continue
            over = max(ends[slot], now) + cost * interval - now - burst * interval
            if over > 0:
                bits |= 1 << bit
                longest = longest if longest == FOREVER else max(longest, over)
        if bits:
            violated[number], waits_ps[number] = bits, longest
        else:
            for slot, (interval, _) in zip(row, rules, strict=True):
                ends[slot] = max(ends[slot], now) + cost * interval
    ends_ps[:] = ends


@functools.cache
def engine() -> Run:
    """The loop, ready to run. The first call compiles it or reads the cache."""
    try:
        from ringwork.gate.limits import batch_compiled  # noqa: PLC0415 # numba only when used
    except ModuleNotFoundError as missing:
        if missing.name != "numba":
            raise
        return plain
    return batch_compiled.run
