"""People whom the outlets know by an id: what they decided about ads, and what they do there.

Their outlets asked them; the decisions and the last days' doings are handed over when the world
begins. In ad requests they are named where an answer depends on it: with consent, or as
subscribers. Who refused is one of the many whom nobody names.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from random import Random
from typing import Final, Literal

from msgspec import Struct

from ringwork.world.cast import CURRENCY, SHOPS, Setup, Shop, banner_html

Decision = Literal["subscriber", "consenting", "refusing"]

READERS: Final = 30
DECISIONS: Final[dict[Decision, int]] = {"consenting": 60, "refusing": 28, "subscriber": 12}
"""Of a hundred. Who has an account at a paper agrees, or pays, more often than a passer-by."""
NAMED: Final = 0.45
"""Of outlets' own page views: by somebody who has an account."""
PLAN: Final = "no-ads"
PRICE_NANOS: Final = 5_990_000_000
DAYS_TOLD: Final = 3
"""Of what people did before the world begins, or since it stopped."""
BATCH: Final = 100
NOTICE: Final = "May we show you ads by what you read with us? You can say no, and change it later."
"""What the outlets asked; a consent refers to its hash."""
CLUBS: Final = (
    ("riders", "Looked for bicycles this month", "483", "plain-bicycles"),
    ("cooks", "Cooked along this month", "210", "north-roast"),
    ("bookworms", "Read about books this month", "42", "ledger-books"),
)
"""Audience, its name, the topic that its members looked at, and the shop that bids for them."""
CLUB_CPM: Final = 6.0
"""What a shop bids for somebody who looked for what it sells: above everybody else."""
CLUB_UNITS: Final = 20
AT_LEAST: Final = 3
WITHIN_S: Final = 30 * 86_400

_KINDS: Final = {"view": 12, "search": 5, "click": 3, "save": 2, "cart": 1}
_SIZES: Final = ((300, 250), (728, 90))
_DAY_US: Final = 86_400_000_000


class Reader(Struct, frozen=True):
    """Somebody with an account."""

    person: str
    """128 random bits and more: whoever knows it may speak for its person."""
    decision: Decision
    topics: tuple[str, ...] = ()
    """What interests them."""

    @property
    def is_named(self) -> bool:
        """Whether an ad request says who asks."""
        return self.decision != "refusing"


def person_id(seed: int, name: str) -> str:
    """The id of the reader of that name: the same in each run of a world."""
    drawn = sha256(f"{seed}/reader/{name}".encode()).digest()[:18]
    return "r." + urlsafe_b64encode(drawn).decode()


def readers(seed: int) -> tuple[Reader, ...]:
    """Everybody with an account."""
    return tuple(_reader(seed, number) for number in range(READERS))


def _reader(seed: int, number: int) -> Reader:
    random = Random(f"{seed}/account/{number}")
    decision = random.choices(tuple(DECISIONS), tuple(DECISIONS.values()))[0]
    topics = random.sample([topic for _, _, topic, _ in CLUBS], 2)
    return Reader(person_id(seed, str(number)), decision, (*topics, "653"))


def decisions(people: Sequence[Reader], start_us: int) -> Iterator[Setup]:
    """What everybody decided: consents and refusals, and subscriptions that somebody pays for."""
    plan = {"id": PLAN, "name": "All papers without ads"}
    price = {
        "id": f"{PLAN}-web", "plan": PLAN, "channel": "web", "currency": CURRENCY,
        "price_nanos": PRICE_NANOS, "valid_from_us": start_us - start_us % _DAY_US,
    }  # fmt: skip
    yield Setup("/v1/plans", plan, f"world:plan:{PLAN}")
    yield Setup("/v1/plan-prices", price, f"world:plan-price:{PLAN}")
    for number, one in enumerate(people):
        key = f"world:decision:{number}"
        if one.decision == "subscriber":
            yield Setup("/v1/subscriptions", _subscription(f"reader-{number}", one.person), key)
        else:
            yield Setup("/v1/consent", _consent(one), key)


def _subscription(id: str, person: str) -> dict[str, object]:
    return {
        "id": id, "person": person, "plan": PLAN, "region": "PT", "channel": "web",
        "currency": CURRENCY, "payment_method": "simulated-card", "time_zone": "Europe/Lisbon",
    }  # fmt: skip


def _consent(reader: Reader) -> dict[str, object]:
    return {
        "person": reader.person,
        "action": "grant" if reader.decision == "consenting" else "refuse",
        "purposes": ["advertise", "measure"],
        "notice": sha256(NOTICE.encode()).hexdigest(),
        "notice_version": "1",
        "surface": "account",
        "locale": "en",
    }


def deeds(people: Sequence[Reader], *, seed: int, days: range) -> Iterator[Setup]:
    """What those who allowed it did on those days; of the others nothing is told."""
    for day in days:
        done = [
            event
            for one in people
            if one.decision == "consenting"
            for event in _done(one, seed, day)
        ]
        for start in range(0, len(done), BATCH):
            batch = {"events": done[start : start + BATCH]}
            yield Setup("/v1/events", batch, f"world:deeds:{day}:{start}")


def _done(reader: Reader, seed: int, day: int) -> Iterator[dict[str, object]]:
    """Something about each topic, somewhere in the day."""
    random = Random(f"{seed}/deeds/{reader.person}/{day}")
    for topic in reader.topics:
        yield {
            "person": reader.person,
            "service": "main",
            "kind": random.choices(tuple(_KINDS), tuple(_KINDS.values()))[0],
            "topic": topic,
            "at_us": day * _DAY_US + random.randrange(_DAY_US),
        }


def clubs() -> Iterator[Setup]:
    """Audiences, and the campaigns of the shops that want to reach them."""
    shops = {one.id: one for one in SHOPS}
    for id, name, topic, shop_id in CLUBS:
        rule = {"within_s": WITHIN_S, "topics": [topic], "at_least": AT_LEAST}
        yield Setup(
            "/v1/audiences", {"id": id, "name": name, "rules": [rule]}, f"world:audience:{id}"
        )
        targeting = {"audiences": [id]}
        yield from campaign(f"{shop_id}-{id}", shops[shop_id], targeting, cpm=CLUB_CPM)


def campaign(
    id: str, shop: Shop, targeting: Mapping[str, object], *, cpm: float
) -> Iterator[Setup]:
    """A shop's campaign with its ads; it takes whatever comes, so that it is there to be seen."""
    line = shop.lines[0]
    body = {
        "id": id, "advertiser_id": shop.id, "name": line, "pricing": "cpm", "pacing": "asap",
        "special_ad_categories": [],
        "bid_nanos": int(cpm * 1_000_000), "targeting": targeting,
        "budget": {"currency": CURRENCY, "units": CLUB_UNITS, "nanos": 0},
    }  # fmt: skip
    yield Setup("/v1/campaigns", body, f"world:campaign:{id}")
    for width, height in _SIZES:
        creative = {
            "id": f"{id}.{width}x{height}", "campaign_id": id, "format": "banner",
            "name": f"{line}, {width} x {height}", "width": width, "height": height,
            "landing_url": f"https://{shop.id}.example/", "categories": [shop.category],
            "html": banner_html(shop.name, line, shop.hue, width, height),
        }  # fmt: skip
        yield Setup("/v1/creatives", creative, f"world:creative:{creative['id']}")
