"""A person's choice as a TC string, for a property whose operator is a registered CMP.

Personalised ads: purposes 1 to 4 by consent, 7 where measuring is allowed. Less personalised: no
consent to anything, and purpose 2 by legitimate interest, for ads that are chosen by the page.
Times are those of the day, as TCF has it, and the same state gives the same string.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from ringwork.consent import gpp, tcf
from ringwork.consent.choice.settings import ChoiceSettings
from ringwork.consent.gpp import GppString
from ringwork.consent.tcf.string import DISCLOSED_VENDORS, TcString
from ringwork.consent.vendors import NOBODY, Vendors

POLICY_VERSION: Final = 5
_DAY_US: Final = 86_400_000_000
_SCREEN: Final = 1
_TCF_EU: Final = 2


class Strings(Struct, frozen=True):
    """What ``signals`` of an ad request takes."""

    gdpr: int
    tc: str
    gpp: str
    gpp_sid: list[int]


def strings_of(
    settings: ChoiceSettings, *, advertise: bool, measure: bool, since_us: int, locale: str
) -> Strings | None:
    """The strings for a decided person; None where the operator is no CMP."""
    if not settings.writes_strings:
        return None
    day_ms = since_us // _DAY_US * _DAY_US // 1000
    consents = ((1, 2, 3, 4) if advertise else ()) + ((7,) if measure else ())
    vendor = Vendors.of([(settings.vendor_id, settings.vendor_id)])
    text = TcString(
        version=2,
        created=day_ms,
        last_updated=day_ms,
        cmp_id=settings.cmp_id,
        cmp_version=settings.cmp_version,
        consent_screen=_SCREEN,
        consent_language=locale.upper(),
        vendor_list_version=settings.vendor_list_version,
        policy_version=POLICY_VERSION,
        is_service_specific=True,
        use_non_standard_texts=False,
        special_feature_optins=(),
        purpose_consents=consents,
        purpose_legitimate_interests=(2,),
        purpose_one_treatment=False,
        publisher_country_code=settings.publisher_country,
        vendor_consents=vendor if consents else NOBODY,
        vendor_legitimate_interests=vendor,
        segments=(DISCLOSED_VENDORS,),
        vendors_disclosed=vendor,
    )
    whole = GppString((_TCF_EU,), {"tcfeuv2": text})
    return Strings(1, tcf.encode(text), gpp.encode(whole), [_TCF_EU])
