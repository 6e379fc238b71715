"""The console's pages that create and change creatives."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from litestar import get, post
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from ringwork.ads.model import Creative
from ringwork.ads.requests import CreativeChange, NewCreative
from ringwork.console.asked import text
from ringwork.console.commands import WRITE_SCOPE, Commands
from ringwork.console.editing import (
    CHECK,
    FIRST,
    SAVE,
    Said,
    change,
    checked,
    chosen,
    converted,
    done,
    first_buttons,
    known,
    said_of,
)
from ringwork.console.form_pages import Sheet, page_of
from ringwork.console.forms.creative import WAYS, Way, creative_groups, way_of
from ringwork.console.forms.reading import Typed, read_new, written
from ringwork.console.forms.sent import sent
from ringwork.console.pages import Page
from ringwork.console.respond import Answer, Responder
from ringwork.console.views.life import item_href
from ringwork.kernel.errors import Fault, Invalid
from ringwork.web.app import HttpRequest
from ringwork.web.auth import needs

_WRITE: Final = needs(WRITE_SCOPE)
_NUMBERS: Final = ("width", "height", "duration_s")


def creative_routes(respond: Responder, commands: Commands) -> list[ControllerRouterHandler]:
    """The handlers."""
    pages = _Pages(commands)
    creatives = commands.api.catalogue.creatives
    management = commands.api.management

    @get("/new-creative", opt=_WRITE, sync_to_thread=False)
    def show_new_creative(request: HttpRequest) -> Answer:
        way = _way(request)
        typed = written(creative_groups(way, is_new=True), _blank(way, text(request, "campaign")))
        return respond.page(request, pages.new(request, way, typed))

    @post("/new-creative", opt=_WRITE, status_code=200)
    async def create_creative(request: HttpRequest) -> Answer:
        await commands.check(request)
        way = _way(request)
        groups = creative_groups(way, is_new=True)
        given = await sent(request, groups)
        read = read_new(groups, given.typed, NewCreative)
        do = await chosen(request, {**FIRST, "check": CHECK})
        status = "draft" if do == "check" else do
        read.values.update(WAYS[way].fixed, format=WAYS[way].format, status=status)
        said, new = converted(read, given.faults, NewCreative)
        if new is not None and do == "check":
            said = checked(groups, management.check_creative(new))
        elif new is not None:
            outcome = await commands.run(
                request,
                read.values,
                lambda command, actor: management.create_creative(command, new, actor)[0],
            )
            if outcome.is_done:
                return done("creative", new.id, "created")
            said = said_of(groups, outcome)
        return respond.page(request, pages.new(request, way, given.typed, said))

    @get("/creatives/{id:str}/edit", opt=_WRITE, sync_to_thread=False)
    def show_edit_creative(request: HttpRequest, id: FromPath[str]) -> Answer:
        item = known("creative", creatives, id)
        groups = creative_groups(way_of(item), is_new=False)
        return respond.page(request, pages.edit(item, written(groups, msgspec.to_builtins(item))))

    @post("/creatives/{id:str}/edit", opt=_WRITE, status_code=200)
    async def change_creative(request: HttpRequest, id: FromPath[str]) -> Answer:
        await commands.check(request)
        item = known("creative", creatives, id)
        typed, said = await change(
            request,
            commands,
            creative_groups(way_of(item), is_new=False),
            item,
            CreativeChange,
            lambda command, asked, actor: management.change_creative(command, id, asked, actor),
        )
        if said is None:
            return done("creative", id, "changed")
        return respond.page(request, pages.edit(creatives[id], typed, said))

    return [show_new_creative, create_creative, show_edit_creative, change_creative]


class _Pages:
    """The form's page, of a new creative or of one that exists."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands

    def new(self, request: HttpRequest, way: Way, typed: Typed, said: Said | None = None) -> Page:
        campaign_id = next(iter(typed.get("/campaign_id", ())), "").strip()
        has_campaign = campaign_id in self._commands.api.catalogue.campaigns
        sheet = Sheet(
            title="New creative",
            question="What is shown, and where does a click lead?",
            action=_address(campaign_id, way),
            groups=creative_groups(way, is_new=True),
            buttons=[*first_buttons(self._commands, request), CHECK],
            who="It is shown once it and its campaign are live.",
            cancel=item_href("campaign", campaign_id) if has_campaign else "/console/campaigns",
            kinds=[
                (one.title, _address(campaign_id, name), name == way) for name, one in WAYS.items()
            ],
        )
        return page_of(self._commands, sheet, typed, said)

    def edit(self, item: Creative, typed: Typed, said: Said | None = None) -> Page:
        way = way_of(item)
        sheet = Sheet(
            title="Edit creative",
            subject=item.id,
            question="What is to be different from now on?",
            action=f"{item_href('creative', item.id)}/edit",
            groups=creative_groups(way, is_new=False),
            buttons=[SAVE],
            who="Where reviews are asked for, what was approved and is then changed waits for one.",
            cancel=item_href("creative", item.id),
            item=item,
            fixed=[("Campaign", item.campaign_id), ("Kind", WAYS[way].title)],
        )
        return page_of(self._commands, sheet, typed, said)


def _way(request: HttpRequest) -> Way:
    asked = text(request, "way") or "banner"
    for way in WAYS:
        if way == asked:
            return way
    text_ = f"one of {', '.join(WAYS)} is expected, got {asked[:40]!r}"
    raise Invalid(f"query/way: {text_}", [Fault("query/way", text_)])


def _address(campaign_id: str, way: Way) -> str:
    given = {"campaign": campaign_id} if campaign_id else {}
    return f"/console/new-creative?{urlencode({**given, 'way': way})}"


def _blank(way: Way, campaign_id: str) -> dict[str, Any]:
    """A creative of defaults; sizes and times are not guessed."""
    blank: dict[str, Any] = msgspec.to_builtins(
        Creative(id="", campaign_id=campaign_id, name="", format=WAYS[way].format, landing_url="")
    )
    return {**blank, **dict.fromkeys(_NUMBERS)}
