"""The loops of ``ingest`` without numba: the same answers, bit for bit, but slower.

Every function does what its namesake in ``ingest_compiled`` does; the contracts are written there.
Sums are NumPy's; admission is one key after the other, since each depends on those before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.int32]
    Keys = NDArray[np.uint64]
    Counts = NDArray[np.uint16]
    Flags = NDArray[np.bool_]

_WORD: Final = (1 << 64) - 1


def add_rows(
    sums: NDArray[np.int32], ads: Numbers, people: Numbers, rows: Counts, is_in: Flags
) -> None:
    """See ``ingest_compiled.add_rows``."""
    ads, people = ads[is_in], people[is_in]
    if not len(ads):
        return
    order = np.argsort(ads, kind="stable")
    first = np.flatnonzero(np.diff(ads[order], prepend=-1))
    added = np.add.reduceat(rows[people[order]], first, axis=0, dtype=np.int32)
    sums[ads[order[first]]] += added


def tally(
    counts: NDArray[np.int64], ads: Numbers, is_new: Flags, is_counted: Flags, is_first: Flags
) -> None:
    """See ``ingest_compiled.tally``."""
    for column, these in enumerate((is_new, is_new & ~is_counted, is_first)):
        counts[:, column] += np.bincount(ads[these], minlength=len(counts))


def add_cells(cells: NDArray[np.int32], ads: Numbers, clusters: Numbers) -> None:
    """See ``ingest_compiled.add_cells``."""
    np.add.at(cells.reshape(-1), ads.astype(np.int64) * cells.shape[1] + clusters, 1)


def slot(key: int, mask: int) -> int:
    """See ``ingest_compiled.slot``."""
    mixed = ((key ^ (key >> 32)) * 0x9E3779B97F4A7C15) & _WORD
    mixed = ((mixed ^ (mixed >> 32)) * 0xD6E8FEB86659FD93) & _WORD
    return (mixed >> 32) & mask


def admit(
    table: Keys, given: NDArray[np.uint8], keys: Keys, cap: int, is_admitted: NDArray[np.bool_]
) -> int:
    """See ``ingest_compiled.admit``."""
    mask, new = len(table) - 1, 0
    for i in np.flatnonzero(is_admitted).tolist():
        key = int(keys[i])
        at = slot(key, mask)
        while int(table[at]) not in (key, 0):
            at = (at + 1) & mask
        if not table[at]:
            table[at] = key
            new += 1
        if given[at] < cap:
            given[at] += 1
        else:
            is_admitted[i] = False
    return new


def admit_once(table: Keys, keys: Keys, is_admitted: NDArray[np.bool_]) -> int:
    """See ``ingest_compiled.admit_once``."""
    return admit(table, np.zeros(len(table), np.uint8) + (table != 0), keys, 1, is_admitted)


def move(
    table: Keys, given: NDArray[np.uint8], larger: Keys, larger_given: NDArray[np.uint8]
) -> None:
    """See ``ingest_compiled.move``."""
    mask = len(larger) - 1
    for i in np.flatnonzero(table).tolist():
        at = slot(int(table[i]), mask)
        while larger[at]:
            at = (at + 1) & mask
        larger[at] = table[i]
        if len(given):
            larger_given[at] = given[i]
