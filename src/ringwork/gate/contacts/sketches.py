"""Has somebody sent this book before: a new number with the old book, two phones merged into one.

One-permutation MinHash (Li, Owen and Zhang 2012) of the keyed hashes, empty bins filled from the
next full one (Shrivastava and Li 2014), in bands (locality-sensitive hashing). A candidate is then
compared number by number, so a band that meets by chance costs time and gives nothing.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ringwork.gate.contacts.keyed import Words
from ringwork.gate.contacts.seen import Accounts

BANDS: Final = 11
ROWS: Final = 3
"""A Jaccard similarity of .9 meets in a band with .999999, of .7 with .99, of .1 with .01."""
LEAST: Final = 20
"""Numbers of a book that is told apart from others."""
CANDIDATES_MAX: Final = 8
_BINS: Final = BANDS * ROWS
_EMPTY: Final = np.uint64(2**64 - 1)


def bands(hashes: Words) -> Words:
    """The band keys of one set of hashes."""
    bins = ((hashes >> np.uint64(32)) * np.uint64(_BINS)) >> np.uint64(32)
    least = np.full(_BINS, _EMPTY)
    np.minimum.at(least, bins.astype(np.int64), hashes)
    full = np.flatnonzero(least != _EMPTY)
    source = full[np.searchsorted(full, np.arange(_BINS)) % len(full)]
    result: Words = _keys(least[source][None, :])[0]
    return result


def _keys(least: Words) -> Words:
    """Band keys of each row of minima."""
    parts = least.reshape(len(least), BANDS, ROWS)
    keys = np.broadcast_to(np.arange(1, BANDS + 1, dtype=np.uint64), parts.shape[:2]).copy()
    for row in range(ROWS):
        keys = (keys ^ parts[:, :, row]) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(29)
    return keys


class Sketches:
    """Which accounts' books fall into which band."""

    def __init__(self) -> None:
        self._keys: Words = np.empty(0, dtype=np.uint64)
        self._accounts: Accounts = np.empty(0, dtype=np.int64)
        self._later: dict[int, list[int]] = {}

    def __len__(self) -> int:
        return len(self._keys) + len(self._later)

    @property
    def size_bytes(self) -> int:
        """Of the sorted part."""
        return self._keys.nbytes + self._accounts.nbytes

    def add(self, account: int, hashes: Words) -> None:
        """Remember a book; the last few accounts of a band are kept."""
        if len(hashes) < LEAST:
            return
        for key in bands(hashes).tolist():
            there = self._later.setdefault(key, [])
            if account not in there:
                there.append(account)
                del there[:-CANDIDATES_MAX]

    def load_rows(self, accounts: Accounts, offsets: Accounts, hashes: Words) -> None:
        """Remember many books at once."""
        rows = np.flatnonzero(np.diff(offsets) >= LEAST)
        keys = [bands(hashes[offsets[i] : offsets[i + 1]]) for i in rows.tolist()]
        self._merge(
            np.concatenate([self._keys, *keys]),
            np.concatenate([self._accounts, np.repeat(accounts[rows], BANDS)]),
        )

    def alike(self, hashes: Words, besides: int) -> list[int]:
        """Accounts that may have sent about these numbers, the likeliest first."""
        if len(hashes) < LEAST:
            return []
        votes: dict[int, int] = {}
        for key in bands(hashes):
            first = int(np.searchsorted(self._keys, key))
            last = min(int(np.searchsorted(self._keys, key, side="right")), first + CANDIDATES_MAX)
            for one in (*self._accounts[first:last].tolist(), *self._later.get(int(key), ())):
                votes[one] = votes.get(one, 0) + 1
        votes.pop(besides, None)
        return sorted(votes, key=lambda one: (-votes[one], one))[:CANDIDATES_MAX]

    def forget(self, account: int) -> None:
        """Drop an account."""
        stays = self._accounts != account
        self._keys, self._accounts = self._keys[stays], self._accounts[stays]
        for key in [key for key, there in self._later.items() if account in there]:
            self._later[key].remove(account)
            if not self._later[key]:
                del self._later[key]

    def dump(self) -> list[Any]:
        """For a snapshot."""
        pairs = [(key, one) for key, there in self._later.items() for one in there]
        keys = np.array([key for key, _ in pairs], dtype=np.uint64)
        accounts = np.array([one for _, one in pairs], dtype=np.int64)
        self._later = {}
        self._merge(np.concatenate([self._keys, keys]), np.concatenate([self._accounts, accounts]))
        return [self._keys.astype("<u8").tobytes(), self._accounts.astype("<i8").tobytes()]

    def restore(self, dumped: list[Any]) -> None:
        """Replace all by a dump. Raises ValueError where its parts do not fit together."""
        keys, accounts = msgspec.convert(dumped, list[bytes])
        self._keys = np.frombuffer(keys, dtype="<u8").copy()
        self._accounts = np.frombuffer(accounts, dtype="<i8").copy()
        self._later = {}
        if len(self._keys) != len(self._accounts):
            raise ValueError("expected an account for every band")

    def _merge(self, keys: Words, accounts: NDArray[np.int64]) -> None:
        order = np.lexsort((accounts, keys))
        keys, accounts = keys[order], accounts[order]
        first = np.ones(len(keys), dtype=np.bool_)
        first[1:] = (keys[1:] != keys[:-1]) | (accounts[1:] != accounts[:-1])
        self._keys, self._accounts = keys[first], accounts[first]
