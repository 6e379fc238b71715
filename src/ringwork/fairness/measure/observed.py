"""What a release says of an ad, and what was learned of the proxy's blur: integers, as logged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Final, Literal

from msgspec import Struct

from ringwork.fairness.model import PPB

Table = tuple[tuple[int, ...], ...]
Source = Literal["implied", "survey", "both"]

INVERSE_COVARIANCE_UNIT: Final = 10**12
"""``Blur.inverse_covariance`` is in units of 1e-12."""
NOISE_UNIT: Final = 10**6
"""``Observed.noise_variance`` is in units of 1e-6 of a sum squared."""


class Blur(Struct, frozen=True, kw_only=True):
    """How the proxy blurs the groups of one attribute; what a ``model`` record of the log holds.

    With K groups in the order of the partition. ``matrix_ppb[i][j]``: mean posterior of group j
    among people of group i, rows sum to one. ``inverse_ppb``: its inverse. ``within_ppb``:
    covariance of one person's posterior around its group's mean. ``inverse_covariance``: [K K, K K]
    covariance of what is not known of the inverse, row i K + k for the entry (i, k). Its variance
    in an ad depends on the ad (sum of x_i x_j Cov(i k, j l)), so the whole of it is kept.
    """

    matrix_ppb: Table
    inverse_ppb: Table
    within_ppb: Table
    inverse_covariance: Table
    pool_size: int
    """People it was learned on: of the pool, or who answered the survey."""
    source: Source
    condition_milli: int
    """Condition number of the matrix in the 2-norm, in thousandths."""
    draws_sha256: str

    def __post_init__(self) -> None:
        size = len(self.matrix_ppb)
        for name, table, side in (
            ("matrix_ppb", self.matrix_ppb, size),
            ("inverse_ppb", self.inverse_ppb, size),
            ("within_ppb", self.within_ppb, size),
            ("inverse_covariance", self.inverse_covariance, size * size),
        ):
            if side < 2 or len(table) != side or any(len(row) != side for row in table):
                raise ValueError(f"{name}: expected {side} rows of {side} integers")


class Observed(Struct, frozen=True, kw_only=True):
    """Sums of one attribute in one segment of an ad, as released: with noise, cumulative."""

    ad: str
    segment: int
    impressions: int
    """Exact where every impression counts, since it is billed; else the released count."""
    sums: tuple[int, ...]
    """One per group in the partition's order, then unknown where ``has_unknown``."""
    unit: int
    """What one impression adds in total: 256 for soft sums, 1 for one-hot."""
    eligible_ppb: tuple[int, ...]
    """Eligible shares as the same measure shows them, one per group."""
    noise_variance: int
    """Of the privacy noise on one sum, in units of 1e-6 of a sum squared."""
    people: int = 0
    """Unique people behind the impressions, as released; 0: not said, each is one of its own."""
    impressions_noise_variance: int = 0
    """The same of ``impressions``, in 1e-6 of an impression squared; 0 where they are billed."""
    eligible_noise_ppb: int = 0
    """Standard deviation of the noise on one eligible group, as a share of all; 0: none."""

    @property
    def has_unknown(self) -> bool:
        """Whether the last sum is of people whose group is not known."""
        return len(self.sums) == len(self.eligible_ppb) + 1

    def __post_init__(self) -> None:
        groups = len(self.eligible_ppb)
        if groups < 2 or len(self.sums) not in (groups, groups + 1):
            raise ValueError(
                f"ad {self.ad}: expected sums of {groups} groups (and unknown), "
                f"got {len(self.sums)} sums"
            )
        if self.unit < 1 or min(self.impressions, self.noise_variance, self.eligible_noise_ppb) < 0:
            raise ValueError(f"ad {self.ad}: expected a unit >= 1, impressions and noise >= 0")


class Shares(Struct, frozen=True):
    """Delivered shares of one segment, corrected; exact."""

    delivered: tuple[Fraction, ...]
    known: Fraction
    """Impressions to people of a known group."""
    people: Fraction
    """Independent draws behind ``known``: its people. Who is shown an ad five times brings the
    noise of one posterior five times, and chance took them once."""


def shares(observed: Observed) -> Shares | None:
    """Sums corrected to add up to what was billed, unknown dropped; None where nobody is known.

    Specification 4.10: (sum - n unit) / K is taken from each sum, as a rational.
    """
    buckets = len(observed.sums)
    excess = sum(observed.sums) - observed.impressions * observed.unit
    corrected = [buckets * one - excess for one in observed.sums]
    known = sum(corrected[: len(observed.eligible_ppb)])
    if observed.impressions == 0 or known <= 0:
        return None
    # Noise may have taken the number of people above that of impressions, or to nothing.
    people = (
        min(observed.people, observed.impressions) if observed.people > 0 else observed.impressions
    )
    return Shares(
        tuple(Fraction(one, known) for one in corrected[: len(observed.eligible_ppb)]),
        Fraction(known, buckets * observed.unit),
        Fraction(known * people, buckets * observed.unit * observed.impressions),
    )


def measured(segments: Sequence[Observed]) -> list[tuple[Observed, Shares]]:
    """The segments of one ad in which somebody is known."""
    return [(one, found) for one in segments if (found := shares(one)) is not None]


def deviation(segments: Sequence[tuple[Observed, Shares]]) -> list[Fraction]:
    """Delivered minus eligible shares: the mean over segments, weighted by impressions.

    After a change of audience each segment has its own baseline, so vectors are averaged and
    the norm is taken last.
    """
    total = sum(one.impressions for one, _ in segments)
    groups = len(segments[0][0].eligible_ppb)
    return [
        sum(
            (
                Fraction(one.impressions, total)
                * (found.delivered[at] - Fraction(one.eligible_ppb[at], PPB))
                for one, found in segments
            ),
            Fraction(0),
        )
        for at in range(groups)
    ]


def by_ad(observed: Iterable[Observed]) -> dict[str, list[Observed]]:
    """Segments of each ad, ads in the order of their first. ValueError for a segment twice."""
    found: dict[str, list[Observed]] = {}
    for one in observed:
        segments = found.setdefault(one.ad, [])
        if any(one.segment == other.segment for other in segments):
            raise ValueError(f"ad {one.ad}: expected each segment once, got {one.segment} twice")
        segments.append(one)
    return found
