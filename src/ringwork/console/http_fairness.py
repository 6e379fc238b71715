"""The console's pages of fairness, the report's files, and the form of an override."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Final, TypeVar

from litestar import Response, get, post
from litestar.types import ControllerRouterHandler

from ringwork.console.answers import PAGE_HEADERS, moved
from ringwork.console.asked import PAGES_MAX, field, number, text
from ringwork.console.commands import Commands
from ringwork.console.editing import done_of
from ringwork.console.fairness_data import FairnessData
from ringwork.console.fairness_facts import Asked, Sort
from ringwork.console.respond import Answer, Responder
from ringwork.console.views.fairness import fairness
from ringwork.console.views.fairness_ad import fairness_ad
from ringwork.console.views.fairness_history import MICRO
from ringwork.console.views.fairness_log import fairness_log
from ringwork.console.views.fairness_words import ad_href
from ringwork.fairness.records import By, Override
from ringwork.fairness.rendering import to_csv, to_html, to_json
from ringwork.fairness.report import Document
from ringwork.kernel.errors import Invalid
from ringwork.web.app import HttpRequest, principal_of
from ringwork.web.auth import needs

SEE_SCOPE: Final = "fairness:read"
OVERRIDE_SCOPE: Final = "fairness:override"
ACTIONS: Final = ("pause", "resume", "set")
REASON_MAX: Final = 2000
LAMBDA_MAX: Final = 100
"""In units of an ad's own value scale: far beyond what moves any auction."""
_SEE: Final = needs(SEE_SCOPE)
_OVERRIDE: Final = needs(OVERRIDE_SCOPE)
_BYS: Final[tuple[By, ...]] = ("impressions", "people")
_SORTS: Final[tuple[Sort, ...]] = ("impressions", "figure")
_Word = TypeVar("_Word", bound=str)
_FILES: Final[Mapping[str, tuple[str, Callable[[Document], str]]]] = {
    "html": ("text/html", to_html),
    "json": ("application/json", to_json),
    "csv": ("text/csv", to_csv),
}


def fairness_routes(
    data: FairnessData, respond: Responder, commands: Commands
) -> list[ControllerRouterHandler]:
    """The handlers."""
    ads = _Ads(data, respond, commands)

    @get("/fairness", opt=_SEE)
    async def show_fairness(request: HttpRequest) -> Answer:
        facts = data.overview(_asked(request))
        await data.durable()
        return respond.page(request, fairness(facts, now_us=data.now_us(), has_log=data.has_log))

    @get("/fairness/ad", opt=_SEE)
    async def show_ad(request: HttpRequest) -> Answer:
        return await ads.page(request, text(request, "id"))

    @post("/fairness/override", opt=_OVERRIDE, status_code=200)
    async def override_ad(request: HttpRequest) -> Answer:
        return await ads.override(request)

    @get("/fairness/log", opt=_SEE)
    async def show_fairness_log(request: HttpRequest) -> Answer:
        facts = data.log()
        await data.durable()
        return respond.page(request, fairness_log(facts, now_us=data.now_us()))

    return [show_fairness, show_ad, override_ad, show_fairness_log, *_files(data)]


def _files(data: FairnessData) -> list[ControllerRouterHandler]:
    def handler(suffix: str) -> ControllerRouterHandler:
        media_type, written = _FILES[suffix]

        @get(f"/fairness/report.{suffix}", opt=_SEE, name=f"console-fairness-{suffix}")
        async def save_fairness_report() -> Response[str]:
            document = await data.source.document()
            name = f'attachment; filename="fairness-report.{suffix}"'
            headers = {**PAGE_HEADERS, "content-disposition": name}
            return Response(written(document), media_type=media_type, headers=headers)

        return save_fairness_report

    return [handler(suffix) for suffix in _FILES]


def _asked(request: HttpRequest) -> Asked:
    return Asked(
        attribute=text(request, "attribute"),
        by=_one_of(request, "by", _BYS),
        sort=_one_of(request, "sort", _SORTS),
        page=number(request, "page", default=1, at_most=PAGES_MAX),
    )


def _one_of(request: HttpRequest, name: str, known: tuple[_Word, ...]) -> _Word:
    value = text(request, name)
    for one in known:
        if value in ("", one):
            return one
    raise Invalid(f"query/{name}: one of {', '.join(known)} expected, got {value[:40]!r}", [])


class _Ads:
    """One ad's page, and what a person does to its controller."""

    def __init__(self, data: FairnessData, respond: Responder, commands: Commands) -> None:
        self._data = data
        self._respond = respond
        self._commands = commands

    async def page(
        self,
        request: HttpRequest,
        ad: str,
        *,
        typed: Mapping[str, str] | None = None,
        faults: Mapping[str, str] | None = None,
        trouble: str = "",
        status: int = 200,
    ) -> Answer:
        """The ad's page."""
        facts = await self._data.ad(ad)
        await self._data.durable()
        may = principal_of(request).may(OVERRIDE_SCOPE)
        page = fairness_ad(
            facts,
            key=self._commands.new_key() if may else "",
            set_key=self._commands.new_key() if may else "",
            typed=typed,
            faults=faults,
            trouble=trouble,
            status=status,
            done="" if status >= 400 else done_of(request),
        )
        return self._respond.page(request, page)

    async def override(self, request: HttpRequest) -> Answer:
        """Pause, resume or set, with a reason that stands in the audit log."""
        await self._commands.check(request)
        ad, action = await field(request, "ad"), await field(request, "action")
        if action not in ACTIONS:
            raise Invalid(
                f"action: one of {', '.join(ACTIONS)} is expected, got {action[:40]!r}", []
            )
        places = self._data.places(ad)
        typed = {"action": action, "reason": (await field(request, "reason")).strip()}
        if action == "set":
            for at in range(len(places)):
                name = f"lambda-{at}"
                typed[name] = (await field(request, name)).strip()
        shifts, faults = _read(typed, len(places) if action == "set" else 0)
        if faults:
            return await self.page(request, ad, typed=typed, faults=faults, status=422)
        wanted = Override(
            ad=ad,
            action=action,  # type: ignore[arg-type]  # one of its literals
            who=principal_of(request).key_id or "local",
            reason=typed["reason"],
            lambda_micro=shifts,
        )
        source = self._data.source
        await source.ready()
        outcome = await self._commands.run(
            request, {**typed, "ad": ad}, lambda command, _: source.override(command, wanted)
        )
        if outcome.is_done:
            source.took_effect()
            return moved(f"{ad_href(ad)}&done=override-{action}#h-lambda")
        trouble = outcome.trouble or "; ".join(one.detail for one in outcome.faults)
        return await self.page(request, ad, typed=typed, trouble=trouble, status=outcome.status)


def _read(typed: Mapping[str, str], places: int) -> tuple[tuple[int, ...], dict[str, str]]:
    """The shifts in millionths, or what is wrong with each member."""
    faults = {}
    if not typed["reason"]:
        faults["reason"] = "A reason is needed: it stands in the audit log"
    elif len(typed["reason"]) > REASON_MAX:
        faults["reason"] = f"At most {REASON_MAX} characters"
    shifts = []
    for at in range(places):
        value = micro_of(typed[f"lambda-{at}"])
        if value is None:
            faults[f"lambda-{at}"] = (
                f"A number such as -0.0012 is expected, between -{LAMBDA_MAX} and {LAMBDA_MAX}, "
                "with six decimals at most"
            )
        else:
            shifts.append(value)
    return tuple(shifts), faults


def micro_of(typed: str) -> int | None:
    """A typed shift in millionths, exactly; None for what is none.

    >>> micro_of("-0.0012"), micro_of("0,5"), micro_of("1e-9"), micro_of("nan")
    (-1200, None, None, None)
    """
    plain = typed.replace("\N{MINUS SIGN}", "-")
    if not plain.isascii() or len(plain) > 24:
        return None
    try:
        scaled = Decimal(plain) * MICRO
    except InvalidOperation:
        return None
    if not scaled.is_finite() or scaled != scaled.to_integral_value():
        return None
    return int(scaled) if abs(scaled) <= LAMBDA_MAX * MICRO else None
