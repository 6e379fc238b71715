"""The console's pages that create and change campaigns."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import get, post
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from ringwork.ads.model import Campaign
from ringwork.ads.requests import CampaignChange, NewCampaign
from ringwork.console.asked import text
from ringwork.console.commands import WRITE_SCOPE, Commands
from ringwork.console.editing import (
    FIRST,
    SAVE,
    Said,
    advertiser_options,
    change,
    chosen,
    converted,
    done,
    first_buttons,
    known,
    said_of,
)
from ringwork.console.form_pages import Sheet, page_of
from ringwork.console.forms.campaign import campaign_groups
from ringwork.console.forms.members import Group, Option
from ringwork.console.forms.reading import Typed, read_new, written
from ringwork.console.forms.sent import sent
from ringwork.console.pages import Page
from ringwork.console.respond import Answer, Responder
from ringwork.console.views.life import item_href
from ringwork.kernel.money import Money
from ringwork.web.app import HttpRequest
from ringwork.web.auth import needs

_WRITE: Final = needs(WRITE_SCOPE)


def campaign_routes(respond: Responder, commands: Commands) -> list[ControllerRouterHandler]:
    """The handlers."""
    pages = _Pages(commands)
    campaigns = commands.api.catalogue.campaigns
    management = commands.api.management

    @get("/new-campaign", opt=_WRITE, sync_to_thread=False)
    def show_new_campaign(request: HttpRequest) -> Answer:
        return respond.page(
            request,
            pages.new(request, written(pages.groups(), _blank(text(request, "advertiser")))),
        )

    @post("/new-campaign", opt=_WRITE, status_code=200)
    async def create_campaign(request: HttpRequest) -> Answer:
        await commands.check(request)
        groups = pages.groups()
        given = await sent(request, groups)
        read = read_new(groups, given.typed, NewCampaign)
        read.values["status"] = await chosen(request, FIRST)
        said, new = converted(read, given.faults, NewCampaign)
        if new is not None:
            outcome = await commands.run(
                request,
                read.values,
                lambda command, actor: management.create_campaign(command, new, actor)[0],
            )
            if outcome.is_done:
                return done("campaign", new.id, "created")
            said = said_of(groups, outcome)
        return respond.page(request, pages.new(request, given.typed, said))

    @get("/campaigns/{id:str}/edit", opt=_WRITE, sync_to_thread=False)
    def show_edit_campaign(request: HttpRequest, id: FromPath[str]) -> Answer:
        item = known("campaign", campaigns, id)
        typed = written(pages.groups(item), msgspec.to_builtins(item))
        return respond.page(request, pages.edit(item, typed))

    @post("/campaigns/{id:str}/edit", opt=_WRITE, status_code=200)
    async def change_campaign(request: HttpRequest, id: FromPath[str]) -> Answer:
        await commands.check(request)
        item = known("campaign", campaigns, id)
        typed, said = await change(
            request,
            commands,
            pages.groups(item),
            item,
            CampaignChange,
            lambda command, asked, actor: management.change_campaign(command, id, asked, actor),
        )
        if said is None:
            return done("campaign", id, "changed")
        return respond.page(request, pages.edit(campaigns[id], typed, said))

    return [show_new_campaign, create_campaign, show_edit_campaign, change_campaign]


class _Pages:
    """The form's page, of a new campaign or of one that exists."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands

    def groups(self, item: Campaign | None = None) -> tuple[Group, ...]:
        return campaign_groups(
            self._commands.api.ads.currency,
            is_new=item is None,
            advertisers=advertiser_options(self._commands),
            certification=self._certification(),
        )

    def _certification(self) -> Option:
        """What is certified: its version, and the text."""
        screen = self._commands.api.management.screen
        if screen is None:
            return Option("own", "We know the laws of such ads and keep them.")
        return Option(screen.certification, screen.certification_text)

    def new(self, request: HttpRequest, typed: Typed, said: Said | None = None) -> Page:
        sheet = Sheet(
            title="New campaign",
            question="What is advertised, for how much, when and where?",
            action="/console/new-campaign",
            groups=self.groups(),
            buttons=first_buttons(self._commands, request),
            who="Its budget leaves its advertiser's account at once; a lower one brings it back.",
            cancel="/console/campaigns",
        )
        return page_of(self._commands, sheet, typed, said)

    def edit(self, item: Campaign, typed: Typed, said: Said | None = None) -> Page:
        sheet = Sheet(
            title="Edit campaign",
            subject=item.id,
            question="What is to be different from now on?",
            action=f"{item_href('campaign', item.id)}/edit",
            groups=self.groups(item),
            buttons=[SAVE],
            who="What is not changed stays as it is; a new budget moves the difference.",
            cancel=item_href("campaign", item.id),
            item=item,
            fixed=[("Advertiser", item.advertiser_id), ("Pays for", item.pricing.upper())],
        )
        return page_of(self._commands, sheet, typed, said)


def _blank(advertiser_id: str) -> dict[str, Any]:
    """A campaign of defaults; what has to be said is not."""
    zero = Money("XXX", 0, 0)
    blank: dict[str, Any] = msgspec.to_builtins(
        Campaign(
            id="",
            advertiser_id=advertiser_id,
            name="",
            pricing="cpm",
            bid_nanos=0,
            budget=zero,
            status="draft",
        )
    )
    return {**blank, "bid_nanos": None, "budget": None}
