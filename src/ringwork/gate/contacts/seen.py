"""What every account has sent: the memory of what was paid for, and the graph that evidence is of.

A book is a sorted array of 32-bit fingerprints with 16 bits beside each: 6 bytes a number, found
wrongly once in 2^32 / its length. A Bloom filter that errs as rarely needs 4 bytes and can neither
erase, nor age, nor say who was shown (docs/decisions/0007-contact-importer.md).

Books of the last compaction lie in one row after another (CSR), later ones in a dictionary.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ringwork.gate.contacts.keyed import Secret, Words, fingerprints

Accounts = NDArray[np.int64]
Prints = NDArray[np.uint32]
Marks = NDArray[np.uint16]

SHOWN: Final = np.uint16(1)
"""The account was told who that is, and paid for it."""
STALE: Final = np.uint16(2)
"""The number has a new owner since: nothing follows from having it."""
SINCE: Final = np.uint16(4)
"""Its owner was here when it was sent first: it is not left over from an earlier owner."""
DAY_BITS_AT: Final = 3
"""The upper 13 bits are the day on which it was last sent, of the epoch below."""
EPOCH_DAY: Final = 20089
"""2025-01-01; 13 bits last until 2047."""
ANY: Final = np.uint16(0)
COMPACT_LEAST: Final = 200_000
"""Entries outside the rows before they are merged: below that it is not worth it."""
ROWS_AT_ONCE: Final = 50_000
"""Of a walk over all books, so that it needs some hundred MB at most."""


def day_mark(now_s: float) -> np.uint16:
    """The day's bits of a mark."""
    day = min(max(int(now_s // 86400) - EPOCH_DAY, 0), 2**13 - 1)
    return np.uint16(day << DAY_BITS_AT)


class Books:
    """Every account's book."""

    def __init__(self, secret: Secret) -> None:
        self._secret = secret
        self._accounts: Accounts = np.empty(0, dtype=np.int64)
        self._offsets: Accounts = np.zeros(1, dtype=np.int64)
        self._prints: Prints = np.empty(0, dtype=np.uint32)
        self._marks: Marks = np.empty(0, dtype=np.uint16)
        self._later: dict[int, tuple[Prints, Marks]] = {}
        self._later_entries = 0
        self.entries = 0
        """Of all books."""
        self._known: dict[int, int] = {}
        """Account -> how many books held its number when they were sent."""

    def __len__(self) -> int:
        rows = set(self._accounts.tolist())
        return len(rows | self._later.keys()) if self._later else len(rows)

    def __repr__(self) -> str:
        return f"Books({self.entries} entries)"

    # ---- reading -----------------------------------------------------------------------------
    def book(self, account: int) -> tuple[Prints, Marks]:
        """Fingerprints in ascending order, and their marks."""
        later = self._later.get(account)
        if later is not None:
            return later
        row = int(np.searchsorted(self._accounts, account))
        if row == len(self._accounts) or self._accounts[row] != account:
            return self._prints[:0], self._marks[:0]
        part = slice(self._offsets[row], self._offsets[row + 1])
        return self._prints[part], self._marks[part]

    def find(self, account: int, hashes: Words) -> tuple[NDArray[np.bool_], Marks, Prints]:
        """Which numbers the book holds, their marks (0 where not), and their fingerprints."""
        prints, marks = self.book(account)
        sought = fingerprints(hashes, self._account_keys(np.array([account])))
        if not len(prints):
            return np.zeros(len(sought), np.bool_), np.zeros(len(sought), np.uint16), sought
        at = np.minimum(np.searchsorted(prints, sought), len(prints) - 1)
        held = prints[at] == sought
        return held, np.where(held, marks[at], np.uint16(0)), sought

    def who_have(self, accounts: Accounts, hashes: Words) -> tuple[NDArray[np.bool_], Marks]:
        """Accounts x numbers: whose book holds which number, and its mark; stale is not held."""
        shape = (len(accounts), len(hashes))
        books = self._several(accounts)
        lengths = np.array([len(prints) for prints, _ in books], dtype=np.int64)
        if not lengths.sum() or not len(hashes):
            return np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.uint16)
        rows = np.arange(len(books), dtype=np.uint64) << np.uint64(32)
        held = np.repeat(rows, lengths) | np.concatenate([prints for prints, _ in books])
        marks = np.concatenate([marks for _, marks in books])
        sought = fingerprints(hashes[None, :], self._account_keys(accounts)[:, None])
        wanted = (rows[:, None] | sought).ravel()
        at = np.minimum(np.searchsorted(held, wanted), len(held) - 1)
        found = (held[at] == wanted) & ((marks[at] & STALE) == 0)
        return found.reshape(shape), np.where(found, marks[at], ANY).reshape(shape)

    def _several(self, accounts: Accounts) -> list[tuple[Prints, Marks]]:
        rows = np.searchsorted(self._accounts, accounts)
        rows[rows == len(self._accounts)] = 0
        there = self._accounts[rows] == accounts if len(self._accounts) else rows < 0
        rows[~there] = 0
        starts = np.where(there, self._offsets[rows], 0).tolist()
        ends = np.where(
            there, self._offsets[np.minimum(rows + 1, len(self._offsets) - 1)], 0
        ).tolist()
        later, prints, marks = self._later, self._prints, self._marks
        return [
            later[account] if account in later else (prints[start:end], marks[start:end])
            for account, start, end in zip(accounts.tolist(), starts, ends, strict=True)
        ]

    def sizes(self, accounts: Accounts) -> NDArray[np.float64]:
        """How many numbers each book holds."""
        return np.array([len(prints) for prints, _ in self._several(accounts)], dtype=np.float64)

    def known(self, accounts: Accounts) -> NDArray[np.float64]:
        """How many books hold each account's number."""
        known = self._known
        return np.array([known.get(one, 0) for one in accounts.tolist()], dtype=np.float64)

    # ---- writing -----------------------------------------------------------------------------
    def add(self, account: int, sent: Prints, marks: Marks, matched: Accounts) -> None:
        """Remember numbers under their marks; those held already are marked anew.

        ``matched``: accounts among the numbers that were not held before.
        """
        before, before_marks = self.book(account)
        keep = np.isin(before, sent, invert=True)
        prints = np.concatenate([before[keep], sent])
        order = np.argsort(prints)
        self._put(account, prints[order], np.concatenate([before_marks[keep], marks])[order])
        for one in matched.tolist():
            self._known[one] = self._known.get(one, 0) + 1

    def load_rows(
        self, accounts: Accounts, offsets: Accounts, hashes: Words, marks: Marks, matched: Accounts
    ) -> None:
        """Take over whole books, in place of what these accounts had."""
        lengths = np.diff(offsets)
        rows = np.repeat(np.arange(len(accounts)), lengths)
        prints = fingerprints(hashes, self._account_keys(accounts)[rows])
        order = np.argsort((rows.astype(np.uint64) << np.uint64(32)) | prints, kind="stable")
        prints, marks, rows = prints[order], marks[order], rows[order]
        first = np.ones(len(prints), dtype=np.bool_)
        first[1:] = (prints[1:] != prints[:-1]) | (rows[1:] != rows[:-1])
        prints, marks, rows = prints[first], marks[first], rows[first]
        starts = np.searchsorted(rows, np.arange(len(accounts) + 1))
        for i, account in enumerate(accounts.tolist()):
            part = slice(starts[i], starts[i + 1])
            self._put(account, prints[part], marks[part])
        who, how_often = np.unique(matched, return_counts=True)
        for one, count in zip(who.tolist(), how_often.tolist(), strict=True):
            self._known[one] = self._known.get(one, 0) + count
        self.compact()

    def forget(self, account: int) -> None:
        """Drop an account's book, and how many had it."""
        self._put(account, self._prints[:0], self._marks[:0])
        self._known.pop(account, None)

    def erase(self, hashed: int) -> int:
        """Take a number out of every book; returns out of how many."""
        return self._change_everywhere(hashed, erase=True)

    def make_stale(self, hashed: int) -> int:
        """Nothing follows any more from having this number; returns how many books have it."""
        return self._change_everywhere(hashed, erase=False)

    def compact_if_due(self) -> None:
        """Merge when the books outside the rows have grown to a quarter of all."""
        if self._later_entries > max(COMPACT_LEAST, self.entries // 4):
            self.compact()

    def compact(self, *, older_than: np.uint16 | None = None) -> int:
        """Merge all books into rows, dropping what was last sent before a day; returns how many."""
        accounts = np.array(sorted({*self._accounts.tolist(), *self._later}), dtype=np.int64)
        books = [self.book(account) for account in accounts.tolist()]
        if older_than is not None:
            kept = [(marks >> DAY_BITS_AT) >= (older_than >> DAY_BITS_AT) for _, marks in books]
            books = [(p[keep], m[keep]) for (p, m), keep in zip(books, kept, strict=True)]
        lengths = np.array([len(prints) for prints, _ in books], dtype=np.int64)
        there = lengths > 0
        before = self.entries
        self._prints = np.concatenate([self._prints[:0], *(prints for prints, _ in books)])
        self._marks = np.concatenate([self._marks[:0], *(marks for _, marks in books)])
        self._accounts = accounts[there]
        self._offsets = np.concatenate([[0], np.cumsum(lengths[there])]).astype(np.int64)
        self._later, self._later_entries = {}, 0
        self.entries = len(self._prints)
        return before - self.entries

    @property
    def size_bytes(self) -> int:
        """Of the books, without what Python adds for those outside the rows."""
        return self.entries * 6 + self._accounts.nbytes + self._offsets.nbytes

    # ---- keeping -----------------------------------------------------------------------------
    def dump(self) -> list[Any]:
        """For a snapshot; equal books dump equally."""
        self.compact()
        who = np.array(sorted(self._known), dtype="<i8")
        counts = np.array([self._known[one] for one in who.tolist()], dtype="<i8")
        arrays = (
            self._accounts.astype("<i8"), self._offsets.astype("<i8"),
            self._prints.astype("<u4"), self._marks.astype("<u2"), who, counts,
        )  # fmt: skip
        return [array.tobytes() for array in arrays]

    def restore(self, dumped: list[Any]) -> None:
        """Replace the books by dumped ones. Raises ValueError where they do not fit together."""
        parts = msgspec.convert(dumped, list[bytes])
        accounts, offsets, prints, marks, who, counts = (
            np.frombuffer(part, dtype=kind).copy()
            for part, kind in zip(parts, ("<i8", "<i8", "<u4", "<u2", "<i8", "<i8"), strict=True)
        )
        fits = (
            len(offsets) == len(accounts) + 1
            and len(prints) == len(marks) == offsets[-1]
            and len(who) == len(counts)
        )
        if not fits:
            raise ValueError("expected books whose rows fit their entries")
        self._accounts, self._offsets, self._prints, self._marks = accounts, offsets, prints, marks
        self._known = dict(zip(who.tolist(), counts.tolist(), strict=True))
        self._later, self._later_entries, self.entries = {}, 0, len(prints)

    # ---- inside ------------------------------------------------------------------------------
    def _account_keys(self, accounts: Accounts) -> Words:
        return self._secret.of_accounts(accounts)

    def _put(self, account: int, prints: Prints, marks: Marks) -> None:
        self.entries += len(prints) - len(self.book(account)[0])
        before = self._later.get(account)
        self._later_entries += len(prints) - (0 if before is None else len(before[0]))
        self._later[account] = (prints, marks)

    def _change_everywhere(self, hashed: int, *, erase: bool) -> int:
        self.compact()
        found: list[NDArray[np.intp]] = []
        for start in range(0, len(self._accounts), ROWS_AT_ONCE):
            accounts = self._accounts[start : start + ROWS_AT_ONCE]
            first, last = self._offsets[start], self._offsets[start + len(accounts)]
            rows = np.arange(len(accounts), dtype=np.uint64) << np.uint64(32)
            lengths = np.diff(self._offsets[start : start + len(accounts) + 1])
            held = np.repeat(rows, lengths) | self._prints[first:last]
            sought = fingerprints(np.uint64(hashed), self._account_keys(accounts))  # type: ignore[arg-type] # broadcasts
            at = np.minimum(np.searchsorted(held, rows | sought), len(held) - 1)
            found.append(at[held[at] == (rows | sought)] + first)
        where = np.concatenate(found) if found else np.empty(0, dtype=np.intp)
        if not erase:
            self._marks[where] |= STALE
            return len(where)
        self._offsets = self._offsets - np.searchsorted(np.sort(where), self._offsets)
        self._prints = np.delete(self._prints, where)
        self._marks = np.delete(self._marks, where)
        self.entries = len(self._prints)
        return len(where)
