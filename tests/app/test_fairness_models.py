"""How the proxy blurs: a noisy release says it, once a window, and an audit computes it again."""

from __future__ import annotations

import io
from itertools import chain

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from ringwork.app.fairness_log import FILE_NAME
from ringwork.fairness.audit import SOUND, audited
from ringwork.fairness.delivery.events import Audience, ModelMeasured
from ringwork.fairness.delivery.modelling import people_min
from ringwork.fairness.delivery.recent import DAY_US
from ringwork.fairness.measure.confusion import gram
from ringwork.fairness.plan import preset
from ringwork.fairness.settings import FairnessSettings
from ringwork.fairness.tables.demo import demo_people
from ringwork.kernel.clock import ManualClock
from tests.app.logged import events_of, unbroken
from tests.app.plans import plan_with
from tests.app.served import EPOCH_US, Client, serve

OWN = FairnessSettings(clusters=8, cluster_people=10_000, audience_still_s=0)
COUNT = 800
TOWN = demo_people(7, COUNT)
NOISY = ("12", "model_sigma: 4.0")
"""640 people are enough for four groups, and not for eight."""
EVE = {"person": "eve", "surname": "X", "zip": "00001", "sex": "female", "age": "65+"}


async def told(client: Client, path: str, body: object) -> None:
    answer = await client.admin.post(path, json=body)
    assert answer.status_code == 201, answer.text


async def describe(client: Client, count: int = COUNT) -> None:
    people = [
        {"person": f"u{number}", "surname": str(TOWN.surname[number]),
         "zip": str(TOWN.zip[number]), "sex": ("female", "male")[TOWN.sex[number]]}
        for number in range(count)
    ]  # fmt: skip
    await told(client, "/v1/fairness/people", {"people": people})


async def register(client: Client, ad: str) -> None:
    body = {"ad": ad, "category": "HOUSING", "expected_impressions": 5000}
    await told(client, "/v1/fairness/ads", body)
    await client.app.platform.fairness.look()


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr("ringwork.app.fairness.LOOK_S", 3600.0)
    clock = ManualClock(EPOCH_US)

    def play(scenario, *plan: str, seed: int = 5, still_s: int = 0):
        data = tmp_path / "data"
        own = replace(OWN, plan=plan_with(tmp_path, *(plan or NOISY)), audience_still_s=still_s)
        serve(data, scenario, clock=clock, seed=seed, settings={"fairness": own})
        unbroken(data)
        return data

    return play


def flat(rows: list[list[int]]) -> list[int]:
    return list(chain.from_iterable(rows))


def released(data) -> list[list]:
    return [event for kind, event in events_of(data) if kind == ModelMeasured.TYPE]


def models_in(data) -> list[dict]:
    """As the log has them; an audit finds it sound."""
    text = (data / FILE_NAME).read_bytes()
    auditor = audited(io.BytesIO(text))
    assert auditor.found.verdict == SOUND, auditor.found.findings
    records = map(msgspec.json.decode, text.splitlines())
    return [one["body"] for one in records if one["kind"] == "model"]


def test_a_person_described_between_two_models_is_in_no_difference_of_theirs(run):
    """The attack: a plan is changed after the one person that is sought for was described."""

    async def first(client: Client) -> None:
        await describe(client)
        await register(client, "before")

    async def second(client: Client) -> None:
        await told(client, "/v1/fairness/people", {"people": [EVE]})
        await register(client, "after")
        ledger = client.app.platform.memory.fairness.budgets.ledger
        (name,) = [one for one in ledger.ads() if one.startswith("models/")]
        assert ledger.standing(name).releases == 1

    run(first)
    data = run(second, *NOISY, "prior_deviation_ppm: 70000", "kappa_ppm: [0, 100000]", seed=6)
    before, after = models_in(data)
    assert before == after
    (event,) = released(data)
    assert event[0] == before["attribute"] == "race"
    assert event[-1] == before["sums"]
    assert event[3]["cost"] == event[4]["spent"]


def test_without_noise_the_same_difference_is_her_posterior_and_the_log_says_there_is_none(run):
    null = ("12", "model_sigma: null")

    async def first(client: Client) -> None:
        await describe(client)
        await register(client, "before")

    async def second(client: Client) -> None:
        await told(client, "/v1/fairness/people", {"people": [EVE]})
        await register(client, "after")
        found.append(client.app.platform.fairness.desk._work.enclave.pool("race").rows[-1].tolist())

    found: list[list[int]] = []
    run(first, *null)
    data = run(second, *null, "kappa_ppm: [0, 100000]", seed=6)
    before, after = [one["sums"] for one in models_in(data) if one["attribute"] == "race"]
    moved = [b - a for one, other in zip(before, after, strict=True)
             for a, b in zip(one, other, strict=True)]  # fmt: skip
    expected = flat(gram(np.array(found), np.ones((4, 4), bool)))
    assert moved == expected
    assert not released(data)
    auditor = audited(io.BytesIO((data / FILE_NAME).read_bytes()))
    assert auditor.state.plan.model_epsilon_micro == 0


def test_the_noise_is_as_stated_and_a_new_window_or_restart_alone_draws_nothing(run):
    """Of twenty windows with a new period each, sums differ from the truth by sigma."""
    truth: list[list[int]] = []

    async def scenario(client: Client) -> None:
        await describe(client)
        for number in range(20):
            await register(client, f"ad{number}")
            await client.app.platform.fairness.look()
            client.clock.advance_us(DAY_US)
        pool = client.app.platform.fairness.desk._work.enclave.pool("race")
        truth.append(flat(gram(pool.rows, pool.possible)))

    periods = ", ".join(
        f"{{name: p{number}, start: {day}, end: {day}}}"
        for number in range(20)
        for day in [np.datetime64(EPOCH_US + number * DAY_US, "us").astype("datetime64[D]")]
    )
    data = run(scenario, *NOISY, "eligible_window_days: 1", f"periods: [{periods}]")
    events = [flat(one[-1]) for one in released(data)]
    assert len(events) == 20
    off = (np.array(events) - truth[0]) / 256**2
    diagonal = [0, 4, 7, 9]
    assert off[:, diagonal].std() == pytest.approx(4, rel=0.25)
    assert np.delete(off, diagonal, 1).std() == pytest.approx(4 / 2**0.5, rel=0.2)
    assert abs(off.mean()) < 4 * 4 / off.size**0.5


def test_a_window_that_turns_within_a_period_costs_nothing(run):
    async def scenario(client: Client) -> None:
        await describe(client)
        for number in range(3):
            await register(client, f"ad{number}")
            client.clock.advance_us(DAY_US)

    data = run(scenario, *NOISY, "eligible_window_days: 1")
    assert len(released(data)) == len(models_in(data)) == 1


def test_of_few_people_there_is_no_model_until_there_are_more_and_they_have_settled(run):
    assert people_min(preset("united-states"), 4) == 2_720
    seen: list[int] = []

    async def scenario(client: Client) -> None:
        memory, fairness = client.app.platform.memory.fairness, client.app.platform.fairness
        await describe(client, 600)
        await register(client, "x")
        seen.append(len(memory.log.figures.models))
        await describe(client)
        for wait_s in (0, 30, 31, 3600):
            client.clock.advance_us(wait_s * 1_000_000)
            await fairness.look()
            seen.append(len(memory.log.figures.models))
        assert fairness.desk._work.enclave.size(Audience()) == COUNT

    data = run(scenario, still_s=60)
    assert seen == [0, 0, 0, 1, 1]
    assert [one["attribute"] for one in models_in(data)] == ["race"], "sex x race needs 2,560"


def test_a_release_that_tells_nothing_is_made_once_and_no_model_follows(run):
    """Everybody alike: what noise leaves is no difference of groups."""
    same = [{"person": f"u{one}", "surname": "X", "zip": "00001"} for one in range(COUNT)]

    async def scenario(client: Client) -> None:
        await told(client, "/v1/fairness/people", {"people": same})
        await register(client, "x")
        for _ in range(3):
            await client.app.platform.fairness.look()

    data = run(scenario)
    assert len(released(data)) == 1
    assert models_in(data) == []


def test_a_budget_that_is_too_small_leaves_no_model_and_measures_the_rest(run):
    async def scenario(client: Client) -> None:
        await describe(client)
        await register(client, "x")
        assert client.app.platform.memory.fairness.flights.ads["x"].segments

    data = run(scenario, "12", "model_sigma: 0.6")
    assert released(data) == models_in(data) == []
