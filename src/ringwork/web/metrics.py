"""Prometheus metrics, bound before the first request.

``labels()`` in a hot path costs 7 us, a child 0.8.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

LATENCY_BUCKETS_NS: Final = tuple(
    int(seconds * 1e9)
    for seconds in (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)
)

NAMES: Final[Mapping[str, str]] = {
    "ringwork_requests_total": "Requests of the fast lane by endpoint and status.",
    "ringwork_request_seconds": "Time from head to answer of the fast lane, by endpoint.",
    "ringwork_ad_requests_total": "Ad requests since the start, by the tier of their person.",
    "ringwork_events_total": "Events in the log of this process's partition.",
    "ringwork_events_waiting": "Events that were decided and are not on disk yet.",
    "ringwork_projection_lag_events": "Durable events that the slowest projection has not applied.",
    "ringwork_beacons_invalid_total": "Beacons of invalid traffic since the start.",
    "ringwork_model_version": "Version of the response model that serves; 0 for the priors.",
    "ringwork_model_learned_total": "Rows that the response model has learned, of all heads.",
    "ringwork_grants_denied_total": "Reads of people's history that were denied, since the start.",
    "ringwork_holds_pending": "Pending transfers: sold impressions whose beacon has not come.",
    "ringwork_payments_open": "Charges and refunds of subscriptions without an answer yet.",
    "ringwork_bidders_asked_total": "Requests to outside bidders that were sent, since the start.",
    "ringwork_bidders_late_total": "Of these, those that had not answered in time.",
    "ringwork_fairness_ads": "Special ads that are or were measured.",
    "ringwork_fairness_unmeasured": "Special ads that are sold and cannot be measured now.",
    "ringwork_fairness_left_alone_total": "Shifts that the control arm left out, since the start.",
    "ringwork_fairness_no_cluster_total": "Shifts of 0 for want of a cluster, since the start.",
    "ringwork_fairness_no_number_total": "Shifts of 0 where a value is no number, since start.",
    "ringwork_fairness_stale_total": "Shifts of 0: release too old or paused, since start.",
    "ringwork_requests_running": "Requests inside the fast lane now.",
}
"""Every metric and what it says."""


class LaneMetrics:
    """One endpoint's counts, in plain integers: three additions per request, rendered on scrape."""

    __slots__ = ("buckets", "statuses", "sum_ns")

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.buckets = [0] * (len(LATENCY_BUCKETS_NS) + 1)
        self.sum_ns = 0

    def count(self, status: int, elapsed_ns: int) -> None:
        """Book one answered request."""
        self.statuses[status] += 1
        self.sum_ns += elapsed_ns
        place = 0
        for bound in LATENCY_BUCKETS_NS:
            if elapsed_ns <= bound:
                break
            place += 1
        self.buckets[place] += 1


class Metrics(Collector):
    """Renders the lanes' counts and the gauges, which are asked for when somebody scrapes."""

    def __init__(
        self,
        gauges: Mapping[str, Callable[[], float]],
        tiers: Callable[[], Mapping[str, int]] | None = None,
    ) -> None:
        """``gauges``: names of ``NAMES`` -> their value now; ``tiers``: ad requests by tier."""
        unknown = gauges.keys() - NAMES.keys()
        assert not unknown, f"metrics without a description: {unknown}"
        self._gauges = gauges
        self._tiers = tiers
        self.lanes: dict[str, LaneMetrics] = {}
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def lane(self, path: str) -> LaneMetrics:
        """The counts of one endpoint."""
        return self.lanes.setdefault(path, LaneMetrics())

    def render(self) -> bytes:
        """The text exposition format."""
        return generate_latest(self._registry)

    def collect(
        self,
    ) -> Iterable[CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily]:
        """For the registry."""
        requests = CounterMetricFamily(
            "ringwork_requests", NAMES["ringwork_requests_total"], labels=("endpoint", "status")
        )
        seconds = HistogramMetricFamily(
            "ringwork_request_seconds", NAMES["ringwork_request_seconds"], labels=("endpoint",)
        )
        for path, lane in self.lanes.items():
            for status, count in sorted(lane.statuses.items()):
                requests.add_metric((path, str(status)), count)
            seconds.add_metric((path,), _cumulative(lane.buckets), lane.sum_ns / 1e9)
        yield requests
        yield seconds
        if self._tiers is not None:
            name = "ringwork_ad_requests_total"
            asked = CounterMetricFamily(name.removesuffix("_total"), NAMES[name], labels=("tier",))
            for tier, count in sorted(self._tiers().items()):
                asked.add_metric((tier,), count)
            yield asked
        for name, value in self._gauges.items():
            if name.endswith("_total"):
                total = CounterMetricFamily(name.removesuffix("_total"), NAMES[name])
                total.add_metric((), value())
                yield total
            else:
                gauge = GaugeMetricFamily(name, NAMES[name])
                gauge.add_metric((), value())
                yield gauge


def _cumulative(buckets: list[int]) -> list[tuple[str, float]]:
    bounds = [*(str(bound / 1e9) for bound in LATENCY_BUCKETS_NS), "+Inf"]
    passed, rows = 0, []
    for bound, count in zip(bounds, buckets, strict=True):
        passed += count
        rows.append((bound, float(passed)))
    return rows
