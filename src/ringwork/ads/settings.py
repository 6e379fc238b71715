"""What an operator may set about ads; every default works."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from ringwork.ads.model import Pricing
from ringwork.ads.outcomes import (
    MAX_CLICK_WINDOW_S,
    MAX_CONVERSION_WINDOW_S,
    MAX_HOLD_S,
    MAX_LATE_S,
)
from ringwork.kernel.money import Currency

_CERTAIN_PPB = 10**9


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
    click_prior_ppb: Annotated[int, Meta(ge=1, le=_CERTAIN_PPB)] = 5_000_000
    """Probability of a click per impression, in 1e-9: 0.5 %."""
    conversion_prior_ppb: Annotated[int, Meta(ge=1, le=_CERTAIN_PPB)] = 100_000
    """Probability of a conversion per impression, in 1e-9: 0.01 %."""

    @property
    def p_ppb(self) -> Mapping[Pricing, int]:
        """Pricing -> probability, per impression, of what it charges for, in 1e-9."""
        return {
            "cpm": _CERTAIN_PPB,
            "cpc": self.click_prior_ppb,
            "cpa": self.conversion_prior_ppb,
        }

    def timeout_s(self, hold_s: int | None) -> int:
        """Seconds until a sale's hold ends; ``hold_s`` is what the request allows, if it says."""
        allowed = self.hold_s if hold_s is None or hold_s < 1 else hold_s
        return min(allowed + self.grace_s, MAX_HOLD_S)
