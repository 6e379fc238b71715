"""Every bid of a response competes or is refused with its loss code, whatever the bytes are."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.exchange import ExchangeSettings, PassedOn
from ringwork.ads.exchange.inbound import BIDS_MAX, read
from ringwork.ads.exchange.worth import Worth
from ringwork.ads.model import Context, DurationFloor, Slot
from ringwork.ads.openrtb.structs import Dsa
from ringwork.ads.openrtb.terms import Rates
from tests.ads.exchange.market import (
    BANNER,
    VAST,
    VIDEO,
    ask,
    bid,
    bidder,
    reply,
    request_to,
    video_bid,
)

BLOCKING = Context(site="n.example", blocked_categories=("26",), blocked_domains=("bad.example",))


def reasons(body: bytes, *args, **members) -> list[int]:
    answer = read(body, request_to(*args, **members))
    assert all(one.detail for one in answer.rejected)
    return [one.reason for one in answer.rejected]


def test_a_bid_by_hand() -> None:
    answer = read(reply(bid(nurl="https://dsp.example/n", exp=60)), request_to())
    assert answer.rejected == []
    (found,) = answer.bids
    assert (found.bidder_id, found.bid_id, found.slot) == ("dsp", "b1", 0)
    assert (found.worth_nanos, found.bid_nanos, found.currency) == (1_500_000, 1_500_000, "EUR")
    assert (found.width, found.height, found.domain) == (300, 250, "adv.example")
    assert (found.won_url, found.hold_s, found.seat) == ("https://dsp.example/n", 60, "s1")


def test_a_bid_in_dollars_of_a_bidder_that_keeps_a_share() -> None:
    who = bidder(currency="USD", adjustment_ppm=850_000)
    rates = Rates(as_of_us=0, units={"USD": Decimal("0.9")})
    answer = read(reply(bid(price=2.0), cur="USD"), request_to(who, rates=rates))
    # 2.00 USD CPM = 2,000,000 nanos; 0.85 of it counts, at 0.90 EUR: 1,530,000.
    assert (answer.bids[0].worth_nanos, answer.bids[0].bid_nanos) == (1_530_000, 2_000_000)


def test_a_bid_in_any_currency_with_a_rate_counts_and_others_are_told_why_not() -> None:
    rates = Rates(as_of_us=None, units={"USD": Decimal("0.9")})
    # No ``cur`` means dollars (OpenRTB 2.6, 4.2.1).
    (found,) = read(reply(bid(price=2.0), cur=None), request_to(rates=rates)).bids
    assert (found.currency, found.worth_nanos) == ("USD", 1_800_000)
    (refused,) = read(reply(bid(price=2.0), cur="CHF"), request_to(rates=rates)).rejected
    assert refused.reason == 9
    assert refused.detail == "bids are in 'CHF', for which there is no rate; asked for EUR, USD"


@given(
    st.decimals("0.000000000001", "999999999", places=12), st.integers(1, 10**6),
    st.integers(0, 10**12),
)  # fmt: skip
def test_what_a_bid_counts_as_is_the_exact_product_rounded_down_once(rate, ppm, cpm_micros) -> None:
    worth = Worth(rate, ppm)
    exact = Fraction(rate) * Fraction(ppm, 10**6) * cpm_micros
    assert worth.ours(cpm_micros) <= exact < worth.ours(cpm_micros) + 1


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"id": None}, 3),
        ({"id": "a b"}, 3),
        ({"id": "x" * 129}, 3),
        ({"impid": "1"}, 3),
        ({"impid": None}, 3),
        ({"impid": "00"}, 3),
        ({"price": None}, 9),
        ({"price": -1}, 9),
        ({"price": 0}, 9),
        ({"price": "NaN"}, 9),
        ({"price": "Infinity"}, 9),
        ({"price": 1e300}, 9),
        ({"price": 0.0000009}, 9),
        ({"price": 0.499999}, 100),
        ({"price": [1]}, 3),
        ({"dealid": "D-1"}, 4),
        ({"adomain": None}, 6),
        ({"adomain": []}, 6),
        ({"adomain": ["not a domain"]}, 6),
        ({"adm": None}, 7),
        ({"adm": ""}, 7),
        ({"crid": None}, 8),
        ({"adm": "x" * 100_001}, 200),
        ({"w": 301}, 203),
        ({"w": 0, "h": 250}, 203),
        ({"mtype": 2}, 204),
        ({"adm": VAST, "mtype": None}, 204),
        ({"adm": "<img src='http://t.example/p'>"}, 207),
        ({"adm": "<script>s='http:\\/\\/t.example/p'</script>"}, 207),
    ],
)  # fmt: skip
def test_a_broken_bid_is_refused_with_its_reason_and_costs_no_other(broken, reason) -> None:
    body = reply(bid(**{"id": "b0", **broken}), bid(id="b2"))
    answer = read(body, request_to())
    assert [one.reason for one in answer.rejected] == [reason]
    assert [one.bid_id for one in answer.bids] == ["b2"]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"adomain": ["bad.example"], "cat": ["1"], "cattax": 9}, 205),
        ({"adomain": ["Shop.Bad.example"], "cat": ["1"], "cattax": 9}, 205),
        ({"cat": ["1", "26"], "cattax": 9}, 209),
        ({"cat": ["IAB26"], "cattax": 1}, 209),
        ({}, 209),
        ({"cat": ["1"], "cattax": 9}, None),
    ],
)
def test_what_a_publisher_blocks_stays_out(given, reason) -> None:
    assert reasons(reply(bid(**given)), asked=ask(context=BLOCKING)) == ([reason] if reason else [])


def test_unlabelled_bids_are_taken_from_a_trusted_bidder() -> None:
    who = bidder(unlabelled="take")
    assert reasons(reply(bid()), who, ask(context=BLOCKING)) == []


@pytest.mark.parametrize(
    ("terms", "given", "reason"),
    [
        ({"allowed_domains": ["good.example"]}, {}, 205),
        ({"allowed_domains": ["adv.example"]}, {"adomain": ["www.adv.example"]}, None),
        ({"blocked_domains": ["adv.example"]}, {}, 205),
        ({"allowed_categories": ["1"]}, {"cat": ["1", "2"], "cattax": 9}, 209),
        ({"allowed_categories": ["1"]}, {}, 209),
        ({"allowed_categories": ["1"]}, {"cat": ["1"], "cattax": 9}, None),
        ({"blocked_categories": ["1"]}, {"cat": ["1"], "cattax": 9}, 209),
        ({"seat": "s1"}, {}, None),
        ({"seat": "s2"}, {}, 104),
    ],
)
def test_the_terms_of_a_bidder_hold(terms, given, reason) -> None:
    assert reasons(reply(bid(**given)), bidder(**terms)) == ([reason] if reason else [])


@pytest.mark.parametrize(
    ("members", "given", "reason"),
    [
        ({"blocked_attributes": (1, 2)}, {"attr": [2, 4]}, 210),
        ({"languages": ("pt", "de")}, {"language": "en"}, 208),
        ({"languages": ("pt", "de")}, {}, 208),
        ({"languages": ("pt", "de")}, {"langb": "pt-BR"}, None),
        ({"blocked_apps": ("com.bad",)}, {"bundle": "com.bad"}, 215),
        ({"allowed_domains": ("other.example",)}, {}, 205),
        ({"allowed_categories": ("4",)}, {}, 209),
        ({"deal_id": "D-1"}, {}, 4),
        ({"deal_id": "D-1"}, {"dealid": "D-2"}, 4),
        ({"deal_id": "D-1", "floor_nanos": 1_600_000}, {"dealid": "D-1"}, 101),
        ({"deal_id": "D-1"}, {"dealid": "D-1"}, None),
        ({"ratios": ((200, 6, 5),), "sizes": ()}, {}, None),
        ({"ratios": ((301, 6, 5),), "sizes": ()}, {}, 203),
        ({}, {"w": None, "h": None}, None),
        ({"sizes": ((1, 1), (2, 2))}, {"w": None, "h": None}, 203),
        ({"needs": ("statement",)}, {}, 200),
    ],
)
def test_the_terms_of_a_slot_hold(members, given, reason) -> None:
    slot = Slot(**{"id": "x", "format": "banner", "sizes": ((300, 250),), **members})
    assert reasons(reply(bid(**given)), asked=ask(slot)) == ([reason] if reason else [])


@pytest.mark.parametrize(
    ("dsa", "given", "accepted"),
    [
        (Dsa(dsarequired=2), None, False),
        (Dsa(dsarequired=3), {"behalf": "A", "paid": "B"}, True),
        (Dsa(dsarequired=2), {"behalf": "A"}, False),
        (Dsa(dsarequired=2), {"behalf": "A" * 101, "paid": "B"}, False),
        (Dsa(dsarequired=1), None, True),
        (Dsa(dsarequired=2, pubrender=0), {"behalf": "A", "paid": "B"}, False),
        (Dsa(dsarequired=2, pubrender=0), {"behalf": "A", "paid": "B", "adrender": 1}, True),
        (Dsa(dsarequired=2, pubrender=2), {"behalf": "A", "paid": "B", "adrender": 1}, False),
    ],
)
def test_the_statement_of_the_dsa_is_held_to_its_rules(dsa, given, accepted) -> None:
    ext = None if given is None else {"dsa": given}
    found = reasons(reply(bid(ext=ext)), passed_on=PassedOn(dsa=dsa))
    assert found == ([] if accepted else [200])


@pytest.mark.parametrize(
    ("members", "given", "reason"),
    [
        ({}, {}, None),
        ({"max_duration_s": 14}, {}, 204),  # 14.5 seconds take fifteen
        ({"min_duration_s": 16}, {}, 204),
        ({"durations_s": (15,)}, {}, None),
        ({"durations_s": (30,)}, {}, 204),
        ({"mimes": ("video/webm",)}, {}, 204),
        ({}, {"protocol": 1}, 204),
        ({}, {"protocol": 13}, None),
        ({}, {"adm": "<VAST version='4.2'/>"}, 204),
        ({}, {"adm": VAST.replace("00:00:14.500", "00:00:00")}, 204),
        ({}, {"adm": VAST.replace("00:00:14.500", "soon")}, 204),
        ({"max_duration_s": None}, {"adm": VAST.replace("00:00:14", "01:00:01")}, 204),
        ({"max_duration_s": None, "sizes": ()}, {}, None),
        ({}, {"adm": "<VAST><Ad>"}, 204),
        ({}, {"adm": "<b>no VAST</b>"}, 204),
        ({}, {"adm": "<!DOCTYPE x [<!ENTITY a 'b'>]>" + VAST}, 204),
        ({}, {"adm": VAST.replace("https://dsp.example/v", "http://dsp.example/v")}, 207),
        ({}, {"adm": VAST.replace("<VAST", "<VAST xmlns='http://www.iab.com/VAST'", 1)}, None),
        ({}, {"adm": VAST.replace("delivery=", "apiFramework='VPAID' delivery=")}, 211),
        ({"duration_floors": (DurationFloor(10, 20, 2_000_000),)}, {}, 100),
        ({"nanos_per_second": 100_000}, {}, None),  # fifteen seconds at 0.10: just 1.50
        ({"nanos_per_second": 100_001}, {}, 100),
    ],
)  # fmt: skip
def test_the_terms_of_a_video_hold(members, given, reason) -> None:
    whole = {"id": "v", "format": "video", "sizes": ((640, 360),), "mimes": ("video/mp4",)}
    slot = Slot(**{**whole, "max_duration_s": 30, **members})
    assert reasons(reply(video_bid(**given)), asked=ask(slot)) == ([reason] if reason else [])


def test_a_wrapper_is_as_long_as_its_bid_says() -> None:
    adm = (
        "<VAST version='3.0'><Ad><Wrapper><AdSystem>x</AdSystem><VASTAdTagURI>https://o.example/v"
        "</VASTAdTagURI><Impression/></Wrapper></Ad></VAST>"
    )
    assert reasons(reply(video_bid(adm=adm)), asked=ask(VIDEO)) == [204]
    answer = read(reply(video_bid(adm=adm, dur=20)), request_to(asked=ask(VIDEO)))
    assert answer.bids[0].duration_s == 20


def test_without_tls_is_taken_where_neither_place_nor_operator_minds() -> None:
    body = reply(bid(adm="<img src='http://t.example/p'>"))
    lax = ExchangeSettings(secure=False)
    assert reasons(body, settings=lax) == []
    secure = Slot(id="x", format="banner", sizes=((300, 250),), needs=("https",))
    assert reasons(body, asked=ask(secure), settings=lax) == [207]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"", [3]),
        (b"<html>", [3]),
        (b"[]", [3]),
        (b"\xff\xfe", [3]),
        (b'{"seatbid":' * 2000, [3]),
        (b"{}", []),
        (b'{"id":"00000000-0000-0000-0000-000000000001","nbr":2}', []),
        (reply(bid(), id="another"), [5]),
        (reply(bid(), id=None), [5]),
        (reply(bid(), cur="USD"), [9]),
        (reply(bid(), cur=None), [9]),  # absent is USD
        (reply(bid(), seatbid=[{"bid": [bid()], "group": 1}]), [3]),
        (reply(seatbid=[{"bid": None}, {}]), []),
    ],
)
def test_a_response_that_is_none_is_refused_as_a_whole(body, found) -> None:
    answer = read(body, request_to())
    assert answer.bids == []
    assert [one.reason for one in answer.rejected] == found


def test_of_bids_with_one_id_the_first_counts() -> None:
    answer = read(reply(bid(price=1), bid(price=9)), request_to())
    assert [one.bid_nanos for one in answer.bids] == [1_000_000]
    assert [one.reason for one in answer.rejected] == [3]


def test_bids_are_bounded() -> None:
    many = [bid(id=f"b{number}") for number in range(BIDS_MAX + 5)]
    answer = read(reply(*many), request_to())
    assert len(answer.bids) == BIDS_MAX
    assert [one.reason for one in answer.rejected] == [3]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
MUTATED = st.dictionaries(
    st.sampled_from([*bid(), "dealid", "attr", "cat", "cattax", "ext", "exp", "dur", "lurl"]),
    JSON | st.floats(0, 3) | st.sampled_from(["0", "1", "NaN", "x:y", "adv.example"]),
    max_size=3,
)  # fmt: skip


@given(st.lists(MUTATED, max_size=4))
def test_every_bid_competes_or_has_a_reason_and_is_worth_at_most_its_price(changes) -> None:
    bids = [{**bid(id=f"b{number}"), **one} for number, one in enumerate(changes)]
    body = json.dumps(
        {"id": request_to().request_id, "cur": "EUR", "seatbid": [{"bid": bids}]}
    ).encode()
    answer = read(body, request_to())
    if b"NaN" in body.replace(b'"NaN"', b"") or b"Infinity" in body:
        return  # Python writes what JSON does not have; the whole is refused
    assert len(answer.bids) + len(answer.rejected) == len(bids)
    assert all(0 < one.reason < 216 for one in answer.rejected)
    prices = {one["id"]: one["price"] for one in bids if isinstance(one["id"], str)}
    for one in answer.bids:
        assert one.bid_nanos <= Decimal(str(prices[one.bid_id])) * 10**6
        assert BANNER.floor_nanos <= one.worth_nanos <= one.bid_nanos


@given(st.binary(max_size=200))
def test_no_bytes_raise(body) -> None:
    assert read(body, request_to()).bids == []
