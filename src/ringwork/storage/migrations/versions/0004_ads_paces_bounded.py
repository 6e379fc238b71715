"""Notes of pacing are bounded: what is needed to thin them out and to forget them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.drop_table("ads_paced")  # another version of its projection fills it again from the log
    op.create_table(
        "ads_paced",
        sa.Column("campaign_id", sa.Text, primary_key=True),
        sa.Column("seq", Int64, nullable=False),
        sa.Column("kept_seq", Int64, nullable=False),
        sa.Column("kept_us", Int64, nullable=False),
        sa.Column("ends_s", Int64, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("ads_paces_ends", "ads_paces", ["ends_s"])
