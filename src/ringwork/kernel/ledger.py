"""Double-entry accounts and two-phase transfers in integers: the rules, pure, and their fold.

Shape of TigerBeetle's two-phase transfers (tigerbeetle:docs/coding/two-phase-transfers.md). A
transfer is immutable and unique by id; its first result stands for ever, refusals too. Kinds:
``single`` moves at once, ``pending`` reserves (optionally until ``timeout_s``), ``post`` takes what
was reserved or less and releases the rest, ``void`` releases all. A limited account never has less
than zero available, counting what it has reserved. Debits equal credits per currency and phase; no
total passes 2**63 - 1.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from typing import ClassVar, Final, Literal

import msgspec
from msgspec import Struct

from ringwork.kernel.events import Event, Recorded
from ringwork.kernel.journal import Command
from ringwork.kernel.money import MAX_NANOS, Money

Kind = Literal["single", "pending", "post", "void"]
State = Literal["pending", "posted", "voided", "expired", "closed", "refused"]

CREATED: Final = "created"

RETAIN_S: Final = 3600
"""How long a closed transfer stays in memory; later its projection row answers for it.

Longer than any
beacon's billing window, so that a late or repeated beacon still meets the hold it belongs to."""


_RECALLED_MAX: Final = 1024
"""How many recalled transfers are kept at once."""


class AccountOpened(Event, frozen=True, array_like=True):
    """An account exists from here on; ``limited`` accounts never go below zero available."""

    TYPE: ClassVar[str] = "account_opened"
    id: str
    currency: str
    limited: bool


class Transfer(Event, frozen=True, array_like=True):
    """A transfer as asked for.

    ``post`` and ``void`` may leave out what their pending transfer says.
    """

    id: str
    kind: Kind
    debit_account: str = ""
    credit_account: str = ""
    amount_nanos: int = 0
    currency: str = ""
    pending_id: str = ""
    timeout_s: int = 0
    reference: str = ""

    def members(self) -> dict[str, object]:
        """As on the wire: the amount is Money."""
        named = msgspec.structs.asdict(self)
        amount, currency = named.pop("amount_nanos"), named.pop("currency")
        named["amount"] = Money.of_nanos(currency, amount) if currency else None
        return named


class TransferCreated(Transfer, frozen=True, array_like=True):
    """A transfer that was accepted; what it moved or reserved follows from its kind."""

    TYPE: ClassVar[str] = "transfer_created"


class TransferRefused(Transfer, frozen=True, array_like=True):
    """A transfer that a rule refused: recorded, or replay would forget that the id is taken."""

    TYPE: ClassVar[str] = "transfer_refused"
    result: str = ""


class TransferExpired(Event, frozen=True, array_like=True):
    """A pending transfer whose time ran out; its reservation is released."""

    TYPE: ClassVar[str] = "transfer_expired"
    id: str


# In the order in which a repeated id is compared; names as in "exists-with-different-<name>".
_COMPARED: Final = (
    ("kind", "kind"),
    ("debit", "debit_account"),
    ("credit", "credit_account"),
    ("amount", "amount_nanos"),
    ("currency", "currency"),
    ("pending-id", "pending_id"),
    ("timeout-s", "timeout_s"),
    ("reference", "reference"),
)


# What a post or void may leave out and must match when it is given.
_REPEATED_BY_RESOLUTION: Final = (
    ("debit", "debit_account"),
    ("credit", "credit_account"),
    ("currency", "currency"),
)


class Account(Struct, gc=False):
    """Four totals in nanos; what is available is computed, never stored."""

    currency: str
    limited: bool
    debits_pending: int = 0
    debits_posted: int = 0
    credits_pending: int = 0
    credits_posted: int = 0

    @property
    def available_nanos(self) -> int:
        return self.credits_posted - self.debits_posted - self.debits_pending


class Entry(Struct, gc=False):
    """A transfer with its first result and, for a pending one, what became of it."""

    transfer: Transfer
    result: str
    state: State
    due_s: int | None = None


class Ledger:
    """Accounts and recent transfers.

    A fold of the ledger's events and the rules that decide the next one.
    """

    name: ClassVar[str] = "ledger"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (
        AccountOpened,
        TransferCreated,
        TransferRefused,
        TransferExpired,
    )

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.entries: dict[str, Entry] = {}
        self._due: list[tuple[int, str]] = []
        self._closed: deque[tuple[int, str]] = deque()
        self._recalled: dict[str, Entry] = {}

    # ---- deciding -------------------------------------------------------------------------------

    def open_account(self, command: Command, *, id: str, currency: str, limited: bool) -> str:
        """``created``, ``exists`` (the same account) or ``account-exists`` (a different one)."""
        account = self.accounts.get(id)
        if account is not None:
            same = account.currency == currency and account.limited == limited
            return "exists" if same else "account-exists"
        command.record(AccountOpened(id, currency, limited))
        return CREATED

    def expire_due(self, command: Command, *, limit: int | None = None) -> int:
        """Record the expiry of pending transfers that are due, in (due second, id) order.

        Returns how many.
        """
        expired = 0
        while limit is None or expired < limit:
            transfer_id = self.next_due(command.now_s)
            if transfer_id is None:
                break
            command.record(TransferExpired(transfer_id))
            expired += 1
        return expired

    def next_due(self, now_s: int) -> str | None:
        """The pending transfer that is due first, if one is due by ``now_s``."""
        while self._due:
            due_s, transfer_id = self._due[0]
            entry = self.entries.get(transfer_id)
            if entry is not None and entry.state == "pending":
                return transfer_id if due_s <= now_s else None
            heapq.heappop(self._due)
        return None

    def transfer(self, command: Command, transfer: Transfer) -> str:
        """Decide, record and return the result.

        ``created``, or the name of the first rule that is broken.

        A repeated id records nothing and answers its first result (or
        ``exists-with-different-<field>``).
        """
        entry = self.entry(transfer.id)
        if entry is not None:
            return _repeated(entry, transfer)
        result = self.decide(command.now_s, transfer)
        command.record(_created(transfer) if result == CREATED else _refused(transfer, result))
        return result

    def decide(self, now_s: int, transfer: Transfer) -> str:
        """The result that a new transfer would have, without recording it."""
        if transfer.timeout_s and transfer.kind != "pending":
            return "timeout-only-for-pending"
        if transfer.kind == "post" or transfer.kind == "void":
            return self._decide_resolution(now_s, transfer)
        if transfer.amount_nanos <= 0:
            return "amount-must-be-positive"
        debit = self.accounts.get(transfer.debit_account)
        if debit is None:
            return "debit-account-not-found"
        credit = self.accounts.get(transfer.credit_account)
        if credit is None:
            return "credit-account-not-found"
        if debit is credit:
            return "accounts-must-differ"
        return _decide_funds(debit, credit, transfer)

    def _decide_resolution(self, now_s: int, transfer: Transfer) -> str:
        entry = self.entry(transfer.pending_id)
        if entry is None or entry.result != CREATED:
            return "pending-not-found"
        pending = entry.transfer
        if pending.kind != "pending":
            return "pending-not-pending"
        for name, field in _REPEATED_BY_RESOLUTION:
            given = getattr(transfer, field)
            if given and given != getattr(pending, field):
                return f"pending-has-different-{name}"
        if entry.state != "pending":
            return (
                "pending-expired" if entry.state == "expired" else f"pending-already-{entry.state}"
            )
        if entry.due_s is not None and entry.due_s <= now_s:
            return "pending-expired"
        if transfer.kind == "void":
            whole = transfer.amount_nanos in (0, pending.amount_nanos)
            return CREATED if whole else "pending-has-different-amount"
        if not 0 <= transfer.amount_nanos <= pending.amount_nanos:
            return "exceeds-pending-amount"
        return CREATED

    # ---- folding --------------------------------------------------------------------------------

    def apply(self, recorded: Recorded) -> None:
        event = recorded.payload
        now_s = recorded.ts_us // 1_000_000
        if isinstance(event, TransferCreated):
            self._apply_created(event, now_s)
        elif isinstance(event, AccountOpened):
            self.accounts[event.id] = Account(event.currency, event.limited)
        elif isinstance(event, TransferExpired):
            self._resolve(event.id, "expired", 0, now_s)
        elif isinstance(event, TransferRefused):
            self.entries[event.id] = Entry(_without_result(event), event.result, "refused")
            self._close(event.id, now_s)

    def _apply_created(self, event: TransferCreated, now_s: int) -> None:
        kind, amount = event.kind, event.amount_nanos
        if kind == "pending":
            due_s = now_s + event.timeout_s if event.timeout_s else None
            self.entries[event.id] = Entry(event, CREATED, "pending", due_s)
            if due_s is not None:
                heapq.heappush(self._due, (due_s, event.id))
            self.accounts[event.debit_account].debits_pending += amount
            self.accounts[event.credit_account].credits_pending += amount
            return
        self.entries[event.id] = Entry(event, CREATED, "closed")
        if kind == "single":
            self.accounts[event.debit_account].debits_posted += amount
            self.accounts[event.credit_account].credits_posted += amount
        else:
            posted = kind == "post"
            self._resolve(
                event.pending_id, "posted" if posted else "voided", amount if posted else 0, now_s
            )
        self._close(event.id, now_s)

    def _resolve(self, pending_id: str, state: State, posted_nanos: int, now_s: int) -> None:
        entry = self.entries[pending_id]
        pending = entry.transfer
        debit, credit = self.accounts[pending.debit_account], self.accounts[pending.credit_account]
        debit.debits_pending -= pending.amount_nanos
        credit.credits_pending -= pending.amount_nanos
        debit.debits_posted += posted_nanos
        credit.credits_posted += posted_nanos
        entry.state = state
        self._close(pending_id, now_s)

    def _close(self, transfer_id: str, now_s: int) -> None:
        """Queue a closed transfer for forgetting, and forget those whose time has passed."""
        closed = self._closed
        closed.append((now_s, transfer_id))
        while closed[0][0] < now_s - RETAIN_S:
            self.entries.pop(closed.popleft()[1], None)

    def recall(self, entry: Entry) -> None:
        """Lend a closed transfer that memory had forgotten, from its projection row.

        Not part of the state.
        """
        if len(self._recalled) >= _RECALLED_MAX:
            self._recalled.clear()
        self._recalled[entry.transfer.id] = entry

    def entry(self, transfer_id: str) -> Entry | None:
        """The transfer of that id, if memory knows it."""
        return self.entries.get(transfer_id) or self._recalled.get(transfer_id)

    def pending(self) -> Iterator[tuple[str, Entry]]:
        """Transfers that still reserve something."""
        return ((id, entry) for id, entry in self.entries.items() if entry.state == "pending")

    def clear(self) -> None:
        self.accounts.clear()
        self.entries.clear()
        self._due.clear()
        self._closed.clear()
        self._recalled.clear()

    def dump(self) -> bytes:
        return msgspec.msgpack.encode((self.accounts, self.entries, list(self._closed)))

    def load(self, state: bytes) -> None:
        accounts, entries, closed = _dump_decoder.decode(state)
        self.clear()
        self.accounts.update(accounts)
        self.entries.update(entries)
        self._closed.extend(closed)
        self._due.extend(
            (entry.due_s, id) for id, entry in self.pending() if entry.due_s is not None
        )
        heapq.heapify(self._due)

    def trial_balance(self) -> dict[str, dict[str, int]]:
        """Per currency the four sums in nanos (Python ints: a sum of accounts may pass int64)."""
        sums: dict[str, dict[str, int]] = {}
        for account in self.accounts.values():
            own = sums.setdefault(account.currency, dict.fromkeys(TOTALS, 0))
            for total in TOTALS:
                own[total] += getattr(account, total)
        return sums


TOTALS: Final = ("debits_pending", "debits_posted", "credits_pending", "credits_posted")

_dump_decoder: Final = msgspec.msgpack.Decoder(
    tuple[dict[str, Account], dict[str, Entry], list[tuple[int, str]]]
)


def _decide_funds(debit: Account, credit: Account, transfer: Transfer) -> str:
    amount = transfer.amount_nanos
    if not debit.currency == credit.currency == transfer.currency:
        return "currency-mismatch"
    if (
        debit.debits_pending + debit.debits_posted + amount > MAX_NANOS
        or credit.credits_pending + credit.credits_posted + amount > MAX_NANOS
    ):
        return "amount-overflow"
    if debit.limited and debit.available_nanos < amount:
        return "insufficient-funds"
    return CREATED


def _repeated(entry: Entry, transfer: Transfer) -> str:
    for name, field in _COMPARED:
        if getattr(entry.transfer, field) != getattr(transfer, field):
            return f"exists-with-different-{name}"
    return entry.result


def _created(asked: Transfer) -> TransferCreated:
    return TransferCreated(*msgspec.structs.astuple(asked))


def _refused(asked: Transfer, result: str) -> TransferRefused:
    return TransferRefused(
        asked.id, asked.kind, asked.debit_account, asked.credit_account, asked.amount_nanos,
        asked.currency, asked.pending_id, asked.timeout_s, asked.reference, result,
    )  # fmt: skip


def _without_result(event: TransferRefused) -> Transfer:
    return Transfer(*msgspec.structs.astuple(event)[:-1])
