"""How the proxy blurs groups: learned from a pool without labels, from a survey, or from both.

If P(group | person) is calibrated, the mean posterior of the people truly in group i is
M_i = E[p_i p] / E[p_i], with no label at all (specification 4.6.1). A survey of self-reports needs
no such assumption: M_i is the mean posterior of those who answered i. What people are around their
group's mean is W = E[p p^T] - M^T diag(e) M, and only that is noise: the spread between groups is
what is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.fairness.measure.draws import DRAWS_SHA256
from ringwork.fairness.measure.moments import Moments, learned
from ringwork.fairness.measure.observed import INVERSE_COVARIANCE_UNIT, Blur, Source, Table
from ringwork.fairness.model import PPB, Partition
from ringwork.kernel.errors import Refused
from ringwork.kernel.ports import Entropy

Floats = NDArray[np.float64]

BOOTSTRAPS: Final = 60
IMPLIED_WEIGHT: Final = 20.0
"""Answers that the implied M counts for in each group, where a survey is smoothed towards it."""
SHARE_MIN: Final = 0.01
"""A group below this share of the pool is merged into the last one."""
CONDITION_MAX: Final = 1e6
"""Beyond it an inverse is rounding alone; from 50 on there is an interval and no point."""
TOLD_MIN: Final = 3.0
"""Times its noise: below it, what tells two groups apart might be noise alone."""
_LARGEST: Final = 2**53 - 1
_ALIKE: Final = "expected posteriors that differ between groups: merge some of them"


class Merged(Struct, frozen=True, kw_only=True):
    """A pool whose rare groups went to the last one; ``names`` are said beside every figure."""

    posterior: Floats
    partition: Partition
    names: tuple[str, ...]


def implied(posterior: Floats, weight: Floats | None = None) -> Floats:
    """[K, K] M of a pool [n, K], if calibrated: rows sum to one."""
    weighted = posterior if weight is None else posterior * weight[:, None]
    return np.asarray((weighted.T @ posterior) / weighted.sum(0)[:, None])


def surveyed(
    posterior: Floats,
    group: NDArray[np.int64],
    weight: Floats | None = None,
    towards: Floats | None = None,
) -> Floats:
    """[K, K] M of people who said their group: means, or Dirichlet-smoothed ``towards`` an M."""
    size = posterior.shape[1]
    told = np.eye(size)[group]
    if weight is not None:
        told *= weight[:, None]
    sums, counts = told.T @ posterior, told.sum(0)
    if towards is not None:
        sums, counts = sums + IMPLIED_WEIGHT * towards, counts + IMPLIED_WEIGHT
    return np.asarray(sums / counts[:, None])


def miscalibrated(matrix: Floats, shares: Floats, kappa: float) -> Floats:
    """M_kappa = (1 - kappa) M + kappa 1 e^T: posteriors that tell less than they claim."""
    return np.asarray((1 - kappa) * matrix + kappa * shares[None, :])


def within_groups(posterior: Floats, matrix: Floats) -> Floats:
    """[K, K] W of a pool, positive semi-definite."""
    mean = posterior.mean(0)
    shares = np.clip(np.linalg.solve(matrix.T, mean), 1e-3, None)
    shares /= shares.sum()
    noise = posterior.T @ posterior / len(posterior) - (matrix.T * shares) @ matrix
    values, vectors = np.linalg.eigh((noise + noise.T) / 2)
    return np.asarray((vectors * np.clip(values, 0, None)) @ vectors.T)


def contraction(matrix: Floats) -> float:
    """Dobrushin's coefficient: measured variance is at most this share of the true one."""
    rows = np.abs(matrix[:, None, :] - matrix[None, :, :]).sum(2) / 2
    return float(rows.max())


def merge_rare(posterior: Floats, partition: Partition) -> Merged:
    """Groups below 1 % of the pool go to the last; where that stays rare, the next smallest too.

    Two groups always remain.
    """
    _check(posterior, len(partition))
    groups, names = list(partition.groups), []
    while len(groups) > 2:
        shares = posterior.mean(0)
        rare = int(np.argmin(shares))
        if shares[rare] >= SHARE_MIN:
            break
        if rare == len(groups) - 1:
            rare = int(np.argmin(shares[:-1]))
        names.append(groups.pop(rare))
        gone = posterior[:, rare]
        posterior = np.delete(posterior, rare, axis=1)
        posterior[:, -1] += gone
    coarse = Partition(
        attribute=partition.attribute, groups=tuple(groups), is_estimated=partition.is_estimated
    )
    return Merged(posterior=posterior, partition=coarse, names=tuple(names))


def implied_blur(pool: Floats, entropy: Entropy, *, bootstraps: int = BOOTSTRAPS) -> Blur:
    """The blur of a pool [n, K] of posteriors, without a label.

    Raises Refused: blur-unusable where it tells two groups apart not at all.
    """
    _check(pool, pool.shape[1])

    def learn(weight: Floats | None = None) -> Floats:
        return implied(pool, weight)

    return _blur(pool, learn, _resamples(len(pool), entropy, bootstraps), "implied", len(pool))


def gram(rows: NDArray[np.integer[Any]], possible: NDArray[np.bool_]) -> list[list[int]]:
    """The upper triangle of sum_u r_u r_u^T of whole numbers [n, K], as ``Moments.sums`` has it.

    ``possible`` [K, K]: pairs of groups that one person can have. Column by column and in integers:
    exact, and no BLAS, whose threads requests would wait for.
    """
    columns = [np.ascontiguousarray(one, np.int64) for one in rows.T]
    size = len(columns)
    return [
        [int(columns[i] @ columns[j]) if possible[i, j] else 0 for j in range(i, size)]
        for i in range(size)
    ]


def moments_blur(moments: Moments) -> Blur:
    """The blur of a pool of which the moments alone are known, with noise.

    M is similar to the symmetric A = D^-1/2 S D^-1/2, D the sums of S's rows, so what tells groups
    apart is A's smallest eigenvalue v^T A v. Noise of ``sigma`` moves it by sigma |D^-1/2 v|^2, and
    it must be ``TOLD_MIN`` times that. Decided on what was released: it tells nothing more.
    Raises Refused: blur-unusable.
    """
    found = learned(moments)
    if found is None:
        raise _unusable(_ALIKE)
    counts = np.array(moments.matrix())
    root = 1 / np.sqrt(counts.sum(1))
    values, vectors = np.linalg.eigh(counts * np.outer(root, root))
    noise = float(moments.sigma) * np.square(root * vectors[:, 0]).sum()
    condition = float(np.linalg.cond(counts / counts.sum(1, keepdims=True)))
    if not condition <= CONDITION_MAX:
        raise _unusable(_ALIKE)
    if values[0] < TOLD_MIN * noise:
        raise _unusable("expected more people: noise hides what tells their groups apart")
    return Blur(
        matrix_ppb=found.matrix_ppb,
        inverse_ppb=found.inverse_ppb,
        within_ppb=found.within_ppb,
        inverse_covariance=found.inverse_covariance,
        pool_size=found.pool_size,
        source="implied",
        condition_milli=round(condition * 1000),
        draws_sha256=DRAWS_SHA256,
    )


def survey_blur(
    answers: Floats,
    group: NDArray[np.int64],
    entropy: Entropy,
    *,
    pool: Floats | None = None,
    bootstraps: int = BOOTSTRAPS,
) -> Blur:
    """The blur of people [n, K] who said their ``group``.

    With the ``pool`` that they were drawn from: smoothed towards its implied M (source ``both``).
    Alone (``survey``), every group needs an answer. Raises Refused: blur-unusable.
    """
    size = answers.shape[1]
    _check(answers, size)
    if len(group) != len(answers) or group.min(initial=0) < 0 or group.max(initial=0) >= size:
        raise _unusable(f"expected one answer of 0 to {size - 1} for each of {len(answers)} people")
    if pool is None and np.bincount(group, minlength=size).min() == 0:
        raise _unusable("expected an answer of every group, or a pool to smooth towards")
    towards = None if pool is None else implied(pool)

    def learn(weight: Floats | None = None) -> Floats:
        return surveyed(answers, group, weight, towards)

    source: Source = "survey" if pool is None else "both"
    around = answers if pool is None else pool
    resamples = _resamples(len(answers), entropy, bootstraps)
    return _blur(around, learn, resamples, source, len(answers))


def _blur(
    pool: Floats,
    learn: Callable[[Floats | None], Floats],
    resamples: Iterator[Floats],
    source: Source,
    size: int,
) -> Blur:
    matrix = learn(None)
    condition = float(np.linalg.cond(matrix))
    if not condition <= CONDITION_MAX:
        raise _unusable(_ALIKE)
    inverses, lacking = [], 0
    for weight in resamples:
        with np.errstate(divide="ignore", invalid="ignore"):  # a group that was not drawn
            again = learn(weight)
        if np.isfinite(again).all() and np.linalg.cond(again) <= CONDITION_MAX:
            inverses.append(np.linalg.inv(again).ravel())
        else:
            lacking += 1
    if len(inverses) < max(2, lacking):
        raise _unusable("expected more people: half of the bootstraps lack a group")
    covariance = np.cov(np.array(inverses).T)
    return Blur(
        matrix_ppb=_ints(matrix, PPB),
        inverse_ppb=_ints(np.linalg.inv(matrix), PPB),
        within_ppb=_ints(within_groups(pool, matrix), PPB),
        inverse_covariance=_ints(covariance, INVERSE_COVARIANCE_UNIT),
        pool_size=size,
        source=source,
        condition_milli=round(condition * 1000),
        draws_sha256=DRAWS_SHA256,
    )


def _resamples(people: int, entropy: Entropy, bootstraps: int) -> Iterator[Floats]:
    """Counts of each person in bootstraps of the pool, one at a time."""
    rng = np.random.default_rng(int.from_bytes(entropy.take(16), "big"))
    chances = np.full(people, 1 / people)
    for _ in range(bootstraps):
        yield rng.multinomial(people, chances).astype(np.float64)


def _ints(values: NDArray[Any], unit: int) -> Table:
    whole = np.clip(np.rint(values * unit), -_LARGEST, _LARGEST).astype(np.int64)
    return tuple(tuple(row) for row in whole.tolist())


def _check(posterior: Floats, groups: int) -> None:
    """A person's posterior is named in no error."""
    if posterior.ndim != 2 or posterior.shape[1] != groups or groups < 2 or len(posterior) < 2:
        raise _unusable(f"expected two or more people by {groups} groups, got {posterior.shape}")
    if not np.isfinite(posterior).all() or posterior.min() < 0:
        raise _unusable("expected finite posteriors of zero or more")
    if np.abs(posterior.sum(1) - 1).max() > 1e-3:
        raise _unusable("expected posteriors that sum to one")
    if not posterior.sum(0).all():
        raise _unusable(
            "expected every group to be possible for somebody: merge those that are not"
        )


def _unusable(detail: str) -> Refused:
    return Refused("blur-unusable", detail, status=422, title="The proxy's blur cannot be learned")
