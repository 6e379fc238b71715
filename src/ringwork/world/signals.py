"""What people's consent platforms say in bid requests: TC strings, GPP strings, US Privacy, lmt.

The shares are the world's own parameters, of the size that publishers report where refusing takes
as many clicks as allowing; they are not measured here. They decide the tiers of exchanges'
requests: without a TC string that lets us select ads by the page, one from the EEA is ``general``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from random import Random
from typing import Final, Literal

from ringwork.consent import gpp, tcf
from ringwork.consent.countries import GDPR_COUNTRIES
from ringwork.consent.gpp import GppString, UsFields
from ringwork.consent.tcf import TcString
from ringwork.consent.vendors import NOBODY, Vendors

VENDOR_ID: Final = 4001
"""The demo's platform in the Global Vendor List: past every id that is given out."""
VENDOR_LIST_VERSION: Final = 172
POLICY_VERSION: Final = 5
VENDOR_LIST: Final[Mapping[str, object]] = {
    "gvlSpecificationVersion": 3,
    "vendorListVersion": VENDOR_LIST_VERSION,
    "tcfPolicyVersion": POLICY_VERSION,
    "vendors": {
        str(VENDOR_ID): {"id": VENDOR_ID, "name": "Ringwork demo", "purposes": [1, 2, 3, 4, 7]}
    },
}
"""The only entry that the platform looks up is its own."""

Said = Literal["all", "basic", "nothing", "silent"]
EEA: Final[Mapping[Said, int]] = {"all": 56, "basic": 11, "nothing": 21, "silent": 12}
"""Of a hundred requests: everything allowed, ads by the page and measurement alone, everything
refused, and no string at all (a page without a platform, a person who has not chosen)."""
PURPOSES: Final[Mapping[Said, tuple[int, ...]]] = {
    "all": tuple(range(1, 12)),
    "basic": (2, 7, 8, 9, 10, 11),
    "nothing": (),
}
SaidUs = Literal["gpp", "gpp-opt-out", "us-privacy", "us-privacy-opt-out", "silent"]
US: Final[Mapping[SaidUs, int]] = {
    "gpp": 52,
    "gpp-opt-out": 18,
    "us-privacy": 10,
    "us-privacy-opt-out": 4,
    "silent": 16,
}
"""Of a hundred requests; US Privacy is what older integrations still send."""
US_PRIVACY: Final[Mapping[SaidUs, str]] = {"us-privacy": "1YNN", "us-privacy-opt-out": "1YYN"}
LIMITED: Final = 0.18
"""Of devices in apps: ad tracking is limited (``lmt``)."""
IN_EXT: Final = 0.2
"""Of exchanges' requests: the members are where OpenRTB 2.5 has them."""

_DAY_MS: Final = 86_400_000
_AGES_DAYS: Final = (1, 12, 60, 190)
"""How long ago people chose: a string is valid for 13 months."""
_USNAT: Final = 7
_CMP_ID: Final = 4000
_MANY: Final = Vendors.of([(1, 1400), (VENDOR_ID, VENDOR_ID)])
"""Whom a platform discloses: everybody on its list."""


def sign(random: Random, request: dict[str, object], country: str, day: int) -> None:
    """Put into a bid request what its person's platform says on that day."""
    says: dict[str, object] = {}
    consent = ""
    if country in GDPR_COUNTRIES:
        said = random.choices(tuple(EEA), tuple(EEA.values()))[0]
        says["gdpr"] = 1
        if said != "silent":
            consent = tc_string(said, day - random.choice(_AGES_DAYS))
    elif country == "USA":
        of_us = random.choices(tuple(US), tuple(US.values()))[0]
        if of_us in US_PRIVACY:
            says["us_privacy"] = US_PRIVACY[of_us]
        elif of_us != "silent":
            says |= {"gpp": gpp_string(opted_out=of_us == "gpp-opt-out"), "gpp_sid": [_USNAT]}
    _put(request, says, consent, in_ext=random.random() < IN_EXT)


def _put(
    request: dict[str, object], says: dict[str, object], consent: str, *, in_ext: bool
) -> None:
    user = request["user"]
    assert isinstance(user, dict)
    if says:
        request["regs"] = {"ext": says} if in_ext and "gpp" not in says else says
    if consent:
        user |= {"ext": {"consent": consent}} if in_ext else {"consent": consent}


@lru_cache(maxsize=256)
def tc_string(said: Said, day: int) -> str:
    """The TC string of somebody who chose on a day (since 1970)."""
    purposes = PURPOSES[said]
    return tcf.encode(
        TcString(
            version=2,
            created=day * _DAY_MS,
            last_updated=day * _DAY_MS,
            cmp_id=_CMP_ID,
            cmp_version=1,
            consent_screen=1,
            consent_language="EN",
            vendor_list_version=VENDOR_LIST_VERSION,
            policy_version=POLICY_VERSION,
            is_service_specific=True,
            use_non_standard_texts=False,
            special_feature_optins=(),
            purpose_consents=purposes,
            purpose_legitimate_interests=(),
            purpose_one_treatment=False,
            publisher_country_code="AA",
            vendor_consents=_MANY if purposes else NOBODY,
            vendor_legitimate_interests=NOBODY,
            segments=(1,),
            vendors_disclosed=_MANY,
        )
    )


@lru_cache(maxsize=2)
def gpp_string(*, opted_out: bool) -> str:
    """A GPP string with the section for all of the US: notice was given, and what came of it."""
    choice = 1 if opted_out else 2
    fields: UsFields = {
        "Version": 1,
        "SharingNotice": 1,
        "SaleOptOutNotice": 1,
        "SharingOptOutNotice": 1,
        "TargetedAdvertisingOptOutNotice": 1,
        "SensitiveDataProcessingOptOutNotice": 0,
        "SensitiveDataLimitUseNotice": 0,
        "SaleOptOut": choice,
        "SharingOptOut": choice,
        "TargetedAdvertisingOptOut": choice,
        "SensitiveDataProcessing": [0] * 12,
        "KnownChildSensitiveDataConsents": [0, 0],
        "PersonalDataConsents": 0,
        "MspaCoveredTransaction": 2,
        "MspaOptOutOptionMode": 0,
        "MspaServiceProviderMode": 0,
        "Gpc": opted_out,
    }
    return gpp.encode(GppString((_USNAT,), {"usnat": fields}))
