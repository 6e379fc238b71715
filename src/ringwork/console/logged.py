"""Events out of the log by their place: a few rows are read, whatever the log's length."""

from __future__ import annotations

from collections.abc import Sequence

from ringwork.kernel.events import EventTypes, Recorded, decode_frames
from ringwork.kernel.journal import recorded_of
from ringwork.kernel.ports import EventLog, Row


def latest(log: EventLog, types: EventTypes, count: int) -> list[Recorded]:
    """The newest durable events, newest first."""
    head = log.head.seq
    after = max(0, head - count)
    found: list[Recorded] = []
    for row in log.rows(after):
        found += (each for each in events_of(row, types, log.partition) if after < each.seq <= head)
        if row.first_seq + row.count > head:
            break
    return found[::-1]


def at(log: EventLog, types: EventTypes, seqs: Sequence[int]) -> list[Recorded]:
    """The events with these sequence numbers, in order; each row is read once."""
    wanted = sorted(set(seqs))
    found: list[Recorded] = []
    while wanted:
        row = next(iter(log.rows(wanted[0] - 1)), None)
        if row is None:
            break
        here = {seq for seq in wanted if seq < row.first_seq + row.count}
        found += (each for each in events_of(row, types, log.partition) if each.seq in here)
        wanted = wanted[len(here) :]
    return found


def events_of(row: Row, types: EventTypes, partition: int) -> list[Recorded]:
    """Every event of a row with its sequence number."""
    found = []
    seq = row.first_seq
    for frame in decode_frames(row.payload):
        for envelope in frame.events:
            found.append(recorded_of(envelope, types.decode(envelope), seq, partition))
            seq += 1
    return found
