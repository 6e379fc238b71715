"""The proxy's blur from the second moments of a pool, which is all that it needs.

S = sum_u p_u p_u^T over the pool's posteriors. M_ij = S_ij / S_i., S_i. the sum of a row, and what
people are around their group's mean is W = (S - S diag(1 / S_i.) S) / n (specification 4.6). So
whoever knows S knows the blur, and whoever knows S with noise can compute all of it again.

What is not known of the inverse G = M^-1 = S^-1 diag(S_i.) follows by the delta method, from
dG = -S^-1 dS G + S^-1 diag(dS 1). Of dS, two parts: the privacy noise, whose variance is stated;
and that the pool is a sample. Of that, S alone gives a bound: draw two groups a, b of each person
from p, then the expectation of e_a e_b^T is p p^T, so the covariance of its symmetric part is no
smaller than that of p p^T (law of total covariance). It is that of counts, and their mean drops out
since G does not change where S is scaled: entry (a, b) has variance S_ab, or S_ab / 2 off the
diagonal. Bootstraps of real pools give a third of it: it is small beside the noise of small pools,
and small at all of large ones.

Only operations of ``measure.linear``: the log's tables are the same bits on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from msgspec import Struct

from ringwork.fairness.measure.linear import Matrix, Row, cholesky, dot, identity, solved
from ringwork.fairness.measure.observed import INVERSE_COVARIANCE_UNIT, Table
from ringwork.fairness.model import PPB


class Moments(Struct, frozen=True, kw_only=True):
    """Sums over people of the products of their posterior's entries, with noise."""

    sums: tuple[tuple[int, ...], ...]
    """Row i holds (i, i) to (i, K - 1), in units of ``unit`` squared. 0 off the diagonal: no person
    can have both, being of one declared group."""
    unit: int
    """What a posterior adds up to."""
    sigma: Fraction
    """Standard deviation of the noise on the diagonal, of a person that counts one; off it, by
    sqrt 2 less. 0: none."""

    def __post_init__(self) -> None:
        size = len(self.sums)
        if size < 2 or any(len(row) != size - at for at, row in enumerate(self.sums)):
            raise ValueError("expected the rows of an upper triangle, of two groups or more")
        if self.unit < 1 or self.sigma < 0:
            raise ValueError("expected a unit of one or more, and noise of zero or more")

    def __repr__(self) -> str:
        return f"Moments({len(self.sums)} groups)"

    def matrix(self) -> Matrix:
        """[K, K] S in people; noise has taken nobody below zero."""
        size, square = len(self.sums), self.unit * self.unit
        return [
            [max(self.sums[min(i, j)][abs(i - j)], 0) / square for j in range(size)]
            for i in range(size)
        ]


class Learned(Struct, frozen=True, kw_only=True):
    """The tables of ``observed.Blur`` that follow from moments."""

    matrix_ppb: Table
    inverse_ppb: Table
    within_ppb: Table
    inverse_covariance: Table
    pool_size: int


def learned(moments: Moments) -> Learned | None:
    """All that the moments tell; None where they tell two groups apart not at all."""
    counts = moments.matrix()
    size = len(counts)
    rows = [dot(row, [1.0] * size) for row in counts]
    lower = cholesky(counts)
    if any(lower[i][i] == 0.0 for i in range(size)):
        return None
    people = dot(rows, [1.0] * size)
    precision = solved(lower, identity(size))
    inverse = [[precision[i][k] * rows[k] for k in range(size)] for i in range(size)]
    shown = [[counts[i][j] / rows[i] for j in range(size)] for i in range(size)]
    within = [
        [
            (counts[i][j] - dot(counts[i], [shown[k][j] for k in range(size)])) / people
            for j in range(size)
        ]
        for i in range(size)
    ]
    return Learned(
        matrix_ppb=_whole(shown, PPB),
        inverse_ppb=_whole(inverse, PPB),
        within_ppb=_whole(within, PPB),
        inverse_covariance=_whole(
            _covariance(moments, counts, precision, inverse), INVERSE_COVARIANCE_UNIT
        ),
        pool_size=round(people),
    )


def _covariance(moments: Moments, counts: Matrix, precision: Matrix, inverse: Matrix) -> Matrix:
    """[K K, K K] of the inverse, row i K + k for its entry (i, k)."""
    size = len(counts)
    noise = float(moments.sigma * moments.sigma)
    found = identity(size * size, 0.0)
    for a in range(size):
        for b in range(a, size):
            if a != b and moments.sums[a][b - a] == 0:
                continue
            variance = (counts[a][b] + noise) / (1.0 if a == b else 2.0)
            moved = list(_moved(precision, inverse, a, b))
            for at, one in enumerate(moved):
                weight, row = one * variance, found[at]
                for to in range(at + 1):
                    row[to] += weight * moved[to]
    for at in range(size * size):
        for to in range(at):
            found[to][at] = found[at][to]
    return found


def _moved(precision: Matrix, inverse: Matrix, a: int, b: int) -> Iterator[float]:
    """The entries of dG where S_ab, and S_ba with it, grows by one."""
    for i in range(len(precision)):
        for k in range(len(precision)):
            moved = -precision[i][a] * inverse[b][k]
            if k == a:
                moved += precision[i][a]
            if a != b:
                moved -= precision[i][b] * inverse[a][k]
                if k == b:
                    moved += precision[i][b]
            yield moved


_LARGEST = float((1 << 53) - 1)


def _whole(values: Sequence[Row], unit: int) -> Table:
    """Half to even; a number that no record can hold is the largest one that it can."""
    return tuple(
        tuple(round(min(max(one * unit, -_LARGEST), _LARGEST)) for one in row) for row in values
    )
