"""iab-tcf, the TC string decoder of PyPI (MIT), and what it says in the form of the vectors."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from types import ModuleType
from typing import Any

from ringwork.consent import tcf

Vector = dict[str, Any]


def peer() -> ModuleType:
    """iab-tcf, from the folder that ``make bench`` puts it in: beside it lies a ``tests`` of its own."""
    folder = str(Path(sys.prefix) / "peers")
    sys.path.append(folder)
    try:
        return importlib.import_module("iab_tcf")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{error}: `make bench` installs the peers", name=error.name
        ) from None
    finally:
        sys.path.remove(folder)


def peer_says(read: Any) -> Vector:
    """What the peer read, under the names of the vectors."""

    def ids(runs: list[tuple[int, int]]) -> list[int]:
        return [one for first, last in runs for one in range(first, last + 1)]

    def those(bits: dict[int, bool]) -> list[int]:
        return [number for number, bit in bits.items() if bit]

    restricted: dict[str, list[int]] = {}
    for one in read.pub_restriction_entries:
        of_key = restricted.setdefault(f"{one.purpose_id}:{one.restriction_type}", [])
        of_key += ids(one.restrictions_range)
    publisher = getattr(read, "publisher_tc", None)
    return {
        "version": read.version,
        "created": round(read.created.replace(tzinfo=UTC).timestamp() * 1000),
        "lastUpdated": round(read.last_updated.replace(tzinfo=UTC).timestamp() * 1000),
        "cmpId": read.cmp_id,
        "cmpVersion": read.cmp_version,
        "consentScreen": read.consent_screen,
        "consentLanguage": read.consent_language.decode(),
        "vendorListVersion": read.vendor_list_version,
        "policyVersion": read.tcf_policy_version,
        "isServiceSpecific": read.is_service_specific,
        "specialFeatureOptins": those(read.special_features_optin),
        "purposeConsents": those(read.purposes_consent),
        "purposeLegitimateInterests": those(read.purposes_legitimate_interests),
        "purposeOneTreatment": read.purpose_one_treatment,
        "publisherCountryCode": read.publisher_cc.decode(),
        "vendorConsents": (
            ids(read.consented_vendors_range)
            if read.is_consent_range_encoding
            else those(read.consented_vendors)
        ),
        "vendorLegitimateInterests": (
            ids(read.interests_vendors_range)
            if read.is_interests_range_encoding
            else those(read.interests_vendors)
        ),
        "publisherRestrictions": restricted,
        "vendorsDisclosed": those(getattr(read, "oob_disclosed_vendors", {})),
        "publisherConsents": those(publisher.purposes_consent) if publisher else [],
        "publisherLegitimateInterests": (
            those(publisher.purposes_lit_transparency) if publisher else []
        ),
    }


def ours_says(text: str) -> Vector:
    """Ours in the same form: sets of vendors one by one."""
    says = tcf.plain(tcf.decode(text))
    for name in ("vendorConsents", "vendorLegitimateInterests", "vendorsDisclosed"):
        runs = says[name]
        assert isinstance(runs, list)
        says[name] = [one for first, last in runs for one in range(first, last + 1)]
    return says


def peer_refuses(decode: Callable[[str], object], text: str) -> bool:
    try:
        decode(text)
    except Exception:  # it has no error of its own
        return True
    return False
