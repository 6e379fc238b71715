"""Settings to ASGI: platform, handlers, lanes, authentication, in one place."""

from __future__ import annotations

from collections.abc import Callable, Set
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

import msgspec
from litestar import Litestar, Response, get
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from ringwork.ads import http as ads_http
from ringwork.ads import http_reports, http_supply_files
from ringwork.ads.behavioural import http as behavioural_http
from ringwork.ads.exchange.gather import ASKED
from ringwork.ads.http_api import AdsApi
from ringwork.ads.http_lanes import AdFlow, AdLanes
from ringwork.ads.http_native import NativeAds, PersonOfLink
from ringwork.ads.http_paths import LANE_PATHS, LANE_TYPES
from ringwork.ads.http_reports import ReportsApi
from ringwork.ads.http_supply_files import SupplyFiles, supply_file_routes
from ringwork.ads.http_vast import VastTag
from ringwork.ads.http_why import why_routes
from ringwork.ads.markup import Markup, Urls
from ringwork.ads.model import Region
from ringwork.ads.openrtb import BidderTerms
from ringwork.ads.shown import Shown
from ringwork.ads.supply.ads_txt import is_domain
from ringwork.app import ledger_http, platform_http
from ringwork.app.choice import ChoicePage
from ringwork.app.fairness import Fairness
from ringwork.app.log_api import LogApi
from ringwork.app.platform import Platform
from ringwork.app.settings import Settings
from ringwork.app.traffic import networks
from ringwork.consent import http as consent_http
from ringwork.consent import http_gpc, http_proof_runs
from ringwork.consent.choice import http as choice_http
from ringwork.consent.choice.paths import CHOICE_PATHS
from ringwork.consent.proving import Proving
from ringwork.consent.subscriptions import http as subscriptions_http
from ringwork.fairness import http as fairness_http
from ringwork.fairness import http_log, http_outside, outside
from ringwork.fairness.hec import http as special_http
from ringwork.fairness.hec.http import special_ad_routes
from ringwork.fairness.http_outside import PATHS as ADJUST_PATHS
from ringwork.kernel.clock import ScaledClock, SystemClock
from ringwork.kernel.entropy import SystemEntropy
from ringwork.kernel.errors import ConfigurationError
from ringwork.kernel.ports import Clock, Entropy
from ringwork.storage.sqlite.files import Connect, connect
from ringwork.storage.sqlite.indexes import RequestIndex
from ringwork.storage.sqlite.log import exit_at_once
from ringwork.web import openapi
from ringwork.web.app import HttpRequest, create_litestar
from ringwork.web.auth import Authentication, needs
from ringwork.web.lane import ASGI, FastLane, Lane, Receive, Scope, Send
from ringwork.web.metrics import Metrics

if TYPE_CHECKING:
    from httpx import AsyncBaseTransport

STATIC: Final = Path(ads_http.__file__).parent / "static"
TAG: Final = STATIC / "ringwork.js"
"""The script for publishers' pages."""
WHY: Final = STATIC / "why.html"
"""The page behind "Why this ad?"."""
ADAPTER: Final = STATIC / "ringworkBidAdapter.js"
"""The module for a Prebid.js build."""


class Application:
    """The ASGI application, with the platform behind it for embedding and tests."""

    def __init__(
        self, platform: Platform, fast: FastLane, log_api: LogApi, litestar: Litestar
    ) -> None:
        self.platform = platform
        self.litestar = litestar
        self.fast = fast
        """Also asked directly, by connections that have the whole request (web/wire.py)."""
        self._log_api = log_api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        await self.fast(scope, receive, send)

    async def local_admin(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI for the owner's socket: whoever may open it is the administrator."""
        state = dict(scope.get("state") or {})  # type: ignore[call-overload]  # ASGI: a mapping
        await self.fast({**scope, "state": {**state, "local_admin": True}}, receive, send)

    def end_streams(self) -> None:
        """Let live streams finish, so that a shutdown does not wait for their readers."""
        self._log_api.is_closing = True


def create(
    settings: Settings,
    *,
    clock: Clock | None = None,
    entropy: Entropy | None = None,
    on_fatal: Callable[[Exception], None] = exit_at_once,
    open_database: Connect = connect,
    network: AsyncBaseTransport | None = None,
    follower_process: bool = False,
) -> Application:
    """Open the store of ``settings`` and build the application on it.

    Background work runs between the lifespan's startup and shutdown; shutdown closes the store.
    ``network`` replaces the one over which outside bidders are asked; ``follower_process`` gives
    projections and snapshots a process of their own, as a server does.
    Raises LogCorrupt, Busy, ConfigurationError.
    """
    platform = Platform(
        settings,
        clock=clock or clock_of(settings),
        entropy=entropy or SystemEntropy(),
        on_fatal=on_fatal,
        open_database=open_database,
        network=network,
        follower_process=follower_process,
    )
    with ExitStack() as undo:
        undo.callback(platform.close)
        built = application(platform)
        undo.pop_all()
    return built


def application(platform: Platform) -> Application:
    """The handlers and lanes of an open platform. Raises ConfigurationError."""
    settings = platform.settings
    log_api = LogApi(
        log=platform.log,
        types=platform.types,
        request_seqs=lambda request_id, limit: _request_seqs(platform, request_id, limit),
        indexed=platform.indexed,
    )
    metrics = metrics_of(platform)
    choice_page = ChoicePage(platform)
    lanes = (
        *ad_lanes(platform, choice_page.person_of_link).lanes(),
        vast_tag(platform, choice_page.person_of_link).lane(),
        *choice_page.lanes(),
        *_fairness_lanes(platform),
    )
    litestar = create_litestar(
        [
            *platform_http.routes(platform, log_api),
            *ledger_http.routes(platform),
            *_ads(platform),
            *choice_page.routes(),
            *subscriptions_http.routes(platform.subscribing.api(platform.execute)),
            *consent_http.ledger_routes(consent_api(platform)),
            *http_gpc.gpc_routes(_gpc_since(settings)),
            *http_proof_runs.proof_run_routes(
                platform.memory.consent_proofs, platform.execute, platform.journal.settled
            ),
            *([] if platform.screen is None else special_ad_routes(platform.screen)),
            *_fairness(platform),
            *_console(platform, settings, log_api),
            *_meta(metrics),
        ],
        lifespan=[platform.lifespan],
    )
    guarded = Authentication(
        cast("ASGI", litestar),  # the same protocol under stricter names of its own
        keys=platform.memory.api_keys,
        sign_in=platform.sign_in,
        tenant=settings.tenant,
        hosts=_hosts(settings),
        new_request_id=platform.ids.new,
    )
    fast = FastLane(
        lanes,
        guarded,
        new_request_id=platform.ids.new,
        monotonic_ns=platform.clock.monotonic_ns,
        metrics={lane.path: metrics.lane(lane.path) for lane in lanes},
        concurrency_max=settings.http.concurrency_max,
    )
    return Application(platform, fast, log_api, litestar)


def _gpc_since(settings: Settings) -> date:
    given = settings.consent.gpc_since
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise ConfigurationError(f"consent.gpc_since: expected a day, got {given!r}") from None


def clock_of(settings: Settings) -> Clock:
    """The machine's clock, or the world's where one is set."""
    world = settings.clock
    if world is None:
        return SystemClock()
    return ScaledClock(
        real_start_us=world.real_start_us,
        world_start_us=world.world_start_us,
        world_end_us=world.world_end_us,
        speed=world.speed,
    )


def ad_lanes(platform: Platform, person_of_link: PersonOfLink) -> AdLanes:
    """The hot endpoints, on the flow."""
    settings = platform.settings
    return AdLanes(
        ads=platform.ads,
        billing=platform.billing,
        catalogue=platform.memory.catalogue,
        keys=platform.memory.api_keys,
        clock=platform.clock,
        markup=Markup(Urls(settings.http.public_url_or_own)),
        terms=BidderTerms(currency=settings.ads.currency, hold_s=settings.ads.hold_s),
        flow=AdFlow(
            serve=platform.serve_ad,
            impression=platform.record_outcome.impression,
            measured=platform.record_outcome.measured,
            notice=platform.record_outcome.notice,
            click=platform.record_outcome.click,
            asks_outside=platform.bidding is not None,
        ),
        tag=TAG.read_bytes(),
        adapter=ADAPTER.read_bytes(),
        proxies=networks(settings.http.trusted_proxies, "http.trusted_proxies"),
        locate=platform.geo or _nowhere,
        person_of_link=person_of_link,
    )


def vast_tag(platform: Platform, person_of_link: PersonOfLink) -> VastTag:
    """The tag of video and audio players, on the same flow."""
    catalogue = platform.memory.catalogue
    markup = Markup(Urls(platform.settings.http.public_url_or_own))
    shown = Shown(markup)
    return VastTag(
        catalogue=catalogue,
        native=NativeAds(catalogue, markup, shown, person_of_link),
        shown=shown,
        serve=platform.serve_ad,
        asks_outside=platform.bidding is not None,
        keys=platform.memory.api_keys,
        clock=platform.clock,
        locate=platform.geo or _nowhere,
    )


def _nowhere(address: str) -> Region | None:
    """Where no geo file is set, no address has a region."""
    return None


def _ads(platform: Platform) -> list[ControllerRouterHandler]:
    """The ad part's management API and public files."""
    reports = reports_api(platform)
    return [
        *ads_http.routes(reports.ads),
        *why_routes(reports.ads, WHY.read_text("utf-8")),
        *http_reports.report_routes(reports),
        *behavioural_http.routes(platform.people_told, platform.execute),
        *supply_file_routes(supply_files(platform), platform.journal.settled),
    ]


def supply_files(platform: Platform) -> SupplyFiles:
    """ads.txt and sellers.json; ConfigurationError for settings that no such file could hold."""
    settings = platform.settings
    host = urlsplit(settings.http.public_url_or_own).hostname or ""
    domain = host if is_domain(host) else "localhost"  # an IPv6 address names no system
    try:
        return SupplyFiles(platform.memory.catalogue, settings.supply, domain=domain)
    except ValueError as error:
        raise ConfigurationError(f"supply: {error}") from None


def ads_api(platform: Platform) -> AdsApi:
    """What the ad part's management handlers work with."""
    return AdsApi(
        ads=platform.ads,
        billing=platform.billing,
        management=platform.management,
        catalogue=platform.memory.catalogue,
        ledger=platform.memory.ledger,
        journal=platform.journal,
        execute=platform.execute,
        reader=platform.state.reader,
        indexed=platform.indexed,
    )


def _fairness(platform: Platform) -> list[ControllerRouterHandler]:
    """How special ads are delivered, where that is measured."""
    fairness = platform.fairness
    if fairness is None:
        return []
    api = fairness_http.FairnessApi(
        memory=fairness.memory,
        journal=platform.journal,
        keys=platform.keys,
        execute=platform.execute,
        subject_of=fairness.subject_of,
        ready=fairness.ready,
    )
    reads = http_log.LogReads(page=fairness.log_page, report=fairness.report)
    return [
        *fairness_http.fairness_routes(api),
        *http_outside.outside_routes(outside_api(platform, fairness)),
        *http_log.log_routes(reads),
    ]


def _fairness_lanes(platform: Platform) -> list[Lane]:
    fairness = platform.fairness
    return [] if fairness is None else [http_outside.adjust_lane(outside_api(platform, fairness))]


def outside_api(platform: Platform, fairness: Fairness) -> http_outside.OutsideApi:
    """What the handlers of other platforms' special ads work with."""
    return http_outside.OutsideApi(
        outside=fairness.outside,
        journal=platform.journal,
        execute=platform.execute,
        keys=platform.memory.api_keys,
        tenant=platform.settings.tenant,
    )


def consent_api(platform: Platform) -> consent_http.ConsentApi:
    """What the handlers of the consent ledger work with."""
    consent = platform.consent
    return consent_http.ConsentApi(
        consents=consent.consents,
        ledger=platform.memory.consent,
        proving=Proving(
            ledger=platform.memory.consent,
            consents=consent.consents,
            reader=platform.state.reader,
            event_at=platform.journal.event_at,
        ),
        settings=platform.settings.consent,
        keys=platform.keys,
        journal=platform.journal,
        execute=platform.execute,
        reader=platform.state.reader,
        indexed=platform.indexed,
    )


def reports_api(platform: Platform) -> ReportsApi:
    """What the handlers of reports and bills work with."""
    return ReportsApi(
        ads=ads_api(platform),
        desk=platform.desk,
        invoicing=platform.invoicing,
        payouts=platform.payouts,
    )


def metrics_of(platform: Platform) -> Metrics:
    """The gauges of this process."""
    return Metrics(
        {
            "ringwork_events_total": lambda: platform.log.head.seq,
            "ringwork_events_waiting": lambda: platform.log.waiting_events,
            "ringwork_projection_lag_events": lambda: platform.projections.lag,
            "ringwork_beacons_invalid_total": lambda: sum(
                count for (_, reason), count in platform.traffic.counts.items() if reason
            ),
            "ringwork_model_version": lambda: platform.model.version,
            "ringwork_model_learned_total": lambda: platform.model.rows_learned,
            "ringwork_grants_denied_total": lambda: platform.denied.total,
            "ringwork_holds_pending": lambda: sum(1 for _ in platform.memory.ledger.pending()),
            "ringwork_payments_open": lambda: platform.memory.subscriptions.payments_open,
            "ringwork_bidders_asked_total": lambda: _asked(platform, ASKED),
            "ringwork_bidders_late_total": lambda: _asked(platform, {"late"}),
            **_fairness_gauges(platform),
        },
        lambda: {str(tier): count for tier, count in platform.serve_ad.requests.items()},
    )


def _fairness_gauges(platform: Platform) -> dict[str, Callable[[], float]]:
    """Of the steering of special ads, where there is any."""
    fairness = platform.fairness
    if fairness is None:
        return {}
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


def _asked(platform: Platform, outcomes: Set[str]) -> int:
    """How often an outside bidder was asked and the request ended so."""
    if platform.bidding is None:
        return 0
    return sum(
        count
        for counts in platform.bidding.gather.counts().values()
        for outcome, count in counts.items()
        if outcome in outcomes
    )


def _console(
    platform: Platform, settings: Settings, log_api: LogApi
) -> list[ControllerRouterHandler]:
    if not settings.console.enabled:
        return []
    from ringwork.app.console import console_routes  # noqa: PLC0415  # templates, only where shown

    return console_routes(
        platform,
        settings,
        reports_api(platform),
        consent_api(platform),
        lambda: log_api.is_closing,
    )


def _meta(metrics: Metrics) -> list[ControllerRouterHandler]:
    written: list[bytes] = []  # the document, when somebody has asked for it

    @get("/metrics", opt=needs("log:read"), sync_to_thread=False, include_in_schema=False)
    def read_metrics() -> Response[bytes]:
        return Response(metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @get("/openapi.json", sync_to_thread=False, include_in_schema=False)
    def read_openapi(request: HttpRequest) -> Response[bytes]:
        if not written:
            written.append(document_of(request.app))
        return Response(written[0], media_type="application/json")

    return [read_metrics, read_openapi]


def document_of(litestar: Litestar) -> bytes:
    """The OpenAPI document. Written when somebody first asks: it takes half as long as a start."""
    types: list[type[Struct]] = [*platform_http.TYPES, *ledger_http.TYPES]
    types += [
        *ads_http.TYPES,
        *behavioural_http.TYPES,
        *http_reports.TYPES,
        *http_supply_files.TYPES,
        *LANE_TYPES,
        *special_http.TYPES,
        *fairness_http.TYPES,
        *outside.TYPES,
    ]
    types += [
        *consent_http.TYPES,
        *http_proof_runs.TYPES,
        *choice_http.TYPES,
        *subscriptions_http.TYPES,
    ]
    return msgspec.json.encode(
        openapi.document(litestar, types, {**LANE_PATHS, **CHOICE_PATHS, **ADJUST_PATHS})
    )


def _request_seqs(platform: Platform, request_id: bytes, limit: int) -> list[int]:
    with platform.state.reader.begin() as connection:
        return RequestIndex.seqs(connection, request_id, limit=limit)


def _hosts(settings: Settings) -> frozenset[str]:
    """Host names that this server answers to besides those of the loopback interface."""
    names = {settings.http.host.lower()}
    public = urlsplit(settings.http.public_url_or_own).hostname
    if public:
        names.add(public.lower())
    return frozenset(names)
