"""Look for a value in every table of ``state.db``: what an erasure's proof reads again."""

from __future__ import annotations

import sqlalchemy as sa


def rows_naming(engine: sa.Engine, value: bytes) -> int:
    """How many rows hold ``value`` in any binary column of any table."""
    found = 0
    tables = sa.MetaData()
    with engine.begin() as connection:
        tables.reflect(connection)
        for table in tables.sorted_tables:
            blobs = [
                sa.func.instr(column, value) > 0
                for column in table.columns
                if isinstance(column.type, sa.LargeBinary)
            ]
            if blobs:
                query = sa.select(sa.func.count()).select_from(table).where(sa.or_(*blobs))
                found += connection.execute(query).scalar_one()
    return found
