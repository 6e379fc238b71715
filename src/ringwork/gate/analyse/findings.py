"""What a scan says: the shape of ``ringwork gate scan --json`` (gate specification 7.2)."""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from msgspec import Struct

from ringwork.gate.analyse.verdicts import CHALLENGE, VERDICTS

_EPOCH: Final = date(1970, 1, 1)


class Span(Struct, frozen=True):
    """The first and last time in a log (ISO 8601, UTC); null where no line parsed."""

    first: str | None
    last: str | None


class Reason(Struct, frozen=True):
    """A detector that overflowed: the events that did it, and one request or agent to look at."""

    rule: str
    count: int
    example: str


class Identity(Struct, frozen=True):
    """What an actor says it is. ``status`` stays unverified: a log proves nothing about it.

    ``agent`` is the first one seen, ``agents`` how many there were (17 means more than 16).
    """

    agent: str
    agents: int
    declared: str | None
    status: str = "unverified"


class Actor(Struct, frozen=True):
    """One actor, its score and what the score comes from."""

    actor: str
    score: float
    verdict: str
    requests: int
    first: str
    last: str
    reasons: tuple[Reason, ...]
    identity: Identity

    @property
    def stands_out(self) -> bool:
        """Whether the verdict is ``challenge`` or above."""
        return VERDICTS.index(self.verdict) >= CHALLENGE


class Cluster(Struct, frozen=True):
    """Actors that act as one."""

    id: str
    members: tuple[str, ...]
    evidence: tuple[str, ...]


class DeclaredBot(Struct, frozen=True):
    """A machine that says so: its requests, and the actors that first came under this name."""

    name: str
    actors: int
    requests: int
    status: str = "unverified"


class Scanned(Struct, frozen=True):
    """A log's actors, whoever stands out first."""

    lines: int
    parsed: int
    skipped: int
    span: Span
    actors: tuple[Actor, ...]
    clusters: tuple[Cluster, ...]
    declared_bots: tuple[DeclaredBot, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nobody reaches ``challenge``."""
        return not any(one.stands_out for one in self.actors)


@dataclass(slots=True)
class Totals:
    """What a report draws, beside the actors."""

    statuses: Counter[int] = field(default_factory=Counter)
    hours: dict[int, Counter[int]] = field(default_factory=dict)
    """Requests by hour since 1970 and class of status (2 for 200 to 299)."""
    overflows: Counter[int] = field(default_factory=Counter)
    """Overflows by hour."""
    rules: Counter[str] = field(default_factory=Counter)
    """Overflows by detector."""
    size: int = 0
    """Bytes of all answers."""
    samples: list[str] = field(default_factory=list)
    """Lines that did not parse, made printable."""
    shape: str = "auto"
    """The format that most lines are in."""


def moment(ts_us: int) -> str:
    """A time as text, to the millisecond where it has any."""
    seconds, rest_us = divmod(ts_us, 1_000_000)
    days, second = divmod(seconds, 86_400)
    minutes, second = divmod(second, 60)
    fraction = f".{rest_us // 1000:03}" if rest_us else ""
    return f"{_day(days)}T{minutes // 60:02}:{minutes % 60:02}:{second:02}{fraction}Z"


@functools.lru_cache(maxsize=4096)
def _day(days: int) -> str:
    return (_EPOCH + timedelta(days=days)).isoformat()
