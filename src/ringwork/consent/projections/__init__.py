"""What the log says about consent, as tables and typed answers; the part's only SQL."""

from ringwork.consent.projections.counts import (
    AdsFree,
    ConsentAsked,
    ConsentDays,
    DayCount,
    ads_free_requests,
    day_counts,
    first_choices,
)
from ringwork.consent.projections.records import (
    ChainRow,
    ConsentRecords,
    chain_of,
    digests_of,
    hashes_between,
    records_of,
)
from ringwork.consent.projections.tables import metadata

PROJECTIONS = (ConsentRecords(), AdsFree(), ConsentDays(), ConsentAsked())
"""The part's projections, for the composition root."""

__all__ = [
    "PROJECTIONS",
    "AdsFree",
    "ChainRow",
    "ConsentAsked",
    "ConsentDays",
    "ConsentRecords",
    "DayCount",
    "ads_free_requests",
    "chain_of",
    "day_counts",
    "digests_of",
    "first_choices",
    "hashes_between",
    "metadata",
    "records_of",
]
