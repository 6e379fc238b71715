"""What a bidder is asked: everything of the place, nothing of a person, floors that can be met."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.exchange import PassedOn
from ringwork.ads.exchange.worth import worths_of
from ringwork.ads.model import Context, DurationFloor, Slot
from ringwork.ads.openrtb import decode
from ringwork.ads.openrtb.price import bid_to_nanos
from ringwork.ads.openrtb.structs import Dsa
from ringwork.ads.openrtb.terms import Rates
from ringwork.kernel.viewer import Signals
from tests.ads.exchange.market import BANNER, SITE, VIDEO, ask, bidder, request_to

RATES = Rates(as_of_us=0, units={"USD": Decimal("0.9171"), "JPY": Decimal("0.0061")})


def sent(*args, **members) -> dict:
    return json.loads(request_to(*args, **members).body)


def test_a_request_by_hand() -> None:
    assert sent() == {
        "id": "00000000-0000-0000-0000-000000000001",
        "imp": [
            {
                "id": "0",
                "banner": {"format": [{"w": 300, "h": 250}], "w": 300, "h": 250},
                "tagid": "top",
                "bidfloor": 0.5,
                "bidfloorcur": "EUR",
                "secure": 1,
            }
        ],
        "site": {"domain": "news.example", "cattax": 9, "publisher": {"id": "pub"}},
        "device": {"geo": {"country": "PRT", "region": "11"}},
        "at": 2,
        "tmax": 130,
        "cur": ["EUR"],
        "source": {
            "fd": 0,
            "schain": {
                "complete": 1,
                "nodes": [
                    {
                        "asi": "ads.example",
                        "sid": "pub",
                        "hp": 1,
                        "rid": "00000000-0000-0000-0000-000000000001",
                    }
                ],
                "ver": "1.0",
            },
        },
    }


def test_a_video_is_asked_for_with_its_durations_and_floors() -> None:
    slot = Slot(
        id="v", format="video", mimes=("video/webm",), durations_s=(6, 15), blocked_attributes=(16,),
        duration_floors=(DurationFloor(5, 10, 1_000_000), DurationFloor(11, None, 2_500_000)),
    )  # fmt: skip
    (imp,) = sent(asked=ask(slot))["imp"]
    assert imp["video"] == {
        "mimes": ["video/webm"],
        "protocols": [2, 3, 5, 6, 7, 8, 11, 12, 13, 14],
        "rqddurs": [6, 15],
        "linearity": 1,
        "durfloors": [
            {"mindur": 5, "maxdur": 10, "bidfloor": 1.0},
            {"mindur": 11, "bidfloor": 2.5},
        ],
        "battr": [16],
    }


@pytest.mark.parametrize(
    "slots",
    [
        (BANNER,),
        (VIDEO, BANNER),
        (Slot(id="a", format="audio", nanos_per_second=70_000, max_duration_s=60, hold_s=90),),
        (Slot(id="b", format="banner", ratios=((200, 16, 9),), quantity_ppm=30_300_000),),
        (Slot(id="d", format="banner", sizes=((1, 1),), deal_id="D-1", charge="agreed", floor_nanos=7, allowed_domains=("a.example",)),),
    ],
)  # fmt: skip
def test_our_own_decoder_takes_every_request(slots) -> None:
    """``decode`` checks the rules of OpenRTB 2.6; it was written for requests of others."""
    members = {"supply_chain": "1.0,1!seller.example,77,1", "source": "openrtb"}
    signals = Signals(coppa=0, gdpr=1, gpp="DBABMA", gpp_sid=(2,), tc="CP", us_privacy="1YNN")
    outgoing = request_to(bidder(seat="s"), ask(*slots, **members), passed_on=PassedOn(signals))
    request = decode(outgoing.body)
    assert [imp.id for imp in request.imp] == [str(n) for n in range(len(slots))]
    assert request.user.consent == "CP"
    assert (request.regs.gdpr, request.regs.gpp_sid) == (1, [2])
    nodes = request.source.schain.nodes
    assert [(node.asi, node.sid) for node in nodes] == [
        ("seller.example", "77"), ("ads.example", "pub"),
    ]  # fmt: skip


def test_blocks_of_the_place_and_of_the_bidder_are_both_sent() -> None:
    context = Context(
        app="com.example.game", blocked_categories=("1", "2"), blocked_domains=("a.example",)
    )
    who = bidder(blocked_categories=["2", "3"], blocked_domains=["b.example"], seat="512")
    request = sent(who, ask(context=context))
    assert request["bcat"] == ["1", "2", "3"]
    assert request["badv"] == ["a.example", "b.example"]
    assert request["cattax"] == 9
    assert request["wseat"] == ["512"]
    assert request["app"]["bundle"] == "com.example.game"
    assert "site" not in request


def test_allowed_categories_take_the_place_of_blocked_ones() -> None:
    slot = Slot(id="x", format="banner", sizes=((1, 1),), allowed_categories=("7",))
    context = Context(site="s.example", blocked_categories=("1",))
    request = sent(asked=ask(slot, context=context))
    assert request["acat"] == ["7"]
    assert "bcat" not in request


@pytest.mark.parametrize(
    ("rule", "charge_bid", "type"), [("second", False, 2), ("first", False, 1), ("gsp", True, 1)]
)
def test_the_auction_type_never_promises_less_than_is_charged(rule, charge_bid, type) -> None:
    slot = Slot(id="x", format="banner", sizes=((1, 1),), rule=rule)
    assert sent(asked=ask(slot, charge_bid=charge_bid))["at"] == type


def test_an_exchanges_ask_without_a_chain_is_not_called_complete() -> None:
    source = sent(asked=ask(source="openrtb"))["source"]
    assert (source["fd"], source["schain"]["complete"]) == (1, 0)
    broken = sent(asked=ask(source="openrtb", supply_chain="nonsense"))["source"]["schain"]
    assert (broken["complete"], len(broken["nodes"])) == (0, 1)


def test_the_dsa_is_passed_on() -> None:
    dsa = Dsa(dsarequired=2, pubrender=1)
    assert sent(passed_on=PassedOn(dsa=dsa))["regs"] == {
        "ext": {"dsa": {"dsarequired": 2, "pubrender": 1}}
    }


def test_what_a_publisher_says_in_its_own_words_and_the_visit_stay_here() -> None:
    context = Context(site="news.example", key_values=(("login", "anna@mail.example"),))
    body = request_to(asked=ask(context=context, visit="visit-81")).body
    assert b"anna" not in body
    assert b"visit-81" not in body


WORDS = st.text("abc.:-", min_size=1, max_size=8)


@given(
    st.builds(
        Context, site=WORDS, publisher_id=WORDS, placement_id=WORDS,
        categories=st.lists(WORDS, max_size=2).map(tuple), region=st.sampled_from(["", "PRT", "DEU-BY"]),
        device_type=st.sampled_from(["phone", "computer", "tablet", "tv", "other"]),
    )
)  # fmt: skip
def test_no_request_has_a_member_that_could_hold_a_person(context: Context) -> None:
    request = sent(asked=ask(context=context))
    assert request.keys() <= {"id", "imp", "site", "device", "at", "tmax", "cur", "source"}
    assert request.get("device", {}).keys() <= {"devicetype", "geo"}
    assert request.get("device", {}).get("geo", {}).keys() <= {"country", "region"}


@given(st.integers(1, 10**10), st.sampled_from(["EUR", "USD", "JPY"]), st.integers(1, 10**6))
def test_a_bid_at_the_floor_that_was_sent_reaches_the_floor(floor, currency, adjustment) -> None:
    who = bidder(currency=currency, adjustment_ppm=adjustment)
    slot = Slot(id="x", format="banner", sizes=((1, 1),), floor_nanos=floor)
    request = request_to(who, ask(slot), rates=RATES)
    sent_floor = json.loads(request.body, parse_float=Decimal)["imp"][0]["bidfloor"]
    # A CPM of a double is exact to 15 digits; larger floors than 10**15 nanos are no prices.
    if request.worths[currency].theirs(floor) < 10**15:
        assert request.worths[currency].ours(bid_to_nanos(Decimal(sent_floor))) >= floor


@given(st.integers(1, 10**12), st.integers(1, 10**6))
def test_there_and_back_never_costs_more(nanos, adjustment) -> None:
    who = bidder(currency="USD", adjustment_ppm=adjustment)
    worth = worths_of(who, currency="EUR", rates=RATES)["USD"]
    assert worth.theirs(worth.ours(nanos)) <= nanos
    assert worth.ours(worth.theirs(nanos)) >= nanos


def test_a_currency_without_a_current_rate_is_worth_nothing() -> None:
    who = bidder(currency="CHF")
    assert worths_of(who, currency="EUR", rates=RATES) == {}
    assert worths_of(bidder(currency="USD"), currency="EUR", rates=RATES, now_us=10**13) == {}
    assert worths_of(bidder(currency="USD"), currency="EUR") == {}


def test_a_bidder_is_told_every_currency_that_it_may_bid_in_its_own_first() -> None:
    request = sent(bidder(currency="JPY"), rates=RATES)
    assert request["cur"] == ["JPY", "EUR", "USD"]
    # 0.50 EUR at 0.0061 EUR for a yen, rounded up to a nano: 81.967213114... yen.
    assert request["imp"][0]["bidfloor"] == 81.967214
    assert request["imp"][0]["bidfloorcur"] == "JPY"


def test_a_region_alone_is_no_device() -> None:
    assert "device" not in sent(asked=ask(context=Context(site=SITE.site)))
