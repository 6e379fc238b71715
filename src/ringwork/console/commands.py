"""Commands of the management API as forms give them: the same decisions, keys and refusals.

A form carries a key of its own, so that sending it twice acts once; what is wrong with it comes
back as faults, to be shown beside what was typed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec
from msgspec import Struct

from ringwork.ads.http_api import REVIEW_SCOPE, AdsApi
from ringwork.ads.lifecycle import Actor, Noun
from ringwork.ads.model import Campaign, Creative
from ringwork.console.asked import check_form, field
from ringwork.console.views.life import Life, Refusal, life
from ringwork.console.views.special import SpecialSection, special_section
from ringwork.kernel.errors import Fault, Refused, Unavailable
from ringwork.kernel.journal import Command
from ringwork.kernel.ports import Clock
from ringwork.web.app import HttpRequest, principal_of, request_id
from ringwork.web.execute import Intent
from ringwork.web.problems import Problem
from ringwork.web.sessions import SignIn

WRITE_SCOPE: Final = "catalogue:write"


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of a form; no trouble and no faults is success."""

    faults: list[Fault] = []
    trouble: str = ""
    status: int = 200
    answer: bytes = b""
    """What the API would have answered, as JSON."""

    @property
    def is_done(self) -> bool:
        return self.status < 400


class Commands:
    """Executes what forms ask for."""

    def __init__(
        self, api: AdsApi, *, sign_in: SignIn, clock: Clock, new_key: Callable[[], str]
    ) -> None:
        """``new_key`` gives a form the idempotency key that it is sent with."""
        self.api = api
        self.new_key = new_key
        self._clock = clock
        self._sign_in = sign_in

    def now_us(self) -> int:
        """The platform's wall time."""
        return self._clock.wall_us()

    def may_approve(self, request: HttpRequest) -> bool:
        """Whether what the visitor makes live needs nobody else's approval."""
        return self.api.actor_of(request).may_approve

    def life(
        self,
        request: HttpRequest,
        noun: Noun,
        item: Campaign | Creative,
        refused: Refusal | None = None,
    ) -> Life:
        """What the visitor may do to an item."""
        principal = principal_of(request)
        return life(
            noun,
            item,
            writes=principal.may(WRITE_SCOPE),
            reviews=principal.may(REVIEW_SCOPE),
            actor=self.api.actor_of(request),
            key=self.new_key(),
            refused=refused,
        )

    def special(self, request: HttpRequest, item: Campaign) -> SpecialSection | None:
        """What a campaign for housing, employment or credit is held to."""
        principal = principal_of(request)
        return special_section(
            item,
            writes=principal.may(WRITE_SCOPE),
            reviews=principal.may(REVIEW_SCOPE),
            key=self.new_key(),
        )

    async def check(self, request: HttpRequest) -> None:
        """Forbidden unless the form came from a page of this session."""
        await check_form(request, self._sign_in)

    async def run(
        self, request: HttpRequest, asked: object, decide: Callable[[Command, Actor], Struct]
    ) -> Outcome:
        """Decide once for the form's key; ``asked`` is what it says, as JSON has it.

        What is not there, or not allowed, is raised as everywhere.
        """
        actor = self.api.actor_of(request)
        intent = Intent(
            tenant=principal_of(request).tenant,
            request_id=request_id(request),
            method=request.method,
            path=request.scope["path"],
            key=await field(request, "key"),
            body=msgspec.json.encode(asked),
        )
        try:
            answer = await self.api.execute(
                intent, lambda command: (200, decide(command, actor)), key_required=True
            )
        except Refused as refused:
            if refused.slug != "idempotency-mismatch":
                raise
            text = "This form was sent before, with other values. Look at it again and send it."
            return Outcome(trouble=text, status=409)
        if answer.status >= 400:
            problem = msgspec.json.decode(answer.body, type=Problem)
            text = "" if problem.errors else problem.detail
            return Outcome(faults=problem.errors, trouble=text, status=answer.status)
        with suppress(Unavailable):  # the page after it may lag; the change is made
            await self.api.indexed()
        return Outcome(answer=answer.body)
