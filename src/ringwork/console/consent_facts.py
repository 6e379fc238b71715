"""What the pages of consent are built from; people are pseudonyms here."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from ringwork.ads.behavioural.projections import DeniedRow
from ringwork.ads.projections import TierCounts
from ringwork.consent.choice.events import NoticePublished
from ringwork.consent.inspection import CheckedDay, Inspected
from ringwork.consent.projections import DayCount
from ringwork.consent.proof_runs import RecordedRun
from ringwork.consent.requests import ConsentView, Prompt
from ringwork.consent.subscriptions.views import SubscriptionView


class ConsentFacts(Struct, frozen=True, kw_only=True):
    """For the overview of consent."""

    now_us: int
    first_day: int
    """Of the span that is counted, since 1970-01-01, UTC; it ends today."""
    days: list[DayCount]
    asked: Mapping[str, int]
    """First choices of those who were shown the choice page in it; "" has not chosen."""
    denied: list[DeniedRow]
    subscriptions: Mapping[str, int]
    """State -> how many there are now."""
    people: int
    """Whom the ledger knows."""
    sealed_day: CheckedDay | None
    """The last that was sealed, checked."""
    open_records: int
    """Since then."""
    lasts_days: int
    ask_again_days: int
    tiers: Mapping[str, TierCounts] = {}
    """Tier -> what was asked and sold in the span; a subscriber's requests are none of these."""
    ads_free_requests: int = 0
    """Of subscribers, in the span."""
    last_proof: RecordedRun | None = None
    """The newest recorded run of the proof of consent."""


class PersonFacts(Struct, frozen=True, kw_only=True):
    """For one person's page."""

    now_us: int
    view: ConsentView
    prompt: Prompt
    is_minor: bool | None
    """None where it was not declared."""
    since: Mapping[str, tuple[int, int]]
    """Purpose -> (when it was decided last, the number of the record)."""
    lasts_us: int
    inspected: Inspected
    after: int
    """The number that the page of records begins behind."""
    notices: Mapping[str, NoticePublished]
    """Texts by their hash, of those that this installation showed."""
    subscriptions: list[SubscriptionView] | None
    """None where the visitor may not read them."""
