"""Small linear algebra whose every bit is the same on every machine.

Only + - * / sqrt and comparisons on IEEE 754 doubles, in the order written: no BLAS, no fused
operation, no exp or log, and never ``sum()``, which adds with compensation from Python 3.12 on.
Factors are Cholesky's and not eigenvectors: a fixed number of operations, no iteration whose end
depends on rounding, and no sign or order of vectors to agree on.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

Row = list[float]
Matrix = list[Row]


def dot(left: Sequence[float], right: Sequence[float]) -> float:
    """Of equally long vectors, from the first product on."""
    total = 0.0
    for one, other in zip(left, right, strict=True):
        total += one * other
    return total


def transposed(matrix: Sequence[Sequence[float]]) -> Matrix:
    """Rows as columns."""
    return [list(column) for column in zip(*matrix, strict=True)]


def product(left: Sequence[Sequence[float]], right: Sequence[Sequence[float]]) -> Matrix:
    """Of two matrices."""
    columns = transposed(right)
    return [[dot(row, column) for column in columns] for row in left]


def applied(matrix: Sequence[Sequence[float]], vector: Sequence[float]) -> Row:
    """Matrix times vector."""
    return [dot(row, vector) for row in matrix]


def congruence(left: Sequence[Sequence[float]], middle: Sequence[Sequence[float]]) -> Matrix:
    """L middle L^T with L = ``left``, made symmetric."""
    return symmetric(product(product(left, middle), transposed(left)))


def symmetric(matrix: Sequence[Sequence[float]]) -> Matrix:
    """The mean of a square matrix and its transpose."""
    size = len(matrix)
    return [[(matrix[i][j] + matrix[j][i]) / 2 for j in range(size)] for i in range(size)]


def added(left: Sequence[Sequence[float]], right: Sequence[Sequence[float]]) -> Matrix:
    """Entry by entry."""
    return [
        [one + other for one, other in zip(row, opposite, strict=True)]
        for row, opposite in zip(left, right, strict=True)
    ]


def scaled(matrix: Sequence[Sequence[float]], factor: float) -> Matrix:
    """Every entry times a factor."""
    return [[one * factor for one in row] for row in matrix]


def identity(size: int, value: float = 1.0) -> Matrix:
    """Of a size, or a multiple of it (0.0: all zero)."""
    return [[value if i == j else 0.0 for j in range(size)] for i in range(size)]


def cholesky(matrix: Sequence[Sequence[float]]) -> Matrix:
    """The lower factor; a direction without variance (pivot <= 0, by rounding) becomes zero."""
    size = len(matrix)
    lower = identity(size, 0.0)
    for j in range(size):
        pivot = matrix[j][j] - dot(lower[j][:j], lower[j][:j])
        if pivot <= 0.0:
            continue
        root = sqrt(pivot)
        lower[j][j] = root
        for i in range(j + 1, size):
            lower[i][j] = (matrix[i][j] - dot(lower[i][:j], lower[j][:j])) / root
    return lower


def solved(lower: Sequence[Sequence[float]], right: Sequence[Sequence[float]]) -> Matrix:
    """X of (lower lower^T) X = right, for a factor without zeros on its diagonal."""
    size = len(lower)
    out = []
    for column in zip(*right, strict=True):
        x = list(column)
        for i in range(size):
            x[i] = (x[i] - dot(lower[i][:i], x[:i])) / lower[i][i]
        for i in range(size - 1, -1, -1):
            rest = 0.0
            for j in range(i + 1, size):
                rest += lower[j][i] * x[j]
            x[i] = (x[i] - rest) / lower[i][i]
        out.append(x)
    return transposed(out)


def sum_zero_basis(size: int) -> Matrix:
    """[size, size - 1] orthonormal basis of the vectors that sum to zero (Helmert 1876)."""
    basis = identity(size, 0.0)
    for j in range(1, size):
        norm = sqrt(float(j * (j + 1)))
        for i in range(j):
            basis[i][j - 1] = 1.0 / norm
        basis[j][j - 1] = -float(j) / norm
    return [row[: size - 1] for row in basis]


def quantile(ordered: Sequence[float], chance: float) -> float:
    """Of sorted values taken as the middles of equal strata (Hazen 1914)."""
    place = len(ordered) * chance - 0.5
    if place <= 0.0:
        return ordered[0]
    at = int(place)
    if at >= len(ordered) - 1:
        return ordered[-1]
    return ordered[at] + (place - at) * (ordered[at + 1] - ordered[at])
