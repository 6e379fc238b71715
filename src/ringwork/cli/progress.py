"""A progress line on stderr for work that takes longer than two seconds.

Silent in pipes and tests.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.progress import Progress

QUIET_S: Final = 2.0


@contextmanager
def counting() -> Iterator[Callable[[str, int], None]]:
    """Yields ``progress(what, count)``; after two seconds it shows the count to who looks on."""
    line = _Line()
    try:
        yield line.progress
    finally:
        line.close()


@contextmanager
def measuring(what: str, total_bytes: int | None) -> Iterator[Callable[[int], None]]:
    """Yields ``progress(bytes so far)``; after two seconds it shows a bar to who looks on."""
    line = _Line(total_bytes)
    try:
        yield lambda done: line.progress(what, done)
    finally:
        line.close()


class _Line:
    """``total_bytes`` makes it a bar of bytes."""

    def __init__(self, total_bytes: int | None = None) -> None:
        self._shown: Progress | None = None
        self._total = total_bytes
        self._begins_ns = time.monotonic_ns() + int(QUIET_S * 1e9)

    def progress(self, what: str, count: int) -> None:
        if self._shown is None:
            if time.monotonic_ns() < self._begins_ns or not sys.stderr.isatty():
                return
            self._shown = _started(self._total)
        self._shown.update(self._shown.task_ids[0], description=what, completed=count)

    def close(self) -> None:
        if self._shown is not None:
            self._shown.stop()


def _started(total_bytes: int | None) -> Progress:
    from rich.console import Console  # noqa: PLC0415  # only where somebody looks on
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        ProgressColumn,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns: tuple[ProgressColumn, ...] = (
        SpinnerColumn(),
        TextColumn("{task.description} {task.completed:,.0f}"),
        TimeElapsedColumn(),
    )
    if total_bytes is not None:
        columns = (
            TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
        )  # fmt: skip
    shown = Progress(*columns, console=Console(stderr=True), transient=True)
    shown.add_task("", total=total_bytes)
    shown.start()
    return shown
