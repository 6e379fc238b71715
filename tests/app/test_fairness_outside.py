"""Special ads of another platform, and everything that must not break: each as the spec says."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from msgspec import structs

from ringwork.app.fairness_log import FILE_NAME
from ringwork.fairness.audit import SOUND, audited
from ringwork.fairness.plan import preset
from ringwork.fairness.settings import FairnessSettings
from ringwork.fairness.tables.demo import demo_people
from ringwork.kernel.clock import ManualClock
from tests.app.logged import unbroken
from tests.app.served import EPOCH_US, Client, serve

EXACT = Path(__file__).with_name("exact_eligible.yaml")
OWN = FairnessSettings(
    plan=str(EXACT),
    clusters=8, cluster_people=100, cluster_sigma=2.0,
)  # fmt: skip
PEOPLE = demo_people(7, 240)
SEXES = ("female", "male")


def described(**members: object) -> list[dict[str, object]]:
    """People of the demo tables; ``members`` replace what is told of each."""
    return [
        {
            "person": f"u{number}", "surname": str(PEOPLE.surname[number]),
            "zip": str(PEOPLE.zip[number]), "sex": SEXES[PEOPLE.sex[number]],
            "region": ("USA-TX", "USA-CA")[number % 2], **members,
        }
        for number in range(len(PEOPLE))
    ]  # fmt: skip


async def told(client: Client, path: str, body: object, status: int = 201) -> dict:
    answer = await client.admin.post(f"/v1/fairness/{path}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def shown(ids, *, ad: str = "ad", time_us: int = EPOCH_US, **members: object) -> dict:
    one = {"ad": ad, "cluster": 1, "time_us": time_us, "price_nanos": 1_000_000, **members}
    return {"impressions": [{"id": str(id), "person": f"u{id % 240}", **one} for id in ids]}


async def registered(client: Client, people: list[dict] | None, **ad: object) -> None:
    if people:
        await told(client, "people", {"people": people})
    await told(
        client, "ads", {"ad": "ad", "category": "HOUSING", "expected_impressions": 1000, **ad}
    )
    await client.app.platform.fairness.look()


async def view(client: Client, ad: str = "ad") -> dict:
    await client.app.platform.fairness.look()
    return (await client.admin.get(f"/v1/fairness/ads/{ad}")).json()


def figures(found: dict) -> dict[str, dict]:
    return {one["attribute"]: one for one in found["figures"]}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A scenario on a platform; its log must be sound and every promise hold afterwards."""
    monkeypatch.setattr("ringwork.app.fairness.LOOK_S", 3600.0)

    def play(scenario, *, is_logged: bool = True, settings: FairnessSettings = OWN) -> None:
        data = tmp_path / "data"
        serve(data, scenario, clock=ManualClock(EPOCH_US), settings={"fairness": settings})
        unbroken(data)
        if is_logged:
            auditor = audited(io.BytesIO((data / FILE_NAME).read_bytes()))
            assert auditor.found.verdict == SOUND, auditor.found.findings

    return play


def test_duplicates_count_once_and_late_ones_go_to_the_next_release(run):
    async def scenario(client: Client) -> None:
        await registered(client, described())
        batch = shown(range(40))
        assert await told(client, "impressions", batch) == {"counted": 40, "repeated": 0, "late": 0}
        assert await told(client, "impressions", batch) == {"counted": 0, "repeated": 40, "late": 0}
        first = await view(client)
        assert (first["release"]["episode"], first["release"]["impressions"]) == (1, 40)
        client.clock.advance_us(10_000_000)
        late = await told(client, "impressions", shown(range(40, 70), time_us=EPOCH_US - 5))
        assert late == {"counted": 30, "repeated": 0, "late": 30}
        second = await view(client)
        assert (second["release"]["episode"], second["release"]["impressions"]) == (2, 70)

    run(scenario)


def test_a_batch_that_passes_several_thresholds_is_one_release(run):
    async def scenario(client: Client) -> None:
        await registered(client, described())
        await told(client, "impressions", shown(range(122)))
        first = (await view(client))["release"]
        assert (first["episode"], first["impressions"]) == (1, 122)
        await told(client, "impressions", shown(range(122, 171)))
        assert (await view(client))["release"] == first, "49 more, and the next waits for 50"
        await told(client, "impressions", shown([171]))
        second = (await view(client))["release"]
        assert (second["episode"], second["impressions"]) == (2, 172)

    run(scenario)


def test_no_impressions_no_release(run):
    async def scenario(client: Client) -> None:
        await registered(client, described())
        found = await view(client)
        assert (found["release"], found["figures"], found["segments"]) == (None, [], 1)

    run(scenario)


def test_a_change_of_audience_in_flight_is_a_segment_and_the_figure_is_of_both(run):
    async def scenario(client: Client) -> None:
        await registered(client, described(), audience={"regions": ["USA-TX"]})
        await told(client, "impressions", shown(range(0, 80, 2)))
        assert (await view(client))["release"]["episode"] == 1
        await told(client, "impressions", shown(range(1000, 1010)))
        await registered(
            client, None, audience={"regions": ["USA"], "excluded_regions": ["USA-TX"]}
        )
        closed = await view(client)
        assert (closed["segments"], closed["release"]["impressions"]) == (2, 50)
        # With its last release come the sums over people, and all that was declared is paid.
        assert closed["release"]["final"] is True
        assert closed["budget"]["spent_micro"] == closed["budget"]["declared_micro"]
        assert closed["budget"]["releases_left"] == 64, "of the new segment, which costs no more"
        await told(client, "impressions", shown(range(1, 81, 2)))
        found = await view(client)
        assert (found["segments"], found["impressions"]) == (2, 90)
        assert (found["release"]["episode"], found["release"]["impressions"]) == (3, 40)
        assert figures(found)["sex"]["episode"] == 3

    run(scenario)


TEXAS, CALIFORNIA = {"regions": ["USA-TX"]}, {"regions": ["USA-CA"]}


def by_people(found: dict) -> set[str]:
    return {one["attribute"] for one in found["figures"] if one["by"] == "people"}


async def is_over(client: Client, **ad: object) -> dict:
    await registered(client, None, is_over=True, **ad)
    return await view(client)


def test_figures_by_people_outlive_a_change_of_audience(run):
    """Nothing came between the release of the first audience and its end: it is made anyway."""

    async def scenario(client: Client) -> None:
        await registered(client, described(), audience=TEXAS)
        await told(client, "impressions", shown(range(0, 80, 2)))
        first = await view(client)
        assert (first["release"]["impressions"], by_people(first)) == (40, set())
        await registered(client, None, audience=CALIFORNIA)
        closed = await view(client)
        assert (closed["release"]["episode"], closed["release"]["impressions"]) == (2, 40)
        assert closed["release"]["sums"].keys() == closed["release"]["people_sums"].keys()
        assert closed["release"]["people"] == pytest.approx(40, abs=40), "once each, with noise"
        assert {"sex", "race"} <= by_people(closed)
        await told(client, "impressions", shown(range(1, 101, 2)))
        assert by_people(await view(client)) == set(), "the second audience's come at its end"
        last = await is_over(client, audience=CALIFORNIA)
        assert (last["release"]["final"], last["release"]["episode"]) == (True, 4)
        assert {"sex", "race"} <= by_people(last)

    run(scenario)


def test_an_audience_that_nobody_was_shown_the_ad_in_takes_no_figures_away(run):
    async def scenario(client: Client) -> None:
        await registered(client, described(), audience=TEXAS)
        await registered(client, None, audience=CALIFORNIA)
        assert (await view(client))["release"] is None
        await told(client, "impressions", shown(range(1, 41, 2)))
        await registered(client, None, audience=TEXAS)
        closed = await view(client)
        assert (closed["segments"], closed["release"]["episode"]) == (3, 1)
        last = await is_over(client, audience=TEXAS)
        assert last["release"] == closed["release"], "nobody was shown it in the third"
        assert {"sex", "race"} <= by_people(last)

    run(scenario)


def test_a_segment_that_spent_all_its_releases_has_had_its_last_one(run, tmp_path):
    plan = tmp_path / "plan.yaml"
    plan.write_bytes(EXACT.read_bytes() + b"  episodes: 2\n")

    async def scenario(client: Client) -> None:
        await registered(client, described(), audience=TEXAS, expected_impressions=50)
        await told(client, "impressions", shown(range(0, 80, 2)))
        await view(client)
        await told(client, "impressions", shown(range(80, 180, 2)))
        spent = await view(client)
        assert (spent["release"]["episode"], spent["release"]["final"]) == (2, True)
        await told(client, "impressions", shown(range(180, 240, 2)))
        await registered(client, None, audience=CALIFORNIA, expected_impressions=50)
        changed = await view(client)
        assert (changed["segments"], changed["release"]) == (2, spent["release"])
        assert {"sex", "race"} <= by_people(changed)
        await told(client, "impressions", shown(range(1, 81, 2)))
        last = await is_over(client, audience=CALIFORNIA, expected_impressions=50)
        assert (last["release"]["episode"], last["release"]["impressions"]) == (3, 40)
        assert {"sex", "race"} <= by_people(last)

    run(scenario, settings=structs.replace(OWN, plan=str(plan)))


def test_when_all_releases_are_made_the_last_prices_hold_also_after_a_start(tmp_path, monkeypatch):
    monkeypatch.setattr("ringwork.app.fairness.LOOK_S", 3600.0)
    plan = tmp_path / "plan.yaml"
    plan.write_bytes(EXACT.read_bytes() + b"  episodes: 2\n")
    own = structs.replace(OWN, plan=str(plan))
    clock, data, shifts = ManualClock(EPOCH_US), tmp_path / "data", {}
    seller: dict[str, str] = {}

    async def ask(client: Client, name: str) -> None:
        bids = [{"ad": "ad", "value_nanos": 1_000_000}]
        told_of = []
        for cluster in (0, 1):
            auction = {"cluster": cluster, "candidates": bids}
            answer = await client.outside.post("/v1/fairness/adjust", json=auction, headers=seller)
            told_of.append(answer.json()["shifts"][0]["shift_nanos"])
        shifts[name] = told_of

    async def first(client: Client) -> None:
        seller.update(await client.key("supply"))
        await registered(client, described(), expected_impressions=50)
        for number in range(200):
            value, rival = 900_000 + number % 7 * 50_000, 1_000_000 + number % 2 * 100_000
            auction = {"cluster": number % 2, "candidates": [
                {"ad": "ad", "value_nanos": value}, {"ad": "b", "value_nanos": rival}]}  # fmt: skip
            await client.outside.post("/v1/fairness/adjust", json=auction, headers=seller)
        for start in (0, 120):
            batch = shown(range(start, start + 120))["impressions"]
            for one in batch:
                one["cluster"] = int(PEOPLE.sex[int(one["id"])])
            await told(client, "impressions", {"impressions": batch})
            await view(client)
        spent = await view(client)
        assert (spent["release"]["episode"], spent["control"]["reason"]) == (2, "budget-spent")
        await ask(client, "spent")
        clock.advance_us(8 * 86_400_000_000)
        await view(client)
        await ask(client, "stale")

    async def second(client: Client) -> None:
        await client.app.platform.fairness.look()
        await ask(client, "started")

    serve(data, first, clock=clock, settings={"fairness": own})
    clock.set_wall_us(EPOCH_US + 60_000_000)
    serve(data, second, clock=clock, seed=6, settings={"fairness": own})
    unbroken(data)
    assert len(set(shifts["spent"])) == 2, "of women and of men not the same"
    # The prices are those of the log; their level is zero on the mean of the traffic as it is now.
    apart = {name: women - men for name, (women, men) in shifts.items()}
    assert apart["started"] == pytest.approx(apart["spent"], rel=0.03)
    assert shifts["stale"] == [0, 0], "after a week without a release nothing is shifted"


def test_an_ad_that_goes_on_after_its_end_goes_on_in_a_new_segment(run):
    async def scenario(client: Client) -> None:
        await registered(client, described())
        await told(client, "impressions", shown(range(40)))
        assert (await is_over(client))["release"]["final"] is True
        await registered(client, None)
        await told(client, "impressions", shown(range(40, 80)))
        found = await view(client)
        assert (found["segments"], found["release"]["impressions"]) == (2, 40)
        assert found["budget"]["spent_micro"] == found["budget"]["declared_micro"]
        await registered(client, None)
        assert (await view(client))["segments"] == 2

    run(scenario)


def test_an_audience_that_nobody_is_of_and_back(run):
    """What is shown meanwhile is of no audience that is known, and in no sum."""

    async def scenario(client: Client) -> None:
        await registered(client, described(), audience=TEXAS)
        await told(client, "impressions", shown(range(0, 80, 2)))
        await registered(client, None, audience={"regions": ["PRT"]})
        await told(client, "impressions", shown(range(80, 180, 2)))
        closed = await view(client)
        assert (closed["release"]["episode"], closed["release"]["final"]) == (1, True)
        assert "among 0 people" in closed["unmeasured"]
        await registered(client, None, audience=TEXAS)
        client.clock.advance_us(61_000_000)
        await told(client, "impressions", shown(range(180, 240, 2)))
        await view(client)
        await told(client, "impressions", shown(range(1000, 1040)))
        back = await view(client)
        assert (back["segments"], back["unmeasured"]) == (2, "")
        assert back["release"]["impressions"] == 40

    run(scenario)


def test_a_group_that_nobody_eligible_is_of_counts_and_divides_by_nothing(run):
    async def scenario(client: Client) -> None:
        await registered(client, described(sex="female"))
        await told(client, "impressions", shown(range(40)))
        found = await view(client)
        assert 0 <= figures(found)["sex"]["value"] <= 1

    run(scenario)


def test_of_people_whose_sex_nobody_knows_there_is_no_figure_of_it(run):
    async def scenario(client: Client) -> None:
        await registered(client, described(sex="decline to state"))
        await told(client, "impressions", shown(range(40)))
        found = await view(client)
        assert "race" in figures(found)
        assert {"sex", "sex x race", "age"}.isdisjoint(figures(found))
        assert "sex" not in found["release"]["sums"]

    run(scenario)


@pytest.mark.parametrize(
    "members",
    [
        {"zip": "99999"},
        {"zip": "not a code", "surname": ""},
        {"zip": "", "tract": "99999999999"},
        {"surname": "Zzyzxqw", "zip": "00001", "age": "12"},
    ],
)
def test_an_area_or_a_name_that_is_in_no_table_falls_back(run, members):
    async def scenario(client: Client) -> None:
        await registered(client, described(**members))
        await told(client, "impressions", shown(range(40)))
        found = await view(client)
        assert 0 <= figures(found)["sex"]["value"] <= 1
        for one in found["figures"]:
            assert all(0 <= one[name] <= 1 for name in ("proxy", "low", "high") if name in one)

    run(scenario)


def test_a_proxy_that_tells_no_groups_apart_gives_no_estimate(run):
    async def scenario(client: Client) -> None:
        await registered(client, described(surname="Same", zip="00001"))
        await told(client, "impressions", shown(range(40)))
        found = await view(client)
        assert "race" not in figures(found), "no model of its blur, so nothing to correct it with"
        assert "race" in found["release"]["sums"]

    run(scenario)


def test_nobody_described_nothing_measured_and_the_reason_is_told(run):
    async def scenario(client: Client) -> None:
        await registered(client, None)
        found = await view(client)
        assert (found["unmeasured"], found["segments"]) == ("nobody is described", 0)
        assert (await client.admin.get("/v1/fairness/ads/other")).status_code == 404
        assert (await client.admin.get("/v1/fairness/report")).status_code == 404

    run(scenario, is_logged=False)


def test_an_audience_of_nobody_is_tried_again_later(run):
    async def scenario(client: Client) -> None:
        await registered(client, described(), audience={"regions": ["PRT"]})
        found = await view(client)
        assert "among 0 people" in found["unmeasured"]
        assert client.app.platform.fairness.desk.troubles == {"audience-empty": 1}
        client.clock.advance_us(61_000_000)
        lisbon = [{"person": "u1", "sex": "female", "region": "PRT-11"}]
        await told(client, "people", {"people": lisbon})
        assert (await view(client))["segments"] == 1

    run(scenario)


def test_a_cap_of_one_a_day_counts_each_person_once(run):
    """Forty impressions of two people: two contributions, whatever noise is on them."""

    async def scenario(client: Client) -> None:
        await registered(client, described())
        twice = [{**one, "person": f"u{number % 2}"}
                 for number, one in enumerate(shown(range(40))["impressions"])]  # fmt: skip
        await told(client, "impressions", {"impressions": twice})
        flight = client.app.platform.memory.fairness.flights.ads["ad"]
        assert (len(flight.reached), flight.open.impressions) == (2, 40)
        client.clock.advance_us(86_400_000_000)
        tomorrow = shown(range(50, 60), time_us=client.clock.wall_us(), person="u1")
        await told(client, "impressions", tomorrow)
        assert len(flight.reached) == 3

    run(scenario)


def test_a_flight_that_is_over_makes_its_last_release_and_a_spent_budget_holds(run):
    async def scenario(client: Client) -> None:
        await registered(client, described())
        await told(client, "impressions", shown(range(10)))
        assert (await view(client))["release"] is None
        over = {"ad": "ad", "category": "HOUSING", "expected_impressions": 1000, "is_over": True}
        await told(client, "ads", over)
        last = await view(client)
        assert (last["release"]["impressions"], last["release"]["final"]) == (10, True)
        # Who was reached is told once, at the end, and all that was declared is paid for it.
        assert set(last["release"]["people_sums"]) == set(last["release"]["sums"])
        assert last["budget"]["spent_micro"] == last["budget"]["declared_micro"]
        await told(client, "impressions", shown(range(100, 200)))
        assert (await view(client))["release"] == last["release"]

    run(scenario)


def test_reach_without_control_is_followed_from_impressions_to_the_report(run):
    """Twelve days, eight cells of five a day: in the arm three women and two men, else one and four."""

    async def scenario(client: Client) -> None:
        await registered(client, described())
        groups = [[one for one in range(240) if PEOPLE.sex[one] == sex] for sex in (0, 1)]
        for day in range(12):
            women, men = ([one[(16 * day + at) % len(one)] for at in range(24)] for one in groups)
            cells = [
                (4 * is_left_alone + cluster, is_left_alone, of_women + of_men)
                for cluster in range(4)
                for is_left_alone, of_women, of_men in (
                    (True, women[3 * cluster :][:3], men[2 * cluster :][:2]),
                    (False, women[12 + cluster :][:1], men[8 + 4 * cluster :][:4]),
                )
            ]
            for cluster, is_left_alone, people in cells:
                batch = [
                    {
                        "id": f"{day}/{one}", "ad": "ad", "cluster": cluster, "person": f"u{one}",
                        "time_us": client.clock.wall_us(), "price_nanos": 1_000_000,
                        "is_left_alone": is_left_alone,
                    }
                    for one in people
                ]  # fmt: skip
                batch[0].pop("person")  # who may not be measured is billed, and in no sum
                await told(client, "impressions", {"impressions": batch})
            client.clock.advance_us(86_400_000_000)
        reached = client.app.platform.fairness.memory.flights.ads["ad"].reached
        assert sum(one.is_left_alone for one in reached) == 96 + 96
        await told(client, "ads", {"ad": "ad", "category": "HOUSING", "is_over": True,
                                   "expected_impressions": 1000})  # fmt: skip
        last = (await view(client))["release"]
        assert (last["final"], last["impressions"]) == (True, 480)
        # Of the arm 240 impressions in 48 cells of five, whoever they were shown to.
        assert (last["arm_impressions"], last["arm_squares"]) == (240, 48 * 25)
        assert last["arm_spend_nanos"] == 240_000_000
        noise = 5 * float(preset("united-states").privacy.arm_sigma)
        # Two of three women of each cell of the arm may be measured; all of the men.
        assert last["arm_sums"]["sex"][0] == pytest.approx(96, abs=noise)
        assert last["arm_sums"]["sex"][1] == pytest.approx(96, abs=noise)
        assert set(last["arm_sums"]) == set(last["sums"])
        report = (await client.admin.get("/v1/fairness/report")).json()
        assert report["is_reach_recomputed"]
        rows = {one["group"]: one for one in report["reach"] if one["attribute"] == "sex"}
        for number, group in enumerate(SEXES):
            row, eligible = rows[group], int((PEOPLE.sex == number).sum())
            assert row["counted_in"] == "person-days"
            # A share of 2 % by declaration, and half of all by this test.
            arm = max(last["arm_sums"]["sex"][number], 0)
            assert row["without_control_ppb"] == pytest.approx(
                arm / 0.02 / eligible * 1e9, rel=1e-6
            )
            low, high = row["without_control_interval_ppb"]
            assert low <= row["without_control_ppb"] <= high
        assert all("deattenuated" in one for one in report["reach"] if one["attribute"] == "race")
        costs = {one.get("group", ""): one for one in report["arm_costs"]}
        assert costs[""]["counted_in"] == "person-days"

    run(scenario)


def test_an_audience_that_changes_closes_its_segment_with_a_last_release(run):
    """What its people and its arm were is told then, or never."""

    async def scenario(client: Client) -> None:
        await registered(client, described(), audience={"regions": ["USA-TX"]})
        await told(client, "impressions", shown(range(0, 80, 2), is_left_alone=True))
        await registered(client, None, audience={"regions": ["USA-CA"]})
        flight = client.app.platform.fairness.memory.flights.ads["ad"]
        closed = (await view(client))["release"]
        assert (len(flight.segments), flight.is_final) == (2, False)
        assert (closed["final"], closed["arm_impressions"]) == (True, 40)
        assert closed["people_sums"].keys() == closed["arm_sums"].keys()
        await told(client, "impressions", shown(range(1, 81, 2)))
        assert (await view(client))["release"]["episode"] == closed["episode"] + 1

    run(scenario)


def test_without_a_share_that_is_left_alone_nothing_is_paid_for_an_arm(tmp_path, monkeypatch):
    monkeypatch.setattr("ringwork.app.fairness.LOOK_S", 3600.0)
    plan = tmp_path / "plan.yaml"
    plan.write_bytes(EXACT.read_bytes() + b"control: {control_arm_ppm: 0}\n")

    async def scenario(client: Client) -> None:
        await registered(client, described())
        await told(client, "impressions", shown(range(10)))
        await told(client, "ads", {"ad": "ad", "category": "HOUSING", "is_over": True,
                                   "expected_impressions": 1000})  # fmt: skip
        last = await view(client)
        assert last["release"]["people_sums"]
        assert "arm_sums" not in last["release"]
        flight = client.app.platform.fairness.memory.flights.ads["ad"]
        assert flight.open.opened.declared.privacy.arm_sigma is None

    settings = {"fairness": msgspec.structs.replace(OWN, plan=str(plan))}
    serve(tmp_path / "data", scenario, clock=ManualClock(EPOCH_US), settings=settings)


def test_a_clock_that_goes_back_releases_nothing_twice(run):
    async def scenario(client: Client) -> None:
        await registered(client, described())
        await told(client, "impressions", shown(range(40)))
        await view(client)
        client.clock.set_wall_us(EPOCH_US - 3_600_000_000)
        await told(client, "impressions", shown(range(40, 80), time_us=EPOCH_US - 4_000_000_000))
        found = await view(client)
        assert (found["release"]["episode"], found["release"]["impressions"]) == (2, 80)

    run(scenario)


def test_an_auction_elsewhere_is_answered_and_remembered(run):
    async def scenario(client: Client) -> None:
        await registered(client, described())
        key = await client.key("supply")
        auction = {"cluster": 1, "candidates": [{"ad": "ad", "value_nanos": 900},
                                                {"ad": "other", "value_nanos": 1000}]}  # fmt: skip
        for number in range(60):
            auction["candidates"][0]["value_nanos"] = 900 + number * 10
            answer = await client.outside.post("/v1/fairness/adjust", json=auction, headers=key)
            assert answer.status_code == 200, answer.text
            assert [one["ad"] for one in answer.json()["shifts"]] == ["ad"]
        cells = client.app.platform.memory.fairness.cells
        assert cells.traffic("ad", 8).opportunities.sum() == 60
        # 1000 is a tie, which the earlier name wins; from there on it is the best.
        assert cells.wins("ad") == 50
        assert cells.scale_nanos("ad") == 900 + 245

    run(scenario)


@pytest.mark.parametrize(
    ("path", "body", "status", "slug"),
    [
        ("impressions", shown([1], ad="other"), 404, "unknown-ad"),
        ("impressions", shown([1], cluster=8), 404, "unknown-ad"),
        ("impressions", shown([1], time_us=EPOCH_US + 10**12), 404, "unknown-ad"),
        ("impressions", {"impressions": []}, 422, "invalid"),
        ("impressions", shown([1], price_nanos=-1), 422, "invalid"),
        ("people", {"people": [{"person": "a b"}]}, 422, "invalid"),
        ("people", {"people": [{"person": "a", "race": "white"}]}, 422, "invalid"),
        ("ads", {"ad": "x", "category": "CARS", "expected_impressions": 1}, 422, "invalid"),
        ("ads", {"ad": "x", "category": "CREDIT", "expected_impressions": 0}, 422, "invalid"),
        ("ads/ad/override", {"action": "pause", "reason": ""}, 422, "invalid"),
        ("ads/ad/override", {"action": "set", "reason": "x"}, 409, "rule-violated"),
        ("ads/ad/override", {"action": "pause", "reason": "x", "lambda_micro": [1]}, 409, "rule-violated"),
        ("ads/none/override", {"action": "pause", "reason": "x"}, 404, "unknown-ad"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_reason(run, path, body, status, slug):
    async def scenario(client: Client) -> None:
        await registered(client, described())
        refused = await told(client, path, body, status)
        assert refused["type"] == f"urn:ringwork:problem:{slug}"
        assert refused["detail"]

    run(scenario)


def test_who_may_do_what(run):
    async def scenario(client: Client) -> None:
        await registered(client, described())
        over = {"action": "pause", "reason": "x"}
        for role, path, body, status in (
            ("viewer", "people", {"people": described()[:1]}, 403),
            ("service", "people", {"people": described()[:1]}, 201),
            ("manager", "ads/ad/override", over, 403),
            ("reviewer", "ads/ad/override", over, 201),
            ("supply", "impressions", shown([1]), 201),
            ("auditor", "impressions", shown([2]), 403),
        ):
            key = await client.key(role)
            answer = await client.outside.post(f"/v1/fairness/{path}", json=body, headers=key)
            assert answer.status_code == status, (role, answer.text)
        nobody = await client.outside.post(
            "/v1/fairness/adjust", json={"cluster": 0, "candidates": []}
        )
        assert nobody.status_code == 401

    run(scenario)
