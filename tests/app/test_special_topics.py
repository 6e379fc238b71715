"""No profile is made of what reveals special categories of data (DSA, article 26(3))."""

import pytest

from ringwork.ads.behavioural.segments import interest_audience
from ringwork.app.settings import HistorySettings
from tests.app.served import EPOCH_US, Client, serve
from tests.app.test_tiers import ANNA, ask, audience, open_shop

RELIGION, BOATS, OUR_OWN = "453", "boats", "clinic"
OURS = {"history": HistorySettings(special_topics=[OUR_OWN])}


def did(topic: str) -> dict:
    return {
        "person": ANNA, "service": "main", "kind": "purchase", "topic": topic, "at_us": EPOCH_US - 1
    }  # fmt: skip


def test_it_is_not_kept_whoever_tells_it(tmp_path):
    async def scenario(client: Client) -> None:
        await open_shop(client)
        await audience(client)
        told = await client.admin.post(
            "/v1/events",
            json={"events": [did(RELIGION), did(OUR_OWN), did(BOATS)]},
            headers={"idempotency-key": "more"},
        )
        assert told.json() == {"recorded": 1, "left_out": 2}

    serve(tmp_path / "data", scenario, settings=OURS)


@pytest.mark.parametrize("topic", [RELIGION, OUR_OWN])
def test_nobody_targets_it(tmp_path, topic):
    async def scenario(client: Client) -> None:
        await open_shop(client)
        rule = {"within_s": 3600, "topics": [BOATS, topic]}
        refused = await client.admin.post(
            "/v1/audiences", json={"id": "x", "name": "X", "rules": [rule]}
        )
        assert refused.status_code == 409
        assert [one["pointer"] for one in refused.json()["errors"]] == ["/rules/0/topics/1"]
        targeting = {"audiences": [interest_audience(BOATS), interest_audience(topic)]}
        refused = await client.admin.patch(
            "/v1/campaigns/t", json={"targeting": targeting}, headers={"idempotency-key": "x"}
        )
        assert refused.status_code == 409
        assert [one["pointer"] for one in refused.json()["errors"]] == ["/targeting/audiences/1"]
        pages = {"targeting": {"categories": [topic]}}
        taken = await client.admin.patch(
            "/v1/campaigns/t", json=pages, headers={"idempotency-key": "y"}
        )
        assert taken.status_code == 200, "a page about it knows nobody"

    serve(tmp_path / "data", scenario, settings=OURS)


def test_what_was_kept_before_a_topic_became_special_says_nothing(tmp_path):
    data = tmp_path / "data"

    async def before(client: Client) -> None:
        await open_shop(client)
        await audience(client)
        assert (await ask(client, person=ANNA))["ads"][0]["ad"] == "t.a"

    async def after(client: Client) -> None:
        answer = await ask(client, person=ANNA)
        assert (answer["tier"], answer["ads"][0]["ad"]) == ("consented", "c.a")

    serve(data, before)
    special = {"history": HistorySettings(special_topics=[BOATS])}
    serve(data, after, seed=6, settings=special)
