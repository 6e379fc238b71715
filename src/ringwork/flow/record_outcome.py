"""What became of a sold ad: a beacon, verified, billed once, durable before it is answered."""

from __future__ import annotations

from ringwork.ads.billing import Billing, Outcome
from ringwork.ads.exchange.desk import ExchangeDesk
from ringwork.ads.model import Measure
from ringwork.ads.openrtb.notices import Notice
from ringwork.ads.tokens import Claim
from ringwork.ads.traffic import Sender, TrafficFilter
from ringwork.ads.traffic.filter import Beacon
from ringwork.flow.special_ads import SpecialAds
from ringwork.kernel.journal import Command, Journal


class RecordOutcome:
    """Impressions, what was seen of them, clicks and exchanges' notices, by their signed tokens.

    (Conversions are commands of the management API.)
    """

    def __init__(
        self,
        *,
        billing: Billing,
        traffic: TrafficFilter,
        journal: Journal,
        tenant: str,
        exchange: ExchangeDesk | None = None,
        special: SpecialAds | None = None,
    ) -> None:
        """``exchange``: where outside bidders are configured; ``special``: as for requests."""
        self._special = special
        self._exchange = exchange
        self._billing = billing
        self._traffic = traffic
        self._journal = journal
        self._tenant = tenant

    async def impression(self, token: str, sender: Sender | None = None) -> Outcome | None:
        """Bill the impression of a genuine token; None for a forged one."""
        claim = self._billing.verify(token, "impression")
        if claim is None:
            return None
        with self._caused_by(claim) as command:
            invalid = self._judge(command, claim, "impression", sender)
            outcome = self._billing.bill_impression(command, claim, invalid=invalid)
            if self._special is not None and outcome == "recorded":
                self._special.shown(command, claim)
            self._commit_if_recorded(command)
        await self._journal.settled()
        if self._exchange is not None and outcome == "recorded":
            self._exchange.billed(claim.impression_id)
        return outcome

    async def measured(
        self, token: str, measure: Measure, sender: Sender | None = None
    ) -> Outcome | None:
        """Record that an impression was viewable or viewed; None for a forged token."""
        claim = self._billing.verify(token, measure)
        if claim is None:
            return None
        with self._caused_by(claim) as command:
            invalid = self._judge(command, claim, measure, sender)
            outcome = self._billing.record_measured(command, claim, measure, invalid=invalid)
            self._commit_if_recorded(command)
        await self._journal.settled()
        return outcome

    async def notice(self, token: str, notice: Notice) -> bool:
        """Keep what an exchange says of a bid; False for a forged token."""
        claim = self._billing.verify(token, "notice")
        if claim is None:
            return False
        with self._caused_by(claim) as command:
            self._billing.settle(command, claim, notice)
            self._commit_if_recorded(command)
        await self._journal.settled()
        return True

    async def click(self, token: str, sender: Sender | None = None) -> Claim | None:
        """Record (and where clicks are paid, charge) the first click; None for a forged token."""
        claim = self._billing.verify(token, "click")
        if claim is None:
            return None
        with self._caused_by(claim) as command:
            invalid = self._judge(command, claim, "click", sender)
            self._billing.record_click(command, claim, invalid=invalid)
            self._commit_if_recorded(command)
        await self._journal.settled()
        return claim

    def _judge(self, command: Command, claim: Claim, beacon: Beacon, sender: Sender | None) -> str:
        """Why a beacon is invalid traffic; empty where it is not."""
        return (
            self._traffic.judge(
                claim,
                beacon,
                sender,
                at_ms=command.ts_us // 1000,
                was_shown=beacon != "click" or self._billing.was_shown(claim),
            )
            or ""
        )

    def _caused_by(self, claim: Claim) -> Command:
        """A beacon's events belong to the ad request they come from.

        So that one trace holds them all.
        """
        return self._journal.command(
            tenant=self._tenant, request_id=claim.request_id, cause_id=claim.auction_id
        )

    def _commit_if_recorded(self, command: Command) -> None:
        if command.recorded:
            command.commit()
