"""The anchor: where the log's end was a moment ago, kept outside the log.

SQLite silently ignores a WAL tail whose checksum is wrong. A log that is shorter than its anchor
has lost acknowledged events, and must not be taken for one that never had them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from ringwork.kernel.errors import LogCorrupt
from ringwork.kernel.ports import Head
from ringwork.storage.sqlite.files import sync_directory


class _Anchor(Struct, frozen=True, forbid_unknown_fields=True):
    partition: int
    seq: int
    chain: str


_decoder: Final = msgspec.json.Decoder(_Anchor)


def anchor_path(directory: Path, partition: int) -> Path:
    """``anchor.json``; further partitions carry their number in the name."""
    return directory / ("anchor.json" if partition == 0 else f"anchor-p{partition}.json")


def read_anchor(directory: Path, partition: int) -> Head | None:
    """The anchored head, None where none was written yet. LogCorrupt where it cannot be read."""
    path = anchor_path(directory, partition)
    try:
        anchor = _decoder.decode(path.read_bytes())
        return Head(partition, anchor.seq, bytes.fromhex(anchor.chain))
    except FileNotFoundError:
        return None
    except (ValueError, msgspec.DecodeError) as error:
        raise LogCorrupt(
            path.name, 0, f"an anchor was expected ({error}); verify the log, then remove the file"
        ) from error


def write_anchor(directory: Path, head: Head) -> None:
    """Replace the anchor: complete and on disk, or the old one."""
    path = anchor_path(directory, head.partition)
    unfinished = path.with_suffix(".json.new")
    with unfinished.open("wb") as file:
        file.write(msgspec.json.encode(_Anchor(head.partition, head.seq, head.chain.hex())))
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    sync_directory(directory)
