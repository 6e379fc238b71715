"""The only code that sees names and areas: descriptions become vectors, vectors become sums.

Vectors are computed in batches, in memory, and written nowhere: who is described stands sealed in
the log, and after a start everybody is opened and estimated again. What leaves are sums over many
people: of whom an ad reached, of whole audiences, and of how the proxy blurs groups; with noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.fairness.delivery.description import Description
from ringwork.fairness.delivery.events import Audience
from ringwork.fairness.delivery.flights import Reached
from ringwork.fairness.delivery.people import People
from ringwork.fairness.measure.sums import SOFT_UNIT, Block, Layout, quantised
from ringwork.fairness.model import UNKNOWN
from ringwork.fairness.plan import Plan
from ringwork.fairness.proxy.bisg import BIFSG, BISG
from ringwork.fairness.tables.model import Tables
from ringwork.kernel.errors import ConfigurationError
from ringwork.kernel.ports import KeyStore

CROSSED_MAX: Final = 16
"""Groups that are controlled at most: attributes are crossed while their product stays below."""
OPENED_AT_ONCE: Final = 250
"""Descriptions unsealed before requests get their turn: a few milliseconds."""
Whole = NDArray[np.int64]


class Counted(Struct, frozen=True, kw_only=True):
    """Exact sums of an audience by attribute: they become public with noise alone."""

    members: int
    impressions: int
    """Of all members, each up to the plan's ``eligible_impressions_max``."""
    people: dict[str, list[int]]
    weighed: dict[str, list[int]]
    """Each person as often as their impressions."""

    def __repr__(self) -> str:
        return f"Counted({self.members} people)"


class Pool(Struct, frozen=True, kw_only=True):
    """Vectors of one estimated attribute: their moments become public with noise alone."""

    rows: NDArray[np.uint16]
    """[n, K], each adds up to ``unit``."""
    possible: NDArray[np.bool_]
    """[K, K] pairs of groups that one person can have."""
    unit: int

    def __repr__(self) -> str:
        return f"Pool({len(self.rows)} people)"


def controlled_by(plan: Plan) -> tuple[str, ...]:
    """The attributes that are steered: the plan's first intersection, or as many as fit."""
    if plan.intersections:
        return plan.intersections[0]
    found: list[str] = []
    size = 1
    for name, attribute in plan.attributes.items():
        size *= len(attribute.groups)
        if size > CROSSED_MAX:
            break
        found.append(name)
    return tuple(found) or tuple(plan.attributes)[:1]


class Enclave:
    """Knows people by their vectors. All calls on one thread but ``estimate``."""

    def __init__(self, plan: Plan, tables: Tables, people: People, keys: KeyStore) -> None:
        """Raises ConfigurationError for a plan that asks for what nobody told."""
        surveyed = [name for name, one in plan.attributes.items() if one.measured == "survey"]
        if surveyed:
            raise ConfigurationError(
                f"fairness.plan: {', '.join(surveyed)}: measured by a survey, and there is none; "
                "expected attributes that are declared or estimated by proxy"
            )
        self.tables = tables
        self.layout = Layout.of(plan)
        self.controlled = controlled_by(plan)
        crossing = () if len(self.controlled) == 1 else (self.controlled,)
        if crossing and self.controlled not in plan.intersections:
            plan = msgspec.structs.replace(plan, intersections=(*plan.intersections, *crossing))
        self._plan = plan
        self._whole = Layout.of(plan)
        """As ``layout``, and the controlled attributes crossed behind it, if not in it already."""
        (self.crossed,) = (one for one in self._whole.blocks if one.of == self.controlled)
        self._people = people
        self._keys = keys
        self._proxy = BISG(tables) if tables.first_names is None else BIFSG(tables)
        self._generation = -1
        self._forget_all()

    def __repr__(self) -> str:
        return f"Enclave({len(self._at)} people)"

    def __len__(self) -> int:
        return len(self._at)

    def _forget_all(self) -> None:
        self._at: dict[bytes, int] = {}
        """Subject -> its row."""
        self._free: list[int] = []
        self._rows = np.zeros((0, self._whole.width), np.uint16)
        self._regions: list[str] = []

    # ---- who is known ---------------------------------------------------------------------------

    @property
    def is_up_to_date(self) -> bool:
        """Whether everybody who is described has a vector."""
        return self._generation == self._people.generation and not self._people.changed

    def catch_up(self) -> bool:
        """Open some more descriptions; True while there are more. A few milliseconds."""
        people = self._people
        if self._generation != people.generation:
            self._generation = people.generation
            self._forget_all()
            people.changed.update(dict.fromkeys(people.described))
        subjects = list(islice(people.changed, OPENED_AT_ONCE))
        opened: dict[bytes, Description] = {}
        for subject in subjects:
            del people.changed[subject]
            described = self._opened(subject)
            if described is None:
                self._drop(subject)
            else:
                opened[subject] = described
        if opened:
            self._keep(opened)
        return bool(people.changed)

    def _opened(self, subject: bytes) -> Description | None:
        """None for one who is not described any more, or whose key is gone."""
        found = self._people.described.get(subject)
        if found is None:
            return None
        event_id, sealed = found
        plain = self._keys.unseal(subject, sealed, context=event_id + b"details")
        return None if plain is None else msgspec.msgpack.decode(plain, type=Description)

    def _drop(self, subject: bytes) -> None:
        at = self._at.pop(subject, None)
        if at is not None:
            self._rows[at] = 0
            self._regions[at] = ""
            self._free.append(at)

    def _keep(self, opened: Mapping[bytes, Description]) -> None:
        rows = self.estimate(list(opened.values()))
        new = [subject for subject in opened if subject not in self._at]
        while len(self._free) < len(new):
            self._grow()
        for subject in new:
            self._at[subject] = self._free.pop()
        for (subject, described), row in zip(opened.items(), rows, strict=True):
            at = self._at[subject]
            self._rows[at] = row
            self._regions[at] = described.region

    def _grow(self) -> None:
        size = len(self._rows)
        more = max(1024, size)
        self._rows = np.vstack([self._rows, np.zeros((more, self._whole.width), np.uint16)])
        self._regions += [""] * more
        self._free += range(size + more - 1, size - 1, -1)

    def estimate(self, people: Sequence[Description]) -> NDArray[np.uint16]:
        """[n, width] vectors: declared groups one-hot, estimated ones in 256ths."""
        declared = {
            name: np.array([_place(one, name, plan.groups) for one in people], np.int16)
            for name, plan in self._plan.attributes.items()
            if plan.measured == "declared"
        }
        estimated = {}
        proxied = [name for name, one in self._plan.attributes.items() if one.measured == "proxy"]
        if proxied:
            names = {"first_name": [one.first_name for one in people]}
            batch = self._proxy.posterior(
                surname=[one.surname for one in people],
                zip=[one.zip for one in people],
                tract=[one.tract for one in people],
                **(names if isinstance(self._proxy, BIFSG) else {}),
            )
            for name in proxied:
                merged = batch.merged(self._plan.partition(name))
                estimated[name] = quantised(merged.values)
        return self._whole.rows(declared, estimated)

    # ---- what leaves ----------------------------------------------------------------------------

    def sums(self, reached: Sequence[Reached], *, first_touches: bool = False) -> list[int]:
        """Exact sums over people reached, or over those reached first; they stay in here.

        Who is not described is in none.
        """
        at = [
            self._at[one.subject]
            for one in reached
            if one.subject in self._at and (one.is_first_touch or not first_touches)
        ]
        found: list[int] = self._rows[at, : self.layout.width].sum(axis=0, dtype=np.int64).tolist()
        return found

    def counted(self, audience: Audience, *, day: int) -> Counted:
        """Exact sums over everybody who is eligible, ``day`` being today's number since 1970.

        A person weighs once, and as much as the impressions of all ads in the plan's window, up to
        its ``eligible_impressions_max``.
        """
        subjects, members = self._members(audience)
        recent = self._people.recent.of(
            subjects, today=day, window_days=self._plan.eligible_window_days
        )
        weights = np.minimum(recent, self._plan.eligible_impressions_max)
        rows = self._rows[members]
        return Counted(
            members=len(members),
            impressions=int(weights.sum()),
            people=self._by_block(rows.sum(axis=0, dtype=np.int64)),
            # No BLAS: its threads would wait for those of requests.
            weighed=self._by_block(np.einsum("n,nk->k", weights, rows, dtype=np.int64)),
        )

    def size(self, audience: Audience) -> int:
        """How many people are eligible."""
        return len(self._members(audience)[0])

    def _by_block(self, sums: Whole) -> dict[str, list[int]]:
        return {one.attribute: sums[one.start : one.stop].tolist() for one in self.blocks}

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Of ``counted``: as ``layout``, and the controlled attributes crossed."""
        return self._whole.blocks

    def pool(self, attribute: str) -> Pool:
        """The vectors of everybody whose cell may be known: what the blur is learned from."""
        (block,) = (one for one in self._whole.blocks if one.attribute == attribute)
        known = _known(self._rows[self._members(Audience())[1]], block)
        return Pool(
            rows=known[known.any(axis=1)], possible=self._whole.together(block), unit=block.unit
        )

    def by_cluster(self, clusters: Mapping[bytes, int], count: int) -> Whole:
        """[C, G + 1] exact sums of the crossed groups (and unknown) by cluster, in 256ths.

        Each person is in one cluster, with a vector of norm one: what the table's noise is for.
        """
        block = self.crossed
        out = np.zeros((count, len(block.groups)), np.int64)
        for subject, cluster in clusters.items():
            at = self._at.get(subject)
            if at is not None and 0 <= cluster < count:
                out[cluster] += self._rows[at, block.start : block.stop]
        if block.unit != SOFT_UNIT:
            out *= SOFT_UNIT // block.unit
        return out

    def _members(self, audience: Audience) -> tuple[Sequence[bytes], Whole]:
        """Who is in an audience, and their rows."""
        found: Mapping[bytes, int] = self._at
        if audience != Audience():
            region = self._regions
            found = {one: at for one, at in found.items() if _is_in(audience, region[at])}
        return list(found), np.fromiter(found.values(), np.int64, len(found))


def _known(rows: NDArray[np.uint16], block: Block) -> NDArray[np.uint16]:
    """[n, K] a block without its unknown; rows of zeros are unknown."""
    return rows[:, block.start : block.stop - (block.groups[-1] == UNKNOWN)]


def _is_in(audience: Audience, region: str) -> bool:
    if audience.regions and not _lies_in(region, audience.regions):
        return False
    return not _lies_in(region, audience.excluded_regions)


def _lies_in(region: str, regions: Sequence[str]) -> bool:
    return any(region == one or region.startswith(f"{one}-") for one in regions)


def _place(one: Description, attribute: str, groups: Sequence[str]) -> int:
    """The position of a declared group; -1 where it is not known."""
    said = {"sex": one.sex, "age": one.age}.get(attribute, "")
    return groups.index(said) if said in groups else -1
