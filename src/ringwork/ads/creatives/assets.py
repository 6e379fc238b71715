"""Checks of media and native assets.

Source: OpenRTB Native 1.2, sections 4.2 to 4.4: recommended lengths of titles and descriptions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ringwork.ads.creatives.findings import Finding, error, warning
from ringwork.ads.model import STREAM_MIMES, Creative

TITLE_CHARS: Final = 90
"""OpenRTB Native 1.2: titles of 25, 90 or 140; what more than 90 loses is up to the place."""
TEXT_CHARS: Final = 140

_MEDIA: Final = {
    "video": (("video_mime", "video/"), ("video_url", "https://")),
    "audio": (("audio_mime", "audio/"), ("audio_url", "https://")),
}


def check_native(creative: Creative) -> Iterator[Finding]:
    """What is wrong with the assets of a native ad."""
    for name, most in (("title", TITLE_CHARS), ("text", TEXT_CHARS)):
        given = len(getattr(creative, name))
        if given > most:
            yield warning(f"/{name}", f"at most {most} characters", f"{given}; places cut it")
    yield from check_image(creative)
    if creative.icon_url is not None and creative.icon_url.startswith("http://"):
        yield warning("/icon_url", "https://", creative.icon_url)


def check_image(creative: Creative) -> Iterator[Finding]:
    """A picture without TLS is kept from pages with it (the need ``https`` of a slot)."""
    if creative.image_url is not None and creative.image_url.startswith("http://"):
        yield warning("/image_url", "https://", creative.image_url)


def check_media(creative: Creative) -> Iterator[Finding]:
    """What is wrong with the file of a video or an audio ad."""
    for name, wanted in _MEDIA[creative.format]:
        given = getattr(creative, name) or ""
        if not given or given.startswith(wanted):
            continue
        if name.endswith("_mime"):
            if given.lower() not in STREAM_MIMES:
                yield error(f"/{name}", f"{wanted}... or a stream's type", given)
        else:
            yield warning(f"/{name}", wanted, given)
