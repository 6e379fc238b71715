"""Where the records of the consent ledger stand in the log."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

Int64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "consent_records",
        sa.Column("seq", Int64, primary_key=True, autoincrement=False),
        sa.Column("subject", sa.LargeBinary, nullable=False),
        sa.Column("number", Int64, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("consent_records_subject", "consent_records", ["subject", "number"])
