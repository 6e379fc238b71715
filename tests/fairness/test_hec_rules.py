"""A targeting against the rules of special ads, and what is proposed instead."""

import math
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.fairness.hec.check import check
from ringwork.fairness.hec.rules import PRESETS, parse_rules, preset, rules_for
from ringwork.kernel.errors import Refused

US, CANADA = preset("united-states"), preset("canada")
BOTH = [US, CANADA]
AUSTIN = {"latitude": 30.27, "longitude": -97.74}


def found(targeting, **more):
    checked = check([US], targeting, **more)
    return {one.pointer: one for one in checked.violations}, checked.proposal


@pytest.mark.parametrize(
    ("targeting", "pointer", "rule"),
    [
        ({"age_min": 25}, "/targeting/age_min", "us/age"),
        ({"ages": ["25-34"]}, "/targeting/ages", "us/age"),
        ({"genders": ["female"]}, "/targeting/genders", "us/gender"),
        ({"zip_codes": ["78704"]}, "/targeting/zip_codes", "us/postal-code"),
        ({"lookalikes": ["buyers"]}, "/targeting/lookalikes", "us/look-alike"),
        ({"special_ad_audiences": ["x"]}, "/targeting/special_ad_audiences", "us/look-alike"),
        ({"audiences": ["vip"]}, "/targeting/audiences/0", "us/audience"),
        ({"excluded": {"audiences": ["vip"]}}, "/targeting/excluded/audiences/0", "us/audience"),
        ({"categories": ["483", "455"]}, "/targeting/categories/1", "us/affinity"),
        ({"interests": ["Black history"]}, "/targeting/interests/0", "us/audience"),
        ({"key_values": {"user_age": ["25"]}}, "/targeting/key_values/user_age", "us/personal-key"),
        ({"key_values": {"zipCode": ["1"]}}, "/targeting/key_values/zipCode", "us/personal-key"),
        ({"star_sign": ["leo"]}, "/targeting/star_sign", "us/unlisted"),
        ({"places": [{**AUSTIN, "radius_miles": 14.9}]}, "/targeting/places/0", "us/small-area"),
        ({"places": [AUSTIN]}, "/targeting/places/0", "us/small-area"),
    ],
)
def test_what_is_forbidden_is_named_with_its_rule_and_leaves_the_proposal(targeting, pointer, rule):
    violations, proposal = found(targeting)
    assert violations[pointer].rule == rule
    assert len(violations) == 1
    for said in (violations[pointer].found, violations[pointer].allowed):
        assert said
        assert said in violations[pointer].detail
    assert check([US], proposal).violations == ()


@pytest.mark.parametrize(
    "targeting",
    [
        {},
        {"sites": ["news.example"], "regions": ["USA-TX"], "hours": [7], "device_types": ["phone"]},
        {"age_min": 18, "genders": ["all"], "ages": [], "postal_codes": None},
        {
            "places": [{**AUSTIN, "radius_miles": 15}],
            "cities": [{"name": "Austin", "radius_km": 25}],
        },
        {"key_values": {"section": ["homes"], "page": ["2"]}, "categories": ["483"]},
        {"excluded": {"regions": ["USA-CA"], "sites": ["x.example"]}},
    ],
)
def test_what_is_allowed_stays_as_it_is(targeting):
    violations, proposal = found(targeting)
    assert violations == {}
    assert proposal == targeting


def test_a_pin_inside_a_larger_area_does_not_help():
    targeting = {"regions": ["USA-TX"], "places": [{**AUSTIN, "radius_km": 5}]}
    violations, proposal = found(targeting)
    assert violations["/targeting/places/0"].found == "a radius of 5000 m"
    assert proposal["places"] == [{**AUSTIN, "radius_m": 24140}]


def test_fifteen_miles_are_the_least_radius_by_hand():
    assert math.isclose(15 * 1609.344, US.minimum_radius_m, abs_tol=0.2)  # 24,140.16 m


def test_a_small_excluded_area_is_not_excluded_any_more():
    targeting = {"excluded": {"places": [{**AUSTIN, "radius_km": 3}, {**AUSTIN, "radius_km": 60}]}}
    violations, proposal = found(targeting)
    assert list(violations) == ["/targeting/excluded/places/0"]
    assert proposal["excluded"]["places"] == [{**AUSTIN, "radius_km": 60}]


def test_large_exclusions_must_not_carve_a_small_area_out():
    """Two circles of one centre: of 40 km what lies beyond 30 km is 2,199 km2, beyond 39 km 248."""
    least_km2 = math.pi * 24.14**2
    assert math.pi * (40**2 - 30**2) > least_km2 > math.pi * (40**2 - 39**2)
    around = {**AUSTIN, "radius_km": 40}
    lawful = {"places": [around], "excluded": {"places": [{**AUSTIN, "radius_km": 30}]}}
    carved = {"places": [around], "excluded": {"places": [{**AUSTIN, "radius_km": 39}]}}
    assert found(lawful)[0] == {}
    violations, proposal = found(carved)
    assert violations["/targeting/places/0"].found == "248 km2 after what is excluded"
    assert found(proposal)[0] == {}


def test_an_audience_becomes_pages_about_its_topics_but_none_that_stand_for_a_group():
    targeting = {"audiences": ["interest:483", "interest:455", "diyers", "vip"]}
    topics = {"diyers": ["Gardening", "Black history"]}
    violations, proposal = found(targeting, audience_topics=topics)
    assert proposal == {"audiences": [], "categories": ["483", "Gardening"]}
    assert (
        violations["/targeting/audiences/0"].replacement == "pages about 483 (targeting.categories)"
    )
    assert violations["/targeting/audiences/3"].replacement == "leave it out"


@pytest.mark.parametrize(
    ("code", "region"),
    [("78704", "USA-TX"), ("10001-1234", "USA-NY"), ("02139", "USA-MA"), ("20500", "USA-DC"),
     ("73301", "USA-TX"), ("00501", "USA-NY"), ("99999", "USA-AK"), ("7870", ""), ("00000", "")],
)  # fmt: skip
def test_a_zip_code_lies_in_the_state_that_the_post_says(code, region):
    assert US.postal_regions.region_of(code) == region


def test_a_canadian_postal_code_lies_in_its_province_and_no_race_proxy_is_there():
    assert CANADA.postal_regions.region_of("M5V 2T6") == "CAN-ON"
    assert CANADA.postal_regions.region_of("X1A 1A1") == ""  # of two territories
    assert not CANADA.race_proxy.available
    assert "table" in CANADA.race_proxy.why
    assert US.race_proxy.available


def test_rules_hold_where_an_ad_may_show():
    names = lambda targeting: [one.name for one in rules_for(BOTH, targeting)]  # noqa: E731
    assert names({}) == list(PRESETS)
    assert names({"regions": ["USA-TX"]}) == ["united-states"]
    assert names({"countries": ["CAN"], "regions": ["PRT"]}) == ["canada"]
    assert names({"regions": ["PRT"]}) == []
    assert check(BOTH, {"regions": ["PRT"], "genders": ["female"]}).violations == ()
    assert {one.rule for one in check(BOTH, {"genders": ["female"]}).violations} == {
        "us/gender", "ca/gender"}  # fmt: skip


def test_every_rule_names_a_dated_source():
    for rules in BOTH:
        for rule in rules.rules:
            source = rules.source_of(rule)
            assert source.title
            assert source.date <= rules.date <= date(2027, 1, 1)


MEMBERS = st.sampled_from(
    ["age_min", "genders", "postal_codes", "places", "audiences", "lookalikes", "key_values",
     "categories", "regions", "star_sign", "interests", "sites"]
)  # fmt: skip
CIRCLES = st.lists(
    st.fixed_dictionaries(
        {"latitude": st.floats(-80, 80), "longitude": st.floats(-180, 180)},
        optional={"radius_km": st.floats(0, 200)},
    ),
    max_size=3,
)
VALUES = {
    "age_min": st.integers(0, 99),
    "genders": st.lists(st.sampled_from(["female", "male", "all"]), max_size=2),
    "postal_codes": st.lists(st.from_regex(r"[0-9]{5}", fullmatch=True), max_size=3),
    "places": CIRCLES,
    "audiences": st.lists(st.sampled_from(["vip", "interest:483", "interest:455"]), max_size=3),
    "lookalikes": st.lists(st.text(max_size=5), max_size=2),
    "key_values": st.dictionaries(st.sampled_from(["age", "section", "zip", "p"]), st.just(["x"])),
    "categories": st.lists(st.sampled_from(["483", "455", "Ramadan", "Cars"]), max_size=3),
    "regions": st.lists(st.sampled_from(["USA-TX", "USA", "CAN-ON"]), max_size=2),
    "star_sign": st.lists(st.text(max_size=3), max_size=2),
    "interests": st.lists(st.sampled_from(["Gardening", "Latino"]), max_size=2),
    "sites": st.lists(st.just("news.example"), max_size=1),
}
TARGETINGS = st.fixed_dictionaries({}, optional=VALUES)


@given(TARGETINGS, TARGETINGS)
def test_a_proposal_is_lawful_and_changes_nothing_that_was(targeting, excluded):
    asked = {**targeting, "excluded": excluded} if excluded else targeting
    before = repr(asked)
    checked = check(BOTH, asked)
    assert repr(asked) == before
    assert check(BOTH, checked.proposal).violations == ()
    if not checked.violations:
        assert checked.proposal == asked
    assert checked.proposal.get("sites") == asked.get("sites")


@pytest.mark.parametrize(
    ("targeting", "pointer"),
    [
        ({"places": "Austin"}, "/targeting/places"),
        ({"places": [7]}, "/targeting/places/0"),
        ({"places": [{"radius_km": "5"}]}, "/targeting/places/0/radius_km"),
        ({"places": [{"radius_km": float("nan")}]}, "/targeting/places/0/radius_km"),
        ({"places": [{"radius_km": 10**400}]}, "/targeting/places/0/radius_km"),
        ({"regions": "USA-TX", "genders": ["female"]}, "/targeting/regions"),
        ({"countries": 7}, "/targeting/countries"),
        ({"sites": [[[[[[[[[["deep"]]]]]]]]]]}, "/targeting"),
        ({"audiences": "vip"}, "/targeting/audiences"),
        ({"audiences": ["a"] * 1001}, "/targeting/audiences"),
        ({"key_values": ["age"]}, "/targeting/key_values"),
        ({"excluded": ["a"]}, "/targeting/excluded"),
    ],
)
def test_what_is_no_targeting_is_refused_with_a_pointer(targeting, pointer):
    with pytest.raises(Refused) as refused:
        check([US], targeting)
    assert [one.pointer for one in refused.value.errors] == [pointer]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("source: fha", "source: nobody"), "expected a source among"),
        (("minimum_radius_m: 24140", "minimum_radius_m: -1"), "minimum_radius_m"),
        (("kind: postal", "kind: stars"), "kind"),
        (('pattern: "^[0-9]{5}', 'pattern: "^([0-9]{5}'), "postal_regions.pattern"),
        (("name: united-states", "nmea: x"), "nmea"),
    ],
)
def test_rules_that_are_not_valid_say_where(change, said):
    from importlib.resources import files  # noqa: PLC0415

    text = (files("ringwork.fairness") / "presets" / "rules" / "united-states.yaml").read_text()
    assert change[0] in text
    with pytest.raises(Refused, match=said) as refused:
        parse_rules(text.replace(*change, 1).encode(), where="mine.yaml")
    assert refused.value.slug == "rules-invalid"
    with pytest.raises(Refused, match="united-states, canada"):
        preset("atlantis")
