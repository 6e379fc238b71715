"""What the simulator calls: the public surface of a contact guard and the platform's directory.

A guard under test is made by a rule set (``rules``), as a platform would make it. Attackers see
even less than this: an account that they bought, and what its syncs answer (``fleet``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Numbers = NDArray[np.uint64]
"""E.164 without the plus."""
Scope = Literal["full", "changes"]
Mode = Literal["everyone", "mutual"]

NUMBERS_MAX = 10_000
"""A sync holds at most so many numbers; clients and attackers cut longer books."""


class SyncRequest(Struct, frozen=True, kw_only=True):
    """One upload of an address book, or a part of one."""

    account: int
    numbers: Numbers
    token: bytes | None = None
    """Of the last answer: proves what was charged before."""
    scope: Scope = "full"
    """``changes``: only who registered lately is answered."""


class Match(Protocol):
    """A number of the request that belongs to an account."""

    @property
    def number(self) -> int: ...
    @property
    def account(self) -> int: ...


class Reply(Protocol):
    """What the client gets."""

    @property
    def status(self) -> str:
        """``ok``, ``wait`` or ``refused``."""
        ...

    @property
    def matches(self) -> Sequence[Match]: ...
    @property
    def token(self) -> bytes | None: ...
    @property
    def retry_after_s(self) -> float | None: ...


class Guard(Protocol):
    """A contact importer's defence."""

    def import_books(
        self, accounts: NDArray[np.int64], offsets: NDArray[np.int64], numbers: Numbers
    ) -> None:
        """Take over books that were uploaded before: CSR, row i belongs to ``accounts[i]``."""
        ...

    def sync(self, request: SyncRequest) -> Reply: ...

    def forget_account(self, account: int) -> None:
        """Its owner deleted it."""
        ...


class Directory(Protocol):
    """The platform's port: who is registered. Batch-shaped."""

    def accounts_of(self, numbers: Numbers) -> NDArray[np.int64]:
        """The account of each number; -1 where there is none."""
        ...

    def number_of(self, account: int) -> int: ...

    def discoverability(self, accounts: NDArray[np.int64]) -> NDArray[np.uint8]:
        """By whom each may be found: 0 nobody, 1 mutual contacts, 2 everyone."""
        ...

    def joined_at(self, accounts: NDArray[np.int64]) -> NDArray[np.float64]:
        """When each registered, in seconds of the wall clock."""
        ...


def matched(reply: Reply) -> Numbers:
    """The numbers that a reply names. Arrays are taken as they are, lists of matches are read."""
    numbers = getattr(reply.matches, "numbers", None)
    if numbers is not None:
        return np.asarray(numbers, np.uint64)
    return np.fromiter((match.number for match in reply.matches), np.uint64, len(reply.matches))
