"""What the world's consent platforms say: strings that can be read, and the tier that follows."""

from __future__ import annotations

import itertools
from collections import Counter
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads import openrtb
from ringwork.ads.viewers import viewer_of_bid
from ringwork.consent import gpp, gvl, tcf
from ringwork.consent.countries import GDPR_COUNTRIES
from ringwork.consent.gvl import VendorLists
from ringwork.consent.policy import judge
from ringwork.consent.signals import Reading, find
from ringwork.world.cast import OUTLETS
from ringwork.world.signals import (
    EEA,
    PURPOSES,
    US,
    VENDOR_ID,
    VENDOR_LIST,
    VENDOR_LIST_VERSION,
    gpp_string,
    sign,
    tc_string,
)
from ringwork.world.traffic import views

DAY = 20_700
NOW_MS = DAY * 86_400_000
LISTS = VendorLists()
LISTS.add(gvl.load(msgspec.json.encode(VENDOR_LIST)))


def tier_of(request: dict[str, object]) -> str:
    """What the platform makes of it, which meets it as bytes."""
    viewer = viewer_of_bid(openrtb.decode(msgspec.json.encode(request), []))
    findings = find(viewer.signals, NOW_MS, reading=Reading(vendor_id=VENDOR_ID), lists=LISTS)
    return judge(findings, None, where=viewer.where).tier


def signed(country: str, seed: int) -> dict[str, object]:
    request = {
        "id": "1",
        "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}],
        "device": {"geo": {"country": country}},
        "user": {"id": "u"},
    }
    sign(Random(seed), request, country, DAY)
    return request


def test_a_string_says_what_its_person_chose_and_counts():
    said = tcf.decode(tc_string("basic", DAY - 12))
    assert said.purpose_consents == (2, 7, 8, 9, 10, 11)
    assert (VENDOR_ID in said.vendor_consents, VENDOR_ID in said.vendors_disclosed) == (True, True)
    assert said.vendor_list_version == VENDOR_LIST_VERSION
    assert tcf.verdict(said, NOW_MS).valid
    refused = tcf.decode(tc_string("nothing", DAY - 12))
    assert (refused.purpose_consents, bool(refused.vendor_consents)) == ((), False)


@pytest.mark.parametrize("opted_out", [True, False])
def test_a_section_of_the_us_says_whether_its_person_opted_out(opted_out: bool):
    section = gpp.decode(gpp_string(opted_out=opted_out)).sections["usnat"]
    assert section["TargetedAdvertisingOptOut"] == (1 if opted_out else 2)
    assert section["Gpc"] is opted_out


def test_the_shares_are_of_a_hundred_and_each_string_has_its_purposes():
    assert sum(EEA.values()) == sum(US.values()) == 100
    assert PURPOSES.keys() == EEA.keys() - {"silent"}


@given(st.integers(min_value=0), st.sampled_from(["PRT", "DEU", "USA", "BRA"]))
def test_whatever_is_said_is_read_and_without_a_string_the_eea_is_general(seed: int, country: str):
    request = signed(country, seed)
    regs, user = request.get("regs", {}), request["user"]
    consent = user.get("consent") or user.get("ext", {}).get("consent", "")
    allowed = consent and tcf.decode(consent).purpose_consents
    is_general = country in GDPR_COUNTRIES and not allowed
    assert tier_of(request) == ("general" if is_general else "less-personalised")
    if country == "BRA":
        assert (regs, consent) == ({}, "")


def test_a_string_that_is_cut_off_permits_nothing():
    request = signed("PRT", 0)
    request["regs"], request["user"] = {"gdpr": 1}, {"consent": tc_string("all", DAY - 1)[:-9]}
    assert tier_of(request) == "general"


def test_a_days_requests_of_exchanges_have_the_worlds_shares():
    sequence = views(7, start_us=DAY * 86_400_000_000, per_day=20_000)
    found: Counter[str] = Counter()
    for view in itertools.islice(sequence, 6_000):
        if view.path != "/openrtb2/auction" or not view.body.endswith(b"}"):
            continue
        asked = msgspec.json.decode(view.body)
        if asked.get("site") == {"id": "both"} or "id" not in asked["imp"][0]:
            continue
        found[tier_of(asked)] += 1
    # An app's requests are all of exchanges, of a site's 78 in 100.
    by_exchange = {one.id: one.weight * (1 if one.is_app else 0.78) for one in OUTLETS}
    in_eea = 1 - by_exchange["porch"] / sum(by_exchange.values())
    expected = in_eea * (EEA["nothing"] + EEA["silent"]) / 100
    assert set(found) == {"general", "less-personalised"}
    assert found["general"] / found.total() == pytest.approx(expected, abs=0.035)
