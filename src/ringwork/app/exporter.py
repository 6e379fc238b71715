"""The exporter: a child process that brings the exported log up to date for a server's reports.

Writing an event as JSON text takes tens of microseconds of Python, hundreds of thousands of them at
a time: in the server's own process every request would wait for its share of that.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Lock, Thread
from typing import Final

from ringwork.app.memory import EVENTS
from ringwork.kernel.errors import RingworkError, Unavailable
from ringwork.kernel.events import EventTypes
from ringwork.storage.warehouse import ParquetWarehouse, logged

NICENESS: Final = 10
"""Requests come first, and the follower."""
ERROR_MAX_CHARS: Final = 1000
_COMMAND: Final = (sys.executable, "-P", "-m", "ringwork.app.exporter")


def warehouse_of(data: Path, types: EventTypes) -> ParquetWarehouse:
    """The exported log of a data directory."""
    return ParquetWarehouse(data / "log", data / "warehouse", types)


class ExportedBeside:
    """The exported log of a data directory, written by a child process, asked in this one."""

    def __init__(self, data: Path, types: EventTypes) -> None:
        self._data = data
        self._read = warehouse_of(data, types)
        self._lock = Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._is_stopped = False
        self._exported_seq = 0

    def refresh(self) -> int:
        """As ``ParquetWarehouse.refresh``; one at a time. Where nothing is new, without a child."""
        directory = self._data / "warehouse"
        if directory.exists() and logged(self._data / "log") == self._exported_seq:
            return self._exported_seq
        with self._lock:
            if self._is_stopped:
                raise Unavailable("shutting-down", "the export goes on after the next start")
            child = self._child = subprocess.Popen(
                [*_COMMAND, str(self._data.resolve())],
                stdin=subprocess.PIPE,  # stays open: its end tells the child that we have ended
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        assert child.stdout is not None, "it is a pipe"
        with child:
            said = child.stdout.read().decode(errors="replace").strip()
        if self._is_stopped:
            raise Unavailable("shutting-down", "the export goes on after the next start")
        if child.returncode:
            text = said[-ERROR_MAX_CHARS:] or f"it ended with {child.returncode}"
            raise RingworkError(f"the log cannot be exported: {text}")
        self._exported_seq = int(said.splitlines()[-1])
        return self._exported_seq

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """As ``ParquetWarehouse.rows``."""
        return self._read.rows(sql, parameters)

    def stop(self) -> None:
        """End a refresh: what it has written stays, and the next one goes on from there."""
        with self._lock:
            self._is_stopped = True
            if self._child is not None:
                self._child.terminate()


def _end_with_the_server() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


def main() -> None:
    """Export what is new below the data directory that is named; print the last sequence number."""
    os.nice(NICENESS)
    Thread(target=_end_with_the_server, daemon=True).start()
    try:
        seq = warehouse_of(Path(sys.argv[1]), EventTypes(EVENTS)).refresh()
    except RingworkError as error:
        sys.exit(str(error))
    sys.stdout.write(str(seq))
    sys.stdout.flush()
    os._exit(0)  # the thread still reads; nothing is left to be written


if __name__ == "__main__":
    main()
