"""The problems that the gate answers with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SLUGS: Final[Mapping[str, tuple[int, str]]] = {
    "actions-invalid": (422, "Actions to look for clusters in are not columns of whole numbers."),
    "agent-card-invalid": (422, "A signature agent card or registry is not valid."),
    "agent-keys-invalid": (422, "Keys of an agent are not valid; the detail names the key."),
    "challenge-failed": (403, "The solution of a challenge was not taken; the detail says why."),
    "challenge-required": (403, "Proof of work is asked for: solve `challenge`, then ask again."),
    "calibration-too-small": (422, "Too few people to prove a false-positive rate so small with."),
    "labels-invalid": (422, "Labels to train with are not valid; the detail names the line."),
    "model-invalid": (422, "A behaviour model is not valid; the detail names the place."),
    "openapi-invalid": (422, "What should be audited is no OpenAPI description of version 3."),
    "policy-invalid": (422, "The gate's policy is not valid; `errors` points at every fault."),
    "ranges-invalid": (422, "A list of address ranges is not valid; the detail names the prefix."),
    "secret-invalid": (422, "A secret of the gate is too short; the detail names its file."),
    "simulation-invalid": (422, "A simulation of that size, rules or attack cannot be run."),
    "contact-policy-invalid": (
        422,
        "The contact importer's policy is not valid; `errors` points at every fault.",
    ),
    "contact-state-unusable": (
        503,
        "The contact guard's saved state is of another key or version, or damaged.",
    ),
    "too-many-numbers": (413, "An address book has more numbers than one request may hold."),
    "training-unavailable": (501, "Training needs LightGBM, which is not installed."),
}
