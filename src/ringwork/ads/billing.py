"""What became of sales: shown, seen, clicked, converted, won or lost at an exchange; each once.

A beacon is verified by its token alone. What is paid per impression, viewable impression or view
posts the hold of its sale; clicks and conversions are charged when they happen, if budget is left
then (ads specification 3.15). Late ones are recorded while they can be told from new ones, and
charge nothing.
"""

from __future__ import annotations

from typing import Final, Literal

from ringwork.ads import view_through
from ringwork.ads.budgets import CAMPAIGN_PREFIX, PUBLISHER_PREFIX, Budgets
from ringwork.ads.catalogue import Catalogue
from ringwork.ads.events import (
    UNBILLED_IMPRESSION,
    BidSettled,
    ClickRecorded,
    ConversionRecorded,
    ImpressionBilled,
    ImpressionMeasured,
    ImpressionUnbilled,
)
from ringwork.ads.model import Measure, Pricing
from ringwork.ads.openrtb.notices import Notice
from ringwork.ads.outcomes import Outcomes
from ringwork.ads.outside import bidder_of, is_external
from ringwork.ads.personal import Personal
from ringwork.ads.settings import AdsSettings
from ringwork.ads.tokens import Claim, Kind, Tokens
from ringwork.ads.traffic.rules import AFTER_INVALID_CLICK
from ringwork.kernel.errors import Conflict
from ringwork.kernel.ids import IdGenerator, format_id
from ringwork.kernel.journal import Command
from ringwork.kernel.ledger import CREATED, Ledger, Transfer

Outcome = Literal["recorded", "repeated", "late"]
"""A genuine beacon is the first in time, counts already, or comes too late to charge anything."""
_PAID_BY: Final[dict[Pricing, str]] = {"cpm": "impression", "vcpm": "viewable", "cpv": "view"}
"""The beacon that posts the hold of a sale."""
FEES_ACCOUNT: Final = "platform/fees"
"""What the platform keeps of publishers' earnings where they have agreed to a share."""


class Billing:
    """Records and charges. Its memory is the folds it is given, kept in step by the journal."""

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
        self._budgets = budgets
        self._outcomes = outcomes
        self._ledger = ledger
        self._tokens = tokens
        self._ids = ids
        self._personal = personal

    def verify(self, token: str, kind: Kind) -> Claim | None:
        """The claim of a token that we signed, in time or not; None for anything else."""
        return self._tokens.verify(token, kind)

    # ---- shown and seen -------------------------------------------------------------------------

    def was_shown(self, claim: Claim) -> bool:
        """Whether an impression of the sale is recorded, or could be forgotten by now."""
        outcomes, id = self._outcomes, claim.impression_id
        return outcomes.impression(id) is not None or not outcomes.still_keeps_impression(id)

    def bill_impression(self, command: Command, claim: Claim, *, invalid: str = "") -> Outcome:
        """Record an impression, once, and post its hold where impressions are paid.

        ``invalid`` says why it is invalid traffic: such an impression charges nothing.
        Past ``late_s`` nothing is recorded any more: the answer is the same, and memory is bounded.
        """
        if self._outcomes.impression(claim.impression_id) is not None:
            return "repeated"
        if not self._is_recorded(command, claim):
            return "late"
        posted_nanos, refusal = self._post(command, claim, "impression", invalid)
        if refusal:
            if invalid:
                self._void(command, claim)
            command.record(ImpressionUnbilled(claim.impression_id, claim.campaign_id, refusal))
            return "late"
        command.record(
            ImpressionBilled(
                claim.impression_id,
                claim.campaign_id,
                claim.ad_id,
                claim.publisher_id,
                claim.placement,
                claim.pricing,
                posted_nanos,
                claim.currency,
            )
        )
        return "recorded"

    def record_measured(
        self, command: Command, claim: Claim, measure: Measure, *, invalid: str = ""
    ) -> Outcome:
        """Record that an impression was viewable, or viewed to its end; once each."""
        if self._outcomes.measured(claim.impression_id, measure):
            return "repeated"
        if not self._is_recorded(command, claim):
            return "late"
        if not invalid and self._outcomes.impression(claim.impression_id) is False:
            invalid = UNBILLED_IMPRESSION
        posted_nanos, refusal = self._post(command, claim, measure, invalid)
        command.record(
            ImpressionMeasured(
                claim.impression_id,
                claim.campaign_id,
                claim.ad_id,
                claim.publisher_id,
                measure,
                posted_nanos,
                claim.currency,
                refusal,
            )
        )
        return "late" if refusal else "recorded"

    def _is_recorded(self, command: Command, claim: Claim) -> bool:
        """Whether a beacon of the sale can still be told from a repeated one."""
        until_s = claim.expires_s + self.settings.late_s
        return command.now_s < until_s and self._outcomes.still_keeps_impression(
            claim.impression_id
        )

    def _post(self, command: Command, claim: Claim, beacon: str, invalid: str) -> tuple[int, str]:
        """(nanos paid out of the hold, why nothing was: invalid, late, or the hold is gone)."""
        if invalid:  # also where it is late: a click on it must not count either
            return 0, invalid
        if command.now_s >= claim.expires_s:
            return 0, "late"
        if _PAID_BY.get(claim.pricing) != beacon or not claim.price_nanos:
            return 0, ""
        post = Transfer(
            id=format_id(self._ids.new()),
            kind="post",
            amount_nanos=claim.price_nanos,
            currency=claim.currency,
            pending_id=format_id(claim.impression_id),
        )
        result = self._ledger.decide(command.now_s, post)
        if result != CREATED:
            return 0, "late" if result == "pending-expired" else result
        self._ledger.transfer(command, post)
        self._keep_fee(command, claim)
        return claim.price_nanos, ""

    def _keep_fee(self, command: Command, claim: Claim) -> None:
        """The platform's part of what a publisher has just earned, by its revenue share."""
        publisher = self._catalogue.publishers[claim.publisher_id]
        fee_nanos = claim.price_nanos - claim.price_nanos * publisher.revenue_share_ppm // 1_000_000
        if not fee_nanos:
            return
        if FEES_ACCOUNT not in self._ledger.accounts:
            self._ledger.open_account(
                command, id=FEES_ACCOUNT, currency=claim.currency, limited=True
            )
        fee = Transfer(
            id=format_id(self._ids.new()),
            kind="single",
            debit_account=PUBLISHER_PREFIX + claim.publisher_id,
            credit_account=FEES_ACCOUNT,
            amount_nanos=fee_nanos,
            currency=claim.currency,
            reference=format_id(claim.impression_id),
        )
        result = self._ledger.transfer(command, fee)
        assert result == CREATED, "the publisher has just earned more than that"

    # ---- at an exchange -------------------------------------------------------------------------

    def settle(self, command: Command, claim: Claim, notice: Notice) -> Outcome:
        """Record what an exchange says of a bid, once a kind; a lost bid gives its budget back."""
        if self._outcomes.settled(claim.impression_id, notice.kind):
            return "repeated"
        if not self._is_recorded(command, claim):
            return "late"
        if notice.kind == "lost":
            self._void(command, claim)
        command.record(
            BidSettled(
                claim.impression_id,
                claim.campaign_id,
                notice.kind,
                notice.reason,
                notice.price_nanos,
                notice.min_to_win_nanos,
                notice.currency,
            )
        )
        return "recorded"

    def _void(self, command: Command, claim: Claim) -> None:
        """Give back what was held for a sale, if it still is."""
        void = Transfer(
            id=format_id(self._ids.new()),
            kind="void",
            currency=claim.currency,
            pending_id=format_id(claim.impression_id),
        )
        if self._ledger.decide(command.now_s, void) == CREATED:
            self._ledger.transfer(command, void)

    # ---- clicks and conversions -----------------------------------------------------------------

    def record_click(self, command: Command, claim: Claim, *, invalid: str = "") -> Outcome:
        """Record the first click on an impression and charge it where clicks are paid."""
        if self._outcomes.clicked(claim.impression_id):
            return "repeated"
        ends_s = claim.issued_s + self.settings.click_window_s
        if command.now_s >= ends_s or not self._outcomes.still_keeps_click(claim.impression_id):
            return "late"
        # What the filter found of the impression outlives the filter's own memory, in the log.
        invalid = invalid or self._outcomes.invalid_impression(claim.impression_id)
        charged_nanos, unbilled_reason = 0, invalid
        if not invalid:
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
        return self._tokens.sign(claim, ("conversion",))["conversion"]

    def record_conversion(
        self,
        command: Command,
        claim: Claim,
        *,
        conversion_id: str,
        value_nanos: int,
        customer: str | None,
        view_only: bool = False,
    ) -> Outcome:
        """Record an advertiser's conversion once and charge it where conversions are paid.

        ``customer`` is sealed under its own subject. ``view_only``: it is reported for an
        impression that nobody clicked on. One that follows an invalid click is invalid as well and
        charges nothing. Conflict when the id was used for another impression, when the impression
        was not seen or was clicked on, or when the ad is an outside bidder's.
        """
        if is_external(claim.campaign_id):
            raise Conflict(
                "outside-ad",
                f"the impression was sold to bidder {bidder_of(claim.campaign_id)!r}: it counts"
                " conversions itself, and none is charged here",
            )
        known = self._outcomes.conversion(claim.campaign_id, conversion_id)
        if known is not None:
            if known != claim.impression_id:
                raise Conflict(
                    "conversion-exists",
                    f"conversion {conversion_id!r} is recorded for another impression",
                )
            return "repeated"
        if not self._counts(command, claim, view_only=view_only):
            return "late"
        event_id, subject, sealed = self._ids.new(), None, None
        if customer:
            subject, sealed = self._personal.seal(
                f"customer/{customer}", customer, event_id=event_id, member="customer"
            )
        charged_nanos, unbilled_reason = self._charge_conversion(command, claim, view_only)
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
                view_through=view_only,
            ),
            event_id=event_id,
            cause_id=claim.auction_id,
            request_id=claim.request_id,
            subject=subject,
            purpose="conversion measurement" if customer else None,
        )
        return "recorded"

    def _charge_conversion(
        self, command: Command, claim: Claim, view_only: bool
    ) -> tuple[int, str]:
        if self._outcomes.clicked_invalidly(claim.impression_id):
            return 0, AFTER_INVALID_CLICK
        campaign = self._catalogue.campaigns[claim.campaign_id]
        if view_only and not view_through.is_paid(campaign, claim):
            return 0, ""
        return self._charge(command, claim, "cpa")

    def _counts(self, command: Command, claim: Claim, *, view_only: bool) -> bool:
        """Whether a conversion is in time; Conflict for one of a view that was none."""
        if not self._outcomes.still_keeps_conversion(claim.impression_id):
            return False
        if not view_only:
            return command.now_s < claim.issued_s + self.settings.conversion_window_s
        verdict = view_through.verdict(
            claim,
            now_s=command.now_s,
            window_s=self.settings.view_window_s,
            billed=self._outcomes.impression(claim.impression_id),
            clicked=self._outcomes.clicked(claim.impression_id),
        )
        if verdict == "unseen":
            raise Conflict("unseen-impression", "no beacon said in time that the ad was shown")
        if verdict == "clicked":
            raise Conflict("clicked-impression", "report it with the rwclid that its click carried")
        return verdict == "counts"

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
        self._keep_fee(command, claim)
        return claim.price_nanos, ""
