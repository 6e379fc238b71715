"""The console's pages of consent. A person's id comes in bodies alone: addresses end in logs."""

from __future__ import annotations

import re
from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from ringwork.consent.http import deciding
from ringwork.consent.requests import NewConsent
from ringwork.console.answers import PAGE_HEADERS, moved
from ringwork.console.asked import field, number
from ringwork.console.commands import Commands, Outcome
from ringwork.console.consent_data import ConsentData, file_of, subject_of
from ringwork.console.editing import asked_for, done_of
from ringwork.console.respond import Answer, Responder
from ringwork.console.views.consent import consent
from ringwork.console.views.person import person, person_href
from ringwork.kernel.errors import Invalid
from ringwork.kernel.purpose import PURPOSES
from ringwork.kernel.viewer import PERSON_PATTERN
from ringwork.web.app import HttpRequest, principal_of
from ringwork.web.auth import needs

SEE_SCOPE: Final = "consent:read"
DECIDE_SCOPE: Final = "consent:write"
SURFACE: Final = "console"
"""Where a decision was made that an operator recorded for the person."""
ACTIONS: Final = ("withdraw", "object", "erase")
"""Never a grant: nobody consents in another's name."""
_SUBSCRIPTIONS: Final = "subscriptions:read"
_SEE: Final = needs(SEE_SCOPE)
_DECIDE: Final = needs(DECIDE_SCOPE)
_PERSON: Final = re.compile(PERSON_PATTERN)
_NUMBER_MAX: Final = 2**53
_NO_ID: Final = "Expected 1 to 128 letters, digits or any of . _ ~ : @ + -"


def consent_routes(
    data: ConsentData, respond: Responder, commands: Commands
) -> list[ControllerRouterHandler]:
    """The handlers."""
    pages = _People(data, respond, commands)
    return [*_overview(data, respond, commands), *_people(pages), *_files(data)]


def _overview(
    data: ConsentData, respond: Responder, commands: Commands
) -> list[ControllerRouterHandler]:
    @get("/consent", opt=_SEE)
    async def show_consent(request: HttpRequest) -> Answer:
        return respond.page(request, consent(await data.overview()))

    @post("/people", opt=_SEE, status_code=200)
    async def look_up_person(request: HttpRequest) -> Answer:
        await commands.check(request)
        typed = (await field(request, "person")).strip()
        if not _PERSON.fullmatch(typed):
            return respond.page(request, consent(await data.overview(), fault=_NO_ID))
        return moved(person_href(data.api.consents.subject_of(typed).hex()))

    return [show_consent, look_up_person]


def _people(people: _People) -> list[ControllerRouterHandler]:
    @get("/people/{subject:str}", opt=_SEE)
    async def show_person(request: HttpRequest, subject: FromPath[str]) -> Answer:
        return await people.page(request, subject_of(subject))

    @post("/people/{subject:str}/decisions", opt=_DECIDE, status_code=200)
    async def decide_for_person(request: HttpRequest, subject: FromPath[str]) -> Answer:
        return await people.decide(request, subject_of(subject))

    return [show_person, decide_for_person]


def _files(data: ConsentData) -> list[ControllerRouterHandler]:
    def file(document: Struct, name: str) -> Response[bytes]:
        headers = {**PAGE_HEADERS, "content-disposition": f'attachment; filename="{name}.json"'}
        return Response(file_of(document), media_type="application/json", headers=headers)

    @get("/people/{subject:str}/receipts/{record:int}", opt=_SEE)
    async def save_receipt(subject: FromPath[str], record: FromPath[int]) -> Response[bytes]:
        found = await data.receipt(subject_of(subject), _bounded(record))
        return file(found, f"consent-receipt-{subject[:8]}-{record}")

    @get("/people/{subject:str}/proofs/{record:int}", opt=_SEE)
    async def save_proof(subject: FromPath[str], record: FromPath[int]) -> Response[bytes]:
        found = await data.proof(subject_of(subject), _bounded(record))
        return file(found, f"consent-proof-{subject[:8]}-{record}")

    return [save_receipt, save_proof]


def _bounded(record: int) -> int:
    """A number that a record may have; any other is found nowhere."""
    return record if 1 <= record <= _NUMBER_MAX else _NUMBER_MAX


class _People:
    """One person's page, and what an operator records for them."""

    def __init__(self, data: ConsentData, respond: Responder, commands: Commands) -> None:
        self._data = data
        self._respond = respond
        self._commands = commands

    async def page(
        self,
        request: HttpRequest,
        subject: bytes,
        *,
        trouble: str = "",
        fault: str = "",
        status: int = 200,
    ) -> Answer:
        """The person's page."""
        facts = await self._data.person(
            subject,
            after=number(request, "after", default=0, at_most=_NUMBER_MAX),
            with_subscriptions=principal_of(request).may(_SUBSCRIPTIONS),
        )
        page = person(
            facts,
            key=self._commands.new_key(),
            trouble=trouble,
            fault=fault,
            status=status,
            done="" if status >= 400 else done_of(request),
        )
        return self._respond.page(request, page)

    async def decide(self, request: HttpRequest, subject: bytes) -> Answer:
        """Withdraw, object or erase for the person: one form, one step, as everywhere."""
        await self._commands.check(request)
        typed = (await field(request, "person")).strip()
        action, purpose = await field(request, "action"), await field(request, "purpose")
        if action not in ACTIONS:
            raise Invalid(
                f"action: one of {', '.join(ACTIONS)} is expected, got {action[:40]!r}", []
            )
        fault = self._fault(typed, subject)
        if fault:
            return await self.page(request, subject, fault=fault, status=422)
        asked = {
            "person": typed,
            "action": action,
            "purposes": [] if action == "erase" else [purpose] if purpose else list(PURPOSES),
            "surface": SURFACE,
            "asked": False,
        }
        outcome = await self._record(request, asked, asked_for(asked, NewConsent))
        if outcome.is_done:
            return _done(subject, action)
        trouble = outcome.trouble or "; ".join(one.detail for one in outcome.faults)
        return await self.page(request, subject, trouble=trouble, status=outcome.status)

    async def _record(self, request: HttpRequest, asked: object, wanted: NewConsent) -> Outcome:
        decide = await deciding(self._data.api, wanted, principal_of(request).key_id)
        return await self._commands.run(request, asked, lambda command, _: decide(command)[1])

    def _fault(self, typed: str, subject: bytes) -> str:
        """Who sends the form knows the person: their id, which is kept nowhere, is of this page."""
        if not _PERSON.fullmatch(typed):
            return _NO_ID
        if self._data.api.consents.subject_of(typed) != subject:
            return "This is the id of somebody else than the page shows"
        return ""


def _done(subject: bytes, action: str) -> Redirect:
    return moved(f"{person_href(subject.hex())}?done={action}")
