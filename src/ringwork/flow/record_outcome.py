"""What became of a sold ad: a beacon, verified, billed once, durable before it is answered."""

from __future__ import annotations

from typing import Literal

from ringwork.ads.service import Ads
from ringwork.ads.tokens import Claim
from ringwork.kernel.journal import Command, Journal

Outcome = Literal["recorded", "repeated", "late"]


class RecordOutcome:
    """Impressions and clicks, by their signed tokens.

    (Conversions are commands of the management API.)
    """

    def __init__(self, *, ads: Ads, journal: Journal, tenant: str) -> None:
        self._ads = ads
        self._journal = journal
        self._tenant = tenant

    async def impression(self, token: str) -> Outcome | None:
        """Bill the impression of a genuine token; None for a forged one."""
        claim = self._ads.verify(token, "impression")
        if claim is None:
            return None
        with self._caused_by(claim) as command:
            outcome = self._ads.bill_impression(command, claim)
            self._commit_if_recorded(command)
        await self._journal.settled()
        return outcome

    async def click(self, token: str) -> Claim | None:
        """Record (and where clicks are paid, charge) the first click; None for a forged token."""
        claim = self._ads.verify(token, "click")
        if claim is None:
            return None
        with self._caused_by(claim) as command:
            self._ads.record_click(command, claim)
            self._commit_if_recorded(command)
        await self._journal.settled()
        return claim

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
