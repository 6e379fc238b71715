"""The ledger against 38 scenarios, a brute-force oracle of our own, and its own replay."""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.kernel.events import Event, Recorded
from ringwork.kernel.ledger import (
    RETAIN_S,
    TOTALS,
    Entry,
    Ledger,
    Transfer,
    TransferCreated,
)
from ringwork.kernel.money import MAX_NANOS

SCENARIOS = json.loads((Path(__file__).parents[1] / "vectors" / "ledger.json").read_text())


class Book:
    """A ledger with its event list: what a command does, without a log underneath."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.events: list[Recorded] = []
        self.ts_us = 0

    @property
    def now_s(self) -> int:
        return self.ts_us // 1_000_000

    def record(self, event: Event) -> bytes:
        recorded = Recorded(
            0, len(self.events) + 1, b"", self.ts_us, b"", None, "main", None, None, event
        )
        self.events.append(recorded)
        self.ledger.apply(recorded)
        return b""

    def transfer(self, now_s: int, transfer: Transfer) -> str:
        self.ts_us = now_s * 1_000_000
        self.ledger.expire_due(self)
        return self.ledger.transfer(self, transfer)

    def check(self) -> None:
        for sums in self.ledger.trial_balance().values():
            assert sums["debits_pending"] == sums["credits_pending"]
            assert sums["debits_posted"] == sums["credits_posted"]
        for account in self.ledger.accounts.values():
            assert all(0 <= getattr(account, total) <= MAX_NANOS for total in TOTALS)
            assert not account.limited or account.available_nanos >= 0


def asked(step: dict[str, object]) -> Transfer:
    return Transfer(
        id=step["id"],
        kind=step["kind"],
        debit_account=step.get("debit", ""),
        credit_account=step.get("credit", ""),
        amount_nanos=step.get("amount", 0),
        currency=step.get("currency", ""),
        pending_id=step.get("pending_id", ""),
        timeout_s=step.get("timeout_s", 0),
    )


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["name"])
def test_scenario(scenario):
    book = Book()
    for account in scenario["accounts"]:
        book.ledger.open_account(book, **account)
    for step in scenario["steps"]:
        assert book.transfer(step["do"]["now_s"], asked(step["do"])) == step["expect"], step
        book.check()
    final = {id: msgspec.to_builtins(account) for id, account in book.ledger.accounts.items()}
    assert final == scenario["final"]


commands = st.lists(
    st.tuples(
        st.integers(0, 3),  # seconds since the last command
        st.integers(0, 12),  # transfer id
        st.sampled_from(["single", "pending", "post", "void"]),
        st.sampled_from(["cash", "adv", "rev", "none"]),
        st.sampled_from(["cash", "adv", "rev"]),
        st.integers(-1, 60),
        st.integers(0, 12),  # pending id
        st.sampled_from([0, 0, 2]),
    ),
    max_size=60,
)


@settings(max_examples=200)
@given(commands)
def test_replay_and_snapshot_give_the_same_state_as_life(script):
    book = Book()
    for name, limited in (("cash", False), ("adv", True), ("rev", False)):
        book.ledger.open_account(book, id=name, currency="EUR", limited=limited)
    now_s = 0
    for step, number, kind, debit, credit, amount, pending, timeout_s in script:
        now_s += step
        resolution = kind in ("post", "void")
        transfer = Transfer(
            id=f"t{number}",
            kind=kind,
            debit_account="" if resolution else debit,
            credit_account="" if resolution else credit,
            amount_nanos=amount,
            currency="" if resolution else "EUR",
            pending_id=f"t{pending}" if resolution else "",
            timeout_s=timeout_s,
        )
        first = book.transfer(now_s, transfer)
        again = book.ledger.transfer(book, transfer)
        assert again == first, "the first result stands"
        book.check()
    replayed, resumed = Ledger(), Ledger()
    half = len(book.events) // 2
    for recorded in book.events[:half]:
        resumed.apply(recorded)
    restored = Ledger()
    restored.load(resumed.dump())
    for recorded in book.events:
        replayed.apply(recorded)
    for recorded in book.events[half:]:
        restored.apply(recorded)
    assert replayed.dump() == book.ledger.dump() == restored.dump()
    far_s = now_s + 10
    assert (replayed.next_due(far_s) is None) == (restored.next_due(far_s) is None)


def funded() -> Book:
    book = Book()
    for name, limited in (("cash", False), ("adv", True), ("rev", False)):
        assert book.ledger.open_account(book, id=name, currency="EUR", limited=limited) == "created"
    book.transfer(
        0,
        Transfer(
            id="fund",
            kind="single",
            debit_account="cash",
            credit_account="adv",
            amount_nanos=100,
            currency="EUR",
        ),
    )
    return book


def test_an_account_opens_once():
    book = funded()
    assert book.ledger.open_account(book, id="adv", currency="EUR", limited=True) == "exists"
    assert (
        book.ledger.open_account(book, id="adv", currency="USD", limited=True) == "account-exists"
    )


def test_reference_is_part_of_what_a_repeat_must_match():
    book = funded()
    transfer = Transfer(
        id="a",
        kind="single",
        debit_account="adv",
        credit_account="rev",
        amount_nanos=1,
        currency="EUR",
        reference="x",
    )
    assert book.transfer(1, transfer) == "created"
    other = msgspec.structs.replace(transfer, reference="y")
    assert book.transfer(1, other) == "exists-with-different-reference"


def test_due_holds_expire_in_order_and_a_due_hold_cannot_be_posted_before_its_expiry_is_recorded():
    book = funded()
    for name, timeout_s in (("late", 9), ("soon", 5), ("also", 5)):
        hold = Transfer(
            id=name,
            kind="pending",
            debit_account="adv",
            credit_account="rev",
            amount_nanos=10,
            currency="EUR",
            timeout_s=timeout_s,
        )
        assert book.transfer(0, hold) == "created"
    book.ts_us = 5_000_000
    assert (
        book.ledger.decide(5, Transfer(id="p", kind="post", pending_id="soon", amount_nanos=1))
        == "pending-expired"
    )
    assert book.ledger.expire_due(book, limit=1) == 1
    assert [entry.transfer.id for _, entry in book.ledger.pending()] == ["late", "soon"]
    assert book.ledger.expire_due(book) == 1
    assert book.ledger.accounts["adv"].available_nanos == 90


def test_closed_transfers_are_forgotten_after_their_time_and_can_be_recalled():
    book = funded()
    transfer = Transfer(
        id="a",
        kind="single",
        debit_account="adv",
        credit_account="rev",
        amount_nanos=1,
        currency="EUR",
    )
    book.transfer(0, transfer)
    book.transfer(RETAIN_S + 1, msgspec.structs.replace(transfer, id="b"))
    assert book.ledger.entry("a") is None
    before = book.ledger.dump()
    book.ledger.recall(Entry(transfer, "created", "closed"))
    assert book.ledger.transfer(book, transfer) == "created"
    assert book.ledger.dump() == before, "recalling and repeating change no state"
    assert len([e for e in book.events if isinstance(e.payload, TransferCreated)]) == 3


def test_members_are_named_as_on_the_wire():
    named = TransferCreated("a", "single", "adv", "rev", 1_500_000_000, "EUR").members()
    assert str(named["amount"]) == "1.50 EUR"
    assert {
        "id",
        "kind",
        "debit_account",
        "credit_account",
        "amount",
        "pending_id",
        "timeout_s",
        "reference",
    } == set(named)
