"""The members of an OpenRTB 2.6 bid request that are read, and nothing else of it.

Unknown members are skipped while decoding, so what is not declared here never becomes a value:
``user.id``, ``buyeruid``, ``eids``, ``data``, demographics, device identifiers, coordinates and IP
addresses cannot be used or logged by accident. Absent and ``null`` are the same.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from ringwork.ads.openrtb.impressions import Count, Ext, Imp


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
    lmt: int | None = None
    dnt: int | None = None
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


class Transparency(Struct, gc=False):
    """Who used which parameters of the viewer."""

    domain: str = ""
    dsaparams: list[int] = []


class Dsa(Struct, gc=False):
    """What the Digital Services Act extension demands of a bid."""

    dsarequired: int | None = None
    pubrender: int | None = None
    datatopub: int | None = None
    transparency: list[Transparency] | None = None


class RegsExt(Struct, gc=False):
    """2.5 locations of ``gdpr`` and ``us_privacy``, and the GPC and DSA extensions."""

    gdpr: Literal[0, 1] | None = None
    us_privacy: str | None = None
    gpc: str | int | None = None
    """The value of the header ``Sec-GPC``; some write a number."""
    dsa: Dsa | None = None


class Regs(Struct, gc=False):
    """Regulations that apply."""

    coppa: int | None = None
    gdpr: Literal[0, 1] | None = None
    us_privacy: str | None = None
    gpp: str | None = None
    gpp_sid: list[int] | None = None
    ext: RegsExt | None = None


class SupplyChainNode(Struct, gc=False):
    """One who resold the impression; ``hp`` = 1 where it is paid for it."""

    asi: str | None = None
    sid: str | None = None
    rid: str | None = None
    name: str | None = None
    domain: str | None = None
    hp: int | None = None
    ext: Ext | None = None


class SupplyChain(Struct, gc=False):
    """Everyone who resold the impression, from its publisher on where it is complete."""

    complete: int | None = None
    nodes: list[SupplyChainNode] | None = None
    ver: str | None = None
    ext: Ext | None = None


class SourceExt(Struct, gc=False):
    """2.5 location of ``schain``."""

    schain: SupplyChain | None = None


class Source(Struct, gc=False):
    """Where the request comes from."""

    schain: SupplyChain | None = None
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
    bapp: list[str] | None = None
    source: Source | None = None
    regs: Regs | None = None
    ext: Ext | None = None
