"""Accounts of a log that act as one: which addresses each used and when, day by day.

A day is the unit since people have few places in a day and many in a month. Only accounts are
looked at: what addresses have in common is the pages of the site, which is what it is for.
"""

from __future__ import annotations

from socket import AF_INET, AF_INET6, inet_pton
from typing import TYPE_CHECKING, Final

import numpy as np

from ringwork.gate.collude import Actions, evidence_of, find_daily_clusters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ringwork.gate.collude import Cluster

    Longs = NDArray[np.int64]

KEYS_MAX: Final = 8_000_000
"""Different (account, address, hour), 64 MB; those that come later are counted, not looked at."""
_COMPACT_AT: Final = 1 << 20
_BITS: Final = 21
"""Of an account, an address and an hour since 1970 (up to the year 2209), which make one key."""
_NUMBERS: Final = 1 << _BITS
_HOUR_US: Final = 3_600_000_000


class Collusion:
    """Takes lines of accounts; ``clusters`` may be asked at any time."""

    def __init__(self, *, keys_max: int = KEYS_MAX) -> None:
        self.left_out = 0
        self._max = keys_max
        self._keys: Longs = np.zeros(0, np.int64)
        self._fresh: list[Longs] = []
        self._waiting = 0

    def take(self, accounts: Longs, addresses: Longs, ts_us: Longs) -> None:
        """One element a line; numbers of ``Actors``."""
        hours = ts_us // _HOUR_US
        fits = (accounts < _NUMBERS) & (addresses < _NUMBERS) & (hours >= 0) & (hours < _NUMBERS)
        keys = np.unique((accounts[fits] << 2 * _BITS) | (addresses[fits] << _BITS) | hours[fits])
        self._fresh.append(keys)
        self._waiting += len(keys)
        if self._waiting >= _COMPACT_AT:
            self._compact()

    def clusters(self, names: Sequence[str]) -> list[tuple[Cluster, tuple[str, ...]]]:
        """Each cluster with its evidence in sentences, the largest first; ``names`` by number."""
        self._compact()
        accounts = self._keys >> 2 * _BITS
        addresses = (self._keys >> _BITS) & (_NUMBERS - 1)
        hours = self._keys & (_NUMBERS - 1)
        used = np.unique(addresses)
        places = np.array([_network(names[one], one) for one in used.tolist()], np.int64)
        actions = Actions.of(
            accounts, hours * _HOUR_US, addresses, places[np.searchsorted(used, addresses)]
        )
        return [
            (one, evidence_of(actions, one).told(lambda number: names[number]))
            for one in find_daily_clusters(actions)
        ]

    def _compact(self) -> None:
        if not self._fresh:
            return
        known = np.union1d(self._keys, np.concatenate(self._fresh))
        if len(known) > self._max:
            # Those that are known stay: a flood cannot push them out.
            fresh = np.setdiff1d(known, self._keys, assume_unique=True)
            room = self._max - len(self._keys)
            self.left_out += len(fresh) - room
            known = np.union1d(self._keys, fresh[:room])
        self._keys, self._fresh, self._waiting = known, [], 0


def _network(name: str, number: int) -> int:
    """The /24 or /48 that an address lies in, as a number; what is no address is its own."""
    text = name.partition(":")[2].partition("/")[0]
    try:
        if ":" in text:
            return 1 << 60 | int.from_bytes(inet_pton(AF_INET6, text)[:6])
        return int.from_bytes(inet_pton(AF_INET, text)[:3])
    except (OSError, ValueError):
        return 1 << 61 | number
