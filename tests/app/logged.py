"""What a stopped directory says: its events, what was sold, whether every promise holds."""

from pathlib import Path

import msgspec

from ringwork.app.verify import check_all
from ringwork.kernel.events import decode_frames
from ringwork.kernel.ids import format_id
from ringwork.storage.sqlite.reader import SqliteLogReader


def events_of(data: Path) -> list[tuple[str, list[object]]]:
    return [
        (envelope.type, msgspec.msgpack.decode(envelope.payload))
        for row in SqliteLogReader(data / "log").rows()
        for frame in decode_frames(row.payload)
        for envelope in frame.events
    ]


def sold_in(data: Path) -> set[str]:
    """Impressions that the log knows as sold."""
    return {
        format_id(slot[7])
        for kind, payload in events_of(data)
        if kind == "auction_cleared"
        for slot in payload[3]
        if slot[7]
    }


def unbroken(data: Path) -> None:
    promises = check_all(data, lambda what, count: None)
    assert [(one.name, one.detail) for one in promises if one.violations] == []
