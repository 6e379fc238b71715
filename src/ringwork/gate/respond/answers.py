"""The answer to a request that does not go on: status, fields and body."""

from __future__ import annotations

from typing import Final

import msgspec

from ringwork.gate.decision import Decision, Reason
from ringwork.gate.facts import Facts
from ringwork.gate.policy.model import Challenge, Over
from ringwork.gate.respond.challenge import Fields, page, problem, wants_page
from ringwork.gate.respond.meta import error_body, usage_headers

PROBLEM_TYPES: Final = "https://iana.org/assignments/http-problem-types"
"""Of draft-ietf-httpapi-ratelimit-headers-10, section 7.3 to 7.5."""

Answer = tuple[int, tuple[tuple[str, str], ...], bytes]


def fields_of(decision: Decision, facts: Facts) -> tuple[tuple[str, str], ...]:
    """What every answer carries of the limits, refused or not."""
    meta = usage_headers(decision.limits, object_id=facts.ad_account, tier=facts.tier)
    return meta + decision.headers if meta else decision.headers


def refusal(
    decision: Decision, facts: Facts, *, accept: str = "", asked: Challenge | None = None
) -> Answer:
    """Status, header fields and body for a request that is blocked or challenged.

    ``accept``: what the client likes to be answered in; ``asked``: the policy's ``challenge``.
    """
    over = decision.over or Over()
    fields = fields_of(decision, facts)
    if decision.action == "challenge":
        found = challenged(
            decision.challenge,
            asked or Challenge(),
            facts,
            accept=accept,
            trace_id=decision.trace_id,
        )
        return decision.status, (*fields, *found[0]), found[1]
    if over.profile == "meta" and over.meta is not None:
        body = error_body(
            over.meta, trace_id=decision.trace_id, retry_after_s=decision.retry_after_s
        )
        return decision.status, (*fields, ("content-type", "application/json")), body
    body = msgspec.json.encode(_problem(decision))
    return decision.status, (*fields, ("content-type", "application/problem+json")), body


def challenged(
    challenge: str, asked: Challenge, facts: Facts, *, accept: str, trace_id: str
) -> tuple[Fields, bytes]:
    """Fields and body of a challenge, as the client likes it."""
    if wants_page(accept):
        return page(challenge, asked, method=facts.method, trace_id=trace_id)
    return problem(challenge, asked, trace_id=trace_id)


def _blocks(reason: Reason) -> bool:
    """Whether it was the ladder that blocked, and not a limit beside a lower rung of it."""
    return reason.rule == "ladder" and not reason.is_shadow and reason.detail.startswith("block:")


def _problem(decision: Decision) -> dict[str, object]:
    """RFC 9457; policies that clients may not know of are not named."""
    found: dict[str, object] = {"status": decision.status, "trace_id": decision.trace_id}
    if any(_blocks(one) for one in decision.reasons):
        return {
            "type": f"{PROBLEM_TYPES}#abnormal-usage-detected",
            "title": "Abnormal usage detected",
            "detail": "Requests look made by a machine. If they are not, appeal and name the "
            "trace_id.",
            **found,
        }
    if any(one.rule == "probes" for one in decision.reasons):
        return {
            "type": f"{PROBLEM_TYPES}#abnormal-usage-detected",
            "title": "Abnormal usage detected",
            "detail": "Requests kept coming after they were refused; wait as long as Retry-After "
            "says.",
            **found,
        }
    exposed = {one.rule.name for one in decision.limits}
    violated = [one.rule for one in decision.reasons if one.rule in exposed and not one.is_shadow]
    if decision.retry_after_s == float("inf"):
        return {
            "type": "urn:ringwork:problem:request-too-costly",
            "title": "Request too costly",
            "detail": "The request alone costs more than may be used at once: ask for less, not "
            "later.",
            "violated-policies": violated,
            **found,
        }
    return {
        "type": f"{PROBLEM_TYPES}#quota-exceeded",
        "title": "Quota exceeded",
        "detail": "More was asked for than the policies named allow; wait as long as Retry-After "
        "says.",
        "violated-policies": violated,
        **found,
    }
