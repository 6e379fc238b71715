"""The problems that the gate answers with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SLUGS: Final[Mapping[str, tuple[int, str]]] = {
    "contact-policy-invalid": (
        422,
        "The contact importer's policy is not valid; `errors` points at every fault.",
    ),
    "contact-state-unusable": (
        503,
        "The contact guard's saved state is of another key or version, or damaged.",
    ),
    "policy-invalid": (422, "The gate's policy is not valid; `errors` points at every fault."),
    "too-many-numbers": (413, "An address book has more numbers than one request may hold."),
}
