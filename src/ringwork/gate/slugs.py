"""The problems that the gate answers with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SLUGS: Final[Mapping[str, tuple[int, str]]] = {
    "actions-invalid": (422, "Actions to look for clusters in are not columns of whole numbers."),
    "agent-card-invalid": (422, "A signature agent card or registry is not valid."),
    "agent-keys-invalid": (422, "Keys of an agent are not valid; the detail names the key."),
    "calibration-too-small": (422, "Too few people to prove a false-positive rate so small with."),
    "labels-invalid": (422, "Labels to train with are not valid; the detail names the line."),
    "model-invalid": (422, "A behaviour model is not valid; the detail names the place."),
    "openapi-invalid": (422, "What should be audited is no OpenAPI description of version 3."),
    "policy-invalid": (422, "The gate's policy is not valid; `errors` points at every fault."),
    "ranges-invalid": (422, "A list of address ranges is not valid; the detail names the prefix."),
    "simulation-invalid": (422, "A simulation of that size, rules or attack cannot be run."),
    "training-unavailable": (501, "Training needs LightGBM, which is not installed."),
}
