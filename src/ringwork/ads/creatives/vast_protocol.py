"""Which AdCOM creative subtype ("protocol") a video or audio ad is, for players that list theirs.

A file is written into a document of any in-line version; another server's tag becomes a Wrapper of
any version; an advertiser's own document is what it says it is. A player that takes no Wrapper
would show nothing (VAST error 302), so that such ads are not sold to it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

from ringwork.ads.model import Creative
from ringwork.ads.vast import Version

IN_LINE: Final[Mapping[int, Version]] = {13: "4.2", 11: "4.1", 7: "4.0", 3: "3.0", 2: "2.0"}
"""AdCOM creative subtype -> version of in-line VAST that is written, best first."""
WRAPPERS: Final[Mapping[int, Version]] = {14: "4.2", 12: "4.1", 8: "4.0", 6: "3.0", 5: "2.0"}
"""The same of Wrappers."""
_OWN: Final[Mapping[str, tuple[int, int]]] = {
    "2.0": (2, 5), "3.0": (3, 6), "4.0": (7, 8), "4.1": (11, 12), "4.2": (13, 14), "4.3": (15, 16),
}  # fmt: skip
"""Version of a document -> its subtype in line, as a Wrapper."""
KNOWN: Final = frozenset(code for pair in _OWN.values() for code in pair)
"""Every subtype that some ad of ours could be."""

_VERSION: Final = re.compile(r"<VAST\b[^>]{0,1000}?\bversion\s{0,9}=\s{0,9}[\"'](\d\.\d)")
_WRAPPED: Final = re.compile(r"<Wrapper\b")


def protocols_of(creative: Creative) -> tuple[int, ...]:
    """What the ad can be shown as, the best first."""
    if creative.vast_tag_url:
        return tuple(WRAPPERS)
    if not creative.vast_xml:
        return tuple(IN_LINE)
    version = _VERSION.search(creative.vast_xml)
    codes = _OWN.get("" if version is None else version[1])
    if codes is None:
        return ()
    return (codes[_WRAPPED.search(creative.vast_xml) is not None],)


def protocol_for(creative: Creative, accepted: Collection[int]) -> int:
    """The best that a player takes, which takes any where it lists none; 0 where it is not known.

    An outside bidder's document may be none of those accepted: then it is what it is.
    """
    known = protocols_of(creative)
    fitting = [one for one in known if not accepted or one in accepted]
    return (fitting or [*known, 0])[0]
