"""Money in int64 nanos (1e-9 of the currency), with the currency in the type.

A CPM in micros is numerically the price of one impression in nanos, exactly. There is no float and
no implicit rounding: division happens only in ``split`` and ``to_minor``, which give the remainder
back. The wire form is that of google.type.Money with both members JSON numbers: value = units *
10**9 + nanos, same sign, |nanos| < 10**9, |value| <= 2**63 - 1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

NANOS: Final = 10**9
MAX_NANOS: Final = 2**63 - 1
"""The largest amount or total: int64. Every addition in the ledger is checked against it."""

MAX_PRICE_NANOS: Final = 2**53 - 1
"""The largest ``price_nanos`` on the wire: JavaScript's largest exact integer."""

MINOR_UNIT_EXPONENTS: Final = {
    "BHD": 3, "CLP": 0, "ISK": 0, "JPY": 0, "KRW": 0, "KWD": 3, "TND": 3, "VND": 0,
}  # fmt: skip
"""ISO 4217 exponents that are not 2."""

Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217 code", examples=["EUR"])]
Rounding = Literal["floor", "ceil", "half_even"]


class AmountError(ValueError):
    """An amount that does not fit int64 nanos, mixes currencies or signs, or cannot be read."""


class Money(Struct, frozen=True):
    """An amount of one currency, in the wire form.

    ``total_nanos`` is the integer to reckon with.
    """

    currency: Currency
    units: Annotated[int, Meta(ge=-9_223_372_036, le=9_223_372_036)]
    nanos: Annotated[int, Meta(gt=-NANOS, lt=NANOS)]

    def __post_init__(self) -> None:
        if self.units and self.nanos and (self.units < 0) != (self.nanos < 0):
            raise AmountError(
                f"units and nanos must have the same sign, got {self.units} and {self.nanos}"
            )
        if abs(self.units * NANOS + self.nanos) > MAX_NANOS:
            raise AmountError(
                f"amount is past 2**63 - 1 nanos: {self.units} units {self.nanos} nanos"
            )

    @classmethod
    def of_nanos(cls, currency: str, total_nanos: int) -> Money:
        """The amount of ``total_nanos``; AmountError past int64."""
        units, nanos = divmod(abs(total_nanos), NANOS)
        sign = -1 if total_nanos < 0 else 1
        return cls(currency, sign * units, sign * nanos)

    @property
    def total_nanos(self) -> int:
        return self.units * NANOS + self.nanos

    def __add__(self, other: Money) -> Money:
        return Money.of_nanos(self._same(other), self.total_nanos + other.total_nanos)

    def __sub__(self, other: Money) -> Money:
        return Money.of_nanos(self._same(other), self.total_nanos - other.total_nanos)

    def _same(self, other: Money) -> str:
        if other.currency != self.currency:
            raise AmountError(f"cannot combine {self.currency} with {other.currency}")
        return self.currency

    def __str__(self) -> str:
        """``12.34 EUR``: as the CLI and console write it, at least the minor units.

        Never rounded.
        """
        sign = "-" if self.total_nanos < 0 else ""
        digits = f"{abs(self.nanos):09d}".rstrip("0")
        digits = digits.ljust(MINOR_UNIT_EXPONENTS.get(self.currency, 2), "0")
        return f"{sign}{abs(self.units)}{'.' if digits else ''}{digits} {self.currency}"


_WRITTEN = re.compile(r"(-?)([0-9]{1,10})(?:\.([0-9]{1,9}))? ([A-Z]{3})")


def parse_money(text: str) -> Money:
    """Read what ``str(Money)`` writes.

    >>> parse_money("12.34 EUR")
    Money(currency='EUR', units=12, nanos=340000000)
    """
    match = _WRITTEN.fullmatch(text.strip())
    if match is None:
        raise AmountError(f"expected an amount like '12.34 EUR', got {text[:64]!r}")
    sign, units, digits, currency = match.groups()
    total = int(units) * NANOS + int((digits or "").ljust(9, "0"))
    return Money.of_nanos(currency, -total if sign else total)


def split(total_nanos: int, weights: Sequence[int]) -> list[int]:
    """Parts in proportion to ``weights`` that sum to ``total_nanos``.

    Largest remainder, ties to the lower index.

    ``total_nanos`` >= 0, weights >= 0 and not all zero.

    >>> split(100, [1, 1, 1])
    [34, 33, 33]
    """
    whole = sum(weights)
    if whole <= 0 or total_nanos < 0 or min(weights) < 0:
        raise AmountError(f"cannot split {total_nanos} by weights {list(weights)[:8]}")
    parts = [total_nanos * weight // whole for weight in weights]
    by_remainder = sorted(
        range(len(weights)), key=lambda i: (-(total_nanos * weights[i] % whole), i)
    )
    for i in by_remainder[: total_nanos - sum(parts)]:
        parts[i] += 1
    return parts


def to_minor(nanos: int, exponent: int, rounding: Rounding) -> tuple[int, int]:
    """``(minor_units, carried_nanos)``; minor_units * 10**(9 - exponent) + carried_nanos == nanos.

    >>> to_minor(1_850_000, 3, "half_even")
    (2, -150000)
    """
    unit = 10 ** (9 - exponent)
    minor, rest = divmod(nanos, unit)
    if rounding == "ceil":
        up = rest > 0
    elif rounding == "half_even":
        up = 2 * rest > unit or (2 * rest == unit and minor % 2 == 1)
    else:
        up = False
    minor += up
    return minor, nanos - minor * unit
