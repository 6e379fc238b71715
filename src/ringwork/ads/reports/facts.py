"""Facts from exported events, as SQL: what happened, one row each, with what is known of its sale.

The table ``events`` is what ``storage.parquet`` exports: the payload is JSON with named members,
read once per row. An outcome is joined with the sale that it belongs to, which may be as old as its
window. What the files do not hold is empty, and nothing is lost or doubled by that: an impression
id names one sale.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from ringwork.ads.billing import FEES_ACCOUNT
from ringwork.ads.budgets import PUBLISHER_PREFIX
from ringwork.ads.events import UNBILLED_IMPRESSION
from ringwork.ads.outcomes import (
    MAX_CLICK_WINDOW_S,
    MAX_CONVERSION_WINDOW_S,
    MAX_HOLD_S,
    MAX_LATE_S,
)
from ringwork.ads.reports.vocabulary import Dimension
from ringwork.ads.traffic.rules import INVALID_PREFIX

_FEE: Final = "transfer_created"
CHARGES: Final = (
    "impression_billed",
    "impression_measured",
    "click_recorded",
    "conversion_recorded",
)
"""Events that say what was charged; the ledger moved exactly as much."""
_REFUSALS: Final = ("impression_unbilled", *CHARGES[1:])

TYPES_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "requests": (),
    "slots": (),
    "sold": (),
    "impressions": ("impression_billed",),
    "unbilled": ("impression_unbilled",),
    "invalid": _REFUSALS,
    "viewable": ("impression_measured",),
    "views": ("impression_measured",),
    "clicks": ("click_recorded",),
    "conversions": ("conversion_recorded",),
    "view_conversions": ("conversion_recorded",),
    "value_nanos": ("conversion_recorded",),
    "spend_nanos": CHARGES,
    "earnings_nanos": (*CHARGES, _FEE),
    "fees_nanos": (_FEE,),
}
"""Sum -> the types of the outcomes that it is made of; those of the auction itself need none."""

OF_SALES: Final[frozenset[Dimension]] = frozenset(
    {"site", "placement", "domain", "format", "deal", "source", "region", "device", "pricing"}
)
"""Dimensions that an outcome has from its sale."""
_OF_OUTCOMES: Final[frozenset[Dimension]] = frozenset(
    {"advertiser", "campaign", "creative", "size", "priority", "publisher", "currency"}
)
"""Dimensions that most outcomes have by themselves, and fees and refusals from their sale."""

_DAY_US: Final = 86_400_000_000
_OUTCOME: Final = (
    '{"impression_id":"VARCHAR","campaign_id":"VARCHAR","ad_id":"VARCHAR",'
    '"publisher_id":"VARCHAR","placement":"VARCHAR","pricing":"VARCHAR","price_nanos":"BIGINT",'
    '"charged_nanos":"BIGINT","currency":"VARCHAR","measure":"VARCHAR","reason":"VARCHAR",'
    '"unbilled_reason":"VARCHAR","view_through":"BOOLEAN","value_nanos":"BIGINT",'
    '"debit_account":"VARCHAR","credit_account":"VARCHAR","reference":"VARCHAR",'
    '"amount":{"currency":"VARCHAR","units":"BIGINT","nanos":"BIGINT"}}'
)
_AUCTION: Final = (
    '{"source":"VARCHAR","currency":"VARCHAR","context":{"site":"VARCHAR","app":"VARCHAR",'
    '"publisher_id":"VARCHAR","placement_id":"VARCHAR","region":"VARCHAR",'
    '"device_type":"VARCHAR"},"slots":[{"format":"VARCHAR","impression_id":"VARCHAR",'
    '"ad_id":"VARCHAR","campaign_id":"VARCHAR","pricing":"VARCHAR","deal_id":"VARCHAR"}]}'
)
_OF_CONTEXT: Final = """e.source AS source, e.currency AS currency,
    e.context.publisher_id AS publisher, e.context.placement_id AS placement,
    e.context.region AS region, e.context.device_type AS device,
    CASE WHEN e.context.app <> '' THEN e.context.app ELSE e.context.site END AS domain"""
_OF_SLOT: Final = """slot.impression_id AS impression_id, slot.format AS format,
    slot.deal_id AS deal, slot.campaign_id AS campaign, slot.ad_id AS creative,
    slot.pricing AS pricing"""


class Range(Struct, frozen=True):
    """A half-open range of time, and the days (UTC) whose files hold it."""

    from_us: int
    until_us: int

    @property
    def where(self) -> str:
        """SQL that an event lies in the range."""
        first, last = self.from_us // _DAY_US, (self.until_us - 1) // _DAY_US
        days = f"day BETWEEN DATE '{_date(first)}' AND DATE '{_date(last)}'"
        return f"{days} AND ts_us >= {self.from_us} AND ts_us < {self.until_us}"

    def since(self, earlier_s: int) -> Range:
        """The range, and that much before it."""
        return Range(max(self.from_us - earlier_s * 1_000_000, 0), self.until_us)


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()


def lookback_s(types: Collection[str]) -> int:
    """How much older than its outcome, of one of those types, a sale can be."""
    longest_s = MAX_HOLD_S + MAX_LATE_S
    if "click_recorded" in types:
        longest_s = max(longest_s, MAX_CLICK_WINDOW_S)
    if "conversion_recorded" in types or _FEE in types:
        longest_s = max(longest_s, MAX_CONVERSION_WINDOW_S)
    return longest_s + MAX_HOLD_S


def needs_sales(types: Collection[str], named: Collection[Dimension]) -> bool:
    """Whether those dimensions of those outcomes can be told from their sales only."""
    if not types or OF_SALES.isdisjoint(named):
        bare = not {_FEE, "impression_unbilled"}.isdisjoint(types)
        return bare and not _OF_OUTCOMES.isdisjoint(named)
    return True


def auctions(span: Range) -> str:
    """Ad requests and their slots: a request is one row, each of its slots another."""
    return f"""SELECT ts_us, {_OF_CONTEXT}, {_OF_SLOT},
    CAST(slot IS NULL AS INTEGER) AS requests, CAST(slot IS NOT NULL AS INTEGER) AS slots,
    CAST(slot.impression_id IS NOT NULL AS INTEGER) AS sold
FROM (SELECT ts_us, e, unnest(list_prepend(NULL, e.slots)) AS slot FROM ({_read(span)}))"""  # noqa: S608  # types and dates of ours


def sales(span: Range) -> str:
    """What is known of each sale of the range."""
    return f"""SELECT {_OF_CONTEXT}, {_OF_SLOT}
FROM (SELECT e, unnest(e.slots) AS slot FROM ({_read(span)}))
WHERE slot.impression_id IS NOT NULL"""  # noqa: S608  # types and dates of ours


def _read(span: Range) -> str:
    return f"""SELECT ts_us, json_transform(payload, '{_AUCTION}') AS e
FROM events WHERE type = 'auction_cleared' AND {span.where}"""  # noqa: S608  # types and dates of ours


def outcomes(types: Collection[str], span: Range) -> str:
    """Outcomes of those types, by themselves: what they were, and what they moved.

    What is invalid is counted as that alone, and what was seen of an impression that is unbilled
    not at all: shares are of the impressions that count.

    Of transfers only those that name the fees' account are read; one that is no fee counts nothing.
    """
    listed = ", ".join(f"'{one}'" for one in sorted(types))
    is_fee = f"type = '{_FEE}'"
    earner = f"substr(o.debit_account, {len(PUBLISHER_PREFIX) + 1})"
    earned = f"starts_with(o.debit_account, '{PUBLISHER_PREFIX}')"
    kept = f"o.credit_account = '{FEES_ACCOUNT}' AND {earned}"
    refused = f"starts_with(coalesce(o.reason, o.unbilled_reason, ''), '{INVALID_PREFIX}')"
    seen = f"NOT {refused} AND o.unbilled_reason <> '{UNBILLED_IMPRESSION}'"
    return f"""SELECT ts_us,
    CASE WHEN {is_fee} THEN o.reference ELSE o.impression_id END AS impression_id,
    CASE WHEN {is_fee} THEN {earner} ELSE o.publisher_id END AS publisher,
    CASE WHEN {is_fee} THEN o.amount.currency ELSE o.currency END AS currency,
    o.campaign_id AS campaign, o.ad_id AS creative, o.placement AS placement,
    o.pricing AS pricing, coalesce(o.reason, o.unbilled_reason) AS reason,
    CAST(type = 'impression_billed' AS INTEGER) AS impressions,
    CAST(type = 'impression_unbilled' AND NOT {refused} AS INTEGER) AS unbilled,
    CAST({refused} AS INTEGER) AS invalid,
    CAST(o.measure IS NOT DISTINCT FROM 'viewable' AND {seen} AS INTEGER) AS viewable,
    CAST(o.measure IS NOT DISTINCT FROM 'view' AND {seen} AS INTEGER) AS views,
    CAST(type = 'click_recorded' AND NOT {refused} AS INTEGER) AS clicks,
    CAST(type = 'conversion_recorded' AND NOT {refused} AS INTEGER) AS conversions,
    CAST(type = 'conversion_recorded' AND o.view_through AND NOT {refused} AS INTEGER)
        AS view_conversions,
    CASE WHEN NOT {refused} THEN o.value_nanos END AS value_nanos,
    coalesce(o.price_nanos, o.charged_nanos) AS spend_nanos,
    CASE WHEN {kept} THEN o.amount.units * 1000000000 + o.amount.nanos END AS fees_nanos
FROM (SELECT ts_us, type, json_transform(payload, '{_OUTCOME}') AS o
    FROM events WHERE type IN ({listed}) AND {span.where}
        AND (NOT {is_fee} OR contains(payload, '"{FEES_ACCOUNT}"')))"""  # noqa: S608  # types and dates of ours


CATALOGUE: Final[Mapping[str, str]] = {
    "campaigns": """SELECT c.id AS campaign, arg_max(c.advertiser_id, seq) AS advertiser,
    arg_max(c.priority, seq) AS priority
FROM (SELECT seq, json_transform(payload->'campaign',
        '{"id":"VARCHAR","advertiser_id":"VARCHAR","priority":"VARCHAR"}') AS c
    FROM events WHERE type IN ('campaign_created', 'campaign_changed', 'campaign_reviewed'))
GROUP BY c.id""",
    "creatives": """SELECT c.id AS creative,
    arg_max(c.width || 'x' || c.height, seq) AS size
FROM (SELECT seq, json_transform(payload->'creative',
        '{"id":"VARCHAR","width":"INTEGER","height":"INTEGER"}') AS c
    FROM events WHERE type IN ('creative_created', 'creative_changed', 'creative_reviewed'))
GROUP BY c.id""",
    "placements": """SELECT p.id AS placement, arg_max(coalesce(p.site_id, ''), seq) AS site
FROM (SELECT seq, json_transform(payload->'placement',
        '{"id":"VARCHAR","site_id":"VARCHAR"}') AS p
    FROM events WHERE type IN ('placement_created', 'placement_changed'))
GROUP BY p.id""",
}
"""What campaigns, creatives and placements are now, by the latest event about each."""
