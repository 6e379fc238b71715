"""What is shown of any creative: by ``markup`` what is ours, in a frame or a Wrapper what is not.

The same calls as ``Markup``, so that an answer in any protocol can use either; the frames of
scripted banners are kept per creative.
"""

from __future__ import annotations

from typing import Final

from ringwork.ads import vast
from ringwork.ads.creatives import Frame, frame_of, is_scripted
from ringwork.ads.creatives.vast_served import Beacons, tracked, with_impression, wrapper
from ringwork.ads.markup import Markup
from ringwork.ads.model import Creative, Served
from ringwork.ads.outside import is_external

KEPT_MAX: Final = 4096
"""Creatives whose frames are kept ready; past that the store starts anew."""


class Shown:
    """Writes what is shown of sold slots."""

    def __init__(self, markup: Markup) -> None:
        self._markup = markup
        self._frames: dict[str, tuple[Creative, str, Frame | None]] = {}

    def banner(self, served: Served, *, pixel: bool, billable: bool = True) -> str:
        """The HTML of a banner; with ``pixel`` it reports its own impression.

        ``billable=False`` writes URLs that record nothing (OpenRTB ``test``, previews).
        """
        frame = self._frame(served)
        if frame is None:
            return self._markup.banner(served, pixel=pixel, billable=billable)
        impression_url, click_url = self._markup.beacons(served, billable=billable)
        framed = frame.markup(click_url=click_url, impression_id=served.impression_id)
        if not pixel:
            return framed
        return f'{framed}<img src="{impression_url}" alt="" width="1" height="1">'

    def video(self, served: Served, version: vast.Version = "4.2", *, billable: bool = True) -> str:
        """The VAST of a video or audio ad; an advertiser's own document keeps its own version."""
        creative = served.creative
        if not creative.vast_tag_url and not creative.vast_xml:
            return self._markup.video(served, version, billable=billable)
        impression_url, click_url = self._markup.beacons(served, billable=billable)
        if is_external(creative.id):
            return with_impression(creative.vast_xml, impression_url)
        tokens, urls = served.tokens if billable else {}, self._markup.urls
        beacons = Beacons(
            impression_url,
            click_url,
            urls.viewable(tokens["viewable"]) if "viewable" in tokens else "",
            urls.viewed(tokens["view"]) if "view" in tokens else "",
        )
        if creative.vast_xml:
            return tracked(creative, beacons, impression_id=served.impression_id)
        return wrapper(creative, beacons, version=version, impression_id=served.impression_id)

    def is_scripted(self, served: Served) -> bool:
        """Whether the banner's frame runs scripts, which a frame around it must allow too."""
        return self._frame(served) is not None

    def _frame(self, served: Served) -> Frame | None:
        """The frame of a scripted banner, made once; None for anything else."""
        creative, advertiser = served.creative, served.advertiser_domain
        if is_external(creative.id):  # the markup of this one impression
            return frame_of(creative, advertiser) if creative.format == "banner" else None
        kept = self._frames.get(creative.id)
        # The catalogue replaces a changed creative by another object.
        if kept is None or kept[0] is not creative or kept[1] != advertiser:
            if len(self._frames) >= KEPT_MAX:
                self._frames.clear()
            frame = frame_of(creative, advertiser) if is_scripted(creative) else None
            kept = self._frames[creative.id] = (creative, advertiser, frame)
        return kept[2]
