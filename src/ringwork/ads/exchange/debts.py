"""What bidders owe: an account each that may go below zero, invoiced from the ledger.

A sold impression holds its price on ``bidder/<id>`` as a campaign's does on ``campaign/<id>``; its
billing posts the hold. Nothing limits the account: the bidder pays afterwards, as agreed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ringwork.ads.budgets import PUBLISHER_PREFIX
from ringwork.ads.exchange.bidders import Bidder
from ringwork.ads.exchange.inbound import ExternalBid
from ringwork.kernel.ids import format_id
from ringwork.kernel.journal import Command
from ringwork.kernel.ledger import CREATED, Ledger, TransferCreated

BIDDER_PREFIX: Final = "bidder/"


def open_accounts(
    command: Command, ledger: Ledger, bidders: Iterable[Bidder], *, currency: str
) -> list[str]:
    """Open the accounts that are missing; the ids of those that exist with other terms."""
    return [
        bidder.id
        for bidder in bidders
        if ledger.open_account(
            command, id=BIDDER_PREFIX + bidder.id, currency=currency, limited=False
        )
        not in (CREATED, "exists")
    ]


def hold_of(
    bid: ExternalBid,
    *,
    impression_id: bytes,
    publisher_id: str,
    cost_nanos: int,
    currency: str,
    timeout_s: int,
) -> TransferCreated:
    """The hold of a sale: from the bidder to the publisher, until its impression is due."""
    return TransferCreated(
        id=format_id(impression_id),
        kind="pending",
        debit_account=BIDDER_PREFIX + bid.bidder_id,
        credit_account=PUBLISHER_PREFIX + publisher_id,
        amount_nanos=cost_nanos,
        currency=currency,
        timeout_s=timeout_s,
    )
