"""Where paced campaigns were in their plans; conversions one by one."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "ads_paces",
        sa.Column("campaign_id", sa.Text, primary_key=True),
        sa.Column("seq", Int64, primary_key=True, autoincrement=False),
        sa.Column("ts_us", Int64, nullable=False),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("begins_s", Int64, nullable=False),
        sa.Column("ends_s", Int64, nullable=False),
        sa.Column("budget", Int64, nullable=False),
        sa.Column("spent", Int64, nullable=False),
        sa.Column("due", Int64, nullable=False),
        sa.Column("reach", Int64),
        sa.Column("pace_ppm", Int64, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ads_paced",
        sa.Column("campaign_id", sa.Text, primary_key=True),
        sa.Column("seq", Int64, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "ads_conversions",
        sa.Column("seq", Int64, primary_key=True, autoincrement=False),
        sa.Column("campaign_id", sa.Text, nullable=False),
        sa.Column("ts_us", Int64, nullable=False),
        sa.Column("request_id", sa.LargeBinary, nullable=False),
        sa.Column("conversion_id", sa.Text, nullable=False),
        sa.Column("ad_id", sa.Text, nullable=False),
        sa.Column("value_nanos", Int64, nullable=False),
        sa.Column("charged_nanos", Int64, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("unbilled_reason", sa.Text, nullable=False),
        sa.Column("view_through", Int64, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("ads_conversions_campaign", "ads_conversions", ["campaign_id", "seq"])
