"""What a page says of consent is passed on as it is, and never more loosely than it was said."""

from __future__ import annotations

import json
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads import openrtb
from ringwork.ads.exchange.signals import passed_of_page, unclear
from ringwork.ads.exchange.strings import Unreadable, choices_of, sections_of
from ringwork.ads.viewers import PageSignals, signals_of_bid, signals_of_page
from ringwork.kernel.viewer import Signals
from tests.ads.exchange.market import request_to

TC = "CQU3Rh-QU3Rh-EIATMENBlFoAC5gAAKgAJAgAAAAAAAA.IMgQAYAAgyAA"
OTHER_TC = "CQQOfpYQQOfpYBHAKGENBlFoANkgAAPAAAAAAKN9CkAEQEAQAAAA.IMgQAYAAgyAA"
TCF_IN_GPP = "DBABMA~"
US_IN_GPP = "DBABTA~"


def bits_of(*parts: tuple[int, int]) -> str:
    """Numbers of so many bits each as base64url, by hand."""
    bits = "".join(format(number, f"0{width}b") for number, width in parts)
    bits += "0" * (-len(bits) % 6)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return "".join(alphabet[int(bits[at : at + 6], 2)] for at in range(0, len(bits), 6))


def tc_of(*vendors: tuple[int, int], purposes: int = 0b11 << 22) -> str:
    """A TC string that consents to purposes and whose other vendor sections are empty."""
    return bits_of(
        (2, 6), (7, 36), (7, 36), (1, 12), (1, 12), (1, 6), (0, 12), (101, 12), (5, 6), (1, 1), (0, 1),
        (0, 12), (purposes, 24), (0, 24), (0, 1), (0, 12), *vendors, (0, 16), (0, 1), (0, 12),
    )  # fmt: skip


AS_BITS = tc_of((4, 16), (0, 1), (0b1110, 4))
AS_RANGE = tc_of((4, 16), (1, 1), (1, 12), (1, 1), (1, 16), (3, 16))
AS_RANGES = tc_of((4, 16), (1, 1), (2, 12), (0, 1), (3, 16), (1, 1), (1, 16), (2, 16))


def regulated(**members: object) -> dict:
    """What a bidder is sent of a page's signals."""
    page = PageSignals(**members)
    unclear(page)
    request = json.loads(request_to(passed_on=passed_of_page(page, signals_of_page(page, ()))).body)
    return {name: request[name] for name in ("regs", "user") if name in request}


def test_every_signal_by_hand() -> None:
    gpp = f"{TCF_IN_GPP}{TC}"
    given = {
        "coppa": 0,
        "gdpr": 1,
        "tc": TC,
        "gpp": gpp,
        "gpp_sid": [2],
        "us_privacy": "1YNN",
        "gpc": 1,
    }
    assert regulated(**given) == {
        "regs": {
            "coppa": 0, "gdpr": 1, "us_privacy": "1YNN", "gpp": gpp, "gpp_sid": [2],
            "ext": {"gpc": "1"},
        },
        "user": {"consent": TC},
    }  # fmt: skip


def test_what_is_not_said_is_not_sent() -> None:
    assert regulated() == {}
    assert regulated(tc=TC) == {"user": {"consent": TC}}
    assert regulated(gpc=0) == {}


@pytest.mark.parametrize(
    ("gdpr", "sections", "sent"),
    [(0, [2], 1), (0, [6], 0), (None, [2], None), (1, [6], 1), (0, [], 0)],
)
def test_the_gdpr_applies_where_either_says_so(gdpr, sections, sent) -> None:
    gpp = {2: f"{TCF_IN_GPP}{TC}", 6: f"{US_IN_GPP}1YNN"}
    members = {"gpp": gpp[sections[0]], "gpp_sid": sections} if sections else {}
    assert regulated(gdpr=gdpr, **members).get("regs", {}).get("gdpr") == sent
    request = openrtb.BidRequest(regs=openrtb.structs.Regs(gdpr=gdpr, gpp_sid=sections))
    assert signals_of_bid(request).gdpr == sent


@pytest.mark.parametrize("gpc", [None, 0])
def test_a_browser_that_opts_out_does_so_whatever_the_page_says(gpc) -> None:
    headers = [(b"user-agent", b"x"), (b"sec-gpc", b"1")]
    assert signals_of_page(PageSignals(gpc=gpc), headers) == Signals(gpc=True)
    assert signals_of_page(PageSignals(gpc=gpc), [(b"sec-gpc", b"0")]) == Signals()
    assert signals_of_bid(openrtb.BidRequest(), headers) == Signals(gpc=True)


@pytest.mark.parametrize("value", ["1", 1])
def test_the_gpc_of_a_bid_request_is_passed_on(value) -> None:
    regs = openrtb.structs.Regs(ext=openrtb.structs.RegsExt(gpc=value))
    assert signals_of_bid(openrtb.BidRequest(regs=regs)).gpc is True


@pytest.mark.parametrize(("one", "two"), list(product((AS_BITS, AS_RANGE, AS_RANGES), repeat=2)))
def test_the_same_choices_in_other_bits_are_no_contradiction(one, two) -> None:
    assert choices_of(one).vendor_consents == ((1, 3),)
    assert unclear(PageSignals(tc=one, gpp=f"{TCF_IN_GPP}{two}", gpp_sid=[2])) == []


CONTRADICTIONS = {
    "other purposes": ({"tc": OTHER_TC, "gpp": f"{TCF_IN_GPP}{TC}"}, "/signals/tc"),
    "other vendors": (
        {"tc": AS_BITS, "gpp": TCF_IN_GPP + tc_of((4, 16), (0, 1), (0b1111, 4))}, "/signals/tc",
    ),
    "another sale": ({"us_privacy": "1YYN", "gpp": f"{US_IN_GPP}1YNN"}, "/signals/us_privacy"),
    "sections of no string": ({"gpp_sid": [2]}, "/signals/gpp_sid"),
    "sections that it lacks": ({"gpp": f"{US_IN_GPP}1YNN", "gpp_sid": [6, 7]}, "/signals/gpp_sid"),
    "a section and none": ({"gpp": f"{US_IN_GPP}1YNN", "gpp_sid": [6, -1]}, "/signals/gpp_sid"),
    "a string of another kind": ({"gpp": TC.replace("C", "D", 1)}, "/signals/gpp"),
    "fewer sections than announced": ({"gpp": "DBABMA"}, "/signals/gpp"),
    "what cannot be compared": ({"tc": "CQ", "gpp": f"{TCF_IN_GPP}{TC}"}, "/signals/tc"),
}  # fmt: skip


@pytest.mark.parametrize(("members", "pointer"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_what_contradicts_is_named(members, pointer) -> None:
    found = unclear(PageSignals(**members))
    assert [one.pointer for one in found] == [pointer]
    page = PageSignals(**members)
    signals = passed_of_page(page, signals_of_page(page, ()))
    assert signals.unclear.startswith(pointer)
    assert "expected" in signals.unclear


@pytest.mark.parametrize("sections", [[-1], [0]])
def test_that_no_section_applies_is_passed_on(sections) -> None:
    assert regulated(gpp="DBAA", gpp_sid=sections)["regs"] == {"gpp": "DBAA", "gpp_sid": sections}


TEXT = st.text("ABCDMZaz09-_.~", max_size=60)


@given(TEXT)
def test_any_text_is_read_or_is_none(text: str) -> None:
    for read in (sections_of, choices_of):
        for one in (text, f"DBA{text}", f"C{text}", TC[:30] + text):
            try:
                read(one)
            except Unreadable as problem:
                assert str(problem)


def test_a_few_bytes_that_announce_millions_are_cheap() -> None:
    vendors = choices_of(tc_of((65_535, 16), (1, 1), (1, 12), (1, 1), (1, 16), (65_535, 16)))
    assert vendors.vendor_consents == ((1, 65_535),)
    with pytest.raises(Unreadable, match="at most 100 sections"):
        # One range: from section 1 on, 4,181 more.
        sections_of(bits_of((3, 6), (1, 6), (1, 12), (1, 1), (0b11, 2), (0b11, 18)))
