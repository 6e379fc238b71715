"""The ad part at work: shortlist, rank and clear a slot, and bill what became of the sale.

Every method decides on memory and records through the command it is given; nothing here waits, so
that a decision and its events are one. A sale paid per impression reserves its price as a pending
ledger transfer with the impression's id; its beacon posts that transfer. Clicks and conversions are
charged when they happen, if budget is left then (ads specification 3.15).
"""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace

from ringwork.ads import auction
from ringwork.ads.auction import Ranked
from ringwork.ads.budgets import CAMPAIGN_PREFIX, DAY_S, PUBLISHER_PREFIX, Budgets
from ringwork.ads.catalogue import Catalogue
from ringwork.ads.events import (
    ClickRecorded,
    ConversionRecorded,
    ImpressionBilled,
    ImpressionUnbilled,
    SlotOutcome,
)
from ringwork.ads.index import Contender, Index, Shortlist
from ringwork.ads.model import Ask, Context, Pricing, Sale, Served, Slot
from ringwork.ads.outcomes import Outcomes
from ringwork.ads.personal import Personal
from ringwork.ads.sales import outcome_of, sell, served_of, sold_outcome
from ringwork.ads.settings import AdsSettings
from ringwork.ads.tokens import Claim, Kind, Tokens
from ringwork.kernel.errors import Conflict
from ringwork.kernel.ids import IdGenerator, format_id
from ringwork.kernel.journal import Command
from ringwork.kernel.ledger import CREATED, Ledger, Transfer

Outcome = Literal["recorded", "repeated", "late"]
"""A genuine beacon is the first in time, counts already, or comes too late to charge anything."""


class Ads:
    """Serves and bills. Its memory is the folds it is given, kept in step by the journal."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        budgets: Budgets,
        outcomes: Outcomes,
        ledger: Ledger,
        tokens: Tokens,
        ids: IdGenerator,
        personal: Personal,
        settings: AdsSettings,
    ) -> None:
        self.settings = settings
        self.currency = settings.currency
        self._catalogue = catalogue
        self._index = Index(catalogue, p_ppb=settings.p_ppb)
        self._budgets = budgets
        self._outcomes = outcomes
        self._ledger = ledger
        self._tokens = tokens
        self._ids = ids
        self._personal = personal

    # ---- selling --------------------------------------------------------------------------------

    def candidates(self, context: Context, slot: Slot, *, now_s: int) -> Shortlist:
        """The ads that may compete for ``slot``; an unregistered publisher can sell nothing."""
        if context.publisher_id not in self._catalogue.publishers:
            return self._index.nobody(slot, reason="publisher")
        free_nanos = self._budgets.free_nanos
        return self._index.shortlist(
            context,
            slot,
            now_us=now_s * 1_000_000,
            funded=lambda campaign: free_nanos(campaign, now_s) >= campaign.bid_nanos,
            as_of=(now_s // DAY_S, self._budgets.rises),
        )

    def rank(self, shortlist: Shortlist) -> list[Ranked]:
        """The shortlist in the order of the auction."""
        return auction.rank(
            (contender.candidate for contender in shortlist.contenders.values()),
            reserve_nanos=shortlist.reserve_nanos,
        )

    def clear(
        self,
        command: Command,
        ask: Ask,
        slot: Slot,
        shortlist: Shortlist,
        ranked: list[Ranked],
        *,
        auction_id: bytes,
    ) -> tuple[SlotOutcome, Served | None]:
        """Sell ``slot`` and reserve its price; the outcome holds every input of that price.

        A winner whose reservation is refused leaves the auction (reason ``budget``), so that the
        outcome still recomputes: it holds those who could pay.
        """
        running = list(ranked)
        timeout_s = self.settings.timeout_s(slot.hold_s)
        impression_id = self._ids.new()
        while (sale := sell(running, ask, slot)) is not None:
            contender = shortlist.contenders[sale.ad_id]
            if self._reserve(command, ask.context, contender, sale, impression_id, timeout_s):
                break
            running = running[1:]
        outcome = outcome_of(ask, slot, shortlist, running, refused=len(ranked) - len(running))
        if sale is None:
            return outcome, None
        contender = shortlist.contenders[sale.ad_id]
        expires_s = command.now_s + timeout_s
        claim = Claim(
            "impression",
            impression_id,
            auction_id,
            ask.request_id,
            contender.campaign.id,
            sale.ad_id,
            ask.context.publisher_id,
            ask.context.placement_id,
            contender.campaign.pricing,
            sale.price_nanos,
            self.currency,
            command.now_s,
            expires_s,
        )
        sold = sold_outcome(outcome, claim)
        tokens = self._tokens_of(claim)
        return sold, served_of(slot, contender, sale, self.currency, impression_id, tokens)

    def rehearse(self, ask: Ask, *, now_s: int) -> list[Served]:
        """What ``ask`` would be sold now; nothing is recorded or reserved (OpenRTB ``test``).

        There are no tokens: what was not sold can have no outcome.
        """
        served = []
        for slot in ask.slots:
            shortlist = self.candidates(ask.context, slot, now_s=now_s)
            sale = sell(self.rank(shortlist), ask, slot)
            if sale is not None:
                contender = shortlist.contenders[sale.ad_id]
                impression_id = self._ids.new()
                served.append(served_of(slot, contender, sale, self.currency, impression_id, {}))
        return served

    def _reserve(
        self,
        command: Command,
        context: Context,
        contender: Contender,
        sale: Sale,
        impression_id: bytes,
        timeout_s: int,
    ) -> bool:
        """Whether the campaign can pay; what is paid per impression is set aside at once."""
        campaign = contender.campaign
        if self._budgets.free_nanos(campaign, command.now_s) < sale.price_nanos:
            return False
        if campaign.pricing != "cpm" or not sale.price_nanos:
            return True
        hold = Transfer(
            id=format_id(impression_id),
            kind="pending",
            debit_account=CAMPAIGN_PREFIX + campaign.id,
            credit_account=PUBLISHER_PREFIX + context.publisher_id,
            amount_nanos=sale.price_nanos,
            currency=self.currency,
            timeout_s=timeout_s,
        )
        if self._ledger.decide(command.now_s, hold) != CREATED:
            return False
        return self._ledger.transfer(command, hold) == CREATED

    def _tokens_of(self, sold: Claim) -> dict[str, str]:
        ends_s = sold.issued_s + self.settings.click_window_s
        click = replace(sold, kind="click", expires_s=ends_s)
        return {"impression": self._tokens.sign(sold), "click": self._tokens.sign(click)}

    # ---- billing --------------------------------------------------------------------------------

    def verify(self, token: str, kind: Kind) -> Claim | None:
        """The claim of a token that we signed, in time or not; None for anything else."""
        return self._tokens.verify(token, kind)

    def bill_impression(self, command: Command, claim: Claim) -> Outcome:
        """Post the hold of an impression, once; a late beacon is recorded and charges nothing.

        Past ``late_s`` nothing is recorded any more: the answer is the same, and memory is bounded.
        """
        impression_id = claim.impression_id
        if self._outcomes.impression(impression_id) is not None:
            return "repeated"
        recorded_until_s = claim.expires_s + self.settings.late_s
        if command.now_s >= recorded_until_s or not self._outcomes.still_keeps_impression(
            impression_id
        ):
            return "late"
        refusal = self._post(command, claim)
        if refusal:
            command.record(ImpressionUnbilled(impression_id, claim.campaign_id, refusal))
            return "late"
        command.record(
            ImpressionBilled(
                impression_id,
                claim.campaign_id,
                claim.ad_id,
                claim.publisher_id,
                claim.placement,
                claim.pricing,
                claim.price_nanos if claim.pricing == "cpm" else 0,
                claim.currency,
            )
        )
        return "recorded"

    def _post(self, command: Command, claim: Claim) -> str:
        """Turn the hold into a payment; returns why not, or an empty string."""
        if command.now_s >= claim.expires_s:
            return "late"
        if claim.pricing != "cpm" or not claim.price_nanos:
            return ""
        post = Transfer(
            id=format_id(self._ids.new()),
            kind="post",
            amount_nanos=claim.price_nanos,
            currency=claim.currency,
            pending_id=format_id(claim.impression_id),
        )
        result = self._ledger.decide(command.now_s, post)
        if result != CREATED:
            return "late" if result == "pending-expired" else result
        self._ledger.transfer(command, post)
        return ""

    def record_click(self, command: Command, claim: Claim) -> Outcome:
        """Record the first click on an impression and charge it where clicks are paid."""
        if self._outcomes.clicked(claim.impression_id):
            return "repeated"
        if command.now_s >= claim.expires_s or not self._outcomes.still_keeps_click(
            claim.impression_id
        ):
            return "late"
        charged_nanos, unbilled_reason = self._charge(command, claim, "cpc")
        command.record(
            ClickRecorded(
                claim.impression_id,
                claim.campaign_id,
                claim.ad_id,
                claim.publisher_id,
                charged_nanos,
                claim.currency,
                unbilled_reason,
            )
        )
        return "recorded"

    def conversion_token(self, claim: Claim) -> str:
        """The ``rwclid`` that a click carries to the advertiser; the same for every click on it."""
        ends_s = claim.issued_s + self.settings.conversion_window_s
        return self._tokens.sign(replace(claim, kind="conversion", expires_s=ends_s))

    def record_conversion(
        self,
        command: Command,
        claim: Claim,
        *,
        conversion_id: str,
        value_nanos: int,
        customer: str | None,
    ) -> Outcome:
        """Record an advertiser's conversion once and charge it where conversions are paid.

        ``customer`` is sealed under its own subject. Conflict when the id was used for another
        impression.
        """
        known = self._outcomes.conversion(claim.campaign_id, conversion_id)
        if known is not None:
            if known != claim.impression_id:
                raise Conflict(
                    "conversion-exists",
                    f"conversion {conversion_id!r} is recorded for another impression",
                )
            return "repeated"
        if command.now_s >= claim.expires_s or not self._outcomes.still_keeps_conversion(
            claim.impression_id
        ):
            return "late"
        event_id, subject, sealed = self._ids.new(), None, None
        if customer:
            subject, sealed = self._personal.seal(
                f"customer/{customer}", customer, event_id=event_id, member="customer"
            )
        charged_nanos, unbilled_reason = self._charge(command, claim, "cpa")
        command.record(
            ConversionRecorded(
                conversion_id,
                claim.impression_id,
                claim.campaign_id,
                claim.ad_id,
                claim.publisher_id,
                value_nanos,
                charged_nanos,
                claim.currency,
                sealed,
                unbilled_reason,
            ),
            event_id=event_id,
            cause_id=claim.auction_id,
            request_id=claim.request_id,
            subject=subject,
            purpose="conversion measurement" if customer else None,
        )
        return "recorded"

    def _charge(self, command: Command, claim: Claim, pricing: Pricing) -> tuple[int, str]:
        """(nanos charged, why nothing was) for an event that ``pricing`` pays for."""
        if claim.pricing != pricing or not claim.price_nanos:
            return 0, ""
        campaign = self._catalogue.campaigns[claim.campaign_id]
        if self._budgets.free_nanos(campaign, command.now_s) < claim.price_nanos:
            return 0, "budget"
        charge = Transfer(
            id=format_id(self._ids.new()),
            kind="single",
            debit_account=CAMPAIGN_PREFIX + claim.campaign_id,
            credit_account=PUBLISHER_PREFIX + claim.publisher_id,
            amount_nanos=claim.price_nanos,
            currency=claim.currency,
            reference=format_id(claim.impression_id),
        )
        result = self._ledger.decide(command.now_s, charge)
        if result != CREATED:
            return 0, result
        self._ledger.transfer(command, charge)
        return claim.price_nanos, ""
