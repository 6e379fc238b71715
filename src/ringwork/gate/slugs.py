"""The problems that the gate answers with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SLUGS: Final[Mapping[str, tuple[int, str]]] = {
    "policy-invalid": (422, "The gate's policy is not valid; `errors` points at every fault."),
    "simulation-invalid": (422, "A simulation of that size, rules or attack cannot be run."),
}
