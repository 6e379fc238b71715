"""When a bidder is left alone: after failures in a row, and past the requests that it agreed to."""

from __future__ import annotations

from typing import Final, Literal

NS_PER_S: Final = 10**9

Pass = Literal["usual", "trial"]
"""Why a request may go out: the bidder answers, or it is tried whether it does again."""


class Breaker:
    """Opens after failures in a row, for a pause that doubles with every trial that fails.

    While it is open nothing goes out until the pause is over; then one request tries. Its success
    closes the breaker, its failure begins the next pause. What was sent before it opened and comes
    back later changes nothing.
    """

    __slots__ = (
        "_failures",
        "_failures_to_open",
        "_first_pause_ns",
        "_is_trying",
        "_opened_ns",
        "_pause_max_ns",
        "_pause_ns",
    )

    def __init__(self, *, failures_to_open: int, pause_s: int, pause_max_s: int) -> None:
        self._failures_to_open = failures_to_open
        self._first_pause_ns = self._pause_ns = pause_s * NS_PER_S
        self._pause_max_ns = max(pause_max_s * NS_PER_S, self._pause_ns)
        self._failures = 0
        self._opened_ns: int | None = None
        self._is_trying = False

    @property
    def is_open(self) -> bool:
        """Whether the bidder is left alone but for a trial."""
        return self._opened_ns is not None

    def admit(self, now_ns: int) -> Pass | None:
        """Whether a request may go out. Each pass is given back with how it ended."""
        if self._opened_ns is None:
            return "usual"
        if self._is_trying or now_ns < self._opened_ns + self._pause_ns:
            return None
        self._is_trying = True
        return "trial"

    def succeeded(self, given: Pass) -> None:
        """The bidder answered in time."""
        if given == "trial":
            self._opened_ns, self._is_trying = None, False
            self._pause_ns = self._first_pause_ns
        if self._opened_ns is None:
            self._failures = 0

    def failed(self, given: Pass, now_ns: int) -> None:
        """It did not, or with something that is no answer."""
        if given == "trial":
            self._is_trying = False
            self._opened_ns = now_ns
            self._pause_ns = min(self._pause_ns * 2, self._pause_max_ns)
        elif self._opened_ns is None:
            self._failures += 1
            if self._failures >= self._failures_to_open:
                self._opened_ns = now_ns
                self._failures = 0

    def abandoned(self, given: Pass) -> None:
        """Nobody waited for the answer; a trial that was cut short says nothing."""
        if given == "trial":
            self._is_trying = False


class Allowance:
    """So many requests a second; what was not used for a second may come at once."""

    __slots__ = ("_filled_ns", "_left", "_per_s")

    def __init__(self, per_s: int) -> None:
        self._per_s = per_s
        self._left = per_s * NS_PER_S
        """In 1e-9 of a request, so that nothing is lost between two requests."""
        self._filled_ns: int | None = None

    def take(self, now_ns: int) -> bool:
        """Whether one more may go out now; it then counts."""
        if self._filled_ns is not None:
            gained = (now_ns - self._filled_ns) * self._per_s
            self._left = min(self._left + gained, self._per_s * NS_PER_S)
        self._filled_ns = now_ns
        if self._left < NS_PER_S:
            return False
        self._left -= NS_PER_S
        return True
