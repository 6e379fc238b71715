"""The conformance suite of a ledger: given scenarios, and random ones against an oracle.

The oracle keeps no balances and no states: it holds the list of what was asked and answered, and
works everything out from its beginning, every time. Slow, short, and written from the rules, not
from the ledger it is compared with.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from ringwork.kernel.ledger import Kind, Transfer
from ringwork.kernel.money import MAX_NANOS

Totals = dict[str, int]
"""``debits_pending``, ``debits_posted``, ``credits_pending``, ``credits_posted`` of an account."""


class LedgerUnderTest(Protocol):
    """How the suite drives a ledger."""

    def open_account(self, id: str, currency: str, *, limited: bool) -> str:
        """``created``, ``exists`` or ``account-exists``."""
        ...

    def transfer(self, now_s: int, transfer: Transfer) -> str:
        """Expire what is due by ``now_s``, then decide and record; returns the result."""
        ...

    def totals(self, account: str) -> Totals: ...


class Command(Struct, frozen=True):
    """A transfer as the vectors write it."""

    now_s: int
    id: str
    kind: Kind
    debit: str = ""
    credit: str = ""
    amount: int = 0
    currency: str = ""
    pending_id: str = ""
    timeout_s: int = 0

    def transfer(self) -> Transfer:
        """The same, with the ledger's names."""
        return Transfer(
            id=self.id,
            kind=self.kind,
            debit_account=self.debit,
            credit_account=self.credit,
            amount_nanos=self.amount,
            currency=self.currency,
            pending_id=self.pending_id,
            timeout_s=self.timeout_s,
        )


class Step(Struct, frozen=True):
    """A command and the result it must have."""

    do: Command
    expect: str


class OpenedAccount(Struct, frozen=True):
    """An account of a scenario."""

    id: str
    currency: str
    limited: bool


class Scenario(Struct, frozen=True):
    """Accounts, commands with their results, and where every account must stand at the end."""

    name: str
    accounts: list[OpenedAccount]
    steps: list[Step]
    final: dict[str, dict[str, int | str | bool]]


def decode_scenarios(text: bytes) -> list[Scenario]:
    """The scenarios of ``tests/vectors/ledger.json``."""
    return msgspec.json.decode(text, type=list[Scenario])


def play_scenario(ledger: LedgerUnderTest, scenario: Scenario) -> None:
    """Play one scenario on an empty ledger."""
    for account in scenario.accounts:
        assert ledger.open_account(account.id, account.currency, limited=account.limited) == (
            "created"
        )
    for step in scenario.steps:
        result = ledger.transfer(step.do.now_s, step.do.transfer())
        assert result == step.expect, f"{scenario.name}: {step.do}: {result}"
    for id, final in scenario.final.items():
        expected = {total: final[total] for total in TOTALS}
        assert ledger.totals(id) == expected, f"{scenario.name}: {id}"


# ---- the oracle ---------------------------------------------------------------------------------

TOTALS: Final = ("debits_pending", "debits_posted", "credits_pending", "credits_posted")
_REPEATED: Final = (
    ("kind", "kind"),
    ("debit", "debit_account"),
    ("credit", "credit_account"),
    ("amount", "amount_nanos"),
    ("currency", "currency"),
    ("pending-id", "pending_id"),
    ("timeout-s", "timeout_s"),
    ("reference", "reference"),
)
_INHERITED: Final = _REPEATED[1:3] + _REPEATED[4:5]
"""What a post or void may leave out: debit, credit, currency."""


class Oracle:
    """The rules over the list of everything that was ever asked."""

    def __init__(self) -> None:
        self._accounts: dict[str, tuple[str, bool]] = {}
        self._asked: list[tuple[int, Transfer, str]] = []
        self._now_s = 0

    def open_account(self, id: str, currency: str, *, limited: bool) -> str:
        """See LedgerUnderTest."""
        if id in self._accounts:
            return "exists" if self._accounts[id] == (currency, limited) else "account-exists"
        self._accounts[id] = (currency, limited)
        return "created"

    def transfer(self, now_s: int, transfer: Transfer) -> str:
        """See LedgerUnderTest."""
        self._now_s = now_s
        for _, earlier, result in self._asked:
            if earlier.id == transfer.id:
                different = (n for n, f in _REPEATED if getattr(earlier, f) != getattr(transfer, f))
                name = next(different, None)
                return result if name is None else f"exists-with-different-{name}"
        if transfer.timeout_s and transfer.kind != "pending":
            result = "timeout-only-for-pending"
        elif transfer.kind in ("single", "pending"):
            result = self._moving(now_s, transfer)
        else:
            result = self._resolving(now_s, transfer)
        self._asked.append((now_s, transfer, result))
        return result

    def totals(self, account: str) -> Totals:
        """See LedgerUnderTest; as of the last command."""
        return self._totals(account, self._now_s)

    def _totals(self, account: str, now_s: int) -> Totals:
        totals = dict.fromkeys(TOTALS, 0)
        for asked_s, transfer, result in self._asked:
            if result != "created" or transfer.kind in ("post", "void"):
                continue
            posted, pending = transfer.amount_nanos, 0
            if transfer.kind == "pending":
                state, posted = self._fate(asked_s, transfer, now_s)
                pending = transfer.amount_nanos if state == "pending" else 0
            for side, named in (
                ("debits", transfer.debit_account),
                ("credits", transfer.credit_account),
            ):
                if named == account:
                    totals[f"{side}_pending"] += pending
                    totals[f"{side}_posted"] += posted
        return totals

    def _fate(self, asked_s: int, pending: Transfer, now_s: int) -> tuple[str, int]:
        """What became of a reservation by ``now_s``, and what was posted of it."""
        for _, transfer, result in self._asked:
            if result == "created" and transfer.pending_id == pending.id:
                if transfer.kind == "post":
                    return "posted", transfer.amount_nanos
                return "voided", 0
        if pending.timeout_s and asked_s + pending.timeout_s <= now_s:
            return "expired", 0
        return "pending", 0

    def _moving(self, now_s: int, transfer: Transfer) -> str:
        if transfer.amount_nanos <= 0:
            return "amount-must-be-positive"
        if transfer.debit_account not in self._accounts:
            return "debit-account-not-found"
        if transfer.credit_account not in self._accounts:
            return "credit-account-not-found"
        if transfer.debit_account == transfer.credit_account:
            return "accounts-must-differ"
        debit_currency, limited = self._accounts[transfer.debit_account]
        credit_currency, _ = self._accounts[transfer.credit_account]
        if {debit_currency, credit_currency} != {transfer.currency}:
            return "currency-mismatch"
        debit = self._totals(transfer.debit_account, now_s)
        credit = self._totals(transfer.credit_account, now_s)
        debits = debit["debits_pending"] + debit["debits_posted"]
        credits = credit["credits_pending"] + credit["credits_posted"]
        if max(debits, credits) + transfer.amount_nanos > MAX_NANOS:
            return "amount-overflow"
        if limited and debit["credits_posted"] - debits < transfer.amount_nanos:
            return "insufficient-funds"
        return "created"

    def _resolving(self, now_s: int, transfer: Transfer) -> str:
        named = [a for a in self._asked if a[1].id == transfer.pending_id and a[2] == "created"]
        if not named:
            return "pending-not-found"
        asked_s, pending, _ = named[0]
        if pending.kind != "pending":
            return "pending-not-pending"
        for name, field in _INHERITED:
            if getattr(transfer, field) not in ("", getattr(pending, field)):
                return f"pending-has-different-{name}"
        state, _ = self._fate(asked_s, pending, now_s)
        if state != "pending":
            return "pending-expired" if state == "expired" else f"pending-already-{state}"
        if transfer.kind == "void":
            whole = transfer.amount_nanos in (0, pending.amount_nanos)
            return "created" if whole else "pending-has-different-amount"
        within = 0 <= transfer.amount_nanos <= pending.amount_nanos
        return "created" if within else "exceeds-pending-amount"


# ---- random comparison --------------------------------------------------------------------------

_ACCOUNTS: Final = (
    ("cash", "EUR", False),
    ("adv", "EUR", True),
    ("rev", "EUR", False),
    ("dollars", "USD", False),
)


def random_transfer(rng: random.Random, asked: Sequence[Transfer]) -> Transfer:
    """The next command: mostly sensible, now and then a repeat or one with something wrong."""
    if asked and rng.random() < 0.1:
        return rng.choice(asked)
    fresh = _random_move(rng) if not asked or rng.random() < 0.6 else _random_end(rng, asked)
    number = rng.randrange(len(asked)) if asked and rng.random() < 0.1 else len(asked)
    return msgspec.structs.replace(fresh, id=f"t{number}")


def _random_move(rng: random.Random) -> Transfer:
    odd = rng.random() < 0.15
    return Transfer(
        id="",
        kind=rng.choice(("single", "pending", "pending")),
        debit_account=rng.choice(("cash", "adv", "adv", "nobody") if odd else ("cash", "adv")),
        credit_account=rng.choice(("adv", "nobody", "dollars") if odd else ("adv", "rev", "rev")),
        amount_nanos=rng.choice((0, -1, MAX_NANOS, MAX_NANOS - 60) if odd else (1, 5, 20, 50)),
        currency=rng.choice(("EUR", "USD") if odd else ("EUR",)),
        timeout_s=rng.choice((0, 0, 0, 0, 1, 4)),
        reference=rng.choice(("", "r")),
    )


def _random_end(rng: random.Random, asked: Sequence[Transfer]) -> Transfer:
    pending = [transfer for transfer in asked if transfer.kind == "pending"]
    target = rng.choice(asked if not pending or rng.random() < 0.1 else pending)
    kind: Kind = rng.choice(("post", "void"))
    amounts = (0, target.amount_nanos, target.amount_nanos // 2, target.amount_nanos + 1)
    named = rng.random() < 0.3  # it may repeat what its pending transfer says
    return Transfer(
        id="",
        kind=kind,
        debit_account=rng.choice((target.debit_account, "rev")) if named else "",
        credit_account=rng.choice((target.credit_account, "cash")) if named else "",
        amount_nanos=rng.choice(amounts),
        currency=rng.choice((target.currency, "USD")) if named else "",
        pending_id=target.id if rng.random() < 0.95 else "nothing",
        timeout_s=1 if rng.random() < 0.05 else 0,
    )


def compare_with_oracle(ledger: LedgerUnderTest, seed: int, *, commands: int = 120) -> None:
    """Random commands on an empty ledger: every result and every total as the oracle has it."""
    rng = random.Random(seed)
    oracle = Oracle()
    for book in (oracle, ledger):
        for id, currency, limited in _ACCOUNTS:
            assert book.open_account(id, currency, limited=limited) == "created"
        assert book.open_account("adv", "EUR", limited=True) == "exists"
        assert book.open_account("adv", "EUR", limited=False) == "account-exists"
    now_s = 0
    asked: list[Transfer] = []
    for number in range(commands):
        now_s += rng.choice((0, 0, 0, 1))
        transfer = random_transfer(rng, asked)
        asked.append(transfer)
        expected, result = oracle.transfer(now_s, transfer), ledger.transfer(now_s, transfer)
        assert result == expected, f"seed {seed}, command {number}, {transfer}: {result}"
        for id, _, _ in _ACCOUNTS:
            assert ledger.totals(id) == oracle.totals(id), f"seed {seed}, command {number}: {id}"


def check_ledger(
    make: Callable[[], LedgerUnderTest],
    scenarios: Sequence[Scenario],
    *,
    seeds: Sequence[int] = range(50),
) -> Mapping[str, int]:
    """Play every scenario and every seed, each on an empty ledger; returns how many of each."""
    for scenario in scenarios:
        play_scenario(make(), scenario)
    for seed in seeds:
        compare_with_oracle(make(), seed)
    return {"scenarios": len(scenarios), "seeds": len(seeds)}
