"""The features of everybody in a log, by address and agent: what a model is trained and run on."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, Protocol
from zlib import crc32

import numpy as np

from ringwork.gate.analyse.columns import REFERRER
from ringwork.gate.analyse.features import (
    HAS_QUERY,
    HAS_REFERRER,
    IS_HEAD,
    IS_PAGE,
    IS_POST,
    REALS,
    REQUESTS,
    WHOLES,
    derive,
)
from ringwork.gate.analyse.targets import Mark, path_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ringwork.gate.analyse.agents import Agent
    from ringwork.gate.analyse.coded import Coded
    from ringwork.gate.analyse.engine import Engine

    Longs = NDArray[np.int64]

PAIRS_MAX: Final = 1 << 20
"""Pairs with a row of state, half a gigabyte; those that come later are counted, not observed."""
READ_MAX: Final = 8_000_000
"""Different (pair, page) that are kept, 64 MB; those that come later are not looked at."""
_COMPACT_AT: Final = 1 << 20
_PAGE_BITS: Final = 32
_FIRST_ROOM: Final = 1024


class Observe(Protocol):
    """``features_compiled.observe`` or its twin."""

    def __call__(
        self, rows: Longs, lines: Longs, real: NDArray[np.float64], whole: Longs
    ) -> None: ...


@functools.cache
def warm_observe() -> Observe:
    """Compiled where numba is installed, else plain."""
    try:
        from ringwork.gate.analyse import features_compiled  # noqa: PLC0415 # numba when it is used
    except ModuleNotFoundError as missing:
        if missing.name != "numba":
            raise
        from ringwork.gate.analyse import features_plain  # noqa: PLC0415

        return features_plain.observe
    return features_compiled.observe


class Behaviour:
    """Rows of state for pairs of actor number and agent."""

    def __init__(self, *, pairs_max: int = PAIRS_MAX, observe: Observe | None = None) -> None:
        self.pairs: list[tuple[int, bytes]] = []
        """The actor's number and the agent (as long as actors keep it) of every row."""
        self.left_out = 0
        self._max = pairs_max
        self._rows: dict[tuple[int, int], int] = {}
        self._real = np.zeros((_FIRST_ROOM, REALS))
        self._whole = np.zeros((_FIRST_ROOM, WHOLES), np.int64)
        self._read: Longs = np.zeros(0, np.int64)
        self._fresh: list[Longs] = []
        self._waiting = 0
        self._observe = warm_observe() if observe is None else observe

    def take(self, coded: Coded, numbers: Longs, engine: Engine) -> None:
        """The requests of a block; lines of error logs are none."""
        columns, seen = coded.columns, coded.seen
        marks = np.array([crc32(text) for text, _ in coded.agents], np.int64)
        kept = np.flatnonzero(seen.is_access)
        rows = self._rows_of(numbers[kept], coded.agent_codes[kept], coded.agents, marks)
        is_observed = rows >= 0
        self.left_out += int(len(rows) - is_observed.sum())
        codes, firsts = engine.encode(columns, REFERRER)
        referrers = np.array(
            [crc32(path_of(coded.text(row, REFERRER))) for row in firsts.tolist()], np.int64
        )
        flags = (
            np.where(seen.has(Mark.STATIC), 0, IS_PAGE)
            | np.where(seen.is_head, IS_HEAD, 0)
            | np.where(seen.is_post, IS_POST, 0)
            | np.where(columns.ends[:, REFERRER] > columns.starts[:, REFERRER], HAS_REFERRER, 0)
            | np.where(seen.has(Mark.QUERY), HAS_QUERY, 0)
        )
        facts = np.array(
            [(one.path_mark, one.folder_mark, one.depth, one.entity) for one in coded.targets],
            np.int64,
        )[coded.target_codes]
        lines = np.column_stack((
            columns.ts_us, columns.status, columns.size, flags, facts[:, 0], facts[:, 1],
            referrers[codes], facts[:, 2], facts[:, 3], marks[coded.agent_codes],
            np.zeros(len(columns), np.int64),
        )).astype(np.int64)  # fmt: skip
        self._note_pages(rows[is_observed], lines[kept[is_observed]])
        self._observe(
            rows[is_observed],
            np.ascontiguousarray(lines[kept[is_observed]]),
            self._real,
            self._whole,
        )

    def pages(self) -> tuple[Longs, Longs]:
        """Which row read which page, each pair once; only pages that came without a referrer."""
        self._compact()
        return self._read >> _PAGE_BITS, self._read & ((1 << _PAGE_BITS) - 1)

    def agent_codes(self) -> Longs:
        """A number for the agent of every row."""
        codes: dict[bytes, int] = {}
        return np.array([codes.setdefault(agent, len(codes)) for _, agent in self.pairs], np.int64)

    def features(self) -> NDArray[np.float32]:
        """float32[pairs, 40], named by ``features.FEATURES``."""
        count = len(self.pairs)
        return derive(self._real[:count], self._whole[:count])

    def requests(self) -> Longs:
        """How many requests each row has seen."""
        return self._whole[: len(self.pairs), REQUESTS].copy()

    def _note_pages(self, rows: Longs, lines: Longs) -> None:
        flags, page = lines[:, 3], lines[:, 4]
        bare = flags & (IS_PAGE | HAS_REFERRER) == IS_PAGE
        keys = np.unique((rows[bare] << _PAGE_BITS) | page[bare])
        self._fresh.append(keys)
        self._waiting += len(keys)
        if self._waiting >= _COMPACT_AT:
            self._compact()

    def _compact(self) -> None:
        if len(self._read) < READ_MAX and self._fresh:
            self._read = np.union1d(self._read, np.concatenate(self._fresh))[:READ_MAX]
        self._fresh, self._waiting = [], 0

    def _rows_of(
        self,
        numbers: Longs,
        agent_codes: Longs,
        agents: list[tuple[bytes, Agent]],
        marks: Longs,
    ) -> Longs:
        pairs, inverse = np.unique(numbers * len(agents) + agent_codes, return_inverse=True)
        rows = []
        for pair in pairs.tolist():
            number, code = divmod(pair, len(agents))
            key = (number, int(marks[code]))
            row = self._rows.get(key, -1)
            if row < 0 and len(self.pairs) < self._max:
                row = self._rows[key] = len(self.pairs)
                self.pairs.append((number, agents[code][0]))
            rows.append(row)
        self._room()
        return np.array(rows, np.int64)[inverse]

    def _room(self) -> None:
        size = len(self._real)
        if len(self.pairs) <= size:
            return
        more = max(len(self.pairs), 2 * size) - size
        self._real = np.concatenate((self._real, np.zeros((more, REALS))))
        self._whole = np.concatenate((self._whole, np.zeros((more, WHOLES), np.int64)))
