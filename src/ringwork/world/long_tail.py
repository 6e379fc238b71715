"""The long tail of the demo market: two hundred merchants with a hundred thousand ads.

Generated, each merchant from the seed and its own number, so that a market that was half stocked
goes on where it stopped. Beside the shops that are named by hand (``cast``) nobody looks at one of
them for long; together they are what an auction has to search. They bid less than the shops, on
narrow terms, with small budgets, so that in the course of a day other ones come to the top.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from random import Random
from typing import Final

import msgspec
from msgspec import Struct

from ringwork.world import habits
from ringwork.world.cast import CURRENCY, MEASURED, OUTLETS, SIZES, Setup, deposit

MERCHANTS: Final = 200
ADS_EACH: Final = 500
ADS: Final = MERCHANTS * ADS_EACH
DEPOSIT_UNITS: Final = 10_000
"""Covers the budgets of a merchant's hundred campaigns several times, and a sponsor's."""
DAY_US: Final = 86_400_000_000

_FIRST: Final = (
    "Cedar", "Northgate", "Amber", "Quay", "Willow", "Granary", "Lantern", "Harrow", "Meridian",
    "Saltmarsh", "Juniper", "Copper", "Foxglove", "Tannery", "Orchard", "Beacon", "Linden",
    "Millpond", "Thistle", "Ferry", "Slate", "Heather", "Poplar", "Anchor", "Clover",
)  # fmt: skip
_TRADES: Final = (
    ("Bakery", "210"), ("Optics", "223"), ("Cycles", "483"), ("Kitchens", "274"),
    ("Travel", "653"), ("Records", "338"), ("Bookshop", "42"), ("Savings", "391"),
    ("Outdoor", "483"), ("Nursery", "274"), ("Tea", "210"), ("Instruments", "338"),
    ("Shoes", "552"), ("Games", "680"), ("Insurance", "391"), ("Hotels", "653"),
    ("Pharmacy", "223"), ("Energy", "390"), ("Tools", "274"), ("Courses", "132"),
)  # fmt: skip
_LINES: Final = (
    "New this week", "Made to last", "Free delivery until Sunday", "Opened in your street",
    "Half price, this month", "Ask us anything", "Members save more", "Small batch, long taste",
    "Ready when you are", "The autumn list is here", "Try it for 30 days", "Repaired, not replaced",
)  # fmt: skip
_ZONES: Final = {
    "PRT": "Europe/Lisbon", "ESP": "Europe/Madrid", "FRA": "Europe/Paris",
    "DEU": "Europe/Berlin", "ITA": "Europe/Rome", "NLD": "Europe/Amsterdam",
    "USA": "America/Los_Angeles",
}  # fmt: skip
_DEVICES: Final = ("phone", "tablet", "computer", "tv")
_SECTIONS: Final = ("article", "front", "feed", "archive", "video")
_CATEGORIES: Final = tuple(dict.fromkeys(one for outlet in OUTLETS for one in outlet.categories))

_PRICINGS: Final = {"cpm": 60, "cpc": 22, "vcpm": 8, "cpv": 6, "cpa": 4}
_FORMATS: Final = {"banner": 62, "native": 20, "video": 13, "audio": 5}
_MEASURED: Final = {"banner": 62, "native": 20, "video": 13}
"""Pricing or format -> how many of a hundred have it; what can be measured whether it was in view.
"""


class Merchant(Struct, frozen=True):
    """An advertiser of the long tail."""

    id: str
    name: str
    trade: str
    category: str
    hue: int


def merchant(seed: int, number: int) -> Merchant:
    """The merchant of that number, from 0 on."""
    random = Random(f"{seed}/merchant/{number}")
    first, second = random.sample(_FIRST, 2)
    trade, category = random.choice(_TRADES)
    name = f"{first} & {second} {trade}"
    id = f"{re.sub('[^a-z]+', '-', name.lower())}-{number}"
    return Merchant(id, name, trade, category, random.randrange(360))


def advertisers(seed: int) -> Iterator[bytes]:
    """Every merchant as a line of an import."""
    for number in range(MERCHANTS):
        one = merchant(seed, number)
        yield _line("advertiser", id=one.id, name=one.name, domain=f"{one.id}.example",
                    currency=CURRENCY)  # fmt: skip


def deposits(seed: int) -> Iterator[Setup]:
    """What each merchant pays in before its campaigns can be funded."""
    for number in range(MERCHANTS):
        yield deposit(merchant(seed, number).id, DEPOSIT_UNITS)


def stock(seed: int, number: int, start_us: int) -> list[bytes]:
    """A merchant's campaigns and its ``ADS_EACH`` creatives as lines of an import."""
    one = merchant(seed, number)
    random = Random(f"{seed}/stock/{number}")
    lines: list[bytes] = []
    campaigns = ads = 0
    while ads < ADS_EACH:
        campaigns += 1
        id = f"{one.id}-{campaigns}"
        is_first = campaigns == 1
        placed = is_first and number < 2 * len(OUTLETS)
        terms = _placed_terms(number, start_us) if placed else _terms(random)
        count = min(len(_EVERYWHERE) if placed else random.randint(2, 8), ADS_EACH - ads)
        line = random.choice(_LINES)
        lines.append(
            _line("campaign", id=id, advertiser_id=one.id, name=f"{line} ({one.trade.lower()})",
                  special_ad_categories=[], starts_us=start_us - start_us % DAY_US, **terms)
        )  # fmt: skip
        pricing = str(terms["pricing"])
        for position in range(count):
            form = _EVERYWHERE[position] if placed else _form(random, pricing)
            members = _creative(random, one, line, form)
            lines.append(
                _line("creative", id=f"{id}.{position + 1}", campaign_id=id,
                      landing_url=f"https://{one.id}.example/{campaigns}", **members)
            )  # fmt: skip
        ads += count
    return lines


def _line(type: str, **members: object) -> bytes:
    return msgspec.json.encode({"type": type, **members})


# ---- campaigns ----------------------------------------------------------------------------------


def _placed_terms(number: int, start_us: int) -> dict[str, object]:
    """One sponsorship and one guaranteed campaign for each outlet: they are asked first there."""
    outlet = OUTLETS[number % len(OUTLETS)]
    place = {"apps": [outlet.bundle]} if outlet.is_app else {"sites": [outlet.domain]}
    common = {"pricing": "cpm", "bid_nanos": 4_200_000, "targeting": place}
    if number < len(OUTLETS):
        return {**common, "budget": _money(6_000), "priority": "sponsorship", "share_ppm": 40_000}
    return {
        **common,
        "budget": _money(500),
        "priority": "guaranteed",
        "goal_impressions": 600,
        "ends_us": start_us - start_us % DAY_US + 2 * DAY_US,
    }


def _terms(random: Random) -> dict[str, object]:
    targeting = _targeting(random)
    if random.random() < 0.02:
        return {"pricing": "cpm", "priority": "house", "targeting": targeting}
    pricing = _weighted(random, _PRICINGS)
    if pricing in ("vcpm", "cpv"):
        targeting["key_values"] = MEASURED
    bid_nanos = habits.bid_nanos(pricing, max(random.lognormvariate(-0.2, 0.38), 0.12))
    cents = random.choice((8, 15, 25, 40, 80))
    cents = max(cents, 4 * bid_nanos // 10_000_000 + 1)  # pays for a few of its bids in any case
    terms: dict[str, object] = {
        "pricing": pricing,
        "bid_nanos": bid_nanos,
        "budget": _money(cents),
        "targeting": targeting,
    }
    if random.random() < 0.3:
        terms["daily_budget"] = _money(max(cents // 2, 2 * bid_nanos // 10_000_000 + 1))
    if random.random() < 0.08:
        caps = {"impressions": random.randint(2, 6), "window_s": 86_400, "per": "campaign"}
        terms["frequency_caps"] = [caps]
    if random.random() < 0.04:
        terms["exclusion_labels"] = [random.choice(("finance", "travel", "food"))]
    if random.random() < 0.9:
        terms["pacing"] = "asap"  # small merchants take what comes; the others have a curve
    return terms


def _weighted(random: Random, weights: dict[str, int]) -> str:
    return random.choices(tuple(weights), tuple(weights.values()))[0]


def _targeting(random: Random) -> dict[str, object]:
    """Some of the dimensions, so that all of them are in use and most campaigns are narrow."""
    targeting: dict[str, object] = {}
    country = random.choice(tuple(_ZONES))
    if random.random() < 0.5:
        known = random.sample(_CATEGORIES, random.randint(1, 2))
        targeting["categories"] = [*known, str(random.randrange(1, 700))]
    if random.random() < 0.4:
        outlet = random.choice(OUTLETS)
        wide = random.sample(tuple(_ZONES), random.randint(1, 3))
        narrow = [f"{outlet.country}-{outlet.region}"]
        targeting["regions"] = wide if random.random() < 0.7 else narrow
    if random.random() < 0.2:
        targeting["device_types"] = random.sample(_DEVICES, random.randint(1, 2))
    if random.random() < 0.15:
        places = random.sample(OUTLETS, 2)
        targeting["sites"] = [one.domain for one in places if one.domain]
        targeting["apps"] = [one.bundle for one in places if one.bundle]
    if random.random() < 0.08:
        begin = random.randrange(18)
        targeting["hours"] = list(range(begin, begin + random.randint(3, 6)))
        targeting["time_zone"] = _ZONES[country]
    if random.random() < 0.03:
        targeting["weekdays"] = random.choice(([0, 1, 2, 3, 4], [5, 6]))
    if random.random() < 0.05:
        targeting["key_values"] = {"section": random.sample(_SECTIONS, 2)}
    if random.random() < 0.08:
        targeting["excluded"] = {"categories": [str(700 + random.randrange(20))]}
    return targeting


def _money(cents: int) -> dict[str, object]:
    return {"currency": CURRENCY, "units": cents // 100, "nanos": cents % 100 * 10_000_000}


# ---- creatives ----------------------------------------------------------------------------------

_EVERYWHERE: Final = ("300x250", "728x90", "320x50", "native", "video")
"""The ads of a campaign that is promised a place: one for each of what is asked for there."""


def _form(random: Random, pricing: str) -> str:
    """A size, or another format; views are measured of videos only."""
    if pricing == "cpv":
        return "video"
    form = _weighted(random, _MEASURED if pricing == "vcpm" else _FORMATS)
    if form != "banner":
        return form
    width, height = random.choices(SIZES, (50, 20, 22, 8))[0]
    return f"{width}x{height}"


def _creative(random: Random, one: Merchant, line: str, form: str) -> dict[str, object]:
    media = f"https://{one.id}.example/{random.randrange(10_000)}"
    members: dict[str, object] = {
        "name": f"{line}, {form}",
        "categories": [one.category],
        "quality_ppm": random.randrange(780_000, 1_080_000, 10_000),
        "weight": random.choice((1, 1, 1, 1, 2, 5)),
    }
    if form == "native":
        return {**members, "format": "native", "title": line, "text": one.name,
                "image_url": f"{media}.jpg"}  # fmt: skip
    if form in ("video", "audio"):
        kind = "mp4" if form == "video" else "mpeg"
        length = random.choice((6, 15, 20, 30))
        return {**members, "format": form, f"{form}_url": f"{media}.{kind}",
                f"{form}_mime": f"{form}/{kind}", "duration_s": length}  # fmt: skip
    width, height = map(int, form.split("x"))
    html = (
        f'<p style="height:{height}px;margin:0;padding:8px;font:600 15px sans-serif;color:#fff;'
        f'background:hsl({one.hue} 50% 35%)">{line}<br>{escape(one.name)}</p>'
    )
    return {**members, "format": "banner", "width": width, "height": height, "html": html}
