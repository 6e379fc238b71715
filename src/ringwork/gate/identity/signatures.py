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

KNOWN: Final = frozenset({"created", "expires", "nonce", "alg", "keyid", "tag"})
"""Parameters of RFC 9421, 2.3."""

Covered = tuple[Component, ...]


class Signature:
    """One signature: what it covers, what it says about itself, its octets.

    ``items`` is the list of what is covered, ``line`` the whole value of ``@signature-params``.
    ``covered`` is None for one whose form is broken, which does not touch the others; so is a
    signature with parameters beside those of RFC 9421, as to the library. Parameters are as they
    came, None where they did not.
    """

    __slots__ = (
        "algorithm", "covered", "created", "expires", "items", "keyid", "label", "line", "nonce",
        "octets", "tag",
    )  # fmt: skip

    def __init__(
        self, label: str, covered: Covered | None, items: str, line: str, octets: bytes
    ) -> None:
        self.label = label
        self.covered = covered
        self.items = items
        self.line = line
        self.octets = octets
        self.created: object = None
        self.expires: object = None
        self.keyid: object = None
        self.nonce: object = None
        self.algorithm: object = None
        self.tag: object = None


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
    length = 0
    for value, around in (
        (created, 9), (expires, 9), (keyid, 9), (nonce, 9), (algorithm, 7), (tag, 7)
    ):  # fmt: skip
        if value is not None:
            length += len(value) + around  # ;created=1  ;keyid=""  ;alg=""
    start = f"{label}=:".encode("ascii")
    if length != len(told) or not (signatures.startswith(start) and signatures.endswith(b":")):
        return None
    try:
        octets = a2b_base64(signatures[len(start) : -1], strict_mode=True)
    except ValueError:
        return None
    made = Signature(label, _plain_components(items), items, items + told, octets)
    made.created = None if created is None else int(created)
    made.expires = None if expires is None else int(expires)
    made.keyid, made.nonce, made.algorithm, made.tag = keyid, nonce, algorithm, tag
    return made


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
        if isinstance(items, list) and isinstance(octets, bytes):
            one = Signature(
                label,
                _components(items) if parameters.keys() <= KNOWN else None,
                text_of_member((items, {})),
                text_of_member((items, parameters)),
                octets,
            )
        else:
            one = Signature(label, None, "", "", b"")
        one.created, one.expires = parameters.get("created"), parameters.get("expires")
        one.keyid, one.nonce = parameters.get("keyid"), parameters.get("nonce")
        one.algorithm, one.tag = parameters.get("alg"), parameters.get("tag")
        found.append(one)
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
