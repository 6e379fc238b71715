"""What fairness shows: rules, people, ads, releases, reports, and auctions elsewhere."""

from __future__ import annotations

from ringwork.app.application import Gauges, Surface
from ringwork.app.fairness import Fairness
from ringwork.app.store import Store
from ringwork.fairness import http, http_log, http_outside, outside
from ringwork.fairness.hec import http as special_http
from ringwork.fairness.hec.screen import SpecialAdScreen


def rules_surface(screen: SpecialAdScreen | None) -> Surface:
    """The rules of special ads, where some are in force."""
    if screen is None:
        return Surface()
    return Surface(routes=special_http.special_ad_routes(screen), types=special_http.TYPES)


def fairness_surface(store: Store, fairness: Fairness | None) -> Surface:
    """How special ads are delivered, where that is measured."""
    if fairness is None:
        return Surface()
    api = http.FairnessApi(
        memory=fairness.memory,
        journal=store.journal,
        keys=store.keys,
        execute=store.execute,
        subject_of=fairness.subject_of,
        ready=fairness.ready,
    )
    elsewhere = http_outside.OutsideApi(
        outside=fairness.outside,
        journal=store.journal,
        execute=store.execute,
        keys=store.memory.api_keys,
        tenant=store.settings.tenant,
    )
    log = http_log.LogApi(
        page=fairness.log_page,
        report=fairness.report,
        follow=fairness.follow,
        rotate_key=fairness.rotate_key,
        execute=store.execute,
    )
    return Surface(
        routes=[
            *http.fairness_routes(api),
            *http_outside.outside_routes(elsewhere),
            *http_log.log_routes(log),
        ],
        lanes=[http_outside.adjust_lane(elsewhere)],
        types=[*http.TYPES, *http_log.TYPES, *outside.TYPES],
        paths=http_outside.PATHS,
        gauges=_gauges(fairness),
    )


def _gauges(fairness: Fairness) -> Gauges:
    missed = fairness.tables.missed
    return {
        "ringwork_fairness_ads": lambda: len(fairness.memory.flights.ads),
        "ringwork_fairness_unmeasured": lambda: (
            0 if fairness.desk is None else len(fairness.desk.unmeasured)
        ),
        "ringwork_fairness_left_alone_total": lambda: fairness.steer.left_alone,
        "ringwork_fairness_no_cluster_total": lambda: missed.cluster,
        "ringwork_fairness_no_number_total": lambda: missed.number,
        "ringwork_fairness_stale_total": lambda: missed.stale,
    }
