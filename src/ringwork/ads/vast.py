"""A VAST document with one in-line linear ad (VAST 4.2; 2.0 to 4.1 for players that ask for it).

Source: IAB Tech Lab, Digital Video Ad Serving Template 4.2. The element order is that of the
version's schema. Tracking beyond the impression and the click is not offered yet. The document is
built as a tree, so that no text can leave its element.
"""

from __future__ import annotations

import re
from typing import Final, Literal
from xml.dom.minidom import Document, Element

from msgspec import Struct

from ringwork.ads.model import Creative

Version = Literal["2.0", "3.0", "4.0", "4.1", "4.2"]

AD_SYSTEM: Final = "Ringwork"
AD_ID_REGISTRY: Final = "ringwork"
"""Universal ad ids are unique within this platform."""

# What XML 1.0 cannot hold, even escaped (section 2.2).
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class VideoAd(Struct, frozen=True, kw_only=True):
    """What one document says."""

    creative: Creative
    advertiser: str
    serving_id: str
    """Names the impression to every party; required from 4.1 on."""
    impression_url: str
    click_url: str


def write(ad: VideoAd, version: Version = "4.2") -> str:
    """The document. Its creative has a video URL without ``]]>`` (``model.Url`` allows none)."""
    document = Document()
    root = _add(document, document, "VAST", version=version)
    in_line = _add(document, _add(document, root, "Ad", id=ad.creative.id), "InLine")
    _add_text(document, in_line, "AdSystem", AD_SYSTEM)
    if version >= "4":
        _add_url(document, in_line, "Impression", ad.impression_url, id="ringwork")
        if version >= "4.1":
            _add_text(document, in_line, "AdServingId", ad.serving_id)
        _add_text(document, in_line, "AdTitle", ad.creative.name)
        _add_text(document, in_line, "Advertiser", ad.advertiser)
    else:
        _add_text(document, in_line, "AdTitle", ad.creative.name)
        if version == "3.0":
            _add_text(document, in_line, "Advertiser", ad.advertiser)
        _add_url(document, in_line, "Impression", ad.impression_url, id="ringwork")
    _add_creative(document, _add(document, in_line, "Creatives"), ad, version)
    return document.toxml(encoding="UTF-8").decode()


def duration(seconds: int) -> str:
    """HH:MM:SS.mmm.

    >>> duration(90)
    '00:01:30.000'
    """
    minutes, second = divmod(seconds, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}.000"


def _add_creative(document: Document, parent: Element, ad: VideoAd, version: Version) -> None:
    creative = ad.creative
    node = _add(document, parent, "Creative", id=creative.id)
    if version >= "4":
        universal = _add_text(document, node, "UniversalAdId", creative.id)
        universal.setAttribute("idRegistry", AD_ID_REGISTRY)
        if version == "4.0":
            universal.setAttribute("idValue", creative.id)
    linear = _add(document, node, "Linear")
    _add_text(document, linear, "Duration", duration(creative.duration_s))
    if version >= "4":
        _add_media(document, linear, creative)
        _add_clicks(document, linear, ad)
    else:
        _add_clicks(document, linear, ad)
        _add_media(document, linear, creative)


def _add_media(document: Document, linear: Element, creative: Creative) -> None:
    _add_url(
        document,
        _add(document, linear, "MediaFiles"),
        "MediaFile",
        creative.video_url or "",
        delivery="progressive",
        type=creative.video_mime,
        width=str(creative.width),
        height=str(creative.height),
    )


def _add_clicks(document: Document, linear: Element, ad: VideoAd) -> None:
    _add_url(document, _add(document, linear, "VideoClicks"), "ClickThrough", ad.click_url)


def _add(document: Document, parent: Document | Element, name: str, **attributes: str) -> Element:
    node = document.createElement(name)
    for attribute, value in attributes.items():
        node.setAttribute(attribute, _NOT_XML.sub("", value))
    parent.appendChild(node)
    return node


def _add_text(document: Document, parent: Element, name: str, text: str) -> Element:
    node = _add(document, parent, name)
    node.appendChild(document.createTextNode(_NOT_XML.sub("", text)))
    return node


def _add_url(document: Document, parent: Element, name: str, url: str, **attributes: str) -> None:
    node = _add(document, parent, name, **attributes)
    node.appendChild(document.createCDATASection(url))
