"""TC, GPP, US Privacy and vendor lists: edge cases, round trips, mutations, and what they add up to."""

import json
import random
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.consent import SignalError, addtl, gpp, gvl, tcf, us_privacy
from ringwork.consent.bits import text_of
from ringwork.consent.explain import explain
from ringwork.consent.gvl import Declared
from ringwork.consent.signals import Findings, Reading, Signals, find
from ringwork.consent.vendors import Vendors

VECTORS = Path(__file__).parents[1] / "vectors" / "tcf_edge_cases.jsonl"
CASES = [json.loads(line) for line in VECTORS.read_text().splitlines()]
NOW_MS = 1_780_272_000_000
PLAIN = CASES[0]["tc"]
EVERY = sum(1 << (24 - purpose) for purpose in range(1, 12))
BY_CONSENT, BY_INTEREST = Declared(EVERY, 0, 0, 0), Declared(0, EVERY, 0, 0)
OURS = Reading(vendor_id=20)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_edge_cases_have_their_verdict_and_reason(case):
    try:
        read = tcf.decode(case["tc"])
    except SignalError as error:
        assert (False, error.reason) == (case["valid"], case["reason"])
        return
    verdict = tcf.verdict(read, case["now_ms"])
    assert verdict.valid == case["valid"]
    if not verdict.valid:
        assert verdict.reason == case["reason"]
        return
    permitted = tcf.permissions(read, case["vendor"], BY_CONSENT, case["now_ms"])
    assert case["reason"] in ("", *verdict.notes, *permitted.notes)
    assert list(permitted.by_consent) == case["consented_purposes"]
    if "li_purposes" in case:
        permitted = tcf.permissions(read, case["vendor"], BY_INTEREST, case["now_ms"])
        assert list(permitted.by_interest) == case["li_purposes"]


# ---- both ways ------------------------------------------------------------------------------------
numbers = st.sets(st.integers(1, 24)).map(lambda found: tuple(sorted(found)))
vendors = st.sets(st.integers(1, 70), max_size=40)


def runs_of(ids):
    return [(id, id) for id in ids]


@given(numbers, numbers, vendors, vendors, vendors, st.booleans())
def test_what_is_written_is_read_again(consents, interests, one, two, shown, treated):
    base = tcf.decode(PLAIN)
    made = msgspec.structs.replace(
        base,
        purpose_consents=consents,
        purpose_legitimate_interests=interests,
        vendor_consents=Vendors.of(runs_of(one)),
        vendor_legitimate_interests=Vendors.of(runs_of(two)),
        vendors_disclosed=Vendors.of(runs_of(shown)),
        purpose_one_treatment=treated,
    )
    read = tcf.decode(tcf.encode(made))
    assert tcf.plain(read) == tcf.plain(made)
    for id in range(1, 72):
        assert read.vendor_consents.has(id) == (id in one)
        permitted = tcf.permissions(read, id, BY_CONSENT, NOW_MS)
        expected = [p for p in consents if p <= 11] if id in one and id in shown else []
        assert list(permitted.by_consent) == expected


@given(st.text("YN-", min_size=3, max_size=3))
def test_us_privacy_is_written_as_it_is_read(letters):
    text = f"1{letters}"
    read = us_privacy.decode(text)
    assert us_privacy.encode(read) == text
    assert read.opt_out_sale == letters[1]


@given(st.lists(st.integers(1, 999_999), max_size=5), st.lists(st.integers(1, 9), max_size=5))
def test_additional_consent_is_written_as_it_is_read(consents, disclosed):
    for made in (
        addtl.AdditionalConsent(1, tuple(consents)),
        addtl.AdditionalConsent(2, tuple(consents), tuple(disclosed)),
    ):
        assert addtl.decode(addtl.encode(made)) == made


# ---- no bytes are a bug ---------------------------------------------------------------------------
SEEDS = (PLAIN, "DBABMA~" + PLAIN, "DBABTA~1YNN", "DBABRg~BQkAABA", "DBABCw~BAKAAAQA.QA", "1YNN")
DECODERS = (tcf.decode, gpp.decode, us_privacy.decode, addtl.decode)


def mutated(rng, text):
    letters = list(text)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(letters)) if letters else 0
        match rng.randrange(4):
            case 0 if letters:
                letters[at] = rng.choice("ABCQgw09-_.~+ \x00é")
            case 1 if letters:
                del letters[at:]
            case 2:
                letters[at:at] = letters[: rng.randrange(60)]
            case _:
                letters[at:at] = rng.choice("~.AAAA__")
    return "".join(letters)


def test_mutated_strings_are_read_or_refused_by_name_and_never_permit_more():
    rng = random.Random(5)
    read = 0
    for _ in range(4_000):
        text = mutated(rng, rng.choice(SEEDS))
        for decode in DECODERS:
            try:
                decode(text)
                read += 1
            except SignalError as error:
                assert error.reason
                assert 0 <= error.bit <= 6 * len(text) + 6
        found = find(Signals(tc=text, gpp=text, us_privacy=text), NOW_MS, reading=OURS)
        assert isinstance(found, Findings)
    assert read > 100, "or nothing but refusals was tried"


@given(st.text(max_size=80))
def test_any_text_is_no_error_of_a_request(text):
    found = find(Signals(gdpr=1, tc=text, gpp=text, us_privacy=text), NOW_MS, reading=OURS)
    assert found.tcf is None, "no short text permits anything"
    assert not found.measurement_allowed


def test_a_string_of_nothing_but_ranges_costs_no_more_than_its_length():
    text = PLAIN.split(".")[0][:36] + "_" * 32_000
    with pytest.raises(SignalError):
        tcf.decode(text)
    with pytest.raises(SignalError, match="longer than 32768"):
        tcf.decode("C" * 32_769)


def test_restrictions_beyond_one_of_each_kind_are_refused_at_their_count():
    core = bits_of(PLAIN.split(".")[0])[:213] + "0" * 34

    def text(count):
        return text_of(core + f"{count:012b}" + ("000001" + "00" + "0" * 12) * count, 24)

    assert len(tcf.decode(text(256)).publisher_restrictions) == 256
    with pytest.raises(SignalError, match="too many restrictions") as refused:
        tcf.decode(text(257))
    assert refused.value.bit == 247


def bits_of(text):
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return "".join(f"{letters.index(one):06b}" for one in text)


def test_a_header_that_goes_on_for_ever_is_not_read():
    assert gpp.split("DBABMA" + "A" * 1_018 + "~x")[2].text == "x"
    with pytest.raises(SignalError, match="header longer than 1024"):
        gpp.split("DBABMA" + "A" * 1_019 + "~x")
    with pytest.raises(SignalError, match="header type 2"):
        gpp.split("C" * 2_000)


def test_the_first_character_of_no_alphabet_is_named():
    core, shown = PLAIN.split(".")
    for text, at in (
        (core[:9] + "+" + core[10:], 9),
        (f"{core}.{shown[:3]}\xe9/", len(core) + 4),
    ):
        with pytest.raises(SignalError, match="not base64url") as refused:
            tcf.decode(text)
        assert refused.value.bit == 6 * at


# ---- what they add up to --------------------------------------------------------------------------
def found(reading=OURS, **members):
    return find(Signals(**members), NOW_MS, reading=reading)


def test_a_consenting_european():
    says = found(gdpr=1, tc=PLAIN)
    assert says.gdpr_applies
    assert says.storage_allowed
    assert says.measurement_allowed
    assert says.tcf.by_consent == tuple(range(1, 12))
    assert (says.us_opt_outs, says.child, says.limit) == ((), False, False)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({}, "tc-missing"),
        ({"tc": "CQ"}, "tc-unreadable:truncated"),
        ({"tc": CASES[7]["tc"]}, "tc-invalid:IsServiceSpecific = 0"),
        ({"gpp": "DBABMA~CQ"}, "tc-unreadable:truncated"),
        ({"gpp": "DBABMA"}, "gpp-unreadable"),
        ({"gpp_sid": (2,)}, "tc-missing:tcfeuv2"),
    ],
)
def test_without_a_string_that_counts_nothing_is_permitted(members, reason):
    says = found(gdpr=1, **members)
    assert says.tcf is None
    assert not says.storage_allowed
    assert not says.measurement_allowed
    assert any(one.startswith(reason) for one in says.reasons), says.reasons


def test_without_a_vendor_id_of_ours_no_string_permits_anything():
    says = found(reading=Reading(), gdpr=1, tc=PLAIN)
    assert says.tcf is None
    assert "tcf-no-vendor-id" in says.reasons


def test_of_two_strings_what_both_permit_is_left():
    other = CASES[24]["tc"]  # forbids purpose 4
    says = found(gdpr=1, tc=PLAIN, gpp=f"DBABMA~{other}")
    assert 4 not in says.tcf.by_consent
    assert 3 in says.tcf.by_consent
    assert "tc-differs" in says.reasons


@pytest.mark.parametrize(
    ("members", "applies"),
    [
        ({"gdpr": 1, "country": "USA"}, True),
        ({"gdpr": 0, "country": "DEU"}, False),
        ({"gdpr": 0, "gpp_sid": (2,)}, True),
        ({"country": "PRT"}, True),
        ({"country": "pt"}, True),
        ({"country": "USA"}, False),
        ({}, True),
    ],
)
def test_whether_the_gdpr_applies(members, applies):
    assert found(**members).gdpr_applies == applies


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"us_privacy": "1YYN"}, "us-privacy-opt-out"),
        ({"us_privacy": "1Y"}, "us-privacy-unreadable:2 characters"),
        ({"gpc": True}, "gpc"),
        ({"gpp": "DBABTA~1YYN"}, "us-privacy-opt-out"),
        ({"gpp": "DBABRg~BQkAABA"}, "us-targeted-advertising-opt-out:usva"),
        ({"gpp": "DBABRg~B"}, "us-section-unreadable:usva"),
        ({"gpp": "DBABRg~BQkAABA", "gpp_sid": (7,)}, "us-section-missing:usnat"),
        ({"gpp": "?", "gpp_sid": (9,)}, "gpp-unreadable"),
    ],
)
def test_opting_out_in_the_us(members, reason):
    says = found(gdpr=0, **members)
    assert any(one.startswith(reason) for one in says.us_opt_outs), says.us_opt_outs


def test_who_has_not_opted_out_has_not():
    assert found(gdpr=0, us_privacy="1YNN", gpp="DBABCw~BAKAAAQA.QA").us_opt_outs == ()


@pytest.mark.parametrize(
    ("members", "child", "limit"),
    [({"coppa": 1}, True, False), ({"lmt": 1}, False, True), ({"dnt": 1}, False, True), ({}, False, False)],
)  # fmt: skip
def test_children_and_limits(members, child, limit):
    says = found(gdpr=0, **members)
    assert (says.child, says.limit) == (child, limit)
    assert says.precise_geo_allowed == (not child and not limit)


# ---- vendor lists ---------------------------------------------------------------------------------
def list_of(**vendor):
    return {
        "gvlSpecificationVersion": 3,
        "vendorListVersion": 7,
        "tcfPolicyVersion": 5,
        "vendors": {"20": {"id": 20, "name": "V", **vendor}},
    }


def test_a_list_is_read_and_judges_by_default_bases():
    loaded = gvl.load(
        json.dumps(list_of(purposes=[1, 3], legIntPurposes=[2, 7], flexiblePurposes=[7])).encode()
    )
    permitted = tcf.permissions(tcf.decode(PLAIN), 20, loaded, NOW_MS)
    assert permitted.by_consent == (1, 3)
    assert tcf.permissions(tcf.decode(PLAIN), 21, loaded, NOW_MS).notes == (
        "vendor 21 not in the vendor list",
    )
    lists = gvl.VendorLists([loaded])
    assert lists.numbers() == [7]
    assert lists.declared(7, 20) == gvl.declared_by(loaded.vendor(20))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"[]", "no vendor list"),
        (b"{", "no vendor list"),
        (json.dumps({**list_of(), "gvlSpecificationVersion": 2}).encode(), "specification 2"),
        (json.dumps(list_of(legIntPurposes=[3])).encode(), r"vendors/20: legIntPurposes \[3\]"),
        (json.dumps(list_of(purposes=[2], legIntPurposes=[2])).encode(), "on two bases"),
        (json.dumps(list_of(flexiblePurposes=[9])).encode(), "flexiblePurposes"),
        (json.dumps({**list_of(), "vendors": {"1": {"id": 2, "name": ""}}}).encode(), "id 2"),
    ],
)
def test_a_list_that_is_none_is_refused_by_its_member(body, says):
    with pytest.raises(SignalError, match=says):
        gvl.load(body)


# ---- for people -----------------------------------------------------------------------------------
def test_macros_are_filled_with_what_is_known():
    url = "https://a.example/?g=${GDPR}&c=${GDPR_CONSENT_20}&p=${GPP_STRING_20}&u=${US_PRIVACY}"
    assert tcf.expand(url, gdpr_applies=True, tc="CQ", us_privacy="1YNN") == (
        "https://a.example/?g=1&c=CQ&p=&u=1YNN"
    )


@pytest.mark.parametrize("text", [*SEEDS, "2~1.35~dv.9"])
def test_every_kind_is_explained(text):
    told = explain(text, now_ms=NOW_MS, vendor_id=20)
    assert len(told.lines) >= 2
    assert all(line.field for line in told.lines)
    msgspec.json.encode(told.decoded)
