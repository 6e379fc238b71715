"""What the log says about ads, as tables and typed answers; the part's only SQL."""

from ringwork.ads.projections.counts import HOUR_US, MINUTE_US, AdCounts, Counts
from ringwork.ads.projections.latest import AdRequests
from ringwork.ads.projections.queries import (
    RequestFilter,
    RequestRow,
    SaleRow,
    Span,
    campaign_counts,
    campaign_hours,
    creative_counts,
    minutes,
    requests,
    sale,
    totals,
    waits_ns,
)
from ringwork.ads.projections.tables import metadata

PROJECTIONS = (AdCounts(), AdRequests())
"""The part's projections, for the composition root."""

__all__ = [
    "HOUR_US",
    "MINUTE_US",
    "PROJECTIONS",
    "AdCounts",
    "AdRequests",
    "Counts",
    "RequestFilter",
    "RequestRow",
    "SaleRow",
    "Span",
    "campaign_counts",
    "campaign_hours",
    "creative_counts",
    "metadata",
    "minutes",
    "requests",
    "sale",
    "totals",
    "waits_ns",
]
