"""People look at pages: the day's views and what each asks the platform, seeded, byte for byte.

Arrivals are an inhomogeneous Poisson process (thinning, Lewis and Shedler 1979) whose rate follows
a day: few at night, a rise until lunch, a second peak in the evening. Every view carries what
exchanges send about people (ids, addresses), because the platform has to leave it unread, and what
consent platforms say (``signals``), because the platform has to obey it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from random import Random
from typing import Final, Literal

import msgspec
from msgspec import Struct

from ringwork.world.cast import CURRENCY, OUTLETS, SIZES, Outlet
from ringwork.world.habits import CLICKS, COMPLETED, CONVERSIONS, VIEWABLE
from ringwork.world.readers import NAMED, Reader, readers
from ringwork.world.signals import LIMITED, sign

DAY_S: Final = 86_400
PEAK: Final = 2.8
"""The day's busiest moment, as a multiple of its mean."""

CUT_OFF: Final = 0.001
"""Share of requests whose body ends before its time."""
VISITS = 600
"""Of a site at a time: most have one page view, some a few, for frequency caps to count."""

Act = Literal[
    "impression", "viewable", "completed", "again", "late", "forged", "click", "conversion"
]


class View(Struct, frozen=True, kw_only=True):
    """One page view: when, what it asks, and what the person does (seconds after the answer)."""

    at_us: int
    path: str
    body: bytes
    acts: tuple[tuple[float, Act], ...]
    order_cents: int
    customer: str


def rate(second_of_day: float) -> float:
    """Views relative to the day's mean.

    >>> rate(4 * 3600) < 0.4 < 2.0 < rate(13 * 3600)
    True
    """
    hour = second_of_day / 3600
    lunch = math.exp(-(((hour - 13) / 2.8) ** 2))
    evening = math.exp(-(((hour - 20.5) / 1.9) ** 2))
    return 0.33 + 2.28 * lunch + 1.42 * evening


def views(seed: int, *, start_us: int, per_day: int) -> Iterator[View]:
    """Page views from ``start_us`` on, for ever; each day has a seed of its own.

    A world that is stopped goes on with the same day's sequence where it left it.
    """
    day = start_us // (DAY_S * 1_000_000)
    while True:
        for view in _day(seed, day, per_day):
            if view.at_us >= start_us:
                yield view
        day += 1


def _day(seed: int, day: int, per_day: int) -> Iterator[View]:
    random, people = Random(f"{seed}/{day}"), readers(seed)
    base_us = day * DAY_S * 1_000_000
    mean_gap_s = DAY_S / per_day / PEAK
    second = 0.0
    while True:
        second += random.expovariate(1 / mean_gap_s)
        if second >= DAY_S:
            return
        if random.random() * PEAK < rate(second):
            yield _view(random, people, base_us + int(second * 1_000_000))


def _view(random: Random, people: Sequence[Reader], at_us: int) -> View:
    outlet = random.choices(OUTLETS, [one.weight for one in OUTLETS])[0]
    if not outlet.is_app and random.random() < 0.22:
        path, asked = "/v1/ads/request", _native_request(random, outlet, people)
    else:
        path, asked = "/openrtb2/auction", _bid_request(random, outlet)
        sign(random, asked, outlet.country, at_us // (DAY_S * 1_000_000))
    body = msgspec.json.encode(asked)
    if random.random() < CUT_OFF:
        body = body[: random.randrange(1, len(body))]
    return View(
        at_us=at_us,
        path=path,
        body=body,
        acts=_acts(random),
        order_cents=random.randrange(900, 14_000),
        customer=f"c{random.randrange(10**9):09d}",
    )


def _acts(random: Random) -> tuple[tuple[float, Act], ...]:
    """What follows an answer with an ad, in seconds of the world.

    Whether an ad came into view, or a video to its end, is reported where its place can measure it.
    """
    chance = random.random()
    if chance < 0.10:
        return ()  # never seen: the hold expires
    if chance < 0.11:
        return ((random.uniform(420, 900), "late"),)
    shown = random.uniform(0.3, 4)
    acts: list[tuple[float, Act]] = [(shown, "impression")]
    if random.random() < VIEWABLE:
        acts.append((shown + random.uniform(1, 5), "viewable"))
    if random.random() < COMPLETED:
        acts.append((shown + random.uniform(6, 31), "completed"))
    if random.random() < 0.03:
        acts.append((random.uniform(5, 60), "again"))
    if random.random() < 0.004:
        acts.append((random.uniform(1, 9), "forged"))
    if random.random() < CLICKS:
        clicked = random.uniform(5, 40)
        acts.append((clicked, "click"))
        if random.random() < CONVERSIONS:
            acts.append((clicked + random.uniform(60, 1500), "conversion"))
    return tuple(acts)


def _native_request(random: Random, outlet: Outlet, people: Sequence[Reader]) -> dict[str, object]:
    name = random.choices(("article-foot", "masthead", "in-feed", "player"), (5, 2, 3, 2))[0]
    reader = random.choice(people) if random.random() < NAMED else None
    named = {"person": reader.person} if reader is not None and reader.is_named else {}
    return {
        **named,
        "placement": f"{outlet.id}.{name}",
        "page": {
            "url": f"https://{outlet.domain}/{random.randrange(4000)}",
            "categories": list(outlet.categories[:1]),
        },
        "device_type": random.choices(("phone", "computer", "tablet"), (6, 3, 1))[0],
        "region": f"{outlet.country}-{outlet.region}",
        "visit": f"{outlet.id}-{random.randrange(VISITS)}",
    }


def _bid_request(random: Random, outlet: Outlet) -> dict[str, object]:
    imp = _imp(random, outlet)
    request: dict[str, object] = {
        "id": f"{random.getrandbits(64):016x}",
        "imp": [imp],
        "at": 1 if random.random() < 0.85 else 2,
        "tmax": random.choice((120, 200, 300)),
        "cur": [CURRENCY],
        "device": _device(random, outlet),
        # Who looks: sent because exchanges send it, and never read.
        "user": {"id": f"{random.getrandbits(64):016x}", "yob": random.randrange(1945, 2008)},
        "source": {"tid": f"{random.getrandbits(64):016x}"},
    }
    publisher = {"id": outlet.id, "name": outlet.name}
    if outlet.is_app:
        request["app"] = {
            "bundle": outlet.bundle,
            "name": outlet.name,
            "cat": list(outlet.categories),
            "cattax": 7,
            "publisher": publisher,
        }
    else:
        page = f"https://{outlet.domain}/{random.randrange(4000)}"
        request["site"] = {
            "domain": outlet.domain,
            "page": page,
            "cat": list(outlet.categories),
            "cattax": 7,
            "publisher": publisher,
        }
    if random.random() < 0.06:
        request["bcat"] = [random.choice(("391", "210", "483"))]
    _spoil(random, request, imp)
    return request


def _spoil(random: Random, request: dict[str, object], imp: dict[str, object]) -> None:
    """A few requests are wrong, or ask for what is not sold here."""
    chance = random.random()
    if chance < 0.003:
        del imp["id"]
    elif chance < 0.006:
        request["app"] = request["site"] = {"id": "both"}
    elif chance < 0.012:
        imp["bidfloorcur"] = "USD"
    elif chance < 0.018:
        imp["pmp"] = {"private_auction": 1, "deals": [{"id": "d1"}]}
    elif chance < 0.022:
        request["tmax"] = 2


def _imp(random: Random, outlet: Outlet) -> dict[str, object]:
    floor = round(outlet.floor_cpm * random.choice((0.5, 1, 1, 1, 1, 1.6, 1.6, 4)), 2)
    imp: dict[str, object] = {
        "id": "1",
        "tagid": f"{outlet.id}.open",
        "bidfloor": floor,
        "bidfloorcur": CURRENCY,
        "secure": 1,
    }
    kind = random.random()
    if kind < 0.74:
        width, height = random.choices(SIZES, (50, 20, 22, 8))[0]
        formats = [{"w": width, "h": height}]
        if random.random() < 0.4:
            formats.append({"w": 300, "h": 250})
        imp["banner"] = {"format": formats, "pos": random.choice((1, 3))}
    elif kind < 0.88:
        imp["video"] = {
            "mimes": ["video/mp4"],
            "minduration": 5,
            "maxduration": random.choice((15, 30)),
            "protocols": [3, 7, 11, 13],
            "w": 640,
            "h": 360,
            "linearity": 1,
            "plcmt": 1,
        }
    else:
        assets = [{"id": 1, "required": 1, "title": {"len": 90}}]
        imp["native"] = {
            "ver": "1.2",
            "request": msgspec.json.encode(
                {"ver": "1.2", "context": 1, "plcmttype": 1, "assets": assets}
            ).decode(),
        }
    return imp


def _device(random: Random, outlet: Outlet) -> dict[str, object]:
    kinds = (4, 5) if outlet.is_app else (4, 2, 5)
    return {
        "devicetype": random.choices(kinds, (6, 3, 1)[: len(kinds)])[0],
        "ua": "Mozilla/5.0 (demo world)",
        "ip": f"198.51.100.{random.randrange(256)}",
        "ifa": f"{random.getrandbits(128):032x}",
        "geo": {"country": outlet.country, "region": outlet.region, "type": 2},
        "language": outlet.country[:2].lower(),
        **({"lmt": 1} if outlet.is_app and random.random() < LIMITED else {}),
    }
