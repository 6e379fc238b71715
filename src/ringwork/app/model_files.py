"""The response model on disk: ``models/`` in the data directory. All of it follows from the log.

``<version>.bin`` is what requests are scored with, the last three; ``learner.state`` is what the
learner goes on from. A file says which row of the log it was made at, so that one of another log,
or of a log that was set back, is known. It is written beside its name, synced, and renamed: a crash
leaves the old file or the new one. One that is damaged all the same is told in one log line, and
left out: the learner makes it again.
"""

from __future__ import annotations

import hashlib
import logging
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol, TypeVar

import msgspec
from msgspec import Struct

from ringwork.ads.learning import Learning
from ringwork.ads.rank.snapshot import Snapshot
from ringwork.kernel.ports import Head, Row

DIRECTORY: Final = "models"
KEPT: Final = 3
_STATE: Final = "learner.state"
_MAGIC: Final = f"ringwork {Learning.name}/{Learning.version}\n".encode()
"""Another version learns something else from the same events: its files are of no use here."""
_DIGEST_BYTES: Final = 16

_log: Final = logging.getLogger(__name__)
_T = TypeVar("_T")


class Rows(Protocol):
    """The log, as far as it is durable."""

    @property
    def head(self) -> Head: ...

    def rows(self, after_seq: int = 0) -> Iterator[Row]: ...


class Place(Struct, frozen=True, array_like=True):
    """The end of a row of the log."""

    seq: int
    chain: bytes

    @classmethod
    def after(cls, row: Row) -> Place:
        """Where a row ends."""
        return cls(row.first_seq + row.count - 1, row.chain)

    def is_in(self, log: Rows) -> bool:
        """Whether the log has that row. Raises LogCorrupt where it cannot be read."""
        if not 0 < self.seq <= log.head.seq:
            return False
        row = next(log.rows(self.seq - 1), None)
        return row is not None and Place.after(row) == self


class Version(Struct, frozen=True):
    """A published version and where the log says that it was published."""

    at: Place
    snapshot: Snapshot


class State(Struct, frozen=True, array_like=True):
    """What the learner knows after a row, as bytes."""

    at: Place
    learning: bytes
    model: bytes


class _Version(Struct, frozen=True, array_like=True):
    at: Place
    snapshot: bytes


class ModelFiles:
    """The files of one data directory."""

    def __init__(self, data: Path) -> None:
        self._directory = data / DIRECTORY

    def numbers(self) -> list[int]:
        """The versions that have a file, the newest first; some may be damaged."""
        if not self._directory.is_dir():
            return []
        stems = (path.stem for path in self._directory.glob("*.bin"))
        return sorted((int(stem) for stem in stems if stem.isdecimal()), reverse=True)

    def version(self, number: int, log: Rows) -> Version | None:
        """The version, where its file is whole and of this log."""
        path = self._path(number)
        told = _read(path, _Version)
        if told is None:
            return None
        if not told.at.is_in(log):
            _log.warning("%s is of another log and is not used", path)
            return None
        return Version(told.at, Snapshot.load(told.snapshot))

    def newest(self, log: Rows) -> Version | None:
        """The newest version that can be used."""
        found = (self.version(number, log) for number in self.numbers())
        return next((one for one in found if one is not None), None)

    def keep(self, version: Version, log: Rows) -> None:
        """Write a version, and remove those that are no longer kept. Raises OSError.

        Later ones stay where they are of this log: it is being learned anew, and they serve.
        """
        number = version.snapshot.version
        self._write(self._path(number), _Version(version.at, version.snapshot.dump()))
        for other in self.numbers():
            is_later = other > number
            if self.version(other, log) is None if is_later else other <= number - KEPT:
                self._path(other).unlink(missing_ok=True)

    def state(self, log: Rows) -> State | None:
        """The learner's state, where it is whole and of this log."""
        told = _read(self._directory / _STATE, State)
        return told if told is not None and told.at.is_in(log) else None

    def keep_state(self, state: State) -> None:
        """Replace the learner's state. Raises OSError."""
        self._write(self._directory / _STATE, state)

    def clean(self) -> None:
        """Remove what a crash left half-written."""
        if self._directory.is_dir():
            for path in self._directory.glob("*.new"):
                path.unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self._directory / f"{number}.bin"

    def _write(self, path: Path, content: Struct) -> None:
        # Level 1: keys and counts shrink by half in a tenth of the time that the usual level takes.
        body = zlib.compress(msgspec.msgpack.encode(content), 1)
        self._directory.mkdir(mode=0o700, exist_ok=True)
        # The follower of a server that was killed may still be writing: to each its own name.
        partial = path.with_name(f"{path.name}.{os.getpid()}.new")
        with partial.open("wb") as file:
            file.write(_MAGIC + _digest(body) + body)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _read(path: Path, kind: type[_T]) -> _T | None:
    """The content of a file; None where there is none, or none that is whole (logged)."""
    try:
        data = path.read_bytes()
        start = len(_MAGIC) + _DIGEST_BYTES
        body = data[start:]
        if data[:start] != _MAGIC + _digest(body):
            _log.warning("%s is damaged or of another release, and is not used", path)
            return None
        return msgspec.msgpack.decode(zlib.decompress(body), type=kind)
    except FileNotFoundError:
        return None
    except OSError as error:
        _log.warning("%s cannot be read and is not used: %s", path, error.strerror)
        return None


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest()
