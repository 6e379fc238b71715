"""What a check of a creative says: where, what was expected, what was found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct

from ringwork.kernel.errors import Fault

FOUND_MAX_CHARS: Final = 120


class Finding(Struct, frozen=True):
    """One thing about a creative that is wrong (``error``) or may not be meant (``warning``)."""

    pointer: str
    """The member, as a JSON pointer."""
    severity: Literal["error", "warning"]
    expected: str
    found: str


def error(pointer: str, expected: str, found: str) -> Finding:
    """Something that keeps the creative from being taken."""
    return Finding(pointer, "error", expected, _short(found))


def warning(pointer: str, expected: str, found: str) -> Finding:
    """Something to look at: the creative is taken as it is."""
    return Finding(pointer, "warning", expected, _short(found))


def faults_of(findings: Iterable[Finding]) -> list[Fault]:
    """The errors among the findings, as a refusal names them."""
    return [
        Fault(one.pointer, f"expected {one.expected}; found {one.found}")
        for one in findings
        if one.severity == "error"
    ]


def _short(found: str) -> str:
    text = " ".join(found.split())
    return text if len(text) <= FOUND_MAX_CHARS else f"{text[: FOUND_MAX_CHARS - 1]}…"
