"""Statements of the DSA: who must give one, who shows it, and the macros."""

import json
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.markup import Markup, Urls
from ringwork.ads.openrtb import dsa, to_response
from ringwork.ads.openrtb.dsa import BidDsa
from ringwork.ads.openrtb.structs import Dsa, Transparency
from ringwork.ads.shown import Shown
from tests.ads.openrtb.wire import (
    AUDIO,
    BANNER,
    BASE,
    NOW_US,
    TERMS,
    VIDEO,
    asked,
    audio_creative,
    bid,
    creative,
    native,
    native_creative,
    read,
    reason,
    request,
    served,
    video_creative,
)

NAMED = {"behalf": "Harbour Paints & Co", "payer": "Harbour <Holding>"}


def wanted(imp: dict | None = None, **members) -> dict:
    return request(imp, regs={"ext": {"dsa": members}})


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (None, "required"),
        (BidDsa(behalf="a" * 101, paid="b", adrender=1), "behalf"),
        (BidDsa(behalf="a", paid="b" * 101, adrender=1), "paid"),
        (BidDsa(behalf="a", paid="b"), "neither"),
        (BidDsa(behalf="a" * 100, paid="\U0001f3a8" * 100, adrender=1), ""),
    ],
)
def test_a_seller_that_cannot_show_a_statement(given, why):
    found = dsa.refusal(Dsa(dsarequired=2, pubrender=0), given)
    assert why in found
    assert bool(why) == bool(found)


def test_a_seller_that_shows_it_itself():
    asks = Dsa(dsarequired=3, pubrender=2)
    assert "both" in dsa.refusal(asks, BidDsa(behalf="a", paid="b", adrender=1))
    assert dsa.refusal(asks, BidDsa(behalf="a", paid="b")) == ""


@pytest.mark.parametrize("asks", [None, Dsa(), Dsa(dsarequired=0), Dsa(dsarequired=1)])
def test_who_does_not_require_a_statement_takes_bids_without(asks):
    assert dsa.refusal(asks, None) == ""


@pytest.mark.parametrize("required", [2, 3, 500])
def test_a_required_statement_is_demanded_of_the_ad(required):
    (slot,) = asked(wanted(dsarequired=required)).slots
    assert slot.needs == ("statement",)
    (secure,) = asked(wanted({"banner": BANNER, "secure": 1}, dsarequired=required)).slots
    assert secure.needs == ("https", "statement")


@pytest.mark.parametrize("imp", [{"video": VIDEO}, {"audio": AUDIO}, native()])
def test_only_banners_can_show_it_themselves(imp):
    assert reason(wanted(imp, dsarequired=2, pubrender=0)) == "dsa"
    assert asked(wanted(imp, dsarequired=1, pubrender=0)).slots
    assert asked(wanted(imp, dsarequired=2, pubrender=1)).slots


@pytest.mark.parametrize(("pubrender", "adrender"), [(0, 1), (1, 1), (None, 1), (2, 0)])
def test_a_banner_shows_the_statement_unless_the_publisher_will(pubrender, adrender):
    found = bid(wanted(dsarequired=2, pubrender=pubrender), served(creative(), **NAMED))
    assert found["ext"]["dsa"].get("adrender", 0) == adrender
    assert ("paid by Harbour &lt;Holding&gt;" in found["adm"]) == bool(adrender)
    assert "Harbour <" not in found["adm"]


def test_what_a_statement_says():
    body = wanted({"video": VIDEO}, dsarequired=2, pubrender=2, datatopub=2)
    assert bid(body, served(video_creative(), **NAMED))["ext"] == {
        "dsa": {
            "behalf": "Harbour Paints & Co",
            "paid": "Harbour <Holding>",
            "transparency": [{"domain": "ads.example", "dsaparams": []}],
        }
    }


def test_data_that_was_not_asked_for_is_not_sent():
    found = bid(wanted(dsarequired=1, datatopub=0), served(creative(), **NAMED))
    assert "transparency" not in found["ext"]["dsa"]
    assert "ext" not in bid(wanted(dsarequired=0), served(creative(), **NAMED))
    assert "ext" not in bid(request(), served(creative(), **NAMED))


def test_what_is_supported_and_not_required_may_be_left_out():
    unnamed = served(creative())
    assert "ext" not in bid(wanted(dsarequired=1), unnamed)
    sold = served(video_creative(), **NAMED)
    assert "ext" not in bid(wanted({"video": VIDEO}, dsarequired=1, pubrender=0), sold)


def test_a_bid_that_would_be_refused_is_not_sent():
    markup = Markup(Urls(BASE))
    for names in ({}, {"behalf": "a" * 101, "payer": "b"}, {"behalf": "a", "payer": ""}):
        body = read(wanted(dsarequired=2))
        sold = [served(creative(), **names)]
        assert (
            to_response(body, sold, terms=TERMS, markup=markup, shown=Shown(markup), now_us=NOW_US)
            is None
        )
    body = wanted(dsarequired=2)
    body["imp"].append({"id": "2", "banner": BANNER})
    sold = [served(creative()), served(creative(), slot_id="2", **NAMED)]
    written = to_response(
        read(body), sold, terms=TERMS, markup=markup, shown=Shown(markup), now_us=NOW_US
    )
    assert [one["impid"] for one in json.loads(written)["seatbid"][0]["bid"]] == ["2"]


@given(
    required=st.none() | st.integers(0, 3),
    render=st.none() | st.integers(0, 3),
    data=st.none() | st.integers(0, 2),
    names=st.tuples(st.text(max_size=110), st.text(max_size=110)),
    kind=st.sampled_from(["banner", "video", "audio", "native"]),
)
def test_no_bid_is_sent_that_the_rules_refuse(required, render, data, names, kind):
    imps = {"banner": {"banner": BANNER}, "video": {"video": VIDEO}, "audio": {"audio": AUDIO},
            "native": native()}  # fmt: skip
    ads = {"banner": creative, "video": video_creative, "audio": audio_creative,
           "native": native_creative}  # fmt: skip
    body = read(wanted(imps[kind], dsarequired=required, pubrender=render, datatopub=data))
    sold = [served(ads[kind](), behalf=names[0], payer=names[1])]
    written = to_response(
        body,
        sold,
        terms=TERMS,
        markup=Markup(Urls(BASE)),
        shown=Shown(Markup(Urls(BASE))),
        now_us=NOW_US,
    )
    if written is None:
        assert (required or 0) >= 2
        return
    (sent,) = json.loads(written)["seatbid"][0]["bid"]
    stated = sent.get("ext", {}).get("dsa")
    assert stated is not None or (required or 0) < 2
    if stated is not None:
        assert max(len(stated["behalf"]), len(stated["paid"])) <= 100
        assert not (render == 0 and stated.get("adrender", 0) != 1)
        assert not (render == 2 and stated.get("adrender", 0) == 1)


# ---- macros -------------------------------------------------------------------------------------

ASKS = Dsa(
    dsarequired=2, pubrender=1, datatopub=2,
    transparency=[Transparency("platform1domain.com", [1]), Transparency("ssp2.com", [2, 1])],
)  # fmt: skip
GIVEN = BidDsa(behalf="A & B", paid="C", transparency=[Transparency("dsp.com", [2, 3])])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DSAREQUIRED", "2"), ("DSABEHALF", "A%20%26%20B"), ("DSAPAID", "C"),
        ("DSAPARAMS", "1_2_3"), ("DSAPUBRENDER", "1"), ("DSADATATOPUBS", "2"),
        ("DSATRANSPARENCY", "platform1domain.com~1~~ssp2.com~1_2~~dsp.com~2_3"),
    ],
)  # fmt: skip
def test_every_dsa_macro(name, value):
    assert dsa.substitute(f"x=${{{name}}}&", ASKS, GIVEN) == f"x={value}&"
    assert dsa.substitute(f"x=${{{name}}}&", None, None) == "x=&"


def test_what_is_no_dsa_macro_stays():
    for text in ("${DSA}", "${DSAOTHER}", "${AUCTION_PRICE}", "$DSAPAID", "a"):
        assert dsa.substitute(text, ASKS, GIVEN) == text


@given(st.text(st.characters(codec="utf-8")))
def test_a_name_is_encoded_and_never_scanned_again(name):
    given = BidDsa(behalf=name + "${DSAPAID}", paid="p")
    text = dsa.substitute("<${DSABEHALF}>", ASKS, given)
    assert unquote(text[1:-1]) == name + "${DSAPAID}"
    assert not set(text[1:-1]) & set("\"'<>&$\\ ")


def test_macros_of_a_creative_are_filled_in_its_bid():
    html = '<img src="https://t.example/?b=${DSABEHALF}&r=${DSAREQUIRED}">'
    found = bid(wanted(dsarequired=2), served(creative(html=html), **NAMED))
    assert "b=Harbour%20Paints%20%26%20Co&amp;r=2" in found["adm"]
    assert "${DSA" not in found["adm"]
    assert "b=&amp;r=&quot;" in bid(request(), served(creative(html=html), **NAMED))["adm"]
