"""Who of those that are here is shown: the judgement that no client ever sees.

In this order, each by a secret order within: who has the asker's number himself; who has others of
the book (``coherence``); of whom nothing says that he knows the asker. A batch of which too few are
of the first two kinds is no person's book, and then everybody is priced like the last kind.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from ringwork.gate.contacts.coherence import coherent
from ringwork.gate.contacts.keyed import Words
from ringwork.gate.contacts.model import EVERYONE, MUTUAL, ContactDirectory, ContactPolicy
from ringwork.gate.contacts.price import DAY_S, Ledger
from ringwork.gate.contacts.seen import SINCE, Accounts, Books

Mask = NDArray[np.bool_]
NEVER: Final = 255
WHOLE_SHARE: Final = 0.8
"""Of all matches of an account, for a batch to be its book as it is now, and no chosen part."""


class Candidates(Struct):
    """The numbers of a batch that somebody has, in a secret order; arrays of one length."""

    accounts: Accounts
    numbers: Words
    hashes: Words
    paid: Mask
    """Shown to this account before."""
    fresh: Mask
    """Sent for the first time."""
    in_run: Mask


class Found(Struct):
    """Candidates that may be found at all, with what speaks for each."""

    who: Candidates
    is_open: Mask
    """Found by everybody who has the number."""
    mutual: Mask
    """Has the asker's number."""
    certain: Mask
    """And has it since the asker is here: not from whoever had the number before."""
    coherent: Mask
    joined_s: NDArray[np.float64]


class Shown(Struct):
    """The judgement."""

    mask: Mask = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    is_book: bool = True
    withheld: int = 0
    vouchers_spent: int = 0


def find(
    books: Books,
    directory: ContactDirectory,
    policy: ContactPolicy,
    who: Candidates,
    asker: Words,
    share: float,
) -> Found:
    """What the graph says of each candidate.

    ``asker``: the hash of the asker's number, or none; ``share``: what a friend has of the batch.
    """
    level = np.asarray(directory.discoverability(who.accounts))
    visible = level >= MUTUAL
    who = Candidates(
        who.accounts[visible], who.numbers[visible], who.hashes[visible],
        who.paid[visible], who.fresh[visible], who.in_run[visible],
    )  # fmt: skip
    is_open = level[visible] >= (EVERYONE if policy.ceiling == "everyone" else NEVER)
    having, marks = books.who_have(who.accounts, asker)
    mutual: Mask = np.any(having, axis=1)
    certain: Mask = np.any((marks & SINCE) > 0, axis=1)
    unsure = np.flatnonzero(~mutual & ~who.paid)
    is_coherent = np.zeros(len(mutual), dtype=np.bool_)
    is_coherent[unsure] = coherent(
        books,
        who.accounts[unsure],
        who.accounts,
        who.hashes,
        p=policy.coherent_p,
        share=share,
    )
    joined_s = np.asarray(directory.joined_at(who.accounts), dtype=np.float64)
    return Found(who, is_open, mutual, certain, is_coherent, joined_s)


def choose(
    found: Found,
    ledger: Ledger,
    ledgers: dict[int, Ledger],
    policy: ContactPolicy,
    books: Books,
    now_s: float,
    *,
    book_share: float,
) -> Shown:
    """Decide who is shown, and let the ledgers of the asker and of the vouchers pay for it.

    ``book_share``: of whom are here, how many must have the asker where it is a person's book.
    """
    who = found.who
    ledger.matched += int(who.fresh.sum())
    ledger.mutual += int((who.fresh & found.mutual).sum())
    has_sent = ledger.matched >= policy.book_min
    is_book = not has_sent or ledger.mutual >= book_share * ledger.matched
    if not is_book and len(found.mutual) >= WHOLE_SHARE * ledger.matched:
        # All that was ever sent is here again, and some have taken up the asker meanwhile.
        is_book = int(found.mutual.sum()) >= book_share * max(len(found.mutual), ledger.matched)
    if has_sent and is_book and ledger.grown_at_s == math.inf:
        ledger.grown_at_s = now_s + policy.voucher_age_days * DAY_S
    may = found.mutual | found.is_open
    news = may & ~who.paid
    certain = np.flatnonzero(news & found.certain)
    friends = np.flatnonzero(news & found.mutual & ~found.certain)
    akin = np.flatnonzero(news & ~found.mutual & found.coherent)
    strangers = np.flatnonzero(news & ~found.mutual & ~found.coherent & ~who.in_run)
    walked = np.flatnonzero(news & ~found.mutual & ~found.coherent & who.in_run)
    unsure = len(akin) + len(strangers) + len(walked)
    passes = ledger.is_first_book(now_s) and len(akin) >= policy.coherent_batch_share * unsure

    mask = may & who.paid
    purse = _Purse(ledger, policy, now_s)
    is_trusted = is_book or ledger.is_grown(now_s)
    for people, price in ((certain, 0.0), (friends, 0.0 if is_trusted else 1.0)):
        mask[purse.take(people, price, policy.mutual_price)] = True
    if passes:
        told = purse.take_first_book(akin)
        mask[told] = True
        akin = akin[len(told) :]
    short = len(akin) + len(strangers) + policy.run_price * len(walked) - purse.room
    spent = _vouch(found, short, ledger, ledgers, policy, books, now_s) if is_trusted else 0
    mask[purse.take(akin, 1.0, 1.0)] = True
    mask[purse.take(strangers, 1.0, 1.0)] = True
    mask[purse.take(walked, policy.run_price, 1.0)] = True
    return Shown(mask, is_book, int((news & ~mask).sum()), spent)


class _Purse:
    """What the asker has left to be shown."""

    def __init__(self, ledger: Ledger, policy: ContactPolicy, now_s: float) -> None:
        self._ledger = ledger
        self._policy = policy
        self._is_first = ledger.is_first_book(now_s)

    @property
    def room(self) -> float:
        return self._policy.unproven_burst - self._ledger.unproven

    def take(self, people: NDArray[np.intp], price: float, data_price: float) -> NDArray[np.intp]:
        """As many of the first people as can be paid for, out of both budgets."""
        data_price = 0.0 if self._is_first else data_price
        left = self._policy.established_burst - self._ledger.established
        count = min(len(people), _count(self.room, price), _count(left, data_price))
        self._ledger.unproven += count * price
        self._ledger.established += count * data_price
        return people[:count]

    def take_first_book(self, people: NDArray[np.intp]) -> NDArray[np.intp]:
        """The same out of the budget for a person with a new number."""
        left = self._policy.coherent_burst - self._ledger.coherent
        count = min(len(people), _count(left, 1.0))
        self._ledger.coherent += count
        return people[:count]


def _count(room: float, price: float) -> int:
    if price <= 0:
        return 2**31
    return max(int((room + 1e-9) // price), 0)


def _vouch(
    found: Found,
    short: float,
    ledger: Ledger,
    ledgers: dict[int, Ledger],
    policy: ContactPolicy,
    books: Books,
    now_s: float,
) -> int:
    """Spend as many contacts' voices as are needed; each counts once in a period, for one asker."""
    if short <= 0:
        return 0
    at = np.flatnonzero(found.mutual)
    accounts = found.who.accounts[at]
    age = np.clip((now_s - found.joined_s[at]) / (policy.voucher_age_days * DAY_S), 0.0, 1.0)
    weight = age * np.minimum(books.known(accounts) / policy.voucher_inbound, 1.0)
    spent = 0
    for account, worth in zip(
        accounts.tolist(), (weight * policy.voucher_worth).tolist(), strict=True
    ):
        if short <= 0:
            break
        voucher = ledgers.get(account)
        if worth <= 0 or (voucher is not None and voucher.vouched_until_s > now_s):
            continue
        if voucher is None:
            voucher = ledgers[account] = Ledger(at_s=now_s, grown_at_s=now_s)
        voucher.vouched_until_s = now_s + policy.period_days * DAY_S
        ledger.unproven -= worth
        short -= worth
        spent += 1
    return spent
