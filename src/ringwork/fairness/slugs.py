"""The problems that the fairness part answers with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SLUGS: Final[Mapping[str, tuple[int, str]]] = {
    "forbidden-targeting": (
        409,
        "A housing, employment or credit ad must not be targeted so; `errors` lists every "
        "violation with its rule, what was found, what is allowed and what may replace it.",
    ),
    "targeting-invalid": (
        409,
        "What should be checked is no targeting; `errors` points at what, and says what it may be.",
    ),
    "table-invalid": (
        409,
        "Groups, counts, confusion or selections do not go together; `errors` points at them.",
    ),
    "rules-invalid": (422, "Rules of special ads are not valid; `detail` says where."),
    "plan-invalid": (422, "The compliance plan is not valid; `errors` points at what."),
}
"""Slug: status, and when it is answered."""
