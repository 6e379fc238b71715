"""Who comes to the choice page, from where, and what proves it.

A person is named in one of two ways, neither of which needs a cookie:

- by a random id that the publisher's page made (``r.`` and 128 bits or more): whoever knows it may
  decide for it, as with any bearer's key, so nothing that could be guessed is taken;
- by a link that the publisher's server had made with its API key: then by any id of its own.

What a form sends back is sealed (HMAC-SHA-256): nobody makes up the text, the order or the number
of steps that a consent refers to, and a form from elsewhere, or of another day, decides nothing.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Annotated, Final, Literal, TypeVar
from urllib.parse import parse_qsl, urlsplit

import msgspec
from msgspec import Meta, Struct

from ringwork.kernel.errors import Fault, Invalid, NotFound
from ringwork.kernel.viewer import SECRET_PERSON, PersonId
from ringwork.web.problems import Forbidden
from ringwork.web.strict import invalid

QUERY_MAX_BYTES: Final = 8_192
FORM_MAX_BYTES: Final = 16_384
FIELDS_MAX: Final = 30
TICKET_VALID_S: Final = 3_600
"""A page that stands open for longer is asked for again."""
LINK_VALID_S: Final = 86_400
CONTRAST_MIN: Final = 4.5
"""WCAG 2.2, 1.4.3: a publisher's colours must not make an option hard to read."""

Surface = Literal["choice-page", "choice-embed", "choice-mine", "choice-mine-embed"]
STEPS: Final[dict[Surface, int]] = {
    "choice-page": 1,
    "choice-embed": 1,
    "choice-mine": 2,
    "choice-mine-embed": 1,
}
"""Clicks from the publisher's page to the decision: the page of one's choice is behind a link, its
embedded form, which a publisher's page always shows, is not."""
Channel = Literal["web", "ios", "android"]
Url = Annotated[str, Meta(max_length=2_048)]
Colour = Annotated[str, Meta(pattern="^([0-9a-fA-F]{6})?$")]
"""Six hexadecimal digits; empty: the page's own."""


class Property(Struct, frozen=True):
    """A publisher as the choice page knows it."""

    id: str
    name: str
    origins: Sequence[str]


class Visit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Who decides about ads at which publisher, and where they go next."""

    publisher: Annotated[str, Meta(min_length=1, max_length=64)]
    person: PersonId
    site: Annotated[str, Meta(max_length=64)] = ""
    """Of the publisher's, where a subscription covers some of them only."""
    locale: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{0,35}$")] = ""
    region: Annotated[str, Meta(pattern="^([A-Z]{2})?$")] = ""
    """ISO 3166-1, for the price."""
    channel: Channel = "web"
    return_to: Url = ""
    subscribe_to: Url = ""
    """The publisher's own page where a subscription is paid; without it none is offered."""
    origin: Annotated[str, Meta(max_length=300)] = ""
    """Of the page around an embedded form."""
    kept: Literal["", "less"] = ""
    """What the device alone remembers, of a person who refused and whom nothing names."""
    ink: Colour = ""
    paper: Colour = ""


class Link(Struct, frozen=True, array_like=True):
    """A visit that a publisher's server, or this one, vouches for."""

    visit: Visit
    until_s: int


class Ticket(Struct, frozen=True, array_like=True, kw_only=True):
    """What a form was shown with."""

    visit: Visit
    surface: Surface
    asked: bool
    offered: tuple[str, ...]
    order: tuple[str, ...]
    notice: str
    version: str
    locale: str
    issued_us: int


_T = TypeVar("_T")


class Seals:
    """Makes and opens sealed values; one kind is never taken for another."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def seal(self, value: Link | Ticket) -> str:
        """The value as text for a form or an address."""
        claim = msgspec.msgpack.encode(value)
        tag = self._tag(type(value).__name__, claim)
        return base64.urlsafe_b64encode(tag + claim).decode().rstrip("=")

    def open(self, text: str, kind: type[_T]) -> _T | None:
        """The value, or None where this server did not seal it."""
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except (binascii.Error, ValueError):
            return None
        tag, claim = raw[:32], raw[32:]
        if not hmac.compare_digest(tag, self._tag(kind.__name__, claim)):
            return None
        return msgspec.msgpack.decode(claim, type=kind)

    def _tag(self, kind: str, claim: bytes) -> bytes:
        return hmac.digest(self._secret, kind.encode() + b"|" + claim, sha256)


class Visits:
    """Reads visits from addresses, and makes links to them."""

    def __init__(self, seals: Seals, property_of: Callable[[str], Property | None]) -> None:
        self._seals = seals
        self._property_of = property_of

    def property_of(self, publisher: str) -> Property:
        """The publisher; NotFound."""
        found = self._property_of(publisher)
        if found is None:
            raise NotFound(f"no publisher {publisher[:64]!r}")
        return found

    def read(self, query: bytes, *, now_us: int) -> Visit:
        """The visit that an address names. Raises Invalid, Forbidden, NotFound."""
        given = fields(query, QUERY_MAX_BYTES, where="query")
        link = given.pop("link", "")
        if link:
            visit = self._of_link(link, now_us)
            changes = {
                key: given[key] for key in ("locale", "origin", "ink", "paper") if given.get(key)
            }
            return self.check(msgspec.structs.replace(visit, **changes))
        try:
            known = {key: given[key] for key in Visit.__struct_fields__ if key in given}
            visit = msgspec.convert(known, type=Visit)
        except msgspec.ValidationError as error:
            raise invalid(error) from None
        if not SECRET_PERSON.fullmatch(visit.person):
            detail = (
                "expected r. and at least 22 random characters of A-Z a-z 0-9 _ -; "
                "for an id of your own make a link: POST /v1/choice/links"
            )
            raise Invalid(f"query/person: {detail}", [Fault("query/person", detail)])
        return self.check(visit)

    def _of_link(self, text: str, now_us: int) -> Visit:
        link = self._seals.open(text, Link)
        if link is None:
            raise Forbidden("the link was not made here, or was cut off")
        if link.until_s * 1_000_000 <= now_us:
            raise Forbidden("the link is too old; go back and follow it again")
        return link.visit

    def person_of(self, text: str, publisher: str, *, now_us: int) -> str:
        """Whom a link names at a publisher's; empty where it was not made here or holds no more."""
        link = self._seals.open(text, Link)
        if link is None or link.visit.publisher != publisher or link.until_s * 10**6 <= now_us:
            return ""
        return link.visit.person

    def link(self, visit: Visit, *, now_us: int) -> str:
        """A sealed visit, for the query member ``link``."""
        return self._seals.seal(Link(visit, now_us // 1_000_000 + LINK_VALID_S))

    def check(self, visit: Visit) -> Visit:
        """The visit, where its addresses are the publisher's and its colours can be read."""
        origins = self.property_of(visit.publisher).origins
        faults = [
            Fault(f"query/{name}", "expected an address on an origin of the publisher")
            for name in ("return_to", "subscribe_to", "origin")
            if getattr(visit, name) and origin_of(getattr(visit, name)) not in origins
        ]
        if bool(visit.ink) != bool(visit.paper):
            faults.append(Fault("query/ink", "expected together with paper"))
        elif visit.ink and contrast(visit.ink, visit.paper) < CONTRAST_MIN:
            seen = f"{contrast(visit.ink, visit.paper):.2f}"
            faults.append(Fault("query/ink", f"expected a contrast of 4.5 to paper, it is {seen}"))
        if faults:
            raise Invalid("; ".join(f"{one.pointer}: {one.detail}" for one in faults), faults)
        return visit


def fields(text: bytes, at_most: int, *, where: str) -> dict[str, str]:
    """The members of a query or of a form, the last of each name; Invalid."""
    if len(text) > at_most:
        raise Invalid(f"{where}: at most {at_most} bytes, got {len(text)}")
    try:
        pairs = parse_qsl(
            text.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict"
        )
    except ValueError:
        raise Invalid(f"{where}: expected at most {FIELDS_MAX} members, URL-encoded") from None
    return dict(pairs)


def origin_of(address: str) -> str:
    """The origin of an http(s) address; empty where it has none, or hides where it leads."""
    if any(ord(one) <= 32 or one == "\\" for one in address):
        return ""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or "@" in parts.netloc:
        return ""
    return f"{parts.scheme}://{parts.netloc.lower()}"


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours (WCAG 2.2).

    >>> contrast("000000", "ffffff"), round(contrast("777777", "ffffff"), 2)
    (21.0, 4.48)
    """
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (byte / 255 for byte in bytes.fromhex(colour))
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def is_dark(paper: str) -> bool:
    """Whether white reads better on it than black."""
    return contrast(paper, "ffffff") > contrast(paper, "000000")
