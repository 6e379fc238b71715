"""The contact guard: what one account learns from its address book, and how much of it when.

Two judgements, and only the first is to be seen. From *counts* of the numbers that were sent: ok,
wait or refused. From the *graph*: which of those who are here are shown, now, later or never;
somebody who is not shown looks like nobody. So nothing that a client can see depends on who is
here, except whom it is shown, and of these a fresh account gets few without evidence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from msgspec import Struct, structs
from numpy.typing import NDArray

from ringwork.gate.contacts import incremental, price, respond
from ringwork.gate.contacts.coherence import in_runs
from ringwork.gate.contacts.disclosure import Candidates, Found, Shown, choose, find
from ringwork.gate.contacts.keyed import Secret, Words
from ringwork.gate.contacts.memory import Memory
from ringwork.gate.contacts.model import (
    ContactDirectory,
    ContactPolicy,
    ContactStore,
    Judged,
    SyncAnswer,
    SyncRequest,
)
from ringwork.gate.contacts.numbers import LEAST, MOST, Canonical, canonical
from ringwork.gate.contacts.price import DAY_S, Ledger
from ringwork.gate.contacts.seen import SHOWN, SINCE, STALE, Accounts, Marks, day_mark
from ringwork.kernel.errors import Invalid
from ringwork.kernel.ports import Clock, Entropy

KEY_BYTES = 64
SCOPES = ("full", "changes")
INHERIT_FROM_MAX = 2
"""A couple may share a book; what three accounts have sent is a list."""


class Batch(Struct):
    """One request, read. Arrays of one length, by ascending numbers."""

    numbers: Words
    count: int
    """As sent: doubles and what is unreadable too."""
    unreadable: int
    hashes: Words
    prints: NDArray[np.uint32]
    marks: Marks
    held: NDArray[np.bool_]
    """Sent before by this account."""
    unseen: NDArray[np.bool_]
    """Neither held nor proven by a token: what is charged."""
    walked: NDArray[np.bool_]
    """Unseen, in a block that is over-dense."""
    inherited: NDArray[np.bool_]
    """New to this account, and in a book that is nearly the same."""


class ContactGuard:
    """Contact importing for one platform. Not for several threads at once.

    ``key``: 64 secret bytes that must outlive the process where ``store`` does, kept apart from
    it; drawn from ``entropy`` otherwise. ``watch`` gets a ``Judged`` of every batch.
    """

    def __init__(
        self,
        policy: ContactPolicy,
        *,
        directory: ContactDirectory,
        clock: Clock,
        entropy: Entropy,
        store: ContactStore | None = None,
        key: bytes | None = None,
        watch: Callable[[Judged], None] | None = None,
    ) -> None:
        """Raises Refused ``contact-state-unusable`` for a saved state of another key or version."""
        self.policy = policy
        self._directory = directory
        self._clock = clock
        self._entropy = entropy
        self._store = store
        self._secret = Secret(entropy.take(KEY_BYTES) if key is None else key)
        self._watch = watch
        self._memory = Memory(policy, directory, self._secret)
        if store is not None and (state := store.load()) is not None:
            self._memory.load(state)

    def __repr__(self) -> str:
        return f"ContactGuard({self.policy.ceiling}, {len(self._memory.ledgers)} accounts)"

    # ---- the decision ------------------------------------------------------------------------
    def sync(self, request: SyncRequest) -> SyncAnswer:
        """Judge one address book and answer it.

        Raises Refused 413 for too many numbers, and Invalid for an input that is none.
        """
        sent = self._read(request)
        now_s = self._time()
        memory = self._memory
        hashes, asker = self._hashes(request.account, sent.numbers)
        ledger = memory.ledger(request.account, int(asker[0]) if len(asker) else 0, now_s)
        batch = self._batch(request, sent, hashes, now_s)

        refusal = self._charge(ledger, batch)
        if refusal is not None:
            self._tell(request, batch, refusal.status)
            return refusal

        self._inherit(request.account, batch, now_s)
        who = self._candidates(request.account, batch)
        found = find(memory.books, self._directory, self.policy, who, asker, memory.share)
        shown = choose(
            found, ledger, memory.ledgers, self.policy, memory.books, now_s,
            book_share=memory.book_share,
        )  # fmt: skip
        self._remember(request.account, ledger, batch, found, shown, now_s)

        told = shown.mask
        if request.scope == "changes":
            recent = found.joined_s >= now_s - self.policy.changes_days * DAY_S
            told = told & (recent | ~found.who.paid)
        self._tell(request, batch, "ok", found, shown)
        return SyncAnswer(
            "ok",
            matches=respond.matches(found.who.numbers[told], found.who.accounts[told]),
            token=self._token(request.account, batch.numbers, now_s),
            unreadable=sent.unreadable,
            floor_s=respond.floor_s(batch.count, self.policy),
        )

    def _read(self, request: SyncRequest) -> Canonical:
        account = request.account
        if type(account) is not int or not 0 <= account < 2**63:
            raise Invalid("account: expected an integer from 0 to 2^63 - 1")
        if request.scope not in SCOPES:
            raise Invalid(f"scope: expected one of {', '.join(SCOPES)}")
        if request.token is not None and not isinstance(request.token, bytes):
            raise Invalid(f"token: expected bytes, got {type(request.token).__name__}")
        return canonical(request.numbers, self.policy.numbers_max)

    def _hashes(self, account: int, numbers: Words) -> tuple[Words, Words]:
        """Of the numbers, and of the asker's own where he has one."""
        own = self._directory.number_of(account)
        asker = np.array([own] if own >= LEAST else [], dtype=np.uint64)
        hashes = self._secret.of_numbers(np.concatenate([numbers, asker]))
        return hashes[: len(numbers)], hashes[len(numbers) :]

    def _batch(self, request: SyncRequest, sent: Canonical, hashes: Words, now_s: float) -> Batch:
        held, marks, prints = self._memory.books.find(request.account, hashes)
        unseen = ~held
        if request.token is not None:
            paid_for = incremental.proven(
                self._secret.token,
                request.account,
                request.token,
                sent.in_order,
                now_s=now_s,
                days_max=self.policy.token_days,
            )
            unseen &= ~np.isin(sent.numbers, paid_for)
        walked = np.zeros(len(held), dtype=np.bool_)
        walked[unseen] = in_runs(sent.numbers[unseen])
        count = len(sent.in_order) + sent.unreadable
        inherited = np.zeros(len(held), dtype=np.bool_)
        return Batch(
            sent.numbers, count, sent.unreadable, hashes, prints, marks, held, unseen, walked,
            inherited,
        )  # fmt: skip

    def _charge(self, ledger: Ledger, batch: Batch) -> SyncAnswer | None:
        """Pay for the unseen numbers, or say why not: from counts of numbers alone."""
        policy = self.policy
        unseen, walked = int(batch.unseen.sum()), int(batch.walked.sum())
        cost = price.numbers_price(unseen, walked, policy)
        wait = price.wait_s(ledger, cost, policy)
        is_walk = walked >= max(policy.run_refused_min, policy.run_refused_share * unseen)
        if wait == 0 and not is_walk:
            ledger.numbers += cost
            return None
        status: Literal["wait", "refused"] = "wait"
        if is_walk or wait is None:
            status = "refused"
            ledger.numbers = min(ledger.numbers + unseen / 2, policy.numbers_burst)
            wait = price.retry_s(ledger, cost, policy)
        return SyncAnswer(
            status,
            retry_after_s=wait,
            unreadable=batch.unreadable,
            floor_s=respond.floor_s(batch.count, policy),
        )

    def _inherit(self, account: int, batch: Batch, now_s: float) -> None:
        """What is new to this account may be another one's book, nearly number by number.

        So it is of somebody with a new number, or who merges two phones. Whoever the other account
        was shown may be shown to this one: nobody else knows a whole book. A list that several
        accounts have sent is no person's, and an account that is no person's passes nothing on.
        """
        new = np.flatnonzero(~batch.held)
        books = self._memory.books
        sources = []
        for other in self._memory.sketches.alike(batch.hashes[new], account):
            held, marks, _ = books.find(other, batch.hashes[new])
            least = (
                self.policy.inherit_new_share * len(new),
                self.policy.inherit_book_share * len(books.book(other)[0]),
            )
            if held.sum() >= max(least) and self._memory.is_grown(other, now_s):
                sources.append((held, marks))
        if len(sources) > INHERIT_FROM_MAX:
            return
        for held, marks in sources:
            batch.marks[new] |= marks & SHOWN
            batch.inherited[new] |= held

    def _candidates(self, account: int, batch: Batch) -> Candidates:
        """Who is here of those that were sent, but for the asker and numbers that are blocked."""
        accounts = np.asarray(self._directory.accounts_of(batch.numbers), dtype=np.int64)
        here = (accounts >= 0) & (accounts != account) & ~self._memory.is_blocked(batch.hashes)
        at = np.flatnonzero(here)
        # Hashes are secret, and so is their order: nobody chooses who comes first.
        at = at[np.argsort(batch.hashes[at])]
        return Candidates(
            accounts[at], batch.numbers[at], batch.hashes[at],
            (batch.marks[at] & SHOWN) > 0, (batch.unseen & ~batch.inherited)[at], batch.walked[at],
        )  # fmt: skip

    def _remember(
        self,
        account: int,
        ledger: Ledger,
        batch: Batch,
        found: Found,
        shown: Shown,
        now_s: float,
    ) -> None:
        kept = SHOWN | STALE | SINCE
        marks = (batch.marks & kept) | day_mark(now_s)
        marks[np.isin(batch.hashes, found.who.hashes[shown.mask])] |= SHOWN
        arrived = np.isin(batch.hashes, found.who.hashes) & ~batch.held
        # A first book is full of old numbers; what is added to one later was taken up now.
        if not ledger.is_first_book(now_s):
            marks[arrived] |= SINCE
        # That it was charged is kept of a blocked number too, or its price would tell.
        marks[self._memory.is_blocked(batch.hashes)] |= STALE
        # Two numbers of one fingerprint are one entry: the second is free from then on.
        prints, first = np.unique(batch.prints, return_index=True)
        matched = found.who.accounts[np.isin(found.who.hashes, batch.hashes[arrived])]
        self._memory.books.add(account, prints, marks[first], matched)
        if (~batch.held).sum() >= batch.held.sum():
            self._memory.sketches.add(account, batch.hashes)
        self._memory.books.compact_if_due()

    # ---- the platform's side -----------------------------------------------------------------
    def import_books(
        self,
        accounts: Accounts,
        offsets: Accounts,
        numbers: Words | NDArray[np.integer],
    ) -> None:
        """Take over books that the platform has: row i is ``numbers[offsets[i]:offsets[i + 1]]``.

        What they hold was paid for, and who is here now counts as shown. Raises Invalid for rows
        that do not fit.
        """
        self._memory.import_books(
            np.asarray(accounts, dtype=np.int64),
            np.asarray(offsets, dtype=np.int64),
            np.asarray(numbers).astype(np.uint64),
            self._time(),
        )

    def forget_account(self, account: int) -> None:
        """An account has ended: its book, its ledger, and what others' having its number means.

        Call it while the directory still knows the number: whoever gets the number next does not
        inherit its friends.
        """
        self._memory.forget_account(account, self._time())

    def block_number(self, number: int) -> None:
        """Somebody, a user or not, wants not to be found: as if nobody had the number.

        It is taken out of all books. What is kept is its keyed hash, and with an account that
        sends it again, that it was charged: nothing follows from that.
        """
        self._memory.block(_checked(number))

    def unblock_number(self, number: int) -> None:
        """The opposite."""
        self._memory.unblock(_checked(number))

    def erase_number(self, number: int) -> int:
        """Take a number out of every book, as the law asks; returns out of how many.

        Whoever sends it again is charged again, one number, and it is kept again.
        """
        return self._memory.erase(_checked(number))

    def sweep(self) -> int:
        """Drop what was not sent for ``ttl_days``; returns how many entries. Call it daily."""
        return self._memory.sweep(self._time())

    def save(self) -> None:
        """Hand the state to the store. Raises ValueError where there is none."""
        if self._store is None:
            raise ValueError("expected a store")
        self._store.save(self.dump())

    def dump(self) -> bytes:
        """The state without the key; equal states under one key dump equal bytes."""
        return self._memory.dump()

    def load(self, state: bytes) -> None:
        """Replace the state by a dumped one. Raises Refused ``contact-state-unusable``."""
        self._memory.load(state)

    @property
    def memory_bytes(self) -> int:
        """Of the books and sketches, without ledgers and what Python adds."""
        return self._memory.books.size_bytes + self._memory.sketches.size_bytes

    # ---- inside ------------------------------------------------------------------------------
    def _time(self) -> float:
        return self._memory.time(self._clock.wall_us() / 1e6)

    def _token(self, account: int, numbers: Words, now_s: float) -> bytes:
        nonce = self._entropy.take(incremental.NONCE_BYTES)
        return incremental.issue(self._secret.token, account, numbers, nonce=nonce, now_s=now_s)

    def _tell(
        self,
        request: SyncRequest,
        batch: Batch,
        status: str,
        found: Found | None = None,
        shown: Shown | None = None,
    ) -> None:
        if self._watch is None:
            return
        judged = Judged(
            request.account,
            status,
            len(batch.numbers),
            int(batch.unseen.sum()),
            int(batch.walked.sum()),
        )
        if found is not None and shown is not None:
            judged = structs.replace(
                judged,
                matched=len(found.mutual),
                mutual=int(found.mutual.sum()),
                coherent=int(found.coherent.sum()),
                is_book=shown.is_book,
                shown=int(shown.mask.sum()),
                withheld=shown.withheld,
                vouchers_spent=shown.vouchers_spent,
            )
        self._watch(judged)


def _checked(number: int) -> int:
    if type(number) is not int or not LEAST <= number <= MOST:
        raise Invalid("number: expected the digits of an E.164 number as an integer")
    return number
