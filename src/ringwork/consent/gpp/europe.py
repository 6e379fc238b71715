"""The TCF section of the GPP: a TC string, written by another rule and with other names."""

from __future__ import annotations

from datetime import UTC, datetime

from ringwork.consent.bits import text_of, written
from ringwork.consent.tcf.string import (
    DISCLOSED_VENDORS,
    TcString,
    core_head,
    publisher_bits,
)
from ringwork.consent.vendors import Vendors, write_field, write_runs


def encode_europe(tc: TcString) -> str:
    """Write the section as @iabgpp/cmpapi does: all three segments, even where they are empty."""
    core = (
        core_head(tc)
        + _write_vendors(tc.vendor_consents)
        + _write_vendors(tc.vendor_legitimate_interests)
        + written(len(tc.publisher_restrictions), 12, "number of restrictions")
    )
    for one in tc.publisher_restrictions:
        core += written(one.purpose_id, 6, "purpose") + written(one.restriction_type, 2, "type")
        core += write_runs(one.vendors.runs or one.vendors.ranges())
    disclosed = f"{DISCLOSED_VENDORS:03b}" + _write_vendors(tc.vendors_disclosed)
    return ".".join(text_of(bits, 24) for bits in (core, disclosed, publisher_bits(tc)))


def _write_vendors(vendors: Vendors) -> str:
    """The range where its bits, the count included, are not more than the largest id."""
    runs = vendors.ranges()
    max_id = runs[-1][1] if runs else 0
    ranges = write_runs(runs)
    is_range = len(ranges) <= max_id
    return (
        written(max_id, 16, "vendor")
        + str(int(is_range))
        + (ranges if is_range else write_field(runs))
    )


def plain_europe(tc: TcString) -> dict[str, object]:
    """The section under the GPP's names, for JSON."""

    def bits(numbers: tuple[int, ...], width: int) -> list[bool]:
        return [number in numbers for number in range(1, width + 1)]

    count = tc.num_custom_purposes
    return {
        "Version": tc.version,
        "Created": _iso(tc.created),
        "LastUpdated": _iso(tc.last_updated),
        "CmpId": tc.cmp_id,
        "CmpVersion": tc.cmp_version,
        "ConsentScreen": tc.consent_screen,
        "ConsentLanguage": tc.consent_language,
        "VendorListVersion": tc.vendor_list_version,
        "PolicyVersion": tc.policy_version,
        "IsServiceSpecific": tc.is_service_specific,
        "UseNonStandardStacks": tc.use_non_standard_texts,
        "SpecialFeatureOptins": bits(tc.special_feature_optins, 12),
        "PurposeConsents": bits(tc.purpose_consents, 24),
        "PurposeLegitimateInterests": bits(tc.purpose_legitimate_interests, 24),
        "PurposeOneTreatment": tc.purpose_one_treatment,
        "PublisherCountryCode": tc.publisher_country_code,
        "VendorConsents": tc.vendor_consents.ids(),
        "VendorLegitimateInterests": tc.vendor_legitimate_interests.ids(),
        "PublisherRestrictions": [
            {
                "purposeId": one.purpose_id,
                "restrictionType": one.restriction_type,
                # Ranges, because a few bytes can announce millions.
                "vendors": [list(run) for run in one.vendors.ranges()],
            }
            for one in tc.publisher_restrictions
        ],
        "PublisherPurposesSegmentType": 3,
        "PublisherConsents": bits(tc.publisher_consents, 24),
        "PublisherLegitimateInterests": bits(tc.publisher_legitimate_interests, 24),
        "NumCustomPurposes": count,
        "PublisherCustomConsents": bits(tc.publisher_custom_consents, count),
        "PublisherCustomLegitimateInterests": bits(tc.publisher_custom_legitimate_interests, count),
        "VendorsAllowedSegmentType": 2,
        "VendorsAllowed": [],
        "VendorsDisclosedSegmentType": 1,
        "VendorsDisclosed": tc.vendors_disclosed.ids(),
    }


def _iso(ms: int) -> str:
    seconds, rest = divmod(ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"
