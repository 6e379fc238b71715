"""The best choice of at most one spot per class: tables, then branch and bound (ads 3.13).

With classes alone the best pod is a knapsack with classes, solved exactly by a table over (seconds,
ads, free ends), class by class. Conflicts between spots of different classes are left to branch
and bound: the same tables, which do not know of them, bound what the classes to come can add. Where
no such conflict is in the way, the first descent reaches the bound and the search is over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]
    Ints = NDArray[np.int64]

MAX_STEPS: Final = 20_000
"""Branches of one search, about half a second. Choosing among spots with arbitrary labels in common
is the independent set problem, so a bound on the spots alone would bound nothing."""
FIRST: Final = 1
LAST: Final = 2
"""The ends of a pod, as bits: those that a spot asks for, those still free."""


class TooManyConflicts(ValueError):
    """The search met ``MAX_STEPS``: so many spots exclude each other that the best is not known."""


class Search:
    """One search over the spots that ``classes`` number; ``run`` may be called once.

    ``value`` and ``duration`` (in units of which ``length`` fit into the pod), ``ends`` and
    ``conflict`` are by spot number; two spots of a class are never both chosen.
    """

    def __init__(
        self,
        classes: Sequence[Sequence[int]],
        value: Ints,
        duration: Ints,
        ends: Sequence[int],
        conflict: Bools,
        *,
        length: int,
        max_ads: int,
    ) -> None:
        import numpy as np  # noqa: PLC0415

        # A move is a spot at an end that would do, or anywhere: (its class, spot, end taken).
        moves = [
            (place, number, end)
            for place, members in enumerate(classes)
            for number in members
            for end in _choices(ends[number])
        ]
        self._of_class, self._spot, self._end = np.array(moves, np.int64).T
        self._value = value[self._spot]
        self._duration = duration[self._spot]
        # The other ads of a class are excluded by the order of the classes anyway.
        self._conflict = conflict[np.ix_(self._spot, self._spot)]
        self._ads = min(max_ads, len(classes), length // int(self._duration.min()))
        self._length = length
        self._free = 3 if any(ends[number] for members in classes for number in members) else 0
        self._bound = self._tables(len(classes))
        self._steps = 0
        self._best_nanos = 0
        self._best: list[int] = []

    def run(self) -> list[int]:
        """The numbers of the chosen spots; ``TooManyConflicts`` past ``MAX_STEPS``."""
        import numpy as np  # noqa: PLC0415

        blocked = np.zeros(len(self._spot), np.bool_)
        self._descend([], 0, self._free, self._ads, self._length, blocked)
        return self._best

    def _tables(self, classes: int) -> Ints:
        """[class, free ends, ads, seconds]: the most that this class and those after it can add.

        Conflicts across classes are not looked at, so it is never too little.
        """
        import numpy as np  # noqa: PLC0415

        shape = (classes + 1, self._free + 1, self._ads + 1, self._length + 1)
        bound = np.zeros(shape, np.int64)
        place = classes
        for move in range(len(self._spot) - 1, -1, -1):
            if place != self._of_class[move]:
                place = int(self._of_class[move])
                bound[place] = bound[place + 1]
            end, length = int(self._end[move]), int(self._duration[move])
            for free in range(end, self._free + 1):
                if free & end == end:
                    target = bound[place, free, 1:, length:]
                    source = bound[place + 1, free ^ end, :-1, : self._length + 1 - length]
                    np.maximum(target, source + self._value[move], out=target)
        return bound

    def _descend(
        self, chosen: list[int], worth: int, free: int, ads: int, length: int, blocked: Bools
    ) -> None:
        """Try what may follow ``chosen``, the most promising first, while it can beat the best."""
        import numpy as np  # noqa: PLC0415

        if worth > self._best_nanos:
            self._best_nanos, self._best = worth, [int(self._spot[move]) for move in chosen]
        if not ads:
            return
        fits = ~blocked & (self._duration <= length) & (self._end & ~free == 0)
        if chosen:
            fits &= self._of_class > self._of_class[chosen[-1]]
        moves = fits.nonzero()[0]
        rest = self._bound[
            self._of_class[moves] + 1,
            free ^ self._end[moves],
            ads - 1,
            length - self._duration[moves],
        ]
        hopes = worth + self._value[moves] + rest
        for position in np.argsort(-hopes, kind="stable"):
            if hopes[position] <= self._best_nanos:
                return
            self._steps += 1
            if self._steps > MAX_STEPS:
                raise TooManyConflicts(
                    f"no pod was proved the best in {MAX_STEPS} steps: ask for fewer distinct"
                    " labels, or offer fewer spots"
                )
            move = int(moves[position])
            self._descend(
                [*chosen, move],
                worth + int(self._value[move]),
                free ^ int(self._end[move]),
                ads - 1,
                length - int(self._duration[move]),
                blocked | self._conflict[move],
            )


def _choices(ends: int) -> Iterator[int]:
    """The ends that a spot may take: one of those it asks for, or none."""
    if not ends:
        yield 0
    for end in (FIRST, LAST):
        if ends & end:
            yield end
