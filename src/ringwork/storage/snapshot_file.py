"""The snapshot of the folds: one file beside the log, complete and on disk, or the old one.

::

    magic with the format || header's size (4) || header || states || CRC-32 (4) of all before it

The header is MessagePack: the sequence, then name and size of each state in the file's order. It is
written under a temporary name, a piece at a time, each on disk before the next: a sync of the log
that falls into it waits for one piece and not for all that a hundred megabytes have left in the
page cache. Renamed when it is complete.
"""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import msgspec
from msgspec import Meta, Struct

from ringwork.kernel.errors import LogCorrupt, StorageFull
from ringwork.storage.sqlite.files import is_full, sync_directory

NAME: Final = "snapshot.bin"
PIECE_BYTES: Final = 1024 * 1024
"""On disk within a millisecond or two: what a sync of the log may have to wait for."""
_MAGIC: Final = b"ringwork snapshot 1\n"
_NUMBER_BYTES: Final = 4

_log: Final = logging.getLogger(__name__)


class _Header(Struct, frozen=True, array_like=True):
    seq: int
    states: list[tuple[str, Annotated[int, Meta(ge=0)]]]


_headers: Final = msgspec.msgpack.Decoder(_Header)


class FileSnapshots:
    """The snapshot of one data directory. One process writes it, any may read it meanwhile."""

    def __init__(self, data: Path, *, piece_bytes: int = PIECE_BYTES) -> None:
        self._path = data / NAME
        self._piece_bytes = piece_bytes

    @property
    def size_bytes(self) -> int:
        """How large the file is; 0 where there is none."""
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    def save(self, seq: int, states: Mapping[str, bytes]) -> None:
        """Raises StorageFull where the disk has no room, else OSError: the old one stays."""
        for _ in self.saving(seq, states):
            pass

    def saving(self, seq: int, states: Mapping[str, bytes]) -> Iterator[None]:
        """As ``save``, a piece at each step."""
        # The follower of a server that was killed may still be writing: to each its own name.
        partial = self._path.with_name(f"{NAME}.{os.getpid()}.new")
        try:
            with partial.open("wb") as file:
                unsynced = 0
                for part in _parts(seq, states, self._piece_bytes):
                    unsynced += file.write(part)
                    if unsynced >= self._piece_bytes:
                        _sync(file)
                        yield
                        unsynced = 0
                _sync(file)
                yield
            partial.rename(self._path)
            sync_directory(self._path.parent)
        except OSError as error:
            if not is_full(error):
                raise
            raise StorageFull("the disk has no room for a snapshot") from error
        finally:
            partial.unlink(missing_ok=True)

    def load(self) -> tuple[int, dict[str, bytes]]:
        """The newest snapshot; none where the file cannot be used, which is logged.

        All of it follows from the log: a server that starts later than it could is better than one
        that does not, and a platform that folds again while it lives cannot do without an answer.
        """
        try:
            return self.read()
        except LogCorrupt as damage:
            _log.warning("%s", damage)
            return 0, {}

    def read(self) -> tuple[int, dict[str, bytes]]:
        """As ``load``; raises LogCorrupt where the file is not what was written."""
        try:
            with self._path.open("rb") as file:
                return _read(file)
        except FileNotFoundError:
            return 0, {}
        except (OSError, ValueError, msgspec.DecodeError) as error:
            raise LogCorrupt(
                NAME,
                0,
                f"a snapshot was expected ({error}); it is not used, the log is folded from its "
                "start; the next snapshot replaces the file, which may also be removed",
            ) from error

    def clean(self) -> None:
        """Remove what a crash left half-written. Call it before anything is saved."""
        for path in self._path.parent.glob(f"{NAME}.*.new"):
            path.unlink(missing_ok=True)


def _parts(
    seq: int, states: Mapping[str, bytes], at_most_bytes: int
) -> Iterator[bytes | memoryview]:
    """The whole file in order."""
    sizes = [(name, len(state)) for name, state in states.items()]
    header = msgspec.msgpack.encode(_Header(seq, sizes))
    crc = 0
    for whole in (_MAGIC, _number(len(header)), header, *states.values()):
        for at in range(0, len(whole), at_most_bytes):
            part = memoryview(whole)[at : at + at_most_bytes]
            crc = zlib.crc32(part, crc)
            yield part
    yield _number(crc)


def _number(value: int) -> bytes:
    return value.to_bytes(_NUMBER_BYTES, "big")


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fdatasync(file.fileno())


def _read(file: BinaryIO) -> tuple[int, dict[str, bytes]]:
    """Raises ValueError and msgspec.DecodeError where the bytes are not those of a snapshot."""
    reading = _Reading(file)
    magic = reading.take(len(_MAGIC))
    if magic != _MAGIC:
        raise ValueError(f"it begins with {magic!r}, not with {_MAGIC!r}")
    header = _headers.decode(reading.take(int.from_bytes(reading.take(_NUMBER_BYTES), "big")))
    states = {name: reading.take(size) for name, size in header.states}
    crc = _number(reading.crc)
    if reading.take(_NUMBER_BYTES) != crc or reading.left_bytes:
        raise ValueError("its checksum does not match")
    return (header.seq, states) if states else (0, {})


class _Reading:
    """A file from its start, with the checksum of what was read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.left_bytes = os.fstat(file.fileno()).st_size
        self.crc = 0

    def take(self, size: int) -> bytes:
        """The next bytes; sizes are not trusted: no more is asked for than the file has."""
        if size > self.left_bytes:
            raise ValueError(f"{size} more bytes were expected, {self.left_bytes} are there")
        taken = self._file.read(size)
        if len(taken) < size:
            raise ValueError(f"{size} more bytes were expected, {len(taken)} could be read")
        self.left_bytes -= size
        self.crc = zlib.crc32(taken, self.crc)
        return taken
