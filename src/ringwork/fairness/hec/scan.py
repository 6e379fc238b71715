"""What a targeting tells about protected groups, from cluster-level tables alone (proxy variables).

A table says of every cluster of people how many of each group it is expected to hold; it is made
with noise for privacy, and no person is in it. A clause of a targeting selects a share of every
cluster. Three figures say what a selection A reveals: the total variation distance between its mix
and that of all, the lifts P(A|k) / P(A), and the mutual information of A and the group as a share
of the entropy of the group (how many of the bits that name a group the selection gives away).

Groups that a proxy measured are blurred by it, so that every figure is a pair: as the proxy shows
it, and with the blur taken out by M (rows: true group, columns: mean posterior; specification
4.6.1), since measured counts are M^T times the true ones. Inside a cluster clauses are taken as
independent: exact where they select whole clusters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.fairness.hec.rules import ScanRules
from ringwork.kernel.errors import Fault, Refused

Floats = NDArray[np.float64]

CLAUSES_MAX: Final = 64
"""2,016 pairs."""
CLUSTERS_MAX: Final = 100_000
GROUPS_MAX: Final = 64
CONDITION_MAX: Final = 50.0
"""Of M; past that the blur cannot be taken out (specification 4.6.6)."""
VALUES_MAX: Final = 256
"""Of one feature; its rarer values are one."""
OTHER: Final = "(other)"


class Pair(Struct, frozen=True):
    """A figure as the proxy shows it and without the proxy's blur.

    ``deattenuated`` is None where the blur cannot be inverted; it equals ``proxy`` where people
    said their group themselves.
    """

    proxy: float
    deattenuated: float | None

    def any_outside(self, low: float, high: float) -> bool:
        """Whether either end is outside of the bounds."""
        ends = [self.proxy] if self.deattenuated is None else [self.proxy, self.deattenuated]
        return any(one < low or one > high for one in ends)


class Lift(Struct, frozen=True, kw_only=True):
    """How much likelier people of a group are selected than all are; 1 is as likely."""

    group: str
    lift: Pair
    is_flagged: bool


class Scanned(Struct, frozen=True, kw_only=True):
    """What one selection tells."""

    clauses: tuple[str, ...]
    people: float
    """Expected in it."""
    share: float
    """Of all people."""
    distance: Pair
    """Total variation, in [0, 1]."""
    lifts: tuple[Lift, ...]
    """Of every group that there is, in the order of the table."""
    information: Pair
    """Normalised mutual information, in [0, 1]."""
    is_enough: bool
    """Whether it holds people enough to judge; else nothing of it is flagged."""

    @property
    def is_flagged(self) -> bool:
        """Whether a group is preferred or kept out beyond the bounds."""
        return any(one.is_flagged for one in self.lifts)


class Scan(Struct, frozen=True, kw_only=True):
    """A targeting, clause by clause."""

    attribute: str
    is_estimated: bool
    whole: Scanned
    alone: tuple[Scanned, ...]
    without: tuple[Scanned, ...]
    """The targeting without each clause, in their order: what it would tell then."""
    pairs: tuple[Scanned, ...]

    @property
    def is_flagged(self) -> bool:
        """Whether the targeting as a whole is."""
        return self.whole.is_flagged


class FeatureScan(Struct, frozen=True, kw_only=True):
    """What a feature of a ranking tells: all of its values together, and each."""

    feature: str
    information: Pair
    values: tuple[Scanned, ...]

    @property
    def is_flagged(self) -> bool:
        """Whether one of its values is."""
        return any(one.is_flagged for one in self.values)


class GroupTable:
    """P(cluster, group) as counts: what a scan knows of people."""

    def __init__(
        self,
        attribute: str,
        groups: Sequence[str],
        counts: Floats,
        confusion: Floats | None = None,
    ) -> None:
        """``counts``: [groups, clusters], noise and all: what it made negative is 0.

        ``confusion``: M, [groups, groups], where a proxy measured the groups; None where people
        said them. Raises Refused: table-invalid.
        """
        expected = f"[{len(groups)} groups, clusters]"
        if not 2 <= len(groups) <= GROUPS_MAX or len(set(groups)) != len(groups):
            raise _invalid("/groups", f"2 to {GROUPS_MAX} names that differ", f"{len(groups)}")
        if counts.ndim != 2 or len(counts) != len(groups) or not counts.shape[1]:
            raise _invalid("/counts", expected, str(list(counts.shape)))
        if counts.shape[1] > CLUSTERS_MAX:
            raise _invalid("/counts", f"at most {CLUSTERS_MAX} clusters", str(counts.shape[1]))
        if not np.isfinite(counts).all():
            raise _invalid("/counts", "numbers", "one that is none")
        self.attribute, self.groups = attribute, tuple(groups)
        self.counts: Floats = np.clip(counts, 0.0, None)
        if not self.counts.sum() > 0:
            raise _invalid("/counts", "some people", "none")
        self.is_estimated = confusion is not None
        self._inverse: Floats | None = np.eye(len(groups))
        if confusion is not None:
            self._inverse = _inverse_of(confusion, len(groups))

    @property
    def clusters(self) -> int:
        """How many there are."""
        return int(self.counts.shape[1])

    def without_blur(self, counts: Floats) -> Floats | None:
        """Counts by group with the blur taken out, none below 0 and as many in all."""
        if self._inverse is None:
            return None
        told: Floats = np.clip(self._inverse @ counts, 0.0, None)
        whole = told.sum()
        return told * (counts.sum() / whole) if whole > 0 else told


def scan(table: GroupTable, clauses: Mapping[str, Floats], rules: ScanRules) -> Scan:
    """What a targeting tells that selects by all of ``clauses``: name -> [clusters], in [0, 1].

    Without a clause it selects everybody and tells nothing. Raises Refused: table-invalid.
    """
    names = tuple(clauses)
    if len(names) > CLAUSES_MAX:
        raise _invalid("/clauses", f"at most {CLAUSES_MAX}", str(len(names)))
    for name, weights in clauses.items():
        _check_weights(f"/clauses/{name[:80]}", weights, table.clusters)

    def told(some: Sequence[str]) -> Scanned:
        weights = np.ones(table.clusters)
        for name in some:
            weights = weights * clauses[name]
        return _scanned(table, tuple(some), weights, rules)

    return Scan(
        attribute=table.attribute,
        is_estimated=table.is_estimated,
        whole=told(names),
        alone=tuple(told((name,)) for name in names),
        without=tuple(told([other for other in names if other != name]) for name in names),
        pairs=tuple(told(pair) for pair in combinations(names, 2)),
    )


def scan_feature(
    table: GroupTable, feature: str, values: Mapping[str, Floats], rules: ScanRules
) -> FeatureScan:
    """What a feature tells whose every value is that of a share of each cluster: [clusters].

    Where the shares of a cluster do not add up to 1, the rest is one more value.
    """
    for value, weights in values.items():
        _check_weights(f"/features/{feature}/{value[:80]}", weights, table.clusters)
    kept = dict(_most_common(table, values))
    rest = 1.0 - sum(kept.values(), np.zeros(table.clusters))
    if (rest < -1e-6).any():
        raise _invalid(f"/features/{feature}", "shares that add up to at most 1", "more")
    shares = [*kept.values(), np.clip(rest, 0.0, None)]
    by_value: Floats = np.stack([table.counts @ one for one in shares], axis=1)
    return FeatureScan(
        feature=feature,
        information=_pair(table, by_value),
        values=tuple(
            _scanned(table, (f"{feature} = {value}",), weights, rules)
            for value, weights in kept.items()
        ),
    )


def _most_common(table: GroupTable, values: Mapping[str, Floats]) -> Iterator[tuple[str, Floats]]:
    people = table.counts.sum(axis=0)
    order = sorted(values, key=lambda one: (-float(people @ values[one]), one))
    yield from ((value, values[value]) for value in order[:VALUES_MAX])
    if order[VALUES_MAX:]:
        yield OTHER, np.sum([values[value] for value in order[VALUES_MAX:]], axis=0)


def _scanned(
    table: GroupTable, clauses: tuple[str, ...], weights: Floats, rules: ScanRules
) -> Scanned:
    every, chosen = table.counts.sum(axis=1), table.counts @ weights
    people = float(chosen.sum())
    is_enough = people >= rules.minimum_people
    low, high = rules.lift_low, rules.lift_high
    seen = _figures(every, chosen)
    whole, part = table.without_blur(every), table.without_blur(chosen)
    plain = None if whole is None or part is None else _figures(whole, np.minimum(part, whole))
    lifts = []
    for number, group in enumerate(table.groups):
        if seen.lifts[number] is None:
            continue  # nobody of it is in the area: nothing can be said of it
        lift = Pair(
            float(seen.lifts[number] or 0.0), None if plain is None else plain.lifts[number]
        )
        is_flagged = is_enough and lift.any_outside(low, high)
        lifts.append(Lift(group=group, lift=lift, is_flagged=is_flagged))
    return Scanned(
        clauses=clauses,
        people=people,
        share=people / float(every.sum()),
        distance=Pair(seen.distance, None if plain is None else plain.distance),
        lifts=tuple(lifts),
        information=_pair(table, np.stack((chosen, every - chosen), axis=1)),
        is_enough=is_enough,
    )


class _Figures(Struct, frozen=True):
    distance: float
    lifts: tuple[float | None, ...]


def _figures(every: Floats, chosen: Floats) -> _Figures:
    """Distance and lifts of counts by group; of an empty selection they are 0 and 1."""
    whole, part = every.sum(), chosen.sum()
    if not part > 0:
        return _Figures(0.0, tuple(1.0 if one > 0 else None for one in every.tolist()))
    distance = 0.5 * float(np.abs(chosen / part - every / whole).sum())
    share = part / whole
    lifts = tuple(
        float(c / e / share) if e > 0 else None
        for c, e in zip(chosen.tolist(), every.tolist(), strict=True)
    )
    return _Figures(distance, lifts)


def _pair(table: GroupTable, joint: Floats) -> Pair:
    """The normalised mutual information of counts [group, value], blurred and not."""
    columns = [table.without_blur(joint[:, number]) for number in range(joint.shape[1])]
    plain = [one for one in columns if one is not None]
    deattenuated = None
    if len(plain) == len(columns):
        deattenuated = normalised_information(np.stack(plain, axis=1))
    return Pair(normalised_information(joint), deattenuated)


def normalised_information(joint: Floats) -> float:
    """I(group; value) / H(group) of counts [group, value]; 0 where there is one group only.

    What a subtraction left below 0 is 0.
    """
    counts = np.clip(joint, 0.0, None)
    p = counts / counts.sum()
    groups, values = p.sum(axis=1), p.sum(axis=0)
    entropy = -sum(one * np.log(one) for one in groups.tolist() if one > 0)
    if entropy <= 0:
        return 0.0
    expected = np.outer(groups, values)
    there = (p > 0) & (expected > 0)  # a product of two specks is nothing
    information = float((p[there] * np.log(p[there] / expected[there])).sum())
    return min(max(information / float(entropy), 0.0), 1.0)


def _inverse_of(confusion: Floats, groups: int) -> Floats | None:
    """M^-T, or None where M is too near to one that has no inverse."""
    if confusion.shape != (groups, groups) or not np.isfinite(confusion).all():
        raise _invalid("/confusion", f"[{groups}, {groups}] numbers", str(list(confusion.shape)))
    if (confusion < 0).any() or (np.abs(confusion.sum(axis=1) - 1) > 1e-6).any():
        raise _invalid("/confusion", "rows of shares that add up to 1", "others")
    if not np.linalg.cond(confusion) <= CONDITION_MAX:
        return None
    return np.linalg.inv(confusion.T).astype(np.float64)


def _check_weights(pointer: str, weights: Floats, clusters: int) -> None:
    if weights.shape != (clusters,):
        raise _invalid(pointer, f"a share of each of {clusters} clusters", str(list(weights.shape)))
    if not (np.isfinite(weights).all() and (weights >= 0).all() and (weights <= 1 + 1e-9).all()):
        raise _invalid(pointer, "shares from 0 to 1", "others")


def table_refused(pointer: str, detail: str) -> Refused:
    """What is no table, or no selection of it: 409, since no schema can say so."""
    return Refused(
        "table-invalid",
        f"{pointer}: {detail}",
        errors=[Fault(pointer, detail)],
        status=409,
        title="No table",
    )


def _invalid(pointer: str, expected: str, got: str) -> Refused:
    detail = f"expected {expected}, got {got}"
    return table_refused(pointer, detail)
