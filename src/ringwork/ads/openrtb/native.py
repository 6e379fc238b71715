"""Native Ads 1.2 inside OpenRTB: the request that an exchange writes as JSON in a string.

Source: IAB Tech Lab, OpenRTB Dynamic Native Ads API 1.2. Unknown members are ignored; codes from
500 on belong to the exchange. The 1.0 envelope ``{"native": {...}}`` is read too.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from ringwork.ads.model import DataAsset, ImageSize, Need

IMAGE_ICON: Final = 1
IMAGE_MAIN: Final = 3
DATA_SPONSORED: Final = 1
DATA_DESCRIPTION: Final = 2
DATA_DISPLAY_URL: Final = 11
DATA_ASSETS: Final[dict[int, DataAsset]] = {
    3: "rating", 4: "likes", 5: "downloads", 6: "price", 7: "saleprice", 8: "phone", 9: "address",
    10: "desc2", 12: "ctatext",
}  # fmt: skip
"""The other data assets: what creatives have by name (``Creative.data``)."""
EVENT_IMPRESSION: Final = 1
EVENT_VIEWABLE: Final = 2
"""Half of it in view for a second (MRC), which is what is paid for here."""
METHOD_IMAGE: Final = 1

_EXCHANGE: Final = 500
_CONTEXTS: Final = {1: range(10, 16), 2: range(20, 23), 3: range(30, 33)}
"""Context -> its subtypes: content, social, product."""
_PROTOCOLS: Final = range(1, 17)
_ANY_SIZE: Final = ImageSize()

Pixels = Annotated[int, Meta(ge=0)]


class Title(Struct, gc=False):
    """A headline of at most ``len`` characters."""

    len: int = 0


class Image(Struct, gc=False):
    """An image: type 1 icon, 3 main."""

    type: int | None = None
    w: Pixels | None = None
    wmin: Pixels | None = None
    h: Pixels | None = None
    hmin: Pixels | None = None


class AssetVideo(Struct, gc=False):
    """A video inside the ad."""

    mimes: list[str] = []
    minduration: int | None = None
    maxduration: int | None = None
    protocols: list[int] = []


class Data(Struct, gc=False):
    """A text: type 1 sponsored by, 2 description, 11 display URL, ..."""

    type: int = 0
    len: int | None = None


class Asset(Struct, gc=False):
    """A piece of the ad: exactly one of title, img, video, data."""

    id: int | None = None
    required: int = 0
    title: Title | None = None
    img: Image | None = None
    video: AssetVideo | None = None
    data: Data | None = None


class EventTracker(Struct, gc=False):
    """How the exchange can report an event."""

    event: int = 0
    methods: list[int] = []


class NativeRequest(Struct, gc=False):
    """What the exchange can render."""

    ver: str | None = None
    context: int | None = None
    contextsubtype: int | None = None
    plcmttype: int | None = None
    assets: list[Asset] = []
    eventtrackers: list[EventTracker] = []


class _Envelope(Struct, gc=False):
    native: NativeRequest | None = None


_BARE = msgspec.json.Decoder(NativeRequest)
_ENVELOPE = msgspec.json.Decoder(_Envelope)


class NativeAsk:
    """A valid native request, parsed once while its bid request is decoded."""

    __slots__ = ("images", "needs", "request", "wrapped")

    def __init__(self, request: NativeRequest, *, wrapped: bool) -> None:
        self.request = request
        self.wrapped = wrapped
        """The request had the 1.0 envelope: the answer gets one too."""
        self.needs = _needs(request)
        """What creatives must have, or None when no creative has what is required."""
        self.images = tuple(
            size_of(one.img)
            for one in request.assets
            if one.required and one.img is not None and size_of(one.img) != _ANY_SIZE
        )
        """The sizes of what is required of them."""


def parse(text: str) -> NativeAsk:
    """Read and check ``imp.native.request``; ValueError says what is wrong and where."""
    try:
        enveloped = _ENVELOPE.decode(text).native
        request = enveloped or _BARE.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"not a native request: {error}") from None
    _check_placement(request)
    if not request.assets:
        raise ValueError("assets must hold at least one asset")
    for position, asset in enumerate(request.assets):
        _check_asset(asset, f"assets[{position}]")
    _check_ids([asset.id for asset in request.assets])
    for position, tracker in enumerate(request.eventtrackers):
        _check_tracker(tracker, f"eventtrackers[{position}]")
    return NativeAsk(request, wrapped=enveloped is not None)


def _check_placement(request: NativeRequest) -> None:
    context, subtype, kind = request.context, request.contextsubtype, request.plcmttype
    if context is not None and context < _EXCHANGE and context not in _CONTEXTS:
        raise ValueError(f"context must be 1, 2, 3 or at least 500, got {context}")
    if subtype is not None and subtype < _EXCHANGE:
        fitting = _CONTEXTS.get(context or 0)
        if (fitting is not None and subtype not in fitting) or subtype < 0:
            raise ValueError(f"contextsubtype {subtype} does not belong to context {context}")
    if kind is not None and kind < _EXCHANGE and not 1 <= kind <= 4:
        raise ValueError(f"plcmttype must be 1 to 4 or at least 500, got {kind}")


def _check_ids(ids: list[int | None]) -> None:
    given = [id for id in ids if id is not None]
    if given and len(given) != len(ids):
        raise ValueError("either every asset has an id or none has")
    if len(set(given)) != len(given):
        raise ValueError("asset ids must be unique")


def _check_asset(asset: Asset, where: str) -> None:
    kinds = (asset.title, asset.img, asset.video, asset.data)
    if sum(kind is not None for kind in kinds) != 1:
        raise ValueError(f"{where} must have exactly one of title, img, video, data")
    if asset.title is not None and asset.title.len < 1:
        raise ValueError(f"{where}.title.len must be positive")
    if asset.data is not None and not (1 <= asset.data.type <= 12 or asset.data.type >= _EXCHANGE):
        raise ValueError(f"{where}.data.type must be 1 to 12 or at least 500")
    if asset.video is not None:
        _check_video(asset.video, where)


def _check_video(video: AssetVideo, where: str) -> None:
    if not video.mimes:
        raise ValueError(f"{where}.video.mimes must name a media type")
    if video.minduration is None or video.minduration < 1:
        raise ValueError(f"{where}.video.minduration must be positive")
    if video.maxduration is None or video.maxduration < video.minduration:
        raise ValueError(f"{where}.video.maxduration must be at least minduration")
    if not video.protocols or not all(
        code in _PROTOCOLS or code >= _EXCHANGE for code in video.protocols
    ):
        raise ValueError(f"{where}.video.protocols must be 1 to 16 or at least 500")


def _check_tracker(tracker: EventTracker, where: str) -> None:
    if not (1 <= tracker.event <= 4 or tracker.event >= _EXCHANGE):
        raise ValueError(f"{where}.event must be 1 to 4 or at least 500")
    if not tracker.methods or not all(
        method in (1, 2) or method >= _EXCHANGE for method in tracker.methods
    ):
        raise ValueError(f"{where}.methods must be 1, 2 or at least 500")


def _needs(request: NativeRequest) -> tuple[Need, ...] | None:
    needs: list[Need] = []
    for asset in request.assets:
        if not asset.required or asset.title is not None:
            continue
        if asset.img is not None and asset.img.type in (None, IMAGE_MAIN):
            needs.append("image")
        elif asset.img is not None and asset.img.type == IMAGE_ICON:
            needs.append("icon")
        elif asset.data is not None and asset.data.type in DATA_ASSETS:
            needs.append(DATA_ASSETS[asset.data.type])
        elif asset.data is not None and asset.data.type == DATA_DESCRIPTION:
            needs.append("text")
        elif asset.data is None or asset.data.type not in (DATA_SPONSORED, DATA_DISPLAY_URL):
            return None
    return tuple(dict.fromkeys(needs))


def size_of(image: Image) -> ImageSize:
    """What a main image must be: ``w`` alone is exact, beside ``wmin`` only what is liked best.

    An icon's size is not known, and is not asked about.
    """
    if image.type not in (None, IMAGE_MAIN):
        return _ANY_SIZE
    return ImageSize(
        0 if image.wmin else image.w or 0,
        0 if image.hmin else image.h or 0,
        image.wmin or 0,
        image.hmin or 0,
    )


def tracks(request: NativeRequest, event: int) -> bool:
    """Whether the exchange calls a picture of ours when an event happens."""
    return any(one.event == event and METHOD_IMAGE in one.methods for one in request.eventtrackers)
