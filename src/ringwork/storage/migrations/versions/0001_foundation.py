"""The first tables: checkpoints, snapshot, the platform's indexes, and what the ad part counts."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# STRICT tables of SQLite know INTEGER (64 bits), not BIGINT; PostgreSQL needs BIGINT for the same.
Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "checkpoints",
        sa.Column("projection", sa.Text, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("seq", Int64, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "snapshots",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("seq", Int64, nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    _create_indexes()
    _create_ads()


def _create_indexes() -> None:
    op.create_table(
        "request_events",
        sa.Column("request_id", sa.LargeBinary, primary_key=True),
        sa.Column("seq", Int64, primary_key=True, autoincrement=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "transfers",
        sa.Column("seq", Int64, primary_key=True, autoincrement=False),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("ts_us", Int64, nullable=False),
        sa.Column("debit_account", sa.Text, nullable=False),
        sa.Column("credit_account", sa.Text, nullable=False),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("transfer", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "answers",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("ts_us", Int64, nullable=False),
        sa.Column("answer", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _counts(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, Int64, nullable=False) for name in names]


def _create_ads() -> None:
    op.create_table(
        "ads_minutes",
        sa.Column("minute", Int64, primary_key=True, autoincrement=False),
        *_counts("requests", "slots", "sold", "impressions", "unbilled", "clicks", "conversions"),
        *_counts("spent_nanos", "answers", "disk_ns"),
        sqlite_strict=True,
    )
    op.create_table(
        "ads_campaign_hours",
        sa.Column("campaign_id", sa.Text, primary_key=True),
        sa.Column("hour", Int64, primary_key=True, autoincrement=False),
        *_counts("ranked", "sold", "impressions", "unbilled", "clicks", "conversions"),
        *_counts("spent_nanos"),
        sqlite_strict=True,
    )
    op.create_table(
        "ads_creatives",
        sa.Column("ad_id", sa.Text, primary_key=True),
        sa.Column("campaign_id", sa.Text, nullable=False),
        *_counts("sold", "impressions", "clicks", "conversions", "spent_nanos"),
        sqlite_strict=True,
    )
    op.create_index("ix_ads_creatives_campaign_id", "ads_creatives", ["campaign_id"])
    op.create_table(
        "ads_requests",
        sa.Column("seq", Int64, primary_key=True, autoincrement=False),
        sa.Column("request_id", sa.LargeBinary, nullable=False),
        sa.Column("ts_us", Int64, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("placement", sa.Text, nullable=False),
        sa.Column("formats", sa.Text, nullable=False),
        *_counts("slots", "sold", "price_nanos"),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("outcome", sa.Integer, nullable=False),
        sa.Column("disk_ns", Int64),
        sqlite_strict=True,
    )
    op.create_index("ix_ads_requests_request_id", "ads_requests", ["request_id"])
    op.create_table(
        "ads_sales",
        sa.Column("impression_id", sa.LargeBinary, primary_key=True),
        sa.Column("seq", Int64, nullable=False),
        sa.Column("request_id", sa.LargeBinary, nullable=False),
        sa.Column("campaign_id", sa.Text, nullable=False),
        sa.Column("ad_id", sa.Text, nullable=False),
        sa.Column("pricing", sa.Text, nullable=False),
        sa.Column("price_nanos", Int64, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("ix_ads_sales_seq", "ads_sales", ["seq"])
    op.create_index("ads_sales_campaign", "ads_sales", ["campaign_id", "seq"])
