"""The proxy-variable scan of what the ranking of special ads reads, feature by feature.

``ads`` says which features these are, ``fairness`` what a feature tells about groups; neither knows
the other, and nobody of them is told who looked: requests come with the cluster of their person,
as the tables of groups know it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from ringwork.ads.model import Context, Slot
from ringwork.ads.rank.features import CONTEXT_FIELDS, context_values, special_features
from ringwork.fairness.hec.rules import ScanRules
from ringwork.fairness.hec.scan import FeatureScan, Floats, GroupTable, scan_feature

FIELDS = tuple(one for one in special_features() if one in CONTEXT_FIELDS)
"""A cross knows no more of the request than its own field does."""


def scan_ranker(
    table: GroupTable, requests: Iterable[tuple[Context, Slot, int]], rules: ScanRules
) -> list[FeatureScan]:
    """What every feature that special ads are scored by tells, by the requests that there were.

    ``requests``: with the number of the cluster in ``table``. Clusters of which there was none are
    in no share. The strongest comes first.
    """
    seen: Floats = np.zeros(table.clusters)
    counts: dict[str, Counter[tuple[str, int]]] = {field: Counter() for field in FIELDS}
    for context, slot, cluster in requests:
        seen[cluster] += 1
        values = dict(zip(CONTEXT_FIELDS, context_values(context, slot), strict=True))
        for field, counter in counts.items():
            counter[values[field], cluster] += 1
    every = np.maximum(seen, 1.0)
    scans = []
    for field, counter in counts.items():
        shares: dict[str, Floats] = {}
        for (value, cluster), count in counter.items():
            weights = shares.setdefault(value, np.zeros(table.clusters))
            weights[cluster] = count / every[cluster]
        scans.append(scan_feature(table, field, shares, rules))
    return sorted(scans, key=lambda one: (-one.information.proxy, one.feature))
