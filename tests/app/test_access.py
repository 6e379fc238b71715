"""What the log holds about somebody, for that person: everything, unsealed, and of nobody else."""

import json

import pytest

from ringwork.app import access as access_module
from tests.app.served import EPOCH_US, Client, serve
from tests.app.test_tiers import ANNA, ask, audience, open_shop
from tests.consent.test_ledger_http import body, post


async def read(client: Client, subject: str, **members: object) -> dict:
    answer = await client.admin.post("/v1/access", json={"subject": subject, **members})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def pages(client: Client, subject: str, limit: int) -> list[dict]:
    events, after = [], "0"
    while after is not None:
        page = await read(client, subject, after=after, limit=limit)
        assert len(page["events"]) <= limit
        events, after = events + page["events"], page["next"]
    return events


async def live(client: Client) -> None:
    await open_shop(client)
    await audience(client)
    await ask(client, person=ANNA)
    signal = {"kind": "gpc", "value": "1"}
    await post(client, body("withdraw", "advertise", person=ANNA, signal=signal))
    await post(client, body("grant", "advertise", person="other"))


def test_everything_that_names_a_person_is_read_unsealed(tmp_path):
    async def scenario(client: Client) -> None:
        await live(client)
        page = await read(client, f"person/{ANNA}")
        assert page["next"] is None
        told = [(one["type"], one["payload"]) for one in page["events"]]
        assert [kind for kind, _ in told] == [
            "consent_recorded", "person_acted", "person_reached", "consent_recorded",
        ]  # fmt: skip
        done, reached, withdrawn = told[1][1], told[2][1], told[3][1]
        assert done["details"] == {
            "kind": "view", "topic": "boats", "at_s": (EPOCH_US - 1) // 1_000_000
        }  # fmt: skip
        assert reached["details"] == [{"campaign_id": "t", "advertiser_id": "a"}]
        assert (withdrawn["action"], withdrawn["signal"]) == ("withdraw", "1")
        assert {one["subject"] for one in page["events"]} == {page["subject"]}
        assert (await read(client, "person/nobody"))["events"] == []

    serve(tmp_path / "data", scenario)


@pytest.mark.parametrize(("limit", "scanned"), [(1, 200_000), (2, 3), (1000, 1)])
def test_pages_are_bounded_and_leave_nothing_out(tmp_path, monkeypatch, limit, scanned):
    monkeypatch.setattr(access_module, "SCANNED_MAX", scanned)

    async def scenario(client: Client) -> None:
        await live(client)
        whole = [one["seq"] for one in await pages(client, f"person/{ANNA}", limit)]
        monkeypatch.undo()
        assert whole == [one["seq"] for one in (await read(client, f"person/{ANNA}"))["events"]]

    serve(tmp_path / "data", scenario)


def test_what_was_erased_is_named_and_not_read(tmp_path):
    async def scenario(client: Client) -> None:
        await live(client)
        await post(client, body("erase", person=ANNA))
        events = (await read(client, f"person/{ANNA}"))["events"]
        assert events[1]["payload"]["details"] == "[erased]"
        assert events[2]["payload"]["details"] == "[erased]"
        assert "boats" not in json.dumps(events)

    serve(tmp_path / "data", scenario)


def test_it_takes_the_role_of_privacy(tmp_path):
    async def scenario(client: Client) -> None:
        for role, status in (("auditor", 403), ("privacy", 200)):
            key = await client.key(role)
            asked = await client.outside.post(
                "/v1/access", json={"subject": "person/x"}, headers=key
            )
            assert asked.status_code == status
        refused = await client.admin.post("/v1/access", json={"subject": "", "after": "x"})
        assert refused.status_code == 422

    serve(tmp_path / "data", scenario)
