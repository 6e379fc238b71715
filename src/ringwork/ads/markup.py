"""What is shown: HTML for banners and native cards, VAST for video and audio, with our URLs.

A creative's HTML runs in a sandbox of its own without scripts, forms or pop-ups; the click belongs
to a link that covers it and leads through the click URL, so that a creative can neither navigate
the page nor forge a click. Everything written by an advertiser is escaped where it is put.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html import escape
from typing import Final
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from ringwork.ads import vast
from ringwork.ads.model import MEASURES, Creative, Measure, Served
from ringwork.kernel.ids import format_id

KEPT_MAX: Final = 16_384
"""Creatives whose markup is kept ready; past that the oldest is written anew when it is sold."""

_LINK: Final = 'target="_blank" rel="noopener noreferrer nofollow sponsored"'
# Private-use characters mark where URLs go in a VAST template; the advertiser's texts and URLs lose
# theirs first, so that a mark is ours.
_MARK: Final = "\ue000{}\ue000"
_MARKS: Final = re.compile("\ue000([1-5])\ue000")
_IMPRESSION, _CLICK, _SERVING_ID, _VIEWABLE, _VIEWED = "12345"
_URL_CHARS: Final = ":/?#[]@!$&'()*+,;=%~"


LARGE_PX: Final = 242_500
"""From so many pixels on, 30 % of them are enough (MRC)."""
_REPORT: Final = (
    "(()=>{const box=document.currentScript.parentElement;let seen=false,timer=0;"
    "const done=()=>{watch.disconnect();document.removeEventListener('visibilitychange',check);"
    "fetch('URL',{mode:'no-cors',credentials:'omit',keepalive:true}).catch(()=>{})};"
    "const check=()=>{clearTimeout(timer);"
    "if(seen&&!document.hidden)timer=setTimeout(done,1000)};"
    "const watch=new IntersectionObserver(found=>{"
    "const now=found.pop().intersectionRatio>=SHARE;if(now!==seen){seen=now;check()}},"
    "{threshold:SHARE});"
    "document.addEventListener('visibilitychange',check);watch.observe(box)})()"
)
_STATEMENT_BOX: Final = (
    "position:absolute;top:0;right:0;z-index:1;max-width:100%;padding:0 4px;"
    "font:11px/1.4 system-ui,sans-serif;color:#000;background:#fffd"
)


_CALL: Final = "padding:2px 8px;border:1px solid currentColor;border-radius:4px"


class Urls(Struct, frozen=True):
    """Where the outside world reaches the beacon, click and notice endpoints.

    Tokens are letters, digits, ``-`` and ``_`` (``Tokens.sign``), so that the URLs need no escaping
    in HTML, XML or JSON.
    """

    base: str
    """Scheme, host and port, without a slash at the end."""

    @property
    def host(self) -> str:
        """The domain that they lie in."""
        return self.base.partition("://")[2].partition("/")[0].partition(":")[0]

    def impression(self, token: str) -> str:
        return f"{self.base}/b/{token}"

    def click(self, token: str) -> str:
        return f"{self.base}/c/{token}"

    def viewable(self, token: str) -> str:
        return f"{self.base}/v/{token}"

    def viewed(self, token: str) -> str:
        return f"{self.base}/w/{token}"

    def notices(self, token: str) -> tuple[str, str]:
        """Where an exchange reports that a bid has (won, lost)."""
        return f"{self.base}/n/{token}", f"{self.base}/l/{token}"


class _Kept(Struct):
    creative: Creative
    advertiser: str
    pieces: tuple[str, ...]


class Markup:
    """Writes the markup of sold slots; the parts that do not change are kept per creative."""

    def __init__(self, urls: Urls) -> None:
        self.urls = urls
        self._kept: dict[tuple[str, str], _Kept] = {}

    def banner(self, served: Served, *, pixel: bool, billable: bool = True) -> str:
        """The HTML of a banner.

        With ``pixel`` it reports its own impression; without, whoever shows it does.
        ``billable=False`` writes URLs that record nothing (OpenRTB ``test``).
        """
        before, after = self.kept(served, "banner", banner_pieces)
        impression_url, click_url = self.beacons(served, billable=billable)
        image = (
            f'<img src="{impression_url}" alt="" width="1" height="1" style="position:absolute">'
        )
        return f"{before}{click_url}{after}{image if pixel else ''}</div>"

    def card(self, served: Served) -> str:
        """The HTML of a native ad for pages that do not lay it out themselves."""
        before, after = self.kept(served, "card", _card_pieces)
        return f"{before}{self.urls.click(served.tokens['click'])}{after}"

    def video(self, served: Served, version: vast.Version = "4.2", *, billable: bool = True) -> str:
        """The VAST document of a video or audio ad."""
        measures = measures_of(served) if billable else ()
        pieces = self.kept(
            served,
            f"video {version} {' '.join(measures)}",
            lambda creative, by: vast_pieces(creative, by, version, measures),
        )
        return self.filled(pieces, served, self.beacons(served, billable=billable))

    def filled(self, pieces: Sequence[str], served: Served, urls: tuple[str, str]) -> str:
        """A document of ``vast_pieces`` with what one sale puts in.

        ``urls`` are those of the impression and the click.
        """
        tokens = served.tokens
        values = {
            _IMPRESSION: urls[0],
            _CLICK: urls[1],
            _SERVING_ID: format_id(served.impression_id),
        }
        if "viewable" in tokens:
            values[_VIEWABLE] = self.urls.viewable(tokens["viewable"])
        if "view" in tokens:
            values[_VIEWED] = self.urls.viewed(tokens["view"])
        parts = list(pieces)
        parts[1::2] = [values[mark] for mark in pieces[1::2]]
        return "".join(parts)

    def beacons(self, served: Served, *, billable: bool = True) -> tuple[str, str]:
        """(impression URL, click URL); an outside bidder's ad has no click URL of ours: empty."""
        tokens, urls = served.tokens, self.urls
        if not billable:
            return urls.impression("test"), urls.click("test")
        click_url = urls.click(tokens["click"]) if "click" in tokens else ""
        return urls.impression(tokens["impression"]), click_url

    def kept(
        self, served: Served, kind: str, write: Callable[[Creative, str], tuple[str, ...]]
    ) -> tuple[str, ...]:
        """What ``write`` makes of the creative and its advertiser's domain, made once.

        ``kind`` names what is made; the same kind always comes with the same ``write``.
        """
        creative, advertiser = served.creative, served.advertiser_domain
        kept = self._kept.get((creative.id, kind))
        # The catalogue replaces a changed creative by another object.
        if kept is None or kept.creative is not creative or kept.advertiser != advertiser:
            if len(self._kept) >= KEPT_MAX:
                del self._kept[next(iter(self._kept))]
            kept = _Kept(creative, advertiser, write(creative, advertiser))
            self._kept[(creative.id, kind)] = kept
        return kept.pieces


def self_reporting(markup: str, width: int, height: int, url: str) -> str:
    """A banner that reports itself that it was viewable, where no page of ours does.

    By the MRC's standard, as ``ringwork.js`` measures it: half of the pixels (of large ads 30 %)
    for a second on end. An observer without a root sees how much of a frame the window shows,
    however many frames are around it.
    """
    share = 0.3 if width * height >= LARGE_PX else 0.5
    script = _REPORT.replace("SHARE", f"{share}").replace("URL", url)
    style = f"position:relative;width:{width}px;height:{height}px"
    return f'<div style="{style}">{markup}<script>{script}</script></div>'


def statement(served: Served) -> str:
    """The statement of the DSA in a corner of a banner, readable without a script."""
    behalf, payer = escape(served.behalf), escape(served.payer)
    return (
        f'<details style="{_STATEMENT_BOX}"><summary>Ad</summary>'
        f"Shown for {behalf}, paid by {payer}</details>"
    )


def banner_pieces(creative: Creative, advertiser: str) -> tuple[str, str]:
    """The HTML of a banner before and after its click URL; it is closed by ``</div>``."""
    width, height, by = creative.width, creative.height, escape(f"Ad by {advertiser}")
    before = (
        f'<div style="position:relative;width:{width}px;height:{height}px;overflow:hidden">'
        f'<iframe sandbox="" srcdoc="{escape(creative.html)}" width="{width}" height="{height}" '
        f'title="{by}" tabindex="-1" scrolling="no" style="border:0;display:block"></iframe>'
        f'<a href="'
    )
    after = f'" {_LINK} aria-label="{by}" title="{by}" style="position:absolute;inset:0"></a>'
    return before, after


def _card_pieces(creative: Creative, advertiser: str) -> tuple[str, str]:
    image = ""
    if creative.image_url:
        image = (
            f'<img src="{escape(creative.image_url)}" alt="" '
            'style="width:100%;height:auto;display:block">'
        )
    call = creative.data.get("ctatext", "")
    if call:
        call = f'<span style="display:inline-block;{_CALL}">{escape(call)}</span> '
    after = (
        f'" {_LINK} style="display:block;font:14px/1.4 system-ui,sans-serif;color:inherit;'
        f'text-decoration:none">{image}<strong>{escape(creative.title)}</strong>'
        f'<span style="display:block">{escape(creative.text)}</span>{call}'
        f"<small>Ad by {escape(advertiser)}</small></a>"
    )
    return '<a href="', after


def measures_of(served: Served) -> tuple[Measure, ...]:
    """What of a sale has a beacon after the impression."""
    tokens = served.tokens
    if "viewable" in tokens or "view" in tokens:
        return tuple([one for one in MEASURES if one in tokens])
    return ()


def vast_pieces(
    creative: Creative, advertiser: str, version: vast.Version, measures: Sequence[Measure] = ()
) -> tuple[str, ...]:
    """A document cut where a sale's own texts go: texts, and between them what goes there.

    ``Markup.filled`` puts it together.
    """
    document = vast.write(
        vast.LinearAd(
            creative=_without_marks(creative),
            advertiser=advertiser,
            serving_id=_MARK.format(_SERVING_ID),
            impression_url=_MARK.format(_IMPRESSION),
            click_url=_MARK.format(_CLICK),
            viewable_url=_MARK.format(_VIEWABLE) if "viewable" in measures else "",
            viewed_url=_MARK.format(_VIEWED) if "view" in measures else "",
        ),
        version,
    )
    return tuple(_MARKS.split(document))


def _without_marks(creative: Creative) -> Creative:
    """As a URL is written on the wire; the private-use characters of texts are dropped."""
    return replace(
        creative,
        name=creative.name.replace("\ue000", ""),
        video_mime=creative.video_mime.replace("\ue000", ""),
        video_url=quote(creative.video_url or "", safe=_URL_CHARS),
        audio_mime=creative.audio_mime.replace("\ue000", ""),
        audio_url=quote(creative.audio_url or "", safe=_URL_CHARS),
    )
