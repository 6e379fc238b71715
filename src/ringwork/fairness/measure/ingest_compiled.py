"""The loops of ``ingest``, compiled (numba); ``ingest_plain`` is the twin.

Importing this module compiles it (or reads the cache beside it), so only ``ingest.warm`` does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.int32]
    Keys = NDArray[np.uint64]
    Counts = NDArray[np.uint16]
    Flags = NDArray[np.bool_]

P = ParamSpec("P")
R = TypeVar("R")

_NUMBERS: Final = types.Array(numba.int32, 1, "C", readonly=True)
_ROWS: Final = types.Array(numba.uint16, 2, "C", readonly=True)
_KEYS: Final = types.Array(numba.uint64, 1, "C", readonly=True)
_FLAGS: Final = types.Array(numba.boolean, 1, "C", readonly=True)
_GIVEN: Final = types.Array(numba.uint8, 1, "C", readonly=True)
_AHEAD: Final = 16
"""Rows and slots asked for before they are needed: about as many misses as a core has in flight."""
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX: Final = np.uint64(0xD6E8FEB86659FD93)
_HALF: Final = np.uint64(32)
_ZERO: Final = np.uint64(0)


def _kernel(answer: object, *arguments: object) -> Callable[[Callable[P, R]], Callable[P, R]]:
    return cast(
        "Callable[[Callable[P, R]], Callable[P, R]]",
        numba.njit(cast("Any", answer)(*arguments), cache=True, nogil=True),
    )


@intrinsic
def _prefetch(_context: Any, array: Any, at: Any) -> Any:
    """LLVM's ``llvm.prefetch`` of the cache line of an element, by its position in memory."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        whole = ir.IntType(32)
        address = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        call = builder.module.declare_intrinsic(
            "llvm.prefetch",
            [address.type],
            ir.FunctionType(ir.VoidType(), [address.type, whole, whole, whole]),
        )
        builder.call(call, [address, whole(1), whole(3), whole(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


prefetch: Final = cast("Callable[[Any, int], None]", _prefetch)


@_kernel(types.void, numba.int32[:, ::1], _NUMBERS, _NUMBERS, _ROWS, _FLAGS)
def add_rows(  # noqa: C901, PLR0912 # the same loop in four lengths
    sums: NDArray[np.int32], ads: Numbers, people: Numbers, rows: Counts, is_in: Flags
) -> None:
    """``sums[ads[i]] += rows[people[i]]`` where ``is_in[i]``. The caller sees that none overflows.

    Loops of a length that the compiler knows become three or four vector instructions each, and are
    twice as fast as the last one; the usual plans are 7, 10 and 23 wide.
    """
    count, width = ads.shape[0], rows.shape[1]
    for i in range(count):
        if i + _AHEAD < count:
            ad = np.int64(ads[i + _AHEAD]) * width
            person = np.int64(people[i + _AHEAD]) * width
            for at in range(0, width, 16):
                prefetch(sums, ad + at)
            prefetch(rows, person)
            prefetch(rows, person + width - 1)
        if not is_in[i]:
            continue
        to, of = np.uint64(ads[i]), np.uint64(people[i])
        if width == 8:
            for k in range(8):
                sums[to, np.uint64(k)] += np.int32(rows[of, np.uint64(k)])
        elif width == 16:
            for k in range(16):
                sums[to, np.uint64(k)] += np.int32(rows[of, np.uint64(k)])
        elif width == 24:
            for k in range(24):
                sums[to, np.uint64(k)] += np.int32(rows[of, np.uint64(k)])
        elif width == 32:
            for k in range(32):
                sums[to, np.uint64(k)] += np.int32(rows[of, np.uint64(k)])
        else:
            for k in range(width):
                sums[to, np.uint64(k)] += np.int32(rows[of, np.uint64(k)])


@_kernel(types.void, numba.int64[:, ::1], _NUMBERS, _FLAGS, _FLAGS, _FLAGS)
def tally(
    counts: NDArray[np.int64], ads: Numbers, is_new: Flags, is_counted: Flags, is_first: Flags
) -> None:
    """``counts[ad]``: impressions of new ids, those that no sum holds, people."""
    for i in range(ads.shape[0]):
        if is_new[i]:
            ad = np.uint64(ads[i])
            counts[ad, 0] += 1
            counts[ad, 1] += not is_counted[i]
            counts[ad, 2] += is_first[i]


@_kernel(types.void, numba.int32[:, ::1], _NUMBERS, _NUMBERS)
def add_cells(cells: NDArray[np.int32], ads: Numbers, clusters: Numbers) -> None:
    """``cells[ads[i], clusters[i]] += 1``."""
    count, stride = ads.shape[0], cells.shape[1]
    for i in range(count):
        if i + _AHEAD < count:
            prefetch(cells, np.int64(ads[i + _AHEAD]) * stride + np.int64(clusters[i + _AHEAD]))
        cells[ads[i], clusters[i]] += np.int32(1)


@_kernel(numba.int64, numba.uint64, numba.int64)
def slot(key: np.uint64, mask: int) -> int:
    """Where a key's search begins: two rounds of multiply and shift."""
    mixed = (key ^ (key >> _HALF)) * _GOLDEN
    mixed = (mixed ^ (mixed >> _HALF)) * _MIX
    return int(np.int64(mixed >> _HALF) & mask)


@_kernel(numba.int64, numba.uint64[::1], numba.uint8[::1], _KEYS, numba.int64, numba.boolean[::1])
def admit(
    table: Keys, given: NDArray[np.uint8], keys: Keys, cap: int, is_admitted: NDArray[np.bool_]
) -> int:
    """Which keys came fewer than ``cap`` times before; returns how many are new to the table.

    ``table`` is a hash table with open addresses, 0 for an empty place, at least half empty after
    this; ``given`` counts the admissions of the key in the same place. No key is 0. Keys where
    ``is_admitted`` is False are left out.
    """
    count, mask, new = keys.shape[0], table.shape[0] - 1, 0
    for i in range(count):
        if i + _AHEAD < count:
            at = slot(keys[i + _AHEAD], mask)
            prefetch(table, at)
            prefetch(given, at)
        if not is_admitted[i]:
            continue
        key = keys[i]
        at = slot(key, mask)
        while table[at] != key and table[at] != _ZERO:
            at = (at + 1) & mask
        if table[at] == _ZERO:
            table[at] = key
            new += 1
        if given[at] < cap:
            given[at] += np.uint8(1)
        else:
            is_admitted[i] = False
    return new


@_kernel(numba.int64, numba.uint64[::1], _KEYS, numba.boolean[::1])
def admit_once(table: Keys, keys: Keys, is_admitted: NDArray[np.bool_]) -> int:
    """``admit`` with a cap of one, where being in the table says it all: half the cache misses."""
    count, mask, new = keys.shape[0], table.shape[0] - 1, 0
    for i in range(count):
        if i + _AHEAD < count:
            prefetch(table, slot(keys[i + _AHEAD], mask))
        if not is_admitted[i]:
            continue
        key = keys[i]
        at = slot(key, mask)
        while table[at] != key and table[at] != _ZERO:
            at = (at + 1) & mask
        if table[at] == key:
            is_admitted[i] = False
        else:
            table[at] = key
            new += 1
    return new


@_kernel(types.void, _KEYS, _GIVEN, numba.uint64[::1], numba.uint8[::1])
def move(
    table: Keys, given: NDArray[np.uint8], larger: Keys, larger_given: NDArray[np.uint8]
) -> None:
    """All keys of a table into a larger, empty one; counts too, where there are any."""
    size, mask = table.shape[0], larger.shape[0] - 1
    for i in range(size):
        if i + 2 * _AHEAD < size and table[i + 2 * _AHEAD] != _ZERO:
            prefetch(larger, slot(table[i + 2 * _AHEAD], mask))
        if table[i] != _ZERO:
            at = slot(table[i], mask)
            while larger[at] != _ZERO:
                at = (at + 1) & mask
            larger[at] = table[i]
            if given.shape[0]:
                larger_given[at] = given[i]
