"""A native ad as the JSON that an exchange renders (Native Ads 1.2, section 5)."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from ringwork.ads.model import Creative, Served
from ringwork.ads.openrtb import native
from ringwork.ads.openrtb.native import Asset, NativeAsk

VERSION: Final = "1.2"


class TitleValue(Struct, gc=False):
    """A headline."""

    text: str


class ImageValue(Struct, omit_defaults=True, gc=False):
    """A picture and its size, where it is known."""

    url: str
    type: int = native.IMAGE_MAIN
    w: int = 0
    h: int = 0


class DataValue(Struct, gc=False):
    """A text."""

    type: int
    value: str


class AssetValue(Struct, omit_defaults=True, gc=False, kw_only=True):
    """A filled asset."""

    id: int | None = None
    required: int = 0
    title: TitleValue | None = None
    img: ImageValue | None = None
    data: DataValue | None = None


class Link(Struct, gc=False):
    """Where a click goes."""

    url: str


class EventTrackerValue(Struct, gc=False):
    """What to call when an event happens."""

    event: int
    method: int
    url: str


class NativeResponse(Struct, omit_defaults=True, gc=False):
    """The ad."""

    assets: list[AssetValue]
    link: Link
    ver: str = ""
    eventtrackers: list[EventTrackerValue] = []
    imptrackers: list[str] = []


_encoder: Final = msgspec.json.Encoder()


def write_native(
    served: Served,
    ask: NativeAsk,
    impression_url: str,
    click_url: str,
    viewable_url: str | None = None,
) -> str:
    """The ad as JSON text, with every asset that the creative can fill.

    Exchanges without an image tracker for impressions get the older ``imptrackers``. Viewability is
    reported by a picture where the exchange asks for that (``viewable_url``: where it is wanted).
    """
    filled = (_fill(asset, served) for asset in ask.request.assets)
    response = NativeResponse(
        [value for value in filled if value is not None], Link(click_url), VERSION
    )
    if native.tracks(ask.request, native.EVENT_IMPRESSION):
        tracker = EventTrackerValue(native.EVENT_IMPRESSION, native.METHOD_IMAGE, impression_url)
        response.eventtrackers = [tracker]
    else:
        response.imptrackers = [impression_url]
    if viewable_url is not None and native.tracks(ask.request, native.EVENT_VIEWABLE):
        seen = EventTrackerValue(native.EVENT_VIEWABLE, native.METHOD_IMAGE, viewable_url)
        response.eventtrackers = [*response.eventtrackers, seen]
    body: object = {"native": response} if ask.wrapped else response
    return _encoder.encode(body).decode()


def _fill(asset: Asset, served: Served) -> AssetValue | None:
    """The asset's value, or None where the creative has nothing for it."""
    creative = served.creative
    value = AssetValue(id=asset.id, required=asset.required)
    if asset.title is not None:
        value.title = TitleValue(_fit(creative.title, asset.title.len))
        return value
    if asset.img is not None:
        value.img = _image(asset.img, creative)
        return value if value.img is not None else None
    if asset.data is None:
        return None
    text = {
        native.DATA_SPONSORED: served.behalf or served.advertiser_domain,
        native.DATA_DESCRIPTION: creative.text,
        native.DATA_DISPLAY_URL: served.advertiser_domain,
    }.get(asset.data.type)
    if text is None and asset.data.type in native.DATA_ASSETS:
        text = creative.data.get(native.DATA_ASSETS[asset.data.type])
    if not text:
        return None
    value.data = DataValue(asset.data.type, _fit(text, asset.data.len))
    return value


def _image(wanted: native.Image, creative: Creative) -> ImageValue | None:
    if wanted.type == native.IMAGE_ICON and creative.icon_url is not None:
        return ImageValue(creative.icon_url, type=native.IMAGE_ICON)
    if creative.image_url is None or wanted.type not in (None, native.IMAGE_MAIN):
        return None
    if not native.size_of(wanted).takes(creative.width, creative.height):
        return None
    return ImageValue(creative.image_url, w=creative.width, h=creative.height)


def _fit(text: str, length: int | None) -> str:
    """At most ``length`` characters, with an ellipsis where the text was cut."""
    if not length or len(text) <= length:
        return text
    return text[: length - 1].rstrip() + "…"
