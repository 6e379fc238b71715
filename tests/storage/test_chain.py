"""The chain against its vectors, and how a batch becomes rows."""

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.kernel.errors import LogCorrupt
from ringwork.kernel.events import array_header
from ringwork.kernel.ports import Head, Row
from ringwork.storage.batch import ROW_BYTES_MAX, ROW_EVENTS_MAX, Batch
from ringwork.storage.chain import check_row, genesis, link

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "log_chain.json").read_text())


def test_the_published_chain():
    chain = genesis(bytes.fromhex(VECTORS["log_id"]), VECTORS["partition"])
    assert chain.hex() == VECTORS["genesis"]
    for row in VECTORS["rows"]:
        payload = bytes.fromhex(row["payload"])
        chain = link(chain, row["first_seq"], row["n"], row["ts_us"], payload)
        assert chain.hex() == row["chain"]


GOOD = Row(5, 2, 77, link(b"p" * 32, 5, 2, 77, b"abc"), b"abc")


def test_a_row_that_continues_the_chain_passes():
    check_row(GOOD, previous=b"p" * 32, expected_seq=5, where="here")


@pytest.mark.parametrize(
    ("row", "previous", "expected_seq", "message"),
    [
        (GOOD, b"q" * 32, 5, "here: at sequence 5: the chain"),
        (GOOD, b"p" * 32, 4, "here: at sequence 4: a row that starts here was expected"),
        (Row(5, 3, 77, GOOD.chain, b"abc"), b"p" * 32, 5, "the chain"),
        (Row(5, 2, 78, GOOD.chain, b"abc"), b"p" * 32, 5, "the chain"),
        (Row(5, 2, 77, GOOD.chain, b"xyz"), b"p" * 32, 5, "the chain"),
        (Row(5, 2, 77, None, b"abc"), b"p" * 32, 5, "the chain .* was expected, None is stored"),
        (Row(5, 2, 77, GOOD.chain, "abc"), b"p" * 32, 5, "a readable row was expected"),
        (Row(5, 2, None, GOOD.chain, b"abc"), b"p" * 32, 5, "a readable row was expected"),
        (Row(5, 2**32, 77, GOOD.chain, b"abc"), b"p" * 32, 5, "a readable row was expected"),
        (Row(5, 0, 77, link(b"p" * 32, 5, 0, 77, b""), b""), b"p" * 32, 5, "the chain"),
    ],
)
def test_every_changed_column_is_noticed(row, previous, expected_seq, message):
    with pytest.raises(LogCorrupt, match=message):
        check_row(row, previous=previous, expected_seq=expected_seq, where="here")


@given(
    st.lists(
        st.tuples(
            st.integers(1, 3).map(bytes)
            | st.integers(1, 5).map(lambda size: bytes(size * ROW_BYTES_MAX // 4)),
            st.integers(1, ROW_EVENTS_MAX + 10),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_rows_hold_the_frames_of_a_batch_in_order_and_within_bounds(frames):
    loop = asyncio.new_event_loop()
    batch = Batch(loop)
    for frame, events in frames:
        batch.add(frame, events)
    rows = batch.rows(Head(0, 40, b"h" * 32), ts_us=9)
    loop.close()
    chain, seq, held = b"h" * 32, 41, 0
    for row in rows:
        check_row(row, previous=chain, expected_seq=seq, where="here")
        chain, seq = row.chain, seq + row.count
        size = events = count = 0
        for frame, its_events in frames[held:]:
            size, events, count = size + len(frame), events + its_events, count + 1
            if events == row.count:
                break
        expected = array_header(count) + b"".join(frame for frame, _ in frames[held : held + count])
        assert row.payload == expected
        assert count == 1 or (events <= ROW_EVENTS_MAX and size <= ROW_BYTES_MAX)
        held += count
    assert held == len(frames)
