"""The loops of the proxies without numba: the same answers, bit for bit, but slower.

Every function does what its namesake in ``compiled`` does; the contracts are written there, except
``code``, which is written here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Codes = NDArray[np.int64]
    Rows = NDArray[np.int32]
    Table = NDArray[np.float32]
    Floats = NDArray[np.float64]

_BLOCK: Final = 65_536
_ZIP: Final = re.compile(rb"([0-9]{1,5})(?:[- ][0-9]{0,4}|\.0)?")
_ZIP_PLUS_4: Final = re.compile(rb"([0-9]{4,5})[0-9]{4}(?:\.0)?")
_INCREMENT: Final = 0x9E3779B97F4A7C15
_MIX_1: Final = 0xBF58476D1CE4E5B9
_MIX_2: Final = 0x94D049BB133111EB
_64_BITS: Final = 2**64 - 1


def code(written: bytes, digits: int) -> int:
    """The number of an area's code as written, -1 for what is none.

    Spaces around it, zeros lost in front and a ".0" behind (columns read as numbers) are forgiven.
    A ZIP code may have its four further digits, with a hyphen, a space or nothing between.
    """
    written = written.strip(b" ")
    if digits != 5:
        digit_run = written.removesuffix(b".0")
        is_code = digit_run.isdigit() and digits - 1 <= len(digit_run) <= digits
        return int(digit_run) if is_code else -1
    found = _ZIP.fullmatch(written) or _ZIP_PLUS_4.fullmatch(written)
    return int(found[1]) if found else -1


def codes(data: Bytes, offsets: Codes, digits: int, out: Codes) -> None:
    """See ``compiled.codes``."""
    whole = data.tobytes()
    known: dict[bytes, int] = {}
    ends = offsets.tolist()
    for number in range(len(out)):
        written = whole[ends[number] : ends[number + 1]]
        found = known.get(written)
        if found is None:
            found = known[written] = code(written, digits)
        out[number] = found


def two(
    names: Table, areas: Table, name_rows: Rows, area_rows: Rows, out: Table, empty: Rows
) -> int:
    """See ``compiled.two``."""
    return _products([(names, name_rows), (areas, area_rows)], out, empty)


def three(
    names: Table,
    areas: Table,
    first_names: Table,
    name_rows: Rows,
    area_rows: Rows,
    first_rows: Rows,
    out: Table,
    empty: Rows,
) -> int:
    """See ``compiled.three``."""
    factors = [(names, name_rows), (areas, area_rows), (first_names, first_rows)]
    return _products(factors, out, empty)


def _products(factors: list[tuple[Table, Rows]], out: Table, empty: Rows) -> int:
    count = 0
    for start in range(0, len(out), _BLOCK):
        rows = slice(start, start + _BLOCK)
        (table, at), *others = factors
        product = table[at[rows]].astype(np.float64)
        for table, at in others:
            product *= table[at[rows]]
        total = product[:, 0].copy()
        for group in range(1, product.shape[1]):
            total += product[:, group]
        is_empty = ~(total > 0.0)
        scale = np.divide(1.0, total, out=np.zeros_like(total), where=~is_empty)
        out[rows] = product * scale[:, None]
        found = np.flatnonzero(is_empty)
        empty[count : count + len(found)] = start + found
        count += len(found)
    return count


def sweeps(
    likelihoods: Floats,
    areas: Rows,
    people: Floats,
    races: NDArray[np.int8],
    count: int,
    state: np.uint64,
    visits: NDArray[np.int32],
) -> np.uint64:
    """See ``compiled.sweeps``."""
    number = int(state)
    places, chances, now = areas.tolist(), likelihoods.tolist(), races.tolist()
    for _ in range(count):
        for row, area in enumerate(places):
            counted = people[area]
            counted[now[row]] -= 1.0
            total, weights = 0.0, []
            for there, chance in zip(counted.tolist(), chances[row], strict=True):
                total += there * chance
                weights.append(total)
            number, draw = _next(number)
            draw *= total
            race = sum(weight <= draw for weight in weights[:-1])
            now[row] = race
            counted[race] += 1.0
            visits[row, race] += 1
    races[:] = now
    return np.uint64(number)


def _next(state: int) -> tuple[int, float]:
    state = (state + _INCREMENT) & _64_BITS
    mixed = ((state ^ (state >> 30)) * _MIX_1) & _64_BITS
    mixed = ((mixed ^ (mixed >> 27)) * _MIX_2) & _64_BITS
    mixed ^= mixed >> 31
    return state, (mixed >> 11) * 2.0**-53
