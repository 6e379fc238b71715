"""Bid responses: what an exchange reads, and the forms of no bid."""

import json
from decimal import Decimal
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.markup import Markup, Urls
from ringwork.ads.model import MAX_IMPRESSION_NANOS
from ringwork.ads.openrtb import BidderTerms, Rates, explain_no_bid, to_response
from ringwork.ads.openrtb.reasons import CURRENCY, INSUFFICIENT_TIME
from ringwork.ads.shown import Shown
from tests.ads.openrtb.wire import (
    AUDIO,
    BANNER,
    BASE,
    NOW_US,
    TERMS,
    VIDEO,
    answer,
    audio_creative,
    bid,
    creative,
    native,
    native_creative,
    read,
    request,
    served,
    slot_of,
    video_creative,
)


def native_ad(**wanted) -> dict:
    return json.loads(bid(request(native(**wanted)), served(native_creative()))["adm"])


def test_a_banner():
    whole = answer(request({"banner": BANNER, "exp": 60}), served(creative()))
    found = whole["seatbid"][0]["bid"][0]
    adm = found.pop("adm")
    assert found == {
        "id": "00000000-0000-0000-0000-000000000001", "impid": "1", "price": 1.234567,
        "burl": f"{BASE}/b/imp-token?price=${{AUCTION_PRICE}}", "adid": "a1", "crid": "a1",
        "adomain": ["adv.example"], "cid": "c1", "cattax": 9, "cat": ["52"], "attr": [21],
        "w": 300, "h": 250, "exp": 60, "mtype": 1,
    }  # fmt: skip
    assert f'src="{BASE}/b/imp-token"' in adm
    assert f'href="{BASE}/c/click-token"' in adm
    assert (whole["id"], whole["cur"], whole["bidid"]) == ("r", "EUR", found["id"])
    assert whole["seatbid"][0]["seat"] == "ringwork"
    assert "nbr" not in whole


@pytest.mark.parametrize(
    ("protocols", "protocol", "version"),
    [(None, 13, "4.2"), ([], 13, "4.2"), ([2, 3, 5, 6], 3, "3.0"), ([2], 2, "2.0"),
     ([7, 11, 3], 11, "4.1"), ([7, 8], 7, "4.0"), ([13, 14, 2], 13, "4.2")],
)  # fmt: skip
def test_a_video_comes_in_the_best_version_that_the_player_takes(protocols, protocol, version):
    body = request({"video": {**VIDEO, "protocols": protocols}})
    found = bid(body, served(video_creative()))
    assert (found["protocol"], found["dur"], found["mtype"]) == (protocol, 90, 2)
    assert ElementTree.fromstring(found["adm"]).get("version") == version


@pytest.mark.parametrize(
    ("protocols", "protocol", "version", "kind"),
    [(None, 13, "4.2", "audio"), ([11], 11, "4.1", "audio"), ([2, 3, 7], 7, "4.0", None)],
)
def test_an_audio_ad_is_vast_with_an_audio_file(protocols, protocol, version, kind):
    body = request({"audio": {**AUDIO, "protocols": protocols}})
    found = bid(body, served(audio_creative()))
    assert (found["protocol"], found["dur"], found["mtype"]) == (protocol, 30, 3)
    assert not {"w", "h"} & found.keys()
    root = ElementTree.fromstring(found["adm"])
    assert (root.get("version"), root.find("Ad").get("adType")) == (version, kind)
    media = root.find(".//MediaFile")
    assert media.text == "https://adv.example/a.mp3?x=1&y=2"
    assert media.attrib == {
        "delivery": "progressive", "type": "audio/mpeg", "width": "0", "height": "0",
    }  # fmt: skip
    assert root.findtext(".//Duration") == "00:00:30.000"
    assert root.findtext(".//Impression") == f"{BASE}/b/imp-token"


def test_a_bid_for_a_deal_names_it():
    assert bid(request(), served(creative(), deal_id='d"1'))["dealid"] == 'd"1'
    assert "dealid" not in bid(request(), served(creative()))


def test_bids_for_a_dynamic_pod_take_any_place_in_it():
    body = request({"video": {**VIDEO, "poddur": 60, "maxseq": 2, "slotinpod": 1}})
    whole = answer(body, served(video_creative()), served(video_creative(id="a2", duration_s=15)))
    bids = whole["seatbid"][0]["bid"]
    assert [(one["impid"], one["crid"], one["dur"]) for one in bids] == [
        ("1", "a1", 90), ("1", "a2", 15),
    ]  # fmt: skip
    assert not any("slotinpod" in one for one in bids)


def test_a_bid_names_the_language_and_the_app_of_its_creative():
    ad = creative(language="pt-PT", app_bundle="org.app")
    found = bid(request(), served(ad))
    assert (found["language"], found["bundle"]) == ("pt", "org.app")


RATED = BidderTerms(currency="EUR", rates=Rates(as_of_us=NOW_US, units={"USD": Decimal("0.9171")}))


def test_a_bid_in_another_currency_is_exchanged_downwards():
    sold = served(creative(), impression_price_nanos=917_101)
    whole = answer(request(cur=["CHF", "USD"]), sold, terms=RATED)
    assert (whole["cur"], whole["seatbid"][0]["bid"][0]["price"]) == ("USD", 1.000001)
    ours = answer(request(cur=["USD", "EUR"]), sold, terms=RATED)
    assert (ours["cur"], ours["seatbid"][0]["bid"][0]["price"]) == ("EUR", 0.917101)


@given(
    floor_nanos=st.integers(0, 10**9),
    rate=st.decimals("0.0001", 10_000, places=4),
    above=st.integers(0, 10**6),
)
def test_a_bid_that_meets_an_exchanged_floor_meets_the_floor_itself(floor_nanos, rate, above):
    terms = BidderTerms(currency="EUR", rates=Rates(as_of_us=NOW_US, units={"USD": rate}))
    body = request({"banner": BANNER, "bidfloor": floor_nanos / 10**6}, cur=["USD"])
    least = slot_of(body["imp"][0], terms, cur=["USD"]).floor_nanos
    sold = served(creative(), impression_price_nanos=least + above)
    price = Decimal(str(bid(body, sold, terms=terms)["price"])) * 10**6
    assert price >= floor_nanos
    assert price * rate <= least + above


HOSTILE = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)


@given(id=HOSTILE, imp=HOSTILE, name=HOSTILE, html=HOSTILE, domain=HOSTILE, deal=HOSTILE)
def test_texts_of_anyone_stay_in_their_member(id, imp, name, html, domain, deal):
    ad = creative(name=name, html=html, categories=[name], app_bundle=name)
    sold = served(ad, slot_id=imp, advertiser_domain=domain, deal_id=deal)
    whole = answer({"id": id, "imp": [{"id": imp, "banner": BANNER}]}, sold)
    found = whole["seatbid"][0]["bid"][0]
    assert (whole["id"], found["impid"], found["dealid"]) == (id, imp, deal)
    assert (found["adomain"], found["cat"], found["bundle"]) == ([domain], [name], name)


@given(name=HOSTILE, mime=HOSTILE)
def test_markup_survives_the_quotes_around_it(name, mime):
    sold = served(video_creative(name=name, video_mime=mime))
    found = bid(request({"video": VIDEO}), sold)
    assert found["adm"] == Markup(Urls(BASE)).video(sold)
    banner = served(creative(html=name + mime))
    assert bid(request(), banner)["adm"] == Markup(Urls(BASE)).banner(banner, pixel=True)


def test_native_assets_are_filled_by_id():
    assets = [
        {"id": 1, "required": 1, "title": {"len": 90}}, {"id": 2, "img": {"type": 3}},
        {"id": 3, "data": {"type": 1}}, {"id": 4, "data": {"type": 2, "len": 5}},
        {"id": 5, "img": {"type": 1}}, {"id": 6, "data": {"type": 6}},
        {"id": 7, "video": {"mimes": ["video/mp4"], "minduration": 1, "maxduration": 9,
                            "protocols": [2]}},
    ]  # fmt: skip
    ad = native_ad(assets=assets)
    assert ad["assets"] == [
        {"id": 1, "required": 1, "title": {"text": "Paint your hall in an afternoon"}},
        {"id": 2, "img": {"url": "https://adv.example/a.png", "w": 1200, "h": 627}},
        {"id": 3, "data": {"type": 1, "value": "adv.example"}},
        {"id": 4, "data": {"type": 2, "value": "One…"}},
    ]
    assert ad["link"] == {"url": f"{BASE}/c/click-token"}
    assert ad["imptrackers"] == [f"{BASE}/b/imp-token"]
    assert bid(request(native()), served(native_creative()))["mtype"] == 4


def test_a_native_title_is_cut_to_its_length():
    title = native_ad(assets=[{"title": {"len": 12}}])["assets"][0]["title"]["text"]
    assert title == "Paint your…"


def test_event_trackers_are_used_where_the_exchange_has_them():
    ad = native_ad(eventtrackers=[{"event": 1, "methods": [1, 2]}])
    assert ad["eventtrackers"] == [{"event": 1, "method": 1, "url": f"{BASE}/b/imp-token"}]
    assert "imptrackers" not in ad
    only_script = native_ad(eventtrackers=[{"event": 1, "methods": [2]}])
    assert only_script["imptrackers"] == [f"{BASE}/b/imp-token"]


def test_the_envelope_of_native_1_0_is_given_back():
    wanted = {"native": {"request": json.dumps({"native": {"assets": [{"title": {"len": 9}}]}})}}
    ad = json.loads(bid(request(wanted), served(native_creative()))["adm"])
    assert list(ad) == ["native"]


def test_bids_for_several_impressions():
    body = request()
    body["imp"].append({"id": "2", "video": VIDEO})
    whole = answer(body, served(creative()), served(video_creative(), slot_id="2"))
    assert [(one["impid"], one["mtype"]) for one in whole["seatbid"][0]["bid"]] == [
        ("1", 1), ("2", 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("imp", "ad"),
    [({"banner": BANNER}, creative()), ({"video": VIDEO}, video_creative()),
     (native(), native_creative())],
)  # fmt: skip
def test_a_test_answer_can_bill_nothing(imp, ad):
    text = json.dumps(answer(request(imp, test=1), served(ad)))
    assert "imp-token" not in text
    assert "click-token" not in text
    assert f"{BASE}/b/test" in text


def test_warnings_are_shown_to_test_requests_only():
    sold = served(creative())
    assert answer(request(test=1), sold, warnings=["a"])["ext"] == {"ringwork": {"warnings": ["a"]}}
    assert "ext" not in answer(request(), sold, warnings=["a"])


@given(st.integers(0, MAX_IMPRESSION_NANOS))
def test_prices_are_exact_on_the_wire(nanos):
    body = to_response(
        read(request()), [served(creative(), impression_price_nanos=nanos)],
        terms=TERMS, markup=Markup(Urls(BASE)), shown=Shown(Markup(Urls(BASE))), now_us=0,
    )  # fmt: skip
    price = json.loads(body, parse_float=Decimal)["seatbid"][0]["bid"][0]["price"]
    assert price * 10**6 == nanos


def test_no_bid_has_a_body_only_for_a_test():
    assert explain_no_bid(read(request()), CURRENCY) is None
    body = json.loads(explain_no_bid(read(request(test=1)), INSUFFICIENT_TIME) or b"")
    assert (body["id"], body["nbr"]) == ("r", 15)
    assert body["ext"]["ringwork"]["reason"] == "insufficient-time"
    assert "seatbid" not in body
