"""The steps from published counts to six groups, as the regulator takes them (CFPB 2014).

Surnames: scripts/surname_creation_lower.do. Areas: scripts/create_attr_over18_all_geo_entities.do.
Both in cfpb/proxy-methodology. Pure: arrays in, arrays out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringwork.fairness.model import RACE_SIX
from ringwork.kernel.errors import Refused

Floats = NDArray[np.float64]

PUERTO_RICO_STATE: Final = 72
PUERTO_RICO_ZIP3: Final = range(6, 10)
"""ZIP codes 006 to 009."""

_FOLDED: Final = (
    "NH_White_Other", "NH_Black_Other", "NH_AIAN_Other",
    "NH_API_Other", "NH_Asian_HPI", "NH_Asian_HPI_Other",
)  # fmt: skip
"""People of two or more races whom the steps count elsewhere."""
RAW_COLUMNS: Final = (
    "Total_Pop", "Hispanic_Total", "Non_Hispanic_Total", "NH_White_alone", "NH_Black_alone",
    "NH_AIAN_alone", "NH_API_alone", "NH_Other_alone", "NH_Mult_Total", *_FOLDED,
)  # fmt: skip


def shares_of(given: Floats) -> Floats:
    """[n, 6] shares of names; NaN is a cell that the Census keeps back ('(S)').

    What the given cells leave over is divided equally among those kept back; then rows sum to one.
    Raises Refused where nothing is left of a row.
    """
    left = np.clip(1.0 - np.nansum(given, axis=1), 0.0, None)
    is_kept_back = np.isnan(given)
    missing = is_kept_back.sum(axis=1)
    each = np.divide(left, missing, out=np.zeros_like(left), where=missing > 0)
    shares = np.clip(np.where(is_kept_back, each[:, None], given), 0.0, None)
    totals = shares.sum(axis=1)
    if not np.all(totals > 0):
        raise _wrong(f"names: row {int(np.argmin(totals))} has no share above 0")
    found: Floats = shares / totals[:, None]
    return found


def people_of(raw: Mapping[str, NDArray[np.generic]]) -> Floats:
    """[n, 6] adults by group from the census columns ``RAW_COLUMNS``.

    Everybody of "some other race" and one further race belongs to the further race; of "some other
    race" alone, to the five groups as their neighbours do. Raises Refused where rows do not add up.
    """
    missing = [name for name in RAW_COLUMNS if name not in raw]
    if missing:
        raise _wrong(f"expected the columns {', '.join(RAW_COLUMNS)}; missing: {missing}")
    count = {name: np.asarray(raw[name]).astype(np.float64) for name in RAW_COLUMNS}
    by_group = {
        "white": count["NH_White_alone"] + count["NH_White_Other"],
        "black": count["NH_Black_alone"] + count["NH_Black_Other"],
        "aian": count["NH_AIAN_alone"] + count["NH_AIAN_Other"],
        "api": count["NH_API_alone"]
        + count["NH_API_Other"]
        + count["NH_Asian_HPI"]
        + count["NH_Asian_HPI_Other"],
        "mult_other": count["NH_Mult_Total"] - sum(count[name] for name in _FOLDED),
    }
    other, hispanic, total = count["NH_Other_alone"], count["Hispanic_Total"], count["Total_Pop"]
    five = np.column_stack([by_group[group] for group in RACE_SIX.groups if group in by_group])
    off = np.flatnonzero(five.sum(axis=1) + other + hispanic != total)
    if len(off) or np.any(five < 0):
        row = int(off[0]) if len(off) else int(np.argmin(five.min(axis=1)))
        raise _wrong(f"row {row}: the groups do not add up to its total, or one is negative")
    rest = total - hispanic - other
    spread = np.divide(five, rest[:, None], out=np.zeros_like(five), where=rest[:, None] > 0)
    five = five + spread * other[:, None]
    only_other = (count["Non_Hispanic_Total"] == other) & (total > 0)
    five[only_other] = other[only_other, None] / 5
    return np.insert(five, RACE_SIX.groups.index("hispanic"), hispanic, axis=1)


def people_from_shares(area_given_group: Floats, group_given_area: Floats) -> Floats:
    """[n, 6] people, recovered exactly from P(area | group) and P(group | area).

    "Some other race" is spread over the other groups, so their smallest numbers are fractions; the
    smallest Hispanic share is of an area with one such person, so it is 1 / (all of them). The
    other groups follow, since the people of an area are the same by whichever group one divides.
    The median takes out the rounding. Raises Refused where the two tables do not belong together.
    """
    hispanic = RACE_SIX.groups.index("hispanic")
    given, share = np.nan_to_num(area_given_group), np.nan_to_num(group_given_area)
    column = given[:, hispanic]
    if not np.any(column > 0):
        raise _wrong("areas: no area has a Hispanic share above 0")
    all_hispanic = 1.0 / column[column > 0].min()
    with np.errstate(divide="ignore", invalid="ignore"):
        of_area = column * all_hispanic / share[:, hispanic]
        ratios = np.where((given > 0) & (share > 0), share * of_area[:, None] / given, np.nan)
    totals = np.nanmedian(ratios, axis=0)
    people: Floats = given * totals
    sums = people.sum(axis=1)
    has_any = sums > 0
    off = np.abs(people[has_any] / sums[has_any, None] - share[has_any]).max()
    if off > 1e-6:
        raise _wrong(f"areas: the two tables disagree by {off:.1e} in P(group | area)")
    return people


def is_puerto_rico(codes: NDArray[np.int64], digits: int) -> NDArray[np.bool_]:
    """Whether an area is dropped: the surname list does not cover Puerto Rico."""
    is_there: NDArray[np.bool_] = (
        np.isin(codes // 100, list(PUERTO_RICO_ZIP3))
        if digits == 5
        else codes // 10 ** (digits - 2) == PUERTO_RICO_STATE
    )
    return is_there


def _wrong(detail: str) -> Refused:
    return Refused("tables-source-invalid", detail, status=422, title="A census file is not valid")
