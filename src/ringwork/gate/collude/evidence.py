"""Why actors are taken for one: which objects, when, by how many of them and of others.

What a reviewer or an authority sees. It holds the ids that the caller chose and nothing else of
anybody; outsiders are counted, never named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable

    from ringwork.gate.collude.cluster import Cluster
    from ringwork.gate.collude.signatures import Actions

OBJECTS_MAX: Final = 50
MEMBERS_MAX: Final = 20
"""Of an object; the graph is for reading."""


class Shared(Struct, frozen=True):
    """An object of the cluster: how many members and others used it, and when members did."""

    object: int
    members: int
    others: int
    first_us: int
    last_us: int
    examples: tuple[int, ...]
    """Members, the graph's edges: the lowest ids, MEMBERS_MAX at most."""


class Evidence(Struct, frozen=True):
    """The whole of a cluster in figures, and its most shared objects."""

    kind: str
    members: int
    objects: int
    actions: int
    """Of members on the cluster's objects."""
    share: float
    """The part of all that members did that was done there."""
    log10_chance: float
    shared: tuple[Shared, ...]

    def told(self, name: Callable[[int], str] = "object {}".format) -> tuple[str, ...]:
        """The same in sentences, the strongest first; ``name`` is what an object is called."""
        return (
            f"{self.members:,} actors share {self.objects:,} objects ({self.kind}); "
            f"{100 * self.share:.0f} % of what they did was there",
            f"others would come to share as much with a chance of at most 1 in 10^"
            f"{-self.log10_chance:,.0f}",
            *(
                f"{name(one.object)}: {one.members:,} members, {one.others:,} others"
                for one in self.shared[:3]
            ),
        )


def evidence_of(actions: Actions, cluster: Cluster) -> Evidence:
    """The evidence, from the actions that the cluster was found in."""
    is_member = _within(actions.actors, cluster.members)
    there = np.flatnonzero(_within(actions.objects, cluster.objects))
    pairs = np.unique(np.column_stack((actions.objects[there], actions.actors[there])), axis=0)
    inside = _within(pairs[:, 1], cluster.members)
    codes = np.searchsorted(cluster.objects, pairs[:, 0])
    members = np.bincount(codes[inside], minlength=len(cluster.objects))
    others = np.bincount(codes[~inside], minlength=len(cluster.objects))
    top = np.lexsort((cluster.objects, others, -members))[:OBJECTS_MAX]
    theirs = there[is_member[there]]
    shared = []
    for place in top.tolist():
        name = int(cluster.objects[place])
        times = actions.ts_us[theirs[actions.objects[theirs] == name]]
        who = pairs[inside & (codes == place), 1][:MEMBERS_MAX]
        shared.append(Shared(
            name, int(members[place]), int(others[place]), int(times.min()), int(times.max()),
            tuple(who.tolist()),
        ))  # fmt: skip
    return Evidence(
        kind=cluster.kind,
        members=len(cluster.members),
        objects=len(cluster.objects),
        actions=len(theirs),
        share=len(theirs) / max(int(is_member.sum()), 1),
        log10_chance=cluster.log10_chance,
        shared=tuple(shared),
    )


def _within(values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Whether each value is one of ``wanted``, which ascend."""
    if not len(wanted):
        return np.zeros(len(values), np.bool_)
    at = np.minimum(np.searchsorted(wanted, values), len(wanted) - 1)
    return np.asarray(wanted[at] == values)
