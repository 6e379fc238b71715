"""What a log needs beside its commits, in a thread of its own: the anchor, and the WAL folded back.

Both sync other files than a commit does, for milliseconds that a request should not wait for. A
passive checkpoint stands in nobody's way and so never ends where it is written on: it folds what
was there when it began. The writer folds what little came since (``Segment.finish_fold``), and the
WAL starts over, as large as it was: a file that grows costs a journal commit for every sync.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from ringwork.kernel.ports import Head
from ringwork.storage.sqlite.anchor import write_anchor
from ringwork.storage.sqlite.files import Connect, is_full

ANCHOR_INTERVAL_S: Final = 1.0


class Upkeep:
    """Of one partition in ``directory``, from its making to ``close``."""

    def __init__(
        self,
        directory: Path,
        *,
        head: Callable[[], Head],
        open_database: Connect,
        on_failed: Callable[[Exception], None],
    ) -> None:
        """``head``: the durable end. ``on_failed`` is called in this thread, which then ends."""
        self._directory = directory
        self._head = head
        self._open_database = open_database
        self._on_failed = on_failed
        self._wake = threading.Event()
        self._to_fold: Path | None = None
        self._has_folded = False
        self._anchored_seq = 0
        self._is_closing = False
        self._thread = threading.Thread(
            target=self._run, name=f"log-upkeep-{head().partition}", daemon=True
        )
        self._thread.start()

    def fold(self, path: Path) -> None:
        """Fold the WAL of a file soon; ``has_folded`` says when."""
        self._to_fold = path
        self._wake.set()

    def has_folded(self) -> bool:
        """Whether a fold has ended since this was asked last."""
        has_folded, self._has_folded = self._has_folded, False
        return has_folded

    def close(self) -> None:
        """End after what is under way; no fold that waits, and no anchor. Idempotent."""
        self._is_closing = True
        self._wake.set()
        self._thread.join()

    def anchor(self) -> None:
        """Anchor the end, where it is not; without room the next one does it."""
        head = self._head()
        if head.seq == self._anchored_seq:
            return
        try:
            write_anchor(self._directory, head)
        except OSError as error:
            if not is_full(error):
                raise
        else:
            self._anchored_seq = head.seq

    def _run(self) -> None:
        try:
            due_s = time.monotonic() + ANCHOR_INTERVAL_S
            while True:
                self._wake.wait(max(due_s - time.monotonic(), 0))
                self._wake.clear()
                if self._is_closing:
                    return
                if time.monotonic() >= due_s:
                    self.anchor()
                    due_s = time.monotonic() + ANCHOR_INTERVAL_S
                path, self._to_fold = self._to_fold, None
                if path is not None:
                    self._fold(path)
        except Exception as error:  # the edge of a thread: whatever it is, the log must know
            self._on_failed(error)

    def _fold(self, path: Path) -> None:
        try:
            with closing(self._open_database(str(path))) as connection:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            if not is_full(error):
                raise
        self._has_folded = True  # also without room: the writer meets it at its next commit
