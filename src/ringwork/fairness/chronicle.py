"""What a log told over time, beside the state that its records give: for whoever looks at it live.

``Recomputation`` forgets the figures of all releases but the newest; here they are kept, thinned
out and in few bytes, with what controllers and people did and what the log's end is.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import UNSET, Struct

from ringwork.fairness.log import Head, Record
from ringwork.fairness.recompute import Recomputation
from ringwork.fairness.records import (
    SIGNED,
    Ad,
    AnyBody,
    By,
    Control,
    Figure,
    Genesis,
    Key,
    Override,
    Report,
)

POINTS_MAX: Final = 64
"""Of one figure or one ad's shifts: 10,000 ads of two attributes take some 100 MB at most."""
OVERRIDES_MAX: Final = 100
"""Of one ad; the newest. The log has them all."""
RECORDS_MAX: Final = 50
"""Newest records whose place in the log is kept."""
_NONE: Final = -1


class Point(Struct, frozen=True, kw_only=True):
    """One figure as it was stated; of an estimated attribute the pair with its interval."""

    time_us: int
    episode: int
    impressions: int
    proxy_ppb: int
    """Of a declared attribute: the figure."""
    deattenuated_ppb: int | None
    interval_ppb: tuple[int, int] | None


class Shifted(Struct, frozen=True, kw_only=True):
    """What the controller decided; it may do so several times between two releases."""

    time_us: int
    episode: int
    held: bool
    lambda_micro: tuple[int, ...]


class Told(Struct, frozen=True, kw_only=True):
    """One record, without its body."""

    seq: int
    time_us: int
    kind: str
    about: str
    """The ad or attribute that it is of; empty where it is of neither."""
    hash: str
    is_signed: bool


class Series:
    """Rows of whole numbers over time. A full one loses every second row, never its ends."""

    def __init__(self, width: int, values: bytes = b"") -> None:
        self._width = width
        self._values = array("q", values)

    def __len__(self) -> int:
        return len(self._values) // self._width

    def rows(self) -> list[tuple[int, ...]]:
        """Oldest first."""
        width = self._width
        return [tuple(self._values[at : at + width]) for at in range(0, len(self._values), width)]

    def dump(self) -> tuple[int, bytes]:
        """What it is made of again."""
        return self._width, self._values.tobytes()

    def add(self, row: Sequence[int], *, restates: bool = False) -> None:
        """One more; ``restates``: in place of the last, where their second numbers are the same."""
        if len(row) != self._width:  # the plan's groups changed: what was is not comparable
            self._width, self._values = len(row), array("q")
        width = self._width
        if restates and self._values and self._values[1 - width] == row[1]:
            del self._values[-width:]
        elif len(self) == POINTS_MAX:
            kept = self.rows()
            thinned = [*kept[:-1:2], kept[-1]]
            self._values = array("q", [value for one in thinned for value in one])
        self._values.extend(row)


class _Kept(Struct):
    """All that is not rows of numbers."""

    genesis: Genesis | None = None
    head: Head | None = None
    public_key: str = ""
    keys: int = 0
    signed_through: int = -1
    time_us: int = 0
    report: tuple[int, Report] | None = None
    newest: list[Told] = []
    reasons: dict[str, str] = {}
    overrides: dict[str, list[tuple[int, Override]]] = {}
    audiences: dict[str, dict[int, int]] = {}


class Chronicle:
    """Takes records in their order, after ``state`` has; all else only reads."""

    def __init__(self, state: Recomputation) -> None:
        self.state = state
        self._kept = _Kept()
        self._figures: dict[tuple[str, str, By], Series] = {}
        self._shifts: dict[str, Series] = {}

    @property
    def genesis(self) -> Genesis | None:
        """The first record; None while the log is empty."""
        return self._kept.genesis

    @property
    def head(self) -> Head | None:
        """The log's end; None while it is empty."""
        return self._kept.head

    @property
    def public_key(self) -> str:
        """The one that the next record will be signed with."""
        return self._kept.public_key

    @property
    def keys(self) -> int:
        """How many there were: 1 where none was replaced."""
        return self._kept.keys

    @property
    def signed_through(self) -> int:
        """The last record that a signature vouches for."""
        return self._kept.signed_through

    @property
    def time_us(self) -> int:
        """Of the newest record."""
        return self._kept.time_us

    @property
    def report(self) -> tuple[int, Report] | None:
        """The newest one, with its time."""
        return self._kept.report

    @property
    def newest(self) -> list[Told]:
        """The newest records, oldest first."""
        return list(self._kept.newest)

    def take(self, record: Record, body: AnyBody | None) -> None:
        """Keep what one record tells; ``body`` None for a kind of a later version.

        Whether a record is signed follows from its kind: a fold has no key to sign with.
        """
        kept, is_signed = self._kept, record.kind in SIGNED
        kept.time_us = record.time_us
        if is_signed:
            kept.signed_through = record.seq
        kept.newest.append(
            Told(
                seq=record.seq,
                time_us=record.time_us,
                kind=record.kind,
                about=getattr(body, "ad", "") or getattr(body, "attribute", ""),
                hash=record.hash,
                is_signed=is_signed,
            )
        )
        del kept.newest[:-RECORDS_MAX]
        self._keep(record.time_us, body)
        if kept.genesis is not None:
            kept.head = Head(kept.genesis.log, record.seq, record.hash, kept.genesis.public_key)

    def _keep(self, time_us: int, body: AnyBody | None) -> None:
        kept = self._kept
        match body:
            case Genesis():
                kept.genesis, kept.public_key, kept.keys = body, body.public_key, 1
            case Key():
                kept.public_key, kept.keys = body.new_public_key, kept.keys + 1
            case Ad():
                kept.audiences.setdefault(body.ad, {})[body.segment] = time_us
            case Figure():
                key = (body.ad, body.attribute, body.by)
                series = self._figures.setdefault(key, Series(7))
                series.add(_row(time_us, body), restates=True)  # again, when priors are learned
            case Control():
                row = (time_us, body.episode, int(body.held), *body.lambda_micro)
                self._shifts.setdefault(body.ad, Series(len(row))).add(row)
                kept.reasons[body.ad] = body.reason
            case Override():
                told = kept.overrides.setdefault(body.ad, [])
                told.append((time_us, body))
                del told[:-OVERRIDES_MAX]
            case Report():
                kept.report = time_us, body

    def dump(self) -> bytes:
        """For a snapshot, ``state`` left out; equal ones dump equal bytes."""
        return msgspec.msgpack.encode(
            (
                self._kept,
                [(*key, *one.dump()) for key, one in self._figures.items()],
                [(ad, *one.dump()) for ad, one in self._shifts.items()],
            )
        )

    def load(self, dumped: bytes) -> None:
        """Take back what ``dump`` gave."""
        self._kept, figures, shifts = msgspec.msgpack.decode(dumped, type=_Dumped)
        self._figures = {
            (ad, attribute, by): Series(width, values)
            for ad, attribute, by, width, values in figures
        }
        self._shifts = {ad: Series(width, values) for ad, width, values in shifts}

    def figures(self, ad: str, attribute: str, by: By = "impressions") -> list[Point]:
        """Of one ad's releases, oldest first."""
        series = self._figures.get((ad, attribute, by))
        return [] if series is None else [_point(row) for row in series.rows()]

    def shifts(self, ad: str) -> list[Shifted]:
        """What its controller decided, oldest first."""
        series = self._shifts.get(ad)
        return [
            Shifted(time_us=row[0], episode=row[1], held=bool(row[2]), lambda_micro=row[3:])
            for row in ([] if series is None else series.rows())
        ]

    def reason(self, ad: str) -> str:
        """What the controller said to its newest decision."""
        return self._kept.reasons.get(ad, "")

    def overrides(self, ad: str) -> list[tuple[int, Override]]:
        """What people did, newest first."""
        return self._kept.overrides.get(ad, [])[::-1]

    def audiences(self, ad: str) -> dict[int, int]:
        """Segment -> when it began."""
        return dict(self._kept.audiences.get(ad, {}))


_Dumped = tuple[_Kept, list[tuple[str, str, By, int, bytes]], list[tuple[str, int, bytes]]]


def _row(time_us: int, figure: Figure) -> tuple[int, ...]:
    point = figure.deattenuated_ppb
    low, high = (_NONE, _NONE) if figure.interval_ppb is UNSET else figure.interval_ppb
    return (
        time_us,
        figure.episode,
        figure.impressions,
        figure.proxy_ppb,
        _NONE if point is UNSET or point is None else point,
        low,
        high,
    )


def _point(row: tuple[int, ...]) -> Point:
    time_us, episode, impressions, proxy, point, low, high = row
    return Point(
        time_us=time_us,
        episode=episode,
        impressions=impressions,
        proxy_ppb=proxy,
        deattenuated_ppb=None if point == _NONE else point,
        interval_ppb=None if low == _NONE else (low, high),
    )
