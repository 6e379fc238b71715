"""Conversions that follow an impression without a click: when one counts, and when it is paid for.

An advertiser that learned of an impression (a shop on whose own pages the ad was shown) reports the
conversion with the impression's own token. It counts apart from conversions after clicks, and is
paid for only where the campaign says so: an ad that was merely on the page must not, by default,
earn for what would have been bought anyway.
"""

from __future__ import annotations

from typing import Literal

from ringwork.ads.model import Campaign
from ringwork.ads.tokens import Claim

Verdict = Literal["counts", "unseen", "clicked", "late"]
"""``unseen``: no beacon said that the ad was shown in time; ``clicked``: its click has the say."""


def verdict(
    claim: Claim, *, now_s: int, window_s: int, billed: bool | None, clicked: bool
) -> Verdict:
    """What a reported conversion is for the impression of ``claim``.

    ``billed`` is what is remembered of the impression's beacon (``Outcomes.impression``): an
    impression that came too late to be billed was not shown for the advertiser. The window begins
    with the sale, which is minutes before the impression at most and the same in every replay.
    """
    if clicked:
        return "clicked"
    if now_s >= claim.issued_s + window_s:
        return "late"
    return "counts" if billed else "unseen"


def is_paid(campaign: Campaign, claim: Claim) -> bool:
    """Whether one is charged: sold per action, by a campaign that opted in."""
    return campaign.view_through and claim.pricing == "cpa"
