"""The loops of the proxies, compiled. ``plain`` is the twin; ``engine`` picks one.

Importing this module compiles it (or reads the cache beside it), so only ``engine.loops`` does. No
fast maths and no logarithms: sums run in the order written, so both twins give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast

import numba
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Codes = NDArray[np.int64]
    Rows = NDArray[np.int32]
    Table = NDArray[np.float32]
    Floats = NDArray[np.float64]

P = ParamSpec("P")
R = TypeVar("R")

_GROUPS: Final = 6
_BYTES: Final = numba.types.Array(numba.uint8, 1, "C", readonly=True)
_PLACES: Final = numba.types.Array(numba.int64, 1, "C", readonly=True)
_ROWS: Final = numba.types.Array(numba.int32, 1, "C", readonly=True)
_TABLE: Final = numba.types.Array(numba.float32, 2, "C", readonly=True)
_FLOATS: Final = numba.types.Array(numba.float64, 2, "C", readonly=True)
_OUT: Final = numba.float32[:, ::1]


def _kernel(*signature: object) -> Callable[[Callable[P, R]], Callable[P, R]]:
    return cast(
        "Callable[[Callable[P, R]], Callable[P, R]]",
        cast("Any", numba.njit)(*signature, cache=True, nogil=True),
    )


@_kernel()
def _is_digit(byte: int) -> bool:
    return 48 <= byte <= 57


@_kernel()
def _is_plus_4(data: Bytes, at: int, end: int) -> bool:
    """Whether a hyphen or a space follows, and at most four digits."""
    if end - at > 5 or data[at] not in (45, 32):
        return False
    for place in range(at + 1, end):  # noqa: SIM110 - numba has no generators here
        if not _is_digit(data[place]):
            return False
    return True


@_kernel()
def _code(data: Bytes, start: int, end: int, digits: int) -> int:
    """The number of a code as written, -1 for what is none: see ``plain.code``."""
    while start < end and data[start] == 32:
        start += 1
    while start < end and data[end - 1] == 32:
        end -= 1
    value, at = 0, start
    while at < end and at - start < 13 and _is_digit(data[at]):
        value = value * 10 + int(data[at]) - 48
        at += 1
    length, rest = at - start, end - at
    if rest == 2 and data[at] == 46 and data[at + 1] == 48:
        rest = 0
    if digits != 5:
        return value if rest == 0 and digits - 1 <= length <= digits else -1
    if rest == 0 and 8 <= length <= 9:
        return value // 10_000
    is_zip = 1 <= length <= 5 and (rest == 0 or _is_plus_4(data, at, end))
    return value if is_zip else -1


@_kernel(numba.void(_BYTES, _PLACES, numba.int64, numba.int64[::1]))
def codes(data: Bytes, offsets: Codes, digits: int, out: Codes) -> None:
    """The codes of a column of areas as written, -1 for what is none."""
    for number in range(out.shape[0]):
        start, end = offsets[number], offsets[number + 1]
        if end - start == 5 and digits == 5:
            a, b, c = int(data[start]) - 48, int(data[start + 1]) - 48, int(data[start + 2]) - 48
            d, e = int(data[start + 3]) - 48, int(data[start + 4]) - 48
            # Five digits, as most are: no branch until all are read.
            is_code = (max(a, b, c, d, e) <= 9) & (min(a, b, c, d, e) >= 0)
            if is_code:
                out[number] = a * 10_000 + b * 1_000 + c * 100 + d * 10 + e
                continue
        out[number] = _code(data, start, end, digits)


@_kernel(numba.int64(_TABLE, _TABLE, _ROWS, _ROWS, _OUT, numba.int32[::1]))
def two(
    names: Table, areas: Table, name_rows: Rows, area_rows: Rows, out: Table, empty: Rows
) -> int:
    """Normalised products of a row of each table.

    Returns how many are 0 in every group; ``empty`` begins with their rows.
    """
    count = 0
    for row in range(out.shape[0]):
        name, area = name_rows[row], area_rows[row]
        a = np.float64(names[name, 0]) * np.float64(areas[area, 0])
        b = np.float64(names[name, 1]) * np.float64(areas[area, 1])
        c = np.float64(names[name, 2]) * np.float64(areas[area, 2])
        d = np.float64(names[name, 3]) * np.float64(areas[area, 3])
        e = np.float64(names[name, 4]) * np.float64(areas[area, 4])
        f = np.float64(names[name, 5]) * np.float64(areas[area, 5])
        total = a + b + c + d + e + f
        scale = 0.0
        if total > 0.0:
            scale = 1.0 / total
        else:
            empty[count] = row
            count += 1
        out[row, 0] = a * scale
        out[row, 1] = b * scale
        out[row, 2] = c * scale
        out[row, 3] = d * scale
        out[row, 4] = e * scale
        out[row, 5] = f * scale
    return count


@_kernel(numba.int64(_TABLE, _TABLE, _TABLE, _ROWS, _ROWS, _ROWS, _OUT, numba.int32[::1]))
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
    """As ``two``, of three tables."""
    count = 0
    product = np.empty(_GROUPS, np.float64)
    for row in range(out.shape[0]):
        name, area, first = name_rows[row], area_rows[row], first_rows[row]
        total = 0.0
        for group in range(_GROUPS):
            product[group] = (
                np.float64(names[name, group])
                * np.float64(areas[area, group])
                * np.float64(first_names[first, group])
            )
            total += product[group]
        scale = 0.0
        if total > 0.0:
            scale = 1.0 / total
        else:
            empty[count] = row
            count += 1
        for group in range(_GROUPS):
            out[row, group] = product[group] * scale
    return count


_INCREMENT: Final = 0x9E3779B97F4A7C15
_MIX_1: Final = 0xBF58476D1CE4E5B9
_MIX_2: Final = 0x94D049BB133111EB


@_kernel()
def _next(state: np.uint64) -> tuple[np.uint64, float]:
    """SplitMix64 (Steele, Lea, Flood 2014): the next state and a uniform number in [0, 1)."""
    state = state + np.uint64(_INCREMENT)
    mixed = state
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(_MIX_1)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(_MIX_2)
    mixed = mixed ^ (mixed >> np.uint64(31))
    return state, np.float64(mixed >> np.uint64(11)) * 2.0**-53


@_kernel(
    numba.uint64(
        _FLOATS, _ROWS, numba.float64[:, ::1], numba.int8[::1], numba.int64,
        numba.uint64, numba.int32[:, ::1],
    )
)  # fmt: skip
def sweeps(
    likelihoods: Floats,
    areas: Rows,
    people: Floats,
    races: NDArray[np.int8],
    count: int,
    state: np.uint64,
    visits: NDArray[np.int32],
) -> np.uint64:
    """``count`` sweeps of the collapsed sampler over all people; returns the generator's state.

    ``people`` [areas, 6] holds the people counted in an area, those of the batch included, plus
    one: a person is taken out, its group drawn in proportion to who remains times the likelihood
    of its names, and put back. ``visits`` counts the draws.
    """
    weight = np.empty(_GROUPS, np.float64)
    for _ in range(count):
        for row in range(races.shape[0]):
            area = areas[row]
            people[area, races[row]] -= 1.0
            total = 0.0
            for group in range(_GROUPS):
                total += people[area, group] * likelihoods[row, group]
                weight[group] = total
            state, draw = _next(state)
            draw *= total
            race = 0
            for group in range(_GROUPS - 1):
                race += weight[group] <= draw
            races[row] = race
            people[area, race] += 1.0
            visits[row, race] += 1
    return state
