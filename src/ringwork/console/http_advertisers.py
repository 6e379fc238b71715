"""The console's pages of advertisers."""

from __future__ import annotations

from typing import Final

import msgspec
from litestar import get, post
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from ringwork.ads.model import Advertiser
from ringwork.ads.requests import AdvertiserChange, NewAdvertiser
from ringwork.ads.views import AdvertiserView
from ringwork.console.asked import PAGES_MAX, number, text
from ringwork.console.bookkeeping import Bookkeeping
from ringwork.console.commands import WRITE_SCOPE, Commands
from ringwork.console.editing import (
    SAVE,
    Said,
    change,
    converted,
    done,
    done_of,
    known,
    said_of,
)
from ringwork.console.form_pages import Sheet, page_of
from ringwork.console.forms.advertiser import advertiser_groups
from ringwork.console.forms.body import Button
from ringwork.console.forms.reading import Typed, read_new, written
from ringwork.console.forms.sent import sent
from ringwork.console.pages import Page
from ringwork.console.respond import Answer, Responder
from ringwork.console.views.advertisers import advertiser, advertisers
from ringwork.console.views.life import item_href
from ringwork.web.app import HttpRequest, principal_of
from ringwork.web.auth import needs

_SEE: Final = needs("console:read")
_WRITE: Final = needs(WRITE_SCOPE)
_MONEY: Final = "ledger:read"
_CREATE: Final = Button(name="do", value="create", text="Create", is_main=True)
_NEW: Final = advertiser_groups(is_new=True)
_OLD: Final = advertiser_groups(is_new=False)


def advertiser_routes(
    books: Bookkeeping, respond: Responder, commands: Commands
) -> list[ControllerRouterHandler]:
    """The handlers."""

    @get("/advertisers", opt=_SEE)
    async def show_advertisers(request: HttpRequest) -> Answer:
        page = number(request, "page", default=1, at_most=PAGES_MAX)
        facts = await books.advertisers(
            page=page, wanted=text(request, "q"), with_money=principal_of(request).may(_MONEY)
        )
        return respond.page(request, advertisers(facts, page=page))

    @get("/advertisers/{id:str}", opt=_SEE)
    async def show_advertiser(request: HttpRequest, id: FromPath[str]) -> Answer:
        facts = await books.advertiser(id, with_money=principal_of(request).may(_MONEY))
        return respond.page(request, advertiser(facts, done=done_of(request)))

    return [show_advertisers, show_advertiser, *_forms(respond, commands)]


def _forms(respond: Responder, commands: Commands) -> list[ControllerRouterHandler]:
    among, management = commands.api.catalogue.advertisers, commands.api.management

    @get("/new-advertiser", opt=_WRITE, sync_to_thread=False)
    def show_new_advertiser(request: HttpRequest) -> Answer:
        return respond.page(request, _new_page(commands, {}))

    @post("/new-advertiser", opt=_WRITE, status_code=200)
    async def create_advertiser(request: HttpRequest) -> Answer:
        await commands.check(request)
        given = await sent(request, _NEW)
        read = read_new(_NEW, given.typed, NewAdvertiser)
        read.values["currency"] = commands.api.ads.currency
        said, new = converted(read, given.faults, NewAdvertiser)
        if new is not None:
            outcome = await commands.run(
                request,
                read.values,
                lambda command, actor: AdvertiserView.of(
                    management.register_advertiser(command, new, actor)[0]
                ),
            )
            if outcome.is_done:
                return done("advertiser", new.id, "created")
            said = said_of(_NEW, outcome)
        return respond.page(request, _new_page(commands, given.typed, said))

    @get("/advertisers/{id:str}/edit", opt=_WRITE, sync_to_thread=False)
    def show_edit_advertiser(request: HttpRequest, id: FromPath[str]) -> Answer:
        item = known("advertiser", among, id)
        typed = written(_OLD, msgspec.to_builtins(item))
        return respond.page(request, _edit_page(commands, item, typed))

    @post("/advertisers/{id:str}/edit", opt=_WRITE, status_code=200)
    async def change_advertiser(request: HttpRequest, id: FromPath[str]) -> Answer:
        await commands.check(request)
        item = known("advertiser", among, id)
        typed, said = await change(
            request,
            commands,
            _OLD,
            item,
            AdvertiserChange,
            lambda command, asked, actor: AdvertiserView.of(
                management.change_advertiser(command, id, asked, actor)
            ),
        )
        if said is None:
            return done("advertiser", id, "changed")
        return respond.page(request, _edit_page(commands, among[id], typed, said))

    return [show_new_advertiser, create_advertiser, show_edit_advertiser, change_advertiser]


def _new_page(commands: Commands, typed: Typed, said: Said | None = None) -> Page:
    sheet = Sheet(
        title="New advertiser",
        question="Who pays for ads?",
        action="/console/new-advertiser",
        groups=_NEW,
        buttons=[_CREATE],
        who="An account opens with it; its campaigns take their budgets from there.",
        cancel="/console/advertisers",
        entry="advertisers",
        fixed=[("Currency", commands.api.ads.currency)],
    )
    return page_of(commands, sheet, typed, said)


def _edit_page(
    commands: Commands, item: Advertiser, typed: Typed, said: Said | None = None
) -> Page:
    sheet = Sheet(
        title="Edit advertiser",
        subject=item.id,
        question="What is to be different from now on?",
        action=f"{item_href('advertiser', item.id)}/edit",
        groups=_OLD,
        buttons=[SAVE],
        who="Its ads go by the new name and domain at once; what was recorded stays as it was.",
        cancel=item_href("advertiser", item.id),
        entry="advertisers",
        item=item,
        fixed=[("Currency", item.currency)],
    )
    return page_of(commands, sheet, typed, said)
