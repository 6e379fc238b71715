"""How the response model stands, from the log and the versions on disk: for ``ringwork ads model``.

Works on a stopped directory, and read-only beside a live server. The oldest version that is kept is
judged, because most rows came after it: by rows whose labels were known only after it was published
and which it therefore cannot have learned.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from typing import ClassVar, Final

from msgspec import Struct

from ringwork.ads.holdout import Holdout
from ringwork.ads.learning import Learning
from ringwork.ads.model_events import ModelPublished
from ringwork.ads.rank.reliability import Reliability
from ringwork.app.memory import EVENTS
from ringwork.app.model_files import ModelFiles, Place, Version
from ringwork.kernel.events import Event, EventTypes, Recorded
from ringwork.kernel.journal import appliers_of, replay
from ringwork.storage.sqlite.reader import SqliteLogReader

VERSIONS_MAX: Final = 100
"""The newest are shown: a year of versions every ten minutes are 50,000."""


class Published(Struct, frozen=True):
    """A version that the log says was published."""

    version: int
    ts_us: int
    seq: int
    learned: dict[str, int]
    """Head -> rows that had been learned when it was asked for."""
    tiers: dict[str, int]
    """Tier of the request -> impressions that it was learned from."""


class Report(Struct, frozen=True):
    """The newest versions, the newest first, and how far one can be trusted."""

    versions: list[Published]
    on_disk: list[int]
    """Versions whose file is whole and of this log."""
    judged: int | None
    """The version that ``heads`` judges; None where none is on disk."""
    heads: dict[str, Reliability]
    """Head -> figures of the rows that the version had not learned; no rows, no head."""


class _Publications:
    """A fold of the newest ``ModelPublished``."""

    name: ClassVar[str] = "publications"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (ModelPublished,)

    def __init__(self) -> None:
        self.newest: deque[Published] = deque(maxlen=VERSIONS_MAX)

    def apply(self, recorded: Recorded) -> None:
        event = recorded.payload
        assert isinstance(event, ModelPublished), "it hears nothing else"
        self.newest.append(
            Published(event.version, recorded.ts_us, recorded.seq, event.learned, event.tiers)
        )


def report(data: Path, progress: Callable[[str, int], None]) -> Report:
    """Read the whole log once. Raises LogCorrupt."""
    reader = SqliteLogReader(data / "log")
    files = ModelFiles(data)
    kept = [one for one in (files.version(n, reader) for n in files.numbers()) if one is not None]
    judged = kept[-1] if kept else None
    publications, holdout = _Publications(), Holdout()
    _read(reader, publications, holdout, judged, progress)
    return Report(
        versions=list(reversed(publications.newest)),
        on_disk=[one.snapshot.version for one in kept],
        judged=None if judged is None else judged.snapshot.version,
        heads={} if judged is None else dict(holdout.judge(judged.snapshot)),
    )


def _read(
    reader: SqliteLogReader,
    publications: _Publications,
    holdout: Holdout,
    judged: Version | None,
    progress: Callable[[str, int], None],
) -> None:
    types, learning = EventTypes(EVENTS), Learning(holdout)
    appliers = {**appliers_of([learning])}
    appliers[ModelPublished.TYPE] = (learning.apply, publications.apply)
    end = reader.head.seq  # a live server goes on writing
    for row in takewhile(lambda row: row.first_seq <= end, reader.rows()):
        replay([row], types, appliers)
        progress("reading the log", row.first_seq)
        if judged is not None and Place.after(row) == judged.at:
            holdout.forget()
