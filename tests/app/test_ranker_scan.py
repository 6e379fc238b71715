"""The proxy-variable scan of what special ads are scored by."""

import numpy as np
import pytest

from ringwork.ads.model import Context, Slot
from ringwork.ads.rank.features import CONTEXT_FIELDS, SPECIAL_FIELDS
from ringwork.app.ranker_scan import FIELDS, scan_ranker
from ringwork.fairness.hec.rules import preset
from ringwork.fairness.hec.scan import GroupTable, normalised_information

RULES = preset("united-states").scan
COUNTS = np.array([[800.0, 200.0], [300.0, 700.0]])
SLOT = Slot(id="1", format="banner", sizes=((300, 250),))


def requests(device_of):
    """Ten requests of each cluster; the region follows the cluster, the hour does not."""
    for cluster in (0, 1):
        for number in range(10):
            device = device_of(cluster, number)
            context = Context(
                site="news.example", region=("USA-TX", "USA-NY")[cluster],
                device_type=device, hour=number,
            )  # fmt: skip
            yield context, SLOT, cluster


def test_a_feature_that_follows_the_cluster_tells_all_that_the_cluster_does():
    table = GroupTable("race", ["a", "b"], COUNTS)
    found = scan_ranker(table, requests(lambda cluster, _: ("phone", "tv")[cluster]), RULES)
    assert {one.feature for one in found} == set(FIELDS) == set(SPECIAL_FIELDS)
    by = {one.feature: one for one in found}
    assert by["device"].information.proxy == pytest.approx(normalised_information(COUNTS))
    assert by["device"].is_flagged
    assert by["hour"].information.proxy == pytest.approx(0.0, abs=1e-12)
    assert not by["place"].is_flagged
    # The region would tell as much, and is not read: the country is the same everywhere.
    assert "region" in CONTEXT_FIELDS
    assert "region" not in by
    assert by["country"].information.proxy == pytest.approx(0.0, abs=1e-12)
    assert found[0].feature in ("device", "device_hour")


def test_a_feature_that_is_alike_in_all_clusters_tells_nothing():
    table = GroupTable("race", ["a", "b"], COUNTS)
    found = scan_ranker(table, requests(lambda _, number: ("phone", "tv")[number % 2]), RULES)
    assert not any(one.is_flagged for one in found)


def test_without_requests_nothing_is_told():
    table = GroupTable("race", ["a", "b"], COUNTS)
    assert all(one.values == () for one in scan_ranker(table, [], RULES))
