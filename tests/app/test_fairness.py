"""Fairness in the platform, from ad requests over HTTP to an audit log that an outsider checks."""

from __future__ import annotations

import io
import itertools
import math
from random import Random

import numpy as np

from ringwork.ads.model import Ask, Context, Slot
from ringwork.app.fairness_log import FILE_NAME
from ringwork.fairness.audit import SOUND, audited
from ringwork.fairness.model import AGE, SEX
from ringwork.fairness.settings import FairnessSettings
from ringwork.fairness.tables.demo import demo_people
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.viewer import Viewer
from tests.app.logged import unbroken
from tests.app.served import EPOCH_US, Client, serve
from tests.crash.shop import euros

PEOPLE = 600
PAGES = 8
"""Placements, which people of one sex or race prefer: what clusters can tell."""
OWN = FairnessSettings(clusters=64, cluster_people=450, cluster_sigma=2.0)
KEYS = itertools.count()
OFF = FairnessSettings(enabled=False)


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
            "budget": euros(10**10), "special_ad_categories": [],
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


def log_of(data) -> bytes:
    return (data / FILE_NAME).read_bytes()


def test_a_special_ad_from_its_requests_to_its_figures(tmp_path):
    data, town = tmp_path / "data", Town()
    clock = ManualClock(EPOCH_US)

    async def scenario(client: Client) -> None:
        await open_shop(client, town)
        shown = await traffic(client, town, 1500)
        view = (await client.admin.get("/v1/fairness/ads/jobs.a")).json()
        print(view)
        for start in range(0, len(shown), 200):
            part = shown[start : start + 200]
            print(len(part), np.mean(town.people.sex[part] == 0))
        print(
            client.app.platform.fairness.tables.missed,
            client.app.platform.fairness.steer.left_alone,
        )

    serve(data, scenario, clock=clock, settings={"fairness": OWN})
    auditor = audited(io.BytesIO(log_of(data)))
    print(auditor.found)
    assert auditor.found.verdict == SOUND, auditor.found.findings
    unbroken(data)
