"""Fairness in the platform, from ad requests over HTTP to an audit log that an outsider checks."""

from __future__ import annotations

import asyncio
import io
import itertools
from random import Random

import numpy as np
import pytest

from ringwork.ads.model import Ask, Context, Slot
from ringwork.app.fairness_log import FILE_NAME
from ringwork.fairness.audit import SOUND, audited
from ringwork.fairness.model import AGE, SEX
from ringwork.fairness.settings import FairnessSettings
from ringwork.fairness.tables.demo import demo_people
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.viewer import Property, Viewer
from tests.app.logged import events_of, unbroken
from tests.app.served import EPOCH_US, Client, serve
from tests.crash.shop import euros

PEOPLE = 600
PAGES = 8
"""Placements, which people of one sex or race prefer: what clusters can tell."""
OWN = FairnessSettings(clusters=16, cluster_people=400, cluster_sigma=2.0)
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
        ends = 0.75 if self.people.sex[number] == 0 else 0.25
        first = self.random.random() < ends
        return self.random.randrange(PAGES // 2) + (0 if first else PAGES // 2)


async def post(client: Client, path: str, body: object, *, status: int = 201) -> dict:
    headers = {"idempotency-key": f"{path} {next(KEYS)}"}
    answer = await client.admin.post(path, json=body, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


async def open_shop(client: Client, town: Town) -> None:
    """A plain campaign that bids on all pages, and one for jobs that must outbid it."""
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
    campaign = {
        "id": "jobs", "advertiser_id": "a", "name": "Jobs", "pricing": "cpm", "bid_nanos": 2_500_000,
        "budget": euros(2_000_000_000), "special_ad_categories": ["EMPLOYMENT"],
        "certified_text": screen.certification,
    }  # fmt: skip
    await post(client, "/v1/campaigns", campaign)
    creative = {
        "id": "jobs.a", "campaign_id": "jobs", "name": "Ad", "format": "banner", "width": 300,
        "height": 250, "landing_url": "https://a.example/", "html": "<b>Join us</b>",
    }  # fmt: skip
    await post(client, "/v1/creatives", creative)
    people = town.descriptions()
    for start in range(0, PEOPLE, 300):
        await post(client, "/v1/fairness/people", {"people": people[start : start + 300]})


async def visit(client: Client, town: Town, number: int) -> str:
    """One request of one person; the ad that was shown, with its beacon."""
    platform = client.app.platform
    client.clock.advance_us(200_000_000)
    page = town.page_of(number)
    context = Context(site="pub.example", publisher_id="pub", placement_id=f"p{page}")
    slot = Slot(id="1", format="banner", sizes=((300, 250),))
    ask = Ask(request_id=platform.ids.new(), source="native", context=context, slots=(slot,))
    viewer = Viewer(person=town.name(number))
    answered = await platform.serve_ad(ask, viewer)
    if not answered.served:
        return ""
    (served,) = answered.served
    assert await platform.record_outcome.impression(served.tokens["impression"]) == "recorded"
    return served.creative.id


async def traffic(client: Client, town: Town, visits: int, *, every: int = 20) -> int:
    shown = 0
    for number in range(visits):
        shown += await visit(client, town, town.random.randrange(PEOPLE)) == "jobs.a"
        if number % every == 0:
            await client.app.platform.fairness.look()
    return shown


def log_of(data) -> bytes:
    return (data / FILE_NAME).read_bytes()


def test_a_special_ad_from_its_requests_to_its_figures(tmp_path):
    data, town = tmp_path / "data", Town()
    clock = ManualClock(EPOCH_US)

    async def scenario(client: Client) -> None:
        await open_shop(client, town)
        shown = await traffic(client, town, 500)
        view = (await client.admin.get("/v1/fairness/ads/jobs.a")).json()
        print(shown, view)

    serve(data, scenario, clock=clock, settings={"fairness": OWN})
    auditor = audited(io.BytesIO(log_of(data)))
    print(auditor.found)
    assert auditor.found.verdict == SOUND, auditor.found.findings
    unbroken(data)
