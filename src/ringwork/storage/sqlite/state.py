"""``state.db``, which can be rebuilt from the log: projections and their checkpoints.

SQLAlchemy Core on SQLite as it has to be driven: the driver starts no transactions of its own, a
writer begins with ``BEGIN IMMEDIATE`` (a deferred transaction that turns into a writing one fails
at once where another has written meanwhile, whatever its busy timeout), readers begin deferred and
cannot write. ``synchronous=NORMAL``: a power cut may take the last transactions, each with its
checkpoint, and the log gives them again.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import event

from ringwork.kernel.errors import RingworkError
from ringwork.storage import migrations

Int64: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""64-bit integers: STRICT tables of SQLite refuse the type name BIGINT."""

metadata: Final = sa.MetaData()

checkpoints: Final = sa.Table(
    "checkpoints",
    metadata,
    sa.Column("projection", sa.Text, primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("seq", Int64, nullable=False),
    sqlite_strict=True,
)

PRAGMAS: Final = (
    "busy_timeout=5000",
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "foreign_keys=ON",
)


class State(Struct, frozen=True):
    """The two ways into ``state.db``. ``writer`` takes the write lock when it begins."""

    writer: sa.Engine
    reader: sa.Engine

    def close(self) -> None:
        """Give back every connection."""
        self.reader.dispose()
        self.writer.dispose()


def open_state(path: Path) -> State:
    """Open or create the store and bring its schema to this version's.

    Raises RingworkError where the store was written by a newer version.
    """
    state = State(
        engine_of(path, begin="BEGIN IMMEDIATE", pragmas=PRAGMAS),
        engine_of(path, begin="BEGIN", pragmas=("busy_timeout=5000", "query_only=ON")),
    )
    try:
        revision = _revision(state.writer)
        if revision != migrations.HEAD:
            _migrate(state.writer, path, revision)
    except BaseException:
        state.close()
        raise
    return state


def read_state(path: Path) -> sa.Engine:
    """Read the store beside its server or alone; nothing is created or migrated.

    Raises RingworkError where there is none, or where its schema is not this version's.
    """
    if not path.exists():
        raise RingworkError(f"{path}: no store here")
    engine = engine_of(path, begin="BEGIN", pragmas=("busy_timeout=5000", "query_only=ON"))
    revision = _revision(engine)
    if revision != migrations.HEAD:
        engine.dispose()
        raise RingworkError(
            f"{path}: the schema is at {revision}, this version reads {migrations.HEAD}; "
            "start the server once to migrate it"
        )
    return engine


def engine_of(path: Path, *, begin: str, pragmas: tuple[str, ...]) -> sa.Engine:
    """An engine whose transactions begin with ``begin`` and whose connections are set so."""
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)))

    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, record: object) -> None:
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begun(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _revision(engine: sa.Engine) -> str | None:
    """The migration step that the store is at, None for an empty one: one SELECT."""
    with engine.connect() as connection:
        try:
            return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
        except sa.exc.OperationalError:  # no such table: nothing was migrated yet
            return None


def _migrate(engine: sa.Engine, path: Path, revision: str | None) -> None:
    from alembic import command  # noqa: PLC0415  # a second of CPU time that most starts save
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        raise RingworkError(
            f"{path}: the schema is at {revision}, which this version does not know "
            f"(its newest is {migrations.HEAD}): {error}"
        ) from error
