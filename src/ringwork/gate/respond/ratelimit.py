"""RateLimit header fields (draft-ietf-httpapi-ratelimit-headers-10) and Retry-After (RFC 9110).

Names of rules are letters, digits, ``-`` and ``_``, so they stand in quotes as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isfinite

from msgspec import Struct


class Left(Struct, frozen=True, gc=False):
    """How one limit stands after a decision."""

    rule: str
    remaining: int
    more_s: int
    """Until there is more of it; 0 where nothing is used."""


def quota_policy(rules: Sequence[tuple[str, int, float, str]]) -> str:
    """``RateLimit-Policy``: (name, quota, window in seconds, unit) of each limit."""
    return ",".join(
        f'"{name}";q={quota}{_unit(unit)};w={max(ceil(window_s), 1)}'
        for name, quota, window_s, unit in rules
    )


def rate_limit_headers(
    limits: Sequence[Left], quotas: str, retry_after_s: float
) -> tuple[tuple[str, str], ...]:
    """The fields of one answer. ``Retry-After`` is never earlier than what ``RateLimit`` says."""
    found = []
    if limits:
        stands = ",".join(f'"{one.rule}";r={one.remaining};t={one.more_s}' for one in limits)
        found = [("ratelimit-policy", quotas), ("ratelimit", stands)]
    if retry_after_s > 0 and isfinite(retry_after_s):
        found.append(("retry-after", str(ceil(retry_after_s))))
    return tuple(found)


def _unit(unit: str) -> str:
    return "" if unit == "requests" else f';qu="{unit}"'
