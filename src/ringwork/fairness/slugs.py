"""The problems that the fairness part answers with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SLUGS: Final[Mapping[str, tuple[int, str]]] = {
    "individual-export-refused": (
        403,
        "Estimates of single people are given out under a policy with a lawful basis only.",
    ),
    "tables-damaged": (503, "Census tables on disk are not what was written; build them again."),
    "tables-missing": (503, "Census tables are not built; `detail` names the command."),
    "tables-source-invalid": (422, "A source of census tables is not what it should be."),
    "plan-invalid": (422, "The compliance plan is not valid; `errors` points at what."),
}
"""Slug: status, and when it is answered."""
