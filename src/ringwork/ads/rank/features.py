"""What a response is predicted from: fields of the request, fields of the ad, and their crosses.

Every value of a field becomes a 64-bit key that is the same in every process and run. A request is
one row of keys and so is an ad: first its fields, then, in the last ``CROSS_COUNT`` columns, the
keys that its side brings to the crosses, so that a kernel takes both halves of a cross from equal
columns. ``slot`` (in ``compiled`` and ``plain``) hashes a key into the weight table:
``(key * 0x9E3779B97F4A7C15 + field * 0xC2B2AE3D27D4EB4F) >> 40``, the low bits of it, with the
field numbers below; a cross is the exclusive or of its two keys (ads specification 3.16).

No field says who looks: site, place, coarse region, device class and hour only.

Of a special ad (housing, employment, credit) even the region is too much: a subdivision can be
smaller than what such an ad may be targeted at, and what was learned of it would choose among
neighbourhoods. Its score knows the fields of an allow-list alone (``special_values``); a field that
is added later is not in it until somebody puts it there.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from ringwork.ads.model import Campaign, Context, Creative, Slot

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONTEXT_FIELDS: Final = (
    "place",
    "placement",
    "category",
    "country",
    "region",
    "device",
    "hour",
    "format",
    "size",
    "device_hour",
)
"""``device_hour`` is a cross of the request with itself, which costs an ad nothing."""
AD_FIELDS: Final = ("ad", "campaign", "advertiser", "category", "shape")
CROSSES: Final = (
    ("ad", "place"),
    ("ad", "device"),
    ("campaign", "category"),
    ("campaign", "hour"),
    ("campaign", "region"),
    ("advertiser", "placement"),
)
"""(field of the ad, field of the request). Each costs every scored ad one look-up, so few."""

SPECIAL_FIELDS: Final = frozenset(
    {"place", "placement", "category", "country", "device", "hour", "format", "size", "device_hour"}
)
"""Fields of the request that the score of a special ad may know."""

CROSS_COUNT: Final = len(CROSSES)
CONTEXT_WIDTH: Final = len(CONTEXT_FIELDS) + CROSS_COUNT
AD_WIDTH: Final = len(AD_FIELDS) + CROSS_COUNT
FEATURES: Final = 1 + len(CONTEXT_FIELDS) + len(AD_FIELDS) + CROSS_COUNT
"""Weights that one prediction sums, with the bias."""

_KEYS_KEPT: Final = 2**17
"""Keys remembered: a look-up costs 0.1 us, a hash 1 us; about 20 MiB when full."""
CONTEXT_OF_CROSS: Final = tuple(CONTEXT_FIELDS.index(context) for _, context in CROSSES)
AD_OF_CROSS: Final = tuple(AD_FIELDS.index(ad) for ad, _ in CROSSES)
"""The column of the field that each cross takes, on either side."""


@functools.lru_cache(_KEYS_KEPT)
def key(field: str, value: str) -> int:
    """The signed 64-bit key of a field's value: eight bytes of BLAKE2b, never Python's ``hash``.

    >>> key("device", "phone") == key("device", "phone") != key("device", "tv")
    True
    """
    told = hashlib.blake2b(f"{field}\0{value}".encode(), digest_size=8, person=b"ringwork.rank")
    return int.from_bytes(told.digest(), "little", signed=True)


def context_values(context: Context, slot: Slot) -> tuple[str, ...]:
    """The request's value of every one of ``CONTEXT_FIELDS``."""
    device, hour = context.device_type, str(context.hour)
    return (
        context.site or context.app,
        context.placement_id,
        context.categories[0] if context.categories else "",
        context.region[:3],
        context.region,
        device,
        hour,
        slot.format,
        "{}x{}".format(*slot.sizes[0]) if slot.sizes else "",
        f"{device} {hour}",
    )


def special_values(values: Sequence[str]) -> tuple[str, ...]:
    """What a special ad's score knows of ``context_values``: all others are as if empty.

    >>> special_values(("n.example", "", "", "USA", "USA-TX", "tv", "9", "banner", "", "tv 9"))
    ('n.example', '', '', 'USA', '', 'tv', '9', 'banner', '', 'tv 9')
    """
    return tuple(
        value if field in SPECIAL_FIELDS else ""
        for field, value in zip(CONTEXT_FIELDS, values, strict=True)
    )


def special_features() -> tuple[str, ...]:
    """The features of the request that a special ad is scored by, crosses as ``ad x place``."""
    crosses = [f"{ad} x {context}" for ad, context in CROSSES if context in SPECIAL_FIELDS]
    return (*(one for one in CONTEXT_FIELDS if one in SPECIAL_FIELDS), *crosses)


def ad_values(creative: Creative, campaign: Campaign) -> tuple[str, ...]:
    """The ad's value of every one of ``AD_FIELDS``."""
    return (
        creative.id,
        campaign.id,
        campaign.advertiser_id,
        creative.categories[0] if creative.categories else "",
        f"{creative.format} {creative.width}x{creative.height}",
    )


def context_keys(values: Sequence[str]) -> NDArray[np.int64]:
    """The request's row, int64 [CONTEXT_WIDTH], from its values in the order of the fields."""
    return np.array(_row(CONTEXT_FIELDS, CONTEXT_OF_CROSS, values), dtype=np.int64)


def ad_keys(ads: Sequence[Sequence[str]]) -> NDArray[np.int64]:
    """One row per ad, int64 [len(ads), AD_WIDTH], from each ad's values in the order of the fields.

    Computed once per ad, whatever the model's version.
    """
    rows = [_row(AD_FIELDS, AD_OF_CROSS, values) for values in ads]
    return np.array(rows, dtype=np.int64).reshape(len(rows), AD_WIDTH)


def _row(fields: Sequence[str], crossed: Sequence[int], values: Sequence[str]) -> list[int]:
    if len(values) != len(fields):
        raise ValueError(f"expected the values of {fields}, got {len(values)} values")
    keys = [key(field, value) for field, value in zip(fields, values, strict=True)]
    keys += [keys[column] for column in crossed]
    return keys
