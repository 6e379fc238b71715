"""Northfield, a town in the USA: people with names and streets, and ads for homes, jobs and credit.

Its papers are read by different people (shares as Ali et al. 2019 measured them for such topics),
and local shops outbid each other on some of them. So an ad that simply buys where it is cheap
reaches men and white people first, though nobody asked for that: what the fairness part is there to
see and to correct. Everybody in town has an account, agreed to ads by what they read and to their
measurement, and is known to the platform by name, address, sex and age; the group is known to this
file alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from random import Random
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct

from ringwork.fairness.hec.screen import SpecialAdScreen
from ringwork.fairness.hec.settings import SpecialAdSettings
from ringwork.fairness.model import AGE, RACE_SIX, SEX
from ringwork.fairness.tables.demo import People, demo_people
from ringwork.world.cast import CURRENCY, Setup, banner_html, deposit
from ringwork.world.readers import NOTICE, person_id
from ringwork.world.traffic import DAY_S, PEAK, View, rate

RESIDENTS: Final = 3_000
REGION: Final = "USA-OH"
VIEWS_PER_DAY: Final = 16_000
SEEN: Final = 0.9
"""Of answers with an ad: it is drawn, and reported."""
AT_ONCE: Final = 200
"""People described in one call."""
SIZE: Final = (300, 250)
UNITS: Final = 6
"""Of a special ad; a thousand impressions a day, so that pacing leaves some to each."""
RIVAL_UNITS: Final = 300
FLIGHT_DAYS: Final = 3
_DAY_US: Final = 86_400_000_000


class Paper(Struct, frozen=True):
    """A paper of the town: who reads it, and what a place there usually costs."""

    id: str
    name: str
    category: str
    readers: int
    """Of a hundred views, if everybody read alike."""
    female: float
    """Share of women among its readers."""
    black: float
    """How much more often Black people read it than white people do; 1: alike."""
    rival_cpm: float
    """What the shop that likes it best bids."""


PAPERS: Final = (
    Paper("courier", "Northfield Courier", "379", 30, 0.51, 1.0, 1.6),
    Paper("table", "Corner Table", "210", 20, 0.60, 1.1, 2.0),
    Paper("bench", "Iron & Bench", "483", 14, 0.12, 1.1, 0.9),
    Paper("compact", "The Compact", "552", 14, 0.92, 1.0, 2.6),
    Paper("county", "County Line", "338", 12, 0.45, 0.15, 0.9),
    Paper("cypher", "Cypher", "338", 10, 0.45, 6.0, 2.4),
)


class Offerer(Struct, frozen=True):
    """Who advertises a home, a job or a loan."""

    id: str
    name: str
    category: str
    """As the platform's rules name it."""
    topic: str
    hue: int
    line: str
    text: str
    cpm: float


OFFERERS: Final = (
    Offerer(
        "maple-homes", "Maple Street Homes", "HOUSING", "441", 95,
        "Two bedrooms on Maple Street", "Apartments to rent, from the first of the month.", 2.4,
    ),
    Offerer(
        "northfield-works", "Northfield Works", "EMPLOYMENT", "123", 210,
        "We are hiring at the mill", "Day shift, training paid, apply in ten minutes.", 2.4,
    ),
    Offerer(
        "corner-credit", "Corner Credit Union", "CREDIT", "391", 30,
        "A loan that says what it costs", "Borrow from your neighbours, fixed rate.", 2.4,
    ),
)  # fmt: skip


def offers(start_us: int) -> Iterator[Setup]:
    """Papers, places, shops and the special ads of the town."""
    yield Setup(
        "/v1/publishers",
        {"id": "northfield", "name": "Northfield Papers", "domain": "northfield.example"},
        "world:northfield",
    )
    for paper in PAPERS:
        yield _place(paper)
    for number, paper in enumerate(PAPERS):
        yield from _rival(paper, number)
    for one in OFFERERS:
        yield from _offer(one, start_us)


def _place(paper: Paper) -> Setup:
    width, height = SIZE
    body = {
        "id": f"northfield.{paper.id}", "publisher_id": "northfield", "format": "banner",
        "width": width, "height": height, "floor_nanos": 300_000, "rule": "second",
        "categories": [paper.category], "key_values": {"paper": [paper.id]},
    }  # fmt: skip
    return Setup("/v1/placements", body, f"world:northfield.{paper.id}")


def _rival(paper: Paper, number: int) -> Iterator[Setup]:
    """The shop that likes this paper's readers best."""
    shop_id = f"northfield-shop-{paper.id}"
    yield Setup("/v1/advertisers", _advertiser(shop_id, f"{paper.name} Shop"), f"world:{shop_id}")
    yield deposit(shop_id, RIVAL_UNITS)
    body = _campaign(shop_id, f"{paper.name} readers", paper.rival_cpm, [], RIVAL_UNITS)
    body["targeting"] = {"key_values": {"paper": [paper.id]}}
    yield Setup("/v1/campaigns", body, f"world:campaign:{shop_id}")
    yield _banner(shop_id, f"{paper.name} Shop", "Open until eight", 40 * number, paper.category)


def _offer(one: Offerer, start_us: int) -> Iterator[Setup]:
    yield Setup("/v1/advertisers", _advertiser(one.id, one.name), f"world:{one.id}")
    yield deposit(one.id, UNITS)
    body = _campaign(one.id, one.line, one.cpm, [one.category], UNITS)
    body["targeting"] = {"regions": ["USA"], "key_values": {"paper": [p.id for p in PAPERS]}}
    body["starts_us"] = start_us - start_us % _DAY_US
    body["ends_us"] = start_us - start_us % _DAY_US + FLIGHT_DAYS * _DAY_US
    body["pacing"] = "even"
    body["certified_text"] = SpecialAdScreen.of(SpecialAdSettings().rules).certification
    yield Setup("/v1/campaigns", body, f"world:campaign:{one.id}")
    yield _banner(one.id, one.name, one.line, one.hue, one.topic)


def _advertiser(id: str, name: str) -> dict[str, object]:
    domain = f"{id}.example"
    return {
        "id": id, "name": name, "domain": domain, "currency": CURRENCY,
        "contact": f"accounts@{domain}",
    }  # fmt: skip


def _campaign(id: str, name: str, cpm: float, special: list[str], units: int) -> dict[str, object]:
    return {
        "id": id, "advertiser_id": id, "name": name, "special_ad_categories": special,
        "pricing": "cpm", "pacing": "asap", "bid_nanos": int(cpm * 1_000_000),
        "budget": {"currency": CURRENCY, "units": units, "nanos": 0},
    }  # fmt: skip


def _banner(campaign_id: str, name: str, line: str, hue: int, category: str) -> Setup:
    width, height = SIZE
    id = f"{campaign_id}.{width}x{height}"
    body = {
        "id": id, "campaign_id": campaign_id, "name": line, "format": "banner",
        "width": width, "height": height, "landing_url": f"https://{campaign_id}.example/",
        "categories": [category], "html": banner_html(name, line, hue, width, height),
    }  # fmt: skip
    return Setup("/v1/creatives", body, f"world:creative:{id}")


@cache
def residents(seed: int) -> People:
    """Everybody in town, with the group that only the world knows."""
    return demo_people(seed, RESIDENTS)


def resident_id(seed: int, number: int) -> str:
    """The id that a resident's account has."""
    return person_id(seed, f"northfield/{number}")


def consents(seed: int) -> Iterator[Setup]:
    """What everybody agreed to."""
    for number in range(RESIDENTS):
        body = {
            "person": resident_id(seed, number), "action": "grant",
            "purposes": ["advertise", "measure"], "notice": sha256(NOTICE.encode()).hexdigest(),
            "notice_version": "1", "surface": "account", "locale": "en",
        }  # fmt: skip
        yield Setup("/v1/consent", body, f"world:northfield:{number}")


def descriptions(seed: int) -> Iterator[Setup]:
    """Names, addresses, sex and age, as the accounts have them; one in fifty leaves sex out."""
    people = residents(seed)
    described = [
        {
            "person": resident_id(seed, number),
            "surname": str(people.surname[number]).title(),
            "first_name": str(people.first_name[number]).title(),
            "zip": str(people.zip[number]),
            "sex": "" if number % 50 == 0 else SEX.groups[people.sex[number]],
            "age": AGE.groups[people.age[number]],
            "region": REGION,
        }
        for number in range(RESIDENTS)
    ]
    for first in range(0, RESIDENTS, AT_ONCE):
        yield Setup(
            "/v1/fairness/people",
            {"people": described[first : first + AT_ONCE]},
            f"world:northfield:people:{first}",
        )


@cache
def tastes(seed: int) -> np.ndarray:
    """[people, papers] how likely each reads each paper next; rows sum to one."""
    people = residents(seed)
    is_female = people.sex == SEX.groups.index("female")
    is_black = people.race == RACE_SIX.groups.index("black")
    weight = np.empty((RESIDENTS, len(PAPERS)))
    for column, paper in enumerate(PAPERS):
        by_sex = np.where(is_female, paper.female, 1 - paper.female)
        weight[:, column] = paper.readers * by_sex * np.where(is_black, paper.black, 1.0)
    out: np.ndarray = weight / weight.sum(axis=1, keepdims=True)
    return out


def town_views(seed: int, *, start_us: int) -> Iterator[View]:
    """Page views of the town from ``start_us`` on, for ever; each day has a seed of its own."""
    day = start_us // _DAY_US
    cumulated = np.cumsum(tastes(seed), axis=1)
    while True:
        random = Random(f"{seed}/northfield/{day}")
        second = 0.0
        while True:
            second += random.expovariate(VIEWS_PER_DAY * PEAK / DAY_S)
            if second >= DAY_S:
                break
            at_us = day * _DAY_US + int(second * 1_000_000)
            if random.random() * PEAK < rate(second):
                view = _view(random, seed, cumulated, at_us)
                if at_us >= start_us:
                    yield view
        day += 1


def _view(random: Random, seed: int, cumulated: np.ndarray, at_us: int) -> View:
    number = random.randrange(RESIDENTS)
    paper = PAPERS[min(int(np.searchsorted(cumulated[number], random.random())), len(PAPERS) - 1)]
    asked = {
        "person": resident_id(seed, number),
        "placement": f"northfield.{paper.id}",
        "page": {
            "url": f"https://northfield.example/{paper.id}/{random.randrange(500)}",
            "categories": [paper.category],
        },
        "device_type": random.choices(("phone", "computer"), (6, 4))[0],
        "region": REGION,
        "visit": f"northfield-{number}",
    }
    shown = random.uniform(0.3, 3)
    return View(
        at_us=at_us,
        path="/v1/ads/request",
        body=msgspec.json.encode(asked),
        acts=((shown, "impression"),) if random.random() < SEEN else (),
        order_cents=0,
        customer="",
    )
