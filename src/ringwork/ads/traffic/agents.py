"""What a browser says it is: kind of device, system, browser family, or a bot by its own word.

Read are the ``User-Agent`` string and, before it, the low-entropy client hints that browsers send
unasked (``Sec-CH-UA``, ``-Mobile``, ``-Platform``; W3C "User-Agent Client Hints"); OpenRTB's
``device.sua`` says the same in JSON. The rules are few and our own: they tell kinds apart, never
people, and never a version. What they cannot tell: an iPad that asks for desktop pages calls itself
a Mac; a phone that does calls itself a Linux computer; Brave and Vivaldi call themselves Chrome.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal, TypeVar

from msgspec import Struct

from ringwork.ads.model import DeviceType

Os = Literal["android", "chromeos", "ios", "linux", "macos", "windows", "other"]
Browser = Literal["chrome", "edge", "firefox", "opera", "safari", "samsung", "other"]
Automation = Literal["", "missing", "declared", "headless"]
"""Why no person's browser: no name at all, a bot's or program's name, a headless browser."""

AGENT_MAX_CHARS: Final = 512
"""Longer names are cut: browsers' are below 300, and reading one has a bound."""


class Hints(Struct, frozen=True, gc=False):
    """The client hints' header values as they came; empty where not sent."""

    brands: str = ""
    mobile: str = ""
    platform: str = ""


class Agent(Struct, frozen=True, gc=False):
    """A kind of browser on a kind of device."""

    device_type: DeviceType
    os: Os
    browser: Browser
    automation: Automation = ""

    @property
    def is_declared_bot(self) -> bool:
        """Whether it says itself that no person looks at what it fetches."""
        return self.automation != ""


_Kind = TypeVar("_Kind", Os, Browser)

_NO_HINTS: Final = Hints()

# Words of names that no person's browser has. `bot` is looked at more closely below.
_CRAWLERS: Final = ("crawl", "spider", "slurp", "+http", "externalhit", "mediapartners")
_HEADLESS: Final = ("headless", "phantomjs", "slimerjs", "lighthouse", "selenium")
# Programs that fetch; a browser's name begins with Mozilla/ or Opera/, so that the start suffices.
_PROGRAMS: Final = (
    "apache-httpclient",
    "axios",
    "curl",
    "go-http-client",
    "guzzlehttp",
    "java/",
    "libwww",
    "node",
    "php",
    "postman",
    "python",
    "ruby",
    "scrapy",
    "wget",
)
_BOT: Final = re.compile(r"(?<!cu)bot(?![a-z])")
"""A word that ends in bot: Googlebot/2.1; neither a bottle, nor a telephone of the make Cubot."""

_TV: Final = (
    "smart-tv",
    "smarttv",
    "hbbtv",
    "googletv",
    "appletv",
    "apple tv",
    "android tv",
    "bravia",
    "roku",
    "crkey",
    "web0s",
    "netcast",
    "playstation",
    "xbox",
    "nintendo",
)
_FIRE_TV: Final = re.compile(r"\baft[a-z]{1,6}\b")
"""Amazon's television devices have model names of this form."""

_PLATFORMS: Final[dict[str, Os]] = {
    "android": "android",
    "chrome os": "chromeos",
    "chromeos": "chromeos",
    "chromium os": "chromeos",
    "ios": "ios",
    "ipados": "ios",
    "linux": "linux",
    "macos": "macos",
    "mac os x": "macos",
    "windows": "windows",
}
_OS_WORDS: Final[tuple[tuple[str, Os], ...]] = (
    ("windows", "windows"),
    ("iphone", "ios"),
    ("ipad", "ios"),
    ("ipod", "ios"),
    ("android", "android"),
    ("cros ", "chromeos"),
    ("mac os x", "macos"),
    ("tizen", "other"),
    ("linux", "linux"),
)
"""In this order: an iPhone's name says "like Mac OS X", an Android's says Linux."""
_BROWSER_WORDS: Final[tuple[tuple[str, Browser], ...]] = (
    ("edg/", "edge"),
    ("edga/", "edge"),
    ("edgios/", "edge"),
    ("opr/", "opera"),
    ("opera", "opera"),
    ("samsungbrowser/", "samsung"),
    ("firefox/", "firefox"),
    ("fxios/", "firefox"),
    ("crios/", "chrome"),
    ("chrome/", "chrome"),
    ("chromium/", "chrome"),
    ("safari/", "safari"),
)
"""In this order: Edge and Opera say that they are Chrome, and Chrome that it is Safari."""
_BRANDS: Final[tuple[tuple[str, Browser], ...]] = (
    ("microsoft edge", "edge"),
    ("opera", "opera"),
    ("samsung internet", "samsung"),
    ("google chrome", "chrome"),
    ("chromium", "chrome"),
)


def read_agent(user_agent: str, hints: Hints = _NO_HINTS) -> Agent:
    """The agent of a request; a hint counts more than the same thing in the name.

    >>> read_agent("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
    Agent(device_type='computer', os='linux', browser='firefox', automation='')
    """
    name = user_agent[:AGENT_MAX_CHARS].lower()
    brands = hints.brands[:AGENT_MAX_CHARS].lower()
    system = _PLATFORMS.get(hints.platform.strip('" ').lower()) or _first(name, _OS_WORDS, "other")
    browser = _first(brands, _BRANDS, "other") if brands else "other"
    if browser == "other":
        browser = _first(name, _BROWSER_WORDS, "other")
    device_type = _device(name, system, hints.mobile)
    return Agent(device_type, system, browser, _automation(name, brands))


def read_structured(brands: Iterable[str], platform: str, mobile: int | None, name: str) -> Agent:
    """The agent of an OpenRTB ``device``: its ``sua`` (2.6, 3.2.29) and, behind it, its ``ua``."""
    joined = ",".join(f'"{brand}"' for brand in brands)
    said = "" if mobile is None else f"?{mobile}"
    return read_agent(name, Hints(joined, said, platform))


def automation_of(user_agent: str, brands: str = "") -> Automation:
    """Only whether it is a bot by its own word: what every beacon is asked."""
    return _automation(user_agent[:AGENT_MAX_CHARS].lower(), brands[:AGENT_MAX_CHARS].lower())


def _automation(name: str, brands: str) -> Automation:
    if not name:
        return "missing"
    for word in _HEADLESS:
        if word in name:
            return "headless"
    if "headless" in brands:
        return "headless"
    for word in _CRAWLERS:
        if word in name:
            return "declared"
    if "bot" in name and _BOT.search(name):
        return "declared"
    return "declared" if name.startswith(_PROGRAMS) else ""


def _device(name: str, system: Os, mobile: str) -> DeviceType:
    if _is_tv(name):
        return "tv"
    if "ipad" in name:
        return "tablet"
    if mobile == "?1" or "iphone" in name or "ipod" in name:
        return "phone"
    if system == "android":
        return "phone" if not mobile and "mobile" in name else "tablet"
    if "tablet" in name and system != "windows":  # "Tablet PC" is a feature of Windows
        return "tablet"
    if not mobile and "mobile" in name:
        return "phone"
    return "other" if system == "other" else "computer"


def _is_tv(name: str) -> bool:
    for word in _TV:
        if word in name:
            return True
    if "tizen" in name:
        return "mobile" not in name
    return "aft" in name and _FIRE_TV.search(name) is not None


def _first(text: str, words: tuple[tuple[str, _Kind], ...], otherwise: _Kind) -> _Kind:
    for word, kind in words:
        if word in text:
            return kind
    return otherwise
