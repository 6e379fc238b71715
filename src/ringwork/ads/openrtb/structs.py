"""The members of an OpenRTB 2.6 bid request that are read, and nothing else of it.

Unknown members are skipped while decoding, so what is not declared here never becomes a value:
``user.id``, ``buyeruid``, ``eids``, ``data``, demographics, device identifiers, coordinates and IP
addresses cannot be used or logged by accident. Absent and ``null`` are the same. Amounts are CPM
decimals as written.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta, Raw, Struct

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
    """A video impression, or a pod of them."""

    mimes: list[str] | None = None
    minduration: Count | None = None
    maxduration: Count | None = None
    poddur: Count | None = None
    maxseq: Count | None = None
    rqddurs: list[int] | None = None
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
    durfloors: list[DurFloors] | None = None
    ext: Ext | None = None


class Audio(Struct, gc=False):
    """An audio impression: validated, not sold."""

    mimes: list[str] | None = None
    minduration: Count | None = None
    maxduration: Count | None = None
    maxseq: Count | None = None
    rqddurs: list[int] | None = None
    sequence: Count | None = None
    mincpmpersec: Decimal | None = None
    minbitrate: Count | None = None
    maxbitrate: Count | None = None
    durfloors: list[DurFloors] | None = None
    ext: Ext | None = None


class Native(Struct, gc=False):
    """A native impression; ``request`` is JSON in a string, parsed while decoding."""

    request: NativeAsk | None = None
    battr: list[int] | None = None
    ext: Ext | None = None


class Deal(Struct, gc=False):
    """A deal between an exchange and buyers: validated, none is taken yet."""

    id: str | None = None
    bidfloor: Decimal | None = None
    bidfloorcur: str | None = None
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


class ImpExtPrebid(Struct, gc=False):
    """Where OpenRTB 2.5 traffic of Prebid Server says that an ad is rewarded."""

    is_rewarded_inventory: int | None = None


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
    ext: ImpExt | None = None


class Publisher(Struct, gc=False):
    """Who publishes the site, app or screen."""

    id: str | None = None
    ext: Ext | None = None


class Content(Struct, gc=False):
    """What the ad appears in."""

    cat: list[str] | None = None
    keywords: str | None = None
    kwarray: list[str] | None = None
    language: str | None = None
    langb: str | None = None
    ext: Ext | None = None


class Site(Struct, gc=False):
    """A web site and its page."""

    id: str | None = None
    domain: str | None = None
    cat: list[str] | None = None
    sectioncat: list[str] | None = None
    pagecat: list[str] | None = None
    page: str | None = None
    publisher: Publisher | None = None
    content: Content | None = None
    keywords: str | None = None
    kwarray: list[str] | None = None
    ext: Ext | None = None


class App(Struct, gc=False):
    """An app and its section."""

    id: str | None = None
    bundle: str | None = None
    cat: list[str] | None = None
    sectioncat: list[str] | None = None
    pagecat: list[str] | None = None
    publisher: Publisher | None = None
    content: Content | None = None
    keywords: str | None = None
    kwarray: list[str] | None = None
    ext: Ext | None = None


class Dooh(Struct, gc=False):
    """A public screen."""

    id: str | None = None
    domain: str | None = None
    publisher: Publisher | None = None
    content: Content | None = None
    ext: Ext | None = None


class Geo(Struct, gc=False):
    """Where the device is, no finer than a country's subdivision."""

    accuracy: Count | None = None
    country: str | None = None
    region: str | None = None
    ext: Ext | None = None


class Device(Struct, gc=False):
    """What kind of device it is; nothing that tells it from others of its kind."""

    geo: Geo | None = None
    devicetype: int | None = None
    h: Count | None = None
    w: Count | None = None
    ppi: Count | None = None
    language: str | None = None
    langb: str | None = None
    ext: Ext | None = None


class UserGeo(Struct, gc=False):
    """Validated and dropped."""

    accuracy: Count | None = None
    ext: Ext | None = None


class UserExt(Struct, gc=False):
    """2.5 location of ``consent``."""

    consent: str | None = None


class User(Struct, gc=False):
    """The consent signal, and the members that a rule needs to see to refuse; no person."""

    consent: str | None = None
    geo: UserGeo | None = None
    keywords: str | None = None
    kwarray: list[str] | None = None
    ext: UserExt | None = None


class Dsa(Struct, gc=False):
    """What the Digital Services Act extension demands of a bid."""

    dsarequired: int | None = None


class RegsExt(Struct, gc=False):
    """2.5 locations of ``gdpr`` and ``us_privacy``, and the DSA extension."""

    gdpr: Literal[0, 1] | None = None
    us_privacy: str | None = None
    dsa: Dsa | None = None


class Regs(Struct, gc=False):
    """Regulations that apply."""

    coppa: int | None = None
    gdpr: Literal[0, 1] | None = None
    us_privacy: str | None = None
    ext: RegsExt | None = None


class SourceExt(Struct, gc=False):
    """2.5 location of ``schain``."""

    schain: Raw = Raw(b"")


class Source(Struct, gc=False):
    """Where the request comes from; the supply chain is kept as written."""

    schain: Raw = Raw(b"")
    ext: SourceExt | None = None


class BidRequest(Struct, gc=False):
    """A bid request after ``decode``: valid, 2.5 locations lifted, no person in it."""

    id: str | None = None
    imp: list[Imp] | None = None
    site: Site | None = None
    app: App | None = None
    dooh: Dooh | None = None
    device: Device | None = None
    user: User | None = None
    test: int | None = None
    at: int | None = None
    tmax: Count | None = None
    wseat: list[str] | None = None
    bseat: list[str] | None = None
    cur: list[str] | None = None
    wlang: list[str] | None = None
    wlangb: list[str] | None = None
    acat: list[str] | None = None
    bcat: list[str] | None = None
    badv: list[str] | None = None
    source: Source | None = None
    regs: Regs | None = None
    ext: Ext | None = None
