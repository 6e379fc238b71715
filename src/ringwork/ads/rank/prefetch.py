"""One processor instruction for the compiled loops: bring a row of a table into the cache.

A learner reads some twenty rows at random places of 32 MiB; asking for the next prediction's rows
while this one is learned takes a quarter to a third off the time of a row. It changes no value, so
``plain`` has none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@intrinsic
def _prefetch(_context: Any, table: Any, row: Any) -> Any:
    """LLVM's ``llvm.prefetch`` of the first value of ``table[row]``: for writing, keep it near."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        columns = builder.extract_value(array.shape, 1)
        place = builder.gep(array.data, [builder.mul(arguments[1], columns)])
        whole = ir.IntType(32)
        address = builder.bitcast(place, ir.IntType(8).as_pointer())
        call = builder.module.declare_intrinsic(
            "llvm.prefetch",
            [address.type],
            ir.FunctionType(ir.VoidType(), [address.type, whole, whole, whole]),
        )
        builder.call(call, [address, whole(1), whole(3), whole(1)])
        return context.get_dummy_value()

    return types.void(table, row), generate


prefetch: Final = cast("Callable[[NDArray[np.float64], int], None]", _prefetch)
"""``prefetch(table, row)``, inside compiled code only."""
