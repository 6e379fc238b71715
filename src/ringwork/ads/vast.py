"""A VAST document with one in-line linear ad (VAST 4.2; 2.0 to 4.1 for players that ask for it).

An audio ad is the same document with an audio file, which has no size; from 4.1 on the ad says so
(``adType``), older players know it by the type of its file.

Source: IAB Tech Lab, Digital Video Ad Serving Template 4.2. The element order is that of the
version's schema. Tracked are the impression, the click and, where they are measured, that it was
viewable (from 4.0 on) or played to its end. Markup comes from three functions alone, which escape
what they are given, so that no text can leave its element.
"""

from __future__ import annotations

import re
from typing import Final, Literal
from xml.sax.saxutils import escape

from msgspec import Struct

from ringwork.ads.model import STREAM_MIMES, Creative

Version = Literal["2.0", "3.0", "4.0", "4.1", "4.2"]

AD_SYSTEM: Final = "Ringwork"
AD_ID_REGISTRY: Final = "ringwork"
"""Universal ad ids are unique within this platform."""

# A parser would read these as other characters than were written (XML 1.0, 2.11 and 3.3.3).
_IN_TEXT: Final = {"\r": "&#13;"}
_IN_QUOTES: Final = {'"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
# What XML 1.0 cannot hold, even escaped (2.2).
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class LinearAd(Struct, frozen=True, kw_only=True):
    """What one document says."""

    creative: Creative
    advertiser: str
    serving_id: str
    """Names the impression to every party; required from 4.1 on."""
    impression_url: str
    click_url: str
    viewable_url: str = ""
    """Where viewability is reported; empty: nowhere."""
    viewed_url: str = ""
    """Where it is reported that the ad was played to its end; empty: nowhere."""


def write(ad: LinearAd, version: Version = "4.2") -> str:
    """The document. Its creative has a media URL without ``]]>`` (``model.Url`` allows none)."""
    creative = ad.creative
    title = _text("AdTitle", creative.name)
    impression = _url("Impression", ad.impression_url, id="ringwork")
    advertiser = _text("Advertiser", ad.advertiser)
    if version >= "4":
        if ad.viewable_url:
            seen = _element("ViewableImpression", _url("Viewable", ad.viewable_url), id="ringwork")
            impression = f"{impression}{seen}"
        serving_id = _text("AdServingId", ad.serving_id) if version >= "4.1" else ""
        head = f"{impression}{serving_id}{title}{advertiser}"
    else:
        head = f"{title}{advertiser if version == '3.0' else ''}{impression}"
    creatives = _element("Creatives", _creative(ad, version))
    in_line = _element("InLine", f"{_text('AdSystem', AD_SYSTEM)}{head}{creatives}")
    kind = {"adType": "audio"} if version >= "4.1" and creative.format == "audio" else {}
    root = _element("VAST", _element("Ad", in_line, id=creative.id, **kind), version=version)
    return f'<?xml version="1.0" encoding="UTF-8"?>{root}'


def duration(seconds: int) -> str:
    """HH:MM:SS.mmm.

    >>> duration(90)
    '00:01:30.000'
    """
    minutes, second = divmod(seconds, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}.000"


def _creative(ad: LinearAd, version: Version) -> str:
    creative = ad.creative
    universal = ""
    if version >= "4":
        value = {"idValue": creative.id} if version == "4.0" else {}
        universal = _text("UniversalAdId", creative.id, idRegistry=AD_ID_REGISTRY, **value)
    length = _text("Duration", duration(creative.duration_s))
    media, clicks = _media(creative), _element("VideoClicks", _url("ClickThrough", ad.click_url))
    tracking = ""
    if ad.viewed_url:
        tracking = _element("TrackingEvents", _url("Tracking", ad.viewed_url, event="complete"))
    if version >= "4":
        linear = f"{tracking}{length}{media}{clicks}"
    else:
        linear = f"{length}{tracking}{clicks}{media}"
    return _element("Creative", f"{universal}{_element('Linear', linear)}", id=creative.id)


def _media(creative: Creative) -> str:
    is_audio = creative.format == "audio"
    mime = creative.audio_mime if is_audio else creative.video_mime
    file = _url(
        "MediaFile",
        (creative.audio_url if is_audio else creative.video_url) or "",
        delivery="streaming" if mime.lower() in STREAM_MIMES else "progressive",
        type=mime,
        width="0" if is_audio else str(creative.width),
        height="0" if is_audio else str(creative.height),
    )
    return _element("MediaFiles", file)


def _element(name: str, inside: str, **attributes: str) -> str:
    """An element around markup."""
    written = "".join(
        [f' {one}="{escape(_legal(value), _IN_QUOTES)}"' for one, value in attributes.items()]
    )
    return f"<{name}{written}>{inside}</{name}>"


def _text(name: str, text: str, **attributes: str) -> str:
    """An element with a text."""
    return _element(name, escape(_legal(text), _IN_TEXT), **attributes)


def _url(name: str, url: str, **attributes: str) -> str:
    """An element with a URL, as the standard wants it; a URL holds no ``]]>``."""
    return _element(name, f"<![CDATA[{url}]]>", **attributes)


def _legal(text: str) -> str:
    return _NOT_XML.sub("", text)
