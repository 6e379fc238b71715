"""The first tables: how far each projection has come, and the last snapshot of the folds."""

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
