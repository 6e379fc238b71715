"""The snapshot of the folds is a file beside the log, no table any more.

Its pages stay in the file for the projections to use: a VACUUM would hold up the start.
"""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.drop_table("snapshots")
