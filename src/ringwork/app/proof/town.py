"""Who lives in the worlds of the proof, what they did, and what is on sale there.

People come in couples. In world B whatever one of a couple did, was shown and is an audience of
is what the other did in world A: so every person's past differs between the worlds, and everything
else (what was sold when, to what budget, at what price) is the same, event by event.

Words that nobody else uses (``Canaries``) stand in every past, id and profile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from ringwork.ads.model import Context, Slot
from ringwork.app.proof.world import World
from ringwork.fairness.hec.screen import SpecialAdScreen
from ringwork.fairness.hec.settings import SpecialAdSettings

Status = Literal[
    "consented", "undecided", "refused", "withdrawn", "objected", "minor", "erased", "adult"
]
STATUSES: Final[tuple[Status, ...]] = (
    *("consented", "consented", "consented", "consented", "adult"),
    *("withdrawn", "refused", "objected", "undecided", "minor", "erased"),
)
"""Of couples, in turn: many are those whose history is there, and a signal says no."""

TOPICS: Final = tuple(f"topic{number}" for number in range(12))
DEEDS: Final = ("view", "search", "click", "save", "cart", "purchase")
DAY_US: Final = 86_400_000_000
ORIGIN: Final = "https://www.pub.example"
PAST_MAX: Final = 40
"""Things that one person did, at most."""
BATCH: Final = 100
CLICKED: Final = ("click-sports", "click-news")
"""Campaigns that are paid by the click: their chances are the model's, from the request's context.
"""
SPECIAL: Final = {"flat": "HOUSING", "job": "EMPLOYMENT"}
"""Campaigns under fairness: each request gets a cluster, and these ads a step of steering."""
PERIOD: Final = "proof"
OTHERS: Final = 4
"""People who consented and did the same in both worlds: they go on being served between pairs."""


class Canaries:
    """Words that can come from one source alone: all of them begin with the run's own mark."""

    def __init__(self, seed: int) -> None:
        self.mark = "k9" + hashlib.sha256(f"canary {seed}".encode()).hexdigest()[:10]

    def topic(self, number: int) -> str:
        """Something that one person did."""
        return f"{self.mark}t{number:06d}"

    def person(self, number: int) -> str:
        """A person's id, which a browser may send."""
        noise = hashlib.sha256(f"{self.mark} {number}".encode()).hexdigest()
        return f"r.{self.mark}p{noise[:20]}"

    def profile(self, number: int) -> str:
        """An id or a word of a profile that an exchange sends."""
        return f"{self.mark}x{number:06d}"


class Deed(Struct, frozen=True):
    """One thing that somebody did."""

    service: str
    kind: str
    topic: str
    ago_us: int


class Person(Struct, frozen=True):
    """One of a couple."""

    number: int
    id: str
    status: Status

    @property
    def twin(self) -> int:
        """The number of the other."""
        return self.number ^ 1


class Town:
    """The same people for both worlds; ``swapped`` says which of them."""

    def __init__(self, *, people: int, seed: int) -> None:
        """``people``: an even number."""
        self.canaries = Canaries(seed)
        self.people = [
            Person(number, self.canaries.person(number), STATUSES[number // 2 % len(STATUSES)])
            for number in range(people + people % 2)
        ]
        first = len(self.people)
        self.others = [
            Person(number, self.canaries.person(number), "consented")
            for number in range(first, first + OTHERS)
        ]
        random = Random(f"pasts {seed}")
        self.pasts = [self._past(one.number, random) for one in (*self.people, *self.others)]

    def of(self, *statuses: Status) -> list[Person]:
        """Everybody of these statuses."""
        return [one for one in self.people if one.status in statuses]

    def _past(self, number: int, random: Random) -> list[Deed]:
        """Two of a couple never did the same: every other one did nothing, or little."""
        if number % 2:
            count = random.choice((0, 0, 1, 3))
            liked = TOPICS[6:]
        else:
            count = random.randrange(8, PAST_MAX)
            liked = TOPICS[:6]
        favourites = random.sample(liked, 3)
        deeds = [
            Deed(
                random.choice(("main", "main", "market")),
                random.choice(DEEDS),
                random.choice(favourites),
                random.randrange(60_000_000, 20 * DAY_US),
            )
            for _ in range(count)
        ]
        if count:
            deeds.append(Deed("main", "view", self.canaries.topic(number), 3_600_000_000))
        return deeds

    # ---- before the first pair ------------------------------------------------------------------

    async def settle(self, world: World, *, swapped: bool) -> None:
        """Everything that comes before the requests of the proof."""
        await _stock(world)
        _teach(world)
        for one in (*self.people, *self.others):
            if one.status not in ("undecided", "refused"):
                minor = False if one.status == "adult" else None
                await _decide(world, one, "grant", minor=minor)
        await self._measure(world)
        await self._tell(world, swapped=swapped)
        await world.platform.indexed()
        await self._show(world, swapped=swapped)
        for one in self.people:
            await _end(world, one)
        await world.platform.indexed()
        await world.keep_house()
        await world.events()

    async def _measure(self, world: World) -> None:
        """Everybody is known to fairness, and its ads are steered, as where its desk is at work.

        The same in both worlds. The desk itself stays away: what its releases say of people who
        allowed measurement is the business of their noise, and different where they differ.
        """
        for start in range(0, len(self.people), BATCH):
            batch = self.people[start : start + BATCH]
            sexes = ("female", "male")
            people = [{"person": one.id, "sex": sexes[one.number // 2 % 2]} for one in batch]
            await world.tell("POST", "/v1/fairness/people", {"people": people})
        _steer(world)

    async def _tell(self, world: World, *, swapped: bool) -> None:
        """What everybody did; also of those who did not consent, which is not kept."""
        now_us = world.clock.wall_us()
        doers = [self.people[one.twin] if swapped else one for one in self.people] + self.others
        told = [
            {
                "person": doer.id,
                "service": deed.service,
                "kind": deed.kind,
                "topic": deed.topic,
                "at_us": now_us - deed.ago_us,
            }
            for doer, past in zip(doers, self.pasts, strict=True)
            for deed in past
        ]
        for start in range(0, len(told), BATCH):
            batch = {"events": told[start : start + BATCH]}
            await world.tell("POST", "/v1/events", batch, key=f"told {start}")

    async def _show(self, world: World, *, swapped: bool) -> None:
        """Personalised ads for everybody who consents now."""
        for one in self.people:
            world.clock.advance_us(250_000)
            person = self.people[one.twin] if swapped else one
            for place in ("market-top", "top", "side"):
                body = {"placement": place, "person": person.id}
                answer = await world.ask(
                    "POST",
                    "/v1/ads/request",
                    msgspec.json.encode(body),
                    headers=[(b"content-type", b"application/json")],
                    client="127.0.0.1",
                )
                assert answer.status == 200, answer.body


async def _end(world: World, one: Person) -> None:
    """What takes a person's consent away, where something does."""
    match one.status:
        case "refused":
            await _decide(world, one, "refuse")
        case "withdrawn":
            await _decide(world, one, "withdraw")
        case "objected":
            await _decide(world, one, "object")
        case "minor":
            await _decide(world, one, "declare", minor=True)
        case "erased":
            await world.tell("POST", "/v1/erasures", {"subject": f"person/{one.id}"})
        case "consented" | "adult" | "undecided":
            pass


async def _decide(world: World, one: Person, action: str, *, minor: bool | None = None) -> None:
    purposes = [] if action == "declare" else ["advertise"]
    if action == "grant":
        purposes.append("measure")  # what takes the other away leaves it: people who are measured
    joins = [{"from": "market", "to": "main"}] if action == "grant" else []
    body = {
        "person": one.id, "action": action, "purposes": purposes, "services": joins,
        "notice": "0" * 64, "minor": minor, "asked": False,
    }  # fmt: skip
    await world.tell("POST", "/v1/consent", body)


def _teach(world: World) -> None:
    """A version of the response model that has learned where people click: by what pages are about.

    The same in both worlds; what it is told of a request decides the order of the ads then.
    """
    import numpy as np  # noqa: PLC0415  # only where a proof runs

    from ringwork.ads.rank import features  # noqa: PLC0415
    from ringwork.ads.rank.response import ResponseModel  # noqa: PLC0415

    platform, model, random = world.platform, ResponseModel(bits=14), Random("clicks")
    catalogue, slot = platform.memory.catalogue, Slot(id="1", format="banner")
    for name in CLICKED:
        creative = catalogue.creatives[f"{name}.a"]
        ad = features.ad_keys([features.ad_values(creative, catalogue.campaigns[name])])[0]
        for topic in ("sports", "news", "travel") * 200:
            context = Context(site="news.pub.example", categories=(topic,))
            keys = features.context_keys(features.context_values(context, slot))
            is_clicked = random.random() < (0.02 if topic in name else 0.004)
            model.learn("click", np.ascontiguousarray(keys), ad, int(is_clicked))
    platform.ads.use_model(model.publish())
    merge = platform.ads.index.merge()
    merge.run()
    platform.ads.index.merged(merge)


def _steer(world: World) -> None:
    """Tables that move each special ad, in every cluster by something else."""
    import numpy as np  # noqa: PLC0415  # only where a proof runs

    from ringwork.fairness.control.hook import VALUE_BINS  # noqa: PLC0415
    from ringwork.fairness.control.model import records  # noqa: PLC0415
    from ringwork.fairness.control.steering import AdTable  # noqa: PLC0415

    fairness, special = world.platform.fairness, world.platform.special
    assert fairness is not None, "the settings of the proof leave it on"
    first = np.linspace(0.05, 0.95, fairness.clusters.count)
    chances = np.stack((first, 1 - first), axis=1)
    fairness.tables.replace(
        {
            f"{name}.a": AdTable(
                records=records(np.ones((VALUE_BINS, 2)), np.array([price, -price])),
                scale_nanos=2_400_000,
            )
            for name, price in zip(SPECIAL, (0.4, -0.3), strict=True)
        },
        chances / chances.sum(axis=0),
    )
    assert special is not None
    special.period = lambda: PERIOD


# ---- what is on sale ----------------------------------------------------------------------------


async def _stock(world: World) -> None:
    for path, body in _things():
        await world.tell("POST", path, body, key=f"{path} {body['id']}")


def _things() -> Iterator[tuple[str, dict[str, object]]]:
    yield "/v1/publishers", {
        "id": "pub", "name": "P", "domain": "pub.example", "origins": [ORIGIN],
    }  # fmt: skip
    yield from _places()
    yield "/v1/ledger/accounts", {"id": "cash", "currency": "EUR"}
    for name in ("a", "b"):
        yield "/v1/advertisers", {
            "id": name, "name": name.upper(), "domain": f"{name}.example", "currency": "EUR",
        }  # fmt: skip
        yield "/v1/ledger/transfers", {
            "id": f"deposit-{name}", "kind": "single", "debit_account": "cash",
            "credit_account": f"advertiser/{name}", "amount": _euros(10**7),
        }  # fmt: skip
    yield "/v1/audiences", {
        "id": "buyers", "name": "Buyers",
        "rules": [{"within_s": 86_400 * 15, "kinds": ["purchase", "cart"]}],
    }  # fmt: skip
    yield from _campaigns()


def _places() -> Iterator[tuple[str, dict[str, object]]]:
    for site, consent in (
        ("news", {"service": "main"}),
        ("market", {"service": "market"}),
        ("kids", {"child_directed": True}),
        ("casino", {"proof_of_age": True}),
        ("signed", {"source": "tcf"}),
    ):
        yield "/v1/sites", {
            "id": site, "publisher_id": "pub", "name": site, "domain": f"{site}.pub.example",
            "consent": consent,
        }  # fmt: skip
    banner = {"publisher_id": "pub", "format": "banner", "width": 300, "height": 250}
    for place, site, more in (
        ("top", "news", {}),
        ("side", "news", {"slots": 3, "rule": "gsp", "places_ppm": [1_000_000, 600_000, 300_000]}),
        ("market-top", "market", {"categories": ["sports"]}),
        ("kids-top", "kids", {}),
        ("casino-top", "casino", {}),
        ("signed-top", "signed", {"floor_nanos": 900_000}),
        ("nothing-fits", "news", {"floor_nanos": 10**11}),
    ):
        yield "/v1/placements", {"id": place, "site_id": site, **banner, **more}
    yield "/v1/placements", {
        "id": "clip", "site_id": "news", "publisher_id": "pub", "format": "video",
        "width": 640, "height": 360,
    }  # fmt: skip


def _campaigns() -> Iterator[tuple[str, dict[str, object]]]:
    for number in range(4):
        targeting = {} if number % 2 else {"categories": ["sports", "travel"]}
        yield from _campaign(f"plain{number}", 1_500_000 + 100_000 * number, targeting)
    yield from _campaign("lisbon", 2_300_000, {"regions": ["PRT-11"]})
    yield from _campaign("phones", 2_100_000, {"device_types": ["phone"]})
    for name in CLICKED:
        yield from _campaign(name, 400_000_000, {}, pricing="cpc")
    cap = [{"impressions": 1, "window_s": 3600}]
    yield from _campaign("capped", 2_700_000, {}, frequency_caps=cap)
    for topic in TOPICS:
        yield from _campaign(f"for-{topic}", 4_000_000, {"audiences": [f"interest:{topic}"]})
    yield from _campaign("buyers", 3_500_000, {"audiences": ["buyers"]})
    not_them = {"excluded": {"audiences": ["buyers", "interest:topic1"]}}
    yield from _campaign("not-buyers", 1_950_000, not_them)
    yield from _campaign("clip", 2_600_000, {}, format="video")
    certified = SpecialAdScreen.of(SpecialAdSettings().rules).certification
    for name, category in SPECIAL.items():
        special: dict[str, Any] = {
            "special_ad_categories": [category], "certified_text": certified
        }  # fmt: skip
        yield from _campaign(name, 2_400_000, {}, **special)


def _campaign(
    id: str,
    bid_nanos: int,
    targeting: Mapping[str, object],
    *,
    pricing: str = "cpm",
    format: str = "banner",
    **more: Any,
) -> Iterator[tuple[str, dict[str, object]]]:
    owner = "a" if len(id) % 2 else "b"
    yield "/v1/campaigns", {
        "id": id, "advertiser_id": owner, "name": id, "pricing": pricing, "bid_nanos": bid_nanos,
        "budget": _euros(10**5), "targeting": targeting, "special_ad_categories": [], **more,
    }  # fmt: skip
    creative: dict[str, object] = {
        "id": f"{id}.a", "campaign_id": id, "name": id, "format": format, "width": 300,
        "height": 250, "landing_url": f"https://{owner}.example/{id}", "html": f"<b>{id}</b>",
    }  # fmt: skip
    if format == "video":
        creative |= {
            "width": 640, "height": 360, "video_url": f"https://{owner}.example/{id}.mp4",
            "video_mime": "video/mp4", "duration_s": 15, "html": "",
        }  # fmt: skip
    yield "/v1/creatives", creative


def _euros(units: int) -> dict[str, object]:
    return {"currency": "EUR", "units": units, "nanos": 0}
