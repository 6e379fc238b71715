"""The tables of the ad part; the migrations create the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

_Int64: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
metadata: Final = sa.MetaData()


def _counts(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, _Int64, nullable=False) for name in names]


ads_minutes: Final = sa.Table(
    "ads_minutes",
    metadata,
    sa.Column("minute", _Int64, primary_key=True, autoincrement=False),
    *_counts(
        "requests", "slots", "sold", "impressions", "unbilled", "clicks", "conversions",
        "spent_nanos", "answers", "disk_ns",
    ),
    sqlite_strict=True,
)  # fmt: skip
ads_tiers: Final = sa.Table(
    "ads_tiers",
    metadata,
    sa.Column("hour", _Int64, primary_key=True, autoincrement=False),
    sa.Column("tier", sa.Text, primary_key=True),
    *_counts("requests", "slots", "sold", "eligible", "decided_ns"),
    sqlite_strict=True,
)
ads_campaign_hours: Final = sa.Table(
    "ads_campaign_hours",
    metadata,
    sa.Column("campaign_id", sa.Text, primary_key=True),
    sa.Column("hour", _Int64, primary_key=True, autoincrement=False),
    *_counts("ranked", "sold", "impressions", "unbilled", "clicks", "conversions", "spent_nanos"),
    sqlite_strict=True,
)
ads_creatives: Final = sa.Table(
    "ads_creatives",
    metadata,
    sa.Column("ad_id", sa.Text, primary_key=True),
    sa.Column("campaign_id", sa.Text, nullable=False, index=True),
    *_counts("sold", "impressions", "clicks", "conversions", "spent_nanos"),
    sqlite_strict=True,
)
ads_requests: Final = sa.Table(
    "ads_requests",
    metadata,
    sa.Column("seq", _Int64, primary_key=True, autoincrement=False),
    sa.Column("request_id", sa.LargeBinary, nullable=False, index=True),
    sa.Column("ts_us", _Int64, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("place", sa.Text, nullable=False),
    sa.Column("placement", sa.Text, nullable=False),
    sa.Column("formats", sa.Text, nullable=False),
    *_counts("slots", "sold", "price_nanos"),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("outcome", sa.Integer, nullable=False),
    sa.Column("disk_ns", _Int64),
    sqlite_strict=True,
)
ads_sales: Final = sa.Table(
    "ads_sales",
    metadata,
    sa.Column("impression_id", sa.LargeBinary, primary_key=True),
    sa.Column("seq", _Int64, nullable=False, index=True),
    sa.Column("request_id", sa.LargeBinary, nullable=False),
    sa.Column("campaign_id", sa.Text, nullable=False),
    sa.Column("ad_id", sa.Text, nullable=False),
    sa.Column("pricing", sa.Text, nullable=False),
    sa.Column("price_nanos", _Int64, nullable=False),
    sa.Index("ads_sales_campaign", "campaign_id", "seq"),
    sqlite_strict=True,
)
ads_view_conversions: Final = sa.Table(
    "ads_view_conversions",
    metadata,
    sa.Column("campaign_id", sa.Text, primary_key=True),
    sa.Column("ad_id", sa.Text, primary_key=True),
    sa.Column("hour", _Int64, primary_key=True, autoincrement=False),
    *_counts("conversions", "spent_nanos"),
    sqlite_strict=True,
)
ads_changes: Final = sa.Table(
    "ads_changes",
    metadata,
    sa.Column("seq", _Int64, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("ts_us", _Int64, nullable=False),
    sa.Column("request_id", sa.LargeBinary, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("changes", sa.Text, nullable=False),
    sa.Index("ads_changes_item", "kind", "id", "seq"),
    sqlite_strict=True,
)
ads_items: Final = sa.Table(
    "ads_items",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
ads_actors: Final = sa.Table(
    "ads_actors",
    metadata,
    sa.Column("key_id", sa.Text, primary_key=True),
    sa.Column("label", sa.Text, nullable=False),
    sqlite_strict=True,
)
ads_paces: Final = sa.Table(
    "ads_paces",
    metadata,
    sa.Column("campaign_id", sa.Text, primary_key=True),
    sa.Column("seq", _Int64, primary_key=True, autoincrement=False),
    sa.Column("ts_us", _Int64, nullable=False),
    sa.Column("unit", sa.Text, nullable=False),
    *_counts("begins_s", "ends_s", "budget", "spent", "due"),
    sa.Column("reach", _Int64),
    *_counts("pace_ppm"),
    sa.Index("ads_paces_ends", "ends_s"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
ads_conversions: Final = sa.Table(
    "ads_conversions",
    metadata,
    sa.Column("seq", _Int64, primary_key=True, autoincrement=False),
    sa.Column("campaign_id", sa.Text, nullable=False),
    sa.Column("ts_us", _Int64, nullable=False),
    sa.Column("request_id", sa.LargeBinary, nullable=False),
    sa.Column("conversion_id", sa.Text, nullable=False),
    sa.Column("ad_id", sa.Text, nullable=False),
    *_counts("value_nanos", "charged_nanos"),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("unbilled_reason", sa.Text, nullable=False),
    *_counts("view_through"),
    sa.Index("ads_conversions_campaign", "campaign_id", "seq"),
    sqlite_strict=True,
)
ads_paced: Final = sa.Table(
    "ads_paced",
    metadata,
    sa.Column("campaign_id", sa.Text, primary_key=True),
    *_counts("seq", "kept_seq", "kept_us", "ends_s"),
    sqlite_strict=True,
)


def execute_many(
    connection: sa.Connection, statement: str, rows: Sequence[tuple[object, ...]]
) -> None:
    """Straight to the driver: Core would build a dictionary per row, at three times the cost."""
    if rows:
        connection.exec_driver_sql(statement, list(rows))
