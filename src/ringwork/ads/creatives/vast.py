"""Checks of VAST: an advertiser's whole document, or the URL of another ad server's tag.

Source: IAB Tech Lab, Digital Video Ad Serving Template 2.0 to 4.3: required elements, and durations
as HH:MM:SS.mmm. A document type declaration is refused, and with it every entity: nothing can be
expanded, nothing outside the text is read. Elements and depth are bounded before a tree is built.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from xml.dom.minidom import Document, Element, parseString
from xml.parsers import expat

from ringwork.ads.creatives.findings import Finding, error, warning
from ringwork.ads.model import Creative

ELEMENTS_MAX: Final = 2000
DEPTH_MAX: Final = 32
VERSIONS: Final = ("2.0", "3.0", "4.0", "4.1", "4.2", "4.3")

_DURATION: Final = re.compile(r"(\d{1,2}):([0-5]\d):([0-5]\d)(?:\.(\d{1,3}))?")
_URLS: Final = frozenset(
    {
        "ClickThrough", "ClickTracking", "CustomClick", "Error", "Impression", "JavaScriptResource",
        "MediaFile", "Mezzanine", "StaticResource", "Tracking", "VASTAdTagURI", "ViewUndetermined",
        "Viewable", "NotViewable", "IFrameResource", "InteractiveCreativeFile",
    }
)  # fmt: skip
"""Elements whose text is a URL."""


class NotReadable(Exception):
    """A text that is no document we would read: what was expected, what was found."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"expected {expected}; found {found}")
        self.expected = expected
        self.found = found


def read(text: str) -> Document:
    """The document as a tree; NotReadable for what is not XML, is too big, or declares a type."""
    data = text.strip().encode()
    _scan(data)
    # A document type, the only way to entities, was refused by the scan.
    return parseString(data)  # noqa: S318


def _scan(data: bytes) -> None:
    parser = expat.ParserCreate()
    depth = elements = 0

    def started(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, elements
        depth, elements = depth + 1, elements + 1
        if depth > DEPTH_MAX or elements > ELEMENTS_MAX:
            expected = f"at most {ELEMENTS_MAX} elements, {DEPTH_MAX} deep"
            raise NotReadable(expected, f"more, at <{name}>")

    def ended(name: str) -> None:
        nonlocal depth
        depth -= 1

    def typed(*declaration: object) -> None:
        raise NotReadable("no document type declaration", "<!DOCTYPE")

    parser.StartElementHandler = started
    parser.EndElementHandler = ended
    parser.StartDoctypeDeclHandler = typed
    try:
        parser.Parse(data, True)
    except expat.ExpatError as broken:
        raise NotReadable("a well-formed XML document", str(broken)) from None


def children(parent: Document | Element, *path: str) -> list[Element]:
    """The elements at a path below one, in order."""
    found: list[Document | Element] = [parent]
    for name in path:
        found = [
            child
            for one in found
            for child in one.childNodes
            if isinstance(child, Element) and child.tagName == name
        ]
    return [one for one in found if isinstance(one, Element)]


def text_of(element: Element) -> str:
    """An element's own text, without white space around it."""
    kinds = (element.TEXT_NODE, element.CDATA_SECTION_NODE)
    pieces = [str(node.nodeValue) for node in element.childNodes if node.nodeType in kinds]
    return "".join(pieces).strip()


def seconds_of(duration: str) -> float | None:
    """HH:MM:SS.mmm in seconds, None for anything else.

    >>> seconds_of("00:01:30.500")
    90.5
    """
    found = _DURATION.fullmatch(duration)
    if found is None:
        return None
    hours, minutes, seconds, fraction = found.groups()
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{fraction or 0}")


def reports_viewable(vast_xml: str) -> bool:
    """Whether players of a readable document can be told where to report that it was viewable.

    ``ViewableImpression`` came with VAST 4.0 (4.2, 3.5). What an older document's creative is
    called by is its advertiser's: it is not made a document of another version.
    """
    root = read(vast_xml).documentElement
    return root is not None and root.getAttribute("version") >= "4"


def check_tag_url(creative: Creative) -> Iterator[Finding]:
    """What is wrong with another ad server's VAST tag."""
    url = creative.vast_tag_url
    if url is not None and not url.startswith("https://"):
        yield error("/vast_tag_url", "https://", url)


def check_document(creative: Creative) -> Iterator[Finding]:
    """What is wrong with an advertiser's VAST document."""
    try:
        document = read(creative.vast_xml)
    except NotReadable as problem:
        yield error("/vast_xml", problem.expected, problem.found)
        return
    root = document.documentElement
    assert root is not None, "a well-formed document has a root"
    if root.tagName != "VAST":
        yield error("/vast_xml", "the root element VAST", f"<{root.tagName}>")
        return
    if root.getAttribute("version") not in VERSIONS:
        expected = f"VAST version {VERSIONS[0]} to {VERSIONS[-1]}"
        yield error("/vast_xml", expected, root.getAttribute("version") or "no version")
    yield from _urls(root)
    ads = children(root, "Ad")
    if len(ads) != 1:
        yield error("/vast_xml", "one Ad", f"{len(ads)}")
        return
    in_line, wrapper = children(ads[0], "InLine"), children(ads[0], "Wrapper")
    if len(in_line) + len(wrapper) != 1:
        yield error("/vast_xml", "Ad/InLine or Ad/Wrapper", f"{len(in_line) + len(wrapper)}")
    elif in_line:
        yield from _in_line(creative, in_line[0])
    else:
        yield from _needed(wrapper[0], "Wrapper", ("AdSystem", "VASTAdTagURI", "Impression"))


def _urls(root: Element) -> Iterator[Finding]:
    for element in root.getElementsByTagName("*"):
        if element.tagName in _URLS:
            url = text_of(element)
            if url and not url.startswith("https://"):
                yield error("/vast_xml", f"https:// in {element.tagName}", url)


def _needed(parent: Element, name: str, needed: tuple[str, ...]) -> Iterator[Finding]:
    for child in needed:
        found = children(parent, child)
        if not found or not text_of(found[0]):
            yield error("/vast_xml", f"{name}/{child}", "none" if not found else "an empty one")


def _in_line(creative: Creative, in_line: Element) -> Iterator[Finding]:
    yield from _needed(in_line, "InLine", ("AdSystem", "AdTitle", "Impression"))
    linear = children(in_line, "Creatives", "Creative", "Linear")
    if len(linear) != 1:
        yield error("/vast_xml", "one InLine/Creatives/Creative/Linear", f"{len(linear)}")
        return
    yield from _duration(creative, linear[0])
    yield from _media(creative, linear[0])
    clicks = children(linear[0], "VideoClicks", "ClickThrough")
    if len(clicks) != 1:
        yield error("/vast_xml", "one VideoClicks/ClickThrough", f"{len(clicks)}")
    elif text_of(clicks[0]) != creative.landing_url:
        expected = f"ClickThrough to the landing URL {creative.landing_url}, where clicks go"
        yield warning("/vast_xml", expected, text_of(clicks[0]))


def _duration(creative: Creative, linear: Element) -> Iterator[Finding]:
    found = [text_of(one) for one in children(linear, "Duration")]
    seconds = seconds_of(found[0]) if len(found) == 1 else None
    if seconds is None:
        yield error("/vast_xml", "one Linear/Duration as HH:MM:SS.mmm", " ".join(found) or "none")
    elif creative.duration_s and not creative.duration_s - 1 < seconds <= creative.duration_s:
        # What is sold is the whole seconds that the ad takes, so a fraction counts as one.
        expected = f"the document's {found[0]}, rounded up to seconds"
        yield error("/duration_s", expected, f"{creative.duration_s}")


def _media(creative: Creative, linear: Element) -> Iterator[Finding]:
    files = children(linear, "MediaFiles", "MediaFile")
    if not files:
        yield error("/vast_xml", "Linear/MediaFiles/MediaFile", "none")
        return
    for file in files:
        if file.getAttribute("delivery") not in ("progressive", "streaming"):
            found = file.getAttribute("delivery") or "none"
            yield error("/vast_xml", "MediaFile delivery progressive or streaming", found)
        for name in ("width", "height"):
            if not file.getAttribute(name).isdecimal():
                found = file.getAttribute(name) or "none"
                yield error("/vast_xml", f"MediaFile {name} in pixels", found)
        if file.getAttribute("apiFramework").upper() == "VPAID":
            expected = "media that the player plays: VPAID runs scripts in its page"
            yield error("/vast_xml", expected, 'apiFramework="VPAID"')
    types = sorted({file.getAttribute("type").lower() for file in files})
    if creative.video_mime and creative.video_mime.lower() not in types:
        yield error(
            "/video_mime", f"a type of the document: {', '.join(types)}", creative.video_mime
        )
