"""What the log says about ads, as tables and typed answers; the part's only SQL."""

from ringwork.ads.projections.conversions import AdConversions, ConversionRow, conversions
from ringwork.ads.projections.counts import HOUR_US, MINUTE_US, AdCounts, Counts
from ringwork.ads.projections.history import AdHistory, Change, Kind
from ringwork.ads.projections.latest import AdRequests
from ringwork.ads.projections.paces import AdPaces, PaceRow, latest_paces, paces
from ringwork.ads.projections.queries import (
    ChangeRow,
    RequestFilter,
    RequestRow,
    SaleRow,
    Span,
    ViewCounts,
    campaign_counts,
    campaign_hours,
    creative_counts,
    history,
    minutes,
    requests,
    sale,
    totals,
    view_conversions,
    waits_ns,
)
from ringwork.ads.projections.tables import metadata
from ringwork.ads.projections.tiers import AdTiers, TierCounts, tiers
from ringwork.ads.projections.view_through import ViewConversions

PROJECTIONS = (
    AdCounts(),
    AdRequests(),
    AdHistory(),
    ViewConversions(),
    AdPaces(),
    AdConversions(),
    AdTiers(),
)
"""The part's projections, for the composition root."""

__all__ = [
    "HOUR_US",
    "MINUTE_US",
    "PROJECTIONS",
    "AdConversions",
    "AdCounts",
    "AdHistory",
    "AdPaces",
    "AdRequests",
    "AdTiers",
    "Change",
    "ChangeRow",
    "ConversionRow",
    "Counts",
    "Kind",
    "PaceRow",
    "RequestFilter",
    "RequestRow",
    "SaleRow",
    "Span",
    "TierCounts",
    "ViewConversions",
    "ViewCounts",
    "campaign_counts",
    "campaign_hours",
    "conversions",
    "creative_counts",
    "history",
    "latest_paces",
    "metadata",
    "minutes",
    "paces",
    "requests",
    "sale",
    "tiers",
    "totals",
    "view_conversions",
    "waits_ns",
]
