"""When a store that failed is asked again: seldom, by one call, and not by all machines at once."""

from __future__ import annotations

from typing import Final

from ringwork.kernel.ports import Clock, Entropy

FAILURES: Final = 3
"""In a row, before calls are held back: one lost connection is no reason."""
FIRST_NS: Final = 250_000_000
LONGEST_NS: Final = 8_000_000_000


class Breaker:
    """Open: nothing is asked. After a while one call tries; if it fails, the while doubles."""

    __slots__ = ("_entropy", "_failures", "_now_ns", "_pause_ns", "_trying", "_until_ns")

    def __init__(self, *, clock: Clock, entropy: Entropy) -> None:
        self._now_ns = clock.monotonic_ns
        self._entropy = entropy
        self._failures = 0
        self._pause_ns = FIRST_NS
        self._until_ns = 0
        self._trying = False

    @property
    def retry_after_s(self) -> float:
        """0 where a call may be made now."""
        if self._failures < FAILURES:
            return 0.0
        left_ns = self._until_ns - self._now_ns()
        return max(left_ns, FIRST_NS if self._trying else 0) / 1e9

    def may_ask(self) -> bool:
        """Whether to make a call now. After a pause only the first to ask may."""
        if self._failures < FAILURES:
            return True
        if self._trying or self._now_ns() < self._until_ns:
            return False
        self._trying = True
        return True

    def worked(self) -> None:
        """A call was answered."""
        self._failures = 0
        self._pause_ns = FIRST_NS
        self._trying = False

    def failed(self) -> None:
        """A call was not."""
        self._failures += 1
        self._trying = False
        if self._failures >= FAILURES:
            share = int.from_bytes(self._entropy.take(2)) / 65_536
            self._until_ns = self._now_ns() + round(self._pause_ns * (0.5 + share / 2))
            self._pause_ns = min(2 * self._pause_ns, LONGEST_NS)
