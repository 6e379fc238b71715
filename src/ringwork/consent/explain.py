"""Any consent signal, told to a person: field by field, and where it is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec
from msgspec import Struct

from ringwork.consent import addtl, gpp, tcf, us_privacy
from ringwork.consent.errors import SignalError
from ringwork.consent.gpp.layouts import categories_of
from ringwork.consent.gvl import Declared
from ringwork.consent.tcf import TcString, names
from ringwork.consent.us_privacy import UsPrivacy
from ringwork.consent.vendors import Vendors

Kind = Literal["tc", "gpp", "us-privacy", "addtl"]
TITLES: Final[dict[Kind, str]] = {
    "tc": "TC string (IAB TCF)",
    "gpp": "GPP string (IAB Global Privacy Platform)",
    "us-privacy": "US Privacy string (CCPA)",
    "addtl": "Additional Consent string (Google)",
}
RANGES_SHOWN: Final = 12
SHOWN_BEFORE: Final = 40
"""Characters of the string before the one that is wrong."""

_ALL: Final = (1 << 24) - 1
_BY_CONSENT: Final = Declared(_ALL, 0, 0, 0)
_BY_INTEREST: Final = Declared(0, _ALL, 0, 0)
_YES_NO: Final = {"Y": "yes", "N": "no", "-": "does not apply"}


class Line(Struct, frozen=True):
    """One field: its name, what stands there, and what that means."""

    field: str
    value: str
    meaning: str = ""


class Explained(Struct, frozen=True, kw_only=True):
    """A signal in words, and as data."""

    kind: Kind
    valid: bool
    reason: str = ""
    lines: list[Line]
    decoded: object


def kind_of(text: str) -> Kind:
    """What a text seems to be, by its beginning.

    >>> [kind_of(text) for text in ("CQh-8A", "DBABTA~1YNN", "1YNN", "2~1.35~dv.")]
    ['tc', 'gpp', 'us-privacy', 'addtl']
    """
    if text[:2] in ("1~", "2~"):
        return "addtl"
    if text[:1] == "D":
        return "gpp"
    return "us-privacy" if text[:1] == "1" else "tc"


def explain(text: str, *, now_ms: int, vendor_id: int | None = None) -> Explained:
    """The signal in words; raises SignalError where it cannot be read."""
    kind = kind_of(text)
    match kind:
        case "tc":
            tc = tcf.decode(text)
            valid, reason = _validity(tc, now_ms)
            lines = list(_tc_lines(tc, now_ms, vendor_id))
            return Explained(
                kind=kind, valid=valid, reason=reason, lines=lines, decoded=tcf.plain(tc)
            )
        case "gpp":
            return _explained_gpp(text, now_ms, vendor_id)
        case "us-privacy":
            usp = us_privacy.decode(text)
            decoded = msgspec.to_builtins(usp)
            return Explained(kind=kind, valid=True, lines=list(_usp_lines(usp)), decoded=decoded)
        case "addtl":
            given = addtl.decode(text)
            lines = [
                Line("Version", str(given.version)),
                Line("Consents", _listed(given.consents), "providers with consent"),
                Line("Disclosed", _listed(given.disclosed), "shown, without consent"),
            ]
            return Explained(kind=kind, valid=True, lines=lines, decoded=msgspec.to_builtins(given))


def pointed(text: str, error: SignalError) -> str:
    """The place of a fault, for a terminal: the string around it, and a caret below.

    >>> print(pointed("1YXN", SignalError("opted out of sale: 'X'", 12)))
    1YXN
      ^ character 3, bit 12
    """
    at = min(error.bit // 6, len(text))
    begin = max(0, at - SHOWN_BEFORE)
    before = ("..." if begin else "") + text[begin:at]
    after = text[at : at + 20] + ("..." if len(text) > at + 20 else "")
    shown = "".join(one if one.isprintable() else "?" for one in before + after)
    return f"{shown}\n{' ' * len(before)}^ character {at + 1}, bit {error.bit}"


def _explained_gpp(text: str, now_ms: int, vendor_id: int | None) -> Explained:
    found = gpp.decode(text)
    lines = [
        Line("Sections", ", ".join(map(str, found.section_ids)), ", ".join(found.sections)),
    ]
    valid, reason = True, ""
    for id, (name, section) in zip(found.section_ids, found.sections.items(), strict=True):
        if isinstance(section, TcString):
            valid, reason = _validity(section, now_ms)
            inner = _tc_lines(section, now_ms, vendor_id)
        elif isinstance(section, UsPrivacy):
            inner = _usp_lines(section)
        elif isinstance(section, dict):
            inner = _us_lines(id, section)
        else:
            inner = _plain_lines(gpp.plain_section(section))
        lines += [Line(f"{name}.{one.field}", one.value, one.meaning) for one in inner]
    return Explained(kind="gpp", valid=valid, reason=reason, lines=lines, decoded=gpp.plain(found))


def _validity(tc: TcString, now_ms: int) -> tuple[bool, str]:
    verdict = tcf.verdict(tc, now_ms)
    return verdict.valid, verdict.reason or "; ".join(verdict.notes)


def _tc_lines(tc: TcString, now_ms: int, vendor_id: int | None) -> Iterator[Line]:
    valid, reason = _validity(tc, now_ms)
    yield Line("Valid", "yes" if valid else "no", reason or f"at {_time(now_ms)}")
    yield Line("Version", str(tc.version))
    yield Line("Created", _time(tc.created))
    yield Line("LastUpdated", _time(tc.last_updated))
    yield Line("CmpId", str(tc.cmp_id), f"version {tc.cmp_version}, screen {tc.consent_screen}")
    yield Line("ConsentLanguage", tc.consent_language)
    yield Line("VendorListVersion", str(tc.vendor_list_version))
    yield Line("TcfPolicyVersion", str(tc.policy_version))
    yield Line("IsServiceSpecific", _yes(tc.is_service_specific))
    yield Line("UseNonStandardTexts", _yes(tc.use_non_standard_texts))
    treatment = "was not disclosed" if tc.purpose_one_treatment else "was disclosed as usual"
    yield Line("PurposeOneTreatment", _yes(tc.purpose_one_treatment), f"purpose 1 {treatment}")
    yield Line("PublisherCC", tc.publisher_country_code)
    for number in sorted({*names.SPECIAL_FEATURES, *tc.special_feature_optins}):
        opted = "opted in" if number in tc.special_feature_optins else "no"
        yield Line(f"SpecialFeature {number}", opted, names.special_feature(number))
    consents, interests = tc.purpose_consents, tc.purpose_legitimate_interests
    for number in sorted({*names.PURPOSES, *consents, *interests}):
        said = [
            word
            for word, given in (("consent", consents), ("legitimate interest", interests))
            if number in given
        ]
        yield Line(f"Purpose {number}", ", ".join(said) or "no", names.purpose(number))
    yield Line("VendorConsents", *_vendors(tc.vendor_consents))
    yield Line("VendorLegitimateInterests", *_vendors(tc.vendor_legitimate_interests))
    for one in tc.publisher_restrictions:
        kind = names.RESTRICTIONS[one.restriction_type]
        yield Line(f"Restriction of purpose {one.purpose_id}", kind, _vendors(one.vendors)[1])
    if 1 in tc.segments:
        yield Line("DisclosedVendors", *_vendors(tc.vendors_disclosed))
    else:
        yield Line("DisclosedVendors", "absent", "needed since 2026-03-01")
    if 3 in tc.segments:
        yield Line("PublisherConsents", _listed(tc.publisher_consents))
        yield Line("PublisherLegitimateInterests", _listed(tc.publisher_legitimate_interests))
        yield Line("CustomPurposes", str(tc.num_custom_purposes), _custom(tc))
    if vendor_id is not None:
        yield from _vendor_lines(tc, vendor_id, now_ms)


def _custom(tc: TcString) -> str:
    consents = _listed(tc.publisher_custom_consents)
    interests = _listed(tc.publisher_custom_legitimate_interests)
    return f"consent: {consents}; legitimate interest: {interests}"


def _vendor_lines(tc: TcString, vendor_id: int, now_ms: int) -> Iterator[Line]:
    """What the string permits a vendor, on either basis: which it declares is in no string."""
    is_valid = tcf.verdict(tc, now_ms).valid
    consent = tcf.permissions(tc, vendor_id, _BY_CONSENT, now_ms)
    interest = tcf.permissions(tc, vendor_id, _BY_INTEREST, now_ms)
    for basis, numbers in (
        ("consent", consent.by_consent),
        ("legitimate interest", interest.by_interest),
    ):
        permitted = _listed(numbers) if is_valid else "none, being invalid"
        meaning = f"purposes permitted to it, where it declares {basis}"
        yield Line(f"Vendor {vendor_id} by {basis}", permitted, meaning)
    for note in dict.fromkeys((*consent.notes, *interest.notes)):
        yield Line(f"Vendor {vendor_id}", "note", note)


def _usp_lines(usp: UsPrivacy) -> Iterator[Line]:
    yield Line("Version", str(usp.version))
    yield Line("Notice", usp.notice, f"notice and opportunity to opt out: {_YES_NO[usp.notice]}")
    yield Line("OptOutSale", usp.opt_out_sale, f"opted out of sale: {_YES_NO[usp.opt_out_sale]}")
    covered = _YES_NO[usp.lspa_covered]
    yield Line("LspaCovered", usp.lspa_covered, f"limited service provider agreement: {covered}")


def _us_lines(id: int, fields: gpp.UsFields) -> Iterator[Line]:
    for name, value in fields.items():
        if name == "SensitiveDataProcessing" and isinstance(value, list):
            for number, (one, category) in enumerate(
                zip(value, categories_of(id), strict=False), 1
            ):
                yield Line(f"{name} {number}", str(one), f"{category}: {_us_meaning('Data', one)}")
        elif isinstance(value, list):
            for number, one in enumerate(value, 1):
                yield Line(f"{name} {number}", str(one), _us_meaning(name, one))
        else:
            yield Line(name, str(value), _us_meaning(name, value))


def _us_meaning(name: str, value: int | bool) -> str:
    if isinstance(value, bool):
        return "the browser's opt-out is on" if value else "off"
    if name.endswith("Notice"):
        words = ("does not apply", "notice was given", "notice was not given")
    elif name.endswith("OptOut"):
        words = ("does not apply", "opted out", "did not opt out")
    elif name.endswith(("Consents", "Consent", "Data")):
        words = ("does not apply", "not allowed", "allowed")
    elif name == "MspaMode":
        words = ("does not apply", "opt-out option mode", "service provider mode")
    elif name.startswith("Mspa") and name != "MspaVersion":
        words = ("does not apply", "yes", "no")
    else:
        return ""
    return words[value] if value < len(words) else "undefined"


def _plain_lines(section: object) -> Iterator[Line]:
    if not isinstance(section, dict):
        yield Line("text", str(section), "nobody has defined this section, or it is retired")
        return
    for name, value in section.items():
        yield Line(name, str(value))


def _vendors(vendors: Vendors) -> tuple[str, str]:
    ranges = vendors.ranges()
    count = sum(last - first + 1 for first, last in ranges)
    shown = [
        str(first) if first == last else f"{first}-{last}" for first, last in ranges[:RANGES_SHOWN]
    ]
    more = len(ranges) - len(shown)
    return f"{count} vendors", ", ".join(shown) + (f" and {more} more ranges" if more else "")


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers)) or "none"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _time(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
