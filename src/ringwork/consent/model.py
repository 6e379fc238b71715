"""What a person decided, and what follows from it: plain values and pure rules.

A decision is about a *purpose* inside the service where the data arose, or about a *join*: the use
of one service's data at another, for a purpose (DMA 5(2) asks for each its own choice). Joins
belong to their purpose: who ends the purpose ends its joins, and a new consent does not bring them
back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Final, Literal, get_args

from msgspec import Meta, Struct

from ringwork.kernel.purpose import PURPOSES, Purpose

Action = Literal["grant", "refuse", "withdraw", "object", "erase", "declare"]
"""``declare`` decides nothing: it records whether the person is a minor."""
Basis = Literal["consent", "legitimate-interest"]
Status = Literal["granted", "refused", "withdrawn", "objected"]

STATUS_AFTER: Final[dict[str, Status]] = {
    "grant": "granted",
    "refuse": "refused",
    "withdraw": "withdrawn",
    "object": "objected",
}
ENDINGS: Final = frozenset({"refuse", "withdraw", "object"})
"""Actions that end what was granted."""
NEVER_US: Final = 2**63 - 1

ServiceName = Annotated[
    str,
    Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$", description="a core service", examples=["main"]),
]

ANSWERS: Final[tuple[Status, ...]] = get_args(Status)


class Join(Struct, frozen=True, order=True, rename={"source": "from", "target": "to"}):
    """The use of one service's data at another."""

    source: ServiceName
    target: ServiceName


class Decision(Struct, frozen=True, array_like=True, gc=False):
    """The last word on one purpose or join."""

    status: Status
    since_us: int
    seq: int
    """The event that says so."""


class Standing(Struct, array_like=True):
    """All that the ledger keeps of one person in memory."""

    records: int = 0
    head: bytes = b""
    """Hash of the last record, the end of the person's chain."""
    minor: bool | None = None
    decisions: dict[str, Decision] = {}
    """By ``item``, in the order in which each was first decided."""


class State(Struct, frozen=True, gc=False):
    """What holds for one person now; a purpose in no set is undecided.

    ``epoch`` is how many records the ledger has folded for the person's place in the table of
    epochs: a grant that is made with it holds only while the table says the same.
    """

    granted: frozenset[Purpose] = frozenset()
    refused: frozenset[Purpose] = frozenset()
    withdrawn: frozenset[Purpose] = frozenset()
    objected: frozenset[Purpose] = frozenset()
    joins: frozenset[tuple[Purpose, str, str]] = frozenset()
    """(purpose, from, to) that are granted and whose purpose is granted too."""
    minor: bool = False
    adult: bool = False
    """Declared to be one; who declared nothing is neither."""
    epoch: int = 0
    expires_us: int = NEVER_US
    """When the first of the consents ends by age; the ledger gives another state from then on."""

    @property
    def undecided(self) -> frozenset[Purpose]:
        """Purposes without a decision that holds."""
        return frozenset(PURPOSES) - self.granted - self.refused - self.withdrawn - self.objected

    def sources(self, purpose: Purpose, service: str) -> tuple[str, ...]:
        """The services whose data may be read at ``service``: itself first; none if not granted."""
        if purpose not in self.granted:
            return ()
        joined = (source for of, source, to in self.joins if of == purpose and to == service)
        return (service, *sorted(joined))


def item(purpose: str, join: Join | tuple[str, str] | None = None) -> str:
    """The key of a decision: ``purpose``, or ``purpose from to``."""
    if join is None:
        return purpose
    source, target = (join.source, join.target) if isinstance(join, Join) else join
    return f"{purpose} {source} {target}"


def items(purposes: Iterable[str], services: Iterable[tuple[str, str]]) -> Iterator[str]:
    """What a record names: each purpose, and each join for each purpose.

    Without a purpose the joins are meant for every purpose.
    """
    named = tuple(purposes)
    yield from named
    for pair in services:
        for purpose in named or PURPOSES:
            yield item(purpose, pair)


def decide(standing: Standing, *, action: str, named: Iterable[str], ts_us: int, seq: int) -> None:
    """Fold one record's decision into a standing.

    An objection is only lifted by a grant; ends of a purpose end its joins; an erasure ends what
    was granted and leaves every "no" in place.
    """
    decisions = standing.decisions
    if action == "erase":
        for key, old in decisions.items():
            if old.status == "granted":
                decisions[key] = Decision("withdrawn", ts_us, seq)
        return
    status = STATUS_AFTER.get(action)
    if status is None:
        return
    for key in named:
        _set(decisions, key, Decision(status, ts_us, seq))
        if action in ENDINGS and " " not in key:
            for other, old in decisions.items():
                if old.status == "granted" and other.startswith(f"{key} "):
                    decisions[other] = Decision(status, ts_us, seq)


def _set(decisions: dict[str, Decision], key: str, new: Decision) -> None:
    old = decisions.get(key)
    if old is not None and old.status == "objected" and new.status in ("refused", "withdrawn"):
        return
    decisions[key] = new


def declare(standing: Standing, minor: bool) -> None:
    """Fold whether the person is a minor; whose consents to personalised ads are void then."""
    standing.minor = minor
    if minor:
        for key in [key for key, one in standing.decisions.items() if one.status == "granted"]:
            if key.partition(" ")[0] == "advertise":
                del standing.decisions[key]


def state_of(standing: Standing, *, now_us: int, lasts_us: int, epoch: int) -> State:
    """What holds at ``now_us`` where a consent lasts ``lasts_us``."""
    sets: dict[Status, set[str]] = {status: set() for status in ANSWERS}
    expires_us = NEVER_US
    for key, one in standing.decisions.items():
        if one.status == "granted":
            ends_us = one.since_us + lasts_us
            if now_us >= ends_us:
                continue
            expires_us = min(expires_us, ends_us)
        sets[one.status].add(key)
    granted = _purposes(sets["granted"])
    triples = (key.split(" ") for key in sets["granted"] if " " in key)
    return State(
        granted=granted,
        refused=_purposes(sets["refused"]),
        withdrawn=_purposes(sets["withdrawn"]),
        objected=_purposes(sets["objected"]),
        joins=frozenset((of, source, to) for of, source, to in triples if of in granted),
        minor=standing.minor is True,
        adult=standing.minor is False,
        epoch=epoch,
        expires_us=expires_us,
    )


def _purposes(keys: set[str]) -> frozenset[Purpose]:
    return frozenset(one for one in PURPOSES if one in keys)


def locked_until_us(standing: Standing, named: Iterable[str], *, lock_us: int) -> int:
    """Until when the person may not be asked again about any of these; 0 where they may.

    A refusal or withdrawal locks for ``lock_us`` (DMA 5(2): a year), an objection for ever.
    """
    until = 0
    for key in named:
        one = standing.decisions.get(key)
        if one is None or one.status == "granted":
            continue
        until = max(until, NEVER_US if one.status == "objected" else one.since_us + lock_us)
    return until
