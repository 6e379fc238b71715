"""A botnet of 1,000 accounts on 10,000 addresses among 20,000 people, within a day of log.

Seven botnets: each account draws on 15 to all of the addresses, in data centres or in people's
homes, among phones that stay in a carrier's network or hop over many.
What counts is the worst of them. The peer is what SynchroTrap does at heart (Jaccard of every pair,
single linkage), on the same table; it is given its best threshold of several, knowing the truth.
"""

from __future__ import annotations

import time

import numpy as np

from benchmarks.foundation.event_log import result
from ringwork.gate.collude import Cluster, find_clusters
from ringwork.gate.collude.cluster import components
from ringwork.gate.collude.signatures import Actions, incidence
from tests.gate.collude.city import day, judged

POOLS: tuple[dict[str, int | bool], ...] = (
    {"addresses_of_bot": 15, "actions_of_bot": 60},
    {"addresses_of_bot": 40},
    {"addresses_of_bot": 40, "is_in_homes": True},
    {"addresses_of_bot": 200, "actions_of_bot": 400},
    {"addresses_of_bot": 2_000, "actions_of_bot": 400},
    {"addresses_of_bot": 10_000, "actions_of_bot": 400},
    {"addresses_of_bot": 40, "nats": 256, "is_scattered": True},
)


def by_jaccard(actions: Actions, thresholds: tuple[float, ...]) -> list[list[Cluster]]:
    """All pairs of actors that share something, by Jaccard of their objects; once per threshold."""
    table = incidence(actions)
    size = len(table.actor_ids)
    degrees = np.diff(table.starts)
    order = np.argsort(table.tokens, kind="stable")
    ends = np.cumsum(table.crowds)
    keys = []
    for end, crowd in zip(ends.tolist(), table.crowds.tolist(), strict=True):
        if 1 < crowd <= 300:  # all pairs of a carrier's customers would not end today
            users = np.sort(table.actors[order[end - crowd : end]])
            one, other = np.triu_indices(crowd, 1)
            keys.append(users[one] * size + users[other])
    pairs, common = np.unique(np.concatenate(keys), return_counts=True)
    one, other = pairs // size, pairs % size
    similarity = common / (degrees[one] + degrees[other] - common)
    out = []
    for threshold in thresholds:
        kept = similarity >= threshold
        parent = components(size, one[kept], other[kept])
        roots, sizes = np.unique(parent, return_counts=True)
        out.append([
            Cluster(table.actor_ids[np.flatnonzero(parent == root)], table.object_ids[:0], "", 0.0)
            for root in roots[sizes >= 10].tolist()
        ])  # fmt: skip
    return out


def run(quick: bool) -> list[dict[str, object]]:
    clusters_max, purity_min, found_min, longest_s, actions_max = 0, 1.0, 1.0, 0.0, 0
    for pool in POOLS[:2] if quick else POOLS:
        city = day(people=5_000 if quick else 20_000, seed=7, **pool)  # type: ignore[arg-type] # by name
        started = time.process_time()
        clusters = find_clusters(city.actions)
        took_s = time.process_time() - started
        purity, found = judged(clusters, city.bots)
        print(f"{pool}: {len(clusters)} clusters, purity {purity:.3f}, found {found:.3f}, "
              f"{len(city.actions):,} actions in {took_s:.1f} s", flush=True)  # fmt: skip
        clusters_max = max(clusters_max, len(clusters))
        purity_min, found_min = min(purity_min, purity), min(found_min, found)
        if took_s > longest_s:
            longest_s, actions_max = took_s, len(city.actions)
    peer = _peer(quick)
    innocent = find_clusters(day(people=5_000 if quick else 20_000, bots=0, seed=8).actions)
    return [
        {**result("clusters of the botnet, the worst of the pools", -clusters_max, -5, "clusters"),
         "measured": clusters_max, "target": 5, "ok": 1 <= clusters_max <= 5},
        {**result("purity of the worst cluster", round(purity_min, 4), 0.95, ""), "peer": peer},
        result("share of the botnet's accounts in a cluster", round(found_min, 4), 0.95, ""),
        {**result("clusters among people alone", len(innocent), 0, "clusters"),
         "ok": not innocent},
        result("actions a CPU second, the slowest", actions_max / longest_s, 50_000, "1/s"),
    ]  # fmt: skip


def _peer(quick: bool) -> str:
    city = day(people=5_000 if quick else 20_000, seed=7, **POOLS[1])  # type: ignore[arg-type] # by name
    thresholds = (0.02, 0.05, 0.1, 0.2, 0.34)
    best = max(
        (judged(found, city.bots), at)
        for at, found in zip(thresholds, by_jaccard(city.actions, thresholds), strict=True)
    )
    (purity, found), threshold = best
    return f"all-pairs Jaccard at {threshold}: purity of its worst {purity:.2f}, found {found:.2f}"
