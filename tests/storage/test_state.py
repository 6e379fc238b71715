"""state.db: how it is driven, migrated, and what it refuses."""

import sqlite3
import subprocess
import sys

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

from ringwork.kernel.errors import RingworkError
from ringwork.storage import migrations
from ringwork.storage.sqlite.state import metadata, open_state, read_state


@pytest.fixture
def state(tmp_path):
    state = open_state(tmp_path / "state.db")
    yield state
    state.close()


def test_the_head_in_code_is_the_newest_migration():
    config = Config()
    config.set_main_option("script_location", migrations.__path__[0])
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [migrations.HEAD]


def test_the_migrated_schema_is_the_one_that_the_queries_are_written_for(state):
    inspector = sa.inspect(state.reader)
    for table in metadata.sorted_tables:
        columns = {column["name"]: column for column in inspector.get_columns(table.name)}
        assert set(columns) == set(table.columns.keys()), table.name
        for column in table.columns:
            stored = columns[column.name]
            expected = column.type.compile(state.reader.dialect)
            assert stored["type"].compile(state.reader.dialect) == expected, column
            assert stored["nullable"] == column.nullable, column
        key = inspector.get_pk_constraint(table.name)["constrained_columns"]
        assert key == [column.name for column in table.primary_key.columns]


def test_every_table_is_strict(state):
    query = "SELECT name, strict FROM pragma_table_list WHERE type = 'table' AND schema = 'main'"
    with state.reader.begin() as connection:
        tables = dict(tuple(row) for row in connection.exec_driver_sql(query))
    ours = {name: strict for name, strict in tables.items() if not name.startswith("sqlite_")}
    assert ours.pop("alembic_version") == 0
    assert {"checkpoints", "request_events"} <= ours.keys()
    assert set(ours.values()) == {1}


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 1), ("foreign_keys", 1), ("busy_timeout", 5000)],
)
def test_the_writer_is_set_up(state, pragma, value):
    with state.writer.begin() as connection:
        assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value


def test_a_writer_holds_the_lock_from_its_first_moment(state, tmp_path):
    other = sqlite3.connect(tmp_path / "state.db", timeout=0, isolation_level=None)
    with state.writer.begin():
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        with state.reader.begin() as reader:
            assert reader.exec_driver_sql("SELECT count(*) FROM checkpoints").scalar() == 0
    other.close()


def test_readers_cannot_write(state):
    with (
        pytest.raises(sa.exc.OperationalError, match="readonly"),
        state.reader.begin() as connection,
    ):
        connection.exec_driver_sql("DELETE FROM checkpoints")


def test_a_failed_transaction_leaves_nothing(state):
    insert = "INSERT INTO checkpoints VALUES ('p', 0, 1, 5)"

    def insert_and_fail():
        with state.writer.begin() as connection:
            connection.exec_driver_sql(insert)
            raise KeyError

    with pytest.raises(KeyError):
        insert_and_fail()
    with state.reader.begin() as connection:
        assert connection.exec_driver_sql("SELECT * FROM checkpoints").all() == []


def test_a_current_store_is_opened_without_alembic(tmp_path):
    open_state(tmp_path / "state.db").close()
    program = (
        "import sys; from pathlib import Path;"
        "from ringwork.storage.sqlite.state import open_state;"
        "open_state(Path(sys.argv[1])).close(); sys.exit('alembic' in sys.modules)"
    )
    path = str(tmp_path / "state.db")
    subprocess.run([sys.executable, "-c", program, path], check=True, timeout=60)


def test_a_store_of_a_newer_version_is_left_alone(tmp_path):
    path = tmp_path / "state.db"
    open_state(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(RingworkError, match="schema is at 9999, which this version does not know"):
        open_state(path)
    with pytest.raises(RingworkError, match="schema is at 9999, this version reads"):
        read_state(path)


def test_a_store_is_read_only_where_there_is_one(tmp_path):
    with pytest.raises(RingworkError, match="no store here"):
        read_state(tmp_path / "state.db")
    assert list(tmp_path.iterdir()) == []
    open_state(tmp_path / "state.db").close()
    engine = read_state(tmp_path / "state.db")
    with engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM checkpoints").scalar() == 0
    engine.dispose()


def test_the_snapshots_of_before_are_dropped_and_all_else_stays(tmp_path):
    """A store of version 0004, as it was left by a server with 3 MB of snapshots."""
    path = tmp_path / "state.db"
    open_state(path).close()
    with sqlite3.connect(path) as store:
        store.execute("CREATE TABLE snapshots(name TEXT PRIMARY KEY, seq INT, state BLOB) STRICT")
        store.execute("INSERT INTO snapshots VALUES ('ledger/1', 5, zeroblob(3000000))")
        store.execute("INSERT INTO checkpoints VALUES ('p', 0, 1, 5)")
        for later in (
            "consent_records", "ads_tiers", "consent_ads_free", "consent_days", "consent_asked",
            "ads_denied",
        ):  # fmt: skip
            store.execute(f"DROP TABLE {later}")
        store.execute("UPDATE alembic_version SET version_num = '0004'")
    store.close()
    state = open_state(path)
    with state.reader.begin() as connection:
        assert connection.exec_driver_sql("SELECT seq FROM checkpoints").scalar() == 5
    assert "snapshots" not in sa.inspect(state.reader).get_table_names()
    state.close()
