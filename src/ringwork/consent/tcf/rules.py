"""Whether a TC string is valid now. Dates and versions are data; they will change again."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Final

from msgspec import Struct

from ringwork.consent.tcf.string import DISCLOSED_VENDORS, PUBLISHER_TC, VERSION, TcString

DAY_MS: Final = 86_400_000
_EPOCH: Final = date(1970, 1, 1).toordinal()
_DEFINED: Final = {DISCLOSED_VENDORS, PUBLISHER_TC}


class TcfRules(Struct, frozen=True, kw_only=True):
    """What makes a string invalid, and from when. The 48 hours and 13 months are ours."""

    min_policy_version: int = 4
    min_policy_version_since: date = date(2023, 9, 30)
    """TCF 2.2: older policies are invalid, whenever the string was made."""
    service_specific_since: date = date(2021, 9, 1)
    """Global scope was abolished."""
    disclosed_vendors_since: date = date(2026, 3, 1)
    """TCF 2.3: strings made from this day on need the segment."""
    disclosed_vendors_policy: int = 5
    """The first policy version whose strings are expected to have it."""
    max_ahead_h: int = 48
    max_age_months: int = 13


DEFAULT_RULES: Final = TcfRules()


class Verdict(Struct, frozen=True):
    """``reason`` says why a string is invalid; ``notes`` what was remarkable in a valid one."""

    valid: bool
    reason: str = ""
    notes: tuple[str, ...] = ()


_VALID: Final = Verdict(True)


def verdict(tc: TcString, now_ms: int, rules: TcfRules = DEFAULT_RULES) -> Verdict:
    """Whether the string counts at ``now_ms``: invalid means no consent to anything.

    >>> from ringwork.consent.tcf.string import decode
    >>> verdict(decode("CQh-8AAQh-8AAAfABAENB4FIAP_gAEPgAAYgAPABAEAQAUAAAIAA"), 1780272000000)
    Verdict(valid=False, reason='IsServiceSpecific = 0', notes=())
    """
    reason = _fault(tc, now_ms, rules)
    if reason:
        return Verdict(False, reason)
    has_segment = DISCLOSED_VENDORS in tc.segments
    if has_segment and len(tc.segments) == 1:
        return _VALID
    notes = [f"segment type {kind} ignored" for kind in tc.segments if kind not in _DEFINED]
    if not has_segment and tc.policy_version >= rules.disclosed_vendors_policy:
        notes.append(f"created before {rules.disclosed_vendors_since}")
    return Verdict(True, "", tuple(notes))


def _fault(tc: TcString, now_ms: int, rules: TcfRules) -> str:
    if tc.version != VERSION:
        return f"encoding version {tc.version}"
    if not tc.is_service_specific and now_ms >= _ms(rules.service_specific_since):
        return "IsServiceSpecific = 0"
    if tc.policy_version < rules.min_policy_version:
        since = rules.min_policy_version_since
        if now_ms >= _ms(since):
            least = rules.min_policy_version
            return f"TcfPolicyVersion < {least} is invalid since {since}"
    if DISCLOSED_VENDORS not in tc.segments and tc.created >= _ms(rules.disclosed_vendors_since):
        return "DisclosedVendors missing"
    if tc.last_updated > now_ms + rules.max_ahead_h * 3_600_000:
        return f"LastUpdated more than {rules.max_ahead_h} h ahead"
    months = rules.max_age_months
    # A month has 28 days at least, so most strings need no calendar.
    is_old = now_ms - tc.last_updated > 28 * DAY_MS * months
    if is_old and _months_later(tc.last_updated, months) < now_ms:
        return f"older than {months} months: ask again"
    return ""


def holds_all_day(tc: TcString, now_ms: int, rules: TcfRules = DEFAULT_RULES) -> bool:
    """Whether the verdict is the same at every moment of the day (UTC) of ``now_ms``.

    Rules begin at midnight, so that only the string's own age can end in the middle of a day. In
    the month in which it may, by the months' lengths, the answer is no.
    """
    begins = now_ms // DAY_MS * DAY_MS
    ends, months = begins + DAY_MS - 1, rules.max_age_months
    is_young = ends - tc.last_updated <= 28 * DAY_MS * months
    is_old = begins - tc.last_updated > 31 * DAY_MS * months
    is_past = tc.last_updated <= begins + rules.max_ahead_h * 3_600_000
    return is_past and (is_young or is_old)


@lru_cache(maxsize=256)
def _ms(day: date) -> int:
    return (day.toordinal() - _EPOCH) * DAY_MS


def _months_later(ms: int, months: int) -> int:
    """The same day and time of a later month, or its last day."""
    days, rest = divmod(ms, DAY_MS)
    day = datetime.fromtimestamp(days * DAY_MS // 1000, UTC).date()
    years, month = divmod(day.month - 1 + months, 12)
    after = date(day.year + years + (month == 11), (month + 1) % 12 + 1, 1)  # the month behind it
    last = date.fromordinal(after.toordinal() - 1)
    return _ms(last.replace(day=min(day.day, last.day))) + rest
