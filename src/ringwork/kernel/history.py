"""What people did, as parts may read it: by a grant, and in no other way.

``HistoryReader`` takes no subject: what is read is what the grant names. Besides the grant, the
request at work must be of the tier ``consented``: who begins one says so with ``working_for``, and
an adapter denies its tables to every other (ads specification, walls 2 and 3).
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Annotated, Final, Literal, Protocol, get_args

from msgspec import Meta, Struct

from ringwork.kernel.purpose import Grant, Purpose, Tier

Deed = Literal["view", "search", "click", "save", "cart", "purchase"]
"""What a person did with a topic."""
DEEDS: Final[tuple[Deed, ...]] = get_args(Deed)

Service = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-z0-9-]{0,31}$",
        description="a core service of the platform, as the setting `services` names it",
        examples=["main"],
    ),
]


class HistoryEvent(Struct, frozen=True, gc=False):
    """One thing that a person did."""

    at_s: int
    service: str
    kind: str
    """A ``Deed``, or one that a newer version knows."""
    topic: str
    """Of the content or product taxonomy."""


class HistoryImpression(Struct, frozen=True, gc=False):
    """One ad that a person was shown."""

    at_s: int
    service: str
    campaign_id: str
    advertiser_id: str
    event_id: bytes
    """The event that says so; several ads of one page share it."""


class History(Struct, frozen=True, gc=False):
    """What a grant opens, the newest first."""

    events: tuple[HistoryEvent, ...] = ()
    impressions: tuple[HistoryImpression, ...] = ()


class HistoryReader(Protocol):
    """Reads what a grant names."""

    def read(self, grant: Grant, *, purpose: Purpose, request_id: bytes) -> History:
        """The history of the grant's services. Raises GrantRefused, and says so to the platform."""
        ...


_tier: Final[ContextVar[Tier | None]] = ContextVar("tier of the request at work", default=None)


def may_read_history() -> bool:
    """Whether the request at work is of a person who consented; nobody's request may not."""
    return _tier.get() == "consented"


class working_for:  # noqa: N801  # a context manager, named for how it reads
    """What runs inside belongs to a request of this tier.

    A class and no generator: every ad request enters one.
    """

    __slots__ = ("_tier", "_token")

    def __init__(self, tier: Tier) -> None:
        self._tier = tier

    def __enter__(self) -> None:
        self._token = _tier.set(self._tier)

    def __exit__(self, *error: object) -> None:
        _tier.reset(self._token)
