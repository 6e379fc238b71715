"""The pages of a campaign and of a creative, with the forms that move them through their life."""

from __future__ import annotations

from typing import Final

import msgspec
from litestar import get, post
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler
from msgspec import Struct
from msgspec.structs import replace

from ringwork.ads.catalogue import may_show
from ringwork.ads.http_api import REVIEW_SCOPE
from ringwork.ads.lifecycle import Actor, Noun
from ringwork.ads.requests import (
    CampaignChange,
    CreativeChange,
    ReviewDecision,
    SpecialReview,
)
from ringwork.console.asked import PAGES_MAX, field, live, number
from ringwork.console.commands import WRITE_SCOPE, Commands, Outcome
from ringwork.console.data import ConsoleData
from ringwork.console.editing import asked_for, done, done_of, known
from ringwork.console.facts import CampaignPageFacts
from ringwork.console.fairness_data import FairnessData
from ringwork.console.fairness_facts import CampaignAd
from ringwork.console.http_fairness import SEE_SCOPE
from ringwork.console.respond import Answer, Responder
from ringwork.console.views.campaign import campaign
from ringwork.console.views.conversions import conversions
from ringwork.console.views.creative import creative
from ringwork.console.views.history import changes
from ringwork.console.views.life import Refusal
from ringwork.console.views.measured import MeasuredSection, measured_section
from ringwork.console.views.reviews import reviews
from ringwork.kernel.errors import NotFound
from ringwork.kernel.journal import Command
from ringwork.web.app import HttpRequest, principal_of
from ringwork.web.auth import needs

_SEE: Final = needs("console:read")
_WRITE: Final = needs(WRITE_SCOPE)
_REVIEW: Final = needs(REVIEW_SCOPE)


def life_routes(
    data: ConsoleData, fairness: FairnessData, respond: Responder, commands: Commands
) -> list[ControllerRouterHandler]:
    """The handlers."""
    items = _Items(data, fairness, respond, commands)
    return [*_pages(items), *_histories(data, respond, items), *_forms(items)]


def _pages(items: _Items) -> list[ControllerRouterHandler]:
    @get("/campaigns/{id:str}", opt=_SEE)
    async def show_campaign(request: HttpRequest, id: FromPath[str]) -> Answer:
        return await items.page(request, "campaign", id)

    @get("/creatives/{id:str}", opt=_SEE)
    async def show_creative(request: HttpRequest, id: FromPath[str]) -> Answer:
        return await items.page(request, "creative", id)

    return [show_campaign, show_creative]


def _histories(
    data: ConsoleData, respond: Responder, items: _Items
) -> list[ControllerRouterHandler]:
    @get("/campaigns/{id:str}/conversions", opt=_SEE)
    async def show_conversions(request: HttpRequest, id: FromPath[str]) -> Answer:
        facts = await data.conversions(id, before=number(request, "before", default=0))
        if facts is None:
            raise NotFound(f"no campaign {id[:64]}")
        return respond.page(request, conversions(facts))

    @get("/campaigns/{id:str}/changes", opt=_SEE)
    async def show_campaign_changes(request: HttpRequest, id: FromPath[str]) -> Answer:
        return await items.changes(request, "campaign", id)

    @get("/creatives/{id:str}/changes", opt=_SEE)
    async def show_creative_changes(request: HttpRequest, id: FromPath[str]) -> Answer:
        return await items.changes(request, "creative", id)

    @get("/reviews", opt=_SEE)
    async def show_reviews(request: HttpRequest) -> Answer:
        page = number(request, "page", default=1, at_most=PAGES_MAX)
        return respond.page(request, reviews(await data.reviews(page), page=page))

    return [show_conversions, show_campaign_changes, show_creative_changes, show_reviews]


def _forms(items: _Items) -> list[ControllerRouterHandler]:
    @post("/campaigns/{id:str}/status", opt=_WRITE, status_code=200)
    async def step_campaign(request: HttpRequest, id: FromPath[str]) -> Answer:
        return await items.step(request, "campaign", id)

    @post("/creatives/{id:str}/status", opt=_WRITE, status_code=200)
    async def step_creative(request: HttpRequest, id: FromPath[str]) -> Answer:
        return await items.step(request, "creative", id)

    @post("/campaigns/{id:str}/review", opt=_REVIEW, status_code=200)
    async def review_campaign(request: HttpRequest, id: FromPath[str]) -> Answer:
        return await items.review(request, "campaign", id)

    @post("/creatives/{id:str}/review", opt=_REVIEW, status_code=200)
    async def review_creative(request: HttpRequest, id: FromPath[str]) -> Answer:
        return await items.review(request, "creative", id)

    @post("/campaigns/{id:str}/special-review", opt=_REVIEW, status_code=200)
    async def review_special_campaign(request: HttpRequest, id: FromPath[str]) -> Answer:
        return await items.review_special(request, id)

    @post("/campaigns/{id:str}/lawful", opt=_WRITE, status_code=200)
    async def take_lawful_targeting(request: HttpRequest, id: FromPath[str]) -> Answer:
        return await items.take_lawful(request, id)

    return [
        step_campaign,
        step_creative,
        review_campaign,
        review_creative,
        review_special_campaign,
        take_lawful_targeting,
    ]


class _Items:
    """Pages, steps and decisions of both nouns."""

    def __init__(
        self, data: ConsoleData, fairness: FairnessData, respond: Responder, commands: Commands
    ) -> None:
        self._data = data
        self._fairness = fairness
        self._respond = respond
        self._commands = commands

    async def page(
        self,
        request: HttpRequest,
        noun: Noun,
        id: str,
        refused: Refusal | None = None,
        status: int = 200,
    ) -> Answer:
        """The item's page."""
        commands, said = self._commands, done_of(request)
        if noun == "campaign":
            facts = await self._data.campaign(id)
            if facts is None:
                raise NotFound(f"no campaign {id[:64]}")
            life = commands.life(request, noun, facts.facts.campaign, refused)
            page = campaign(
                facts,
                live=live(request),
                life=life,
                special=commands.special(request, facts.facts.campaign),
                measured=await self._measured(request, facts),
                done=said,
            )
        else:
            shown = await self._data.creative(id)
            if shown is None:
                raise NotFound(f"no creative {id[:64]}")
            life = commands.life(request, noun, shown.creative, refused)
            page = creative(shown, life=life, done=said)
        return self._respond.page(request, replace(page, status=status))

    async def _measured(
        self, request: HttpRequest, facts: CampaignPageFacts
    ) -> MeasuredSection | None:
        """Whom a campaign for housing, employment or credit reaches, for who may see it."""
        subject = facts.facts.campaign
        if not subject.is_special or not principal_of(request).may(SEE_SCOPE):
            return None
        is_sold = may_show(subject)
        ads = [
            CampaignAd(
                ad=one.creative.id,
                name=one.creative.name,
                is_sold=is_sold and one.creative.status == "active",
            )
            for one in facts.creatives
        ]
        category = subject.special_ad_categories[0]  # what its ads are measured as
        found = self._fairness.campaign(category, ads)
        await self._fairness.durable()
        return measured_section(found, category)

    async def changes(self, request: HttpRequest, noun: Noun, id: str) -> Answer:
        """A page of the item's history."""
        facts = await self._data.changes(noun, id, before=number(request, "before", default=0))
        if facts is None:
            raise NotFound(f"no {noun} {id[:64]}")
        return self._respond.page(request, changes(facts))

    async def step(self, request: HttpRequest, noun: Noun, id: str) -> Answer:
        """Give an item another status."""
        await self._commands.check(request)
        management = self._commands.api.management
        asked = {"status": await field(request, "status")}
        if noun == "campaign":
            wanted = asked_for(asked, CampaignChange)

            def decide(command: Command, actor: Actor) -> Struct:
                return management.change_campaign(command, id, wanted, actor)
        else:
            other = asked_for(asked, CreativeChange)

            def decide(command: Command, actor: Actor) -> Struct:
                return management.change_creative(command, id, other, actor)

        outcome = await self._commands.run(request, asked, decide)
        return await self._led(request, noun, id, outcome, asked["status"])

    async def review(self, request: HttpRequest, noun: Noun, id: str) -> Answer:
        """Decide on an item as its reviewer."""
        await self._commands.check(request)
        reason = (await field(request, "reason")).strip()
        asked = {"decision": await field(request, "decision"), "reason": reason}
        decision = asked_for(asked, ReviewDecision)
        management = self._commands.api.management
        decided = management.review_campaign if noun == "campaign" else management.review_creative
        outcome = await self._commands.run(
            request, asked, lambda command, actor: decided(command, id, decision, actor)
        )
        return await self._led(request, noun, id, outcome, asked["decision"], reason)

    async def review_special(self, request: HttpRequest, id: str) -> Answer:
        """Decide on a campaign that is held."""
        await self._commands.check(request)
        reason = (await field(request, "reason")).strip()
        asked = {"decision": await field(request, "decision"), "reason": reason}
        if not reason:
            refused = Refusal(trouble="A decision takes a reason: the advertiser reads it.")
            return await self.page(request, "campaign", id, refused, 422)
        review = asked_for(asked, SpecialReview)
        decided = self._commands.api.management.review_special
        outcome = await self._commands.run(
            request, asked, lambda command, actor: decided(command, id, review, actor)
        )
        return await self._led(request, "campaign", id, outcome, asked["decision"])

    async def take_lawful(self, request: HttpRequest, id: str) -> Answer:
        """Give a campaign the lawful targeting that was proposed for it."""
        await self._commands.check(request)
        campaign = known("campaign", self._commands.api.catalogue.campaigns, id)
        lawful = campaign.screening.proposal
        if lawful is None:
            return done("campaign", id, "changed")
        management = self._commands.api.management
        outcome = await self._commands.run(
            request,
            {"targeting": msgspec.to_builtins(lawful)},
            lambda command, actor: management.change_campaign(
                command, id, CampaignChange(targeting=lawful), actor
            ),
        )
        return await self._led(request, "campaign", id, outcome, "lawful")

    async def _led(
        self,
        request: HttpRequest,
        noun: Noun,
        id: str,
        outcome: Outcome,
        what: str,
        typed: str = "",
    ) -> Answer:
        if outcome.is_done:
            return done(noun, id, what)
        fault = next((one.detail for one in outcome.faults if one.pointer == "/reason"), "")
        others = "; ".join(one.detail for one in outcome.faults if one.pointer != "/reason")
        refused = Refusal(
            trouble=outcome.trouble or others,
            fault=fault[:1].upper() + fault[1:],
            typed=typed,
        )
        return await self.page(request, noun, id, refused, outcome.status)
