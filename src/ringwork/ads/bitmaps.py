"""Sets of ads as Python integers: bit i is ad i, and one machine operation serves 30 ads.

A value that few ads name is kept as a short list of their numbers, so that memory grows with what
is named and not with ads times values.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Final

_SPARSE: Final = 8
"""A list of up to this many ads costs less than a bitmap of all."""
_BLOCK: Final = 128
"""Ads per stored bitmap of a threshold: memory against the ads that are added one by one."""


def bitmap(numbers: Iterable[int], size: int) -> int:
    """The set of ``numbers``, each below ``size``."""
    row = bytearray(size + 7 >> 3)
    for number in numbers:
        row[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(row, "little")


def numbers(bits: int) -> Iterator[int]:
    """The members of a set in ascending order."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


class Values:
    """Which ads name which value of one dimension, and which name none at all."""

    __slots__ = ("_bitmaps", "_lists", "unnamed")

    def __init__(self, named: Sequence[Collection[Hashable]]) -> None:
        """``named[i]``: the values that ad i names."""
        by_value: dict[Hashable, list[int]] = {}
        for number, values in enumerate(named):
            for value in values:
                by_value.setdefault(value, []).append(number)
        size = len(named)
        self._lists = {value: ads for value, ads in by_value.items() if len(ads) <= _SPARSE}
        self._bitmaps = {
            value: bitmap(ads, size) for value, ads in by_value.items() if len(ads) > _SPARSE
        }
        self.unnamed = bitmap((i for i, values in enumerate(named) if not values), size)
        """The ads that name no value."""

    def naming(self, values: Iterable[Hashable]) -> int:
        """The ads that name any of ``values``."""
        found = 0
        for value in values:
            bits = self._bitmaps.get(value)
            if bits is not None:
                found |= bits
            else:
                for number in self._lists.get(value, ()):
                    found |= 1 << number
        return found

    def admitting(self, values: Iterable[Hashable]) -> int:
        """The ads that name any of ``values``, or none at all: the ads that do not exclude them."""
        return self.unnamed | self.naming(values)


class Threshold:
    """The ads whose number is at least something, for any something."""

    __slots__ = ("_blocks", "_descending", "_order")

    def __init__(self, amounts: Mapping[int, int], size: int) -> None:
        """``amounts``: ad -> its amount; the ads that have none pass every threshold."""
        self._order = sorted(amounts, key=lambda ad: -amounts[ad])
        self._descending = [-amounts[ad] for ad in self._order]
        every = bitmap((ad for ad in range(size) if ad not in amounts), size)
        self._blocks = [every]
        for start in range(0, len(self._order), _BLOCK):
            every |= bitmap(self._order[start : start + _BLOCK], size)
            self._blocks.append(every)

    def at_least(self, amount: int) -> int:
        """The ads with that amount or more, and those without one."""
        count = bisect_right(self._descending, -amount)
        bits = self._blocks[count // _BLOCK]
        for ad in self._order[count - count % _BLOCK : count]:
            bits |= 1 << ad
        return bits
