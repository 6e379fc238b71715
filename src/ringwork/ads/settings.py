"""What an operator may set about ads; every default works."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from msgspec import Meta, Struct

from ringwork.ads.model import Pricing
from ringwork.ads.outcomes import (
    MAX_CLICK_WINDOW_S,
    MAX_CONVERSION_WINDOW_S,
    MAX_HOLD_S,
    MAX_LATE_S,
)
from ringwork.ads.traffic.rules import TrafficSettings
from ringwork.kernel.money import Currency

_CERTAIN_PPB = 10**9
MAX_VISIT_WINDOW_S: Final = 120 * 60
"""What is remembered longer is no visit any more, but a history."""


class AdsSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Windows are seconds. Each is bounded by how long an outcome is remembered (``outcomes``)."""

    currency: Currency = "EUR"
    """The one currency that auctions, budgets and bills are in."""
    hold_s: Annotated[int, Meta(ge=1, le=MAX_HOLD_S // 2)] = 300
    """From a sale to its impression, where the request does not say."""
    grace_s: Annotated[int, Meta(ge=0, le=MAX_HOLD_S // 2)] = 60
    """Added to every hold for the beacon's own journey."""
    late_s: Annotated[int, Meta(ge=0, le=MAX_LATE_S)] = 3600
    """How long after its hold a beacon is still recorded, unbilled."""
    click_window_s: Annotated[int, Meta(ge=1, le=MAX_CLICK_WINDOW_S)] = 7 * 86_400
    """From a sale to its click."""
    conversion_window_s: Annotated[int, Meta(ge=1, le=MAX_CONVERSION_WINDOW_S)] = 30 * 86_400
    """From a sale to its conversion."""
    view_window_s: Annotated[int, Meta(ge=1, le=MAX_CONVERSION_WINDOW_S)] = 86_400
    """From a sale to a conversion without a click (view-through)."""
    visit_window_s: Annotated[int, Meta(ge=60, le=MAX_VISIT_WINDOW_S)] = 90 * 60
    """How long a visit's frequency caps remember what it was shown; never longer."""
    traffic: TrafficSettings = TrafficSettings()
    """What is invalid traffic."""
    review_required: bool = False
    """Campaigns and creatives go live, and changed creatives stay so, by approval only."""
    explore_ppm: Annotated[int, Meta(ge=0, le=1_000_000)] = 10_000
    """Share of requests, in 1e-6, that try ads whose response is not known well: 1 %."""
    click_prior_ppb: Annotated[int, Meta(ge=1, le=_CERTAIN_PPB)] = 5_000_000
    """Probability of a click per impression, in 1e-9: 0.5 %."""
    conversion_prior_ppb: Annotated[int, Meta(ge=1, le=_CERTAIN_PPB)] = 100_000
    """Probability of a conversion per impression, in 1e-9: 0.01 %."""
    viewable_prior_ppb: Annotated[int, Meta(ge=1, le=_CERTAIN_PPB)] = 600_000_000
    """Probability that an impression is viewable, in 1e-9: 60 %."""
    view_prior_ppb: Annotated[int, Meta(ge=1, le=_CERTAIN_PPB)] = 500_000_000
    """Probability that a video or audio ad is played to its end, in 1e-9: 50 %."""
    model_publish_s: Annotated[int, Meta(ge=1, le=7 * 86_400)] = 600
    """Between two versions of the response model, where anything was learned since the last."""

    @property
    def p_ppb(self) -> Mapping[Pricing, int]:
        """Pricing -> probability, per impression, of what it charges for, in 1e-9."""
        return {
            "cpm": _CERTAIN_PPB,
            "cpc": self.click_prior_ppb,
            "cpa": self.conversion_prior_ppb,
            "vcpm": self.viewable_prior_ppb,
            "cpv": self.view_prior_ppb,
        }

    def timeout_s(self, hold_s: int | None) -> int:
        """Seconds until a sale's hold ends; ``hold_s`` is what the request allows, if it says."""
        allowed = self.hold_s if hold_s is None or hold_s < 1 else hold_s
        return min(allowed + self.grace_s, MAX_HOLD_S)
