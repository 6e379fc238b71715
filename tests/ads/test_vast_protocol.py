"""Players list what they take: in-line documents, Wrappers, versions; an ad is sold as one of them."""

import json

import pytest

from ringwork.ads.creatives.vast_protocol import protocol_for, protocols_of
from ringwork.ads.markup import Markup, Urls
from ringwork.ads.model import Creative
from ringwork.ads.openrtb import to_response
from ringwork.ads.shown import Shown
from tests.ads.house import House
from tests.ads.openrtb.wire import BASE, NOW_US, TERMS, read, request, slot_of, video_creative

TAG = "https://other.example/vast?cb=${CACHEBUSTER}"


def document(version: str, kind: str = "InLine") -> str:
    inside = (
        "<VASTAdTagURI><![CDATA[https://o.example/v]]></VASTAdTagURI>"
        if kind == "Wrapper"
        else ("<AdTitle>t</AdTitle>")
    )
    media = (
        "<Duration>00:00:15</Duration><MediaFiles><MediaFile delivery='progressive' width='640'"
        " height='360' type='video/mp4'><![CDATA[https://o.example/a.mp4]]></MediaFile></MediaFiles>"
        "<VideoClicks><ClickThrough><![CDATA[https://adv.example/x]]></ClickThrough></VideoClicks>"
    )
    linear = f"<Creatives><Creative><Linear>{media}</Linear></Creative></Creatives>"
    return (
        f'<?xml version="1.0"?><VAST version="{version}"><Ad id="1"><{kind}><AdSystem>o</AdSystem>'
        f"{inside}<Impression><![CDATA[https://o.example/i]]></Impression>"
        f"{linear if kind == 'InLine' else ''}</{kind}></Ad></VAST>"
    )


def of(**members: object) -> Creative:
    return video_creative(**{"video_url": None, **members})


@pytest.mark.parametrize(
    ("ad", "codes"),
    [
        (video_creative(), (13, 11, 7, 3, 2)),
        (of(vast_tag_url=TAG), (14, 12, 8, 6, 5)),
        (of(vast_xml=document("3.0")), (3,)),
        (of(vast_xml=document("4.3")), (15,)),
        (of(vast_xml=document("2.0", "Wrapper")), (5,)),
        (of(vast_xml="<VAST/>"), ()),
    ],
)
def test_what_an_ad_can_be_shown_as(ad, codes):
    assert protocols_of(ad) == codes
    assert protocol_for(ad, ()) == (codes or (0,))[0]
    assert protocol_for(ad, [99]) == (codes or (0,))[0], "an outside bidder's is what it is"


@pytest.mark.parametrize(
    ("members", "accepted", "protocol"),
    [
        ({"video_url": "https://adv.example/a.mp4"}, [3, 6], 3),
        ({"video_url": "https://adv.example/a.mp4"}, [6, 14], None),
        ({"vast_tag_url": TAG}, [2, 3, 7], None),
        ({"vast_tag_url": TAG}, [3, 6], 6),
        ({"vast_tag_url": TAG}, [5, 14, 6], 14),
        ({"vast_tag_url": TAG}, None, 14),
        ({"vast_xml": document("3.0")}, [2, 7], None),
        ({"vast_xml": document("3.0")}, [2, 3], 3),
        ({"vast_xml": document("4.2")}, [3], None),
    ],
)
def test_an_ad_is_sold_to_players_that_take_it_and_the_bid_says_as_what(
    members, accepted, protocol
):
    video = {"mimes": ["video/mp4"], **({"protocols": accepted} if accepted else {})}
    with House() as house:
        house.open()
        house.campaign()
        given = {"duration_s": 15, "width": 640, "height": 360, "video_mime": "video/mp4"}
        house.creative(format="video", html="", **given, **members)
        _, sold = house.serve(slot_of({"video": video}))
    if protocol is None:
        assert sold == []
        return
    markup = Markup(Urls(BASE))
    body = to_response(
        read(request({"video": video})), sold, terms=TERMS, markup=markup, shown=Shown(markup),
        now_us=NOW_US,
    )  # fmt: skip
    [bid] = json.loads(body)["seatbid"][0]["bid"]
    assert bid["protocol"] == protocol
    assert ("<Wrapper>" in bid["adm"]) == (protocol in (5, 6, 8, 12, 14))
