"""The consent ledger over HTTP: one way in, and what is known of a person.

Answers are sent when the record is durable and the person's epoch has moved: what starts after a
withdrawal was acknowledged uses nothing of the person any more. Ids of persons stand in bodies and
in paths of reads, neither of which is logged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Final

from litestar import Response, get, post
from litestar.params import JSONBody, PathParameter, QueryParameter
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from ringwork.consent.events import ConsentRecorded
from ringwork.consent.ledger import ConsentLedger
from ringwork.consent.projections import records_of
from ringwork.consent.proof import Proof
from ringwork.consent.proving import Proving
from ringwork.consent.receipts import prompt_of, receipt_of, view_of
from ringwork.consent.requests import (
    ConsentView,
    Export,
    HeldRecord,
    NewConsent,
    Prompt,
    Receipt,
)
from ringwork.consent.service import Consents
from ringwork.consent.settings import ConsentSettings
from ringwork.kernel.errors import NotFound
from ringwork.kernel.events import Recorded
from ringwork.kernel.journal import Command, Journal
from ringwork.kernel.ports import KeyStore
from ringwork.kernel.viewer import PERSON_PATTERN
from ringwork.web.app import HttpRequest, principal_of, run_command
from ringwork.web.auth import needs
from ringwork.web.execute import Executor
from ringwork.web.openapi import described

if TYPE_CHECKING:
    import sqlalchemy as sa

SLUGS: Final[Mapping[str, tuple[int, str]]] = {
    "clock-off": (422, "The client's clock is more than five minutes off the server's."),
    "consent-rule": (409, "What the body says does not go together; `errors` points at it."),
    "asked-too-soon": (
        409,
        "The person refused or withdrew; `ask_again_after` says when asking is right again.",
    ),
    "objected": (409, "The person objected and must not be asked."),
    "minor": (409, "The person is a minor: no personalised ads."),
    "too-many-records": (409, "The person has too many consent records for another grant."),
}
"""The ledger's own slugs: status, and when it is answered."""

TYPES: Final[tuple[type[Struct], ...]] = (NewConsent, Receipt, ConsentView, Prompt, Proof, Export)

Person = Annotated[str, PathParameter(pattern=PERSON_PATTERN)]
EXPORTED_MAX: Final = 100
"""Records on one page of an export: each is read from the log."""


class ConsentApi(Struct, frozen=True, kw_only=True):
    """Services, memory and readers, put together by the composition root."""

    consents: Consents
    ledger: ConsentLedger
    proving: Proving
    settings: ConsentSettings
    keys: KeyStore
    journal: Journal
    execute: Executor
    reader: sa.Engine
    """Reads the part's table."""
    indexed: Callable[[], Awaitable[None]]
    """Resolves when what was acknowledged is durable and in the table."""


def ledger_routes(api: ConsentApi) -> list[ControllerRouterHandler]:
    """Every handler of the consent ledger."""
    return [*_decisions(api), *_evidence(api)]


def _decisions(api: ConsentApi) -> list[ControllerRouterHandler]:
    ledger, journal = api.ledger, api.journal

    @post("/v1/consent", opt={**needs("consent:write"), **described(Receipt, key="optional")})
    async def record_consent(request: HttpRequest, data: JSONBody[NewConsent]) -> Response[bytes]:
        """Record what a person decided: grant, refuse, withdraw, object, erase or declare.

        The answer is the receipt. A withdrawal or objection of what is withdrawn already is
        answered with the receipt that it has.
        """
        decide = await deciding(api, data, principal_of(request).key_id)
        return await run_command(request, api.execute, decide)

    @get("/v1/consent/{person:str}", opt=needs("consent:read"))
    async def read_consent(person: Person) -> ConsentView:
        """What holds for a person now; one that nobody knows is undecided."""
        subject = api.consents.subject_of(person)
        view = view_of(ledger, subject, journal.clock.wall_us())
        await journal.settled()
        return view

    @get("/v1/consent/{person:str}/prompt", opt=needs("consent:read"))
    async def read_prompt(person: Person) -> Prompt:
        """Whether a choice page may come by itself, and about which purposes."""
        subject = api.consents.subject_of(person)
        lock_us = api.settings.lock_us
        prompt = prompt_of(ledger, subject, journal.clock.wall_us(), lock_us=lock_us)
        await journal.settled()
        return prompt

    return [record_consent, read_consent, read_prompt]


def _evidence(api: ConsentApi) -> list[ControllerRouterHandler]:
    @get("/v1/consent/{person:str}/proof", opt=needs("consent:read"))
    async def read_proof(
        person: Person, number: Annotated[int | None, QueryParameter(ge=1, le=2**53)] = None
    ) -> Proof:
        """The proof of one record, by default the last: chain, path in its day's tree, signature.

        `ringwork consent ledger verify FILE` checks it without a server.
        """
        subject = api.consents.subject_of(person)
        trees = api.proving.trees()
        wanted = api.ledger.standing(subject).records if number is None else number
        if not wanted:
            raise NotFound("no consent record of this person")
        await api.indexed()
        return await asyncio.to_thread(api.proving.prove, subject, wanted, trees)

    @get("/v1/consent/{person:str}/export", opt=needs("consent:export"))
    async def export_consent(
        person: Person,
        after: Annotated[
            str, QueryParameter(pattern=r"^[0-9]{1,12}$", description="a cursor from `next`")
        ] = "0",
        limit: Annotated[int, QueryParameter(ge=1, le=EXPORTED_MAX)] = EXPORTED_MAX,
    ) -> Export:
        """Everything that the ledger holds about a person, the raw signals unsealed."""
        subject = api.consents.subject_of(person)
        await api.indexed()
        with api.reader.begin() as connection:
            found = records_of(connection, subject, after=int(after), limit=limit)
        events = [api.journal.event_at(seq) for _, seq in found]
        view = view_of(api.ledger, subject, api.journal.clock.wall_us())
        end = found[-1][0] if found else view.records
        return Export(
            view,
            [_held(api, one) for one in events if one is not None],
            str(end) if end < view.records else None,
        )

    return [read_proof, export_consent]


async def deciding(
    api: ConsentApi, data: NewConsent, actor: str
) -> Callable[[Command], tuple[int, Receipt]]:
    """The command of a decision: it answers 201 and the receipt, or 200 and the one that it has."""
    said = await _said_already(api, data)

    def decide(command: Command) -> tuple[int, Receipt]:
        if said is not None and api.consents.repeats(data) == said.seq:
            return 200, receipt_of_record(said)
        return 201, api.consents.record(command, data, actor)

    return decide


async def _said_already(api: ConsentApi, data: NewConsent) -> Recorded | None:
    """The durable record that says all this already."""
    seq = api.consents.repeats(data)
    if seq is None:
        return None
    await api.journal.settled()
    return api.journal.event_at(seq)


def receipt_of_record(recorded: Recorded) -> Receipt:
    """The receipt of a record that was read from the log."""
    event, subject = recorded.payload, recorded.subject
    assert isinstance(event, ConsentRecorded)
    assert subject is not None
    return receipt_of(event, id=recorded.id, subject=subject, ts_us=recorded.ts_us)


def _held(api: ConsentApi, recorded: Recorded) -> HeldRecord:
    event, subject = recorded.payload, recorded.subject
    assert isinstance(event, ConsentRecorded)
    assert subject is not None
    signal = None
    if event.signal is not None:
        plain = api.keys.unseal(subject, event.signal, context=recorded.id + b"signal")
        signal = None if plain is None else plain.decode()
    return HeldRecord(
        recorded.seq, receipt_of_record(recorded), event.actor, event.signal_kind, signal
    )
