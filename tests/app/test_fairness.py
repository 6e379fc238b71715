"""Fairness in the platform, from ad requests over HTTP to an audit log that an outsider checks."""

from __future__ import annotations

import io
import itertools
import math
import shutil
from pathlib import Path
from random import Random

import msgspec
import numpy as np
import pytest
from msgspec import Struct
from msgspec.structs import replace

from ringwork.ads.model import Ask, Context, Slot
from ringwork.app.fairness import Fairness
from ringwork.app.fairness_log import FILE_NAME
from ringwork.cli.main import run
from ringwork.fairness.audit import SOUND, audited
from ringwork.fairness.delivery.releasing import is_due
from ringwork.fairness.model import AGE, SEX
from ringwork.fairness.settings import FairnessSettings
from ringwork.fairness.tables.demo import demo_people
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.viewer import Viewer
from ringwork.storage.snapshot_file import FileSnapshots
from tests.app.logged import events_of, unbroken
from tests.app.plans import plan_with
from tests.app.served import EPOCH_US, Client, serve
from tests.crash.shop import euros

PEOPLE = 600
PAGES = 8
"""Placements, which people of one sex or race prefer: what clusters can tell."""
OWN = FairnessSettings(clusters=64, cluster_people=300, cluster_sigma=2.0)
KEYS = itertools.count()


class Town:
    """People of the demo tables, with a truth, who read some pages more than others."""

    def __init__(self, seed: int = 3) -> None:
        self.people = demo_people(seed, PEOPLE)
        self.random = Random(seed)

    def descriptions(self) -> list[dict[str, str]]:
        people = self.people
        return [
            {
                "person": self.name(number), "surname": str(people.surname[number]),
                "first_name": str(people.first_name[number]), "zip": str(people.zip[number]),
                "sex": SEX.groups[people.sex[number]], "age": AGE.groups[people.age[number]],
            }
            for number in range(PEOPLE)
        ]  # fmt: skip

    def name(self, number: int) -> str:
        return f"u{number:05d}"

    def page_of(self, number: int) -> int:
        """Women read the first pages more, men the last."""
        ends = 0.9 if self.people.sex[number] == 0 else 0.1
        first = self.random.random() < ends
        return self.random.randrange(PAGES // 2) + (0 if first else PAGES // 2)


async def post(client: Client, path: str, body: object, *, status: int = 201) -> dict:
    headers = {"idempotency-key": f"{path} {next(KEYS)}"}
    answer = await client.admin.post(path, json=body, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


async def open_shop(client: Client, town: Town) -> None:
    """A campaign for jobs; rivals that bid more for the pages that women read."""
    await client.stock()
    for number in range(PAGES):
        place = {
            "id": f"p{number}",
            "publisher_id": "pub",
            "format": "banner",
            "width": 300,
            "height": 250,
        }
        await post(client, "/v1/placements", place)
    screen = client.app.platform.screen
    half = PAGES // 2
    for id, pages, more in (
        ("jobs", range(PAGES), {
            "special_ad_categories": ["EMPLOYMENT"], "certified_text": screen.certification,
            "bid_nanos": 2_500_000, "budget": euros(3_000_000_000),
        }),
        ("first", range(half), {}),
        ("last", range(half, PAGES), {}),
    ):  # fmt: skip
        campaign = {
            "id": id, "advertiser_id": "a", "name": id, "pricing": "cpm", "bid_nanos": 2_000_000,
            "pacing": "asap", "budget": euros(10**10), "special_ad_categories": [],
            "targeting": {"categories": [str(one + 1) for one in pages]}, **more,
        }  # fmt: skip
        await post(client, "/v1/campaigns", campaign)
        creative = {
            "id": f"{id}.a", "campaign_id": id, "name": "Ad", "format": "banner", "width": 300,
            "height": 250, "landing_url": "https://a.example/", "html": f"<b>{id}</b>",
        }  # fmt: skip
        await post(client, "/v1/creatives", creative)
    people = town.descriptions()
    for start in range(0, PEOPLE, 300):
        await post(client, "/v1/fairness/people", {"people": people[start : start + 300]})
    for one in people[: PEOPLE * 9 // 10]:
        said = {
            "person": one["person"],
            "action": "grant",
            "purposes": ["measure"],
            "notice": "0" * 64,
        }
        await post(client, "/v1/consent", said)


async def visit(client: Client, town: Town, number: int) -> str:
    """One request of one person; the ad that was shown, with its beacon."""
    platform = client.app.platform
    client.clock.advance_us(200_000_000)
    page = town.page_of(number)
    context = Context(
        site="pub.example", publisher_id="pub", placement_id=f"p{page}", categories=(str(page + 1),)
    )
    slot = Slot(id="1", format="banner", sizes=((300, 250),))
    ask = Ask(request_id=platform.ids.new(), source="native", context=context, slots=(slot,))
    answered = await platform.serve_ad(ask, Viewer(person=town.name(number)))
    if not answered.served:
        return ""
    (served,) = answered.served
    assert await platform.record_outcome.impression(served.tokens["impression"]) == "recorded"
    return served.creative.id


async def traffic(client: Client, town: Town, visits: int, *, every: int = 10) -> list[int]:
    """People whom the ad for jobs was shown to, in order."""
    shown = []
    for number in range(visits):
        if number % every == 0:
            for id, middle in (("first", 0.15), ("last", -0.25)):
                bid_nanos = round(2_500_000 * math.exp(town.random.gauss(middle, 0.4)))
                changed = await client.admin.patch(
                    f"/v1/campaigns/{id}",
                    json={"bid_nanos": bid_nanos},
                    headers={"idempotency-key": f"bid {next(KEYS)}"},
                )
                assert changed.status_code == 200, changed.text
            await client.app.platform.fairness.look()
        person = town.random.randrange(PEOPLE)
        if await visit(client, town, person) == "jobs.a":
            shown.append(person)
    return shown


class Lived(Struct):
    """What a life of the jobs ad left behind."""

    data: Path
    shown: list[int]
    views: dict[str, dict]
    crashed: Path
    pages: list[str]
    mix_error: list[list[float]] = []
    """Covariance of the eligible shares, as the ad's controller has it."""


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """Two runs of a platform: the second goes on where the first one was stopped."""
    folder = tmp_path_factory.mktemp("fair")
    lived = Lived(folder / "data", [], {}, folder / "crashed", [])
    town, clock = Town(), ManualClock(EPOCH_US)

    async def look(client: Client, name: str) -> dict:
        answer = await client.admin.get("/v1/fairness/ads/jobs.a")
        assert answer.status_code == 200, answer.text
        lived.views[name] = answer.json()
        return answer.json()

    async def first(client: Client) -> None:
        await open_shop(client, town)
        lived.shown += await traffic(client, town, 600)
        await look(client, "first")

    async def second(client: Client) -> None:
        fairness = client.app.platform.fairness
        lived.shown += await traffic(client, town, 250)
        await look(client, "second")
        # A process that dies after its noise is drawn, and before its command, leaves this.
        flight = fairness.memory.flights.ads["jobs.a"]
        while not lived.crashed.exists():
            lived.shown += await traffic(client, town, 1, every=1000)
            await client.app.platform.journal.settled()
            if is_due(flight):
                left_out = shutil.ignore_patterns("*.sock")
                shutil.copytree(lived.data, lived.crashed, ignore=left_out)
        await fairness.look()
        steered = fairness.desk.controlling._ads["jobs.a"]
        lived.mix_error = steered.context.eligible_covariance.tolist()
        await override(client, "pause")
        lived.views["paused"] = {"shifts": shifts_of(fairness)}
        await override(client, "set", [1_000_000, -1_000_000, 0, 0, 0, 0])
        lived.views["set"] = {"shifts": shifts_of(fairness)}
        await override(client, "resume")
        lived.views["resumed"] = {"shifts": shifts_of(fairness)}
        erased = await client.admin.post("/v1/erasures", json={"subject": "person/u00001"})
        assert erased.status_code == 201
        proof = await client.admin.get(f"/v1/erasures/{erased.json()['id']}")
        lived.views["proof"] = proof.json()
        lived.shown += await traffic(client, town, 60)
        await look(client, "last")
        after = -1
        while after is not None:
            page = (await client.admin.get(f"/v1/fairness/log?after={after}&limit=50")).json()
            lived.pages += page["lines"]
            after = page["next"]
        report = await client.admin.get("/v1/fairness/report")
        lived.views["report"] = report.json()

    with pytest.MonkeyPatch.context() as patched:
        # The scenario alone says when it is looked: a loaded machine changes nothing.
        patched.setattr("ringwork.app.fairness.LOOK_S", 3600.0)
        # Six hundred people are too few for any noise on how the proxy blurs them.
        own = replace(OWN, plan=plan_with(lived.data.parent, "12", "model_sigma: null"))
        serve(lived.data, first, clock=clock, settings={"fairness": own})
        serve(lived.data, second, clock=clock, seed=6, settings={"fairness": own})
    return lived


async def override(client: Client, action: str, prices: tuple[int, ...] | list[int] = ()) -> None:
    said = {"action": action, "reason": "complaint 17 is looked into", "lambda_micro": list(prices)}
    await post(client, "/v1/fairness/ads/jobs.a/override", said)


def shifts_of(fairness: Fairness) -> list[int | None]:
    """What the next auction would take from the ad's value, by page that a person reads."""
    return [
        fairness.tables.shifts(
            fairness.clusters.of((f"p{page}", "", str(page + 1), "")), [("jobs.a", 2_500_000)]
        ).get("jobs.a")
        for page in range(PAGES)
    ]


# ---- measured ------------------------------------------------------------------------------------


def test_every_release_has_its_figures_and_estimated_ones_are_pairs(lived):
    view = lived.views["last"]
    kinds = {one["attribute"]: one["kind"] for one in view["figures"]}
    assert kinds == {"age": "direct", "sex": "direct", "race": "pair", "sex x race": "pair"}
    for one in view["figures"]:
        assert one["episode"] == view["release"]["episode"]
        if one["kind"] == "pair":
            assert "value" not in one
            assert 0 <= one["low"] <= one["deattenuated"] <= one["high"] <= 1
    assert view["demo_tables"] is True
    assert view["unmeasured"] == ""


def test_the_figure_of_a_declared_attribute_is_that_of_the_people_who_were_reached(lived):
    """Recounted from the truth: every person once a day, of those who may be measured."""
    town, released = Town(), lived.views["second"]["release"]
    measured = [one for one in lived.shown if one < PEOPLE * 9 // 10]
    women = np.mean(town.people.sex[measured] == 0)
    female, male, _ = released["sums"]["sex"]
    assert released["counted"] == pytest.approx(released["impressions"] * 0.9, rel=0.25)
    assert female / (female + male) == pytest.approx(women, abs=0.12)


def test_releases_come_when_they_are_due_and_after_a_restart_go_on(lived):
    first, second = lived.views["first"], lived.views["second"]
    assert first["segments"] == second["segments"] == 1
    assert second["release"]["episode"] > first["release"]["episode"] >= 3
    assert second["budget"]["spent_micro"] > first["budget"]["spent_micro"]
    releases = [event for kind, event in events_of(lived.data) if kind == "fairness_sums_released"]
    episodes = [charged["episode"] for charged, *_ in releases]
    assert episodes == list(range(1, len(episodes) + 1))


# ---- steered -------------------------------------------------------------------------------------


def test_auctions_are_shifted_and_every_price_recomputes(lived):
    moved = 0
    for kind, event in events_of(lived.data):
        if kind == "auction_cleared":
            moved += sum(one[6] != 0 for slot in event[3] for one in slot[6])
    assert moved > 50
    unbroken(lived.data)


def test_a_controller_knows_how_little_the_audience_is_known(lived):
    """Everybody declared a sex, so its noise alone; of race, W / n and its noise behind the blur."""
    records = [msgspec.json.decode(line) for line in lived.pages]
    model = next(one["body"] for one in records if one["kind"] == "model"
                 and one["body"]["attribute"] == "race")  # fmt: skip
    (ad,) = [one["body"] for one in records if one["kind"] == "ad"]
    inverse, within = (np.array(model[one]) / 1e9 for one in ("inverse_ppb", "within_ppb"))
    noise = {}
    for name in ("sex", "race"):
        one = ad["eligible"][name]
        assert one["noise_ppb"] / 1e9 == pytest.approx(12 / PEOPLE, rel=0.2)
        tilt = np.eye(len(one["shares_ppb"])) - np.array(one["shares_ppb"])[:, None] / 1e9
        noise[name] = (one["noise_ppb"] / 1e9) ** 2 * tilt @ tilt.T
    error = np.array(lived.mix_error)
    # How many told their sex is known with noise as well: some of 600 seem not to have.
    assert error[:2, :2] == pytest.approx(noise["sex"], abs=0.25 / PEOPLE * 0.2)
    assert (np.diag(error)[:2] >= np.diag(noise["sex"])).all()
    expected = inverse.T @ (within / PEOPLE + noise["race"]) @ inverse
    assert error[2:, 2:] == pytest.approx(expected, rel=0.2)


def test_those_who_were_reached_too_little_are_reached_more(lived):
    """Women read the first half, and rivals bid more there: unsteered, a third of it are women."""
    town = Town()
    is_woman = town.people.sex[lived.shown] == 0
    assert np.mean(is_woman[:150]) < 0.42
    assert np.mean(is_woman[-120:]) > np.mean(is_woman[:150]) + 0.15
    assert None not in lived.views["resumed"]["shifts"]


def test_a_person_can_pause_set_and_resume_from_the_next_auction_on(lived):
    assert lived.views["paused"]["shifts"] == [None] * PAGES
    taken = lived.views["set"]["shifts"]
    assert np.mean(taken[: PAGES // 2]) > np.mean(taken[PAGES // 2 :]), "a woman costs more now"
    assert lived.views["last"]["override"] is None


def test_a_share_of_opportunities_is_left_alone(lived):
    contests = [
        one
        for kind, event in events_of(lived.data)
        if kind == "special_ads_competed"
        for one in event[1]
    ]
    left = [shift for _, _, _, shift, is_left_alone, *_ in contests if is_left_alone]
    assert set(left) <= {0}
    assert len(contests) > 500


# ---- the log -------------------------------------------------------------------------------------


def test_the_log_is_sound_to_an_outsider(lived, tmp_path, capsys):
    path = lived.data / FILE_NAME
    auditor = audited(io.BytesIO(path.read_bytes()))
    assert auditor.found.verdict == SOUND, auditor.found.findings
    assert auditor.found.figures_unverifiable == 0
    assert [one.action for _, one in auditor.overrides] == ["pause", "set", "resume"]
    assert {"genesis", "plan", "tables", "model", "ad", "budget", "release", "figure", "control",
            "override", "checkpoint"} <= auditor.found.kinds.keys()  # fmt: skip
    for command in (
        ["fairness", "log", "head", str(path)],
        ["fairness", "log", "export", str(path), str(tmp_path / "copy.jsonl")],
        ["fairness", "audit", str(tmp_path / "copy.jsonl")],
    ):
        assert run(command) == 0, capsys.readouterr()


def test_the_log_over_http_is_the_file(lived):
    assert "".join(lived.pages).encode() == (lived.data / FILE_NAME).read_bytes()
    report = lived.views["report"]
    assert report["verdict"] == "sound"
    assert report["demo_tables"] is True
    assert {one["attribute"] for one in report["figures"]} == {"age", "race", "sex", "sex x race"}


@pytest.mark.parametrize("left", ["nothing", "half a line", "a few records"])
def test_the_log_is_written_again_to_the_same_bytes(lived, tmp_path, left):
    data = shutil.copytree(lived.data, tmp_path / "data", ignore=shutil.ignore_patterns("*.sock"))
    path = data / FILE_NAME
    whole = path.read_bytes()
    if left == "nothing":
        path.unlink()
    elif left == "half a line":
        path.write_bytes(whole[:-100])
    else:
        path.write_bytes(b"".join(whole.splitlines(keepends=True)[:5]))

    async def scenario(client: Client) -> None:
        await client.admin.get("/v1/fairness/log")

    serve(data, scenario, clock=ManualClock(EPOCH_US + 10**12), seed=9, settings={"fairness": OWN})
    assert path.read_bytes().startswith(whole)


# ---- crashes and erasures ------------------------------------------------------------------------


def test_a_release_that_was_drawn_and_not_recorded_is_drawn_anew(lived, tmp_path):
    """The directory as it was before the command: whoever drew for it died."""
    before = len([1 for kind, _ in events_of(lived.crashed) if kind == "fairness_sums_released"])

    async def scenario(client: Client) -> None:
        await client.app.platform.fairness.look()

    clock = ManualClock(EPOCH_US + 10**12)
    serve(lived.crashed, scenario, clock=clock, seed=11, settings={"fairness": OWN})
    drawn = [event for kind, event in events_of(lived.crashed) if kind == "fairness_sums_released"]
    elsewhere = [event for kind, event in events_of(lived.data) if kind == "fairness_sums_released"]
    assert len(drawn) == before + 1
    assert drawn[:before] == elsewhere[:before], "what was recorded is never drawn again"
    assert drawn[before][1] != elsewhere[before][1], "what was not, nobody saw"
    unbroken(lived.crashed)
    assert audited(io.BytesIO((lived.crashed / FILE_NAME).read_bytes())).found.verdict == SOUND


def test_who_was_erased_is_unreadable_and_counts_no_more(lived):
    proof = lived.views["proof"]
    assert {one["store"]: one["readable"] for one in proof["searched"]}.keys() >= {"event log"}
    assert all(one["readable"] == 0 for one in proof["searched"])
    subject = bytes.fromhex(proof["subject"])
    states = FileSnapshots(lived.data).read()[1]
    folds = [name for name in states if name.startswith(("fairness_people/", "fairness_flights/"))]
    assert len(folds) == 2
    for name in folds:
        assert subject not in states[name]


def test_no_name_or_area_is_anywhere_but_sealed(lived):
    """Every byte of every file: the log, snapshots, tables, the audit log."""
    town = Town()
    words = {str(one).encode() for one in town.people.surname[:200]}
    words = {one for one in words if len(one) > 6}
    for path in sorted(lived.data.rglob("*")):
        if path.is_file() and path.stat().st_size < 50_000_000:
            content = path.read_bytes().upper()
            assert not [one for one in words if one.upper() in content], path
