"""What is shown: nothing an advertiser writes leaves its place, and VAST has its schema's order."""

import base64
import json
from html import escape
from html.parser import HTMLParser
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads import vast
from ringwork.ads.markup import KEPT_MAX, Markup, Urls
from ringwork.kernel.ids import format_id
from tests.ads.openrtb.wire import creative, native_creative, served, video_creative

BASE = "https://ads.example"
HOSTILE = "\"'><script>alert(1)</script>]]>&amp;\ue0001\ue000\ue0002\ue000\ue0003\ue000\x00\x0b"
TEXT = st.text(st.characters(codec="utf-8"), max_size=60) | st.just(HOSTILE)


def markup() -> Markup:
    return Markup(Urls(BASE))


class Elements(HTMLParser):
    """(tag, attributes) in order, and the text outside of tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def document(**members) -> ElementTree.Element:
    return ElementTree.fromstring(markup().video(served(video_creative(**members))))


# ---- HTML ---------------------------------------------------------------------------------------


def test_a_banner_is_a_sandboxed_frame_under_a_link():
    elements = Elements(markup().banner(served(creative()), pixel=True))
    assert [tag for tag, _ in elements.found] == ["div", "iframe", "a", "img"]
    frame, link, image = (attributes for _, attributes in elements.found[1:])
    assert (frame["sandbox"], frame["srcdoc"]) == ("", "<b>Paint</b>")
    assert (frame["width"], frame["height"]) == ("300", "250")
    assert (link["href"], link["target"]) == (f"{BASE}/c/click-token", "_blank")
    assert link["aria-label"] == "Ad by adv.example"
    assert "noopener" in str(link["rel"])
    assert image["src"] == f"{BASE}/b/imp-token"


def test_without_a_pixel_whoever_shows_it_reports():
    assert "/b/" not in markup().banner(served(creative()), pixel=False)


@given(TEXT)
def test_html_of_a_creative_stays_in_its_frame(html):
    elements = Elements(markup().banner(served(creative(html=html)), pixel=True))
    assert [tag for tag, _ in elements.found] == ["div", "iframe", "a", "img"]
    # An HTML parser replaces what HTML cannot hold; everything else arrives as written.
    if html.isprintable():
        assert elements.found[1][1]["srcdoc"] == html
    assert elements.found[2][1]["href"] == f"{BASE}/c/click-token"
    assert elements.text == ""


def test_a_card():
    elements = Elements(markup().card(served(native_creative())))
    assert elements.found[0][1]["href"] == f"{BASE}/c/click-token"
    assert elements.found[1][1]["src"] == "https://adv.example/a.png"
    assert elements.text == "Paint your hall in an afternoonOne coat.Ad by adv.example"
    without = Elements(markup().card(served(native_creative(image_url=None))))
    assert "img" not in [tag for tag, _ in without.found]


@given(TEXT, TEXT)
def test_texts_of_a_card_stay_texts(title, text):
    elements = Elements(markup().card(served(native_creative(title=title, text=text))))
    assert [tag for tag, _ in elements.found] == ["a", "img", "strong", "span", "small"]


# ---- VAST ---------------------------------------------------------------------------------------

NEW_ORDER = ["AdSystem", "Impression", "AdServingId", "AdTitle", "Advertiser", "Creatives"]
ORDERS = {
    "4.2": NEW_ORDER,
    "4.1": NEW_ORDER,
    "4.0": [name for name in NEW_ORDER if name != "AdServingId"],
    "3.0": ["AdSystem", "AdTitle", "Advertiser", "Impression", "Creatives"],
    "2.0": ["AdSystem", "AdTitle", "Impression", "Creatives"],
}
LINEAR_ORDERS = {
    "4": ["Duration", "MediaFiles", "VideoClicks"],
    "3": ["Duration", "VideoClicks", "MediaFiles"],
    "2": ["Duration", "VideoClicks", "MediaFiles"],
}


@pytest.mark.parametrize("version", list(ORDERS))
def test_a_document_has_the_elements_of_its_version_in_order(version):
    root = ElementTree.fromstring(markup().video(served(video_creative()), version))
    assert (root.tag, root.get("version")) == ("VAST", version)
    in_line = root.find("Ad/InLine")
    assert [child.tag for child in in_line] == ORDERS[version]
    linear = in_line.find("Creatives/Creative/Linear")
    assert [child.tag for child in linear] == LINEAR_ORDERS[version[0]]
    universal = in_line.find("Creatives/Creative/UniversalAdId")
    assert (universal is not None) == (version >= "4")
    if version == "4.0":
        assert universal.get("idValue") == "a1"


@pytest.mark.parametrize("version", list(ORDERS))
def test_a_document_reports_what_its_sale_is_measured_by(version):
    tokens = {"impression": "i", "click": "c", "viewable": "s", "view": "w"}
    sold = served(video_creative(), tokens=tokens)
    in_line = ElementTree.fromstring(markup().video(sold, version)).find("Ad/InLine")
    order = list(ORDERS[version])
    if version >= "4":
        order.insert(2, "ViewableImpression")
    assert [child.tag for child in in_line] == order
    seen = in_line.findtext("ViewableImpression/Viewable")
    assert seen == (f"{BASE}/v/s" if version >= "4" else None)
    linear = in_line.find("Creatives/Creative/Linear")
    assert linear.find("TrackingEvents/Tracking").attrib == {"event": "complete"}
    assert linear.findtext("TrackingEvents/Tracking") == f"{BASE}/w/w"
    tags = [child.tag for child in linear]
    assert tags.index("TrackingEvents") == (0 if version >= "4" else 1)
    # What is not measured for the sale is in no document, whichever was written before it.
    again = markup().video(served(video_creative()), version)
    assert "/v/" not in again
    assert "Tracking" not in again


def test_what_a_document_says():
    sold = served(video_creative())
    text = markup().video(sold)
    in_line = ElementTree.fromstring(text).find("Ad/InLine")
    media = in_line.find("Creatives/Creative/Linear/MediaFiles/MediaFile")
    assert in_line.findtext("Impression") == f"{BASE}/b/imp-token"
    assert in_line.findtext("AdServingId") == format_id(sold.impression_id)
    assert in_line.findtext("AdTitle") == "Autumn"
    assert in_line.findtext(".//Duration") == "00:01:30.000"
    assert in_line.findtext(".//ClickThrough") == f"{BASE}/c/click-token"
    assert media.text == "https://adv.example/a.mp4?x=1&y=2"
    assert media.attrib == {
        "delivery": "progressive", "type": "video/mp4", "width": "1280", "height": "720",
    }  # fmt: skip
    for url in (f"{BASE}/b/imp-token", f"{BASE}/c/click-token", media.text):
        assert f"<![CDATA[{url}]]>" in text


@given(name=TEXT, mime=TEXT, path=st.text(st.characters(codec="utf-8"), max_size=40))
def test_texts_of_a_video_stay_in_their_element(name, mime, path):
    url = "https://adv.example/" + "".join(one for one in path if one not in "<>\"'")
    root = document(name=name, video_mime=mime, video_url=url)
    assert [child.tag for child in root.find("Ad/InLine")] == ORDERS["4.2"]
    assert root.findtext(".//Impression") == f"{BASE}/b/imp-token"
    assert root.findtext(".//ClickThrough") == f"{BASE}/c/click-token"
    assert root.find(".//MediaFile").text.isascii()


@given(name=st.text(st.characters(codec="utf-8")) | st.just("\r\n\t a\u2028&amp;"))
def test_texts_of_a_document_arrive_as_written(name):
    """What XML cannot hold is left out, everything else comes back from a parser."""
    ad = video_creative(name=name, video_mime=name)
    text = vast.write(
        vast.LinearAd(
            creative=ad, advertiser="a", serving_id="s", impression_url="https://a.example/",
            click_url="https://c.example/",
        )
    )  # fmt: skip
    root = ElementTree.fromstring(text)
    held = "".join(
        one for one in name if one in "\t\n\r" or (one >= " " and one not in "\ufffe\uffff")
    )
    assert (root.findtext(".//AdTitle") or "") == held
    assert root.find(".//MediaFile").get("type") == held


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "00:00:00.000"), (59, "00:00:59.000"), (3600, "01:00:00.000")]
)
def test_durations(seconds, text):
    assert vast.duration(seconds) == text


# ---- beacons and what is kept -------------------------------------------------------------------


def test_beacons_that_record_nothing():
    writer, sold = markup(), served(creative())
    assert writer.beacons(sold) == (f"{BASE}/b/imp-token", f"{BASE}/c/click-token")
    assert writer.beacons(sold, billable=False) == (f"{BASE}/b/test", f"{BASE}/c/test")


@given(st.binary(min_size=1, max_size=300))
def test_a_token_needs_no_encoding_in_a_url_or_in_any_text_around_it(raw):
    token = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    urls = Urls(BASE)
    for url in (urls.impression(token), urls.click(token), *urls.notices(token)):
        assert quote(url, safe=":/") == escape(url) == json.loads(f'"{url}"') == url


def test_the_host_of_the_urls():
    assert Urls("https://ads.example:8443").host == "ads.example"
    assert Urls("http://ads.example/a").host == "ads.example"


def test_a_changed_creative_or_advertiser_is_written_anew():
    writer = markup()
    assert "Paint" in writer.banner(served(creative()), pixel=False)
    assert "Wood" in writer.banner(served(creative(html="Wood")), pixel=False)
    assert "new.example" in writer.banner(
        served(creative(html="Wood"), advertiser_domain="new.example"), pixel=False
    )


def test_what_is_kept_is_bounded():
    writer = markup()
    for number in range(KEPT_MAX + 2):
        writer.banner(served(creative(id=f"a{number}")), pixel=False)
    assert len(writer._kept) <= KEPT_MAX
