"""The console's addresses. A handler asks for facts, builds its page and sends it, no more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

from litestar import Response, Router, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Stream
from litestar.types import ControllerRouterHandler

from ringwork.ads.http_reports import ReportsApi
from ringwork.console.answers import moved, wants_json
from ringwork.console.asked import (
    SCHEME_COOKIE,
    back_to,
    check_form,
    chosen_scheme,
    field,
    id_of,
    live,
    number,
    search_of,
    text,
)
from ringwork.console.bookkeeping import Bookkeeping
from ringwork.console.commands import Commands
from ringwork.console.consent_data import ConsentData
from ringwork.console.data import ConsoleData
from ringwork.console.fairness_data import FairnessData
from ringwork.console.http_advertisers import advertiser_routes
from ringwork.console.http_audiences import audience_routes
from ringwork.console.http_books import book_routes
from ringwork.console.http_campaigns import campaign_routes
from ringwork.console.http_consent import consent_routes
from ringwork.console.http_creatives import creative_routes
from ringwork.console.http_fairness import fairness_routes
from ringwork.console.http_life import life_routes
from ringwork.console.http_reports import report_routes
from ringwork.console.live import Live
from ringwork.console.respond import Answer, Responder
from ringwork.console.views.campaign import campaign_texts
from ringwork.console.views.campaigns import campaigns
from ringwork.console.views.found import found
from ringwork.console.views.health import health, health_texts
from ringwork.console.views.ledger import account, ledger, transfer
from ringwork.console.views.overview import overview, overview_texts
from ringwork.console.views.requests import requests
from ringwork.console.views.trace import trace
from ringwork.kernel.errors import NotFound, Refused
from ringwork.web.app import HttpRequest
from ringwork.web.auth import needs
from ringwork.web.sessions import SignIn, set_cookie

SEE: Final = needs("console:read")
SEE_LOG: Final = needs("log:read")
SEE_LEDGER: Final = needs("ledger:read")
YEAR_S: Final = 31_536_000

Texts: TypeAlias = tuple[Mapping[str, str], int]
Ask: TypeAlias = Callable[[], Awaitable[Texts]]


def routes(
    *,
    data: ConsoleData,
    commands: Commands,
    reports: ReportsApi,
    consent: ConsentData,
    fairness: FairnessData,
    sign_in: SignIn,
    live_values: Live,
    session_s: int,
    is_secure: bool = False,
) -> list[ControllerRouterHandler]:
    """Every route of the console, for the composition root.

    ``session_s`` and ``is_secure`` are those of the sign-in cookie.
    """
    respond = Responder(data=data, sign_in=sign_in)
    books = Bookkeeping(reports, names=data.names, now_us=commands.now_us)

    # Plain functions: Litestar copies exception handlers deeply, with whatever they are bound to.
    def refused(request: HttpRequest, error: Refused) -> Answer:
        return respond.refused(request, error)

    def failed(request: HttpRequest, error: Exception) -> Answer:
        return respond.failed(request, error)

    pages = Router(
        path="/console",
        route_handlers=[
            *_now(data, respond),
            *_money(data, respond),
            *life_routes(data, fairness, respond, commands),
            *campaign_routes(respond, commands),
            *creative_routes(respond, commands),
            *report_routes(reports, respond, data.names, commands.now_us),
            *advertiser_routes(books, respond, commands),
            *audience_routes(data, respond, commands),
            *consent_routes(consent, respond, commands),
            *fairness_routes(fairness, respond, commands),
            *book_routes(reports, books, respond, commands),
            *_streams(data, live_values),
            *_doors(respond, sign_in, session_s=session_s, is_secure=is_secure),
            *_rest(data, respond),
        ],
        exception_handlers={Refused: refused, Exception: failed},
        include_in_schema=False,
    )
    return [_root, pages]


@get("/", include_in_schema=False, sync_to_thread=False)
def _root() -> Redirect:
    """The console is what a person comes for."""
    return moved("/console/")


def _now(data: ConsoleData, respond: Responder) -> list[ControllerRouterHandler]:
    @get("/", opt=SEE)
    async def show_overview(request: HttpRequest) -> Response[str] | Response[bytes]:
        return respond.page(request, overview(await data.overview(), live=live(request)))

    @get("/requests", opt=SEE_LOG)
    async def show_requests(request: HttpRequest) -> Response[str] | Response[bytes]:
        search = search_of(request)
        return respond.page(request, requests(await data.requests(search), search))

    @get("/requests/{id:str}", opt=SEE_LOG)
    async def show_trace(
        request: HttpRequest, id: FromPath[str]
    ) -> Response[str] | Response[bytes]:
        facts = await data.trace(id_of(id))
        if facts is None:
            raise NotFound(f"the log holds no request or impression {id[:64]}")
        return respond.page(request, trace(facts))

    @get("/health", opt=SEE)
    async def show_health(request: HttpRequest) -> Response[str] | Response[bytes]:
        return respond.page(request, health(await data.health(), live=live(request)))

    return [show_overview, show_requests, show_trace, show_health]


def _money(data: ConsoleData, respond: Responder) -> list[ControllerRouterHandler]:
    @get("/campaigns", opt=SEE)
    async def show_campaigns(request: HttpRequest) -> Response[str] | Response[bytes]:
        page = number(request, "page", default=1, at_most=100)
        return respond.page(request, campaigns(await data.campaigns(), page=page))

    @get("/ledger", opt=SEE_LEDGER)
    async def show_ledger(request: HttpRequest) -> Response[str] | Response[bytes]:
        return respond.page(request, ledger(await data.ledger()))

    @get("/ledger/accounts", opt=SEE_LEDGER)
    async def show_account(request: HttpRequest) -> Response[str] | Response[bytes]:
        id = text(request, "id")
        facts = await data.account(id)
        if facts is None:
            raise NotFound(f"no account {id[:64]}")
        return respond.page(request, account(facts))

    @get("/ledger/transfers", opt=SEE_LEDGER)
    async def show_transfer(request: HttpRequest) -> Response[str] | Response[bytes]:
        id = text(request, "id")
        facts = await data.transfer(id)
        if facts is None:
            raise NotFound(f"no transfer {id[:64]}")
        return respond.page(request, transfer(facts))

    return [show_campaigns, show_ledger, show_account, show_transfer]


def _streams(data: ConsoleData, live_values: Live) -> list[ControllerRouterHandler]:
    async def of_overview() -> Texts:
        facts = await data.today()
        return overview_texts(facts), facts.log.events

    async def of_health() -> Texts:
        facts = await data.health()
        return health_texts(facts), facts.log.events

    @get("/live/overview", opt=SEE)
    async def stream_overview() -> Stream:
        return _stream(live_values, of_overview)

    @get("/live/health", opt=SEE)
    async def stream_health() -> Stream:
        return _stream(live_values, of_health)

    @get("/live/campaign", opt=SEE)
    async def stream_campaign(request: HttpRequest) -> Stream:
        id = text(request, "id")
        if await data.campaign(id) is None:
            raise NotFound(f"no campaign {id[:64]}")

        async def of_campaign() -> Texts:
            facts = await data.campaign(id)
            assert facts is not None, "a campaign is never removed"
            return campaign_texts(facts), 0

        return _stream(live_values, of_campaign)

    return [stream_overview, stream_health, stream_campaign]


def _stream(live_values: Live, texts: Ask) -> Stream:
    live_values.admit()
    return Stream(
        live_values.stream(texts),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


def _doors(
    respond: Responder, sign_in: SignIn, *, session_s: int, is_secure: bool
) -> list[ControllerRouterHandler]:
    @get("/sign-in", sync_to_thread=False)
    def show_sign_in(request: HttpRequest) -> Response[str]:
        token = text(request, "token")
        answer = "This link signs you in." if token else "Nobody is signed in on this browser."
        return respond.door(request, answer, token=token)

    @post("/sign-in", status_code=303)
    async def enter(request: HttpRequest) -> Response[str] | Redirect:
        cookie = sign_in.redeem(await field(request, "token"))
        if cookie is None:
            return respond.door(request, "This link has been used or is too old.")
        answer = moved("/console/")
        answer.headers["set-cookie"] = set_cookie(cookie, max_age_s=session_s, is_secure=is_secure)
        return answer

    @post("/sign-out", opt=SEE, status_code=303)
    async def leave(request: HttpRequest) -> Redirect:
        await check_form(request, sign_in)
        answer = moved("/console/sign-in")
        answer.headers["set-cookie"] = set_cookie("", max_age_s=0, is_secure=is_secure)
        return answer

    @post("/scheme", opt=SEE, status_code=303)
    async def choose_scheme(request: HttpRequest) -> Redirect:
        await check_form(request, sign_in)
        scheme = chosen_scheme(await field(request, "scheme"))
        answer = moved(back_to(await field(request, "next")))
        kept_s = YEAR_S if scheme else 0
        answer.headers["set-cookie"] = (
            f"{SCHEME_COOKIE}={scheme}; Path=/console; Max-Age={kept_s}; SameSite=Lax"
        )
        return answer

    return [show_sign_in, enter, leave, choose_scheme]


def _rest(data: ConsoleData, respond: Responder) -> list[ControllerRouterHandler]:
    @get("/find", opt=SEE_LOG)
    async def find(request: HttpRequest) -> Response[str] | Response[bytes] | Redirect:
        wanted = text(request, "q")
        hits = await data.find(wanted) if wanted else []
        if len(hits) == 1 and not wants_json(request):
            return moved(hits[0].href)
        return respond.page(request, found(wanted, hits, data.now_us()))

    @get("/static/{name:path}", sync_to_thread=False)
    def static(request: HttpRequest, name: FromPath[str]) -> Response[bytes]:
        answer = respond.assets.answer(request, str(name).removeprefix("/"))
        if answer is None:
            raise NotFound("no such file")
        return answer

    @get("/{rest:path}", opt=SEE, sync_to_thread=False)
    def nothing(rest: FromPath[str]) -> Response[str]:
        raise NotFound("There is no page at this address.")

    return [find, static, nothing]
