"""The names of a table, and the row of every name as written.

With numba (the extra ``fast``) plain names are matched as they lie in memory, about 40 ns each, and
only what is left, once per distinct string, by ``rules``. Without it every distinct string is. The
answers are the same.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringwork.fairness.columns import Strings, strings
from ringwork.fairness.names.rules import NONE, Match, Rules, match

LOAD_MAX: Final = 0.7
"""Of the slots: a look-up then sees about two of them, mostly in one cache line; the Census list
takes 4 MB."""


_NOTHING: Final = np.zeros(0, np.intp)


@dataclass(frozen=True, slots=True)
class Matched:
    """For each written name: its row, how it matched (``rules.TABLE``, ...), the second part's row.

    Rows beyond the table: its length stands for a name that is not listed, one more for no name.
    ``seconds`` is -1 where there is none.
    """

    rows: NDArray[np.int32]
    kinds: NDArray[np.uint8]
    seconds: NDArray[np.int32]


@dataclass(slots=True)
class NameIndex:
    """Finds names of a table; ``keys`` are its names in upper case, as the Census writes them."""

    keys: Sequence[str]
    _rows: dict[str, int] = field(init=False, repr=False)
    _slots: NDArray[np.int64] | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        self._rows = {}
        for row, key in enumerate(self.keys):
            self._rows.setdefault(key, row)

    def find(self, key: str) -> int | None:
        """The row of a key."""
        return self._rows.get(key)

    def match(
        self, written: Strings, rules: Rules, known: dict[str, Match] | None = None
    ) -> Matched:
        """The rows of names as written; rows out = rows in.

        ``known`` keeps what ``rules`` found from call to call, for a column that comes in parts.
        """
        count = len(written)
        rows, seconds = np.empty(count, np.int32), np.empty(count, np.int32)
        kinds = np.empty(count, np.uint8)
        loops = compiled()
        if loops is None:
            left = np.arange(count)
        else:
            slots, is_cfpb = self._ready(loops), rules == "cfpb"
            found = rows, kinds, seconds
            args = written.data, written.offsets, slots, is_cfpb, len(self.keys)
            is_done = loops.match(*args, *found) == 0
            left = _NOTHING if is_done else np.flatnonzero(rows == loops.LEFT)
        known = {} if known is None else known
        for row, text in written.taken(left):
            one = known.get(text)
            if one is None:
                one = known[text] = self._placed(match(text, rules, self.find))
            rows[row], kinds[row], seconds[row] = one
        return Matched(rows, kinds, seconds)

    def _placed(self, found: Match) -> Match:
        if found.row >= 0:
            return found
        return found._replace(row=len(self.keys) + (found.kind == NONE))

    def _ready(self, loops: ModuleType) -> NDArray[np.int64]:
        """The table of slots, made at the first use."""
        if self._slots is None:
            keys = strings(self.keys)
            words = np.zeros((len(keys), 2), np.int64)
            loops.pack(keys.data, keys.offsets, words)
            is_word = words.any(axis=1)
            count = len(keys) + len(loops.ANSWER_WORDS)
            slots = np.zeros((1 << int(np.ceil(np.log2(count / LOAD_MAX))), 2), np.int64)
            loops.insert(words[is_word], np.flatnonzero(is_word).astype(np.int64), slots)
            loops.insert(loops.ANSWER_WORDS, loops.answers(), slots)
            self._slots = slots
        return self._slots


@functools.cache
def compiled() -> ModuleType | None:
    """The compiled loops, or None where numba is not installed."""
    try:
        from ringwork.fairness.names import compiled as loops  # noqa: PLC0415 # numba, when used
    except ModuleNotFoundError as missing:
        if missing.name != "numba":
            raise
        return None
    return loops
