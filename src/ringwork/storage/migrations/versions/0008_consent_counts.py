"""Decisions by day, what people chose when asked, reads of history that were denied."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "consent_days",
        sa.Column("day", Int64, primary_key=True, autoincrement=False),
        sa.Column("action", sa.Text, primary_key=True),
        sa.Column("count", Int64, nullable=False),
        sa.Column("steps", Int64, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "consent_asked",
        sa.Column("subject", sa.LargeBinary, primary_key=True),
        sa.Column("shown_us", Int64, nullable=False),
        sa.Column("choice", sa.Text, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("consent_asked_shown", "consent_asked", ["shown_us", "choice"])
    op.create_table(
        "ads_denied",
        sa.Column("day", Int64, primary_key=True, autoincrement=False),
        sa.Column("purpose", sa.Text, primary_key=True),
        sa.Column("service", sa.Text, primary_key=True),
        sa.Column("reason", sa.Text, primary_key=True),
        sa.Column("count", Int64, nullable=False),
        sqlite_strict=True,
    )
