"""Columns of text as their bytes: what the compiled loops read, whatever the caller holds.

Lists, NumPy arrays, pandas and polars columns and Arrow arrays become one UTF-8 buffer with
offsets. Nothing is dropped and nothing is moved: row ``i`` in is row ``i`` out, a missing value is
an empty one.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class HasArrow(Protocol):
    """A column that can be read as Arrow: of polars, pandas, Arrow itself."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...


Values = Sequence[object] | NDArray[Any] | HasArrow
"""Text, numbers (ZIP codes are often read as such) and missing values, in any mixture."""


@dataclass(frozen=True, slots=True)
class Strings:
    """UTF-8 strings one after the other: string ``i`` is ``data[offsets[i]:offsets[i + 1]]``."""

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def part(self, start: int, end: int) -> Strings:
        """Strings ``start`` to ``end``, in the same bytes."""
        return Strings(self.data, self.offsets[start : end + 1])

    def text(self, at: int) -> str:
        """One string; bytes that are no UTF-8 become U+FFFD."""
        return bytes(self.data[self.offsets[at] : self.offsets[at + 1]]).decode(errors="replace")

    def taken(self, rows: NDArray[np.intp]) -> Iterator[tuple[int, str]]:
        """(row, its string) for some rows."""
        return ((int(row), self.text(int(row))) for row in rows)


def strings(values: Values, *, digits: int = 0) -> Strings:
    """A column as bytes. Whole numbers are filled up with zeros to ``digits``.

    What is neither text nor a whole number is missing. Raises TypeError for what is no column.
    """
    arrow = _as_arrow(values)
    if arrow is not None:
        return _of_arrow(arrow, digits)
    if isinstance(values, str | bytes) or not isinstance(values, Sequence | np.ndarray):
        raise TypeError(f"expected a column of strings, got {type(values).__name__}")
    return _of_texts([_text(value, digits) for value in values])


def _as_arrow(values: Values) -> Any:
    """The Arrow array of a column that is one or gives one; None for Python's and NumPy's."""
    if isinstance(values, list | tuple | np.ndarray):
        return None
    is_arrow = "pyarrow" in sys.modules
    if not is_arrow and not hasattr(values, "__arrow_c_stream__"):
        return None
    import pyarrow as pa  # noqa: PLC0415 - heavy, and only for those who hold such a column

    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    return pa.chunked_array(values) if hasattr(values, "__arrow_c_stream__") else None


def _of_arrow(values: Any, digits: int) -> Strings:
    import pyarrow as pa  # noqa: PLC0415 - as above
    import pyarrow.compute as pc  # noqa: PLC0415

    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks() if values.num_chunks != 1 else values.chunk(0)
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = values.type
    if pa.types.is_integer(kind) and digits:
        return _of_texts([_text(value, digits) for value in values.to_pylist()])
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        if not pa.types.is_string_view(kind):
            return _of_texts([_text(value, digits) for value in values.to_pylist()])
        values = values.cast(pa.large_string())
    if values.null_count and _has_bytes_in_nulls(values):
        values = pc.fill_null(values, "")
    width = np.int64 if pa.types.is_large_string(values.type) else np.int32
    _, places, data = values.buffers()
    found = np.zeros(len(values) + 1, np.int64)
    if places is not None and places.size:
        read = np.frombuffer(places, width)[values.offset : values.offset + len(values) + 1]
        found[:] = read
    return Strings(np.frombuffer(data or b"", np.uint8), found)


def _has_bytes_in_nulls(values: Any) -> bool:
    """Whether a missing value has a length: Arrow allows it, and hardly anybody writes it."""
    import pyarrow as pa  # noqa: PLC0415 - as above

    is_wide = pa.types.is_large_string(values.type)
    validity, places, _ = values.buffers()
    if validity is None or places is None:
        return True
    start, end = values.offset, values.offset + len(values)
    bits = np.unpackbits(np.frombuffer(validity, np.uint8), bitorder="little")[start:end]
    read = np.frombuffer(places, np.int64 if is_wide else np.int32)[start : end + 1]
    nulls = np.flatnonzero(bits == 0)
    return bool((read[nulls + 1] != read[nulls]).any())


def _of_texts(texts: list[bytes]) -> Strings:
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=offsets[1:])
    return Strings(np.frombuffer(b"".join(texts), np.uint8), offsets)


def _text(value: object, digits: int) -> bytes:
    """The bytes of one value; empty for what is missing or no text."""
    if isinstance(value, str):
        return value.encode(errors="replace")
    if digits and not isinstance(value, bool | np.bool_):
        if isinstance(value, int | np.integer):
            return str(int(value)).zfill(digits).encode()
        # A column of numbers with gaps is read as floats by many tools: 2139.0.
        if isinstance(value, float | np.floating) and math.isfinite(float(value)):
            number = float(value)
            return str(int(number)).zfill(digits).encode() if number.is_integer() else b""
    return value if isinstance(value, bytes) else b""
