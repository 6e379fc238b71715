"""Groups, and what may be said of them; pure.

``Direct`` is a figure of a declared attribute (sex, age), ``Proxied`` one of an estimated attribute
(race and ethnicity). ``Proxied`` has no single number, on purpose: whoever prints or compares it
has to say which of its two it means.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

PPM: Final = 1_000_000
PPB: Final = 1_000_000_000
UNKNOWN: Final = "unknown"
"""The bucket of people whose declared group is not known: it is in no share and in every report."""


class Partition(Struct, frozen=True, kw_only=True):
    """The groups of one attribute, in the order in which every vector of it is written.

    ``is_estimated``: measured by a proxy, so every figure of it is a pair. ValueError for fewer
    than two groups, or names that repeat.
    """

    attribute: str
    groups: tuple[str, ...]
    is_estimated: bool = False

    def __post_init__(self) -> None:
        if len(self.groups) < 2:
            raise ValueError(f"{self.attribute}: expected two or more groups, got {self.groups}")
        if len(set(self.groups)) != len(self.groups) or UNKNOWN in self.groups:
            raise ValueError(
                f"{self.attribute}: expected groups that differ, none named {UNKNOWN!r}, "
                f"got {self.groups}"
            )

    def __len__(self) -> int:
        return len(self.groups)


SEX: Final = Partition(attribute="sex", groups=("female", "male"))
AGE: Final = Partition(attribute="age", groups=("18-24", "25-34", "35-44", "45-54", "55-64", "65+"))
RACE_SIX: Final = Partition(
    attribute="race",
    groups=("white", "black", "hispanic", "api", "aian", "mult_other"),
    is_estimated=True,
)
"""The groups of the regulator's proxy (CFPB 2014): every table and posterior is in this order."""
RACE_FOUR: Final = Partition(
    attribute="race", groups=("white", "black", "hispanic", "other"), is_estimated=True
)
"""The groups of the settlement's reports."""


def merged(fine: Partition, coarse: Partition, vector: Sequence[int]) -> list[int]:
    """A vector over ``fine`` as one over ``coarse``: groups that it lacks go to its last one.

    ValueError where a group of ``coarse`` but the last is none of ``fine``.
    """
    target = merging(fine, coarse)
    out = [0] * len(coarse)
    for position, value in zip(target, vector, strict=True):
        out[position] += value
    return out


def merging(fine: Partition, coarse: Partition) -> list[int]:
    """For each group of ``fine`` its position in ``coarse``; see ``merged``."""
    missing = set(coarse.groups[:-1]) - set(fine.groups)
    if missing:
        raise ValueError(
            f"{coarse.attribute}: expected groups among {fine.groups}, got {sorted(missing)}"
        )
    last = len(coarse) - 1
    return [coarse.groups.index(one) if one in coarse.groups else last for one in fine.groups]


class Interval(Struct, frozen=True):
    """Where a figure lies with 95 % probability, both ends within [0, 1]."""

    low: float
    high: float


class Direct(Struct, frozen=True, kw_only=True):
    """Variance of a declared attribute, in [0, 1], with the interval that privacy noise leaves."""

    value: float
    interval: Interval


class Proxied(Struct, frozen=True, kw_only=True):
    """Variance of an estimated attribute: as the proxy shows it, and with its blur taken out.

    ``interval`` belongs to the de-attenuated figure and assumes calibrated posteriors; ``band`` is
    the widest interval over the plan's degrees of miscalibration (None where a survey measured the
    blur). ``deattenuated`` is None where the blur cannot be inverted: only the interval holds then.
    """

    proxy: float
    deattenuated: float | None
    interval: Interval
    band: Interval | None = None

    def __str__(self) -> str:
        """In words, as everywhere: "between 3.1% (proxy) and 8.4% (...)"."""
        low, high = self.interval.low, self.interval.high
        if self.deattenuated is None:
            return f"{self.proxy:.1%} (proxy); 95% interval of the truth {low:.1%}-{high:.1%}"
        return (
            f"between {self.proxy:.1%} (proxy) and {self.deattenuated:.1%} "
            f"(de-attenuated; 95% interval {low:.1%}-{high:.1%})"
        )


Figure = Direct | Proxied
