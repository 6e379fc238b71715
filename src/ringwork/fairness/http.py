"""Fairness over HTTP: people are told, ads are looked at, reports read, control overridden."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from litestar import Response, get, post
from litestar.params import JSONBody, PathParameter
from litestar.types import ControllerRouterHandler
from msgspec import Meta, Struct

from ringwork.fairness.delivery.description import Description
from ringwork.fairness.delivery.events import MEASURED, PersonDescribed
from ringwork.fairness.delivery.memory import FairnessMemory
from ringwork.fairness.delivery.people import PEOPLE_MAX
from ringwork.fairness.delivery.views import AdView, view_of
from ringwork.fairness.delivery.work import record_later
from ringwork.fairness.records import Override
from ringwork.kernel.errors import Conflict, Fault, Refused
from ringwork.kernel.journal import Command, Journal
from ringwork.kernel.ports import KeyStore
from ringwork.kernel.viewer import PersonId
from ringwork.web.app import HttpRequest, principal_of, run_command
from ringwork.web.auth import needs
from ringwork.web.execute import Executor
from ringwork.web.openapi import described

if TYPE_CHECKING:
    from ringwork.fairness.delivery.desk import Desk

BATCH_MAX: Final = 1000
"""People described in one batch: each is sealed, so that it takes some ten milliseconds."""
AdId = Annotated[str, PathParameter(min_length=1, max_length=256)]


class DescribedPerson(Description, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One person, by the id that ad requests name them by; all else may be missing."""

    person: PersonId

    def __repr__(self) -> str:
        return "DescribedPerson()"


class DescribedPeople(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A batch: who was described before is described anew."""

    people: Annotated[list[DescribedPerson], Meta(min_length=1, max_length=BATCH_MAX)]

    def __repr__(self) -> str:
        return f"DescribedPeople({len(self.people)})"


class PeopleTaken(Struct, frozen=True):
    """What became of a batch."""

    described: int
    total: int
    """People who are described now."""


class NewOverride(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An authorised person takes a controller's place, or gives it back."""

    action: Literal["pause", "resume", "set"]
    """"pause": no shift; "set": ``lambda_micro`` holds; "resume": the controller decides again."""
    reason: Annotated[str, Meta(min_length=1, max_length=2000)]
    lambda_micro: Annotated[
        list[Annotated[int, Meta(ge=-100_000_000, le=100_000_000)]], Meta(max_length=64)
    ] = []
    """For "set": a price per group of the controlled attributes, in millionths of the ad's usual
    value."""


TYPES: Final[tuple[type[Struct], ...]] = (
    DescribedPerson,
    DescribedPeople,
    PeopleTaken,
    NewOverride,
    AdView,
)


class FairnessApi(Struct, frozen=True, kw_only=True):
    """Services and memory, put together by the composition root."""

    memory: FairnessMemory
    journal: Journal
    keys: KeyStore
    execute: Executor
    subject_of: Callable[[str], bytes]
    ready: Callable[[], Awaitable[Desk]]
    """The desk, made where there is none yet."""


def fairness_routes(api: FairnessApi) -> list[ControllerRouterHandler]:
    """Every handler."""
    return [*_people(api), *_ads(api)]


def _people(api: FairnessApi) -> list[ControllerRouterHandler]:
    @post(
        "/v1/fairness/people",
        opt={**needs("fairness:people"), **described(PeopleTaken, key="optional")},
    )
    async def describe_people(
        request: HttpRequest, data: JSONBody[DescribedPeople]
    ) -> Response[bytes]:
        """Tell names, areas and declared groups of people: sealed, and opened by the enclave alone.

        A person is erased as everywhere: the subject is `person/ID`.
        """

        def decide(command: Command) -> tuple[int, Struct]:
            people = api.memory.people
            subjects = [api.subject_of(one.person) for one in data.people]
            total = len(people.described.keys() | set(subjects))
            if total > PEOPLE_MAX:
                raise Conflict(
                    "rule-violated", f"expected at most {PEOPLE_MAX:,} people, got {total:,}"
                )
            for subject, one in zip(subjects, data.people, strict=True):
                event_id = api.journal.ids.new()
                sealed = api.keys.seal(subject, _plain(one), context=event_id + b"details")
                command.record(
                    PersonDescribed(sealed), event_id=event_id, subject=subject, purpose=MEASURED
                )
            return 201, PeopleTaken(len(set(subjects)), len(people.described))

        return await run_command(request, api.execute, decide)

    return [describe_people]


def _ads(api: FairnessApi) -> list[ControllerRouterHandler]:
    @get("/v1/fairness/ads/{ad:str}", opt=needs("fairness:read"))
    async def read_fairness_of_ad(ad: AdId) -> AdView:
        """The newest release of an ad, its figures as pairs, its prices, its privacy budget."""
        desk = await api.ready()
        view = view_of(api.memory, desk, ad)
        if view is None:
            raise _unknown(ad)
        await api.journal.settled()
        return view

    @post(
        "/v1/fairness/ads/{ad:str}/override",
        opt={**needs("fairness:override"), **described(AdView, key="optional")},
    )
    async def override_control(
        request: HttpRequest, ad: AdId, data: JSONBody[NewOverride]
    ) -> Response[bytes]:
        """Pause an ad's controller, set its prices, or let it decide again, with a reason.

        It stands in the audit log, and holds from the next auction on.
        """
        desk, who = await api.ready(), principal_of(request).key_id
        wanted = desk.controlling.shares if data.action == "set" else 0
        if len(data.lambda_micro) != wanted:
            text = f"expected {wanted} prices for {data.action!r}, got {len(data.lambda_micro)}"
            raise Conflict(
                "rule-violated", f"/lambda_micro: {text}", errors=[Fault("/lambda_micro", text)]
            )

        def decide(command: Command) -> tuple[int, Struct]:
            if view_of(api.memory, desk, ad) is None:
                raise _unknown(ad)
            override = Override(
                ad=ad,
                action=data.action,
                who=who,
                reason=data.reason,
                lambda_micro=tuple(data.lambda_micro),
            )
            record_later(command, api.memory, override)
            view = view_of(api.memory, desk, ad)
            assert view is not None
            return 201, view

        answer = await run_command(request, api.execute, decide)
        desk.controlling.swap()
        return answer

    return [read_fairness_of_ad, override_control]


def _plain(one: DescribedPerson) -> bytes:
    """What is sealed: all but the id, which is the subject."""
    members = {name: getattr(one, name) for name in Description.__struct_fields__}
    return msgspec.msgpack.encode(Description(**members))


def _unknown(ad: str) -> Refused:
    return Refused("unknown-ad", f"no ad {ad!r} is measured here", status=404, title="No such ad")
