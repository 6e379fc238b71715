"""Clusters of actors that act as one, from the places that they share.

Two shapes are looked for. **Lockstep**: the same objects at about the same time (SynchroTrap):
pairs from MinHash and LSH, verified exactly, joined by union-find. **A pool**: many actors draw
from many addresses, so that any two share next to nothing and Jaccard sees none. Their table shows
it: each member has many places that other members use too. So actors with fewer such places
are taken away until nobody leaves (a weighted core of the bipartite graph), and what stays
together is a cluster.

People share places as well, but few of them: a home, an office, a carrier. What stands against them
are the weights (a crowd says little), the number of places, and a test against chance at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ringwork.gate.collude.signatures import CROWD, Actions, Incidence, candidate_pairs, incidence

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Longs = NDArray[np.int64]
    Bools = NDArray[np.bool_]
    Reals = NDArray[np.float64]

ROUNDS_MAX: Final = 1_000
"""Of the peeling; a botnet takes about ten. A chain that is built to take more ends here."""
CLUSTERS_MAX: Final = 1_000
USUAL: Final = 0.6
"""So many of all actors are taken for people when the threshold is set."""
DAYS_MAX: Final = 400
"""Of a log; the last ones count."""
_DAY_US: Final = 86_400_000_000
OVERLAP: Final = 0.5
"""Clusters of the two kinds with this share of the smaller in common are one."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What makes a cluster. The defaults leave homes, offices and carriers alone."""

    places: float = 5.0
    """Places, weighed by their crowds, that a member shares with other members."""
    similarity: float = 0.5
    """Weighted Jaccard of two that act in lockstep."""
    members: int = 10
    window_us: int = 7_200_000_000
    """Of lockstep: two hours, as SynchroTrap has it."""
    chance: float = 1e-3
    """At most so many actors are expected in clusters by chance, all together (Bonferroni)."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Actors, and the objects that hold them together; ids as in the actions, ascending."""

    members: Longs
    objects: Longs
    kind: str
    """``pool``, ``lockstep`` or ``pool+lockstep``."""
    log10_chance: float
    """Of all members together, at most: how often outsiders would come to share as much."""


def find_clusters(
    actions: Actions, thresholds: Thresholds | None = None, *, key: int = 0
) -> list[Cluster]:
    """The clusters, largest first. Equal ``key``, the secret of the hashes, gives equal answers."""
    asked = Thresholds() if thresholds is None else thresholds
    if not len(actions):
        return []
    by_object = incidence(actions)
    found = _tested(by_object, *_pool(by_object, asked), "pool", asked)
    by_window = incidence(actions, window_us=asked.window_us)
    found += _tested(by_window, *_lockstep(by_window, asked, key), "lockstep", asked)
    merged = _merged(sorted(found, key=lambda one: (-len(one.members), one.kind)))
    return sorted(merged, key=lambda one: (-len(one.members), int(one.members[0])))


def find_daily_clusters(
    actions: Actions, thresholds: Thresholds | None = None, *, key: int = 0
) -> list[Cluster]:
    """Clusters of every day (UTC) by itself; those of several days that are the same are joined.

    In a month people come to many places, in a day to few.
    """
    days = actions.ts_us // _DAY_US
    found: list[Cluster] = []
    for day in np.unique(days)[-DAYS_MAX:].tolist():
        rows = days == day
        today = Actions(
            actions.actors[rows], actions.ts_us[rows], actions.objects[rows], actions.places[rows]
        )
        found = _merged([*found, *find_clusters(today, thresholds, key=key)])
    return sorted(found, key=lambda one: (-len(one.members), int(one.members[0])))


def components(count: int, firsts: Longs, seconds: Longs) -> Longs:
    """The smallest node of each node's component, int64[count]: union-find over whole arrays.

    All edges hook the larger root to the smaller at once, then paths are halved until they end
    (Shiloach and Vishkin 1982).
    """
    parent = np.arange(count)
    while len(firsts):
        one, other = parent[firsts], parent[seconds]
        differ = one != other
        firsts, seconds = firsts[differ], seconds[differ]
        np.minimum.at(parent, np.maximum(one, other)[differ], np.minimum(one, other)[differ])
        while not np.array_equal(grand := parent[parent], parent):
            parent = grand
    return parent


def core(table: Incidence, places: float) -> Bools:
    """Which pairs of the table stay when everybody has ``places`` shared ones or leaves."""
    group, owner = _groups(table)
    alive = np.flatnonzero(table.crowds[table.tokens] > 1)
    for _ in range(ROUNDS_MAX):
        users = np.bincount(table.tokens[alive], minlength=len(table.crowds))
        alive = alive[users[table.tokens[alive]] > 1]
        stays = _scores(table, group, owner, alive)[table.actors[alive]] >= places
        if stays.all():
            break
        alive = alive[stays]
    kept = np.zeros(len(table.actors), np.bool_)
    kept[alive] = True
    return kept


def _places_of_few(table: Incidence, places: float) -> float:
    """The threshold for this crowd: where most people hop about, it takes more to stand out.

    Twice what the usual actor stays below, but no more than three times ``places``: a large botnet
    must not raise it out of its own reach.
    """
    usual = float(np.quantile(_scores(table, *_groups(table), slice(None)), USUAL))
    return min(max(places, 2 * usual), 3 * places)


def _groups(table: Incidence) -> tuple[Longs, Longs]:
    """The group of every pair by actor and place, and the actor of every group."""
    width = int(table.places.max(initial=0)) + 1
    groups, group = np.unique(
        table.actors * width + table.places[table.tokens], return_inverse=True
    )
    return group, groups // width


def _scores(table: Incidence, group: Longs, owner: Longs, pairs: Longs | slice) -> Reals:
    """Shared places of every actor, weighed; one counts once, however many objects are in it."""
    weights = table.weights[table.tokens[pairs]]
    sums = np.bincount(group[pairs], weights, len(owner))
    scores = np.bincount(owner, np.minimum(sums, 1.0), len(table.actor_ids))
    return scores.astype(np.float64)


def _pool(table: Incidence, asked: Thresholds) -> tuple[Longs, Bools]:
    """The label of every actor (-1 for none) and which tokens hold clusters together."""
    kept = core(table, _places_of_few(table, asked.places))
    actors, tokens = table.actors[kept], table.tokens[kept]
    inside = np.bincount(tokens, minlength=len(table.crowds))
    # A carrier's NAT that members used too joins nobody: others are the most there.
    binds = (inside > 1) & ((table.crowds <= CROWD) | (2 * inside > table.crowds))
    bound = binds[tokens]
    actors, tokens = actors[bound], tokens[bound]
    size = len(table.actor_ids)
    parent = components(size + len(binds), actors, tokens + size)
    labels = np.full(size, -1)
    labels[actors] = parent[actors]
    return labels, binds


def _lockstep(table: Incidence, asked: Thresholds, key: int) -> tuple[Longs, Bools]:
    firsts, seconds = candidate_pairs(table, key=key)
    similarity, places = verified(table, firsts, seconds)
    kept = (similarity >= asked.similarity) & (places >= asked.places)
    firsts, seconds = firsts[kept], seconds[kept]
    parent = components(len(table.actor_ids), firsts, seconds)
    labels = np.full(len(table.actor_ids), -1)
    joined = np.union1d(firsts, seconds)
    labels[joined] = parent[joined]
    return labels, table.crowds > 1


def verified(table: Incidence, firsts: Longs, seconds: Longs) -> tuple[Reals, Longs]:
    """Weighted Jaccard and the number of places in common, exactly, of pairs of actor codes."""
    weights = table.weights
    totals = np.bincount(table.actors, weights[table.tokens], len(table.actor_ids))
    lengths = table.starts[firsts + 1] - table.starts[firsts]
    pair = np.repeat(np.arange(len(firsts)), lengths)
    offsets = np.arange(len(pair)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    tokens = table.tokens[table.starts[firsts][pair] + offsets]
    width = max(len(table.crowds), 1)
    keys = table.actors * width + table.tokens
    wanted = seconds[pair] * width + tokens
    at = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
    shared = keys[at] == wanted if len(keys) else np.zeros(0, np.bool_)
    pair, tokens = pair[shared], tokens[shared]
    both = np.bincount(pair, weights[tokens], len(firsts))
    union = totals[firsts] + totals[seconds] - both
    span = int(table.places.max(initial=0)) + 1
    different = np.unique(pair * span + table.places[tokens]) // span
    similarity = np.divide(both, union, out=np.zeros(len(firsts)), where=union > 0)
    return similarity, np.bincount(different, minlength=len(firsts))


def _tested(
    table: Incidence, labels: Longs, binds: Bools, kind: str, asked: Thresholds
) -> list[Cluster]:
    """The components that are large enough and no chance; members who may be are left out."""
    sizes = np.bincount(labels[labels >= 0], minlength=1)
    large = np.flatnonzero(sizes >= asked.members)
    large = large[np.argsort(-sizes[large], kind="stable")][:CLUSTERS_MAX]
    degrees = np.diff(table.starts)
    limit = np.log(asked.chance / len(table.actor_ids))
    found = []
    for label in large.tolist():
        member = labels == label
        mine = member[table.actors]
        inside = np.bincount(table.tokens[mine], minlength=len(binds))
        holds = binds & (inside > 1)
        held = holds[table.tokens]
        shared = np.bincount(table.actors[mine & held], minlength=len(member))
        # How often an outsider comes upon the cluster's objects (rule of succession).
        outside = int((~mine).sum())
        share = ((held & ~mine).sum() + 1) / (outside + 2)
        tails = log_tail(shared, degrees, float(share))
        kept = np.flatnonzero(member & (tails <= limit))
        if len(kept) >= asked.members:
            chosen = holds & (np.bincount(table.tokens[np.isin(table.actors, kept)],
                                          minlength=len(binds)) > 1)  # fmt: skip
            found.append(Cluster(
                table.actor_ids[kept], np.unique(table.object_ids[chosen]), kind,
                float(tails[kept].sum() / np.log(10)),
            ))  # fmt: skip
    return found


def log_tail(successes: Longs, trials: Longs, share: float) -> Reals:
    """A bound on ln P(X >= successes), X binomial (Chernoff 1952): -n KL(s/n || share)."""
    trials = np.maximum(trials, 1)
    rate = successes / trials
    with np.errstate(divide="ignore", invalid="ignore"):
        up = np.where(rate > 0, rate * np.log(rate / share), 0.0)
        down = np.where(rate < 1, (1 - rate) * np.log((1 - rate) / (1 - share)), 0.0)
    return np.where(rate > share, -trials * (up + down), 0.0)


def _merged(found: list[Cluster]) -> list[Cluster]:
    out: list[Cluster] = []
    for one in found:
        for place, other in enumerate(out):
            common = len(np.intersect1d(one.members, other.members, assume_unique=True))
            if common >= OVERLAP * min(len(one.members), len(other.members)):
                kinds = sorted({*one.kind.split("+"), *other.kind.split("+")}, reverse=True)
                out[place] = Cluster(
                    np.union1d(one.members, other.members),
                    np.union1d(one.objects, other.objects),
                    "+".join(kinds),
                    min(one.log10_chance, other.log10_chance),
                )
                break
        else:
            out.append(one)
    return out
