"""A warehouse that goes on with the log holds exactly what the log holds."""

import asyncio

import pytest

from ringwork.kernel.clock import ManualClock
from ringwork.kernel.events import Event, EventTypes, encode_event, encode_frame
from ringwork.storage import parquet
from ringwork.storage.warehouse import ParquetWarehouse
from tests.storage.disks import open_log

DAY_US = 86_400_000_000
ID = bytes(range(16))


class Counted(Event, frozen=True, array_like=True):
    TYPE = "counted"
    number: int


TYPES = EventTypes([Counted])


@pytest.fixture
def town(tmp_path, monkeypatch):
    """A log that grows by frames of several events, and files of sixty-four."""
    monkeypatch.setattr(parquet, "FILE_EVENTS", 64)
    clock = ManualClock()
    written = []

    async def grow(frames, events):
        log = open_log(tmp_path / "log", clock=clock)
        for _ in range(frames):
            clock.advance_us(DAY_US // 10)
            encoded = []
            for _ in range(events):
                written.append(len(written))
                encoded.append(
                    encode_event(
                        Counted(written[-1]), id=len(written).to_bytes(16, "big"),
                        ts_us=clock.wall_us(), request_id=ID, cause_id=None, tenant="main",
                    )
                )  # fmt: skip
            await log.append(encode_frame(encoded), events)
        log.close()

    def more(frames, events):
        asyncio.run(grow(frames, events))

    return more, written, tmp_path


def held(warehouse):
    sql = "SELECT CAST(payload->>'number' AS BIGINT) FROM events ORDER BY seq"
    return [number for (number,) in warehouse.rows(sql)]


def test_it_goes_on_and_doubles_nothing(town):
    more, written, folder = town
    warehouse = ParquetWarehouse(folder / "log", folder / "out", TYPES)
    for frames, events in ((5, 3), (1, 1), (40, 3), (7, 5), (1, 64)):
        more(frames, events)
        assert warehouse.refresh() == len(written)
        assert held(warehouse) == written
    again = ParquetWarehouse(folder / "log", folder / "out", TYPES)
    more(3, 3)
    assert again.refresh() == len(written), "a new process goes on with the files it finds"
    assert held(again) == written


def test_what_was_exported_before_is_not_written_again(town):
    more, _, folder = town
    more(50, 3)
    warehouse = ParquetWarehouse(folder / "log", folder / "out", TYPES)
    warehouse.refresh()
    old = {
        path: path.stat().st_mtime_ns
        for path in (folder / "out").rglob("*.parquet")
        if int(path.stem[3:]) < 129
    }
    seen = []
    more(2, 3)
    warehouse.refresh(lambda done, total: seen.append((done, total)))
    assert seen == [(156, 156)]
    assert len(old) > 2
    assert {path: path.stat().st_mtime_ns for path in old} == old


def test_nothing_new_writes_nothing(town):
    more, written, folder = town
    more(2, 3)
    warehouse = ParquetWarehouse(folder / "log", folder / "out", TYPES)
    warehouse.refresh()
    for path in (folder / "out").rglob("*.parquet"):
        path.unlink()
    assert warehouse.refresh() == len(written)
    assert not list((folder / "out").rglob("*.parquet"))
