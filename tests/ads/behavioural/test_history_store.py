"""``history.db``: what is kept, for how long, what is gone, and who cannot read it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringwork.app.erasure import SubjectErased
from ringwork.app.history import HistoryProjection
from ringwork.kernel.history import may_read_history, working_for
from ringwork.storage.sqlite import history
from ringwork.storage.sqlite.projections import ProjectionRunner
from tests.ads import house as houses
from tests.ads.behavioural.authority import DAY_S, Town
from tests.ads.house import pseudonym

houses.TYPES.add(SubjectErased)
ANA, BEN = pseudonym("person/ana"), pseudonym("person/ben")


@pytest.fixture
def town(tmp_path) -> Iterator[Town]:
    with Town(tmp_path, rows_max=10) as town:
        town.clock.advance_us(365 * DAY_S * 1_000_000)
        yield town


def read(town: Town, person: str = "ana", **members: object) -> list[str]:
    request_id = town.ids.new()
    grant = town.authority.grant_to(person, request_id, **members)
    with working_for("consented"):
        found = town.history.read(grant, purpose="advertise", request_id=request_id)
    return [one.topic for one in found.events]


def erase(town: Town, subject: bytes) -> None:
    """As ``app.erasure`` does it."""

    def decide(command) -> None:
        deleted = town.keys.erase(subject)
        town.history.erase(subject)
        command.record(SubjectErased(deleted), subject=subject, purpose="erasure")

    town.do(decide)


# ---- the wall -----------------------------------------------------------------------------------


def test_the_connection_denies_whoever_is_not_consented(town):
    """Also a statement that ran a moment before: it is compiled, and asked about, every time."""
    town.did("ana", "shoes")
    town.follow()
    connection = town.history._connection
    query = "SELECT topic FROM history_events"
    for _ in range(2):
        with working_for("consented"):
            assert connection.execute(query).fetchall() == [("shoes",)]
        for tier in ("less-personalised", "general", "subscriber"):
            with working_for(tier), pytest.raises(sqlite3.DatabaseError, match="authorized"):
                connection.execute(query)
        with pytest.raises(sqlite3.DatabaseError, match="authorized"):
            connection.execute(query)


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM history_events", "ATTACH 'x.db' AS x", "PRAGMA user_version", "BEGIN"],
)
def test_the_connection_of_requests_only_reads(town, statement):
    with working_for("consented"), pytest.raises(sqlite3.DatabaseError, match="authorized"):
        town.history._connection.execute(statement)


def test_a_tier_ends_with_its_request_whatever_happens_in_it():
    def fail() -> None:
        with working_for("consented"):
            assert may_read_history()
            with working_for("general"):
                assert not may_read_history()
            assert may_read_history()
            raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        fail()
    assert not may_read_history()


def test_the_file_is_its_owners_alone(town, tmp_path):
    assert (tmp_path / "history.db").stat().st_mode & 0o077 == 0


# ---- bounds -------------------------------------------------------------------------------------


def test_the_newest_rows_of_a_person_are_kept(town):
    for number in range(14):
        town.did("ana", f"t{number}", ago_s=100 - number)
    town.did("ben", "only")
    town.follow()
    assert read(town) == [f"t{number}" for number in range(13, 3, -1)]
    assert read(town, "ben") == ["only"]
    town.did("ana", "older than all that are kept", ago_s=5_000)
    town.follow()
    assert read(town) == [f"t{number}" for number in range(13, 3, -1)]


def test_what_is_too_old_is_not_read_and_then_gone(town):
    town.did("ana", "old", ago_s=DAY_S)
    town.did("ana", "new")
    town.follow()
    assert read(town) == ["new", "old"]
    town.clock.advance_us((89 * DAY_S) * 1_000_000)
    assert read(town) == ["new", "old"]
    town.clock.advance_us(1_000_000)
    assert read(town) == ["new"], "a second past its time"
    assert len(town.rows("history_events")) == 2
    assert town.history.purge() == 1
    assert len(town.rows("history_events")) == 1


# ---- erasure ------------------------------------------------------------------------------------


def test_an_erasure_takes_the_rows_and_their_bytes(town, tmp_path):
    town.did("ana", "a-very-own-topic")
    town.did("ben", "bens-topic")
    town.follow()
    assert town.history.find(ANA, before_seq=10**9) == (1, 1)
    erase(town, ANA)
    assert town.history.find(ANA, before_seq=10**9) == (0, 0)
    assert read(town) == []
    assert read(town, "ben") == ["bens-topic"]
    for path in tmp_path.iterdir():
        content = path.read_bytes()
        assert b"a-very-own-topic" not in content, path.name
        assert ANA not in content, path.name


def test_a_projection_that_is_behind_brings_nothing_back(town):
    town.did("ana", "before")
    erase(town, ANA)
    town.did("ana", "after")  # who comes back has a new key
    town.follow()
    assert read(town) == ["after"]
    (_, older) = town.history.find(ANA, before_seq=2)
    assert older == 0


def test_a_history_that_is_built_anew_holds_nobody_who_was_erased(town, tmp_path):
    town.did("ana", "a")
    town.did("ben", "b")
    erase(town, ANA)
    town.follow()
    with town.state.writer.begin() as connection:
        town.projection.clear(connection)
    town._applied_seq = 0
    town.follow()
    assert [row[0] for row in town.rows("history_events")] == [BEN]


def test_rows_that_a_backup_brought_back_are_found(town):
    town.did("ana", "a")
    town.follow()
    rows = town.rows("history_events")
    erase(town, ANA)
    with town.state.writer.begin() as connection:
        history.add_events(connection, rows)
    assert town.history.find(ANA, before_seq=2) == (1, 1)


# ---- exactly once -------------------------------------------------------------------------------


class Torn(HistoryProjection):
    """Ends like a process that is killed between its rows and its checkpoint."""

    def apply(self, connection, events) -> None:
        super().apply(connection, events)
        raise sa.exc.OperationalError("killed", None, Exception("killed"))


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["ana", "ben", "erase", "crash", "apply"]), max_size=12))
def test_crashes_and_replays_leave_what_a_single_pass_makes(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("history")
    with Town(folder, rows_max=10) as town:
        town.did("cid", "first")
        for number, step in enumerate(steps):
            if step == "erase":
                erase(town, ANA)
            elif step == "crash":
                torn = Torn(town.keys, rows_max=10)
                runner = ProjectionRunner(town.log, town.state, houses.TYPES, [torn])
                assert not runner.advance()
            elif step == "apply":
                runner = ProjectionRunner(town.log, town.state, houses.TYPES, [town.projection])
                runner.catch_up()
            else:
                town.did(step, f"t{number}")
        runner = ProjectionRunner(town.log, town.state, houses.TYPES, [town.projection])
        assert runner.catch_up() == town.log.head.seq
        assert anew(town, folder) == town.rows("history_events")


def anew(town: Town, folder: Path) -> list[tuple[object, ...]]:
    """The rows that one pass over the whole log makes."""
    with closing(history.open_history(folder / "again.db")) as state:
        ProjectionRunner(town.log, state, houses.TYPES, [town.projection]).catch_up()
        with state.reader.begin() as connection:
            query = sa.text("SELECT * FROM history_events ORDER BY at_s, seq")
            return [tuple(row) for row in connection.execute(query)]
