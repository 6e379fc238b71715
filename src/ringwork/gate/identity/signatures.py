"""The fields ``Signature-Input`` and ``Signature`` (RFC 9421, section 4), read.

Structured fields are parsed by ``http-sf``. What nearly every agent sends, one signature in the
one spelling that serialising gives, is recognised by two expressions first: the parser would cost a
quarter of what checking the signature does. Both ways agree (a test holds it).
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from msgspec import Struct

from ringwork.gate.identity.fields import Member, dictionary_of, text_of_member
from ringwork.gate.identity.messages import Component

TAG: Final = "web-bot-auth"
FIELDS_MAX_BYTES: Final = 16 * 1024
"""Of the three fields together."""
EXAMINED_MAX: Final = 8
"""Signatures of one request that are looked at."""

_KEY: Final = r"[a-z*][a-z0-9_\-.*]*"
_STRING: Final = r'"([ !#-\[\]-~]*)"'
"""Without escapes: no agent has needed one."""
_INTEGER: Final = r"(?:0|-?[1-9][0-9]{0,14})"
_COMPONENT: Final = r'"[ !#-\[\]-~]*"(?:;key="[ !#-\[\]-~]*")?'
_INPUT: Final = re.compile(
    rf"({_KEY})=(\({_COMPONENT}(?: {_COMPONENT})*\))"
    rf"((?:;created=({_INTEGER})|;expires=({_INTEGER})|;keyid={_STRING}|;nonce={_STRING}"
    rf"|;alg={_STRING}|;tag={_STRING})+)"
)
"""A parameter that comes twice leaves its last value, which the length of them all gives away."""
_ITEM: Final = re.compile(r'("([^"]*)")(?:;key="([^"]*)")?')

ORDER: Final = ("created", "expires", "keyid", "nonce", "alg", "tag")
KNOWN: Final = frozenset(ORDER)
"""Parameters of RFC 9421, 2.3."""

Covered = tuple[Component, ...]


class Signature(Struct, frozen=True, gc=False):
    """One signature: what it covers, what it says about itself, its octets.

    ``items`` is the list of what is covered, ``line`` the whole value of ``@signature-params``.
    ``covered`` is None for one whose form is broken, which does not touch the others; so is a
    signature with parameters beside those of RFC 9421, as to the library. Parameters are as they
    came, None where they did not.
    """

    label: str
    covered: Covered | None
    items: str
    line: str
    octets: bytes
    created: object = None
    expires: object = None
    keyid: object = None
    nonce: object = None
    algorithm: object = None
    tag: object = None


def read_signatures(inputs: bytes, signatures: bytes) -> list[Signature]:
    """The signatures of a request, in order. ValueError for a field that does not parse."""
    plain = read_plain(inputs, signatures)
    return [plain] if plain is not None else read_any(inputs, signatures)


def read_plain(inputs: bytes, signatures: bytes) -> Signature | None:
    """The one signature of the plain form, or None for any other form."""
    found = _INPUT.fullmatch(inputs.decode("latin-1"))
    if found is None:
        return None
    label, items, told, created, expires, keyid, nonce, algorithm, tag = found.groups()
    if created is None or expires is None or keyid is None or tag is None:
        return None
    length = len(created) + len(expires) + len(keyid) + len(tag) + 34  # ;created= … ;tag=""
    if nonce is not None:
        length += len(nonce) + 9
    if algorithm is not None:
        length += len(algorithm) + 7
    start = f"{label}=:".encode("ascii")
    if length != len(told) or not (signatures.startswith(start) and signatures.endswith(b":")):
        return None
    try:
        octets = a2b_base64(signatures[len(start) : -1], strict_mode=True)
    except ValueError:
        return None
    return Signature(
        label, _plain_components(items), items, items + told, octets,
        int(created), int(expires), keyid, nonce, algorithm, tag,
    )  # fmt: skip


@lru_cache(maxsize=1024)  # what an agent covers is the same from request to request
def _plain_components(text: str) -> Covered | None:
    return _distinct(
        [
            Component(one[0], one[2], {} if one[3] is None else {"key": one[3]})
            for one in _ITEM.finditer(text)
        ]
    )


def read_any(inputs: bytes, signatures: bytes) -> list[Signature]:
    """Any form, by the parser of structured fields."""
    told, made = dictionary_of(inputs), dictionary_of(signatures)
    found = []
    for label, (items, parameters) in told.items():
        octets = made[label][0] if label in made else None
        covered, listed, line = None, "", ""
        if isinstance(items, list) and isinstance(octets, bytes):
            covered = _components(items) if parameters.keys() <= KNOWN else None
            listed, line = text_of_member((items, {})), text_of_member((items, parameters))
        known = [parameters.get(name) for name in ORDER]
        made_octets = octets if isinstance(octets, bytes) else b""
        found.append(Signature(label, covered, listed, line, made_octets, *known))
    return found


def _components(items: Sequence[Member]) -> Covered | None:
    if not all(isinstance(name, str) for name, _ in items):
        return None
    return _distinct([Component(text_of_member(one), str(one[0]), one[1]) for one in items])


def _distinct(components: Sequence[Component]) -> Covered | None:
    """The components; None for names that are no names, or named twice."""
    seen = set()
    for one in components:
        if not one.name or one.name != one.name.lower() or one.name == "@signature-params":
            return None
        seen.add((one.name, frozenset(one.parameters.items())))
    if len(seen) != len(components):
        return None
    return tuple(components)
