"""What bidders owe: an account each that may go below zero, invoiced from the ledger.

A sold impression holds its price on ``bidder/<id>`` as a campaign's does on ``campaign/<id>``
(``ads.service``); its billing posts the hold. Nothing limits the account: the bidder pays
afterwards, as agreed.
"""

from __future__ import annotations

from collections.abc import Iterable

from ringwork.ads.exchange.bidders import Bidder
from ringwork.ads.outside import BIDDER_PREFIX
from ringwork.kernel.journal import Command
from ringwork.kernel.ledger import CREATED, Ledger


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
