"""What is served of a VAST tag or an advertiser's VAST document: ours around it, or ours in it.

A tag becomes a Wrapper that counts our impression and our click; a document gets our impression
beside its own, and its click leads through our click URL (a Wrapper's is tracked). Both are built
as trees, so that no text can leave its element.

Source: IAB Tech Lab, Digital Video Ad Serving Template 3.0 (2.3.4) and 4.2 (3.5): the order of a
Wrapper's elements changed with 4.0.
"""

from __future__ import annotations

import re
from typing import Final, cast
from xml.dom.minidom import Document, Element

from msgspec import Struct

from ringwork.ads.creatives.macros import Template, Values
from ringwork.ads.creatives.vast import children, read
from ringwork.ads.model import Creative

AD_SYSTEM: Final = "Ringwork"

_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, even escaped (section 2.2)."""


class Beacons(Struct, frozen=True):
    """Where a player reports to; an empty URL is left out."""

    impression_url: str
    click_url: str
    viewable_url: str = ""
    """Only players of VAST 4 know what it is for."""
    viewed_url: str = ""


def wrapper(
    creative: Creative, beacons: Beacons, *, version: str = "4.2", impression_id: bytes
) -> str:
    """The Wrapper of a creative with a ``vast_tag_url``, whose macros are filled in."""
    assert creative.vast_tag_url is not None, "only another ad server's tag is wrapped"
    tag_url = Template.of(creative.vast_tag_url).fill(Values.of(beacons.click_url, impression_id))
    document = Document()
    root = _add(document, document, "VAST", version=version)
    inner = _add(document, _add(document, root, "Ad", id=creative.id), "Wrapper")
    _add(document, inner, "AdSystem").appendChild(document.createTextNode(AD_SYSTEM))
    if version < "4":
        _add_url(document, inner, "VASTAdTagURI", tag_url)
    _add_url(document, inner, "Impression", beacons.impression_url, id="ringwork")
    _track_click(document, inner, beacons.click_url)
    if version >= "4":
        _add_url(document, inner, "VASTAdTagURI", tag_url)
    _measure(document, inner, beacons, version)
    return document.toxml(encoding="UTF-8").decode()


def tracked(creative: Creative, beacons: Beacons, *, impression_id: bytes) -> str:
    """A creative's own document with our impression and our click; it was checked when it came."""
    text = Template.of(creative.vast_xml).fill(Values.of(beacons.click_url, impression_id))
    document = read(text)
    root = document.documentElement
    assert root is not None, "checked when the creative was taken"
    in_line = children(root, "Ad", "InLine")
    inner = in_line[0] if in_line else children(root, "Ad", "Wrapper")[0]
    own = children(inner, "Impression")[0]
    ours = document.createElement("Impression")
    ours.setAttribute("id", "ringwork")
    ours.appendChild(document.createCDATASection(beacons.impression_url))
    inner.insertBefore(ours, own)
    if in_line:
        path = ("Creatives", "Creative", "Linear", "VideoClicks", "ClickThrough")
        click = children(inner, *path)[0]
        for node in list(click.childNodes):
            click.removeChild(node)
        click.appendChild(document.createCDATASection(beacons.click_url))
    else:
        _track_click(document, inner, beacons.click_url)
    _measure(document, inner, beacons, root.getAttribute("version"))
    return document.toxml(encoding="UTF-8").decode()


def with_impression(vast_xml: str, impression_url: str) -> str:
    """An outside bidder's document with our impression before its own; its click stays its own."""
    document = read(vast_xml)
    for kind in ("InLine", "Wrapper"):
        for inner in children(document, "VAST", "Ad", kind):
            ours = document.createElement("Impression")
            ours.setAttribute("id", "ringwork")
            ours.appendChild(document.createCDATASection(impression_url))
            own = children(inner, "Impression")
            inner.insertBefore(ours, own[0] if own else inner.firstChild)
    return document.toxml(encoding="UTF-8").decode()


def _measure(document: Document, inner: Element, beacons: Beacons, version: str) -> None:
    """``ViewableImpression`` from 4.0 on, and the ``complete`` event of the linear ad."""
    if beacons.viewable_url and version >= "4":
        found = children(inner, "ViewableImpression")
        if not found:
            before = children(inner, "Pricing") or children(inner, "Impression")
            found = [document.createElement("ViewableImpression")]
            _insert(found[0], inner, before)
        seen = document.createElement("Viewable")
        seen.appendChild(document.createCDATASection(beacons.viewable_url))
        found[0].insertBefore(seen, found[0].firstChild)
    if not beacons.viewed_url:
        return
    for linear in children(inner, "Creatives", "Creative", "Linear"):
        found = children(linear, "TrackingEvents")
        if not found:
            found = [document.createElement("TrackingEvents")]
            length = children(linear, "Duration")
            after = children(linear, "Icons") if version >= "4" or not length else length
            _insert(found[0], linear, after)
        _add_url(document, found[0], "Tracking", beacons.viewed_url, event="complete")


def _insert(node: Element, parent: Element, after: list[Element]) -> None:
    """Put an element after the last of these, or first where there are none."""
    before = after[-1].nextSibling if after else parent.firstChild
    parent.insertBefore(node, cast("Element | None", before))


def _track_click(document: Document, inner: Element, click_url: str) -> None:
    """``Creatives/Creative/Linear/VideoClicks/ClickTracking``, made as far as it is missing."""
    parent = inner
    for name in ("Creatives", "Creative", "Linear", "VideoClicks"):
        found = children(parent, name)
        parent = found[0] if found else _add(document, parent, name)
    _add_url(document, parent, "ClickTracking", click_url, id="ringwork")


def _add(document: Document, parent: Document | Element, name: str, **attributes: str) -> Element:
    node = document.createElement(name)
    for attribute, value in attributes.items():
        node.setAttribute(attribute, _NOT_XML.sub("", value))
    parent.appendChild(node)
    return node


def _add_url(document: Document, parent: Element, name: str, url: str, **attributes: str) -> None:
    _add(document, parent, name, **attributes).appendChild(document.createCDATASection(url))
