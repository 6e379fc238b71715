"""The child process that exports the log: it writes what this process would, and ends with it."""

import subprocess
from pathlib import Path
from threading import Thread

import pytest

from ringwork.app import exporter
from ringwork.app.exporter import ExportedBeside
from ringwork.app.memory import EVENTS
from ringwork.kernel.errors import RingworkError, Unavailable
from ringwork.kernel.events import EventTypes
from ringwork.storage.warehouse import ParquetWarehouse

TYPES = EventTypes(EVENTS)
ALL = "SELECT * FROM events ORDER BY seq"


def test_a_child_exports_what_this_process_would(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    beside, here = (
        ExportedBeside(data),
        ParquetWarehouse(data / "log", tmp_path / "x", TYPES),
    )
    assert beside.refresh() == here.refresh() > 20
    assert beside.rows(ALL) == here.rows(ALL)
    with monkeypatch.context() as patch:
        patch.setattr(exporter, "_COMMAND", ("/bin/false",))
        assert beside.refresh() == here.refresh(), "nothing is new, which needs no child"
    assert len(beside.rows(ALL)) == here.refresh()


def test_a_child_s_trouble_is_told(data: Path):
    (data / "warehouse").write_bytes(b"in the way")
    with pytest.raises(RingworkError, match=r"cannot be exported: .*warehouse.* cannot be written"):
        ExportedBeside(data).refresh()


def test_a_child_that_dies_is_told(data: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exporter, "_COMMAND", ("/bin/sh", "-c", "kill -9 $$"))
    with pytest.raises(RingworkError, match="the child process ended with -9"):
        ExportedBeside(data).refresh()


def test_nothing_is_exported_after_the_end(data: Path):
    warehouse = ExportedBeside(data)
    warehouse.stop()
    for work in (warehouse.refresh, lambda: warehouse.rows(ALL)):
        with pytest.raises(Unavailable, match="shutting-down"):
            work()


def test_a_query_s_trouble_is_told_as_it_would_be_here(data: Path):
    beside, here = ExportedBeside(data), ParquetWarehouse(data / "log", data / "warehouse", TYPES)
    beside.refresh()
    for wrong in ("SELECT nothing", "SELECT 'x"):
        with pytest.raises(RingworkError) as told:
            here.rows(wrong)
        with pytest.raises(RingworkError) as beside_told:
            beside.rows(wrong)
        assert str(beside_told.value) == str(told.value)


def test_values_of_every_kind_come_through(data: Path):
    beside = ExportedBeside(data)
    beside.refresh()
    given = [2**62, "é\n", None, 1.5]
    [row] = beside.rows("SELECT ?, ?, ?, ?, 'ab'::BLOB, (100::HUGEINT)", given)
    assert row == (*given, b"ab", 100)


def test_a_query_that_runs_ends_with_the_server(data: Path):
    """A cross join of millions of rows would take hours; stop does not wait for it."""
    beside = ExportedBeside(data)
    beside.refresh()
    ended: list[Exception] = []

    def ask() -> None:
        try:
            beside.rows(
                "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range < b.range"
            )
        except Unavailable as stopped:
            ended.append(stopped)

    asking = Thread(target=ask)
    asking.start()
    while beside._child is None or beside._child.poll() is not None:
        pass
    beside.stop()
    asking.join(timeout=30)
    assert [error.slug for error in ended] == ["shutting-down"]


def test_a_child_ends_when_its_server_is_gone(data: Path):
    """As it is after kill -9 of the server: nothing holds the other end of its input."""
    child = subprocess.run(
        [*exporter._COMMAND, str(data)], stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert child.returncode == 1
    assert not (data / "warehouse").exists()
