"""Outside bidders in this process: the exchange's parts on their network, from start to shutdown.

Exists only where bidders are configured; httpx is loaded with it.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ringwork.ads.catalogue import Catalogue
from ringwork.ads.exchange.awaiting import Awaiting
from ringwork.ads.exchange.bidders import Bidder
from ringwork.ads.exchange.debts import open_accounts
from ringwork.ads.exchange.desk import ExchangeDesk
from ringwork.ads.exchange.events import BillingNoticeEnded
from ringwork.ads.exchange.gather import Gather
from ringwork.ads.exchange.notices import Notice, Notices
from ringwork.ads.exchange.worth import worths_of
from ringwork.ads.outside import BIDDER_PREFIX
from ringwork.app.outbound_http import OutboundHttp
from ringwork.app.settings import Settings
from ringwork.kernel.errors import ConfigurationError, Unavailable
from ringwork.kernel.journal import Journal
from ringwork.kernel.ledger import Ledger

if TYPE_CHECKING:
    from httpx import AsyncBaseTransport

_log: Final = logging.getLogger(__name__)


class Bidding:
    """``begin`` it in the running loop, ``close`` it before the journal's last commands."""

    def __init__(
        self,
        settings: Settings,
        *,
        journal: Journal,
        catalogue: Catalogue,
        ledger: Ledger,
        awaiting: Awaiting,
        network: AsyncBaseTransport | None,
    ) -> None:
        """ConfigurationError for a bidder that could never be charged."""
        self._settings = settings
        self._journal = journal
        self._ledger = ledger
        currency = settings.ads.currency
        rates = settings.exchange.table()
        if currency in rates.units:
            raise ConfigurationError(
                f"exchange.rates: {currency} is the platform's currency (ads.currency), which "
                "needs no rate; expected other currencies"
            )
        for bidder in settings.exchange.bidders:
            _refuse(bidder, ledger, currency)
            if not worths_of(
                bidder, currency=currency, rates=rates, now_us=journal.clock.wall_us()
            ):
                _log.warning(
                    "bidder %s bids in %s, for which exchange.rates has no current rate: it is not "
                    "asked until there is one",
                    bidder.id,
                    bidder.currency,
                )
        self._http = OutboundHttp.open(transport=network)
        self.gather = Gather(
            settings.exchange,
            transport=self._http.bid,
            clock=journal.clock,
            asi=settings.domain,
            currency=currency,
            rates=rates,
        )
        self.notices = Notices(self._http.notify, settings.exchange.bidders, ended=self._ended)
        self.desk = ExchangeDesk(
            gather=self.gather,
            notices=self.notices,
            awaiting=awaiting,
            catalogue=catalogue,
            currency=currency,
        )

    async def begin(self) -> None:
        """Open the accounts that bidders owe on, and send what was due when the process ended."""
        with suppress(Unavailable):  # on a full disk the next tick opens them
            self.tick()
            await self._journal.settled()
        self.desk.resume()

    def tick(self) -> None:
        """Open the accounts that are missing; Overloaded, StorageFull."""
        bidders = self._settings.exchange.bidders
        accounts = self._ledger.accounts
        if all(BIDDER_PREFIX + one.id in accounts for one in bidders):
            return
        ids, tenant = self._journal.ids, self._settings.tenant
        with self._journal.command(tenant=tenant, request_id=ids.new()) as command:
            open_accounts(command, self._ledger, bidders, currency=self._settings.ads.currency)
            command.commit()

    async def close(self) -> None:
        """Stop sending notices and close the connections."""
        await self.desk.close()
        await self._http.close()

    def _ended(self, notice: Notice, was_taken: bool, attempts: int) -> None:
        """Record that a billing notice needs no more attempts."""
        event = BillingNoticeEnded(notice.impression_id, notice.bidder_id, was_taken, attempts)
        try:
            command = self._journal.command(
                tenant=self._settings.tenant, request_id=self._journal.ids.new()
            )
        except Unavailable:  # it stays due, and a restart sends it again
            _log.warning("a billing notice of bidder %s stays due", notice.bidder_id)
            return
        with command:
            command.record(event)
            command.commit()


def _refuse(bidder: Bidder, ledger: Ledger, currency: str) -> None:
    """ConfigurationError for a bidder that could never be charged."""
    account = ledger.accounts.get(BIDDER_PREFIX + bidder.id)
    if account is not None and (account.limited or account.currency != currency):
        raise ConfigurationError(
            f"exchange.bidders: the ledger has bidder/{bidder.id} with other terms; expected an "
            f"account in {currency} without a limit: give the bidder another id"
        )
