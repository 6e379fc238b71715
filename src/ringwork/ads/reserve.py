"""The least price worth asking at a place: Myerson's reserve (ads specification 3.12).

A seller who keeps what it does not sell, and values that at nothing, earns most with the reserve r
at which the virtual value phi(r) = r - (1 - F(r)) / f(r) is zero (Myerson, "Optimal auction
design", 1981): where r * (1 - F(r)), the income from one bidder, is highest. F is what an
impression is worth to a bidder, in one placement and tier; a place with few observations asks
little more than its floor.

The values must be those of every candidate, also of those below today's reserve: learned from sales
alone, a reserve confirms itself. Pure functions, off the request path. The log-normal form uses
floats, whose last bit may differ between machines; what was asked is logged with its version.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct

from ringwork.kernel.money import MAX_PRICE_NANOS

Method = Literal["empirical", "lognormal"]

HALFWAY_COUNT: Final = 1_000
"""Observations at which the reserve lies halfway between the floor and what they say. The income of
an empirical reserve errs by about n**(-1/2), its place by n**(-1/3): a tenth at a thousand."""
SOLD_DIVISOR: Final = 20
"""At least one value in so many must reach an empirical reserve. Without this the one largest value
may look best in a heavy tail (the guard of Dhangwatnotai, Roughgarden and Yan, "Revenue
maximization with a single sample", 2015)."""
MIN_SD_LOG: Final = 1e-12
MAX_SD_LOG: Final = 30.0
"""Less is the rounding of the logarithms, more than any prices in int64 can show."""
_VERSION_CHARS: Final = 16


class Cell(Struct, frozen=True, order=True):
    """What shares one distribution of values."""

    placement_id: str
    tier: str


class Reserve(Struct, frozen=True):
    """What to ask at least, and from what it was learned."""

    nanos: int
    """Of an impression's value; never below the floor."""
    version: str
    """The same for the same method, floor and counts, and no other."""
    count: int
    """Values it rests on."""


def learn(
    counts: Mapping[Cell, Mapping[int, int]],
    *,
    floors_nanos: Mapping[Cell, int],
    method: Method = "empirical",
) -> dict[Cell, Reserve]:
    """The reserve of each cell; ``counts[cell][value_nanos]`` says how often a value occurred.

    A cell without a floor has the floor 0. Raises as ``estimate``.
    """
    return {
        cell: estimate(counts[cell], floor_nanos=floors_nanos.get(cell, 0), method=method)
        for cell in sorted(counts)
    }


def estimate(
    counts: Mapping[int, int], *, floor_nanos: int = 0, method: Method = "empirical"
) -> Reserve:
    """The reserve that the values suggest, drawn to the floor where they are few.

    ``counts``: value in nanos -> how often it occurred (``Counter(values)``); values of 0 say
    that nobody would pay and count. ValueError: a negative value, count or floor, a value past
    ``MAX_PRICE_NANOS``, a method that is neither.

    >>> uniform = dict.fromkeys(range(1, 1_000_001, 10), 10_000)
    >>> estimate(uniform).nanos
    500000
    >>> estimate({800: 1_000}, floor_nanos=200).nanos
    500
    """
    _check(counts, floor_nanos, method)
    count = sum(counts.values())
    learned_nanos = floor_nanos
    if method == "empirical":
        learned_nanos = empirical(counts)
    elif (fitted := fit_lognormal(counts)) is not None:
        learned_nanos = lognormal(*fitted)
    above_nanos = max(0, learned_nanos - floor_nanos)
    return Reserve(
        nanos=floor_nanos + above_nanos * count // (count + HALFWAY_COUNT),
        version=_version(counts, floor_nanos, method),
        count=count,
    )


def empirical(counts: Mapping[int, int]) -> int:
    """The value v with the highest income v * (values of at least v), exactly; 0 without values.

    The lowest of several, which sells most; one that at least 1 in ``SOLD_DIVISOR`` values reach.

    >>> empirical({1: 1, 2: 1, 3: 1, 4: 1})
    2
    """
    total = sum(counts.values())
    best_nanos = best_income = reaching = 0
    for value_nanos in sorted(counts, reverse=True):
        reaching += counts[value_nanos]
        income = value_nanos * reaching
        if reaching and reaching * SOLD_DIVISOR >= total and income >= best_income:
            best_nanos, best_income = value_nanos, income
    return best_nanos


def fit_lognormal(counts: Mapping[int, int]) -> tuple[float, float] | None:
    """(mean, standard deviation) of the logarithms of the values above 0.

    None where they show no spread, as fewer than two different ones do. The sums are exactly
    rounded: the order of ``counts`` does not matter.
    """
    logs = [(math.log(nanos), times) for nanos, times in counts.items() if nanos and times]
    count = sum(times for _, times in logs)
    if len(logs) < 2:
        return None
    mean = math.fsum(times * log for log, times in logs) / count
    squares = math.fsum(times * (log - mean) ** 2 for log, times in logs)
    sd_log = math.sqrt(squares / (count - 1))
    return (mean, sd_log) if sd_log >= MIN_SD_LOG else None


def lognormal(mean_log: float, sd_log: float) -> int:
    """The zero of phi for log-normal values, in nanos, at most ``MAX_PRICE_NANOS``.

    With z = (ln v - mean) / sd, phi(v) = v * (1 - sd * m(z)) for the Mills ratio
    m(z) = (1 - Phi(z)) / pdf(z), which falls from infinity to 0: the one zero is m(z) = 1 / sd.
    ValueError: ``sd_log`` is not from ``MIN_SD_LOG`` to ``MAX_SD_LOG``, or a mean is no number.

    >>> lognormal(math.log(1_000_000), 1.0)
    1353415
    """
    if not (math.isfinite(mean_log) and MIN_SD_LOG <= sd_log <= MAX_SD_LOG):
        raise ValueError(
            f"expected a finite mean and a deviation from {MIN_SD_LOG} to {MAX_SD_LOG},"
            f" got {mean_log} and {sd_log}"
        )
    # m(z) >= sqrt(pi / 2) * exp(z * z / 2) for z <= 0, and m(z) < 1 / z for z > 0.
    low, high = -math.sqrt(2 * math.log1p(1 / sd_log)), sd_log + 1
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if _mills(middle) * sd_log > 1 else (low, middle)
    logarithm = mean_log + sd_log * low
    if logarithm >= math.log(MAX_PRICE_NANOS):
        return MAX_PRICE_NANOS
    return round(math.exp(logarithm))


def _mills(z: float) -> float:
    return math.sqrt(math.pi / 2) * math.exp(z * z / 2) * math.erfc(z / math.sqrt(2))


def _version(counts: Mapping[int, int], floor_nanos: int, method: Method) -> str:
    digest = hashlib.sha256(f"{method} {floor_nanos} {HALFWAY_COUNT} {SOLD_DIVISOR}\n".encode())
    for value_nanos in sorted(counts):
        if counts[value_nanos]:
            digest.update(f"{value_nanos} {counts[value_nanos]}\n".encode())
    return digest.hexdigest()[:_VERSION_CHARS]


def _check(counts: Mapping[int, int], floor_nanos: int, method: Method) -> None:
    if method not in ("empirical", "lognormal"):
        raise ValueError(f"expected method 'empirical' or 'lognormal', got {method!r}")
    if not 0 <= floor_nanos <= MAX_PRICE_NANOS:
        raise ValueError(f"expected a floor of 0 to {MAX_PRICE_NANOS} nanos, got {floor_nanos}")
    for value_nanos, times in counts.items():
        if not 0 <= value_nanos <= MAX_PRICE_NANOS or times < 0:
            raise ValueError(
                f"expected values of 0 to {MAX_PRICE_NANOS} nanos, counted 0 times or more,"
                f" got {value_nanos} {times} times"
            )
