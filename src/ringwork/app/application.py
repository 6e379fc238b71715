"""The ASGI application of a store: what its parts show, behind one door.

A part says what it shows (``Surface``); all else is the same for every server: health, keys, the
log, erasures and access, authentication, the fast lane, metrics, and the document of exactly what
is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Generic, Protocol, TypeVar, cast
from urllib.parse import urlsplit

import msgspec
from litestar import Response, get
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from ringwork.app import platform_http
from ringwork.app.log_api import LogApi
from ringwork.app.settings import Settings
from ringwork.app.store import Store
from ringwork.web import openapi
from ringwork.web.app import create_litestar
from ringwork.web.auth import Authentication, needs
from ringwork.web.lane import ASGI, FastLane, Lane, Receive, Scope, Send
from ringwork.web.metrics import Metrics
from ringwork.web.sessions import SignIn

Gauges = Mapping[str, Callable[[], float]]


class Surface(Struct, frozen=True, kw_only=True):
    """What a part shows."""

    routes: Sequence[ControllerRouterHandler] = ()
    lanes: Sequence[Lane] = ()
    """Its hot endpoints."""
    types: Sequence[type[Struct]] = ()
    """Structs whose schemas stand in the document."""
    paths: Mapping[str, object] = {}
    """Of its lanes in the document: they are no framework's handlers."""
    gauges: Gauges = {}


class Served(Protocol):
    """What stands behind an application."""

    @property
    def store(self) -> Store: ...

    def lifespan(self, app: object) -> AbstractAsyncContextManager[None]:
        """Background work while a server runs; afterwards everything durable and closed."""
        ...

    def close(self) -> None: ...


P_co = TypeVar("P_co", bound=Served, covariant=True)


class Application(Generic[P_co]):
    """The ASGI application, with what stands behind it for embedding and tests."""

    def __init__(
        self,
        platform: P_co,
        surfaces: Sequence[Surface],
        *,
        log_api: LogApi,
        sign_in: SignIn | None = None,
        tiers: Callable[[], Mapping[str, int]] | None = None,
    ) -> None:
        """``sign_in``: of browsers, where there are pages; ``tiers``: ad requests by tier."""
        self.platform = platform
        self.sign_in = sign_in
        self._log_api = log_api
        store = platform.store
        self._surfaces = [foundation(store, log_api), *surfaces]
        self._metrics = Metrics(
            {name: gauge for one in self._surfaces for name, gauge in one.gauges.items()}, tiers
        )
        self._document = b""
        lanes = [lane for one in self._surfaces for lane in one.lanes]
        self.litestar = create_litestar(
            [*(route for one in self._surfaces for route in one.routes), *self._meta()],
            lifespan=[platform.lifespan],
        )
        guarded = Authentication(
            cast("ASGI", self.litestar),  # the same protocol under stricter names of its own
            keys=store.memory.api_keys,
            sign_in=sign_in,
            tenant=store.settings.tenant,
            hosts=_hosts(store.settings),
            new_request_id=store.ids.new,
        )
        self.fast = FastLane(
            lanes,
            guarded,
            new_request_id=store.ids.new,
            monotonic_ns=store.clock.monotonic_ns,
            metrics={lane.path: self._metrics.lane(lane.path) for lane in lanes},
            concurrency_max=store.settings.http.concurrency_max,
        )
        """Also asked directly, by connections that have the whole request (web/wire.py)."""

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

    def document(self) -> bytes:
        """The OpenAPI document of what is served.

        Written when somebody first asks: it takes half as long as a start.
        """
        if not self._document:
            types = [kind for one in self._surfaces for kind in one.types]
            paths = {path: item for one in self._surfaces for path, item in one.paths.items()}
            self._document = msgspec.json.encode(openapi.document(self.litestar, types, paths))
        return self._document

    def _meta(self) -> list[ControllerRouterHandler]:
        @get("/metrics", opt=needs("log:read"), sync_to_thread=False, include_in_schema=False)
        def read_metrics() -> Response[bytes]:
            text = "text/plain; version=0.0.4; charset=utf-8"
            return Response(self._metrics.render(), media_type=text)

        @get("/openapi.json", sync_to_thread=False, include_in_schema=False)
        def read_openapi() -> Response[bytes]:
            return Response(self.document(), media_type="application/json")

        return [read_metrics, read_openapi]


def log_api_of(store: Store) -> LogApi:
    """The log as clients read it."""
    return LogApi(
        log=store.log, types=store.types, request_seqs=store.request_seqs, indexed=store.indexed
    )


def foundation(store: Store, log_api: LogApi) -> Surface:
    """What every server shows."""
    return Surface(
        routes=platform_http.routes(store, log_api),
        types=platform_http.TYPES,
        gauges={
            "ringwork_events_total": lambda: store.log.head.seq,
            "ringwork_events_waiting": lambda: store.log.waiting_events,
            "ringwork_projection_lag_events": lambda: store.projections.lag,
        },
    )


def _hosts(settings: Settings) -> frozenset[str]:
    """Host names that this server answers to besides those of the loopback interface."""
    names = {settings.http.host.lower()}
    public = urlsplit(settings.http.public_url_or_own).hostname
    if public:
        names.add(public.lower())
    return frozenset(names)
