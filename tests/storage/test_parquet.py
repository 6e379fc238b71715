"""What is exported is what the log holds, and queries over it give the same sums."""

import asyncio
import json
import sys
from datetime import date

import pytest

from ringwork.kernel.clock import ManualClock
from ringwork.kernel.errors import RingworkError
from ringwork.kernel.events import Event, EventTypes, decode_frames, encode_event, encode_frame
from ringwork.kernel.ledger import TransferCreated
from ringwork.storage import parquet
from ringwork.storage.parquet import Exported, export, query
from tests.storage.disks import open_log

DAY_US = 86_400_000_000
START_US = ManualClock().wall_us()
ID = bytes(range(16))
TEXT_ID = "00010203-0405-0607-0809-0a0b0c0d0e0f"


class Sold(Event, frozen=True, array_like=True):
    TYPE = "sold"
    impression_id: bytes
    price_nanos: int
    sealed: bytes = b""


TYPES = EventTypes([Sold, TransferCreated])


@pytest.fixture
def directory(tmp_path):
    """Three days, 300 events; the clock goes back once, so that a day comes twice."""

    async def write():
        clock = ManualClock()
        log = open_log(tmp_path / "log", clock=clock)
        for number in range(300):
            if number in (100, 200, 250):
                clock.advance_us(DAY_US)
            if number == 150:
                clock.set_wall_us(START_US)
            if number == 160:
                clock.set_wall_us(START_US + DAY_US)
            event = Sold(ID, number)
            encoded = encode_event(
                event,
                id=number.to_bytes(16, "big"),
                ts_us=clock.wall_us(),
                request_id=ID,
                cause_id=ID if number % 2 else None,
                tenant="main",
                subject=ID if number % 3 else None,
            )
            await log.append(encode_frame([encoded]), 1)
        log.close()
        return log

    asyncio.run(write())
    return tmp_path / "log"


def envelopes(directory):
    log = open_log(directory)
    found = [e for row in log.rows() for f in decode_frames(row.payload) for e in f.events]
    log.close()
    return found


def test_sums_and_rows_equal_the_log(directory, tmp_path):
    assert export(directory, tmp_path / "out", TYPES) == Exported(files=4, events=300)
    stored = envelopes(directory)
    prices = [TYPES.decode(envelope).price_nanos for envelope in stored]
    sql = (
        "SELECT count(*), sum(CAST(payload ->> 'price_nanos' AS BIGINT)), sum(ts_us::HUGEINT), "
        "count(cause_id), count(subject), count(purpose), min(seq), max(seq) FROM events"
    )
    assert query(tmp_path / "out", sql).rows == [
        (300, sum(prices), sum(e.ts_us for e in stored), 150, 200, 0, 1, 300)
    ]
    by_day = query(tmp_path / "out", "SELECT day, count(*) FROM events GROUP BY day ORDER BY day")
    start = date(2025, 11, 26)
    assert by_day.rows[0] == (start, 110)
    assert [count for _, count in by_day.rows] == [110, 90, 50, 50]
    assert by_day.columns == ["day", "count_star()"]


def test_a_row_is_flat_and_readable(directory, tmp_path):
    export(directory, tmp_path / "out", TYPES)
    answer = query(tmp_path / "out", "SELECT * EXCLUDE day FROM events WHERE seq = ?", [2])
    row = dict(zip(answer.columns, answer.rows[0], strict=True))
    assert json.loads(row.pop("payload")) == {
        "impression_id": TEXT_ID,
        "price_nanos": 1,
        "sealed": "",
    }
    assert row == {
        "partition": 0,
        "seq": 2,
        "ts_us": START_US,
        "id": "00000000-0000-0000-0000-000000000001",
        "request_id": TEXT_ID,
        "cause_id": TEXT_ID,
        "tenant": "main",
        "subject": TEXT_ID,
        "purpose": None,
        "type": "sold",
        "version": 1,
    }


def test_members_are_named_at_any_depth():
    money = TransferCreated("t", "single", "a", "b", 1_500_000_000, "EUR").members()
    assert parquet._named({"ids": [ID], "sealed": b"xy", "m": money})["m"]["amount"] == {
        "currency": "EUR",
        "units": 1,
        "nanos": 500_000_000,
    }
    assert parquet._named({"ids": [ID], "sealed": b"xy"}) == {"ids": [TEXT_ID], "sealed": b"xy"}


def test_exporting_again_or_in_parts_doubles_nothing(directory, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "FILE_EVENTS", 64)
    seen = []
    first = export(directory, tmp_path / "out", TYPES, progress=lambda *done: seen.append(done))
    assert first.files == 1 + 2 + 2 + 3 + 1, "days per range of 64"
    assert seen == [(64, 300), (128, 300), (192, 300), (256, 300), (300, 300)]
    assert export(directory, tmp_path / "out", TYPES) == first
    later = date(2025, 11, 28)
    assert export(directory, tmp_path / "out", TYPES, first_day=later).events == 100
    assert export(directory, tmp_path / "out", TYPES, last_day=date(2025, 11, 26)).events == 110
    assert query(tmp_path / "out", "SELECT count(*) FROM events").rows == [(300,)]
    assert not list((tmp_path / "out").rglob("*.new"))


def test_unknown_events_keep_their_bytes(directory, tmp_path):
    export(directory, tmp_path / "out", EventTypes())
    sql = "SELECT DISTINCT json_keys(payload) FROM events"
    assert query(tmp_path / "out", sql).rows == [(["raw"],)]


def test_bad_sql_and_an_empty_folder_are_named(directory, tmp_path):
    with pytest.raises(RingworkError, match=r"the query failed: .*No files found"):
        query(tmp_path / "out", "SELECT 1")
    export(directory, tmp_path / "out", TYPES)
    with pytest.raises(RingworkError, match="the query failed: Parser Error"):
        query(tmp_path / "out", "SELEC 1")


def test_a_missing_extra_is_named_with_its_install_command(directory, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(RingworkError, match=r"pip install 'ringwork\[analytics\]'"):
        export(directory, tmp_path / "out", TYPES)
    with pytest.raises(RingworkError, match=r"pip install 'ringwork\[analytics\]'"):
        query(tmp_path / "out", "SELECT 1")
