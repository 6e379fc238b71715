"""Who is eligible is weighted by what each was shown lately, of all ads, from the log alone."""

from __future__ import annotations

import io

import msgspec
import pytest

from ringwork.ads.model import Ask, Context, Slot
from ringwork.app.fairness_log import FILE_NAME
from ringwork.fairness.audit import SOUND, audited
from ringwork.fairness.delivery.events import PersonShownAds
from ringwork.fairness.delivery.recent import DAY_US
from ringwork.fairness.settings import FairnessSettings
from ringwork.fairness.tables.demo import demo_people
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.viewer import Viewer
from tests.app.logged import events_of, unbroken
from tests.app.served import EPOCH_US, Client, serve

OWN = FairnessSettings(clusters=8, cluster_people=10_000)
COUNT = 800
TOWN = demo_people(7, COUNT)
WOMEN = [number for number in range(COUNT) if TOWN.sex[number] == 0]
MEN = [number for number in range(COUNT) if TOWN.sex[number] == 1]


async def told(client: Client, path: str, body: object) -> None:
    answer = await client.admin.post(path, json=body)
    assert answer.status_code == 201, answer.text


async def describe(client: Client) -> None:
    people = [
        {
            "person": f"u{number}", "surname": str(TOWN.surname[number]),
            "zip": str(TOWN.zip[number]), "sex": ("female", "male")[TOWN.sex[number]],
        }
        for number in range(COUNT)
    ]  # fmt: skip
    await told(client, "/v1/fairness/people", {"people": people})


async def register(client: Client, ad: str, **members: object) -> None:
    body = {"ad": ad, "category": "HOUSING", "expected_impressions": 5000, **members}
    await told(client, "/v1/fairness/ads", body)
    await client.app.platform.fairness.look()


async def tell(client: Client, ad: str, people: list[int], time_us: int, turn: int = 0) -> None:
    impressions = [
        {"id": f"{turn}/{one}", "ad": ad, "person": f"u{one}", "cluster": 1, "time_us": time_us,
         "price_nanos": 1}
        for one in people
    ]  # fmt: skip
    await told(client, "/v1/fairness/impressions", {"impressions": impressions})


async def visit(client: Client, person: str) -> str:
    """One ordinary ad, sold and shown."""
    platform = client.app.platform
    context = Context(site="pub.example", publisher_id="pub")
    slot = Slot(id="1", format="banner", sizes=((300, 250),))
    ask = Ask(request_id=platform.ids.new(), source="native", context=context, slots=(slot,))
    (served,) = (await platform.serve_ad(ask, Viewer(person=person))).served
    assert await platform.record_outcome.impression(served.tokens["impression"]) == "recorded"
    return served.campaign_id


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr("ringwork.app.fairness.LOOK_S", 3600.0)

    def play(scenario, *, seed: int = 5):
        data, clock = tmp_path / "data", ManualClock(EPOCH_US)
        serve(data, scenario, clock=clock, seed=seed, settings={"fairness": OWN})
        unbroken(data)
        return data

    return play


def counted_in(data) -> list[int]:
    return [event[0] for kind, event in events_of(data) if kind == PersonShownAds.TYPE]


def test_shares_are_by_impressions_of_the_window_and_by_people_once_each(run):
    """Women are shown an ad three times, men once: 3 W / (3 W + M) by hand, exactly."""

    async def scenario(client: Client) -> None:
        await describe(client)
        await register(client, "first")
        for turn in range(3):
            await tell(client, "first", WOMEN, EPOCH_US, turn)
        await tell(client, "first", MEN, EPOCH_US)
        # From before the window: in no weight.
        await tell(client, "first", MEN, EPOCH_US - 31 * DAY_US, 9)
        await register(client, "second")
        client.clock.advance_us(30 * DAY_US)
        await register(client, "third")

    data = run(scenario)
    auditor = audited(io.BytesIO((data / FILE_NAME).read_bytes()))
    assert auditor.found.verdict == SOUND, auditor.found.findings
    of = {ad: one.ad.eligible["sex"] for ad, one in auditor.state.flights.items()}
    women, men = len(WOMEN), len(MEN)
    once = women / (women + men)
    for ad in ("first", "third"):
        assert of[ad].by == "people", "nobody was shown anything in its window"
        assert of[ad].shares_ppb == of[ad].people_shares_ppb
    assert of["second"].by == "impressions"
    assert of["second"].shares_ppb[0] == pytest.approx(3 * women / (3 * women + men) * 1e9, abs=1)
    assert {round(one.people_shares_ppb[0]) for one in of.values()} == {round(once * 1e9)}
    weighed = auditor.state.flights["second"].ad.eligible
    assert weighed["race"].by == weighed["sex x race"].by == "impressions"
    assert weighed["race"].shares_ppb != weighed["race"].people_shares_ppb


def test_too_few_people_weigh_nothing(run):
    async def scenario(client: Client) -> None:
        await describe(client)
        await register(client, "first")
        await tell(client, "first", WOMEN[:100], EPOCH_US)
        await register(client, "second")

    data = run(scenario)
    state = audited(io.BytesIO((data / FILE_NAME).read_bytes())).state
    assert state.flights["second"].ad.eligible["sex"].by == "people"


def test_ordinary_ads_are_counted_for_who_is_described_and_may_be_measured(run):
    """No special ad was ever there: what is counted waits for the first one."""

    async def scenario(client: Client) -> None:
        platform = client.app.platform
        await client.stock()
        await describe(client)
        refuse = {"person": "u2", "action": "withdraw", "purposes": ["measure"], "notice": "0" * 64}
        grant = {**refuse, "action": "grant"}
        for one in ("u0", "u1", "u2"):
            await told(client, "/v1/consent", {**grant, "person": one})
        await told(client, "/v1/consent", refuse)
        for person in ("u0", "u0", "u0", "u1", "u2", "stranger", ""):
            assert await visit(client, person) == "c"
        subjects = [platform.fairness.subject_of(f"u{one}") for one in range(3)]
        recent = platform.memory.fairness.people.recent
        today = client.clock.wall_us() // DAY_US

        def seen() -> list[int]:
            return recent.of(subjects, today=today, window_days=30).tolist()

        assert seen() == [0, 0, 0], "it is counted every ten minutes"
        erased = await client.admin.post("/v1/erasures", json={"subject": "person/u1"})
        assert erased.status_code == 201
        await platform.fairness.look()
        assert seen() == [3, 0, 0]
        found = await client.admin.post("/v1/access", json={"subject": "person/u0"})
        told_of = {one["type"]: one["payload"] for one in found.json()["events"]}
        assert told_of["person_shown_ads"]["impressions"] == 3, "its person may read it"
        assert told_of["person_described"]["details"]["surname"] == TOWN.surname[0]
        await visit(client, "u0")
        await platform.fairness.look()
        assert seen() == [3, 0, 0]

    data = run(scenario)
    assert counted_in(data) == [3, 1], "a clean stop records the rest"

    async def after(client: Client) -> None:
        people = client.app.platform.memory.fairness.people
        subject = client.app.platform.fairness.subject_of("u0")
        assert people.recent.of([subject], today=EPOCH_US // DAY_US, window_days=30).tolist() == [4]

    run(after, seed=6)


def test_the_log_names_what_shares_are_weighted_by(run):
    async def scenario(client: Client) -> None:
        await describe(client)
        await register(client, "first")

    data = run(scenario)
    lines = (data / FILE_NAME).read_bytes().splitlines()
    (ad,) = [one for one in map(msgspec.json.decode, lines) if one["kind"] == "ad"]
    assert ad["body"]["eligible"]["sex"]["by"] == "people"
