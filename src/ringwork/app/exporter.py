"""The exporter: a child process that works on the exported log for a server's reports.

It brings the files up to date, or asks them with SQL. Writing an event as JSON text takes tens of
microseconds of Python, hundreds of thousands of them at a time; DuckDB takes every core and makes
the rows of its answer Python objects: in the server's own process every request would wait for its
share of that, and a query that runs would hold up its end.

What is asked and answered is pickled: both ends are this program, on a pipe that nobody else has.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread
from typing import Final, Literal, cast

from ringwork.kernel.errors import RingworkError, Unavailable
from ringwork.kernel.events import EventTypes
from ringwork.storage.warehouse import ParquetWarehouse, logged

NICENESS: Final = 10
"""Requests come first, and the follower."""
LENGTH_BYTES: Final = 8
"""Before what is asked, whose end the child cannot tell otherwise: the pipe stays open."""
ERROR_MAX_CHARS: Final = 1000
"""What is told of an error."""

Rows = list[tuple[object, ...]]
Answer = tuple[Literal["seq"], int] | tuple[Literal["rows"], Rows] | tuple[Literal["error"], str]

_COMMAND: Final = (sys.executable, "-P", "-m", "ringwork.app.exporter")


def warehouse_of(data: Path, types: EventTypes) -> ParquetWarehouse:
    """The exported log of a data directory."""
    return ParquetWarehouse(data / "log", data / "warehouse", types)


class ExportedBeside:
    """The exported log of a data directory, written and asked by child processes, one at a time."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._lock = Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._is_stopped = False
        self._exported_seq = 0

    def refresh(self) -> int:
        """As ``ParquetWarehouse.refresh``; one at a time. Where nothing is new, without a child."""
        directory = self._data / "warehouse"
        if directory.exists() and logged(self._data / "log") == self._exported_seq:
            return self._exported_seq
        kind, found = self._answer(None)
        if kind == "error":
            raise RingworkError(f"the log cannot be exported: {found}")
        self._exported_seq = cast("int", found)
        return self._exported_seq

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> Rows:
        """As ``ParquetWarehouse.rows``; Unavailable after ``stop``."""
        kind, found = self._answer((sql, tuple(parameters)))
        if kind == "error":
            raise RingworkError(str(found))
        return cast("Rows", found)

    def stop(self) -> None:
        """End what runs: what an export has written stays, and the next one goes on from there."""
        with self._lock:
            self._is_stopped = True
            if self._child is not None:
                self._child.terminate()

    def _answer(self, asked: tuple[str, tuple[object, ...]] | None) -> Answer:
        """What a child says to a query, or to None, which is an export."""
        request = pickle.dumps(asked)
        with self._lock:
            if self._is_stopped:
                raise _stopped()
            child = self._child = subprocess.Popen(
                [*_COMMAND, str(self._data.resolve())],
                stdin=subprocess.PIPE,  # stays open: its end tells the child that we have ended
                stdout=subprocess.PIPE,
                bufsize=0,  # nothing of ours waits to be written to a child that has died
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        assert child.stdin is not None, "it is a pipe"
        assert child.stdout is not None, "it is a pipe"
        with child:
            with suppress(BrokenPipeError):  # it died: its exit code says how
                child.stdin.write(len(request).to_bytes(LENGTH_BYTES, "big") + request)
            said = child.stdout.read()
        if self._is_stopped:
            raise _stopped()
        if child.returncode or not said:
            return "error", f"the child process ended with {child.returncode}"
        return cast("Answer", pickle.loads(said))  # noqa: S301  # our own child's


def _stopped() -> Unavailable:
    return Unavailable("shutting-down", "reports are made again after the next start")


def _end_with_the_server() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


def _asked() -> tuple[str, tuple[object, ...]] | None:
    """What the server wants; the process ends where it is gone before it has said so."""
    length = int.from_bytes(_read(LENGTH_BYTES), "big")
    asked: tuple[str, tuple[object, ...]] | None = pickle.loads(_read(length))  # noqa: S301  # ours
    return asked


def _read(length: int) -> bytes:
    found = b""
    while len(found) < length:
        more = os.read(sys.stdin.fileno(), length - len(found))
        if not more:
            sys.exit(1)
        found += more
    return found


def _answer_to(asked: tuple[str, tuple[object, ...]] | None) -> Answer:
    data = Path(sys.argv[1])
    try:
        if asked is not None:
            return "rows", warehouse_of(data, EventTypes()).rows(*asked)
        from ringwork.app.memory import EVENTS  # noqa: PLC0415  # most of a second, not for a query

        return "seq", warehouse_of(data, EventTypes(EVENTS)).refresh()
    except RingworkError as error:
        return "error", str(error)[-ERROR_MAX_CHARS:]


def main() -> None:
    """Export what is new below the data directory that is named, or answer a query on it."""
    os.nice(NICENESS)
    asked = _asked()
    Thread(target=_end_with_the_server, daemon=True).start()
    sys.stdout.buffer.write(pickle.dumps(_answer_to(asked)))
    sys.stdout.flush()
    os._exit(0)  # the thread still reads; nothing is left to be written


if __name__ == "__main__":
    main()
