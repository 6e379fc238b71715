"""One number per person, shared by all workers of a node, that grows with each of their decisions.

A table of 2^20 uint32 (4 MiB), mapped into every process; a person's place is 20 bits of the
pseudonym, which is a keyed hash already. Persons who share a place only end each other's grants,
which is safe: the next request decides anew.

The number is *how many consent records of the place are durable in the log*. It therefore needs no
storage of its own: after a crash, between the log and the table or anywhere else, it is counted
again from the log, and ``raise_to`` never lowers a place. The table lags behind memory while a
record is on its way to the disk; a grant is made with memory's number and holds only if the table
says the same, so that neither a consent that is not durable yet nor a withdrawal that a follower
has not read yet can leave one valid.

One process writes the table: the one that holds the log. Aligned 32-bit stores are seen whole.
"""

from __future__ import annotations

from array import array
from collections import deque
from typing import Final

PLACES: Final = 1 << 20
TABLE_BYTES: Final = 4 * PLACES
_MASK: Final = PLACES - 1


def place_of(subject: bytes) -> int:
    """A person's place in the table."""
    return int.from_bytes(subject, "big") & _MASK


def in_memory() -> memoryview:
    """A table for one process, all zero."""
    return memoryview(array("I", bytes(TABLE_BYTES)))


class Epochs:
    """The table. ``view`` is writable or not; a process that only verifies maps it read-only."""

    __slots__ = ("view",)

    def __init__(self, view: memoryview) -> None:
        assert view.format == "I", "uint32 in the machine's order"
        assert len(view) == PLACES
        self.view = view

    def current(self, subject: bytes) -> int:
        """The epoch that a grant must have to hold."""
        return self.view[int.from_bytes(subject, "big") & _MASK]

    def bump(self, place: int) -> None:
        """One more record of the place is durable."""
        self.view[place] += 1

    def raise_to(self, counts: array[int]) -> int:
        """After a start: no place below what the log counts.

        Returns how many places stand above it: there the table has seen records that the log does
        not have (a log that was put back from a backup), and no grant holds until the table is
        made anew.
        """
        import numpy as np  # noqa: PLC0415  # once per start

        table = np.frombuffer(self.view, dtype=np.uint32)
        counted = np.frombuffer(counts, dtype=np.uint32)
        ahead = int((table > counted).sum())
        behind = np.flatnonzero(table < counted)
        table[behind] = counted[behind]
        return ahead


class Bumps:
    """Records on their way to the disk: durably logged first, then the bump, then the answer.

    ``settle`` belongs to ``Journal.when_decided``, so that a bump depends on no handler that could
    be cancelled between the two.
    """

    def __init__(self, epochs: Epochs) -> None:
        self._epochs = epochs
        self._waiting: deque[tuple[int, int]] = deque()

    def expect(self, seq: int, subject: bytes) -> None:
        """The event ``seq``, appended but not durable, is a consent record of the subject."""
        self._take_back(seq)  # of a command that failed before its commit
        self._waiting.append((seq, place_of(subject)))

    def settle(self, durable_seq: int, next_seq: int) -> None:
        """Bump for what is durable; forget what the log took back (its disk was full)."""
        waiting = self._waiting
        while waiting and waiting[0][0] <= durable_seq:
            self._epochs.bump(waiting.popleft()[1])
        self._take_back(next_seq)

    def _take_back(self, seq: int) -> None:
        while self._waiting and self._waiting[-1][0] >= seq:
            self._waiting.pop()
