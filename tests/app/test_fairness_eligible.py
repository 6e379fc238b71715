"""Who is eligible: what each was shown lately weighs, and a noisy release says it, once."""

from __future__ import annotations

import io
import itertools

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from ringwork.ads.model import Ask, Context, Slot
from ringwork.app.fairness_log import FILE_NAME
from ringwork.fairness.audit import SOUND, audited
from ringwork.fairness.delivery.events import Audience, AudienceMeasured, PersonShownAds
from ringwork.fairness.delivery.recent import DAY_US
from ringwork.fairness.enclave import Counted
from ringwork.fairness.settings import FairnessSettings
from ringwork.fairness.tables.demo import demo_people
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.viewer import Viewer
from tests.app.logged import events_of, unbroken
from tests.app.plans import plan_with
from tests.app.served import EPOCH_US, Client, serve

OWN = FairnessSettings(clusters=8, cluster_people=10_000, audience_still_s=0)
EXACT = ("null", "eligible_impressions_max: 3")
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

    clock = ManualClock(EPOCH_US)

    def play(scenario, *plan: str, seed: int = 5):
        """``plan``: its ``eligible_sigma``, and lines of YAML; none: without noise."""
        data = tmp_path / "data"
        own = replace(OWN, plan=plan_with(tmp_path, *(plan or EXACT)))
        serve(data, scenario, clock=clock, seed=seed, settings={"fairness": own})
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


# ---- once, with noise ----------------------------------------------------------------------------


def released(data) -> list[list]:
    return [event for kind, event in events_of(data) if kind == AudienceMeasured.TYPE]


def eligible_in(data) -> dict[str, list[dict]]:
    """Of each ad, by segment, from the audit log; which an audit finds sound."""
    text = (data / FILE_NAME).read_bytes()
    auditor = audited(io.BytesIO(text))
    assert auditor.found.verdict == SOUND, auditor.found.findings
    found: dict[str, list[dict]] = {}
    for one in map(msgspec.json.decode, text.splitlines()):
        if one["kind"] == "ad":
            found.setdefault(one["body"]["ad"], []).append(one["body"]["eligible"])
    return found


def test_a_person_described_between_two_ads_is_in_no_difference_of_theirs(run):
    """The attack: everybody but one is described, an ad opens, then the one, and another ad opens."""

    async def scenario(client: Client) -> None:
        await describe(client)
        await register(client, "before")
        alone = {"person": "eve", "surname": "X", "zip": "00001", "sex": "female", "age": "65+"}
        await told(client, "/v1/fairness/people", {"people": [alone]})
        await register(client, "after")

    of = eligible_in(run(scenario, "12"))
    assert of["before"] == of["after"]


def test_without_noise_the_same_difference_is_her_vector_and_the_log_says_there_is_none(run):
    async def scenario(client: Client) -> None:
        await describe(client)
        await register(client, "before")
        alone = {"person": "eve", "surname": "X", "zip": "00001", "sex": "female", "age": "65+"}
        await told(client, "/v1/fairness/people", {"people": [alone]})
        await register(client, "after")

    data = run(scenario)
    of = eligible_in(data)
    before, after = (of[one][0]["sex"]["shares_ppb"][0] / 1e9 for one in ("before", "after"))
    assert after * (COUNT + 1) - before * COUNT == pytest.approx(1, abs=1e-5), "she is a woman"
    assert "noise_ppb" not in of["after"][0]["sex"]
    assert not released(data)
    plan = next(one for one in map(msgspec.json.decode, (data / FILE_NAME).read_bytes().splitlines())
                if one["kind"] == "plan")  # fmt: skip
    assert "eligible_epsilon_micro" not in plan["body"]


def test_many_ads_and_a_restart_cost_one_release_and_another_audience_another(run):
    async def first(client: Client) -> None:
        await describe(client)
        for number in range(4):
            await register(client, f"ad{number}")
        await register(client, "south", audience={"excluded_regions": ["B", "A"]})

    async def second(client: Client) -> None:
        await register(client, "again")
        await register(client, "said otherwise", audience={"excluded_regions": ["A", "B", "A"]})
        ledger = client.app.platform.memory.fairness.budgets.ledger
        assert sum(one.startswith("audiences/") for one in ledger.ads()) == 2
        assert ledger.overall("1e-6").replace_micro > 1_000_000, "who is in both loses more"
        (view,) = [(await client.admin.get("/v1/fairness/ads/again")).json()]
        assert view["unmeasured"] == ""

    run(first, "12")
    data = run(second, "12", seed=6)
    events, of = released(data), eligible_in(data)
    assert len(events) == 2
    assert len({str(of[ad]) for ad in ("ad0", "ad1", "ad2", "ad3", "again")}) == 1
    assert of["south"] == of["said otherwise"] != of["again"]
    for *_, declared, charged, _ in events:
        assert declared["cost"] == charged["spent"]
        assert 900_000 < declared["cost"]["replace_micro"] <= 1_000_000


def test_a_new_window_measures_anew_and_a_segment_that_is_open_keeps_its_mix(run):
    async def scenario(client: Client) -> None:
        clock = client.clock
        await describe(client)
        await register(client, "first")
        days = EPOCH_US // DAY_US % 30
        clock.advance_us((30 - days) * DAY_US - EPOCH_US % DAY_US - 1)
        await register(client, "last of the window")
        clock.advance_us(1)
        await register(client, "second")
        await tell(client, "first", WOMEN[:40], clock.wall_us())
        await client.app.platform.fairness.look()
        clock.set_wall_us(clock.wall_us() - 5 * DAY_US)  # a clock goes back: nothing is made twice
        await register(client, "third")

    data = run(scenario, "12")
    events, of = released(data), eligible_in(data)
    assert [one[1] for one in events] == [EPOCH_US // DAY_US // 30 + one for one in (0, 1)]
    assert of["first"] == of["last of the window"] != of["second"] == of["third"]
    assert all(len(segments) == 1 for segments in of.values())


def test_the_noise_is_as_stated_and_the_shares_are_those_of_the_noisy_sums(run):
    """Of sixty windows the counts differ from the truth by sigma."""

    async def scenario(client: Client) -> None:
        await describe(client)
        for number in range(60):
            await register(client, f"ad{number}")
            client.clock.advance_us(DAY_US)

    data = run(scenario, "12", "eligible_window_days: 1")
    events = released(data)
    assert len(events) == 60
    sums = np.array([[*one[-1]["people"]["sex"], *one[-1]["people"]["age"]] for one in events])
    truth = [len(WOMEN), len(MEN), 0, 0, 0, 0, 0, 0, 0, COUNT]
    off = (sums - truth).ravel()
    assert off.std() == pytest.approx(12, rel=0.12)
    assert abs(off.mean()) < 4 * 12 / len(off) ** 0.5
    soft = np.array([one[-1]["people"]["race"] for one in events])
    assert soft.std(axis=0).mean() == pytest.approx(12 * 256, rel=0.2)
    mixes = [one[0]["sex"] for one in eligible_in(data).values()]
    for one, row in zip(mixes, sums, strict=True):
        assert one["people_shares_ppb"][0] == pytest.approx(row[0] / row[:2].sum() * 1e9, abs=1)
        assert one["noise_ppb"] == pytest.approx(12 / row[:2].sum() * 1e9, abs=1)
    assert "age" not in eligible_in(data)["ad0"][0], "nobody told an age, and noise is no age"


def test_weights_are_cut_at_the_most_that_one_person_has_and_noise_is_made_for_it(run):
    """3 W / (3 W + M) as above, though one woman was shown five hundred."""

    async def scenario(client: Client) -> None:
        await describe(client)
        await register(client, "first")
        for turn in range(3):
            await tell(client, "first", WOMEN, EPOCH_US, turn)
        await tell(client, "first", MEN, EPOCH_US)
        many = [{"id": f"m{one}", "ad": "first", "person": f"u{WOMEN[0]}", "cluster": 1,
                 "time_us": EPOCH_US, "price_nanos": 1} for one in range(500)]  # fmt: skip
        await told(client, "/v1/fairness/impressions", {"impressions": many})
        await register(client, "second", audience={"excluded_regions": ["nowhere"]})

    data = run(scenario, "2", "eligible_impressions_max: 3", "privacy: {epsilon_max: 20.0}")
    first, second = released(data)
    assert (first[-1]["impressions"], first[-1]["people_sigma"]) == ({}, 2.0)
    sums, privacy = second[-1], second[3]["privacy"]
    assert sums["people_sigma"] == privacy["people_sigma"] == 2.83
    assert sums["impressions_sigma"] == privacy["sigma"] == pytest.approx(3 * 2.83)
    assert privacy["contributions_max"] == sums["impressions_max"] == 3
    assert second[3]["cost"]["replace_micro"] <= first[3]["cost"]["replace_micro"]
    women, men = len(WOMEN), len(MEN)
    assert sums["impressions"]["sex"][0] == pytest.approx(3 * women, abs=5 * 8.49)
    assert sums["impressions"]["sex"][1] == pytest.approx(men, abs=5 * 8.49)
    found = eligible_in(data)["second"][0]["sex"]
    assert found["by"] == "impressions"
    assert found["noise_ppb"] > found["people_noise_ppb"]
    assert found["shares_ppb"][0] / 1e9 == pytest.approx(3 * women / (3 * women + men), abs=0.04)


def test_an_audience_waits_until_its_people_are_told_of(run, monkeypatch):
    async def scenario(client: Client) -> None:
        async def why() -> str:
            await client.app.platform.fairness.look()
            return (await client.admin.get("/v1/fairness/ads/ad")).json()["unmeasured"]

        async def more(numbers: range) -> None:
            people = [{"person": f"u{one}", "sex": "female"} for one in numbers]
            await told(client, "/v1/fairness/people", {"people": people})

        await more(range(100))
        await register(client, "ad")
        assert "expected 240 people or more" in await why()
        client.clock.advance_us(61_000_000)
        await more(range(100, 300))
        assert "for 60 s; 300 people" in await why()
        client.clock.advance_us(61_000_000)
        await more(range(300, 600))
        assert "600 people" in await why(), "it has grown meanwhile"
        client.clock.advance_us(61_000_000)
        await more(range(600, 610))
        assert await why() == "", "a few more are no import"

    monkeypatch.setitem(globals(), "OWN", replace(OWN, audience_still_s=60))
    assert len(released(run(scenario, "12"))) == 1


def test_a_release_that_stands_is_used_where_its_ad_was_not_opened_any_more(run, monkeypatch):
    """A process dies, or its disk is full, between the two commands."""
    opening = "ringwork.fairness.delivery.opening.Opening._opened"

    async def dies(client: Client) -> None:
        await describe(client)
        monkeypatch.setattr(opening, lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await register(client, "ad")

    async def goes_on(client: Client) -> None:
        monkeypatch.undo()
        monkeypatch.setattr("ringwork.app.fairness.LOOK_S", 3600.0)
        await client.app.platform.fairness.look()
        found = client.app.platform.memory.fairness.flights.ads["ad"]
        assert found.open.opened.audience == Audience()

    (before,) = released(run(dies, "12"))
    data = run(goes_on, "12", seed=6)
    assert released(data) == [before]
    assert eligible_in(data)["ad"][0]["sex"]["noise_ppb"] > 0


def test_noise_that_costs_more_than_the_plan_allows_measures_nothing(run):
    async def scenario(client: Client) -> None:
        await describe(client)
        await register(client, "ad")
        found = (await client.admin.get("/v1/fairness/ads/ad")).json()
        assert "cost at most epsilon 4" in found["unmeasured"]

    assert not released(run(scenario, "1"))


def test_a_person_moves_the_sums_by_no_more_than_the_noise_is_made_for(run):
    """Replaced: sqrt 2 of a block's unit; and the most that one person weighs, of it, weighed.

    Added: one unit. Whatever the person was shown, and whoever they become.
    """

    async def scenario(client: Client) -> None:
        await describe(client)
        await register(client, "first")
        many = [{"id": f"m{one}", "ad": "first", "person": "u0", "cluster": 1,
                 "time_us": EPOCH_US, "price_nanos": 1} for one in range(50)]  # fmt: skip
        await told(client, "/v1/fairness/impressions", {"impressions": many})
        enclave = client.app.platform.fairness.desk._work.enclave
        today = EPOCH_US // DAY_US

        async def after(**members: str) -> Counted:
            await told(client, "/v1/fairness/people", {"people": [{"person": "u0", **members}]})
            while enclave.catch_up():
                pass
            return enclave.counted(Audience(), day=today)

        lives = [
            {"surname": str(TOWN.surname[number]), "zip": str(TOWN.zip[number]), "sex": sex, "age": age}
            for number, sex, age in ((3, "female", "18-24"), (40, "male", ""), (77, "", "65+"))
        ]  # fmt: skip
        found = [await after(**one) for one in lives]
        erased = await client.admin.post("/v1/erasures", json={"subject": "person/u0"})
        assert erased.status_code == 201
        while enclave.catch_up():
            pass
        without = enclave.counted(Audience(), day=today)
        moved = 0.0
        for one, other in [*itertools.combinations(found, 2), *((one, without) for one in found)]:
            most = 1.0 if other is without else 2**0.5
            for block in enclave.blocks:
                name, unit = block.attribute, block.unit
                once = np.subtract(one.people[name], other.people[name])
                weighed = np.subtract(one.weighed[name], other.weighed[name])
                assert np.linalg.norm(once) <= most * unit + 1e-9
                assert np.linalg.norm(weighed) <= 30 * most * unit + 1e-9
                moved = max(moved, np.linalg.norm(weighed) / unit)
        assert moved == pytest.approx(30 * 2**0.5), "the bound is met: fifty impressions are thirty"

    run(scenario, "null")
