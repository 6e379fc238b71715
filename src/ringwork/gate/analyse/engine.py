"""A block of a log as columns: the quick scanner, then the careful one for what it left.

Compiled where numba is installed (the extra ``fast``), else plain; both give the same columns.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from ringwork.gate.analyse import plain
from ringwork.gate.analyse.columns import FIELDS, ODD, Columns
from ringwork.gate.analyse.formats import CLF_FORMATS, parse_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ringwork.gate.analyse.buckets import Overflow

    Longs = NDArray[np.int64]

SAMPLES: Final = 5
"""Lines that did not parse and are kept as a sample, of each block and of the whole."""
SAMPLE_MAX_BYTES: Final = 200


class PourBuckets(Protocol):
    """``buckets.Buckets`` or its compiled twin."""

    def __len__(self) -> int: ...
    def pour(self, groups: Longs, values: Longs, times_us: Longs) -> list[Overflow]: ...


class MakeBuckets(Protocol):
    """Either class."""

    def __call__(
        self, *, capacity: int, leak_us: int, blackhole_us: int, is_distinct: bool
    ) -> PourBuckets: ...


class Engine(Protocol):
    """The functions of ``compiled``, where their contracts are written."""

    @property
    def Buckets(self) -> MakeBuckets: ...  # noqa: N802 # a class
    def scan_clf(self, block: bytes) -> Columns: ...
    def scan_nginx_json(self, block: bytes) -> Columns: ...
    def encode(self, columns: Columns, field: int) -> tuple[Longs, Longs]: ...


@functools.cache
def warm() -> Engine:
    """The loops, ready to run. The first call compiles them or reads the cache."""
    try:
        from ringwork.gate.analyse import compiled  # noqa: PLC0415 # numba only when it is used
    except ModuleNotFoundError as missing:
        if missing.name != "numba":
            raise
        return plain
    return compiled


SMALL_BYTES: Final = 1 << 20
"""Loading the compiled loops takes longer than reading so much of a log without them."""


def engine_for(first_bytes: int) -> Engine:
    """The engine for a log whose first block has so many bytes; the answer is the same."""
    return plain if first_bytes < SMALL_BYTES else warm()


def parse_block(block: bytes, shape: str, *, named: str = "auto", engine: Engine) -> Columns:
    """The lines of a block that ends with a newline.

    ``shape`` is the format that most lines are expected in; with ``named`` "auto" the others are
    looked at too. Blank lines are no lines. Lines that do not parse are counted and sampled.
    """
    if shape in CLF_FORMATS:
        columns = engine.scan_clf(block)
    elif shape == "nginx_json":
        columns = engine.scan_nginx_json(block)
    else:
        columns = plain.scan_odd(block)
    return _settled(columns, named)


def _settled(columns: Columns, named: str) -> Columns:
    """Reads the odd lines one by one; their texts are appended to the buffer."""
    odd = np.flatnonzero(columns.kind == ODD)
    if not len(odd):
        return columns
    block, extra = columns.buffer, bytearray()
    rows: list[int] = []
    ends: list[list[int]] = []
    numbers: list[tuple[int, int, int, int]] = []
    samples: list[bytes] = []
    bounds = zip(
        odd.tolist(), columns.starts[odd, 0].tolist(), columns.ends[odd, 0].tolist(), strict=True
    )
    for row, begin, end in bounds:
        record = parse_line(block[begin:end], named)
        if record is None:
            if len(samples) < SAMPLES:
                samples.append(block[begin : min(end, begin + SAMPLE_MAX_BYTES)])
            continue
        rows.append(row)
        numbers.append((record.kind, record.ts_us, record.status, record.size))
        at = len(block) + len(extra)
        places = [at]
        for text in record.texts:
            at += len(text)
            places.append(at)
        extra += b"".join(record.texts)
        ends.append(places)
    if rows:
        _place(columns, rows, ends, numbers)
    columns.buffer = block + bytes(extra)
    columns.skipped = len(odd) - len(rows)
    columns.samples = samples
    return _kept(columns) if columns.skipped else columns


def _place(
    columns: Columns,
    rows: list[int],
    places: list[list[int]],
    numbers: list[tuple[int, int, int, int]],
) -> None:
    bounds = np.array(places, np.int32).reshape(len(rows), FIELDS + 1)
    values = np.array(numbers, np.int64).reshape(len(rows), 4)
    columns.starts[rows] = bounds[:, :-1]
    columns.ends[rows] = bounds[:, 1:]
    columns.kind[rows] = values[:, 0]
    columns.ts_us[rows] = values[:, 1]
    columns.status[rows] = values[:, 2]
    columns.size[rows] = values[:, 3]


def _kept(columns: Columns) -> Columns:
    good = columns.kind != ODD
    return Columns(
        columns.buffer, columns.starts[good], columns.ends[good], columns.ts_us[good],
        columns.status[good], columns.size[good], columns.kind[good], columns.skipped,
        columns.samples,
    )  # fmt: skip
