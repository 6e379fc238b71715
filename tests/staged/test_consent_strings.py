"""Official consent strings, read as far as two of them are compared."""

import json

from ringwork.ads.exchange.strings import Runs, choices_of, sections_of


def lines(staged_data, name):
    return map(json.loads, (staged_data / "ads" / "consent" / name).read_text().splitlines())


def numbers(bits: str) -> list[int]:
    return [number for number, bit in enumerate(bits, 1) if bit == "1"]


def ranges(runs: Runs) -> list[list[int]]:
    return [list(run) for run in runs]


def test_the_sections_of_every_official_gpp_string(staged_data):
    vectors = list(lines(staged_data, "gpp_vectors.jsonl"))
    assert len(vectors) == 300
    for one in vectors:
        assert list(sections_of(one["gpp"])) == one["sectionIds"], one["gpp"]


def test_the_choices_of_every_official_tc_string(staged_data):
    vectors = list(lines(staged_data, "tcf_vectors.jsonl"))
    assert len(vectors) == 250
    for one in vectors:
        found = choices_of(one["tc"])
        assert numbers(found.special_features) == one["specialFeatureOptins"]
        assert numbers(found.purpose_consents) == one["purposeConsents"]
        assert numbers(found.purpose_interests) == one["purposeLegitimateInterests"]
        assert ranges(found.vendor_consents) == one["vendorConsents"]
        assert ranges(found.vendor_interests) == one["vendorLegitimateInterests"]
        restricted = {
            f"{purpose}:{kind}": [id for first, last in runs for id in range(first, last + 1)]
            for purpose, kind, runs in found.restrictions
        }
        assert restricted == one["publisherRestrictions"]
