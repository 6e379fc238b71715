"""RateLimit header fields (draft-ietf-httpapi-ratelimit-headers-10) and Retry-After (RFC 9110).

Names of rules are letters, digits, ``-`` and ``_``, so they stand in quotes as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import ceil, isfinite

from msgspec import Struct

from ringwork.gate.policy.model import Rule


class Left(Struct, frozen=True, gc=False):
    """How one limit stands after a decision."""

    rule: Rule
    quota: int
    window_s: float
    """What the quota is for."""
    unit: str
    remaining: int
    more_s: int
    """Until there is more of it; 0 where nothing is used."""


def rate_limit_headers(limits: Sequence[Left], retry_after_s: float) -> tuple[tuple[str, str], ...]:
    """The fields of one answer. ``Retry-After`` is never earlier than what ``RateLimit`` says."""
    found = []
    if limits:
        policy = [_policy(one.rule.name, one.quota, one.window_s, one.unit) for one in limits]
        stands = [f'"{one.rule.name}";r={one.remaining};t={one.more_s}' for one in limits]
        found = [("ratelimit-policy", ",".join(policy)), ("ratelimit", ",".join(stands))]
    if retry_after_s > 0 and isfinite(retry_after_s):
        found.append(("retry-after", str(ceil(retry_after_s))))
    return tuple(found)


@lru_cache(maxsize=4096)
def _policy(name: str, quota: int, window_s: float, unit: str) -> str:
    """One limit of ``RateLimit-Policy``; the same for most answers, so rendered once."""
    told = "" if unit == "requests" else f';qu="{unit}"'
    return f'"{name}";q={quota}{told};w={max(ceil(window_s), 1)}'
