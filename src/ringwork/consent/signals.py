"""From all the signals of a request to one finding: the most restrictive of them wins.

Ads specification 3.6, what is read from signals. Invalid is read as no consent, and as an opt-out
in the US. Nothing is decided here: that takes the person's own record and subscription too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from ringwork.consent import gpp, tcf, us_privacy
from ringwork.consent.countries import GDPR_COUNTRIES
from ringwork.consent.errors import SignalError
from ringwork.consent.gpp.layouts import NAMES as SECTIONS
from ringwork.consent.gpp.layouts import PRECISE_LOCATION, TCF_EU, USP, categories_of
from ringwork.consent.gvl import Declared, VendorLists
from ringwork.consent.tcf import Permissions, TcfRules
from ringwork.consent.tcf.rules import DAY_MS
from ringwork.kernel.viewer import Signals

US_SECTIONS: Final = range(6, 28)
_NONE_APPLIES: Final = -1
_CHILD: Final = "KnownChildSensitiveDataConsents"
_SENSITIVE: Final = "SensitiveDataProcessing"
_OPT_OUTS: Final = {
    "SaleOptOut": "us-sale-opt-out",
    "SharingOptOut": "us-sharing-opt-out",
    "TargetedAdvertisingOptOut": "us-targeted-advertising-opt-out",
}

REASONS: Final = {
    "coppa": "The request is for children (COPPA).",
    "us-known-child": "A US section says that the person is a known child or teenager.",
    "gdpr-by-request": "The request says that the GDPR applies.",
    "gdpr-by-gpp": "The GPP section ids say that the GDPR applies.",
    "gdpr-by-country": "The country is one where the GDPR applies.",
    "gdpr-by-default": "Neither said nor known from the country, so the GDPR is taken to apply.",
    "gdpr-no": "The GDPR does not apply: the request says so, or its country is elsewhere.",
    "tcf-no-vendor-id": "No vendor list id is configured, so no TC string can permit anything.",
    "tc-missing": "There is no TC string.",
    "tc-unreadable": "The TC string cannot be read.",
    "tc-invalid": "The TC string does not count (any longer).",
    "tc-note": "What a TC string takes away from us, or what was remarkable in it.",
    "tc-differs": "Two TC strings came, and they differ: what both permit is left.",
    "tcf-list-unknown": "The vendor list that the string names is not at hand: by consent alone.",
    "gpp-unreadable": "The GPP string cannot be read: taken as an opt-out, and as no TC string.",
    "us-section-missing": "A section that applies is not in the GPP string: an opt-out.",
    "us-section-unreadable": "A section that applies cannot be read: an opt-out.",
    "us-sale-opt-out": "Opted out of sale.",
    "us-sharing-opt-out": "Opted out of sharing.",
    "us-targeted-advertising-opt-out": "Opted out of targeted advertising.",
    "us-gpc": "The GPC subsection of a GPP section is on.",
    "us-sensitive": "A category of sensitive data is forbidden.",
    "us-privacy-opt-out": "The US Privacy string says: opted out of sale.",
    "us-privacy-unreadable": "The US Privacy string cannot be read: an opt-out.",
    "gpc": "The browser sends Sec-GPC: 1.",
    "lmt": "The device limits ad tracking.",
    "dnt": "The browser asks not to be tracked.",
}
"""Code -> meaning. A reason is a code, or a code, a colon and what it is about."""


class Reading(Struct, frozen=True, kw_only=True):
    """How signals are read here."""

    vendor_id: int | None = None
    """Ours in the Global Vendor List; without it no TC string permits anything."""
    gdpr_default: bool = True
    """Whether the GDPR applies where neither the request nor its country says."""
    gdpr_countries: frozenset[str] = GDPR_COUNTRIES
    storage_without_consent_countries: frozenset[str] = frozenset()
    """Countries of publishers that need no consent to purpose 1 where it was not asked for."""
    rules: TcfRules = tcf.DEFAULT_RULES


DEFAULT_READING: Final = Reading()


class Findings(Struct, frozen=True, kw_only=True, gc=False):
    """What the signals of one request allow and forbid."""

    gdpr_applies: bool
    tcf: Permissions | None = None
    """What we may do by the TC string; None: it permits nothing, or the GDPR does not apply."""
    storage_allowed: bool
    """Whether anything may be kept on the device."""
    us_opt_outs: tuple[str, ...] = ()
    """What the person opted out of in the US, as reasons; empty: of nothing."""
    forbidden_categories: tuple[str, ...] = ()
    """Sensitive data that must not be used."""
    child: bool = False
    limit: bool = False
    """Ad tracking is limited, or tracking is refused."""
    precise_geo_allowed: bool
    measurement_allowed: bool
    reasons: tuple[str, ...] = ()
    holds_all_day: bool = True
    """Whether the same signals say the same at any other time of this day (UTC)."""


class _Us(Struct):
    """What US signals add up to."""

    opt_outs: list[str]
    categories: list[str]
    known_child: list[str]


class _Eu(Struct):
    """What TC strings are read with, and what reading them leaves."""

    now_ms: int
    reading: Reading
    lists: VendorLists | None
    reasons: list[str]
    holds_all_day: bool = True


def find(
    signals: Signals,
    now_ms: int,
    *,
    reading: Reading = DEFAULT_READING,
    lists: VendorLists | None = None,
) -> Findings:
    """What all signals together say. Never raises for what a signal holds.

    >>> found = find(Signals(gdpr=0, us_privacy="1YYN"), 0)
    >>> found.us_opt_outs, found.measurement_allowed
    (('us-privacy-opt-out',), True)
    """
    parts, broken = _parts_of(signals.gpp) if signals.gpp else ({}, "")
    applies, why = _gdpr(signals, reading)
    reasons = ["coppa"] if signals.coppa == 1 else []
    us = _us(signals, parts, broken=broken)
    reasons += us.known_child
    reasons.append(why)
    if broken:
        reasons.append(f"gpp-unreadable:{broken}")
    permitted, stores, holds = None, True, True
    if applies:
        eu = _Eu(now_ms, reading, lists, reasons)
        permitted, stores = _tcf(signals, parts, broken, eu)
        holds = eu.holds_all_day
    reasons += us.opt_outs
    reasons += [f"us-sensitive:{one}" for one in us.categories]
    reasons += ["lmt"] if signals.lmt == 1 else []
    reasons += ["dnt"] if signals.dnt == 1 else []
    child = signals.coppa == 1 or bool(us.known_child)
    limit = signals.lmt == 1 or signals.dnt == 1
    is_near = permitted is not None and 1 in permitted.special_features if applies else True
    return Findings(
        gdpr_applies=applies,
        tcf=permitted,
        storage_allowed=stores,
        us_opt_outs=tuple(us.opt_outs),
        forbidden_categories=tuple(us.categories),
        child=child,
        limit=limit,
        precise_geo_allowed=(
            is_near and not child and not limit and PRECISE_LOCATION not in us.categories
        ),
        measurement_allowed=(
            permitted is not None and permitted.basis(7) is not None if applies else True
        ),
        reasons=tuple(dict.fromkeys(reasons)),
        holds_all_day=holds,
    )


def _gdpr(signals: Signals, reading: Reading) -> tuple[bool, str]:
    if signals.gdpr == 1:
        return True, "gdpr-by-request"
    if TCF_EU in signals.gpp_sid:
        return True, "gdpr-by-gpp"
    if signals.gdpr == 0:
        return False, "gdpr-no"
    if signals.country:
        is_in = signals.country.upper() in reading.gdpr_countries
        return (True, "gdpr-by-country") if is_in else (False, "gdpr-no")
    return (True, "gdpr-by-default") if reading.gdpr_default else (False, "gdpr-no")


def _parts_of(text: str) -> tuple[dict[int, gpp.Part], str]:
    """The sections, and what is wrong with the string."""
    try:
        return gpp.split(text), ""
    except SignalError as error:
        return {}, error.reason


def _tcf(
    signals: Signals, parts: dict[int, gpp.Part], broken: str, eu: _Eu
) -> tuple[Permissions | None, bool]:
    """What the TC strings permit us, and whether the device may be written to."""
    texts = [signals.tc] if signals.tc else []
    section = parts.get(TCF_EU)
    if section is not None and section.text != signals.tc:
        texts.append(section.text)
    if TCF_EU in signals.gpp_sid and section is None and not broken:
        eu.reasons.append("tc-missing:tcfeuv2")
        return None, False
    may_be_behind = (
        broken
        and _NONE_APPLIES not in signals.gpp_sid
        and (TCF_EU in signals.gpp_sid or not any(signals.gpp_sid))
    )
    if may_be_behind:
        return None, False
    if not texts:
        eu.reasons.append("tc-missing")
        return None, False
    if eu.reading.vendor_id is None:
        eu.reasons.append("tcf-no-vendor-id")
        return None, False
    if len(texts) > 1:
        eu.reasons.append("tc-differs")
    left: Permissions | None = None
    stores = True
    for text in texts:
        found = _one_tc(text, eu.reading.vendor_id, eu)
        if found is None:
            return None, False
        permitted, may_store = found
        stores = stores and may_store
        left = permitted if left is None else _both(left, permitted)
    return left, stores


def _one_tc(text: str, vendor_id: int, eu: _Eu) -> tuple[Permissions, bool] | None:
    try:
        tc = tcf.decode(text)
    except SignalError as error:
        eu.reasons.append(f"tc-unreadable:{error.reason}")
        return None
    now_ms, lists = eu.now_ms, eu.lists
    verdict = tcf.verdict(tc, now_ms, eu.reading.rules)
    eu.holds_all_day &= tcf.holds_all_day(tc, now_ms, eu.reading.rules)
    if not verdict.valid:
        eu.reasons.append(f"tc-invalid:{verdict.reason}")
        return None
    declared: Declared | None = None
    number = tc.vendor_list_version
    if lists is not None and number in lists:
        declared = lists.declared(number, vendor_id)
        if declared is None:
            eu.reasons.append(f"tc-note:vendor {vendor_id} not in the vendor list")
            return Permissions(vendor_id), False
        if declared.deleted_ms is not None:
            eu.holds_all_day &= declared.deleted_ms // DAY_MS != now_ms // DAY_MS
    else:
        eu.reasons.append(f"tcf-list-unknown:{number}")
    permitted = tcf.permissions(tc, vendor_id, declared, now_ms)
    eu.reasons += [f"tc-note:{note}" for note in (*verdict.notes, *permitted.notes)]
    may_store = permitted.basis(1) == "consent" or (
        tc.purpose_one_treatment
        and tc.publisher_country_code in eu.reading.storage_without_consent_countries
    )
    return permitted, may_store


def _both(one: Permissions, other: Permissions) -> Permissions:
    """What both permit, on the same basis."""

    def common(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(number for number in left if number in right)

    return Permissions(
        one.vendor_id,
        common(one.by_consent, other.by_consent),
        common(one.by_interest, other.by_interest),
        common(one.special_features, other.special_features),
        one.notes + other.notes,
    )


def _us(signals: Signals, parts: dict[int, gpp.Part], *, broken: str) -> _Us:
    us = _Us([], [], [])
    if signals.gpc:
        us.opt_outs.append("gpc")
    if signals.us_privacy:
        _read_us_privacy(signals.us_privacy, us)
    applying = list(_applying(signals.gpp_sid, parts))
    if broken and (applying or not any(signals.gpp_sid)):
        us.opt_outs.append(f"gpp-unreadable:{broken}")
        return us
    for id in applying:
        name = SECTIONS[id]
        part = parts.get(id)
        if part is None:
            us.opt_outs.append(f"us-section-missing:{name}")
            continue
        try:
            section = gpp.decode_section(id, part.text, part.start)
        except SignalError as error:
            us.opt_outs.append(f"us-section-unreadable:{name}, {error.reason}")
            continue
        if id == USP:
            _read_us_privacy(part.text, us)
        else:
            assert isinstance(section, dict)  # every other section of US_SECTIONS has fields
            _read_us(id, section, us)
    return us


def _applying(gpp_sid: tuple[int, ...], parts: dict[int, gpp.Part]) -> Iterator[int]:
    """The US sections that apply: those named, or all that came where none is."""
    named = any(gpp_sid)
    for id in dict.fromkeys(gpp_sid) if named else parts:
        if id in US_SECTIONS:
            yield id


def _read_us_privacy(text: str, us: _Us) -> None:
    try:
        says = us_privacy.decode(text)
    except SignalError as error:
        us.opt_outs.append(f"us-privacy-unreadable:{error.reason}")
        return
    if says.opt_out_sale == "Y" and "us-privacy-opt-out" not in us.opt_outs:
        us.opt_outs.append("us-privacy-opt-out")


def _read_us(id: int, fields: gpp.UsFields, us: _Us) -> None:
    name = SECTIONS[id]
    for field, code in _OPT_OUTS.items():
        if fields.get(field) == 1:
            us.opt_outs.append(f"{code}:{name}")
    if fields.get("Gpc") is True:
        us.opt_outs.append(f"us-gpc:{name}")
    child = fields.get(_CHILD, 0)
    if any(child) if isinstance(child, list) else child:
        us.known_child.append(f"us-known-child:{name}")
    flags = fields.get(_SENSITIVE)
    if isinstance(flags, list):
        for flag, category in zip(flags, categories_of(id), strict=False):
            if flag == 1:
                # One entry of California's is about three categories.
                us.categories += [one for one in category.split(", ") if one not in us.categories]
