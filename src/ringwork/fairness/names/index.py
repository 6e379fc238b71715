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
from ringwork.fairness.names.rules import Match, Rules, match

LOAD_MAX: Final = 0.5
"""Of the slots: a look-up then sees about one and a half of them."""


@dataclass(frozen=True, slots=True)
class Matched:
    """For each written name: row of the table or -1, how (``rules.TABLE``, ...), second row."""

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

    def match(self, written: Strings, rules: Rules) -> Matched:
        """The rows of names as written; rows out = rows in."""
        count = len(written)
        rows, seconds = np.full(count, -1, np.int32), np.full(count, -1, np.int32)
        kinds = np.zeros(count, np.uint8)
        loops = compiled()
        if loops is None:
            left = np.arange(count)
        else:
            slots = self._ready(loops)
            is_cfpb = rules == "cfpb"
            loops.match(written.data, written.offsets, slots, is_cfpb, rows, kinds, seconds)
            left = np.flatnonzero(rows == loops.LEFT)
        known: dict[str, Match] = {}
        for row, text in written.taken(left):
            found = known.get(text)
            if found is None:
                found = known[text] = match(text, rules, self.find)
            rows[row], kinds[row], seconds[row] = found
        return Matched(rows, kinds, seconds)

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
