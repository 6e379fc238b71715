"""The best ads of a request: words of bitmaps intersected in order, survivors scored in integers.

The order is by (tier, score) descending, then ad id ascending, exactly (ads specification 3.12).
The scan of the base ends at the first word none of whose ads could reach the last kept score, so
that what is behind it was not looked at and cannot matter.

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

from ringwork.ads.rank.engine import warm
from ringwork.ads.rank.features import CROSS_COUNT
from ringwork.ads.retrieval.dimensions import ADMIT, ADS, ANY, CAMPAIGNS, OF, REASONS, STATE
from ringwork.ads.retrieval.scoring import Circumstances, Scorer
from ringwork.ads.retrieval.table import HEADS, PRICINGS, Floats, Ints, Numbers, Table, Words

TIER_SHIFT: Final = 56
"""A score is below 2**56: a value is at most 10**15, a quality at most 10."""
SCORE_MAX: Final = (1 << TIER_SHIFT) - 1
ONE_PPB: Final = 10**9
FOUND_WIDTH: Final = 6
"""Columns of what is found: key, position, bid after pacing, p, score, handle."""
Weights = NDArray[np.float32]
_NOTHING: Final[Weights] = np.zeros((HEADS, 1), np.float32)
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

    def with_turns(self, best: list[list[int]], taken: int, reason: int) -> Found:
        """The same with ``taken`` ads in ``best`` that ``reason`` kept out, if anybody looked."""
        counts = self.counts.copy()
        counted = min(counts[reason], taken)
        counts[reason] -= counted
        counts[-2] += taken
        counts[-1] += taken - counted
        return Found(best, counts)

    @property
    def excluded(self) -> dict[str, int]:
        """The first reason that kept an ad out -> how many it kept out."""
        return {REASONS[code]: count for code, count in enumerate(self.counts[:-2]) if count}


class Plan:
    """The arrays of a table and its campaigns, where a scan finds them, and room for its result.

    Make a new one when any of the arrays was replaced (``is_current``). Not for two scans at once.
    """

    def __init__(
        self, table: Table, campaigns: Ints, p_ppb: Ints, scorer: Scorer | None, *, most: int
    ) -> None:
        """``p_ppb``: by pricing, the probability of what it charges for, where no model says it.

        ``most`` are to be found.
        """
        self.table = table
        self.campaigns = campaigns
        self.scorer = scorer
        self._found: Ints = np.zeros((most, FOUND_WIDTH), np.int64)
        self._counts: Ints = np.zeros(len(REASONS) + 2, np.int64)
        self.floors: Ints = np.zeros(DURATION_MAX_S + 1, np.int64)
        """Duration in seconds -> its floor, for slots whose floor depends on it."""
        unmodelled = scorer is None
        self.responses = Responses(
            p_ppb if unmodelled else np.full(len(p_ppb), ONE_PPB, np.int64),
            _NOTHING if scorer is None else scorer.weights,
            np.ones((HEADS, 1), np.int64) if scorer is None else scorer.tables,
            np.zeros(HEADS) if scorer is None else scorer.clips,
            np.full((len(p_ppb), 2), -1) if scorer is None else scorer.pricing_heads,
        )
        self.arrays: tuple[NDArray[np.generic], ...] = (
            table.where, table.rows, table.listed, table.list_words, table.list_bits, table.bounds,
            table.tail_rows, table.state, table.ads, table.ids, campaigns, self.responses.p_ppb,
        )  # fmt: skip
        every: tuple[NDArray[np.generic], ...] = (
            *self.arrays, self._found, self._counts, np.zeros(QUERY_MAX, np.int32), self.floors,
            np.zeros(QUERY_MAX, np.int64), table.segments, table.keys, table.logits,
            *self.responses.arrays(),
        )  # fmt: skip
        self._kept = every
        self._compiled = _compiled()
        self._addresses: Ints = np.zeros(96, np.int64)
        for number, one in enumerate(every):
            assert one.flags.c_contiguous, "the compiled scan reads them by address"
            shape = one.shape if len(one.shape) == 2 else (*one.shape, 0)
            self._addresses[number * 3 : number * 3 + 3] = (one.ctypes.data, *shape)
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

    def scan(
        self,
        clauses: Sequence[int],
        *,
        floor_nanos: int,
        wanted: int,
        circumstances: Circumstances | None = None,
    ) -> Found:
        """The ``wanted`` best ads that the clauses leave and that are worth the floor.

        A house ad needs no worth. ``BY_DURATION`` for a floor takes those in ``floors``.
        ``circumstances`` are the request's for the model, where there is one.
        """
        if len(clauses) > QUERY_MAX:
            raise ValueError(f"a query has at most {QUERY_MAX} numbers, this one {len(clauses)}")
        if circumstances is not None:
            self.responses.take(circumstances)
        if self._compiled is None:
            best, counts = scan_with_numpy(query_of(clauses), self, floor_nanos, wanted)
            return Found(best.tolist(), counts.tolist())
        query = array("i", clauses)
        address, length = query.buffer_info()
        kept = self._compiled(self._address, address, length, floor_nanos, wanted)
        return Found(self._found[:kept].tolist(), self._counts.tolist())


class Responses:
    """What a scan needs of the model, and of one request for it."""

    def __init__(
        self, p_ppb: Ints, weights: Weights, tables: Ints, clips: Floats, pricing_heads: Ints
    ) -> None:
        self.p_ppb = p_ppb
        self.weights = weights
        self.tables = tables
        self.clips = clips
        self.pricing_heads = pricing_heads
        self.own_logits: Floats = np.zeros((2, HEADS))
        self.crosses: Ints = np.zeros((2, CROSS_COUNT), np.int64)
        self.ratios: Floats = np.ones(len(p_ppb))

    def arrays(self) -> tuple[NDArray[np.generic], ...]:
        """In the order of the kernel."""
        return (
            self.weights, self.tables, self.clips, self.pricing_heads, self.own_logits,
            self.crosses, self.ratios,
        )  # fmt: skip

    def take(self, circumstances: Circumstances) -> None:
        """The next scan is of a request in these circumstances."""
        self.own_logits[:] = circumstances.logits
        self.crosses[:] = circumstances.crosses
        self.ratios[:] = circumstances.ratios

    def probabilities(self, table: Table, positions: Ints) -> Ints:
        """Of the ads at ``positions``, in 1e-9: what the kernel computes, ad by ad."""
        pricing = table.ads[positions, 2]
        p_ppb: Ints = self.p_ppb[pricing].copy()
        engine = warm()
        special = (pricing >= PRICINGS).astype(np.int64)
        for number, position in enumerate(positions.tolist()):
            own, crosses = self.own_logits[special[number]], self.crosses[special[number]]
            for head in self.pricing_heads[pricing[number]].tolist():
                if head < 0:
                    break
                crossed = engine.cross_logit(
                    table.keys[position, -CROSS_COUNT:], crosses, self.weights[head]
                )
                clip = float(self.clips[head])
                odds = (own[head] + table.logits[head, position]) + min(max(crossed, -clip), clip)
                p_ppb[number] = p_ppb[number] * engine.p_ppb(odds, self.tables[head]) // ONE_PPB
        return p_ppb


def query_of(clauses: Sequence[int]) -> Numbers:
    """Clauses as the scan takes them."""
    numbers: Numbers = np.array(clauses, np.int32)
    return numbers


@cache
def _compiled() -> Callable[[int, int, int, int, int], int] | None:
    try:
        from ringwork.ads.retrieval.scan_kernel import scan_kernel  # noqa: PLC0415  # numba: slow
    except ImportError:
        return None
    compiled: Callable[[int, int, int, int, int], int] = scan_kernel
    return compiled


def scores(ads: Ints, campaigns: Ints, p_ppb: Ints, *, paced: bool) -> tuple[Ints, Ints, Ints]:
    """(bid, value, score) of ads of probabilities ``p_ppb``.

    Without pacing it is the most they could bid. Every product is split so that it stays exact in
    64 bits.
    """
    campaign = ads[:, 0]
    bid = campaigns[campaign, 0]
    if paced:
        bid = bid // 1_000_000 * campaigns[campaign, 1] + (
            bid % 1_000_000 * campaigns[campaign, 1] // 1_000_000
        )
        bid = np.minimum(bid, campaigns[campaign, 2])
    value = bid // ONE_PPB * p_ppb + bid % ONE_PPB * p_ppb // ONE_PPB
    quality = ads[:, 1]
    score = value // 10**6 * quality + value % 10**6 * quality // 10**6
    return bid, value, score


def bounds_of(ads: Ints, campaigns: Ints, p_ppb: Ints) -> Ints:
    """The key that each ad cannot pass: its tier and its score at its whole bid.

    ``p_ppb``: of each ad, the most that its probability can be.
    """
    *_, score = scores(ads, campaigns, p_ppb, paced=False)
    return (ads[:, 3] << TIER_SHIFT) + score


def scan_with_numpy(query: Numbers, plan: Plan, floor_nanos: int, wanted: int) -> tuple[Ints, Ints]:
    """The scan without a compiler: the same answer, bit for bit."""
    table, campaigns = plan.table, plan.campaigns
    state, ads, bounds = table.state, table.ads, table.bounds
    left, lost = _narrowed(query, table)
    positions = np.flatnonzero(np.unpackbits(left.view(np.uint8), bitorder="little"))
    chosen = ads[positions]
    p_ppb = plan.responses.probabilities(table, positions)
    bid, value, score = scores(chosen, campaigns, p_ppb, paced=True)
    floor = plan.floors[chosen[:, 5]] if floor_nanos == BY_DURATION else floor_nanos
    fits = ((value >= floor) | (chosen[:, 3] == 0)) & (score > 0)
    lost[-1] |= _bits(np.isin(np.arange(len(ads)), positions[~fits]))
    key = (chosen[:, 3] << TIER_SHIFT) + score
    found = np.stack((key, positions, bid, p_ppb, score, chosen[:, 4]), axis=1)[fits]
    # Best first: ids compare as numbers, the first word counts most, so it is the last sort key.
    order = np.lexsort((*table.ids[found[:, 1]].T[::-1], -found[:, 0]))
    looked_at = _looked_at(found, table, plan.responses.ratios, wanted)
    counts = np.bitwise_count(lost[:, looked_at]).sum(axis=1, dtype=np.int64)
    live = int(np.bitwise_count(state[0, looked_at]).sum())
    assert len(bounds) <= len(looked_at)
    return found[order[:wanted]], np.append(counts, (live - counts.sum(), live))


def _narrowed(query: Numbers, table: Table) -> tuple[Words, Words]:  # noqa: C901  # a clause each
    """The ads that every clause admits, and for each reason those that it was the first to lose."""
    base_words, state, ads = table.base_words, table.state, table.ads

    def named(values: Numbers) -> Words:
        """The bitmap of the ads that name any of the values."""
        bits = np.zeros(state.shape[1], np.uint64)
        for value in values:
            if value < len(table.tail_rows):
                bits[base_words:] |= table.tail_rows[value]
            place = int(table.where[value]) if value < len(table.where) else -1
            if place >= 0:
                bits[:base_words] |= table.rows[place]
            elif place < -1:
                listing = slice(table.listed[-2 - place], table.listed[-1 - place])
                bits[table.list_words[listing]] |= table.list_bits[listing]
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
    return left, lost


def _looked_at(found: Ints, table: Table, ratios: Floats, wanted: int) -> NDArray[np.bool_]:
    """The words that are looked at before none can matter any more."""
    words, base_words = table.state.shape[1], table.base_words
    keys: dict[int, list[int]] = {}
    for key, position in found[:, :2].tolist():
        keys.setdefault(position >> 6, []).append(key)
    looked_at = np.zeros(words, np.bool_)
    looked_at[base_words:] = True
    tail = [key for word, some in keys.items() if word >= base_words for key in some]
    kept = sorted(tail, reverse=True)[:wanted]
    for (begin, end), ratio in zip(table.segments.tolist(), ratios.tolist(), strict=True):
        for word in range(begin, end):
            bound = int(table.bounds[word])
            if ratio != 1.0:
                score = bound & SCORE_MAX
                bound += int(min(float(score) * ratio + 2.0, float(SCORE_MAX - 64))) - score
            if len(kept) == wanted and bound < kept[-1]:
                break
            looked_at[word] = True
            kept = sorted((*kept, *keys.get(word, ())), reverse=True)[:wanted]
    return looked_at


def _bits(flags: NDArray[np.bool_]) -> Words:
    """Flags, a multiple of 64 of them, as a bitmap."""
    return np.packbits(flags, bitorder="little").view(np.uint64)
