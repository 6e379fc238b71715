"""Scraping vectors of an interface, read from its OpenAPI description (3.0 and 3.1).

What Meta calls static analysis for scraping vectors ("Scraping by the Numbers", 2021), for whoever
has a description and no analyser: each finding names the operation, why it is a vector, and a rule
that would bound it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, Literal

from msgspec import Struct

from ringwork.gate.audit.description import (
    PERSONAL,
    Operation,
    is_sequential,
    operations_of,
    read_document,
    refused,
    words_of,
)
from ringwork.gate.facts import Facts
from ringwork.gate.plan import Plan
from ringwork.gate.policy.model import DistinctLimit, Policy

Severity = Literal["high", "medium", "low"]
SEVERITIES: Final[Mapping[Severity, int]] = {"high": 2, "medium": 1, "low": 0}
OPERATIONS_MAX: Final = 5_000
PAGE_MAX: Final = 100
"""Entries of one answer that nobody objects to."""
LOOKUP: Final = re.compile(r"(^|_)(e?mail|phone|msisdn|mobile|contact|number)s?(_|$)")
BULK: Final = re.compile(r"(^|_)(ids|user_?ids|usernames|numbers|phones|emails|contacts)$")


class Finding(Struct, frozen=True, kw_only=True):
    """One vector."""

    rule: str
    severity: Severity
    operation: str
    """``GET /users/{id}``."""
    pointer: str
    """Where in the description (RFC 6901)."""
    detail: str
    proposal: str
    """A rule of a policy, in YAML, or what to change where no rule helps."""


def audit(description: bytes, *, where: str, policy: Policy | None = None) -> list[Finding]:
    """All findings, the severest first. ``policy``: what already bounds operations.

    Raises Refused (openapi-invalid) for what is no description.
    """
    document = read_document(description, where)
    plan = None if policy is None else Plan(policy)
    found: list[Finding] = []
    for count, operation in enumerate(operations_of(document)):
        if count >= OPERATIONS_MAX:
            raise refused(f"{where}: expected at most {OPERATIONS_MAX} operations")
        found += _found(operation, plan)
    return sorted(found, key=lambda one: (-SEVERITIES[one.severity], one.operation, one.rule))


def _found(operation: Operation, plan: Plan | None) -> Iterator[Finding]:
    for rule, severity, detail, proposal in _vectors(operation, plan):
        yield Finding(
            rule=rule,
            severity=severity,
            operation=operation.name,
            pointer=operation.pointer,
            detail=detail,
            proposal=proposal,
        )


_Vector = tuple[str, Severity, str, str]


def _vectors(one: Operation, plan: Plan | None) -> Iterator[_Vector]:
    people = one.is_about_people
    names = {words_of(str(parameter.get("name", ""))) for parameter in one.parameters}
    asked = names | {words_of(name) for name in one.body_names}
    if one.lists and one.page_max is None:
        yield (
            "page-unbounded",
            "high" if people else "medium",
            "an answer holds a list, and nothing says how long it may be",
            f"give its page size a `maximum` of {PAGE_MAX} or less",
        )
    elif one.lists and one.page_max is not None and one.page_max > PAGE_MAX:
        yield (
            "page-large",
            "medium" if people else "low",
            f"an answer may hold {one.page_max} entries",
            f"lower the `maximum` to {PAGE_MAX}, or charge by row:\n{_volume(one)}",
        )
    for parameter in one.parameters:
        if parameter.get("in") == "path" and is_sequential(parameter) and people:
            yield (
                "ids-sequential",
                "high",
                f"{parameter.get('name')!r} is a number: who counts up meets everybody",
                f"use ids that cannot be counted, and bound what is learned:\n{_distinct(one)}",
            )
    if looked := sorted(name for name in asked if LOOKUP.search(name)):
        yield (
            "lookup-by-contact",
            "high",
            f"people are found by {', '.join(looked)}, which can be enumerated",
            "answer through the contact guard (`ringwork gate serve --mode contacts`), mutual only",
        )
    if bulk := sorted(name for name in asked if BULK.search(name)):
        yield (
            "ids-in-bulk",
            "medium",
            f"{', '.join(bulk)}: many are asked for in one request",
            f"charge for each:\n{_each(one, bulk[0])}",
        )
    if one.method in ("get", "head") and "{" in one.path and {"403", "404"} <= one.statuses:
        yield (
            "existence-oracle",
            "medium" if people else "low",
            "404 and 403 tell what exists from what is hidden",
            "answer 404 for both",
        )
    if one.tells_personal and one.is_open:
        told = sorted(name for name in one.answer_names if PERSONAL.search(words_of(name)))
        yield (
            "personal-unauthenticated",
            "high",
            f"{', '.join(told[:5])}: told to whoever asks",
            "require `security`, or leave these members out where nobody has signed in",
        )
    if plan is not None:
        yield from _unbounded(one, plan, people=people)


def _unbounded(one: Operation, plan: Plan, *, people: bool) -> Iterator[_Vector]:
    """What the policy says nothing of."""
    path = re.sub(r"\{[^}]*\}", "x", one.path)
    rules = plan.rules_for(Facts.of(method=one.method.upper(), route=path))
    enforced = [rule.rule for rule in rules if not rule.rule.shadow]
    if not enforced:
        yield (
            "no-rule",
            "medium" if people else "low",
            "no rule of the policy is for it",
            f"bound it:\n{_cells(one)}",
        )
    if (
        people
        and one.answer_names
        and not any(isinstance(rule.limit, DistinctLimit) for rule in enforced)
    ):
        yield (
            "no-distinct-budget",
            "medium",
            "nothing bounds how many different people one account is shown",
            f"bound it:\n{_distinct(one)}",
        )


# ---- proposals -----------------------------------------------------------------------------------


def _rule(one: Operation, suffix: str, rest: str) -> str:
    method = one.method.upper()
    return (
        f"  - name: {one.slug[:50]}-{suffix}\n"
        f'    match: {{route: "{one.route}", method: [{method}]}}\n'
        f"    key: [account]\n{rest}"
    )


def _cells(one: Operation) -> str:
    return _rule(one, "calls", "    limit: {kind: gcra, limit: 300, period_s: 600}")


def _volume(one: Operation) -> str:
    rest = "    cost: {rows: 1}\n    limit: {kind: volume, limit: 10000, period_s: 86400}"
    return _rule(one, "rows", rest)


def _distinct(one: Operation) -> str:
    return _rule(one, "people", "    limit: {kind: distinct, limit: 200, window_s: 86400}")


def _each(one: Operation, field: str) -> str:
    rest = (
        f"    cost: {{read: 1, field: {field}, each: 1}}\n"
        "    limit: {kind: gcra, limit: 1000, period_s: 86400}"
    )
    return _rule(one, "ids", rest)
