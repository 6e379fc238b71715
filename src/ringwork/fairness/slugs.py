"""The problems that the fairness part answers with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SLUGS: Final[Mapping[str, tuple[int, str]]] = {
    "audience-empty": (422, "Nobody of a known group is eligible for the ad."),
    "audience-small": (
        422,
        "An audience has so few people that the noise on its groups would say more than they do.",
    ),
    "audience-unsettled": (
        422,
        "People of an audience are still being described; it is measured once they are.",
    ),
    "blur-unusable": (
        422,
        "What the proxy says of people does not tell their groups apart, or the survey lacks some.",
    ),
    "individual-export-refused": (
        403,
        "Estimates of single people are given out under a policy with a lawful basis only.",
    ),
    "tables-damaged": (503, "Census tables on disk are not what was written; build them again."),
    "tables-missing": (503, "Census tables are not built; `detail` names the command."),
    "tables-source-invalid": (422, "A source of census tables is not what it should be."),
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
    "unknown-ad": (404, "No special ad of this id is measured."),
    "plan-invalid": (422, "The compliance plan is not valid; `errors` points at what."),
    "budget-exceeded": (
        409,
        "The declared releases of an ad would cost more than its plan allows.",
    ),
    "budget-spent": (409, "The privacy budget of the ad is spent; its last release stands."),
    "record-invalid": (422, "What was to be written to the audit log is no record of its version."),
    "log-broken": (
        409,
        "The audit log does not hold together; `ringwork fairness audit` says where.",
    ),
    "log-too-long": (
        422,
        "The audit log is too long to be audited in a server; `detail` names the command.",
    ),
    "log-key": (409, "The key is not the one that the audit log is signed with now."),
}
"""Slug: status, and when it is answered."""
