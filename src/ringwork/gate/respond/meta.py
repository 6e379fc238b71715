"""How Meta's Graph API says that a limit is near or reached (overview/rate-limiting)."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isfinite

import msgspec

from ringwork.gate.policy.model import MetaAnswer
from ringwork.gate.respond.ratelimit import Left

DEVELOPMENT = "development_access"


def usage_headers(
    limits: Sequence[Left], *, object_id: str, tier: str
) -> tuple[tuple[str, str], ...]:
    """The usage headers of an answer, throttled or not: shares in percent, waits in minutes.

    ``object_id`` is the business object (an ad account) whose quotas ``limits`` are. Times of a
    processor are not limited here and are said to be unused.
    """
    tier = tier or DEVELOPMENT
    found: dict[str, object] = {}
    business: list[dict[str, object]] = []
    for one in limits:
        answer = one.rule.over.meta
        if answer is None:
            continue
        share = min(round(100 * (one.quota - one.remaining) / one.quota, 2), 100)
        match answer.header:
            case "app":
                used = {"call_count": int(share), "total_time": 0, "total_cputime": 0}
                found["x-app-usage"] = used
            case "ad_account":
                found["x-ad-account-usage"] = {
                    "acc_id_util_pct": share,
                    "reset_time_duration": one.more_s,
                    "ads_api_access_tier": tier,
                }
            case "insights":
                found["x-fb-ads-insights-throttle"] = {
                    "app_id_util_pct": 0,
                    "acc_id_util_pct": share,
                    "ads_api_access_tier": tier,
                }
            case "business":
                is_throttled = one.remaining <= 0
                business.append(
                    {
                        "type": answer.type,
                        "call_count": int(share),
                        "total_cputime": 0,
                        "total_time": 0,
                        "estimated_time_to_regain_access": ceil(one.more_s / 60)
                        if is_throttled
                        else 0,
                        "ads_api_access_tier": tier,
                    }
                )
            case _:
                pass
    if business and object_id:
        found["x-business-use-case-usage"] = {object_id: business}
    return tuple((name, msgspec.json.encode(value).decode()) for name, value in found.items())


def error_body(answer: MetaAnswer, *, trace_id: str, retry_after_s: float) -> bytes:
    """The error, as clients of that API read it: they look at the body, not at the status."""
    error: dict[str, object] = {
        "message": f"(#{answer.code}) {answer.message or 'Request limit reached'}",
        "type": "OAuthException",
        "code": answer.code,
        "is_transient": isfinite(retry_after_s),
        "fbtrace_id": trace_id,
    }
    if answer.subcode is not None:
        error["error_subcode"] = answer.subcode
    if answer.title:
        error["error_user_title"] = answer.title
        error["error_user_msg"] = answer.message
    return msgspec.json.encode({"error": error})
