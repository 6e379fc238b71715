"""Checking, showing and previewing creatives: what is found, what frames hold, what stays inert."""

from html import unescape
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.creatives import frame_of, is_scripted
from ringwork.ads.creatives.macros import Template, Values, unknown_macros
from ringwork.ads.creatives.vast import NotReadable, read, seconds_of
from ringwork.ads.creatives.vast_served import Beacons, tracked, wrapper
from ringwork.ads.markup import Markup, Urls
from ringwork.ads.model import Creative, Served
from ringwork.ads.shown import Shown
from tests.ads.house import House
from tests.ads.office import CREATIVE, Office, slug

LANDING = "https://harbourpaints.example/blue"
HTML5 = (
    '<html><head><meta name="ad.size" content="width=300,height=250"></head><body>'
    f'<script>var clickTag = "{LANDING}";</script>'
    '<a href="javascript:window.open(window.clickTag)">Paint</a></body></html>'
)
TAG = (
    '<script src="https://ads.other.example/t.js?click=${CLICK_URL_ENC}&n=${CACHEBUSTER}"></script>'
)
VAST = f"""<?xml version="1.0" encoding="UTF-8"?>
<VAST version="4.2"><Ad id="1"><InLine><AdSystem>Other</AdSystem>
<Impression><![CDATA[https://other.example/i?t=[timestamp]]]></Impression>
<AdServingId>x</AdServingId><AdTitle>Paint &amp; more</AdTitle><Creatives><Creative><Linear>
<Duration>00:00:14.500</Duration><MediaFiles><MediaFile delivery="progressive" type="video/mp4"
width="640" height="360"><![CDATA[https://other.example/v.mp4]]></MediaFile></MediaFiles>
<VideoClicks><ClickThrough><![CDATA[{LANDING}]]></ClickThrough></VideoClicks>
</Linear></Creative></Creatives></InLine></Ad></VAST>"""
VIDEO = {
    "format": "video", "html": "", "width": 640, "height": 360, "video_mime": "video/mp4",
    "duration_s": 15,
}  # fmt: skip
BANNER = {"format": "banner"}


@pytest.fixture(scope="module")
def office():
    with House() as house:
        office = Office(house)
        office.fill()
        house.deposit("hp", 10**14)
        office.create("campaigns", key="v", id="views", pricing="cpm", bid_nanos=1000)
        yield office
        office.engine.dispose()


def check(office, **members):
    body = {**CREATIVE, "id": "new", "campaign_id": "views", **members}
    answer = office.send("POST", "/v1/creatives/check", role="manager", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def found(office, **members):
    return [(f["pointer"], f["severity"], f["found"]) for f in check(office, **members)["findings"]]


def errors(office, **members):
    return [pointer for pointer, severity, _ in found(office, **members) if severity == "error"]


# ---- findings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"html": HTML5},
        {"html": TAG, "third_party": True},
        {**VIDEO, "video_url": "https://v.example/a.mp4"},
        {**VIDEO, "vast_tag_url": "https://other.example/vast?n=${CACHEBUSTER}&t=[timestamp]"},
        {**VIDEO, "vast_xml": VAST},
        {"format": "native", "title": "Paint", "text": "x" * 140, "html": ""},
    ],
)
def test_nothing_is_found_of_what_is_right(office, members):
    assert check(office, **members) == {"accepted": True, "findings": []}


HTML_ERRORS = [
    (HTML5.replace("width=300", "width=320"), "width=320,height=250"),
    (HTML5.replace("window.open(window.clickTag)", "alert()"), "clickTag declared and never used"),
    (HTML5.replace(f'"{LANDING}"', "undefined"), "clickTag used and never set to a string"),
    (HTML5 + "<script>document . write('x')</script>", "document . write("),
    (HTML5 + "<script>top.location = clickTag</script>", "top.location"),
    (HTML5 + "<a target='_top' href='x'>", "'_top'"),
    (HTML5 + "<meta http-equiv=refresh content=1>", "http-equiv=refresh"),
    (HTML5 + "<img src='http://plain.example/a.gif'>", "http://plain.example/a.gif"),
    (HTML5 + "<style>a{background:url(http://plain.example/a.gif)}</style>",
     "http://plain.example/a.gif"),
    ("é" * 75_001, "150002 bytes"),
]  # fmt: skip


@pytest.mark.parametrize(("html", "what"), HTML_ERRORS)
def test_what_is_wrong_with_html5(office, html, what):
    [finding] = check(office, html=html)["findings"]
    assert (finding["pointer"], finding["severity"], finding["found"]) == ("/html", "error", what)
    assert finding["expected"]
    refused = office.create(
        "creatives",
        key=f"bad {HTML_ERRORS.index((html, what))}",
        id="bad",
        campaign_id="views",
        html=html,
    )
    assert (refused.status_code, slug(refused)) == (409, "rule-violated")
    assert what in refused.json()["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("members", "what"),
    [
        ({"html": "<b onclick=x>ad</b>"}, "onclick=, which will not run"),
        ({"html": "<img src=http://plain.example/a.gif>"}, "http://plain.example/a.gif"),
        ({"html": HTML5 + "<script>localStorage.x</script>"}, "localStorage"),
        (
            {"html": "<script src='https://x.example'></script>", "third_party": True},
            "no click macro",
        ),
        ({"html": TAG + "${CLICK_URL_UNESC}", "third_party": True}, "${CLICK_URL_UNESC}"),
        ({"html": TAG + "<script>top.location</script>", "third_party": True}, "top.location"),
        ({"image_url": "http://plain.example/a.gif"}, "http://plain.example/a.gif"),
        ({"format": "native", "title": "x" * 91, "html": ""}, "91; places cut it"),
        ({**VIDEO, "video_url": "http://v.example/a.mp4"}, "http://v.example/a.mp4"),
        ({**VIDEO, "vast_xml": VAST.replace(LANDING, "https://x.example/")}, "https://x.example/"),
    ],
)
def test_what_is_only_pointed_at(office, members, what):
    answer = check(office, **members)
    assert answer["accepted"] is True
    assert [(f["severity"], f["found"]) for f in answer["findings"]] == [("warning", what)]


@pytest.mark.parametrize(
    ("members", "pointers"),
    [
        ({"id": "check"}, ["/id"]),
        ({"campaign_id": "none"}, ["/campaign_id"]),
        ({**VIDEO}, ["/video_url"]),
        ({**VIDEO, "video_url": "https://a.example", "vast_xml": VAST}, ["/vast_xml"]),
        ({**VIDEO, "video_url": "https://a.example", "video_mime": "text/html"}, ["/video_mime"]),
        ({**VIDEO, "vast_tag_url": "http://other.example/vast"}, ["/vast_tag_url"]),
        ({**VIDEO, "video_url": "https://a.example", "third_party": True}, ["/third_party"]),
        ({"vast_xml": VAST, "format": "native", "title": "x", "html": ""}, ["/vast_xml"]),
        ({"format": "audio", "html": "", "audio_mime": "audio/mpeg", "duration_s": 5}, ["/audio_url"]),
        ({**VIDEO, "vast_xml": VAST, "duration_s": 14}, ["/duration_s"]),
        ({**VIDEO, "vast_xml": VAST, "video_mime": "video/webm"}, ["/video_mime"]),
        ({"campaign_id": "autumn", "html": "<i>x</i>", "third_party": True}, ["/html"]),
    ],
)  # fmt: skip
def test_errors_of_members_that_do_not_fit(office, members, pointers):
    assert errors(office, **members) == pointers


VAST_ERRORS = [
    ("<VAST version=", "<vast version=", "mismatched tag"),
    ('version="4.2"', 'version="5.0"', "5.0"),
    ('<?xml version="1.0" encoding="UTF-8"?>', "<!DOCTYPE VAST [<!ENTITY a 'b'>]>", "<!DOCTYPE"),
    ("<AdSystem>Other</AdSystem>", "", "none"),
    ("<AdTitle>Paint &amp; more</AdTitle>", "<AdTitle/>", "an empty one"),
    ("00:00:14.500", "14.5", "14.5"),
    ("00:00:14.500", "00:61:00", "00:61:00"),
    ("https://other.example/v.mp4", "http://other.example/v.mp4", "http://other.example/v.mp4"),
    ("https://other.example/i?", "javascript:alert(1)//", "javascript:alert(1)"),
    ('width="640"', 'width="wide"', "wide"),
    ('delivery="progressive"', "", "none"),
    ('type="video/mp4"', 'type="video/mp4" apiFramework="VPAID"', 'apiFramework="VPAID"'),
    ("InLine>", "Inline>", "0"),
    ("<Ad id", "<Ad/><Ad id", "2"),
    ("ClickThrough>", "Clicked>", "0"),
    ("Linear>", "NonLinearAds>", "0"),
]


@pytest.mark.parametrize(("old", "new", "what"), VAST_ERRORS)
def test_what_is_wrong_with_a_document(office, old, new, what):
    assert old in VAST
    findings = check(office, **VIDEO, vast_xml=VAST.replace(old, new))["findings"]
    wrong = [one for one in findings if one["severity"] == "error"]
    assert len(wrong) == 1, wrong
    assert wrong[0]["pointer"] == "/vast_xml"
    assert wrong[0]["found"].startswith(what) or what in wrong[0]["found"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no xml",
        "<a>",
        "<!DOCTYPE a [<!ENTITY x 'xxxxxxxxxx'><!ENTITY y '&x;&x;&x;&x;'>]><a>&y;</a>",
        "<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
        '<?xml version="1.0" encoding="UTF-16"?><a/>',
        "<a>&unknown;</a>",
        "<a>" * 33 + "</a>" * 33,
        "<a>" + "<b/>" * 2000 + "</a>",
        "<a/><b/>",
    ],
)
def test_documents_that_are_not_read(text):
    with pytest.raises(NotReadable):
        read(text)


@given(st.integers(0, 359_999), st.integers(0, 999))
def test_durations_are_read_as_they_are_written(seconds, millis):
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    text = f"{hours:02d}:{minute:02d}:{second:02d}.{millis:03d}"
    assert seconds_of(text) == pytest.approx(seconds + millis / 1000)


@pytest.mark.parametrize(
    "piece",
    ["var clickTag = ", "<script", "src = ", "document.", "'_", "window.", "${", "name='ad.size'"],
)
def test_the_longest_text_of_one_piece_is_checked(office, piece):
    """Patterns that tried again from every character would be at it for hours."""
    html = (piece * (100_000 // len(piece) + 1))[:100_000]
    for third_party in (False, True):
        assert check(office, html=html, third_party=third_party)["findings"] is not None


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}"])
def test_a_check_takes_what_a_creation_takes(office, body):
    headers = {"content-type": "application/json"}
    answer = office.send("POST", "/v1/creatives/check", content=body)
    assert answer.status_code in (415, 400, 422), headers
    wrong = {**CREATIVE, "third_party": "yes"}
    assert slug(office.send("POST", "/v1/creatives/check", json=wrong)) == "invalid"
    before = len(office.house.events())
    check(office)
    assert len(office.house.events()) == before


# ---- macros and frames --------------------------------------------------------------------------


def test_macros_are_filled_once():
    click = "https://ads.example/c/${CACHEBUSTER}"
    text = "${CLICK_URL}|${CLICK_URL_ENC}|${CACHEBUSTER}|[timestamp]|${OTHER}"
    filled = Template.of(text).fill(Values(click, 7))
    encoded = "https%3A%2F%2Fads.example%2Fc%2F%24%7BCACHEBUSTER%7D"
    assert filled == f"{click}|{encoded}|7|7|${{OTHER}}"
    assert unknown_macros(text) == ["${OTHER}"]


@given(st.text(), st.text())
def test_a_text_without_macros_stays_what_it_is(one, other):
    if "$" not in one + other and "[" not in one + other:
        assert Template.of(one).fill(Values("c", 1)) == one
        assert Template.of(f"{one}${{CLICK_URL}}{other}").fill(Values("c", 1)) == f"{one}c{other}"


def banner(**members):
    new = {
        "id": "b",
        "campaign_id": "c",
        "name": "b",
        "format": "banner",
        "width": 300,
        "height": 250,
    }
    return Creative(**{**new, "landing_url": LANDING, **members})


def served(creative):
    return Served(
        slot_id="1", impression_id=b"\x01" * 16, creative=creative, campaign_id="c",
        advertiser_domain="hp.example", pricing="cpm", price_nanos=1, impression_price_nanos=1,
        currency="EUR", tokens={"impression": "I", "click": "C"},
    )  # fmt: skip


class Frames(HTMLParser):
    """The attributes of every frame, and the tags beside them."""

    def __init__(self, html):
        super().__init__()
        self.frames, self.tags = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "iframe":
            self.frames.append(dict(attrs))


@pytest.mark.parametrize("creative", [banner(html=HTML5), banner(html=TAG, third_party=True)])
def test_scripts_run_in_a_frame_without_origin_or_way_out(creative):
    markup = frame_of(creative, "hp.example").markup(
        click_url="https://ads.example/c/T", impression_id=bytes(16)
    )
    found = Frames(markup)
    assert found.tags == ["div", "iframe"], "nothing of the creative is outside of its frame"
    [frame] = found.frames
    assert set(frame["sandbox"].split()) == {
        "allow-scripts", "allow-popups", "allow-popups-to-escape-sandbox",
    }  # fmt: skip
    assert (frame["width"], frame["height"], frame["title"]) == ("300", "250", "Ad by hp.example")


def test_the_click_tag_is_our_click_url():
    html = frame_of(banner(html=HTML5), "hp.example").markup(
        click_url="https://ads.example/c/T", impression_id=bytes(16)
    )
    inside = Frames(html).frames[0]["srcdoc"]
    assert 'var clickTag = "https://ads.example/c/T";' in inside
    assert LANDING not in inside


def test_hostile_markup_stays_in_its_attribute():
    hostile = '"></iframe><script>alert(1)</script>' + HTML5
    html = frame_of(banner(html=hostile), 'x"><b>').markup(click_url="u", impression_id=bytes(16))
    found = Frames(html)
    assert found.tags == ["div", "iframe"]
    assert found.frames[0]["srcdoc"].startswith('"></iframe><script>')


def test_each_impression_has_its_own_number():
    frame = frame_of(banner(html=TAG, third_party=True), "hp.example")
    one, two = (
        unescape(frame.markup(click_url="https://a.example/c/T?x=1", impression_id=id))
        for id in (bytes(15) + b"\x01", bytes(15) + b"\x02")
    )
    assert "click=https%3A%2F%2Fa.example%2Fc%2FT%3Fx%3D1&n=1" in one
    assert "&n=2" in two


def test_static_markup_is_shown_as_before_and_scripted_in_its_frame():
    shown, markup = Shown(Markup(Urls("https://ads.example"))), Markup(Urls("https://ads.example"))
    static = served(banner(html="<b>x</b>"))
    assert not is_scripted(static.creative)
    assert shown.banner(static, pixel=True) == markup.banner(static, pixel=True)
    scripted = served(banner(html=HTML5))
    assert shown.is_scripted(scripted)
    assert "/b/I" in shown.banner(scripted, pixel=True)
    assert "/b/I" not in shown.banner(scripted, pixel=False)
    inert = shown.banner(scripted, pixel=True, billable=False)
    assert ("/b/test" in inert, "/c/test" in inert, "/c/C" in inert) == (True, True, False)
    changed = served(banner(html=HTML5.replace("Paint", "Other")))
    assert "Other" in shown.banner(changed, pixel=False), "a kept frame is not another creative's"


# ---- VAST as it is served -----------------------------------------------------------------------

URLS = {"impression_url": "https://ads.example/b/I", "click_url": "https://ads.example/c/C"}


def video(**members):
    return banner(**{**VIDEO, **members})


@pytest.mark.parametrize("version", ["3.0", "4.2"])
def test_a_tag_is_wrapped_with_our_impression_and_click(version):
    creative = video(vast_tag_url="https://other.example/vast?a=1&n=${CACHEBUSTER}&t=[timestamp]")
    text = wrapper(creative, Beacons(**URLS), version=version, impression_id=bytes(15) + b"\x09")
    root = ElementTree.fromstring(text)
    assert root.attrib == {"version": version}
    inner = root.find("Ad/Wrapper")
    order = [child.tag for child in inner]
    last_or_second = {"3.0": 1, "4.2": 3}[version]
    assert order.index("VASTAdTagURI") == last_or_second
    assert inner.findtext("VASTAdTagURI") == "https://other.example/vast?a=1&n=9&t=9"
    assert inner.findtext("Impression") == "https://ads.example/b/I"
    path = "Creatives/Creative/Linear/VideoClicks/ClickTracking"
    assert inner.findtext(path) == "https://ads.example/c/C"


def test_a_document_gets_our_impression_beside_its_own_and_our_click():
    text = tracked(video(vast_xml=VAST), Beacons(**URLS), impression_id=bytes(15) + b"\x09")
    in_line = ElementTree.fromstring(text).find("Ad/InLine")
    assert [one.text for one in in_line.findall("Impression")] == [
        "https://ads.example/b/I", "https://other.example/i?t=9",
    ]  # fmt: skip
    clicks = in_line.findall("Creatives/Creative/Linear/VideoClicks/*")
    assert [(one.tag, one.text) for one in clicks] == [("ClickThrough", "https://ads.example/c/C")]
    assert in_line.findtext("AdTitle") == "Paint & more"


def test_a_document_that_is_a_wrapper_is_tracked():
    document = (
        '<VAST version="3.0"><Ad><Wrapper><AdSystem>o</AdSystem>'
        "<VASTAdTagURI>https://o.example/v</VASTAdTagURI>"
        "<Impression>https://o.example/i</Impression></Wrapper></Ad></VAST>"
    )
    creative = video(vast_xml=document)
    text = tracked(creative, Beacons("https://a/b", "https://a/c"), impression_id=bytes(16))
    inner = ElementTree.fromstring(text).find("Ad/Wrapper")
    assert len(inner.findall("Impression")) == 2
    assert inner.findtext("Creatives/Creative/Linear/VideoClicks/ClickTracking") == "https://a/c"


MEASURED = {"viewable_url": "https://ads.example/v/V", "viewed_url": "https://ads.example/w/W"}


@pytest.mark.parametrize("version", ["3.0", "4.2"])
def test_a_tag_reports_what_is_measured(version):
    creative = video(vast_tag_url="https://other.example/vast")
    beacons = Beacons(**URLS, **MEASURED)
    text = wrapper(creative, beacons, version=version, impression_id=bytes(16))
    inner = ElementTree.fromstring(text).find("Ad/Wrapper")
    linear = inner.find("Creatives/Creative/Linear")
    assert [child.tag for child in linear] == ["TrackingEvents", "VideoClicks"]
    assert linear.find("TrackingEvents/Tracking").attrib == {"event": "complete"}
    assert linear.findtext("TrackingEvents/Tracking") == "https://ads.example/w/W"
    seen = inner.findtext("ViewableImpression/Viewable")
    assert seen == ("https://ads.example/v/V" if version == "4.2" else None)


def test_a_document_reports_what_is_measured_beside_its_own():
    own = (
        "<ViewableImpression><NotViewable>https://o.example/n</NotViewable></ViewableImpression>"
        "<Creatives>"
    )
    tracking = (
        '<Linear><TrackingEvents><Tracking event="start">https://o.example/s</Tracking>'
        "</TrackingEvents>"
    )
    whole = VAST.replace("<Creatives>", own).replace("<Linear>", tracking)
    for document in (VAST, whole):
        beacons = Beacons(**URLS, **MEASURED)
        text = tracked(video(vast_xml=document), beacons, impression_id=bytes(16))
        in_line = ElementTree.fromstring(text).find("Ad/InLine")
        assert in_line.findtext("ViewableImpression/Viewable") == "https://ads.example/v/V"
        assert len(in_line.findall("ViewableImpression")) == 1
        (linear,) = in_line.findall("Creatives/Creative/Linear")
        (tracked_events,) = linear.findall("TrackingEvents")
        assert tracked_events[-1].attrib == {"event": "complete"}
        assert tracked_events[-1].text == "https://ads.example/w/W"
    assert in_line.findtext("ViewableImpression/NotViewable") == "https://o.example/n"
    assert [one.get("event") for one in tracked_events] == ["start", "complete"]


def test_shown_takes_the_right_one():
    shown = Shown(Markup(Urls("https://ads.example")))
    tag = shown.video(served(video(vast_tag_url="https://other.example/vast")), "4.0")
    assert "<Wrapper>" in tag
    assert 'version="4.0"' in tag
    assert "Paint &amp; more" in shown.video(served(video(vast_xml=VAST)))
    own = served(video(video_url="https://v.example/a.mp4"))
    assert shown.video(own) == Markup(Urls("https://ads.example")).video(own)


# ---- preview ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "shown"),
    [
        ({"html": "<b>blue</b>"}, "&lt;b&gt;blue"),
        ({"html": HTML5}, "/c/test"),
        ({"html": TAG, "third_party": True}, "other.example"),
        ({"format": "native", "title": "A <title>", "html": ""}, "A &lt;title&gt;"),
        (
            {**VIDEO, "video_url": "https://v.example/a.mp4"},
            '<video controls src="https://v.example',
        ),
        ({**VIDEO, "vast_xml": VAST}, "Paint &amp;amp; more"),
        ({**VIDEO, "vast_tag_url": "https://other.example/vast"}, "&lt;Wrapper&gt;"),
    ],
)
def test_a_preview_shows_what_is_served_and_reaches_nothing(office, members, shown):
    test_a_preview_shows_what_is_served_and_reaches_nothing.count += 1
    id = f"p{test_a_preview_shows_what_is_served_and_reaches_nothing.count}"
    body = {"id": id, "campaign_id": "views", "name": "<script>x</script>", **members}
    made = office.create("creatives", key=id, **body)
    assert made.status_code == 201, made.text
    before = len(office.house.events())
    answer = office.send("GET", f"/v1/creatives/{id}/preview", role="viewer")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers.get_list("content-security-policy")
    assert len(policy) == 1, "two policies would both hold"
    assert policy[0].startswith("sandbox allow-scripts allow-popups;")
    assert "allow-same-origin" not in policy[0]
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    assert shown in answer.text
    assert "<script>x" not in answer.text
    assert len(office.house.events()) == before


test_a_preview_shows_what_is_served_and_reaches_nothing.count = 0


def test_other_answers_keep_the_platform_s_policy(office):
    answer = office.send("GET", "/v1/creatives/blue")
    assert answer.headers["content-security-policy"].startswith("default-src 'self'")
    assert answer.headers["x-frame-options"] == "DENY"
    missing = office.send("GET", "/v1/creatives/none/preview")
    assert (missing.status_code, slug(missing)) == (404, "not-found")
    assert office.send("GET", "/v1/creatives/blue/preview", role="supply").status_code == 403
