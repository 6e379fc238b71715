"""Conversions after views, counted apart; who changed what of campaigns and creatives."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "ads_view_conversions",
        sa.Column("campaign_id", sa.Text, primary_key=True),
        sa.Column("ad_id", sa.Text, primary_key=True),
        sa.Column("hour", Int64, primary_key=True, autoincrement=False),
        sa.Column("conversions", Int64, nullable=False),
        sa.Column("spent_nanos", Int64, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "ads_changes",
        sa.Column("seq", Int64, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("ts_us", Int64, nullable=False),
        sa.Column("request_id", sa.LargeBinary, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("changes", sa.Text, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("ads_changes_item", "ads_changes", ["kind", "id", "seq"])
    op.create_table(
        "ads_items",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ads_actors",
        sa.Column("key_id", sa.Text, primary_key=True),
        sa.Column("label", sa.Text, nullable=False),
        sqlite_strict=True,
    )
