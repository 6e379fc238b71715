"""Counts per minute, per campaign and hour, and per ad.

The counts of a batch are summed in Python and then added to their rows: three statements per batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, TypeAlias, TypeVar

import sqlalchemy as sa
from msgspec import Struct

from ringwork.ads.events import (
    AnswerTimed,
    AuctionCleared,
    ClickRecorded,
    ConversionRecorded,
    ImpressionBilled,
    ImpressionMeasured,
    ImpressionUnbilled,
)
from ringwork.ads.outside import is_external
from ringwork.ads.projections.tables import (
    ads_campaign_hours,
    ads_creatives,
    ads_minutes,
    execute_many,
)
from ringwork.ads.traffic.rules import is_invalid
from ringwork.kernel.events import Event, Recorded

MINUTE_US: Final = 60_000_000
HOUR_US: Final = 60 * MINUTE_US

_Outcome: TypeAlias = ImpressionBilled | ImpressionMeasured | ClickRecorded | ConversionRecorded
_Key = TypeVar("_Key", bound=tuple[object, ...])

_ADD_MINUTES: Final = """
INSERT INTO ads_minutes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (minute) DO UPDATE SET
requests = ads_minutes.requests + excluded.requests, slots = ads_minutes.slots + excluded.slots,
sold = ads_minutes.sold + excluded.sold,
impressions = ads_minutes.impressions + excluded.impressions,
unbilled = ads_minutes.unbilled + excluded.unbilled,
clicks = ads_minutes.clicks + excluded.clicks,
conversions = ads_minutes.conversions + excluded.conversions,
spent_nanos = ads_minutes.spent_nanos + excluded.spent_nanos,
answers = ads_minutes.answers + excluded.answers, disk_ns = ads_minutes.disk_ns + excluded.disk_ns
"""
_ADD_HOURS: Final = """
INSERT INTO ads_campaign_hours VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (campaign_id, hour) DO UPDATE SET
ranked = ads_campaign_hours.ranked + excluded.ranked,
sold = ads_campaign_hours.sold + excluded.sold,
impressions = ads_campaign_hours.impressions + excluded.impressions,
unbilled = ads_campaign_hours.unbilled + excluded.unbilled,
clicks = ads_campaign_hours.clicks + excluded.clicks,
conversions = ads_campaign_hours.conversions + excluded.conversions,
spent_nanos = ads_campaign_hours.spent_nanos + excluded.spent_nanos
"""
_ADD_CREATIVES: Final = """
INSERT INTO ads_creatives VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (ad_id) DO UPDATE SET
sold = ads_creatives.sold + excluded.sold,
impressions = ads_creatives.impressions + excluded.impressions,
clicks = ads_creatives.clicks + excluded.clicks,
conversions = ads_creatives.conversions + excluded.conversions,
spent_nanos = ads_creatives.spent_nanos + excluded.spent_nanos
"""


class Counts(Struct):
    """What is counted; a table has the members it has columns for."""

    requests: int = 0
    slots: int = 0
    ranked: int = 0
    """Slots in whose auction a campaign was."""
    sold: int = 0
    impressions: int = 0
    """Those that count, whatever is paid for."""
    unbilled: int = 0
    """Impressions that came too late, or are invalid traffic."""
    clicks: int = 0
    """Without invalid ones, as conversions are: reports count those apart."""
    conversions: int = 0
    """After a click; those after a view alone are counted apart (``view_through``)."""
    spent_nanos: int = 0
    """Charged for any outcome."""
    answers: int = 0
    """Sold answers whose wait for the disk was noted."""
    disk_ns: int = 0
    """The sum of those waits."""


class _Sums:
    """The counts of one batch of events."""

    def __init__(self) -> None:
        self.minutes: dict[tuple[int], Counts] = {}
        self.hours: dict[tuple[str, int], Counts] = {}
        self.creatives: dict[tuple[str, str], Counts] = {}

    def add(self, recorded: Recorded) -> None:
        event = recorded.payload
        minute = self.minutes.setdefault((recorded.ts_us // MINUTE_US,), Counts())
        hour = recorded.ts_us // HOUR_US
        if isinstance(event, AuctionCleared):
            self._add_auction(event, minute, hour)
        elif isinstance(event, _Outcome):
            self._add_outcome(event, minute, hour)
        elif isinstance(event, ImpressionUnbilled):
            minute.unbilled += 1
            self._of_campaign(event.campaign_id, hour).unbilled += 1
        elif isinstance(event, AnswerTimed):
            minute.answers += 1
            minute.disk_ns += event.disk_ns

    def _add_outcome(self, event: _Outcome, minute: Counts, hour: int) -> None:
        nanos = event.price_nanos if isinstance(event, ImpressionBilled) else event.charged_nanos
        is_shown = isinstance(event, ImpressionBilled)
        is_click = isinstance(event, ClickRecorded) and not is_invalid(event.unbilled_reason)
        is_conversion = (
            isinstance(event, ConversionRecorded)
            and not event.view_through
            and not is_invalid(event.unbilled_reason)
        )
        for counts in (minute, *self._of(event.campaign_id, event.ad_id, hour)):
            counts.impressions += is_shown
            counts.clicks += is_click
            counts.conversions += is_conversion
            counts.spent_nanos += nanos

    def _add_auction(self, event: AuctionCleared, minute: Counts, hour: int) -> None:
        minute.requests += 1
        minute.slots += len(event.slots)
        for slot in event.slots:
            for campaign_id in {one.campaign_id for one in slot.considered}:
                self._of_campaign(campaign_id, hour).ranked += 1
            if slot.impression_id is not None:
                for counts in (minute, *self._of(slot.campaign_id, slot.ad_id, hour)):
                    counts.sold += 1

    def _of(self, campaign_id: str, ad_id: str, hour: int) -> tuple[Counts, ...]:
        """The rows of a campaign and its ad; an outside bidder's ad is one bid, and has none."""
        of_campaign = self._of_campaign(campaign_id, hour)
        if is_external(ad_id):
            return (of_campaign,)
        return of_campaign, self.creatives.setdefault((ad_id, campaign_id), Counts())

    def _of_campaign(self, campaign_id: str, hour: int) -> Counts:
        return self.hours.setdefault((campaign_id, hour), Counts())


class AdCounts:
    """Counts per minute, per campaign and hour, and per ad."""

    name: ClassVar[str] = "ads_counts"
    version: ClassVar[int] = 2
    hears: ClassVar[tuple[type[Event], ...]] = (
        AuctionCleared,
        AnswerTimed,
        ImpressionBilled,
        ImpressionUnbilled,
        ImpressionMeasured,
        ClickRecorded,
        ConversionRecorded,
    )

    def apply(self, connection: sa.Connection, events: Sequence[Recorded]) -> None:
        """Add a batch's counts to its rows."""
        sums = _Sums()
        for recorded in events:
            sums.add(recorded)
        execute_many(connection, _ADD_MINUTES, _rows(ads_minutes, sums.minutes))
        execute_many(connection, _ADD_HOURS, _rows(ads_campaign_hours, sums.hours))
        execute_many(connection, _ADD_CREATIVES, _rows(ads_creatives, sums.creatives))

    def clear(self, connection: sa.Connection) -> None:
        """Empty the tables."""
        for table in (ads_minutes, ads_campaign_hours, ads_creatives):
            connection.execute(table.delete())


def _rows(table: sa.Table, counted: Mapping[_Key, Counts]) -> list[tuple[object, ...]]:
    """Key columns, then the counts that the table has."""
    names = [column.name for column in table.columns if hasattr(Counts, column.name)]
    return [(*key, *(getattr(counts, name) for name in names)) for key, counts in counted.items()]
