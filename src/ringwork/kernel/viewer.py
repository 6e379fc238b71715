"""Who a request is for and what it says of them, as plain values that the parts hand each other.

``ads`` reads them off its protocols, ``consent`` decides on them, and no auction sees them.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from ringwork.kernel.history import Service

PERSON_PATTERN: Final = r"^[A-Za-z0-9._~:@+-]{1,128}$"
PersonId = Annotated[str, Meta(pattern=PERSON_PATTERN, description="your id of the person")]
PERSON_PREFIX: Final = "person/"
"""Before a person's id in the name of a subject, as in ``ringwork erase person/ID``."""
SECRET_PERSON: Final = re.compile(r"r\.[A-Za-z0-9_-]{22,64}")
"""An id of 128 random bits or more: whoever knows it may speak for its person, as with a key."""


class Signals(Struct, frozen=True, kw_only=True, gc=False):
    """The consent signals of a request as they came; empty or None: not given."""

    gdpr: int | None = None
    tc: str = ""
    """The TC string: a statement about purposes, not about who makes it."""
    gpp: str = ""
    gpp_sid: tuple[int, ...] = ()
    """Sections that apply; -1: none does, empty or 0: not known, so all that came."""
    us_privacy: str = ""
    gpc: bool = False
    """``Sec-GPC: 1``."""
    coppa: int | None = None
    lmt: int | None = None
    dnt: int | None = None
    country: str = ""
    """ISO 3166-1, two or three letters."""


class Property(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How people are asked at a publisher's, or at one of its sites."""

    service: Service = "main"
    """The core service that it belongs to: whose history its visits are."""
    source: Literal["ledger", "tcf"] = "ledger"
    """What says yes to personalised ads: our own ledger, or the page's TC string. The other can
    only narrow it."""
    child_directed: bool = False
    """It is for children: no ad there is personalised."""
    proof_of_age: bool = False
    """Its people prove their age: of whom none is known, no ad is personalised."""
    demographics: bool = False
    """The publisher has recorded its legal basis for age band and declared gender."""


PropertyOf = Annotated[
    Property,
    Meta(description="How people are asked here, and what follows for every request."),
]


class Viewer(Struct, frozen=True, kw_only=True, gc=False):
    """Whom a request is for."""

    person: str = ""
    """As the publisher names them; empty: nobody. Only what proved who it speaks for names one."""
    signals: Signals = Signals()
    where: Property = Property()
    site: str = ""
    """The site's id, of a publisher without sites its own: where a subscription may hold."""


NOBODY: Final = Viewer()
"""A request that says nothing of anybody."""
EXCHANGE: Final = Property(source="tcf")
"""Of a request that an outside exchange makes: without a TC string that permits it, nothing."""
