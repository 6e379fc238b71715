"""Walls 2 and 3: grants that do not hold, tried on the platform's own store of histories.

Every attempt begins with a grant that holds, and one thing wrong with it. Those of wall 2 say that
their request is of somebody who consented, so that the grant alone stands in the way; those of wall
3 have a genuine grant, and the authorizer alone stands in the way.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from ringwork.app.proof.town import Person, Town
from ringwork.app.proof.world import ProofFailed, World
from ringwork.kernel.history import working_for
from ringwork.kernel.purpose import Grant, GrantRefused, Tier

Wall = Literal["capability", "credentials"]


class Attempt(Struct, frozen=True):
    """A grant that must not open anything."""

    name: str
    wall: Wall
    expected: str
    """The reason that it is refused for."""
    came: str
    """The reason that came; empty where rows were read."""

    @property
    def caught(self) -> bool:
        """Whether it was refused, for the right reason."""
        return self.came == self.expected


class _Held(Struct, frozen=True):
    """A grant that holds, and what else an attempt is made with."""

    world: World
    town: Town
    grant: Grant
    request_id: bytes


Change = Callable[[_Held], Grant]


def _other_person(held: _Held) -> Grant:
    other = held.town.of("consented")[2]
    return replace(held.grant, subject=_subject(held.world, other))


FORGED: Final[tuple[tuple[str, Change], ...]] = (
    ("a grant built by hand", lambda held: replace(held.grant, tag=b"")),
    ("a grant with a guessed tag", lambda held: replace(held.grant, tag=bytes(32))),
    ("a grant with half of its tag", lambda held: replace(held.grant, tag=held.grant.tag[:16])),
    ("a grant made out to somebody else", _other_person),
    ("a grant with a service more", lambda held: replace(held.grant, services=("main", "market"))),
    (
        "a grant with a purpose more",
        lambda held: replace(held.grant, purposes=("advertise", "measure")),
    ),
    (
        "a grant with a second more",
        lambda held: replace(held.grant, expires_us=held.grant.expires_us + 1_000_000),
    ),
    ("a grant of another epoch", lambda held: replace(held.grant, epoch=held.grant.epoch + 1)),
    ("a grant for another request", lambda held: replace(held.grant, request_id=bytes(16))),
)


async def attempts(world: World, town: Town) -> list[Attempt]:
    """All of them. Raises ProofFailed where even the grant that holds opens nothing."""
    person = next(one for one in town.of("consented") if one.number % 2 == 0)
    held = _held(world, town, person)
    with working_for("consented"):
        if not world.platform.history.read(
            held.grant, purpose="advertise", request_id=held.request_id
        ).events:
            raise ProofFailed(
                "a grant that holds opens no history: the attempts would show nothing"
            )
    found = [
        Attempt(name, "capability", "forged", _try(held, change(held))) for name, change in FORGED
    ]
    found += _misused(held)
    found += _of_other_tiers(held)
    found += await _ended(world, town, person)
    return found


def _misused(held: _Held) -> list[Attempt]:
    """Genuine grants where they do not hold."""
    grant, world = held.grant, held.world
    measure = _held(world, held.town, held.town.of("consented")[0], purposes=("measure",))
    other = _try(held, grant, request_id=world.platform.ids.new())
    purpose = _try(measure, measure.grant)
    found = [
        Attempt("a grant used for another request", "capability", "other-request", other),
        Attempt("a grant used for another purpose", "capability", "other-purpose", purpose),
        Attempt("a grant used for another service", "capability", "other-service", _service(held)),
    ]
    world.clock.advance_us(2_000_001)
    found.append(Attempt("a grant after two seconds", "capability", "expired", _try(held, grant)))
    now_us = world.clock.wall_us()
    world.clock.set_wall_us(now_us - 3_600_000_000)
    late = _try(held, grant)
    world.clock.set_wall_us(now_us)
    found.append(Attempt("the same, the clock set back", "capability", "expired", late))
    return found


def _of_other_tiers(held: _Held) -> list[Attempt]:
    held = _held(held.world, held.town, held.town.of("consented")[0])
    tiers: tuple[Tier | None, ...] = ("less-personalised", "general", "subscriber", None)
    return [
        Attempt(
            f"a genuine grant, the request {tier or 'of nobody'}",
            "credentials",
            "tier",
            _try(held, held.grant, tier=tier),
        )
        for tier in tiers
    ]


async def _ended(world: World, town: Town, person: Person) -> list[Attempt]:
    """Grants that were given before the person changed their mind: last, as that stays."""
    found = []
    for name, path, body in (
        ("a grant from before a withdrawal", "/v1/consent",
         {"person": person.id, "action": "withdraw", "purposes": ["advertise"],
          "notice": "0" * 64}),
        ("a grant from before an erasure", "/v1/erasures",
         {"subject": f"person/{town.people[person.twin].id}"}),
    ):  # fmt: skip
        one = person if path == "/v1/consent" else town.people[person.twin]
        held = _held(world, town, one)
        await world.tell("POST", path, body)
        found.append(Attempt(name, "capability", "ended", _try(held, held.grant)))
    return found


def _try(
    held: _Held,
    grant: Grant,
    *,
    request_id: bytes = b"",
    tier: Tier | None = "consented",
) -> str:
    """Read by a grant; why it was refused, which must have been noted; empty if it worked."""
    platform = held.world.platform
    noted = platform.denied.total
    with nullcontext() if tier is None else working_for(tier):
        try:
            platform.history.read(
                grant, purpose="advertise", request_id=request_id or held.request_id
            )
        except GrantRefused as refused:
            return refused.reason if platform.denied.total == noted + 1 else "not noted"
    return ""


def _service(held: _Held) -> str:
    try:
        held.world.platform.consent.grants.verify(
            held.grant, purpose="advertise", service="market", request_id=held.request_id
        )
    except GrantRefused as refused:
        return refused.reason
    return ""


def _held(
    world: World,
    town: Town,
    person: Person,
    purposes: tuple[Literal["advertise", "measure"], ...] = ("advertise",),
) -> _Held:
    platform, subject = world.platform, _subject(world, person)
    request_id = platform.ids.new()
    grant = platform.consent.grants.grant(
        subject=subject,
        purposes=purposes,
        services=("main",),
        epoch=platform.consent.epochs.current(subject),
        request_id=request_id,
    )
    return _Held(world, town, grant, request_id)


def _subject(world: World, person: Person) -> bytes:
    return world.platform.consent.consents.subject_of(person.id)
