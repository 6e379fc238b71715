"""Everything that is checked of a creative before it is taken, in one list of findings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ringwork.ads.creatives.assets import check_image, check_media, check_native
from ringwork.ads.creatives.findings import Finding, error, warning
from ringwork.ads.creatives.html import check_html
from ringwork.ads.creatives.macros import CLICK_MACROS
from ringwork.ads.creatives.vast import (
    NotReadable,
    check_document,
    check_tag_url,
    reports_viewable,
)
from ringwork.ads.model import Campaign, Creative

MEASURED: Final = {"vcpm": ("banner", "native", "video"), "cpv": ("video",)}
"""Pricing -> the formats whose views can be measured; the others charge for what every one has."""
REVIEWED: Final = (
    "landing_url", "html", "third_party", "video_url", "video_mime", "audio_url", "audio_mime",
    "vast_tag_url", "vast_xml", "duration_s", "title", "text", "image_url", "icon_url", "data",
    "categories",
    "attributes", "language", "app_bundle",
)  # fmt: skip
"""What a reviewer looks at: the landing page, everything that is shown, and the labels."""
RESERVED_IDS: Final = frozenset({"check"})
"""Paths beside ``/v1/creatives/{id}``."""

_VIDEO_SOURCES: Final = ("video_url", "vast_tag_url", "vast_xml")


def content_changed(old: Creative, new: Creative) -> bool:
    """Whether anything differs that a reviewer looks at."""
    return any(getattr(old, name) != getattr(new, name) for name in REVIEWED)


def check_creative(creative: Creative, campaign: Campaign | None) -> list[Finding]:
    """What is wrong with a creative, by itself and in its campaign (None: there is none such)."""
    findings = list(_needed(creative))
    if creative.id in RESERVED_IDS:
        findings.append(error("/id", "an id that is no path of its own", creative.id))
    if campaign is None:
        findings.append(error("/campaign_id", "a campaign", f"{creative.campaign_id!r}: none such"))
    else:
        findings += _in_campaign(creative, campaign)
    findings += _misplaced(creative)
    if creative.format == "banner":
        findings += [*check_html(creative), *check_image(creative)]
    elif creative.format == "native":
        findings += check_native(creative)
    else:
        findings += [*check_media(creative), *check_tag_url(creative)]
        if creative.vast_xml:
            findings += check_document(creative)
    return findings


def _needed(creative: Creative) -> Iterator[Finding]:
    """Members without which nobody could show the format."""
    needed = {
        "banner": ("width", "height", "html"),
        "video": ("video_mime", "duration_s"),
        "audio": ("audio_url", "audio_mime", "duration_s"),
        "native": ("title",),
    }[creative.format]
    for name in needed:
        if not getattr(creative, name):
            yield error(f"/{name}", f"a value: a {creative.format} creative needs it", "none")
    if creative.format == "video":
        given = [name for name in _VIDEO_SOURCES if getattr(creative, name)]
        expected = f"one of {', '.join(_VIDEO_SOURCES)}"
        if not given:
            yield error("/video_url", expected, "none")
        for name in given[1:]:
            yield error(
                f"/{name}", f"only one of {', '.join(_VIDEO_SOURCES)}", f"{given[0]} as well"
            )


def _in_campaign(creative: Creative, campaign: Campaign) -> Iterator[Finding]:
    """What the campaign's terms ask of it."""
    measured = MEASURED.get(campaign.pricing)
    if measured is not None and creative.format not in measured:
        expected = f"{' or '.join(measured)}: the campaign pays per {campaign.pricing}"
        yield error("/format", expected, f"{creative.format}, which cannot be measured so")
    if campaign.roadblock and creative.format != "banner":
        yield error("/format", "banner: the campaign is a roadblock", creative.format)
    if campaign.pricing == "vcpm" and creative.vast_xml and not _reports_viewable(creative):
        expected = "VAST 4.0 or later: to an exchange's player nothing older says where to report"
        found = "an older one: only pages that report that it was viewable themselves are sold it"
        yield warning("/vast_xml", expected, found)
    counts_clicks = any(macro in creative.html for macro in CLICK_MACROS)
    if campaign.pricing in ("cpc", "cpa") and creative.third_party and not counts_clicks:
        expected = f"{' or '.join(CLICK_MACROS)}: the campaign pays per {campaign.pricing}"
        yield error("/html", expected, "no click macro, so no click could be counted")


def _reports_viewable(creative: Creative) -> bool:
    try:
        return reports_viewable(creative.vast_xml)
    except NotReadable:
        return True  # that is what is said of it


def _misplaced(creative: Creative) -> Iterator[Finding]:
    """What only one format can have."""
    for name, only in (
        ("third_party", "banner"),
        ("vast_tag_url", "video"),
        ("vast_xml", "video"),
        ("icon_url", "native"),
        ("data", "native"),
    ):
        if getattr(creative, name) and creative.format != only:
            yield error(f"/{name}", f"nothing but for a {only}", f"a {creative.format} creative")
