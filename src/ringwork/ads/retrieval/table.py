"""The live ads as columns and bitmaps: a base in the order of what each could bid, and a tail.

The base is laid out once and only loses ads; whatever comes or changes meanwhile is in the tail,
which every request searches whole. ``merged`` lays both out anew, and may do so in another thread:
it reads what never changes.

Position i is bit ``i & 63`` of word ``i >> 6``. A value that many ads of the base name has a bitmap
of its own, any other the short list of words in which it occurs; in the tail all have bitmaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Numbers = NDArray[np.int32]
Words = NDArray[np.uint64]
Floats = NDArray[np.float64]

CAMPAIGN: Final = 0
QUALITY: Final = 1
PRICING: Final = 2
TIER: Final = 3
HANDLE: Final = 4
DURATION: Final = 5
WIDTH: Final = 6
"""The members of an ad: what its score and its floor are computed from, and its owner's number for
it."""
BID: Final = 0
PACE: Final = 1
LIMIT: Final = 2
CAMPAIGN_WIDTH: Final = 3
"""The members of a campaign: its bid in nanos, the share of it that pacing lets it bid, in 1e-6,
and the most that it can still pay."""

PRICINGS: Final = 5
CODES: Final = 2 * PRICINGS
"""An ad's ``PRICING`` is the number of its pricing, of a special ad (``Campaign.is_special``) that
number and ``PRICINGS``: what is charged for is as likely for the one as for the other, but is
predicted from other features."""
HEADS: Final = 4
"""What a response model predicts (``scoring``)."""
TAIL_WORDS: Final = 32
"""2,048 ads may wait to be merged: searching them costs a request about a microsecond."""
ID_WORDS: Final = 8
"""An id has at most 64 characters."""

PRESENT: Final = 0
RUNNING: Final = 1
FUNDED: Final = 2
"""The rows of ``state``: exists; is within its schedule; can pay one more of its bids."""


class Table:
    """What a scan reads. ``ads``, ``ids``, ``keys``, ``logits`` and ``rows`` go by position.

    The base has a segment of whole words for each code: within one, a request's circumstances
    raise or lower what all could score alike (``scoring``), so that the order stays one of bounds.
    """

    def __init__(self, content: Content, bounds: Ints, logits: Floats | None) -> None:
        """Lay out a base of ``content``, each code in descending order of ``bounds``.

        ``logits``: of each head and ad, where there is a model. The tail is empty.
        """
        ads = content.ads
        self.base_count = len(ads)
        self.order: Ints = np.lexsort((-bounds, ads[:, PRICING]))
        """Rank in the base -> where the ad was in ``content``."""
        per_segment = np.bincount(ads[:, PRICING], minlength=CODES)
        segment_words = per_segment + 63 >> 6
        last = np.cumsum(segment_words)
        self.segments: Ints = np.stack((last - segment_words, last), axis=1)
        """Code -> its first word, and the word after its last."""
        self.base_words = int(last[-1])
        begins = np.cumsum(per_segment) - per_segment
        pricing = ads[self.order, PRICING]
        self.place: Ints = np.arange(len(ads)) - begins[pricing] + (self.segments[pricing, 0] << 6)
        """Rank in the base -> position."""
        words = self.base_words + TAIL_WORDS
        self.ads: Ints = np.zeros((words << 6, WIDTH), np.int64)
        self.ads[self.place] = ads[self.order]
        self.ids: Words = np.zeros((words << 6, ID_WORDS), np.uint64)
        self.ids[self.place] = content.ids[self.order]
        self.keys: Ints = np.zeros((words << 6, content.keys.shape[1]), np.int64)
        self.keys[self.place] = content.keys[self.order]
        self.logits: Floats = np.zeros((HEADS, words << 6), np.float64)
        if logits is not None:
            self.logits[:, self.place] = logits[:, self.order]
        self.values = content.values.taken(self.order)
        self.bounds: Ints = np.zeros(self.base_words, np.int64)
        """Word of the base -> the most that any of its ads could score."""
        np.maximum.at(self.bounds, self.place >> 6, bounds[self.order])
        self.state: Words = np.zeros((3, words), np.uint64)
        self.state[PRESENT, : self.base_words] = self.flags(np.ones(len(ads), np.bool_))
        self.where, self.rows, self.listed, self.list_words, self.list_bits = _laid_out(
            self.values, self.place, self.base_words
        )
        self.tail_rows: Words = np.zeros((max(self.values.count, 64), TAIL_WORDS), np.uint64)
        self.tail_values: list[Sequence[int]] = []

    def flags(self, is_on: NDArray[np.bool_]) -> Words:
        """A bitmap of the base from a flag for each rank."""
        bits = np.zeros(self.base_words << 6, np.uint8)
        bits[self.place] = is_on
        return np.packbits(bits, bitorder="little").view(np.uint64)

    @property
    def room(self) -> int:
        """How many more ads the tail can take."""
        return (TAIL_WORDS << 6) - len(self.tail_values)

    def append(
        self,
        ad: Sequence[int],
        id: str,
        values: Sequence[int],
        known: int,
        keys: Ints | None = None,
        logits: Floats | None = None,
    ) -> int:
        """Add an ad to the tail; its position. ``known``: how many values there are by now."""
        assert self.room, "merge before the tail is full"
        number = len(self.tail_values)
        position = (self.base_words << 6) + number
        self._know(known)
        self.ads[position] = ad
        self.ids[position] = words_of(id)
        if keys is not None:
            self.keys[position] = keys
        if logits is not None:
            self.logits[:, position] = logits
        self.tail_values.append(values)
        self.tail_rows[values, number >> 6] |= np.uint64(1 << (number & 63))
        self.set(PRESENT, position, is_on=True)
        return position

    def _know(self, known: int) -> None:
        have = len(self.tail_rows)
        if known > have:
            grown = np.zeros((known * 2, TAIL_WORDS), np.uint64)
            grown[:have] = self.tail_rows
            self.tail_rows = grown
        if known > len(self.where):  # no ad of the base names a value that is newer than it
            longer = np.full(known * 2, -1, np.int32)
            longer[: len(self.where)] = self.where
            self.where = longer

    def present(self) -> Ints:
        """The positions of all live ads, ascending."""
        return np.flatnonzero(np.unpackbits(self.state[PRESENT].view(np.uint8), bitorder="little"))

    def is_on(self, row: int, position: int) -> bool:
        """A member of ``state``."""
        return bool(int(self.state[row, position >> 6]) >> (position & 63) & 1)

    def set(self, row: int, position: int, *, is_on: bool) -> None:
        """Switch a member of ``state``."""
        bit = np.uint64(1 << (position & 63))
        if is_on:
            self.state[row, position >> 6] |= bit
        else:
            self.state[row, position >> 6] &= ~bit


class Content:
    """The ads that a table is made of, in any order."""

    __slots__ = ("ads", "ids", "keys", "values")

    def __init__(self, ads: Ints, ids: Words, keys: Ints, values: Values) -> None:
        """``keys``: what a model knows each ad by (``rank.features``)."""
        self.ads = ads
        self.ids = ids
        self.keys = keys
        self.values = values


class Values:
    """Which numbers each ad names, ad after ad."""

    __slots__ = ("count", "numbers", "start")

    def __init__(self, numbers: Numbers, start: Ints, count: int) -> None:
        """Ad i names ``numbers[start[i] : start[i + 1]]``, all below ``count``."""
        self.numbers = numbers
        self.start = start
        self.count = count

    @classmethod
    def of(cls, named: Sequence[Sequence[int]], count: int) -> Values:
        """From a list for each ad."""
        start = np.zeros(len(named) + 1, np.int64)
        np.cumsum([len(one) for one in named], out=start[1:])
        flat = [number for one in named for number in one]
        return cls(np.array(flat, np.int32), start, count)

    def taken(self, order: Ints) -> Values:
        """Those of the ads in ``order``."""
        lengths = (self.start[1:] - self.start[:-1])[order]
        start = np.zeros(len(order) + 1, np.int64)
        np.cumsum(lengths, out=start[1:])
        from_ = np.repeat(self.start[:-1][order] - start[:-1], lengths) + np.arange(start[-1])
        return Values(self.numbers[from_], start, self.count)

    def joined(self, more: Sequence[Sequence[int]], count: int) -> Values:
        """These and ``more``."""
        added = Values.of(more, count)
        start = np.concatenate((self.start, added.start[1:] + self.start[-1]))
        return Values(np.concatenate((self.numbers, added.numbers)), start, count)


def words_of(id: str) -> Words:
    """An id as numbers that compare like its text (ASCII, at most 64 characters)."""
    return np.frombuffer(id.encode().ljust(8 * ID_WORDS, b"\0"), ">u8").astype(np.uint64)


def _laid_out(
    values: Values, place: Ints, words: int
) -> tuple[Numbers, Words, Numbers, Numbers, Words]:
    """Where each value's ads are: (place, bitmaps, list ends, words of lists, bits of lists).

    The place of a value is the number of its bitmap, or ``-2 - k`` for the k-th list, or -1 where
    no ad names it.
    """
    position = np.repeat(place, values.start[1:] - values.start[:-1])
    # One entry for each (value, word) that occurs, in this order, its bits put together: positions
    # ascend with the rank, and the sort keeps them so within a value.
    order = np.argsort(values.numbers, kind="stable")
    number = values.numbers[order].astype(np.int64)
    position = position[order]
    word = position >> 6
    bit = np.left_shift(np.uint64(1), (position & 63).astype(np.uint64))
    begins = np.flatnonzero(np.diff(number * (words + 1) + word, prepend=-1))
    bits = np.bitwise_or.reduceat(bit, begins) if len(bit) else bit
    number, word = number[begins], word[begins]
    entries = np.bincount(number, minlength=values.count)
    # A list entry takes 12 bytes and a step, a word of a bitmap 8: values of few ads are lists.
    is_dense = entries * 4 > words
    found = np.full(values.count, -1, np.int32)
    found[is_dense] = np.arange(is_dense.sum())
    is_listed = (entries > 0) & ~is_dense
    found[is_listed] = -2 - np.arange(is_listed.sum())
    rows = np.zeros((int(is_dense.sum()), words), np.uint64)
    in_rows = is_dense[number]
    rows[found[number[in_rows]], word[in_rows]] = bits[in_rows]
    in_lists = ~in_rows
    ends = np.zeros(int(is_listed.sum()) + 1, np.int32)
    np.cumsum(entries[is_listed], out=ends[1:])
    return found, rows, ends, word[in_lists].astype(np.int32), bits[in_lists]
