"""The problems that the gate answers with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SLUGS: Final[Mapping[str, tuple[int, str]]] = {
    "agent-card-invalid": (422, "A signature agent card or registry is not valid."),
    "agent-keys-invalid": (422, "Keys of an agent are not valid; the detail names the key."),
    "ranges-invalid": (422, "A list of address ranges is not valid; the detail names the prefix."),
    "policy-invalid": (422, "The gate's policy is not valid; `errors` points at every fault."),
}
