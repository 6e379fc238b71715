"""Wall 3 by counting: every way into ``history.db``, while a request without consent is answered.

Counted are the columns that the store's authorizer lets through, statements on the engines that the
projection and erasures use, and opens of the file by anybody (CPython's audit events). What other
threads do is theirs: the projection writes all the time.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from ringwork.storage.sqlite.history import FILE_NAME

if TYPE_CHECKING:
    from ringwork.app.platform import Platform

_OPENING: Final = frozenset({"open", "sqlite3.connect", "os.open"})
_counting: Final[list[Reads]] = []
"""Those that count now. CPython lets no audit hook go: with none here it does nothing."""


class Reads:
    """Counts what this thread reads of one platform's history."""

    def __init__(self, platform: Platform) -> None:
        self.denied = 0
        """Columns that the authorizer did not let through."""
        self.read = 0
        """Columns read, statements run, files opened."""
        self._store = platform.history
        self._folder = str(platform.settings.data_path)
        self._thread = threading.get_ident()
        for engine in (platform.people.reader, platform.people.writer):
            sa.event.listen(engine, "before_cursor_execute", self._statement)
        _install()

    @contextmanager
    def counting(self) -> Iterator[None]:
        """What is read in here counts."""
        before = dict(self._store.columns_read)
        _counting.append(self)
        try:
            yield
        finally:
            _counting.remove(self)
            after = self._store.columns_read
            self.read += after[True] - before.get(True, 0)
            self.denied += after[False] - before.get(False, 0)

    def opened(self, path: str) -> None:
        """Somebody opens a file."""
        if self._folder in path and FILE_NAME in path and threading.get_ident() == self._thread:
            self.read += 1

    def _statement(self, *_: Any) -> None:
        if self in _counting and threading.get_ident() == self._thread:
            self.read += 1


_installed: Final[list[bool]] = []


def _install() -> None:
    if not _installed:
        _installed.append(True)
        sys.addaudithook(_audit)


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if _counting and event in _OPENING and arguments:
        for one in _counting:
            one.opened(str(arguments[0]))
