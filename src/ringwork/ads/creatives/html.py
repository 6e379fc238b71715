"""Checks of a banner's HTML: static markup, HTML5 with a ``clickTag``, another ad server's tag.

The text is searched, not run: a determined author can hide anything from these checks. They tell
honest ones what will not work; what protects the page is the frame (``frames``). The patterns are
bounded, so that no text takes long.

Sources: IAB Display Advertising Guidelines (initial load, ``ad.size``), the ``clickTag``
convention of HTML5 ad builders.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal

from ringwork.ads.creatives.findings import Finding, error, warning
from ringwork.ads.creatives.macros import CLICK_MACROS, unknown_macros
from ringwork.ads.model import Creative

Kind = Literal["static", "html5", "third_party"]

INITIAL_LOAD_MAX_BYTES: Final = 150_000
"""IAB: what a banner may load before it is polite to wait; our markup travels in every answer."""

CLICK_TAG: Final = re.compile(
    r"""((?:\b(?:var|let|const)\s{1,9}|\bwindow\.)clickTag\s{0,9}=\s{0,9})(["'])([^"'\n]{0,2100})\2"""
)
"""A declared clickTag: what comes before its string, the quote, the string."""

_USES: Final = re.compile(r"\bclickTag\b")
_PLAIN_LOAD: Final = re.compile(
    r"""(?:(?:src|srcset|poster|data|href)\s{0,9}=\s{0,9}["']?|url\(\s{0,9}["']?|@import\s{1,9}["']?)"""
    r"""\s{0,9}(http://[^\s"'<>)]{0,100})""",
    re.IGNORECASE,
)
_SCRIPT: Final = re.compile(r"<script\b|\bon(?:click|load|error)\s{0,9}=", re.IGNORECASE)
_WRITE: Final = re.compile(r"\bdocument\s{0,9}\.\s{0,9}write(?:ln)?\s{0,9}\(")
_TOP: Final = re.compile(
    r"""\b(?:window|self|globalThis)\s{0,9}\.\s{0,9}(?:top|parent)\b"""
    r"""|\b(?:top|parent)\s{0,9}\.\s{0,9}(?:location|document|frames)\b"""
    r"""|["']_(?:top|parent)["']|target\s{0,9}=\s{0,9}_(?:top|parent)\b"""
)
_REFRESH: Final = re.compile(r"""http-equiv\s{0,9}=\s{0,9}["']?refresh""", re.IGNORECASE)
_STORAGE: Final = re.compile(r"\b(?:document\.cookie|localStorage|sessionStorage|indexedDB)\b")
_AD_SIZE: Final = re.compile(
    r"""name\s{0,9}=\s{0,9}["']ad\.size["'][^>]{0,100}?content\s{0,9}=\s{0,9}["']"""
    r"""\s{0,9}width\s{0,9}=\s{0,9}(\d{1,5})\s{0,9},\s{0,9}height\s{0,9}=\s{0,9}(\d{1,5})""",
    re.IGNORECASE,
)


def kind_of(creative: Creative) -> Kind:
    """How a banner's HTML is shown: inert, with its clickTag set, or as another server's tag."""
    if creative.third_party:
        return "third_party"
    html = (
        creative.html
    )  # a search for plain text first: most markup has none of what is looked for
    return "html5" if "clickTag" in html and CLICK_TAG.search(html) else "static"


def check_html(creative: Creative) -> Iterator[Finding]:
    """What is wrong with a banner's HTML."""
    html, kind = creative.html, kind_of(creative)
    size = len(html.encode())
    if size > INITIAL_LOAD_MAX_BYTES:
        yield error("/html", f"at most {INITIAL_LOAD_MAX_BYTES} bytes of UTF-8", f"{size} bytes")
    yield from _loads(html, kind)
    yield from _ad_size(creative)
    if kind == "static":
        yield from _static(html)
    else:
        yield from _scripted(html, kind)
    if kind == "html5":
        yield from _click_tag(html)
    if kind == "third_party":
        yield from _third_party(html)


def _loads(html: str, kind: Kind) -> Iterator[Finding]:
    """A page with TLS loads nothing without it.

    Static markup is still shown where nobody asks for TLS (the need ``https`` of a slot).
    """
    found = _PLAIN_LOAD.search(html) if "http://" in html.lower() else None
    if found is not None:
        finding = warning if kind == "static" else error
        yield finding("/html", "every load over https://", found[1])


def _ad_size(creative: Creative) -> Iterator[Finding]:
    has_size = "ad.size" in creative.html.lower()
    found = _AD_SIZE.search(creative.html) if has_size else None
    declared = None if found is None else (int(found[1]), int(found[2]))
    if declared is not None and declared != (creative.width, creative.height):
        expected = f"ad.size of width={creative.width},height={creative.height}"
        yield error("/html", expected, f"width={declared[0]},height={declared[1]}")


def _static(html: str) -> Iterator[Finding]:
    """Static markup runs nothing, so what wants to run says so in one of two ways."""
    script = _SCRIPT.search(html)
    if script is not None and _USES.search(html):
        expected = 'a declared clickTag: var clickTag = "https://..."; its string is replaced'
        yield error("/html", expected, "clickTag used and never set to a string")
    elif script is not None:
        expected = "no script, a declared clickTag (HTML5), or third_party: true"
        yield warning("/html", expected, f"{script[0]}, which will not run")


def _scripted(html: str, kind: Kind) -> Iterator[Finding]:
    """What the frame forbids: in HTML5 it is the advertiser's to mend, in a tag only pointed at."""
    finding = error if kind == "html5" else warning
    written = _WRITE.search(html)
    if written is not None and kind == "html5":
        yield error("/html", "no document.write: it empties the ad", written[0])
    top = _TOP.search(html)
    if top is not None:
        yield finding("/html", "no navigation of the page: the frame forbids it", top[0])
    refresh = _REFRESH.search(html)
    if refresh is not None:
        yield finding("/html", "no meta refresh: an ad stays what was reviewed", refresh[0])
    stored = _STORAGE.search(html)
    if stored is not None:
        yield warning("/html", "no cookies or storage: the frame has no origin", stored[0])


def _click_tag(html: str) -> Iterator[Finding]:
    declared = len(CLICK_TAG.findall(html))
    if len(_USES.findall(html)) <= declared:
        expected = "the declared clickTag to be used: window.open(clickTag)"
        yield error("/html", expected, "clickTag declared and never used")


def _third_party(html: str) -> Iterator[Finding]:
    if not any(macro in html for macro in CLICK_MACROS):
        expected = f"{CLICK_MACROS[0]} or {CLICK_MACROS[1]}, so that clicks are counted"
        yield warning("/html", expected, "no click macro")
    for macro in unknown_macros(html):
        yield warning("/html", "a macro that is filled in", macro)
