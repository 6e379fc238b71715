"""The fields ``Signature-Input`` and ``Signature`` (RFC 9421, section 4), read.

Structured fields are parsed by ``http-sf``. What nearly every agent sends, one signature in the
one spelling that serialising gives, is recognised by two expressions first: the parser would cost a
quarter of what checking the signature does. Both ways agree (a test holds it).
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from ringwork.gate.identity.fields import dictionary_of, text_of_member
from ringwork.gate.identity.messages import Component

TAG: Final = "web-bot-auth"
FIELDS_MAX_BYTES: Final = 16 * 1024
"""Of the three fields together."""
EXAMINED_MAX: Final = 8
"""Signatures of one request that are looked at."""

_KEY: Final = r"[a-z*][a-z0-9_\-.*]*"
_STRING: Final = r'"[ !#-\[\]-~]*"'
"""Without escapes: no agent has needed one."""
_INTEGER: Final = r"(?:0|-?[1-9][0-9]{0,14})"
_COMPONENT: Final = rf'"[ !#-\[\]-~]*"(?:;key={_STRING})?'
_INPUT: Final = re.compile(
    rf"({_KEY})=(\({_COMPONENT}(?: {_COMPONENT})*\))((?:;{_KEY}=(?:{_STRING}|{_INTEGER}))+)"
)
_PARAMETER: Final = re.compile(rf";({_KEY})=(?:\"([^\"]*)\"|(-?[0-9]+))")
_ITEM: Final = re.compile(r'("([^"]*)")(?:;key="([^"]*)")?')

Covered = tuple[Component, ...]


class Signature:
    """One signature: what it covers, what it says about itself, its octets.

    ``items`` is the list of what is covered, ``line`` the whole value of ``@signature-params``.
    ``covered`` is None for one whose form is broken, which does not touch the others.
    """

    __slots__ = ("covered", "items", "label", "line", "octets", "parameters")

    def __init__(
        self,
        label: str,
        covered: Covered | None,
        parameters: Mapping[str, object],
        items: str,
        line: str,
        octets: bytes,
    ) -> None:
        self.label = label
        self.items = items
        self.covered = covered
        self.parameters = parameters
        self.line = line
        self.octets = octets


def read_signatures(inputs: bytes, signatures: bytes) -> list[Signature]:
    """The signatures of a request, in order. ValueError for a field that does not parse."""
    plain = read_plain(inputs, signatures)
    return [plain] if plain is not None else read_any(inputs, signatures)


def read_plain(inputs: bytes, signatures: bytes) -> Signature | None:
    """The one signature of the plain form, or None for any other form."""
    told = _INPUT.fullmatch(inputs.decode("latin-1"))
    if told is None:
        return None
    label, items, rest = told.groups()
    start = f"{label}=:".encode("ascii")
    if not (signatures.startswith(start) and signatures.endswith(b":")):
        return None
    given = _PARAMETER.findall(rest)
    parameters: dict[str, object] = {
        name: int(number) if number else text for name, text, number in given
    }
    if len(parameters) != len(given):
        return None  # the last one counts, and the line is another then
    try:
        octets = binascii.a2b_base64(signatures[len(start) : -1], strict_mode=True)
    except binascii.Error:
        return None
    return Signature(label, _plain_components(items), parameters, items, items + rest, octets)


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
        if not isinstance(items, list) or not isinstance(octets, bytes):
            found.append(Signature(label, None, parameters, "", "", b""))
            continue
        components = [
            Component(text_of_member((name, given)), name, given)
            for name, given in items
            if isinstance(name, str)
        ]
        covered = _distinct(components) if len(components) == len(items) else None
        listed, line = text_of_member((items, {})), text_of_member((items, parameters))
        found.append(Signature(label, covered, parameters, listed, line, octets))
    return found


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
