"""The schema of ``state.db``, step by step (Alembic). Steps add, widen, or drop what no code reads.

Alembic itself is imported by ``ringwork.storage.sqlite.state`` only when there is a step to take.
"""

from typing import Final

HEAD: Final = "0008"
"""The newest step; a store that is at it is opened without Alembic."""
