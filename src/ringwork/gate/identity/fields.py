"""Structured fields (RFC 9651) by ``http-sf``, with the types that this package needs of them.

``http-sf`` is of the extra ``gate``: it is imported where a signature is read, not before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

Parameters = Mapping[str, object]
Member = tuple[object, Parameters]
"""A value, or a list of members, and its parameters."""


def dictionary_of(raw: bytes) -> dict[str, Member]:
    """The members of a Dictionary. ValueError for another form, and for a name that comes twice.

    Which of the two is meant is read differently from one implementation to the next.
    """
    import http_sf  # noqa: PLC0415

    parsed = http_sf.parse(raw, tltype="dictionary", on_duplicate_key=_once)
    return cast("dict[str, Member]", parsed)


def item_of(raw: bytes) -> Member:
    """An Item. ValueError for another form."""
    import http_sf  # noqa: PLC0415

    return cast("Member", http_sf.parse(raw, tltype="item"))


def token_of(value: object) -> str | None:
    """The text of a Token, None for another type."""
    import http_sf  # noqa: PLC0415

    return str(value) if isinstance(value, http_sf.Token) else None


def text_of_member(member: Member) -> str:
    """A member in the one spelling that serialising gives."""
    import http_sf  # noqa: PLC0415

    value = [member] if isinstance(member[0], list) else member
    return http_sf.ser(cast("http_sf.types.StructuredType", value))


def text_of_dictionary(members: Mapping[str, Member]) -> str:
    """A Dictionary in the one spelling that serialising gives."""
    import http_sf  # noqa: PLC0415

    return http_sf.ser(cast("http_sf.types.StructuredType", dict(members)))


def _once(key: str, context: str) -> None:
    if context == "dictionary":
        raise ValueError(f"{key}: named twice")
