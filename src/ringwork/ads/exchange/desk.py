"""The exchange at work: who is asked for the bids of a request, and who is still owed a notice."""

from __future__ import annotations

from ringwork.ads.catalogue import Catalogue
from ringwork.ads.exchange.awaiting import Awaiting
from ringwork.ads.exchange.gather import Gather
from ringwork.ads.exchange.notices import Notices
from ringwork.ads.exchange.outbound import PassedOn
from ringwork.ads.exchange.round import Round
from ringwork.ads.model import Ask


class ExchangeDesk:
    """Exists where bidders are configured; a request path without it has nothing to ask."""

    def __init__(
        self,
        *,
        gather: Gather,
        notices: Notices,
        awaiting: Awaiting,
        catalogue: Catalogue,
        currency: str,
    ) -> None:
        self._gather = gather
        self._notices = notices
        self._awaiting = awaiting
        self._catalogue = catalogue
        self._currency = currency

    async def gather(
        self, ask: Ask, *, tmax_ms: int | None = None, passed_on: PassedOn | None = None
    ) -> Round | None:
        """The outside bids for an ask, in time; None for a publisher that can sell nothing."""
        if ask.context.publisher_id not in self._catalogue.publishers:
            return None
        gathered = await self._gather(ask, tmax_ms=tmax_ms, passed_on=passed_on)
        return Round(ask, gathered, self._notices, currency=self._currency)

    def billed(self, impression_id: bytes) -> None:
        """Tell the bidder of a billed impression, if it is one that is owed a notice."""
        notice = self._awaiting.notice(impression_id)
        if notice is not None:
            self._notices.offer(notice)

    def resume(self) -> None:
        """Tell again what was due when the process ended; receivers count a notice once."""
        for notice in self._awaiting.due():
            self._notices.offer(notice)

    async def close(self) -> None:
        """Stop sending; what is still due is sent by the next ``resume``."""
        await self._notices.close()
