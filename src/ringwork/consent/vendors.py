"""Sets of vendors, kept as they came: a bit field as one integer, ranges as ranges.

A few bytes can announce 4,095 ranges of 65,535 vendors each. Nothing here is ever expanded to ask
whether one vendor is in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from ringwork.consent.bits import u64_at, written
from ringwork.consent.errors import SignalError

VENDOR_MAX: Final = 65_535
_ONES: Final = re.compile("1+")
_number: Final = int.from_bytes  # big-endian

Run = tuple[int, int]
"""Vendors from the first to the last."""


class Vendors(Struct, frozen=True, gc=False, eq=False, rename="camel"):
    """A set of vendor ids: ``20 in vendors``, ``vendors.ranges()``."""

    max_id: int = 0
    """The largest id as the string gives it."""
    bits: int = 0
    """The bit field of ``max_id`` bits, vendor 1 leftmost; 0 where ``runs`` say it."""
    runs: tuple[Run, ...] = ()

    @classmethod
    def of(cls, runs: Iterable[Run]) -> Vendors:
        """A set by its ranges, which may touch or overlap."""
        joined = tuple(_joined(runs))
        return cls(joined[-1][1] if joined else 0, 0, joined)

    def __contains__(self, vendor_id: object) -> bool:
        return isinstance(vendor_id, int) and self.has(vendor_id)

    def __bool__(self) -> bool:
        return bool(self.bits or self.runs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vendors) and self.ranges() == other.ranges()

    def __hash__(self) -> int:
        return hash(self.ranges())

    def has(self, vendor_id: int) -> bool:
        """Whether the vendor is one of them; a loop, because this is asked on every request."""
        if self.bits:
            return 0 < vendor_id <= self.max_id and self.bits >> (self.max_id - vendor_id) & 1 == 1
        for first, last in self.runs:  # noqa: SIM110  # a generator costs more than the comparisons
            if first <= vendor_id <= last:
                return True
        return False

    def ranges(self) -> tuple[Run, ...]:
        """First and last of what follows without a gap, in order."""
        if self.runs:
            return tuple(_joined(self.runs))
        field = format(self.bits, f"0{self.max_id}b")
        return tuple((one.start() + 1, one.end()) for one in _ONES.finditer(field))

    def ids(self) -> list[int]:
        """Every vendor, 65,535 at most."""
        return [one for first, last in self.ranges() for one in range(first, last + 1)]


NOBODY: Final = Vendors()


def _joined(runs: Iterable[Run]) -> Iterator[Run]:
    first = last = 0
    for begin, end in sorted(runs):
        if not first:
            first, last = begin, end
        elif begin <= last + 1:
            last = max(last, end)
        else:
            yield first, last
            first, last = begin, end
    if first:
        yield first, last


def truncated(size: int, start: int) -> SignalError:
    """The bits end too early."""
    return SignalError("truncated", start + size, expected="more bits")


def read_vendors(data: bytes, at: int, size: int, start: int) -> tuple[Vendors, int]:
    """OptimizedIntRange: largest id, a flag, ranges or a bit field; and where it ends.

    ``size`` is the bit that the segment ends before, ``start`` what a bit of ``data`` is behind the
    same bit of the signal.
    """
    begin = at + 17
    if begin > size:
        raise truncated(size, start)
    (word,) = u64_at(data, at >> 3)
    head = word >> (47 - (at & 7))
    max_id = head >> 1 & 0xFFFF
    if head & 1:
        runs, end = read_runs(data, begin, size, start)
        return Vendors(max_id, 0, runs), end
    end = begin + max_id
    if end > size:
        raise truncated(size, start)
    if not max_id:
        return NOBODY, end
    field = _number(data[begin >> 3 : (end + 7) >> 3]) >> (-end & 7)
    return Vendors(max_id, field & (1 << max_id) - 1), end


def read_runs(data: bytes, at: int, size: int, start: int) -> tuple[tuple[Run, ...], int]:
    """Range(Int): a count and its entries; and where it ends."""
    if at + 12 > size:
        raise truncated(size, start)
    (word,) = u64_at(data, at >> 3)
    count = word >> (52 - (at & 7)) & 0xFFF
    at += 12
    if at + 17 * count > size:  # announced, but not there
        raise truncated(size, start)
    runs: list[Run] = []
    add = runs.append
    for _ in range(count):
        (word,) = u64_at(data, at >> 3)
        word >>= 31 - (at & 7)  # a flag, 16 bits, and 16 more where the flag is set
        first = last = word >> 16 & 0xFFFF
        if word & 0x1_0000_0000:
            last = word & 0xFFFF
            end = at + 33
        else:
            end = at + 17
        if end > size:
            raise truncated(size, start)
        if not 0 < first <= last:
            raise _no_run(first, start + at)
        add((first, last))
        at = end
    return tuple(runs), at


def _no_run(first: int, bit: int) -> SignalError:
    if not first:
        return SignalError("vendor id 0", bit + 1, expected="ids from 1 on")
    return SignalError("range end < start", bit + 17, expected=f"{first} or more")


def write_runs(runs: Iterable[Run]) -> str:
    """Range(Int)."""
    entries = [
        f"0{written(first, 16, 'vendor')}"
        if first == last
        else f"1{written(first, 16, 'vendor')}{written(last, 16, 'vendor')}"
        for first, last in runs
    ]
    return written(len(entries), 12, "number of ranges") + "".join(entries)


def write_field(runs: Iterable[Run]) -> str:
    """A bit for each vendor up to the largest."""
    field, end = [], 0
    for first, last in runs:
        field += ["0" * (first - end - 1), "1" * (last - first + 1)]
        end = last
    return "".join(field)


def range_is_used(runs: tuple[Run, ...], max_id: int) -> bool:
    """The rule of @iabtcf/core, which does not count the last entry, nor any up to vendor 45."""
    cost = 29 + sum(16 if first == last else 33 for first, last in runs[:-1])
    return max_id > 45 and cost < 17 + max_id  # 45 bits: a range of one entry


def write_vendors(vendors: Vendors) -> str:
    """OptimizedIntRange as @iabtcf/core writes it."""
    runs = vendors.ranges()
    max_id = runs[-1][1] if runs else 0
    is_range = range_is_used(runs, max_id)
    body = write_runs(runs) if is_range else write_field(runs)
    return written(max_id, 16, "vendor") + str(int(is_range)) + body
