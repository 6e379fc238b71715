"""The forms of creatives, one for each way in which an ad can be given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from msgspec import Struct

from ringwork.ads.model import Creative, Format
from ringwork.console.forms import texts
from ringwork.console.forms.campaign import ID
from ringwork.console.forms.members import Group, Member

Way = Literal["banner", "image", "tag", "native", "video", "vast-tag", "vast", "audio"]


class WayOf(Struct, frozen=True, kw_only=True):
    """How an ad is given: its name, its format, and the members that are its own."""

    title: str
    format: Format
    own: tuple[Member, ...]
    fixed: Mapping[str, Any] = {}
    changeable: tuple[str, ...] = ()
    """Pointers of its own that can be changed afterwards."""


_URL: Final = "an address that begins with https:// or http://, in ASCII"


def _sides(*, is_needed: bool, hint: str = "") -> tuple[Member, ...]:
    return tuple(
        Member(
            pointer=pointer, label=label, codec=texts.WHOLE, size=8, is_needed=is_needed, hint=hint,
            expected="0 to 10000", empty="value" if is_needed else "absent",
        )
        for pointer, label in (("/width", "Width, pixels"), ("/height", "Height, pixels"))
    )  # fmt: skip


_LASTS: Final = Member(
    pointer="/duration_s", label="Duration, seconds", codec=texts.WHOLE, size=8, is_needed=True,
    expected="0 to 3600",
)  # fmt: skip


def _html(label: str, hint: str) -> Member:
    return Member(
        pointer="/html", label=label, kind="area", codec=texts.MARKUP, size=10, hint=hint,
        is_needed=True, is_file=True,
    )  # fmt: skip


def _mime(name: str, example: str) -> Member:
    return Member(
        pointer=name, label="Media type", size=20, is_needed=True, hint=f"As {example}.",
        expected="at most 100 characters",
    )  # fmt: skip


def _url(pointer: str, label: str, hint: str = "", *, is_needed: bool = True) -> Member:
    return Member(
        pointer=pointer, label=label, codec=texts.URL, size=48, hint=hint, is_needed=is_needed,
        empty="null", expected=_URL,
    )  # fmt: skip


_VIDEO: Final = (_mime("/video_mime", "video/mp4"), _LASTS)

WAYS: Final[Mapping[Way, WayOf]] = {
    "banner": WayOf(
        title="Banner",
        format="banner",
        own=(
            *_sides(is_needed=True),
            _html("HTML", "Inert markup, or HTML5 with a declared and used clickTag; or its zip."),
        ),
        changeable=("/html",),
    ),
    "image": WayOf(
        title="Image",
        format="banner",
        own=(
            Member(
                pointer="/html", label="Picture", kind="file", codec=texts.MARKUP, is_needed=True,
                is_file=True, hint="PNG, JPEG, GIF or WebP of at most 110 kB; its size is read.",
            ),
            *_sides(is_needed=False, hint="Empty is the picture's own."),
        ),
    ),
    "tag": WayOf(
        title="Third-party tag",
        format="banner",
        own=(
            *_sides(is_needed=True),
            _html("Tag", "Runs in a frame of its own; ${CLICK_URL} counts its clicks."),
        ),
        fixed={"third_party": True},
        changeable=("/html",),
    ),
    "native": WayOf(
        title="Native",
        format="native",
        own=(
            Member(
                pointer="/title", label="Title", size=48, is_needed=True, expected="a text",
                hint="At most 90 characters are shown everywhere.",
            ),
            Member(
                pointer="/text", label="Text", kind="area", size=3,
                hint="At most 140 characters are shown everywhere.",
            ),
            _url("/image_url", "Image", is_needed=False),
        ),
        changeable=("/title", "/text", "/image_url"),
    ),
    "video": WayOf(
        title="Video file", format="video", own=(_url("/video_url", "Video"), *_VIDEO)
    ),
    "vast-tag": WayOf(
        title="VAST tag",
        format="video",
        own=(
            _url("/vast_tag_url", "VAST tag", "Macros such as ${CACHEBUSTER} are filled in."),
            *_VIDEO,
        ),
    ),
    "vast": WayOf(
        title="VAST document",
        format="video",
        own=(
            Member(
                pointer="/vast_xml", label="VAST document", kind="area", codec=texts.MARKUP,
                size=10, is_needed=True, is_file=True, hint="Of one ad, VAST 2.0 to 4.3.",
            ),
            *_VIDEO,
        ),
    ),
    "audio": WayOf(
        title="Audio",
        format="audio",
        own=(_url("/audio_url", "Audio"), _mime("/audio_mime", "audio/mpeg"), _LASTS),
    ),
}  # fmt: skip


def way_of(creative: Creative) -> Way:
    """How an ad was given."""
    if creative.format == "banner":
        return "tag" if creative.third_party else "banner"
    if creative.format == "video":
        if creative.vast_xml:
            return "vast"
        return "vast-tag" if creative.vast_tag_url else "video"
    return creative.format


def creative_groups(way: Way, *, is_new: bool) -> tuple[Group, ...]:
    """The members, of a new ad or those that can be changed of one that exists."""
    chosen = WAYS[way]
    own = chosen.own
    if not is_new:
        own = tuple(one for one in own if one.pointer in chosen.changeable)
    what = Group(title="What it is", members=_named(is_new=is_new))
    shown = Group(title=f"What it shows: {chosen.title.lower()}", members=own)
    return (what, *((shown,) if own else ()), Group(title="What it says of itself", members=_said))


def _named(*, is_new: bool) -> tuple[Member, ...]:
    name = Member(
        pointer="/name", label="Name", size=40, is_needed=True, expected="1 to 200 characters"
    )
    landing = _url("/landing_url", "Landing page", "Where a click leads.")
    if not is_new:
        return name, landing
    return (
        name,
        Member(
            pointer="/id", label="Id", size=24, is_needed=True, expected=ID, hint=f"{ID}. It stays."
        ),
        Member(
            pointer="/campaign_id", label="Campaign", size=24, is_needed=True,
            expected="the id of a campaign",
        ),
        landing,
    )  # fmt: skip


_said: Final = (
    Member(
        pointer="/categories", label="Categories", kind="area", codec=texts.LINES, size=2,
        hint="Of what it advertises, ids of the IAB taxonomy, one a line.", expected="an id",
    ),
    Member(
        pointer="/attributes", label="Attributes", codec=texts.NUMBERS, size=24,
        hint="AdCOM creative attributes, as 3, 6.", expected="numbers from 0 to 10000",
    ),
    Member(
        pointer="/language", label="Language", size=12, hint="BCP 47, as pt-PT.",
        expected="a language tag such as pt-PT",
    ),
    Member(
        pointer="/app_bundle", label="App it promotes", size=32, hint="Its id in the store, if any."
    ),
    Member(
        pointer="/weight", label="Weight", codec=texts.WHOLE, size=8, empty="absent",
        expected="1 to 1000", hint="How often it is shown among its campaign's ads.",
    ),
    Member(
        pointer="/quality_ppm", label="Quality", codec=texts.FACTOR, size=10, empty="absent",
        expected="more than 0 and at most 10", hint="Multiplies its score: 1 is as it is.",
    ),
)  # fmt: skip
