"""G8: transfers decided and applied in memory, beside a dictionary of integers.

Advertisers with a budget reserve the price of an impression, and half of the reservations are
posted, half voided; more is asked for than the budgets hold, so the rules refuse all the time. The
peer knows one rule (do not overdraw) and remembers nothing: the floor for anything in Python. Rates
are per CPU second: one thread that never waits.
"""

from __future__ import annotations

import random
import time
from typing import Final

from benchmarks.foundation.event_log import result
from ringwork.kernel.events import Event, Recorded
from ringwork.kernel.ledger import CREATED, Ledger, Transfer

ADVERTISERS: Final = 200
PRICE_MAX_NANOS: Final = 20_000_000


class Recorder:
    """What a command does to the ledger, without encoding and without a log."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.ts_us = 1_764_158_400_000_000
        self.now_s = self.ts_us // 1_000_000
        self.seq = 0

    def record(self, event: Event) -> bytes:
        self.seq += 1
        self.ledger.apply(
            Recorded(0, self.seq, b"", self.ts_us, b"", None, "main", None, None, event)
        )
        return b""


def script(reservations: int) -> tuple[list[Transfer], int]:
    """Fund, then reserve and resolve, in an order that a seed decides; and the budget of each."""
    rng = random.Random(8)
    budget = reservations * PRICE_MAX_NANOS // (4 * ADVERTISERS)  # about half of what is asked for
    transfers = [
        Transfer(f"fund{n}", "single", "cash", f"adv{n}", budget, "EUR") for n in range(ADVERTISERS)
    ]
    for number in range(reservations):
        hold, advertiser = f"h{number}", f"adv{rng.randrange(ADVERTISERS)}"
        price = rng.randrange(1, PRICE_MAX_NANOS)
        transfers.append(Transfer(hold, "pending", advertiser, "rev", price, "EUR", "", 900))
        if number % 2:
            transfers.append(Transfer(f"p{number}", "post", "", "", price, "", hold))
        else:
            transfers.append(Transfer(f"v{number}", "void", pending_id=hold))
    return transfers, budget


def ours(transfers: list[Transfer], budget: int) -> float:
    ledger = Ledger()
    command = Recorder(ledger)
    for id, limited in (
        ("cash", False),
        ("rev", False),
        *((f"adv{n}", True) for n in range(ADVERTISERS)),
    ):
        ledger.open_account(command, id=id, currency="EUR", limited=limited)  # type: ignore[arg-type]  # a recorder stands in
    decide = ledger.transfer
    started = time.process_time()
    created = sum(decide(command, transfer) == CREATED for transfer in transfers)  # type: ignore[arg-type]
    elapsed = time.process_time() - started
    for number in range(ADVERTISERS):
        account = ledger.accounts[f"adv{number}"]
        assert account.debits_posted <= budget, "overspend"
        assert account.available_nanos >= 0, "overspend"
    sums = ledger.trial_balance()["EUR"]
    assert sums["debits_posted"] == sums["credits_posted"], "the ledger does not balance"
    assert created < len(transfers), "the budgets must run out"
    return len(transfers) / elapsed


def dictionary(transfers: list[Transfer]) -> float:
    available: dict[str, int] = {"cash": 1 << 62, "rev": 0}
    holds: dict[str, tuple[str, int]] = {}
    started = time.process_time()
    for transfer in transfers:
        if transfer.kind == "pending":
            if available[transfer.debit_account] >= transfer.amount_nanos:
                available[transfer.debit_account] -= transfer.amount_nanos
                holds[transfer.id] = (transfer.debit_account, transfer.amount_nanos)
        elif transfer.kind == "single":
            available[transfer.debit_account] -= transfer.amount_nanos
            available[transfer.credit_account] = transfer.amount_nanos
        elif (held := holds.pop(transfer.pending_id, None)) is not None:
            available["rev" if transfer.kind == "post" else held[0]] += held[1]
    elapsed = time.process_time() - started
    assert min(available.values()) >= 0
    return len(transfers) / elapsed


def run(quick: bool) -> list[dict[str, object]]:
    """Measure, print the table, return the goals."""
    transfers, budget = script(30_000 if quick else 500_000)
    rounds = 3
    best = max(ours(transfers, budget) for _ in range(rounds))
    peer = max(dictionary(transfers) for _ in range(rounds))
    print(f"{len(transfers):,} transfers: ledger {best:,.0f}/s, dictionary {peer:,.0f}/s")
    goal = result("G8 ledger transfers decided and applied, overspend 0", best, 150_000, "1/s")
    return [
        {**goal, "peer": f"dictionary of integers: {peer:,.0f}/s", "ratio": round(best / peer, 2)}
    ]
