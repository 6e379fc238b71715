"""The frame in which markup with scripts is shown: HTML5 with a clickTag, and other servers' tags.

The frame is sandboxed with scripts and pop-ups and without an origin: what runs in it reaches
neither the page, nor its cookies, nor its address (HTML, 4.8.5: no ``allow-same-origin``, no
``allow-top-navigation``). A click is the creative's own: it opens our click URL, which is the
string of its clickTag, or stands where its tag has ``${CLICK_URL}``. Static markup is not shown so:
it runs nothing, and a link of ours covers it.
"""

from __future__ import annotations

from html import escape
from typing import Final

from msgspec import Struct

from ringwork.ads.creatives.html import CLICK_TAG, kind_of
from ringwork.ads.creatives.macros import Template, Values
from ringwork.ads.model import Creative, Placement

SANDBOX: Final = "allow-scripts allow-popups allow-popups-to-escape-sandbox"
"""A landing page that opens is no part of the sandbox any more."""


class Frame(Struct, frozen=True):
    """A creative's frame, ready but for what differs per impression; keep it per creative."""

    template: Template

    def markup(self, *, click_url: str, impression_id: bytes) -> str:
        """The HTML of one impression."""
        return self.template.fill(Values.of(click_url, impression_id))


def is_scripted(creative: Creative) -> bool:
    """Whether a banner runs scripts, so that ``frame_of`` shows it."""
    return creative.format == "banner" and kind_of(creative) != "static"


def frame_of(creative: Creative, advertiser: str) -> Frame:
    """The frame of a scripted banner; ``advertiser`` is the domain that it is labelled with."""
    html = creative.html
    if not creative.third_party:
        html = CLICK_TAG.sub(lambda found: f"{found[1]}{found[2]}${{CLICK_URL}}{found[2]}", html)
    return Frame(_framed(html, creative.width, creative.height, f"Ad by {advertiser}"))


def passback(placement: Placement, *, request_id: bytes) -> str:
    """What a placement shows when nothing was sold: its own third-party markup, in the same frame.

    Clicks on it are not ours to count, so a click macro in it stays empty.
    """
    template = _framed(placement.passback_html, placement.width, placement.height, "Advertisement")
    return template.fill(Values.of("", request_id))


def _framed(html: str, width: int, height: int, title: str) -> Template:
    size = f'width="{width or "100%"}" height="{height or "100%"}"'
    box = ";".join(
        f"{name}:{side}px" for name, side in (("width", width), ("height", height)) if side
    )
    return Template.of(
        f'<div style="position:relative;overflow:hidden;{box}">'
        f'<iframe sandbox="{SANDBOX}" srcdoc="{escape(html)}" {size} title="{escape(title)}" '
        'scrolling="no" style="border:0;display:block"></iframe></div>'
    )
