"""Requests per hour and tier, and those of subscribers, of which nothing else is kept."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    counts = ("requests", "slots", "sold", "eligible", "decided_ns")
    op.create_table(
        "ads_tiers",
        sa.Column("hour", Int64, primary_key=True, autoincrement=False),
        sa.Column("tier", sa.Text, primary_key=True),
        *(sa.Column(name, Int64, nullable=False) for name in counts),
        sqlite_strict=True,
    )
    op.create_table(
        "consent_ads_free",
        sa.Column("hour", Int64, primary_key=True, autoincrement=False),
        sa.Column("requests", Int64, nullable=False),
        sqlite_strict=True,
    )
