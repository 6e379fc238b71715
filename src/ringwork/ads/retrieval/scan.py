"""The best ads of a request: words of bitmaps intersected in order, survivors scored in integers.

The order is by (tier, score) descending, then ad id ascending, exactly (ads specification 3.12). The
scan of the base ends at the first word none of whose ads could reach the last kept score, so that
what is behind it was not looked at and cannot matter.

Two implementations with one meaning: compiled (numba, the extra ``fast``), and NumPy.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.ads.retrieval.dimensions import ADMIT, ADS, ANY, CAMPAIGNS, OF, REASONS, STATE
from ringwork.ads.retrieval.table import Ints, Numbers, Table, Words

TIER_SHIFT: Final = 56
"""A score is below 2**56: a value is at most 10**15, a quality at most 10."""
FOUND_WIDTH: Final = 6
"""Columns of what is found: key, position, bid after pacing, p, score, handle."""
BY_DURATION: Final = -1
DURATION_MAX_S: Final = 3600
QUERY_MAX: Final = 4096
"""Numbers in a query; whoever makes it bounds its lists long before."""


class Found(Struct, gc=False):
    """What a scan brings back."""

    best: list[list[int]]
    """Best first, in the columns named above."""
    counts: list[int]
    """For each reason how many ads it was the first to keep out; then how many nothing excludes,
    and how many live ads were looked at."""

    @property
    def eligible(self) -> int:
        return self.counts[-2]

    @property
    def scanned(self) -> int:
        return self.counts[-1]

    @property
    def excluded(self) -> dict[str, int]:
        """The first reason that kept an ad out -> how many it kept out."""
        return {REASONS[code]: count for code, count in enumerate(self.counts[:-2]) if count}


class Plan:
    """The arrays of a table and its campaigns, where a scan finds them, and room for its result.

    Make a new one when any of the arrays was replaced (``is_current``). Not for two scans at once.
    """

    def __init__(self, table: Table, campaigns: Ints, p_ppb: Ints, *, most: int) -> None:
        """``p_ppb``: by pricing, the probability of what it charges for. ``most``: to be found."""
        self.table = table
        self._found: Ints = np.zeros((most, FOUND_WIDTH), np.int64)
        self._counts: Ints = np.zeros(len(REASONS) + 2, np.int64)
        self.arrays = (
            table.where, table.rows, table.listed, table.list_words, table.list_bits, table.bounds,
            table.tail_rows, table.state, table.ads, table.ids, campaigns, p_ppb,
        )  # fmt: skip
        self._compiled = _compiled()
        self._room: Numbers = np.zeros(QUERY_MAX, np.int32)
        self._addresses: Ints = np.zeros(64, np.int64)
        self._places: Ints = np.zeros(QUERY_MAX, np.int64)
        self.floors: Ints = np.zeros(DURATION_MAX_S + 1, np.int64)
        """Duration in seconds -> its floor, for slots whose floor depends on it."""
        every: tuple[NDArray[np.generic], ...] = (
            *self.arrays,
            self._found,
            self._counts,
            self._room,
            self.floors,
            self._places,
        )
        for number, array in enumerate(every):
            assert array.flags.c_contiguous, "the compiled scan reads them by address"
            shape = array.shape if len(array.shape) == 2 else (*array.shape, 0)
            self._addresses[number * 3 : number * 3 + 3] = (array.ctypes.data, *shape)
        self._address = int(self._addresses.ctypes.data)

    def is_current(self, table: Table, campaigns: Ints) -> bool:
        """Whether the arrays are still those that the plan was made of."""
        arrays = self.arrays
        return (
            table is self.table
            and table.where is arrays[0]
            and table.tail_rows is arrays[6]
            and campaigns is arrays[10]
        )

    def scan(self, clauses: Sequence[int], *, floor_nanos: int, wanted: int) -> Found:
        """The ``wanted`` best ads that the clauses leave and that are worth the floor.

        A house ad needs no worth. ``BY_DURATION`` for a floor takes those in ``floors``.
        """
        if len(clauses) > QUERY_MAX:
            raise ValueError(f"a query has at most {QUERY_MAX} numbers, this one {len(clauses)}")
        if self._compiled is None:
            best, counts = scan_with_numpy(
                query_of(clauses), *self.arrays, self.floors, floor_nanos, wanted
            )
            return Found(best.tolist(), counts.tolist())
        query = array("i", clauses)
        address, length = query.buffer_info()
        kept = self._compiled(self._address, address, length, floor_nanos, wanted)
        return Found(self._found[:kept].tolist(), self._counts.tolist())


def query_of(clauses: Sequence[int]) -> Numbers:
    """Clauses as the scan takes them."""
    return np.array(clauses, np.int32)


@cache
def _compiled() -> Callable[[int, int, int, int, int], int] | None:
    try:
        from ringwork.ads.retrieval.scan_kernel import scan_kernel  # noqa: PLC0415  # numba: slow
    except ImportError:
        return None
    compiled: Callable[[int, int, int, int, int], int] = scan_kernel
    return compiled


def scores(
    ads: Ints, campaigns: Ints, p_ppb: Ints, *, paced: bool
) -> tuple[Ints, Ints, Ints, Ints]:
    """(bid, p, value, score) of ads, each an array; without pacing it is the most they could bid.

    Every product is split so that it stays exact in 64 bits.
    """
    campaign = ads[:, 0]
    bid = campaigns[campaign, 0]
    if paced:
        bid = bid // 1_000_000 * campaigns[campaign, 1] + (
            bid % 1_000_000 * campaigns[campaign, 1] // 1_000_000
        )
        bid = np.minimum(bid, campaigns[campaign, 2])
    p = p_ppb[ads[:, 2]]
    value = bid // 10**9 * p + bid % 10**9 * p // 10**9
    quality = ads[:, 1]
    score = value // 10**6 * quality + value % 10**6 * quality // 10**6
    return bid, p, value, score


def bounds_of(ads: Ints, campaigns: Ints, p_ppb: Ints) -> Ints:
    """The key that each ad cannot pass: its tier and its score at its whole bid."""
    *_, score = scores(ads, campaigns, p_ppb, paced=False)
    return (ads[:, 3] << TIER_SHIFT) + score


def scan_with_numpy(
    query: Numbers,
    where: Numbers,
    rows: Words,
    listed: Numbers,
    list_words: Numbers,
    list_bits: Words,
    bounds: Ints,
    tail_rows: Words,
    state: Words,
    ads: Ints,
    ids: Words,
    campaigns: Ints,
    p_ppb: Ints,
    floors: Ints,
    floor_nanos: int,
    wanted: int,
) -> tuple[Ints, Ints]:
    """The scan without a compiler: the same answer, bit for bit."""
    base_words = len(bounds)

    def named(values: Numbers) -> Words:
        """The bitmap of the ads that name any of the values."""
        bits = np.zeros(state.shape[1], np.uint64)
        for value in values:
            if value < len(tail_rows):
                bits[base_words:] |= tail_rows[value]
            place = int(where[value]) if value < len(where) else -1
            if place >= 0:
                bits[:base_words] |= rows[place]
            elif place < -1:
                listing = slice(listed[-2 - place], listed[-1 - place])
                bits[list_words[listing]] |= list_bits[listing]
        return bits

    left = state[0].copy()
    lost = np.zeros((len(REASONS), len(left)), np.uint64)
    at = 0
    while at < len(query):
        reason, kind, values = query[at], query[at + 1], query[at + 3 : at + 3 + query[at + 2]]
        at += 3 + len(values)
        if kind == ANY:
            admitted = named(values)
        elif kind == ADMIT:
            admitted = ~named(values[:1]) | named(values[1:])
        elif kind == STATE:
            admitted = state[values[0]]
        elif kind == CAMPAIGNS:
            admitted = _bits(~np.isin(ads[:, 0], values))
        elif kind == OF:
            admitted = _bits(np.isin(ads[:, 0], values))
        elif kind == ADS:
            admitted = _bits(~np.isin(ads[:, 4], values))
        else:
            admitted = ~named(values)
        lost[reason] |= left & ~admitted
        left = left & admitted
    positions = np.flatnonzero(np.unpackbits(left.view(np.uint8), bitorder="little"))
    chosen = ads[positions]
    bid, p, value, score = scores(chosen, campaigns, p_ppb, paced=True)
    floor = floors[chosen[:, 5]] if floor_nanos == BY_DURATION else floor_nanos
    fits = ((value >= floor) | (chosen[:, 3] == 0)) & (score > 0)
    lost[-1] |= _bits(np.isin(np.arange(len(ads)), positions[~fits]))
    key = (chosen[:, 3] << TIER_SHIFT) + score
    found = np.stack((key, positions, bid, p, score, chosen[:, 4]), axis=1)[fits]
    # Best first: ids compare as numbers, the first word counts most, so it is the last sort key.
    order = np.lexsort((*ids[found[:, 1]].T[::-1], -found[:, 0]))
    in_tail = found[found[:, 1] >= base_words << 6]
    scanned = _scanned(in_tail[:, 0], found[order], bounds, wanted)
    looked_at = np.arange(len(left)) >= base_words
    looked_at[:scanned] = True
    counts = np.bitwise_count(lost[:, looked_at]).sum(axis=1, dtype=np.int64)
    live = int(np.bitwise_count(state[0, looked_at]).sum())
    return found[order[:wanted]], np.append(counts, (live - counts.sum(), live))


def _scanned(tail_keys: Ints, found: Ints, bounds: Ints, wanted: int) -> int:
    """How many words of the base are looked at before none can matter any more."""
    if not len(bounds):
        return 0
    base = np.sort(found[found[:, 1] < len(bounds) << 6, 1])
    key_of = dict(zip(found[:, 1].tolist(), found[:, 0].tolist(), strict=True))
    kept = sorted(tail_keys.tolist(), reverse=True)[:wanted]
    at = 0
    for word, bound in enumerate(bounds.tolist()):
        if len(kept) == wanted and bound < kept[-1]:
            return word
        while at < len(base) and base[at] >> 6 == word:
            kept = sorted((*kept, key_of[int(base[at])]), reverse=True)[:wanted]
            at += 1
    return len(bounds)


def _bits(flags: NDArray[np.bool_]) -> Words:
    """Flags, a multiple of 64 of them, as a bitmap."""
    return np.packbits(flags, bitorder="little").view(np.uint64)
