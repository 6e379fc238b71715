"""The requests of the proof: each comes in two worlds, for one person, and may use nobody's past.

Every case is one way to be without consent. In most, both worlds are sent the very same bytes and
differ in what the person did; in ``ids`` and ``profile`` the requests differ as well, in the ids
and the profile that they bring.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from random import Random
from typing import Final
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from ringwork.app.proof.town import ORIGIN, Person, Status, Town
from ringwork.app.proof.world import EPOCH_US, VENDOR_ID
from ringwork.consent import tcf
from ringwork.consent.vendors import Vendors

Body = dict[str, object]
Headers = list[tuple[bytes, bytes]]

_encode: Final = msgspec.json.Encoder().encode
_HEADERS: Final = ((b"content-type", b"application/json"), (b"host", b"localhost"))
_LOCAL: Final = "127.0.0.1"
_AWAY: Final = "203.0.113.7"
_PLACES: Final = ("top", "top", "top", "side", "market-top", "signed-top", "clip", "nothing-fits")
_REGIONS: Final = ("", "PRT", "PRT-11", "DEU-BY")
_CATEGORIES: Final = ((), ("sports",), ("travel", "food"), ("news",))
_DEVICES: Final = ("phone", "computer", "tablet", "tv", "other")
_STEPS_US: Final = (1_000, 20_000, 300_000, 2_000_000)


class Sent(Struct, frozen=True):
    """A request as one world gets it."""

    method: str
    target: str
    body: bytes
    headers: Headers
    client: str


class Case(Struct, frozen=True):
    """One pair."""

    name: str
    sent: tuple[Sent, Sent]
    step_us: int
    """How far both clocks move before it."""
    follows: bool
    """Whether the page goes on to show what it was given."""
    names_differ: bool = False
    """Only one of the two names a person: ``nobody`` is a reason of its own, and no leak."""


class _Way(Struct, frozen=True):
    """One way to be without consent."""

    name: str
    statuses: tuple[Status, ...]
    signals: Body = {}
    headers: tuple[tuple[bytes, bytes], ...] = ()
    place: str = ""
    region: str = ""


_NO: Final[tuple[Status, ...]] = (
    *("withdrawn", "refused", "objected", "undecided", "minor", "erased"),
)
_YES: Final[tuple[Status, ...]] = ("consented", "adult")


def tc_string(*purposes: int) -> str:
    """Consent to these purposes, for us and for everybody disclosed."""
    us = Vendors.of([(VENDOR_ID, VENDOR_ID)])
    base = tcf.decode("CQh-8AAQh-8AAAfABAENB4FoAP_gAEPgAAYgAPABAEAQAUAAAIAA")
    day_ms = 86_400_000
    made_ms = EPOCH_US // 1000 // day_ms * day_ms - day_ms
    return tcf.encode(
        msgspec.structs.replace(
            base,
            created=made_ms,
            last_updated=made_ms,
            purpose_consents=purposes,
            purpose_legitimate_interests=(),
            vendor_consents=us,
            vendor_legitimate_interests=us,
            vendors_disclosed=us,
            segments=(tcf.string.DISCLOSED_VENDORS,),
        )
    )


NO_PROFILE: Final = tc_string(1, 2, 7)
NO_ADS: Final = tc_string(1, 7)
ALL: Final = tc_string(1, 2, 3, 4, 7)
WAYS: Final = (
    *(_Way(status, (status,)) for status in _NO),
    _Way("gpc", _YES, signals={"gpc": 1}),
    _Way("gpc-header", _YES, headers=((b"sec-gpc", b"1"),)),
    _Way("dnt", _YES, signals={"dnt": 1}),
    _Way("lmt", _YES, signals={"lmt": 1}),
    _Way("coppa", _YES, signals={"coppa": 1}),
    _Way("us-privacy", _YES, signals={"us_privacy": "1YYN", "gdpr": 0}, region="USA"),
    _Way("tc-no-profile", _YES, signals={"gdpr": 1, "tc": NO_PROFILE}),
    _Way("tc-no-ads", _YES, signals={"gdpr": 1, "tc": NO_ADS}),
    _Way("tc-unreadable", _YES, signals={"gdpr": 1, "tc": "Cxx"}),
    _Way("children", _YES, place="kids-top"),
    _Way("no-proof-of-age", ("consented",), place="casino-top"),
    _Way("tcf-place-without-tc", _YES, place="signed-top"),
)
"""Also those whose history is there, and whom a signal or the place takes out of the tier."""


class Cases:
    """An endless stream of pairs, the same for the same seed."""

    def __init__(self, town: Town, *, seed: int) -> None:
        self._random = Random(f"cases {seed}")
        self._canaries = town.canaries
        self._numbers = count()
        self._of: dict[tuple[Status, ...], list[Person]] = {}
        self._town = town

    def __iter__(self) -> Iterator[Case]:
        while True:
            draw = self._random.random()
            if draw < 0.12:
                yield self._exchange()
            elif draw < 0.2:
                yield self._ids()
            elif draw < 0.25:
                yield self._player()
            else:
                yield self._way(self._random.choice(WAYS))

    def consented(self) -> Case:
        """Of a person who consented, without any signal against it: a control, and no pair."""
        way = _Way("consented", _YES, place="top")
        return self._both("consented", self._body(way, self._one_of(_YES)), way)

    def other(self) -> Case:
        """Of somebody who consented and did the same in both worlds: their ads must be the same."""
        body: Body = {"placement": "top", "person": self._random.choice(self._town.others).id}
        way = _Way("others", _YES)
        return self._both(way.name, body, way)

    def without(self, person: Person, place: str = "top") -> Sent:
        """A plain request for one person whose browser opts out, always of the same size."""
        body: Body = {"placement": place, "person": person.id, "signals": {"gpc": 1}}
        return self._sent(body, (), number=next(self._numbers))

    def _way(self, way: _Way) -> Case:
        return self._both(way.name, self._body(way, self._one_of(way.statuses)), way)

    def _ids(self) -> Case:
        """Another id of the same status, or none at all."""
        way = self._random.choice(WAYS)
        one = self._one_of(way.statuses)
        body = self._body(way, one)
        if self._random.random() < 0.5:
            other: Body = {**body, "person": self._town.people[one.twin].id}
            return self._case("another-id", body, other, way)
        other = {name: value for name, value in body.items() if name != "person"}
        return self._case("a-name-or-none", body, other, way, names_differ=True)

    def _both(self, name: str, body: Body, way: _Way) -> Case:
        return self._case(name, body, body, way)

    def _case(
        self, name: str, one: Body, other: Body, way: _Way, *, names_differ: bool = False
    ) -> Case:
        number, from_page = next(self._numbers), self._random.random() < 0.4
        headers = (*way.headers, (b"origin", ORIGIN.encode())) if from_page else way.headers
        pair = [
            self._sent(body, headers, number=number, client=_AWAY if from_page else _LOCAL)
            for body in (one, other)
        ]
        return Case(name, (pair[0], pair[1]), *self._course(), names_differ)

    def _body(self, way: _Way, one: Person) -> Body:
        random = self._random
        place = way.place or random.choice(_PLACES)
        body: Body = {
            "placement": place,
            "person": one.id,
            "page": {"categories": random.choice(_CATEGORIES)},
            "device_type": random.choice(_DEVICES),
        }
        region = way.region or random.choice(_REGIONS)
        if region:
            body["region"] = region
        if random.random() < 0.5:
            body["visit"] = f"visit{random.randrange(40)}"
        if way.signals:
            body["signals"] = way.signals
        return body

    def _player(self) -> Case:
        """A video player's tag."""
        way = self._random.choice([one for one in WAYS if not one.place])
        one = self._one_of(way.statuses)
        members = {"person": one.id, "device_type": self._random.choice(_DEVICES)}
        names = {"tc": "gdpr_consent"}
        members |= {names.get(name, name): str(value) for name, value in way.signals.items()}
        headers = way.headers
        if "gpc" in way.signals:
            headers = (*headers, (b"sec-gpc", b"1"))
            del members["gpc"]
        if way.region:
            members["region"] = way.region
        sent = Sent(
            "GET",
            f"/vast/clip?{urlencode(members)}",
            b"",
            [*_HEADERS[1:], *headers, _request_id(next(self._numbers))],
            _LOCAL,
        )
        return Case("player", (sent, sent), *self._course())

    def _exchange(self) -> Case:
        """A bid request: two sets of ids and profiles, everything else the same."""
        random, number = self._random, next(self._numbers)
        from_page = random.random() < 0.3
        tc = random.choice(("", NO_PROFILE, ALL, NO_ADS))
        body = self._bid_request(number, tc)
        headers = (*_HEADERS, (b"origin", ORIGIN.encode())) if from_page else _HEADERS
        pair = [
            Sent(
                "POST",
                "/openrtb2/auction",
                _encode(_with_profile(body, self._profile(side), tc)),
                [*headers, _request_id(number)],
                _AWAY if from_page else _LOCAL,
            )
            for side in (0, 1)
        ]
        return Case("profile", (pair[0], pair[1]), *self._course())

    def _bid_request(self, number: int, tc: str) -> Body:
        random = self._random
        return {
            "id": f"q{number}",
            "imp": [{"id": "1", "banner": {"w": 300, "h": 250}, "bidfloor": 0.4,
                     "bidfloorcur": "EUR"}],
            "site": {"domain": "news.pub.example", "publisher": {"id": "pub"},
                     "cat": list(random.choice(_CATEGORIES))},
            "cur": ["EUR"],
            "at": random.choice((1, 2)),
            "regs": {"gdpr": 1} if tc or random.random() < 0.5 else {"gdpr": 0},
            "device": {"devicetype": random.choice((1, 2, 3, 5)),
                       "geo": {"country": random.choice(("PRT", "DEU", "USA")), "region": "11"}},
        }  # fmt: skip

    def _profile(self, side: int) -> dict[str, Body]:
        """Members of ``user``, ``device`` and their places, of one person or of none."""
        random = self._random
        if side and random.random() < 0.3:
            return {"user": {}, "device": {}, "geo": {}}
        names = iter([self._canaries.profile(random.randrange(10**6)) for _ in range(9)])
        return {
            "user": {
                "id": next(names), "buyeruid": next(names), "yob": random.randrange(1940, 2006),
                "gender": random.choice("MFO"), "keywords": next(names), "customdata": next(names),
                "geo": {"lat": 38.7 + random.random(), "lon": -9.1 - random.random(),
                        "zip": next(names), "city": next(names)},
                "eids": [{"source": "ids.example", "uids": [{"id": next(names), "atype": 1}]}],
                "data": [{"id": "d", "segment": [{"id": random.choice(("topic1", "topic7")),
                                                  "value": next(names)}]}],
            },
            "device": {
                "ifa": next(names), "ip": f"198.51.100.{random.randrange(256)}",
                "ua": f"Agent/{random.randrange(100)}", "model": f"m{random.randrange(9)}",
            },
            "geo": {"lat": random.uniform(-90, 90), "lon": random.uniform(-180, 180)},
        }  # fmt: skip

    def _sent(
        self, body: Body, headers: tuple[tuple[bytes, bytes], ...], *, number: int,
        client: str = _LOCAL,
    ) -> Sent:  # fmt: skip
        whole = [*_HEADERS, *headers, _request_id(number)]
        return Sent("POST", "/v1/ads/request", _encode(body), whole, client)

    def _course(self) -> tuple[int, bool]:
        return self._random.choice(_STEPS_US), self._random.random() < 0.15

    def _one_of(self, statuses: tuple[Status, ...]) -> Person:
        people = self._of.get(statuses)
        if people is None:
            people = self._of[statuses] = self._town.of(*statuses)
        return self._random.choice(people)


def _with_profile(body: Body, profile: dict[str, Body], tc: str) -> Body:
    device: Body = dict(body["device"])  # type: ignore[call-overload]  # it is one
    device |= profile["device"]
    device["geo"] = {**device["geo"], **profile["geo"]}  # type: ignore[dict-item]  # likewise
    user = {**profile["user"], "consent": tc} if tc else profile["user"]
    return {**body, "device": device, "user": user}


def _request_id(number: int) -> tuple[bytes, bytes]:
    """The same in both worlds, so that answers and events can be told apart and compared."""
    return b"x-request-id", b"00000000-0000-4000-8000-%012x" % number
