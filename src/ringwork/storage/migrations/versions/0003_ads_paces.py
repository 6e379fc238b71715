"""Where paced campaigns were in their plans."""

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
