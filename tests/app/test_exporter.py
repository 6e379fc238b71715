"""The child process that exports the log: it writes what this process would, and ends with it."""

import subprocess
from pathlib import Path

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
        ExportedBeside(data, TYPES),
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
        ExportedBeside(data, TYPES).refresh()


def test_a_child_that_dies_is_told(data: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exporter, "_COMMAND", ("/bin/sh", "-c", "kill -9 $$"))
    with pytest.raises(RingworkError, match="it ended with -9"):
        ExportedBeside(data, TYPES).refresh()


def test_nothing_is_exported_after_the_end(data: Path):
    warehouse = ExportedBeside(data, TYPES)
    warehouse.stop()
    with pytest.raises(Unavailable, match="shutting-down"):
        warehouse.refresh()


def test_a_child_ends_when_its_server_is_gone(data: Path):
    """As it is after kill -9 of the server: nothing holds the other end of its input."""
    child = subprocess.run(
        [*exporter._COMMAND, str(data)], stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert child.returncode == 1
    assert not (data / "warehouse").exists()
