"""E.164 numbers as integers: read once at the edge, sorted and without doubles."""

from __future__ import annotations

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.kernel.errors import Invalid, Refused

LEAST: Final = 10**6
MOST: Final = 10**15 - 1
"""E.164: at most 15 digits; the shortest numbers with a country code have seven."""
TEXT_MAX: Final = 40


class Canonical(Struct, frozen=True):
    """A batch as it is judged."""

    numbers: NDArray[np.uint64]
    """Distinct, ascending."""
    in_order: NDArray[np.uint64]
    """Readable ones as they were sent, for the proof of a token."""
    unreadable: int

    def __repr__(self) -> str:
        return f"Canonical({len(self.numbers)} numbers)"


def canonical(sent: object, numbers_max: int) -> Canonical:
    """Read a request's numbers. Raises Refused 413 for too many, Invalid for what is no list."""
    if not isinstance(sent, list | tuple | np.ndarray):
        raise Invalid(f"numbers: expected a list or an array, got {type(sent).__name__}")
    if len(sent) > numbers_max:
        raise Refused(
            "too-many-numbers",
            f"expected at most {numbers_max} numbers in one request, got {len(sent)}; send the "
            "rest in another",
            status=413,
        )
    read = _integers(sent) if isinstance(sent, np.ndarray) else _texts(sent)
    good = (read >= LEAST) & (read <= MOST)
    in_order = read[good]
    return Canonical(np.unique(in_order), in_order, int(len(read) - good.sum()))


def _integers(sent: NDArray[np.generic]) -> NDArray[np.uint64]:
    if sent.ndim != 1 or sent.dtype.kind not in "ui":
        raise Invalid(
            f"numbers: expected one row of integers, got {sent.ndim} dimensions of {sent.dtype}"
        )
    if sent.dtype.kind == "i":
        # Below zero is unreadable, and must not wrap to something that is a number.
        sent = np.where(sent < 0, 0, sent)  # type: ignore[operator] # signed integers, as asked above
    return sent.astype(np.uint64)


def _texts(sent: list[object] | tuple[object, ...]) -> NDArray[np.uint64]:
    return np.fromiter(map(_one, sent), dtype=np.uint64, count=len(sent))


def _one(text: object) -> int:
    """The digits of one number, 0 where it is none."""
    from phonenumbers import (  # noqa: PLC0415 # an extra
        NumberParseException,
        PhoneNumberFormat,
        format_number,
        is_possible_number,
        parse,
    )

    if not isinstance(text, str) or len(text) > TEXT_MAX or not text.startswith("+"):
        return 0
    try:
        number = parse(text, None)
    except NumberParseException:
        return 0
    if not is_possible_number(number):
        return 0
    return int(format_number(number, PhoneNumberFormat.E164)[1:])
