"""What the guard remembers between two requests, and what the platform may do to it."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.gate.contacts.coherence import REFERENCES_MAX, shares_of_friends
from ringwork.gate.contacts.keyed import Secret, Words
from ringwork.gate.contacts.model import ContactDirectory, ContactPolicy
from ringwork.gate.contacts.numbers import LEAST
from ringwork.gate.contacts.price import DAY_S, Ledger
from ringwork.gate.contacts.seen import SHOWN, SINCE, Accounts, Books, day_mark
from ringwork.gate.contacts.sketches import Sketches
from ringwork.kernel.errors import Invalid, Refused

VERSION: Final = 1
CALIBRATED_ON: Final = 400
"""Imported books, chosen in a secret order, and friends at least among them."""
CALIBRATED_LEAST: Final = 20
"""Matches of a book that tells something."""


class _State(Struct):
    """What a snapshot holds."""

    version: int
    key_check: bytes
    books: list[bytes]
    sketches: list[bytes]
    ledgers: dict[int, Ledger]
    blocked: list[int]
    released: dict[int, float]
    now_s: float
    share: float
    book_share: float


class Memory:
    """Books, ledgers, blocked and released numbers."""

    def __init__(self, policy: ContactPolicy, directory: ContactDirectory, secret: Secret) -> None:
        self.books = Books(secret)
        self.sketches = Sketches()
        self.ledgers: dict[int, Ledger] = {}
        self.share = policy.coherent_share
        """Of a batch that a friend has in his own book."""
        self.book_share = policy.book_share
        """Of a batch who have the asker, where it is a person's book."""
        self._policy = policy
        self._directory = directory
        self._secret = secret
        self._blocked: set[int] = set()
        self._released: dict[int, float] = {}
        """Numbers whose owners have left them, by their hash: when."""
        self._now_s = 0.0

    def time(self, now_s: float) -> float:
        """Seconds, never going back: a clock that was set back gives nobody anything."""
        self._now_s = max(self._now_s, now_s)
        return self._now_s

    def import_books(
        self, accounts: Accounts, offsets: Accounts, numbers: Words, now_s: float
    ) -> None:
        """Take over books that the platform has: row i is ``numbers[offsets[i]:offsets[i + 1]]``.

        What they hold was paid for, and who is here now counts as shown. Raises Invalid for rows
        that do not fit.
        """
        rising = (
            len(offsets) == len(accounts) + 1 and offsets[0] == 0 and (np.diff(offsets) >= 0).all()
        )
        if not rising or offsets[-1] != len(numbers):
            raise Invalid("offsets: expected one more than accounts, rising from 0 to all numbers")
        if len(np.unique(accounts)) != len(accounts) or (len(accounts) and accounts.min() < 0):
            raise Invalid("accounts: expected every account once, and none below 0")
        distinct, where = np.unique(numbers, return_inverse=True)
        hashes = self._secret.of_numbers(distinct)
        matched = np.asarray(self._directory.accounts_of(distinct), dtype=np.int64)
        matched[self.is_blocked(hashes)] = -1
        marks = np.where(matched >= 0, SHOWN | SINCE, np.uint16(0)) | day_mark(now_s)
        here = matched[where]
        self.books.load_rows(accounts, offsets, hashes[where], marks[where], here[here >= 0])
        self.sketches.load_rows(accounts, offsets, hashes[where])
        self._calibrate(accounts, offsets, hashes[where], here)

    def _calibrate(
        self, accounts: Accounts, offsets: Accounts, hashes: Words, matched: Accounts
    ) -> None:
        """Ask of a batch what these books show: how much friends have of them, and how many do."""
        chosen = np.argsort(self._secret.of_accounts(accounts))[:CALIBRATED_ON]
        shares, mutual = [], []
        for i in chosen.tolist():
            row = slice(offsets[i], offsets[i + 1])
            here = np.flatnonzero(matched[row] >= 0)
            number = self._directory.number_of(int(accounts[i]))
            if len(here) >= CALIBRATED_LEAST and number >= LEAST:
                asker = self._secret.of_numbers(np.array([number], dtype=np.uint64))
                people = here[:REFERENCES_MAX]
                of_book = shares_of_friends(
                    self.books, asker, matched[row][people], hashes[row][people]
                )
                shares.append(of_book)
                mutual.append(len(of_book) / len(people))
        friends = np.concatenate(shares) if shares else np.zeros(0)
        if len(friends) >= CALIBRATED_ON:
            policy = self._policy
            of_friends = float(np.quantile(friends, policy.coherent_quantile))
            self.share = max(policy.coherent_share, of_friends)
            # Two thirds: whoever has just joined is in fewer books, and some books are small.
            of_books = float(np.quantile(mutual, policy.book_quantile))
            self.book_share = max(policy.book_share, of_books * 2 / 3)

    def forget_account(self, account: int, now_s: float) -> None:
        """Drop its book and its ledger; who gets its number next does not inherit its friends."""
        number = self._directory.number_of(account)
        if number >= LEAST:
            self._released[self._hash_of(number)] = now_s
        self.books.forget(account)
        self.sketches.forget(account)
        self.ledgers.pop(account, None)

    def block(self, number: int) -> None:
        """Nobody has this number from now on, whoever asks."""
        self._blocked.add(self._hash_of(number))
        self.erase(number)

    def unblock(self, number: int) -> None:
        """The opposite."""
        self._blocked.discard(self._hash_of(number))

    def erase(self, number: int) -> int:
        """Take a number out of every book; returns out of how many."""
        return self.books.erase(self._hash_of(number))

    def sweep(self, now_s: float) -> int:
        """Drop what was not sent for ``ttl_days``; returns how many entries."""
        oldest = now_s - self._policy.ttl_days * DAY_S
        self._released = {one: at for one, at in self._released.items() if at >= oldest}
        return self.books.compact(older_than=day_mark(oldest))

    def dump(self) -> bytes:
        """The state without the key; equal states under one key dump equal bytes."""
        state = _State(
            VERSION, self._key_check(), self.books.dump(), self.sketches.dump(),
            dict(sorted(self.ledgers.items())),
            sorted(self._blocked), dict(sorted(self._released.items())), self._now_s,
            self.share, self.book_share,
        )  # fmt: skip
        return msgspec.msgpack.encode(state)

    def load(self, state: bytes) -> None:
        """Replace the state by a dumped one. Raises Refused ``contact-state-unusable``."""
        try:
            found = msgspec.msgpack.decode(state, type=_State)
            if found.version != VERSION or not hmac.compare_digest(
                found.key_check, self._key_check()
            ):
                raise ValueError("expected a state of this version, saved under this key")
            books, sketches = Books(self._secret), Sketches()
            books.restore(found.books)
            sketches.restore(found.sketches)
        except (msgspec.DecodeError, ValueError) as error:
            raise Refused(
                "contact-state-unusable",
                "expected a state that this version saved under this key; start without it, or "
                "give the key that belongs to it",
                status=503,
            ) from error
        self.books, self.sketches, self.ledgers = books, sketches, found.ledgers
        self._blocked = set(found.blocked)
        self._released = found.released
        self._now_s = found.now_s
        self.share, self.book_share = found.share, found.book_share

    def ledger(self, account: int, number_hash: int, now_s: float) -> Ledger:
        """An account's ledger, settled, and under the number that it has now (0 for none)."""
        ledger = self.ledgers.get(account)
        if ledger is None:
            ledger = self.ledgers[account] = Ledger(at_s=now_s)
            if len(self.books.book(account)[0]):
                ledger.grown_at_s = now_s
            else:
                ledger.first_book_until_s = now_s + self._policy.first_book_days * DAY_S
        ledger.settle(self._policy, now_s)
        if number_hash != ledger.number_hash:
            if ledger.number_hash:
                self._released[ledger.number_hash] = now_s
            if self._released.pop(number_hash, None) is not None:
                self.books.make_stale(number_hash)
            ledger.number_hash = number_hash
        return ledger

    def _hash_of(self, number: int) -> int:
        return int(self._secret.of_numbers(np.array([number], dtype=np.uint64))[0])

    def is_grown(self, account: int, now_s: float) -> bool:
        """Whether it had a person's book for long, or an imported one."""
        ledger = self.ledgers.get(account)
        return ledger is None or ledger.is_grown(now_s)

    def is_blocked(self, hashes: Words) -> NDArray[np.bool_]:
        """Which of these numbers nobody is to be found by."""
        blocked = np.fromiter(self._blocked, dtype=np.uint64, count=len(self._blocked))
        return np.isin(hashes, blocked)

    def _key_check(self) -> bytes:
        return hmac.digest(self._secret.token, b"contact state", hashlib.sha256)
