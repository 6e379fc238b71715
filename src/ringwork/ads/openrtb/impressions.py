"""The impressions of an OpenRTB 2.6 bid request: the members that are read, and nothing else.

Absent and ``null`` are the same. Amounts are CPM decimals as written. What a banner or player is
permitted beyond the plain ad (``expdir``, ``api``, ``playbackmethod``, ``companionad``, ...) is not
read, because nothing of ours uses it: markup stays in its box and needs no API.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from msgspec import Meta, Struct

from ringwork.ads.openrtb.native import NativeAsk

Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class Ext(Struct, gc=False):
    """An extension object of which nothing is read: it only has to be an object."""


class Metric(Struct, gc=False):
    """A measurement that comes with an impression."""

    type: str | None = None
    ext: Ext | None = None


class Format(Struct, gc=False):
    """A size: exact (w, h) or flexible (wmin, wratio, hratio)."""

    w: Count | None = None
    h: Count | None = None
    wratio: Count | None = None
    hratio: Count | None = None
    wmin: Count | None = None
    ext: Ext | None = None


class Banner(Struct, gc=False):
    """A display impression."""

    format: list[Format] | None = None
    w: Count | None = None
    h: Count | None = None
    btype: list[int] | None = None
    battr: list[int] | None = None
    ext: Ext | None = None


class DurFloors(Struct, gc=False):
    """A floor for a range of durations."""

    mindur: Count | None = None
    maxdur: Count | None = None
    bidfloor: Decimal | None = None
    ext: Ext | None = None


class Video(Struct, gc=False):
    """A video impression, a slot of a pod, or a dynamic part of one (``poddur``).

    ``slotinpod`` and ``podseq`` are not read: our bids take any position.
    """

    mimes: list[str] | None = None
    minduration: Count | None = None
    maxduration: Count | None = None
    maxextended: Annotated[int, Meta(ge=-1, le=2**31 - 1)] | None = None
    poddur: Count | None = None
    maxseq: Count | None = None
    podid: str | None = None
    poddedupe: list[int] | None = None
    rqddurs: list[Count] | None = None
    protocols: list[int] | None = None
    w: Count | None = None
    h: Count | None = None
    linearity: int | None = None
    skip: int | None = None
    sequence: Count | None = None
    mincpmpersec: Decimal | None = None
    battr: list[int] | None = None
    minbitrate: Count | None = None
    maxbitrate: Count | None = None
    delivery: list[int] | None = None
    durfloors: list[DurFloors] | None = None
    ext: Ext | None = None


class Audio(Struct, gc=False):
    """An audio impression, a slot of a pod, or a dynamic part of one (``poddur``)."""

    mimes: list[str] | None = None
    minduration: Count | None = None
    maxduration: Count | None = None
    maxextended: Annotated[int, Meta(ge=-1, le=2**31 - 1)] | None = None
    poddur: Count | None = None
    maxseq: Count | None = None
    podid: str | None = None
    rqddurs: list[Count] | None = None
    protocols: list[int] | None = None
    sequence: Count | None = None
    mincpmpersec: Decimal | None = None
    battr: list[int] | None = None
    minbitrate: Count | None = None
    maxbitrate: Count | None = None
    delivery: list[int] | None = None
    durfloors: list[DurFloors] | None = None
    ext: Ext | None = None


class Native(Struct, gc=False):
    """A native impression; ``request`` is JSON in a string, parsed while decoding."""

    request: NativeAsk | None = None
    battr: list[int] | None = None
    ext: Ext | None = None


class Deal(Struct, gc=False):
    """A deal between an exchange and buyers; its floors and auction type replace the others."""

    id: str | None = None
    bidfloor: Decimal | None = None
    bidfloorcur: str | None = None
    at: int | None = None
    wseat: list[str] | None = None
    wadomain: list[str] | None = None
    mincpmpersec: Decimal | None = None
    durfloors: list[DurFloors] | None = None
    ext: Ext | None = None


class Pmp(Struct, gc=False):
    """The private marketplace of an impression."""

    private_auction: int | None = None
    deals: list[Deal] | None = None
    ext: Ext | None = None


class Qty(Struct, gc=False):
    """How many impressions one play of a public screen counts as."""

    multiplier: Decimal | None = None
    ext: Ext | None = None


class RefSettings(Struct, gc=False):
    """How a place refreshes itself; ``minint`` is in seconds."""

    reftype: int | None = None
    minint: Count | None = None
    ext: Ext | None = None


class Refresh(Struct, gc=False):
    """That a place refreshes itself, and how often it has."""

    refsettings: list[RefSettings] | None = None
    count: Count | None = None
    ext: Ext | None = None


class ImpExtPrebid(Struct, gc=False):
    """Where OpenRTB 2.5 traffic of Prebid Server says that an ad is rewarded."""

    is_rewarded_inventory: int | bool | None = None


class ImpExt(Struct, gc=False):
    """2.5 locations of ``rwdd``."""

    rwdd: int | None = None
    prebid: ImpExtPrebid | None = None


class Imp(Struct, gc=False):
    """One impression offered."""

    id: str | None = None
    metric: list[Metric] | None = None
    banner: Banner | None = None
    video: Video | None = None
    audio: Audio | None = None
    native: Native | None = None
    pmp: Pmp | None = None
    instl: int | None = None
    bidfloor: Decimal | None = None
    bidfloorcur: str | None = None
    secure: int | None = None
    rwdd: int | None = None
    exp: Count | None = None
    qty: Qty | None = None
    refresh: Refresh | None = None
    ext: ImpExt | None = None
