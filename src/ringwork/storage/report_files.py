"""Reports as files in one folder: the newest stay, the oldest go."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from ringwork.kernel.errors import RingworkError

FILES_MAX: Final = 2000
"""Of a few kilobytes each as a rule; a report of 100,000 rows has ten megabytes."""
_ID: Final = re.compile(r"[0-9a-f-]{36}")


class DirectoryReportFiles:
    """One CSV file per report below ``directory``; ids are UUIDs, which sort by their time."""

    def __init__(self, directory: Path, *, files_max: int = FILES_MAX) -> None:
        self._directory = directory
        self._files_max = files_max

    def save(self, report_id: str, text: str) -> None:
        """Keep a report, complete under its name or not there; forget the oldest past the limit.

        Raises RingworkError where the disk does not take it.
        """
        path = self._path(report_id)
        assert path is not None, f"report ids are UUIDs, got {report_id!r}"
        unfinished = path.with_suffix(".new")
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            unfinished.write_text(text, encoding="utf-8", newline="")
            unfinished.rename(path)
            for old in sorted(self._directory.glob("*.csv"))[: -self._files_max]:
                old.unlink(missing_ok=True)
        except OSError as error:
            raise RingworkError(f"{path}: cannot be written: {error.strerror}") from error

    def load(self, report_id: str) -> str | None:
        """The text of a report that is still kept; None for any other name.

        Raises RingworkError where it cannot be read.
        """
        path = self._path(report_id)
        if path is None or not path.is_file():
            return None
        try:
            with path.open(encoding="utf-8", newline="") as file:
                return file.read()
        except (OSError, UnicodeDecodeError) as error:
            raise RingworkError(f"{path}: cannot be read: {error}") from error

    def _path(self, report_id: str) -> Path | None:
        return self._directory / f"{report_id}.csv" if _ID.fullmatch(report_id) else None
