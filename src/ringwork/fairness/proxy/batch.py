"""What a proxy answers: posteriors of many people that add up, and cannot be read one by one.

A posterior is not the race of a person: it is right on average over people alike, and wrong for
most of those in small groups. So a batch gives means and sums. It has no most likely group, does
not show its rows, cannot be pickled or written to a file, and hands its rows out only to code of
this package (``values``) or under a policy that names the lawful basis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NoReturn

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.fairness.model import Partition, merging
from ringwork.fairness.names.rules import GENERIC, NONE, PART, TABLE
from ringwork.fairness.proxy.areas import AREA_LEVELS
from ringwork.kernel.errors import Refused

UNIT: Final = 256
"""What a quantised posterior adds up to."""
NAME_MATCHES: Final = ("none", "generic", "table", "part")
"""``ProxyBatch.surname_match`` is a position in this."""
assert list(range(len(NAME_MATCHES))) == [NONE, GENERIC, TABLE, PART]


class IndividualExport(Struct, frozen=True, kw_only=True):
    """Permission to see the posteriors of single people, and on what lawful basis."""

    allow_individual_export: bool = False
    lawful_basis: str = ""


class MatchReport(Struct, frozen=True, kw_only=True):
    """How names and areas matched, in numbers of people."""

    people: int
    surname: dict[str, int]
    """none: not given or contradicted by the area; generic: not listed; table; part."""
    first_name: dict[str, int]
    area: dict[str, int]


class Mix(Struct, frozen=True, kw_only=True):
    """The mean posterior of a batch: how a proxy sees its groups."""

    groups: tuple[str, ...]
    shares: tuple[float, ...]
    match: MatchReport
    tables: str
    tables_sha256: str
    demo_tables: bool


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class ProxyBatch:
    """Posteriors of people, row for row as they were asked for."""

    values: NDArray[np.float32]
    """[n, G] for sums inside this package; rows add up to one."""
    partition: Partition
    surname_match: NDArray[np.uint8]
    first_name_match: NDArray[np.uint8]
    area_level: NDArray[np.uint8]
    tables: str
    tables_sha256: str
    demo_tables: bool

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"ProxyBatch({len(self)} people, {self.partition.groups}, {self.tables!r})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise _refused("a batch of posteriors cannot be pickled")

    def report(self) -> MatchReport:
        """How names and areas matched."""
        return MatchReport(
            people=len(self),
            surname=_counted(self.surname_match, NAME_MATCHES),
            first_name=_counted(self.first_name_match, NAME_MATCHES),
            area=_counted(self.area_level, AREA_LEVELS),
        )

    def mix(self) -> Mix:
        """The mean posterior with its match report. ValueError for an empty batch."""
        if not len(self):
            raise ValueError("expected at least one person, got none")
        shares = self.values.mean(axis=0, dtype=np.float64)
        return Mix(
            groups=self.partition.groups,
            shares=tuple(map(float, shares / shares.sum())),
            match=self.report(),
            tables=self.tables,
            tables_sha256=self.tables_sha256,
            demo_tables=self.demo_tables,
        )

    def merged(self, coarse: Partition) -> ProxyBatch:
        """The same people in fewer groups; see ``model.merging``."""
        target = merging(self.partition, coarse)
        values = np.zeros((len(self), len(coarse)), np.float32)
        for group, position in enumerate(target):
            values[:, position] += self.values[:, group]
        return ProxyBatch(
            values,
            coarse,
            self.surname_match,
            self.first_name_match,
            self.area_level,
            self.tables,
            self.tables_sha256,
            self.demo_tables,
        )

    def individual(self, policy: IndividualExport) -> NDArray[np.float32]:
        """[n, G] a copy of the rows, for a stated lawful basis.

        Raises Refused (individual-export-refused, 403) where the policy does not allow it.
        """
        if not policy.allow_individual_export or not policy.lawful_basis.strip():
            raise _refused(
                "expected a policy with allow_individual_export and a stated lawful basis"
            )
        return self.values.copy()


def quantised(batch: ProxyBatch | NDArray[np.float32]) -> NDArray[np.int16]:
    """[n, G] posteriors as whole numbers that add up to 256, by largest remainder.

    So sums over people are exact integers whose sensitivity is known: the L2 norm of a row is 256
    at most. Of equal remainders the earlier group's is rounded up. ValueError where a row does not
    add up to one.
    """
    values = batch.values if isinstance(batch, ProxyBatch) else batch
    scaled = values.astype(np.float64) * UNIT
    if not np.allclose(scaled.sum(axis=1), UNIT, atol=0.01):
        raise ValueError("expected rows that add up to one")
    whole = np.floor(scaled)
    missing = UNIT - whole.sum(axis=1)
    order = np.argsort(whole - scaled, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(values.shape[1])[None, :], axis=1)
    found: NDArray[np.int16] = (whole + (rank < missing[:, None])).astype(np.int16)
    return found


def _counted(kinds: NDArray[np.uint8], names: tuple[str, ...]) -> dict[str, int]:
    counts = np.bincount(kinds, minlength=len(names))
    return {name: int(count) for name, count in zip(names, counts, strict=True)}


def _refused(detail: str) -> Refused:
    return Refused(
        "individual-export-refused",
        f"{detail}: posteriors are for sums over many people",
        status=403,
        title="Estimates of single people are not given out",
    )
