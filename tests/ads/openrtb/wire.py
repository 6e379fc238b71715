"""Bid requests for tests: valid ones, and what they become."""

import json

import pytest

from ringwork.ads.markup import Markup, Urls
from ringwork.ads.model import Ask, Creative, Served, Slot
from ringwork.ads.openrtb import (
    BadBidRequest,
    BidderTerms,
    BidRequest,
    NoBid,
    decode,
    to_ask,
    to_response,
)
from ringwork.ads.openrtb.reasons import NO_BIDS
from ringwork.ads.shown import Shown

TERMS = BidderTerms(currency="EUR")
BASE = "https://ads.example"
NOW_US = 9 * 3_600_000_000
BANNER = {"w": 300, "h": 250}
VIDEO = {"mimes": ["video/mp4"]}
AUDIO = {"mimes": ["audio/mpeg"]}


def request(imp=None, **members) -> dict:
    """A request with one impression; ``imp`` replaces its banner."""
    return {"id": "r", "imp": [{"id": "1", **(imp or {"banner": BANNER})}], **members}


def native(**members) -> dict:
    """The impression of a native request."""
    wanted = {"assets": [{"title": {"len": 25}}], **members}
    return {"native": {"request": json.dumps(wanted)}}


def read(body: dict) -> BidRequest:
    return decode(json.dumps(body).encode())


def asked(body: dict, terms: BidderTerms = TERMS) -> Ask | NoBid:
    return to_ask(read(body), terms, request_id=bytes(16), now_us=NOW_US)


def slots_of(imp: dict, terms: BidderTerms = TERMS, **members) -> tuple[Slot, ...]:
    """The slots of a request with that impression."""
    ask = asked(request(imp, **members), terms)
    assert isinstance(ask, Ask), ask
    return ask.slots


def slot_of(imp: dict, terms: BidderTerms = TERMS, **members) -> Slot:
    """The one slot of a request with that impression."""
    (slot,) = slots_of(imp, terms, **members)
    return slot


def reason(body: dict, terms: BidderTerms = TERMS) -> str:
    """Why there is no bid."""
    no_bid = asked(body, terms)
    assert isinstance(no_bid, NoBid), no_bid
    assert no_bid in NO_BIDS
    return no_bid.reason


def refusal(body: dict) -> str:
    """The member for which the request is refused."""
    with pytest.raises(BadBidRequest) as caught:
        read(body)
    return caught.value.path


def creative(**members) -> Creative:
    given = {
        "id": "a1", "campaign_id": "c1", "name": "Autumn", "format": "banner", "width": 300,
        "height": 250, "landing_url": "https://adv.example/", "html": "<b>Paint</b>",
        "categories": ["52"], "attributes": [21], **members,
    }  # fmt: skip
    return Creative(**given)


def video_creative(**members) -> Creative:
    given = {
        "format": "video", "html": "", "video_url": "https://adv.example/a.mp4?x=1&y=2",
        "video_mime": "video/mp4", "duration_s": 90, "width": 1280, "height": 720, **members,
    }  # fmt: skip
    return creative(**given)


def native_creative(**members) -> Creative:
    given = {
        "format": "native", "html": "", "title": "Paint your hall in an afternoon", "width": 1200,
        "text": "One coat.", "image_url": "https://adv.example/a.png", "height": 627, **members,
    }  # fmt: skip
    return creative(**given)


def audio_creative(**members) -> Creative:
    given = {
        "format": "audio", "html": "", "audio_url": "https://adv.example/a.mp3?x=1&y=2",
        "audio_mime": "audio/mpeg", "duration_s": 30, "width": 0, "height": 0, **members,
    }  # fmt: skip
    return creative(**given)


def served(ad: Creative, **members) -> Served:
    given = {
        "slot_id": "1", "impression_id": bytes(15) + b"\x01", "creative": ad, "campaign_id": "c1",
        "advertiser_domain": "adv.example", "pricing": "cpm", "price_nanos": 1_234_567,
        "impression_price_nanos": 1_234_567, "currency": "EUR",
        "tokens": {"impression": "imp-token", "click": "click-token"}, **members,
    }  # fmt: skip
    return Served(**given)


def answer(body: dict, *sold: Served, terms: BidderTerms = TERMS, **options) -> dict:
    """The bid response for what was sold."""
    markup = Markup(Urls(BASE))
    written = to_response(
        read(body), sold, terms=terms, markup=markup, shown=Shown(markup), now_us=NOW_US, **options
    )
    assert written is not None
    return json.loads(written)


def bid(body: dict, one: Served, **options) -> dict:
    """The one bid for what was sold."""
    (seat,) = answer(body, one, **options)["seatbid"]
    (found,) = seat["bid"]
    return found
