"""Who lives in the demo world: advertisers with their campaigns, publishers with their pages.

All invented; domains end in ``.example`` (RFC 2606). Amounts are chosen so that within a day a few
campaigns run out of budget and most do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from random import Random
from typing import Final

from msgspec import Struct

from ringwork.world import habits

CURRENCY: Final = "EUR"
SIZES: Final = ((300, 250), (728, 90), (320, 50), (970, 250))


class Shop(Struct, frozen=True):
    """An advertiser and what it sells."""

    id: str
    name: str
    category: str
    """IAB Content Taxonomy id of the pages that suit it."""
    hue: int
    lines: tuple[str, str, str]


class Outlet(Struct, frozen=True):
    """A publisher's site or app."""

    id: str
    name: str
    domain: str
    bundle: str
    categories: tuple[str, ...]
    country: str
    region: str
    weight: int
    """Share of all page views."""
    floor_cpm: float

    @property
    def is_app(self) -> bool:
        return bool(self.bundle)


SHOPS: Final = (
    Shop(
        "harbour-paints",
        "Harbour Paints",
        "274",
        205,
        ("A wall in an afternoon", "Exterior colours that last", "Sample pots, delivered"),
    ),
    Shop(
        "tram-lisbon",
        "Tram Pass",
        "653",
        45,
        ("A year of trams, one price", "Leave the car at home", "Students ride for half"),
    ),
    Shop(
        "blue-tile",
        "Blue Tile Hotel",
        "653",
        220,
        ("Two nights by the river", "Breakfast on the roof", "Autumn rates, all rooms"),
    ),
    Shop(
        "alcantara-garden",
        "Garden Centre Alcântara",
        "274",
        130,
        ("Bulbs for spring, planted now", "Olive trees in pots", "Soil, bark and good advice"),
    ),
    Shop(
        "north-roast",
        "North Roast",
        "210",
        25,
        ("Coffee roasted this morning", "Beans on Friday, every week", "Taste three, keep one"),
    ),
    Shop(
        "plain-bicycles",
        "Plain Bicycles",
        "483",
        170,
        ("One gear, no worries", "Built in Porto", "Serviced for life"),
    ),
    Shop(
        "quiet-running",
        "Quiet Running",
        "483",
        350,
        ("Shoes that whisper", "Run on grass again", "Returns within 100 days"),
    ),
    Shop(
        "ledger-books",
        "Ledger Books",
        "42",
        15,
        ("Novels for long evenings", "Three for two, all month", "Signed copies"),
    ),
    Shop(
        "pocket-synth",
        "Pocket Synth",
        "338",
        280,
        ("A studio in your coat", "Learn one song tonight", "Loops for beginners"),
    ),
    Shop(
        "granite-bank",
        "Granite Bank",
        "391",
        190,
        ("An account that says what it costs", "Save a little each day", "Talk to a person"),
    ),
    Shop(
        "sea-lettuce",
        "Sea Lettuce",
        "210",
        155,
        ("Lunch from the Atlantic", "Boxes for two", "Recipes in ten minutes"),
    ),
    Shop(
        "lamp-and-line",
        "Lamp & Line",
        "274",
        60,
        ("Light where you read", "Bulbs that dim", "Made to be mended"),
    ),
)

OUTLETS: Final = (
    Outlet(
        "diario",
        "Diário da Casa",
        "diario-da-casa.example",
        "",
        ("274", "379"),
        "PRT",
        "11",
        24,
        0.6,
    ),
    Outlet("mesa", "Mesa Posta", "mesa-posta.example", "", ("210",), "PRT", "13", 15, 0.5),
    Outlet("volta", "Volta", "volta-ciclismo.example", "", ("483",), "ESP", "MD", 14, 0.45),
    Outlet("quai", "Le Quai", "le-quai.example", "", ("653", "379"), "FRA", "IDF", 13, 0.7),
    Outlet("ton", "Ton & Takt", "ton-und-takt.example", "", ("338",), "DEU", "BE", 11, 0.55),
    Outlet("libri", "Libri Aperti", "libri-aperti.example", "", ("42",), "ITA", "25", 9, 0.4),
    Outlet("weer", "Weer Vandaag", "", "nl.weervandaag.example", ("390",), "NLD", "NH", 8, 0.35),
    Outlet("puzzel", "Puzzel", "", "nl.puzzel.example", ("680",), "NLD", "ZH", 6, 0.3),
    Outlet("porch", "Porch Supper", "porch-supper.example", "", ("210",), "USA", "CA", 7, 0.5),
)

MASTHEAD: Final = 2.5
"""What an outlet asks for its masthead, beside its other places: more than most bid, so that its
house ads are seen too."""
UNITS: Final = {"cpc": (2, 4, 12, 20), "cpa": (45, 60)}
"""Pricing -> budgets; the others have ``UNITS_ELSE``. The small ones are spent within the day."""
UNITS_ELSE: Final = (1, 2, 4, 12, 20)
DAILY_CENTS: Final = {"cpc": (40, 60), "cpa": (1_200, 1_600)}
"""Pricing -> daily budgets; the others have ``DAILY_CENTS_ELSE``. What a campaign could spend on a
day is more for many, so that its pacing shows."""
DAILY_CENTS_ELSE: Final = (20, 30, 50)
MEASURED: Final = {"section": ["article", "front", "feed", "video"]}
"""Key-values of the outlets' own places, which report what was in view and what was played; what
exchanges ask for has none."""
DEPOSIT_UNITS: Final = 400
"""What each advertiser pays in at the start, in units of the currency."""


class Setup(Struct, frozen=True):
    """One call that sets the world up; sending it again changes nothing."""

    path: str
    body: Mapping[str, object]
    key: str


def setup(seed: int, start_us: int) -> Iterator[Setup]:
    """Every call that sets the world up, in order."""
    yield _post("/v1/ledger/accounts", {"id": f"cash/{CURRENCY}", "currency": CURRENCY})
    for outlet in OUTLETS:
        yield from _outlet(outlet)
    for number, shop in enumerate(SHOPS):
        yield from _shop(shop, number, Random(f"{seed}/{shop.id}"), start_us)


def _post(path: str, body: dict[str, object]) -> Setup:
    return Setup(path, body, f"world:{path}:{body['id']}")


def deposit(advertiser_id: str, units: int) -> Setup:
    """An advertiser's opening deposit."""
    return _post(
        "/v1/ledger/transfers",
        {
            "id": f"deposit.{advertiser_id}",
            "kind": "single",
            "debit_account": f"cash/{CURRENCY}",
            "credit_account": f"advertiser/{advertiser_id}",
            "amount": {"currency": CURRENCY, "units": units, "nanos": 0},
            "reference": "opening deposit",
        },
    )


def _outlet(outlet: Outlet) -> Iterator[Setup]:
    domain = outlet.domain or f"{outlet.id}.example"
    yield _post(
        "/v1/publishers",
        {
            "id": outlet.id,
            "name": outlet.name,
            "domain": domain,
            "origins": [f"https://{domain}"] if outlet.domain else [],
        },
    )
    floor_nanos = int(outlet.floor_cpm * 1_000_000)
    for name, form, width, height, section in (
        ("article-foot", "banner", 300, 250, "article"),
        ("masthead", "banner", 728, 90, "front"),
        ("in-feed", "native", 0, 0, "feed"),
        ("player", "video", 640, 360, "video"),
    ):
        is_first = name == "masthead"
        yield _post(
            "/v1/placements",
            {
                "id": f"{outlet.id}.{name}",
                "publisher_id": outlet.id,
                "format": form,
                "width": width,
                "height": height,
                "floor_nanos": int(floor_nanos * MASTHEAD) if is_first else floor_nanos,
                "rule": "first" if is_first else "second",
                "categories": list(outlet.categories),
                "key_values": {"section": [section]},
            },
        )


def _shop(shop: Shop, position: int, random: Random, start_us: int) -> Iterator[Setup]:
    domain = f"{shop.id}.example"
    yield _post(
        "/v1/advertisers",
        {
            "id": shop.id,
            "name": shop.name,
            "domain": domain,
            "currency": CURRENCY,
            "contact": f"accounts@{domain}",
        },
    )
    yield deposit(shop.id, DEPOSIT_UNITS)
    pricings = ("cpm", ("cpm", "vcpm")[position % 2], "cpc", ("cpv", "cpm", "cpa")[position % 3])
    for number, pricing in enumerate(pricings[: random.choice((3, 4, 4))], 1):
        yield from _campaign(shop, number, pricing, random, start_us)


def _campaign(
    shop: Shop, number: int, pricing: str, random: Random, start_us: int
) -> Iterator[Setup]:
    campaign_id = f"{shop.id}-{number}"
    bid_nanos = habits.bid_nanos(pricing, random.uniform(2.6 if pricing == "cpa" else 1.3, 3.8))
    units = random.choice(UNITS.get(pricing, UNITS_ELSE))
    targeting: dict[str, object] = {}
    if pricing in ("vcpm", "cpv"):
        targeting["key_values"] = MEASURED
    elif number == 1:
        targeting["categories"] = [shop.category, "379"]
    elif number == 2 and random.random() < 0.7:
        targeting["regions"] = random.sample(["PRT", "ESP", "FRA", "DEU", "ITA", "NLD"], 3)
    elif random.random() < 0.4:
        targeting["device_types"] = ["phone", "tablet"]
    if random.random() < 0.2:
        targeting["hours"] = list(range(7, 23))
    body: dict[str, object] = {
        "id": campaign_id,
        "advertiser_id": shop.id,
        "name": f"{shop.lines[(number - 1) % 3]}",
        "special_ad_categories": [],
        "pricing": pricing,
        "bid_nanos": bid_nanos,
        "budget": {"currency": CURRENCY, "units": units, "nanos": 0},
        "starts_us": start_us - start_us % 86_400_000_000,
        "targeting": targeting,
    }
    if units >= 4:
        cents = random.choice(DAILY_CENTS.get(pricing, DAILY_CENTS_ELSE))
        nanos = cents % 100 * 10_000_000
        body["daily_budget"] = {"currency": CURRENCY, "units": cents // 100, "nanos": nanos}
    yield _post("/v1/campaigns", body)
    yield from _creatives(shop, campaign_id, number, random, pricing)


def _creatives(
    shop: Shop, campaign_id: str, number: int, random: Random, pricing: str
) -> Iterator[Setup]:
    line = shop.lines[(number - 1) % 3]
    landing = f"https://{shop.id}.example/{number}"
    common = {"campaign_id": campaign_id, "landing_url": landing, "categories": [shop.category]}
    is_viewed = pricing == "cpv"  # what pays by the view is a video
    for width, height in [] if is_viewed else random.sample(SIZES, 3):
        yield _post(
            "/v1/creatives",
            {
                **common,
                "id": f"{campaign_id}.{width}x{height}",
                "name": f"{line}, {width} x {height}",
                "format": "banner",
                "width": width,
                "height": height,
                "html": banner_html(shop.name, line, shop.hue, width, height),
                "quality_ppm": random.randrange(820_000, 1_120_000, 10_000),
            },
        )
    if not is_viewed:
        yield _post(
            "/v1/creatives",
            {
                **common,
                "id": f"{campaign_id}.native",
                "name": f"{line}, native",
                "format": "native",
                "title": line,
                "text": f"{shop.name}. {shop.lines[number % 3]}.",
                "image_url": f"https://{shop.id}.example/{number}.jpg",
                "quality_ppm": random.randrange(820_000, 1_120_000, 10_000),
            },
        )
    if number == 1 or is_viewed:
        yield _post(
            "/v1/creatives",
            {
                **common,
                "id": f"{campaign_id}.video",
                "name": f"{line}, 15 s",
                "format": "video",
                "video_url": f"https://{shop.id}.example/{number}.mp4",
                "video_mime": "video/mp4",
                "duration_s": random.choice((6, 15, 30)),
            },
        )


def banner_html(name: str, line: str, hue: int, width: int, height: int) -> str:
    """A small typographic banner: colour, a line, a name; no script, no request, no margin."""
    size = 13 if height < 100 else 22
    return (
        f'<div style="position:absolute;inset:0;width:{width}px;height:{height}px;'
        f"box-sizing:border-box;padding:10px;"
        f"display:flex;flex-direction:column;justify-content:space-between;overflow:hidden;"
        f"font:600 {size}px/1.2 sans-serif;color:#fff;"
        f'background:linear-gradient(135deg,hsl({hue} 55% 30%),hsl({(hue + 40) % 360} 55% 42%))">'
        f"<span>{escape(line)}</span>"
        f'<small style="font:400 11px sans-serif">{escape(name)}</small></div>'
    )
