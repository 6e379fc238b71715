"""The meter for arrays: a day of impressions, or a partition of a stream, at once.

It counts what ``meter.Meter`` counts. A stream is divided by person, every part counted by an
``Ingest`` of its own, and their sums added: caps and first touches are per person. Loops are
compiled where numba is installed (the extra ``fast``), else NumPy and Python; the answers are the
same.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray

from ringwork.fairness.measure.sums import Layout, Rows, Sums
from ringwork.fairness.plan import PrivacyPlan

_CHUNK: Final = 1 << 16
"""Impressions at once: their keys and flags, 3 MiB, stay in the cache from loop to loop."""
_FLUSH: Final = (1 << 23) - 1
"""Impressions between two flushes: 256 of each stay below the 2**31 of an int32 sum."""
_TABLE_MIN: Final = 1 << 10
PEOPLE_MAX: Final = 1 << 31
ADS_MAX: Final = 1 << 20
DAYS_MAX: Final = (1 << 13) - 1
"""A unit is person, ad and day in one word: 31 + 20 + 13 bits, the day from 1 so that none is 0."""
CAP_MAX: Final = 255
_PADDING: Final = 8


@functools.cache
def warm() -> ModuleType:
    """The loops, ready to run. The first call compiles them or reads the cache: at start."""
    try:
        from ringwork.fairness.measure import ingest_compiled  # noqa: PLC0415 # numba: seconds
    except ModuleNotFoundError as missing:
        if missing.name != "numba":
            raise
        from ringwork.fairness.measure import ingest_plain  # noqa: PLC0415

        return ingest_plain
    return ingest_compiled


class _Admissions:
    """Which keys came how often, up to a cap. ``expected`` keys fit without growing."""

    __slots__ = ("_cap", "_given", "_table", "_used")

    def __init__(self, cap: int, expected: int) -> None:
        self._cap = cap
        self._used = 0
        self._table, self._given = self._empty(_TABLE_MIN, expected)

    def admit(self, keys: NDArray[np.uint64], is_admitted: NDArray[np.bool_]) -> None:
        """Clear ``is_admitted`` where a key came as often as it may before."""
        if 2 * (self._used + len(keys)) > len(self._table):
            table, given = self._empty(len(self._table), self._used + len(keys))
            warm().move(self._table, self._given, table, given)
            self._table, self._given = table, given
        if self._cap == 1:
            self._used += warm().admit_once(self._table, keys, is_admitted)
        else:
            self._used += warm().admit(self._table, self._given, keys, self._cap, is_admitted)

    def _empty(self, least: int, keys: int) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
        """A table of a power of two, at least half empty when it holds so many keys."""
        size = least
        while 2 * keys > size:
            size *= 2
        # NumPy asks for huge pages for ``empty`` and not for ``zeros``: there the first write to a
        # page cost 9 us, and four million ids 4.1 s instead of 0.5.
        table, given = np.empty(size, np.uint64), np.empty(size if self._cap > 1 else 0, np.uint8)
        table.fill(0)
        given.fill(0)
        return table, given


class Counted(Struct, frozen=True, kw_only=True):
    """What became of a batch."""

    impressions: int
    """Of new ids."""
    duplicates: int
    uncounted: int
    """Beyond the cap."""


class Ingest:
    """Sums of many ads over people who are known beforehand.

    ``rows`` are the vectors of all people (``Layout.rows``); a person is a position in it. A *line*
    is a segment of an ad, with its own sums; ``ad_of`` [lines] says which ad each belongs to
    (default: every line is an ad). ``expected`` impressions are remembered without growing (24
    bytes each, at least twice). ValueError for bounds that a key cannot hold.
    """

    def __init__(
        self,
        layout: Layout,
        privacy: PrivacyPlan,
        *,
        rows: Rows,
        lines: int,
        ad_of: ArrayLike | None = None,
        expected: int = 0,
    ) -> None:
        layout.check(rows)
        if not (1 <= lines <= ADS_MAX and len(rows) <= PEOPLE_MAX):
            raise ValueError(f"expected 1 to {ADS_MAX} lines and at most {PEOPLE_MAX} people")
        if privacy.contributions_max > CAP_MAX:
            raise ValueError(f"contributions_max: expected at most {CAP_MAX} in bulk")
        self._width = layout.width
        padded = -(-layout.width // _PADDING) * _PADDING
        self._rows = np.zeros((len(rows), padded), np.uint16)
        self._rows[:, : layout.width] = rows
        self._ad_of = np.arange(lines) if ad_of is None else np.asarray(ad_of, np.int64)
        if (
            self._ad_of.shape != (lines,)
            or not ((self._ad_of >= 0) & (self._ad_of < ADS_MAX)).all()
        ):
            raise ValueError(f"ad_of: expected {lines} ads below {ADS_MAX}")
        self._privacy = privacy
        self._ids = _Admissions(1, expected)
        self._units = _Admissions(privacy.contributions_max, expected)
        self._firsts = None
        """Of each unit the first contribution, where it may have more and touch two segments."""
        if privacy.unit == "person-ad-day" and privacy.contributions_max > 1:
            self._firsts = _Admissions(1, expected)
        self._touches = _Admissions(1, expected)
        self._has_zero_id = False
        self._open = np.zeros((2, lines, padded), np.int32)
        """Of impressions, of people: since the last flush."""
        self._pending = 0
        self._clear()

    def add(
        self,
        *,
        ids: NDArray[np.uint64],
        lines: NDArray[np.int32],
        people: NDArray[np.int32],
        days: NDArray[np.int32],
        prices_nanos: NDArray[np.int64] | None = None,
    ) -> Counted:
        """Count a batch. ``days`` are from any fixed day on. ValueError for one out of range."""
        count = len(ids)
        for name, values, top in (
            ("lines", lines, len(self._ad_of)),
            ("people", people, len(self._rows)),
            ("days", days, DAYS_MAX),
        ):
            if len(values) != count or not ((values >= 0) & (values < top)).all():
                raise ValueError(f"{name}: expected {count} numbers from 0 to {top - 1}")
        done = [
            self._add(
                ids[part],
                lines[part],
                people[part],
                days[part],
                None if prices_nanos is None else prices_nanos[part],
            )
            for part in (slice(at, at + _CHUNK) for at in range(0, count, _CHUNK))
        ]
        return Counted(
            impressions=sum(one.impressions for one in done),
            duplicates=sum(one.duplicates for one in done),
            uncounted=sum(one.uncounted for one in done),
        )

    def take(self) -> list[Sums]:
        """Per line what was counted since it was last taken; caps and ids are remembered."""
        self._flush()
        taken = [
            Sums(
                impressions=impressions,
                spend_nanos=spend,
                uncounted=uncounted,
                people=people,
                vector=tuple(vector),
                people_vector=tuple(people_vector),
            )
            for (impressions, uncounted, people), spend, vector, people_vector in zip(
                self._counts.tolist(),
                self._spend.tolist(),
                self._sums[0, :, : self._width].tolist(),
                self._sums[1, :, : self._width].tolist(),
                strict=True,
            )
        ]
        self._clear()
        return taken

    def _clear(self) -> None:
        self._counts = np.zeros((len(self._ad_of), 3), np.int64)
        self._spend = np.zeros(len(self._ad_of), np.int64)
        self._sums = np.zeros(self._open.shape, np.int64)

    def _add(
        self,
        ids: NDArray[np.uint64],
        lines: NDArray[np.int32],
        people: NDArray[np.int32],
        days: NDArray[np.int32],
        prices_nanos: NDArray[np.int64] | None,
    ) -> Counted:
        is_new = self._new(ids)
        if prices_nanos is not None:
            np.add.at(self._spend, lines[is_new], prices_nanos[is_new])
        is_daily = self._privacy.unit == "person-ad-day"
        person = people.astype(np.uint64) << np.uint64(33)
        of_ad = person | (self._ad_of[lines].astype(np.uint64) << np.uint64(13)) | np.uint64(1)
        is_counted = is_new.copy()
        units = of_ad + days.astype(np.uint64) if is_daily else of_ad
        self._units.admit(units, is_counted)
        # See Caps: a first touch is of the segment where the unit is a day, else of the ad.
        touched = of_ad
        if is_daily:
            touched = person | (lines.astype(np.uint64) << np.uint64(13)) | np.uint64(1)
        is_first = is_counted.copy()
        if self._firsts is not None:
            self._firsts.admit(units, is_first)
        self._touches.admit(touched, is_first)
        if self._pending + len(ids) > _FLUSH:
            self._flush()
        self._pending += len(ids)
        warm().tally(self._counts, lines, is_new, is_counted, is_first)
        warm().add_rows(self._open[0], lines, people, self._rows, is_counted)
        warm().add_rows(self._open[1], lines, people, self._rows, is_first)
        new = int(is_new.sum())
        return Counted(
            impressions=new,
            duplicates=len(ids) - new,
            uncounted=new - int(is_counted.sum()),
        )

    def _flush(self) -> None:
        """From narrow sums, which the cache holds twice as many of, to wide ones."""
        self._sums += self._open
        self._open[:] = 0
        self._pending = 0

    def _new(self, ids: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which ids did not come before. 0 is an empty place of the table, so it is noted apart."""
        is_new = np.ones(len(ids), np.bool_)
        zeros = np.flatnonzero(ids == 0)
        is_new[zeros] = False
        self._ids.admit(ids, is_new)
        if len(zeros) and not self._has_zero_id:
            self._has_zero_id = True
            is_new[zeros[0]] = True
        return is_new


def predicted(
    cells: NDArray[np.int32], mix: NDArray[np.float64], *, block: int = 4096
) -> NDArray[np.float64]:
    """[ads, K] the groups that wins by cluster [ads, clusters] would have at P(group | cluster).

    It costs no privacy: the wins carry no group, and ``mix`` [clusters, K] was released before.
    """
    found = np.empty((len(cells), mix.shape[1]))
    for at in range(0, len(cells), block):
        found[at : at + block] = cells[at : at + block].astype(np.float64) @ mix
    return found
