"""The problems that the gate answers with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SLUGS: Final[Mapping[str, tuple[int, str]]] = {
    "openapi-invalid": (422, "What should be audited is no OpenAPI description of version 3."),
    "policy-invalid": (422, "The gate's policy is not valid; `errors` points at every fault."),
}
