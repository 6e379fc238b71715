"""Readers with accounts: the same in each run, told of where they allowed it, named where needed."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from pathlib import Path

import httpx
import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.behavioural.requests import BATCH_MAX, PersonEvents
from ringwork.app.compose import create
from ringwork.app.settings import Settings
from ringwork.consent.requests import NewConsent
from ringwork.consent.subscriptions.requests import NewSubscription
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.viewer import SECRET_PERSON
from ringwork.world.demo import World, tell_of_readers
from ringwork.world.drive import Driver
from ringwork.world.payment_provider import SimulatedPaymentProvider
from ringwork.world.readers import DECISIONS, READERS, decisions, deeds, person_id, readers
from ringwork.world.traffic import views
from tests.app.subscribers import selling
from tests.world.test_drive import pace_of

DAY = 20_700
DAY_US = 86_400_000_000


def test_they_are_the_same_in_each_run_and_of_every_kind():
    people = readers(7)
    assert people == readers(7) != readers(8)
    assert len({one.person for one in people}) == READERS
    assert all(SECRET_PERSON.fullmatch(one.person) for one in people)
    assert {one.decision for one in people} == DECISIONS.keys()
    assert sum(DECISIONS.values()) == 100


def test_each_decides_once_in_the_form_that_the_platform_takes():
    people = readers(7)
    plan, price, *made = decisions(people, DAY * DAY_US + 5)
    assert (plan.path, price.path) == ("/v1/plans", "/v1/plan-prices")
    assert price.body["valid_from_us"] == DAY * DAY_US  # in force when the first one subscribes
    assert len({call.key for call in made}) == len(made) == READERS
    for one, call in zip(people, made, strict=True):
        if one.decision == "subscriber":
            assert call.path == "/v1/subscriptions"
            assert msgspec.convert(call.body, NewSubscription).person == one.person
        else:
            said = msgspec.convert(call.body, NewConsent)
            action = "grant" if one.decision == "consenting" else "refuse"
            assert (call.path, said.person, said.action) == ("/v1/consent", one.person, action)


@given(st.integers(min_value=0, max_value=1000), st.integers(min_value=1, max_value=5))
def test_of_those_alone_who_allowed_it_is_told_what_they_did(seed: int, count: int):
    people = readers(seed)
    calls = list(deeds(people, seed=seed, days=range(DAY, DAY + count)))
    told = [one for call in calls for one in msgspec.convert(call.body, PersonEvents).events]
    allowed = {one.person: len(one.topics) for one in people if one.decision == "consenting"}
    assert Counter(one.person for one in told) == {key: n * count for key, n in allowed.items()}
    assert all(DAY <= one.at_us // DAY_US < DAY + count for one in told)
    assert all(len(call.body["events"]) <= BATCH_MAX for call in calls)
    assert len({call.key for call in calls}) == len(calls)


def test_no_day_is_told_with_other_words_when_the_world_goes_on():
    people = readers(7)
    whole = list(deeds(people, seed=7, days=range(DAY, DAY + 4)))
    parts = [list(deeds(people, seed=7, days=range(DAY + one, DAY + one + 1))) for one in range(4)]
    assert whole == list(itertools.chain.from_iterable(parts))
    assert list(deeds(people, seed=7, days=range(DAY, DAY))) == []


def test_told_again_after_a_crash_nothing_is_twice_and_a_change_of_mind_stays(tmp_path: Path):
    async def main() -> None:
        pace = pace_of(1)
        provider = SimulatedPaymentProvider(lambda: pace.clock().wall_us() // 1_000_000)
        app = create(
            Settings(data=str(tmp_path / "d"), subscriptions=selling(tmp_path)),
            clock=pace.clock(), entropy=SeededEntropy("readers"), network=provider,
        )  # fmt: skip
        async with app.platform.lifespan(app):
            transport = httpx.ASGITransport(app.local_admin)  # type: ignore[arg-type]  # the same
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
                driver = Driver([http], pace=pace, token="")
                world = World(7, pace.world_start_us, 0)
                await tell_of_readers(driver, world)
                assert world.told_day == driver.clock.wall_us() // DAY_US - 1
                told = await counted(http)
                # Killed before it was remembered: with the same keys it is said again.
                await tell_of_readers(driver, World(7, pace.world_start_us, 0))
                assert await counted(http) == told

                reader = person_id(7, "consenting")
                said = {"person": reader, "action": "withdraw", "purposes": ["advertise"]}
                assert (await http.post("/v1/consent", json=said)).status_code == 201
                await tell_of_readers(driver, world)
                stands = (await http.get(f"/v1/consent/{reader}")).json()
                purposes = {one["purpose"]: one["status"] for one in stands["purposes"]}
                assert purposes["advertise"] == "withdrawn"

    asyncio.run(main())


async def counted(http: httpx.AsyncClient) -> dict[str, int]:
    """How often each was recorded."""
    found = {}
    for type_ in ("consent_recorded", "subscription_requested", "person_acted"):
        answer = await http.get("/v1/log/events", params={"type": type_, "limit": 1000})
        found[type_] = len(answer.json()["events"])
    assert min(found.values()) > 0
    return found


def test_who_refused_is_named_in_no_request():
    named = Counter()
    for view in itertools.islice(views(7, start_us=DAY * DAY_US, per_day=20_000), 4_000):
        if view.path == "/v1/ads/request" and view.body.endswith(b"}"):
            named[msgspec.json.decode(view.body).get("person", "")] += 1
    assert named[""] > 0
    del named[""]
    assert named.keys() == {one.person for one in readers(7) if one.decision != "refusing"}
