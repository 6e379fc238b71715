"""Settings to ASGI: platform, handlers, lanes, authentication, in one place."""

from __future__ import annotations

from collections.abc import Callable, Set
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

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
from ringwork.app.application import Application, Gauges, Surface, log_api_of
from ringwork.app.choice import ChoicePage
from ringwork.app.fairness_surface import fairness_surface, rules_surface
from ringwork.app.log_api import LogApi
from ringwork.app.platform import Platform
from ringwork.app.settings import Settings
from ringwork.app.store import clock_of
from ringwork.app.traffic import networks
from ringwork.consent import http as consent_http
from ringwork.consent import http_gpc, http_proof_runs
from ringwork.consent.choice import http as choice_http
from ringwork.consent.choice.paths import CHOICE_PATHS
from ringwork.consent.proving import Proving
from ringwork.consent.subscriptions import http as subscriptions_http
from ringwork.kernel.entropy import SystemEntropy
from ringwork.kernel.errors import ConfigurationError
from ringwork.kernel.ports import Clock, Entropy
from ringwork.storage.sqlite.files import Connect, connect
from ringwork.storage.sqlite.log import exit_at_once

if TYPE_CHECKING:
    from httpx import AsyncBaseTransport

STATIC: Final = Path(ads_http.__file__).parent / "static"
TAG: Final = STATIC / "ringwork.js"
"""The script for publishers' pages."""
WHY: Final = STATIC / "why.html"
"""The page behind "Why this ad?"."""
ADAPTER: Final = STATIC / "ringworkBidAdapter.js"
"""The module for a Prebid.js build."""
TYPES: Final[tuple[type[Struct], ...]] = (
    platform_http.SignInLink,
    *ledger_http.TYPES,
    *ads_http.TYPES,
    *behavioural_http.TYPES,
    *http_reports.TYPES,
    *http_supply_files.TYPES,
    *LANE_TYPES,
    *consent_http.TYPES,
    *http_proof_runs.TYPES,
    *choice_http.TYPES,
    *subscriptions_http.TYPES,
)
"""Of the market, for the document."""


def create(
    settings: Settings,
    *,
    clock: Clock | None = None,
    entropy: Entropy | None = None,
    on_fatal: Callable[[Exception], None] = exit_at_once,
    open_database: Connect = connect,
    network: AsyncBaseTransport | None = None,
    follower_process: bool = False,
) -> Application[Platform]:
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


def application(platform: Platform) -> Application[Platform]:
    """The handlers and lanes of an open platform. Raises ConfigurationError."""
    store, log_api = platform.store, log_api_of(platform.store)
    return Application(
        platform,
        [
            _market(platform),
            rules_surface(platform.screen),
            fairness_surface(store, platform.fairness),
            Surface(routes=_console(platform, platform.settings, log_api)),
        ],
        log_api=log_api,
        sign_in=platform.sign_in,
        tiers=lambda: {str(tier): count for tier, count in platform.serve_ad.requests.items()},
    )


def _market(platform: Platform) -> Surface:
    """Ads, money, and what people consented to."""
    choice_page = ChoicePage(platform)
    return Surface(
        routes=[
            *platform_http.sign_in_routes(platform.sign_in),
            *ledger_http.routes(platform),
            *_ads(platform),
            *choice_page.routes(),
            *subscriptions_http.routes(platform.subscribing.api(platform.execute)),
            *consent_http.ledger_routes(consent_api(platform)),
            *http_gpc.gpc_routes(_gpc_since(platform.settings)),
            *http_proof_runs.proof_run_routes(
                platform.memory.consent_proofs, platform.execute, platform.journal.settled
            ),
        ],
        lanes=[
            *ad_lanes(platform, choice_page.person_of_link).lanes(),
            vast_tag(platform, choice_page.person_of_link).lane(),
            *choice_page.lanes(),
        ],
        types=TYPES,
        paths={**LANE_PATHS, **CHOICE_PATHS},
        gauges=_gauges(platform),
    )


def _gpc_since(settings: Settings) -> date:
    given = settings.consent.gpc_since
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise ConfigurationError(f"consent.gpc_since: expected a day, got {given!r}") from None


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


def _gauges(platform: Platform) -> Gauges:
    return {
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
