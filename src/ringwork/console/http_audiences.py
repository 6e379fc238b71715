"""The console's pages of audiences."""

from __future__ import annotations

from typing import Final

import msgspec
from litestar import get, post
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler
from msgspec.structs import replace

from ringwork.ads.model import Audience
from ringwork.ads.requests import AudienceChange, NewAudience
from ringwork.console.asked import PAGES_MAX, field, number, text
from ringwork.console.commands import WRITE_SCOPE, Commands
from ringwork.console.data import ConsoleData
from ringwork.console.editing import (
    SAVE,
    Said,
    asked_for,
    change,
    converted,
    done,
    done_of,
    known,
    said_of,
)
from ringwork.console.form_pages import Sheet, page_of
from ringwork.console.forms.audience import audience_groups
from ringwork.console.forms.body import Button
from ringwork.console.forms.reading import Typed, read_new, written
from ringwork.console.forms.sent import sent
from ringwork.console.pages import Page
from ringwork.console.respond import Answer, Responder
from ringwork.console.views.audiences import audience, audiences
from ringwork.console.views.history import changes
from ringwork.console.views.life import item_href
from ringwork.kernel.errors import NotFound
from ringwork.web.app import HttpRequest
from ringwork.web.auth import needs

_SEE: Final = needs("console:read")
_WRITE: Final = needs(WRITE_SCOPE)
_CREATE: Final = Button(name="do", value="create", text="Create", is_main=True)
_NEW: Final = audience_groups(is_new=True)
_OLD: Final = audience_groups(is_new=False)


def audience_routes(
    data: ConsoleData, respond: Responder, commands: Commands
) -> list[ControllerRouterHandler]:
    """The handlers."""
    return [*_pages(data, respond, commands), *_forms(respond, commands)]


def _pages(
    data: ConsoleData, respond: Responder, commands: Commands
) -> list[ControllerRouterHandler]:
    async def page_of_one(request: HttpRequest, id: str, trouble: str = "") -> Page:
        facts = await data.audience(id)
        if facts is None:
            raise NotFound(f"no audience {id[:64]}")
        said = "" if trouble else done_of(request)
        return audience(facts, key=commands.new_key(), trouble=trouble, done=said)

    @get("/audiences", opt=_SEE)
    async def show_audiences(request: HttpRequest) -> Answer:
        page = number(request, "page", default=1, at_most=PAGES_MAX)
        facts = await data.audiences(page, text(request, "q"))
        return respond.page(request, audiences(facts, page=page))

    @get("/audiences/{id:str}", opt=_SEE)
    async def show_audience(request: HttpRequest, id: FromPath[str]) -> Answer:
        return respond.page(request, await page_of_one(request, id))

    @get("/audiences/{id:str}/changes", opt=_SEE)
    async def show_audience_changes(request: HttpRequest, id: FromPath[str]) -> Answer:
        facts = await data.changes("audience", id, before=number(request, "before", default=0))
        if facts is None:
            raise NotFound(f"no audience {id[:64]}")
        return respond.page(request, changes(facts))

    @post("/audiences/{id:str}/status", opt=_WRITE, status_code=200)
    async def step_audience(request: HttpRequest, id: FromPath[str]) -> Answer:
        await commands.check(request)
        asked = {"status": await field(request, "status")}
        wanted = asked_for(asked, AudienceChange)
        changed = commands.api.management.change_audience
        outcome = await commands.run(
            request, asked, lambda command, actor: changed(command, id, wanted, actor)
        )
        if outcome.is_done:
            return done("audience", id, asked["status"])
        trouble = outcome.trouble or "; ".join(one.detail for one in outcome.faults)
        page = await page_of_one(request, id, trouble)
        return respond.page(request, replace(page, status=outcome.status))

    return [show_audiences, show_audience, show_audience_changes, step_audience]


def _forms(respond: Responder, commands: Commands) -> list[ControllerRouterHandler]:
    among, management = commands.api.catalogue.audiences, commands.api.management

    @get("/new-audience", opt=_WRITE, sync_to_thread=False)
    def show_new_audience(request: HttpRequest) -> Answer:
        return respond.page(request, _new_page(commands, {"/match": ["all"]}))

    @post("/new-audience", opt=_WRITE, status_code=200)
    async def create_audience(request: HttpRequest) -> Answer:
        await commands.check(request)
        given = await sent(request, _NEW)
        read = read_new(_NEW, given.typed, NewAudience)
        said, new = converted(read, given.faults, NewAudience)
        if new is not None:
            outcome = await commands.run(
                request,
                read.values,
                lambda command, actor: management.create_audience(command, new, actor)[0],
            )
            if outcome.is_done:
                return done("audience", new.id, "created")
            said = said_of(_NEW, outcome)
        return respond.page(request, _new_page(commands, given.typed, said))

    @get("/audiences/{id:str}/edit", opt=_WRITE, sync_to_thread=False)
    def show_edit_audience(request: HttpRequest, id: FromPath[str]) -> Answer:
        item = known("audience", among, id)
        typed = written(_OLD, msgspec.to_builtins(item))
        return respond.page(request, _edit_page(commands, item, typed))

    @post("/audiences/{id:str}/edit", opt=_WRITE, status_code=200)
    async def change_audience(request: HttpRequest, id: FromPath[str]) -> Answer:
        await commands.check(request)
        item = known("audience", among, id)
        typed, said = await change(
            request,
            commands,
            _OLD,
            item,
            AudienceChange,
            lambda command, asked, actor: management.change_audience(command, id, asked, actor),
        )
        if said is None:
            return done("audience", id, "changed")
        return respond.page(request, _edit_page(commands, among[id], typed, said))

    return [show_new_audience, create_audience, show_edit_audience, change_audience]


def _new_page(commands: Commands, typed: Typed, said: Said | None = None) -> Page:
    sheet = Sheet(
        title="New audience",
        question="Whom shall campaigns be able to name, by what people did?",
        action="/console/new-audience",
        groups=_NEW,
        buttons=[_CREATE],
        who="It holds people from the next request on; campaigns name it by its id.",
        cancel="/console/audiences",
        entry="audiences",
    )
    return page_of(commands, sheet, typed, said)


def _edit_page(commands: Commands, item: Audience, typed: Typed, said: Said | None = None) -> Page:
    sheet = Sheet(
        title="Edit audience",
        subject=item.id,
        question="Who is to be in it from now on?",
        action=f"{item_href('audience', item.id)}/edit",
        groups=_OLD,
        buttons=[SAVE],
        who="Who is in it follows with the next request, for every campaign that names it.",
        cancel=item_href("audience", item.id),
        entry="audiences",
        item=item,
    )
    return page_of(commands, sheet, typed, said)
