"""What people did, through the whole platform: told, projected, erased, proved, restarted."""

import json
import sqlite3
from pathlib import Path

import pytest

from ringwork.app.verify import check_all
from ringwork.kernel.history import working_for
from ringwork.kernel.purpose import Grant, GrantRefused
from tests.app.served import EPOCH_US, Client, serve

TOPIC = "a-topic-of-ana"


def did(person: str, topic: str = TOPIC, **members: object) -> dict[str, object]:
    given = {"person": person, "service": "main", "kind": "view", "topic": topic}
    return {**given, "at_us": EPOCH_US, **members}


async def decide(client: Client, person: str, action: str = "grant", **members: object) -> None:
    body = {"person": person, "action": action, "purposes": ["advertise"], "notice": "0" * 64}
    answer = await client.admin.post("/v1/consent", json={**body, **members})
    assert answer.status_code == 201, answer.text


async def consent(client: Client, *people: str) -> None:
    for person in people or ("ana", "ben", "cid"):
        await decide(client, person)


async def tell(client: Client, *events: dict, key: str = "k", **given: object):
    who = client.outside if given else client.admin
    return await who.post(
        "/v1/events",
        json={"events": list(events)},
        headers={"idempotency-key": key, **given.get("headers", {})},
    )


async def erase(client: Client, person: str, key: str) -> dict:
    made = await client.admin.post(
        "/v1/erasures", json={"subject": f"person/{person}"}, headers={"idempotency-key": key}
    )
    assert made.status_code == 201, made.text
    return (await client.admin.get(f"/v1/erasures/{made.json()['id']}")).json()


def rows(data: Path) -> list[str]:
    with sqlite3.connect(data / "history.db") as connection:
        found = connection.execute("SELECT topic FROM history_events ORDER BY seq").fetchall()
    connection.close()
    return [topic for (topic,) in found]


def test_a_batch_is_recorded_once_whatever_is_sent_again(tmp_path):
    async def scenario(client: Client) -> None:
        await consent(client)
        first = await tell(client, did("ana"), did("ben", "other"))
        assert (first.status_code, first.json()) == (201, {"recorded": 2, "left_out": 0})
        again = await tell(client, did("ana"), did("ben", "other"))
        assert (again.status_code, again.json()) == (201, {"recorded": 2, "left_out": 0})
        assert again.headers["idempotency-replayed"] == "true"
        assert (await tell(client, did("cid"))).status_code == 422, "another body"
        await client.app.platform.indexed()
        assert rows(tmp_path / "data") == [TOPIC, "other"]

    serve(tmp_path / "data", scenario)


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"events": []}, 422, "/events"),
        ({"events": [did("ana")] * 101}, 422, "/events"),
        ({"events": [did("")]}, 422, "/events/0/person"),
        ({"events": [did("ana"), did("ana", kind="dream")]}, 422, "/events/1/kind"),
        ({"events": [did("ana"), did("ana", service="moon")]}, 409, "/events/1/service"),
        ({"events": [did("ana", service="Main!")]}, 422, "/events/0/service"),
        ({"events": [did("ana", at_us=EPOCH_US + 301_000_000)]}, 409, "/events/0/at_us"),
        ({"events": [did("ana", at_us=0)]}, 409, "/events/0/at_us"),
        ({"events": [did("ana", email="a@b.example")]}, 422, "/events/0"),
    ],
)
def test_a_bad_batch_is_refused_whole_and_named(tmp_path, body, status, pointer):
    async def scenario(client: Client) -> None:
        await consent(client)
        headers = {"idempotency-key": "k"}
        answer = await client.admin.post("/v1/events", json=body, headers=headers)
        assert answer.status_code == status, answer.text
        assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]
        told = await client.admin.get("/v1/log/events", params={"type": "person_acted"})
        assert told.json()["events"] == []

    serve(tmp_path / "data", scenario)


def test_a_service_may_tell_and_nothing_else_and_others_may_not(tmp_path):
    async def scenario(client: Client) -> None:
        service, viewer = await client.key("service"), await client.key("viewer")
        assert (await tell(client, did("ana"), headers=service)).status_code == 201
        assert (await tell(client, did("ana"), headers=viewer)).status_code == 403
        read = await client.outside.get("/v1/campaigns", headers=service)
        assert read.status_code == 403
        unkeyed = await client.admin.post("/v1/events", json={"events": [did("ana")]})
        assert unkeyed.status_code == 400, "a key is required"

    serve(tmp_path / "data", scenario)


@pytest.mark.parametrize("beside", [False, True])
def test_an_erasure_takes_the_history_and_proves_it(tmp_path, beside):
    data = tmp_path / "data"

    async def scenario(client: Client) -> None:
        await consent(client)
        await tell(client, did("ana"), did("ben", "bens"))
        await client.app.platform.indexed()
        proof = await erase(client, "ana", "e1")
        assert proof["holds"] is True
        found = {one["store"]: (one["found"], one["readable"]) for one in proof["searched"]}
        assert found["history"] == (0, 0)
        assert found["event log"] == (1, 0)
        assert rows(data) == ["bens"]
        assert (await tell(client, did("ana", "after"), key="k2")).json()["recorded"] == 0
        await decide(client, "ana", asked=False)
        await tell(client, did("ana", "after"), key="k3")
        await client.app.platform.indexed()
        kept = (await client.admin.get(f"/v1/erasures/{proof['id']}")).json()
        found = {one["store"]: (one["found"], one["readable"]) for one in kept["searched"]}
        assert (kept["holds"], found["history"]) == (True, (1, 0)), "who came back"

    serve(data, scenario, follower_process=beside)
    for path in data.rglob("*"):
        if path.is_file():
            assert TOPIC.encode() not in path.read_bytes(), path.name
    assert [one.detail for one in check_all(data, lambda *_: None) if one.violations] == []


def test_rows_from_before_an_erasure_break_the_proof_and_verification(tmp_path):
    """As from a backup of history.db alone."""
    data = tmp_path / "data"

    async def scenario(client: Client) -> None:
        await consent(client)
        await tell(client, did("ana"))
        await client.app.platform.indexed()
        with sqlite3.connect(data / "history.db") as connection:
            backup = connection.execute("SELECT * FROM history_events").fetchall()
            proof = await erase(client, "ana", "e1")
            connection.executemany("INSERT INTO history_events VALUES (?,?,?,?,?,?)", backup)
        connection.close()
        again = (await client.admin.get(f"/v1/erasures/{proof['id']}")).json()
        assert again["holds"] is False

    serve(data, scenario)
    assert [one.name for one in check_all(data, lambda *_: None) if one.violations] == ["I7"]


def test_a_lost_history_is_built_again_from_the_log(tmp_path):
    data = tmp_path / "data"

    async def first(client: Client) -> None:
        await consent(client)
        await tell(client, did("ana"), did("ben", "bens"))
        await erase(client, "ben", "e")

    async def second(client: Client) -> None:
        await client.app.platform.indexed()
        assert rows(data) == [TOPIC]

    serve(data, first)
    for path in data.glob("history.db*"):
        path.unlink()
    serve(data, second, seed=6)


def granted(client: Client, person: str, **members: object) -> Grant:
    consents = client.app.platform.consent
    subject = consents.consents.subject_of(person)
    given = {"purposes": ("advertise",), "services": ("main",), "request_id": b"r" * 16, **members}
    return consents.grants.grant(subject=subject, epoch=consents.epochs.current(subject), **given)


def read(client: Client, grant: Grant) -> list[str]:
    with working_for("consented"):
        history = client.app.platform.history
        found = history.read(grant, purpose="advertise", request_id=b"r" * 16)
    return [one.topic for one in found.events]


def test_a_withdrawal_ends_grants_at_once_and_the_history_with_them(tmp_path):
    data = tmp_path / "data"

    async def scenario(client: Client) -> None:
        await consent(client)
        await tell(client, did("ana"), did("ben", "bens"))
        await client.app.platform.indexed()
        grant = granted(client, "ana")
        assert read(client, grant) == [TOPIC]
        await decide(client, "ana", "withdraw")
        with pytest.raises(GrantRefused, match="ended"):
            read(client, grant)
        told = await tell(client, did("ana", "in vain"), key="k2")
        assert told.json() == {"recorded": 0, "left_out": 1}
        await client.app.platform.indexed()
        assert rows(data) == ["bens"]
        await decide(client, "ana", asked=False)
        assert read(client, granted(client, "ana")) == [], "another consent begins with nothing"

    serve(data, scenario)


def test_nothing_is_kept_of_who_did_not_consent_or_for_another_purpose(tmp_path):
    async def scenario(client: Client) -> None:
        await decide(client, "ana", purposes=["measure"])
        await decide(client, "ben", "refuse")
        told = await tell(client, did("ana"), did("ben"), did("cid"))
        assert told.json() == {"recorded": 0, "left_out": 3}

    serve(tmp_path / "data", scenario)


def test_nothing_stays_of_who_turns_out_to_be_a_minor(tmp_path):
    async def scenario(client: Client) -> None:
        await consent(client)
        await tell(client, did("ana"), did("ben", "bens"))
        await decide(client, "ana", "declare", purposes=[], minor=True)
        assert (await tell(client, did("ana"), key="k2")).json()["recorded"] == 0
        await client.app.platform.indexed()
        assert rows(tmp_path / "data") == ["bens"]

    serve(tmp_path / "data", scenario)


def test_a_denied_read_is_in_the_log_and_names_nobody(tmp_path):
    async def scenario(client: Client) -> None:
        platform = client.app.platform
        await consent(client)
        grant = granted(client, "ana", request_id=b"o" * 16)
        with pytest.raises(GrantRefused, match="other-request"):
            read(client, grant)
        platform.denied.record(platform.journal, tenant="main")
        await platform.journal.settled()
        found = await client.admin.get("/v1/log/events", params={"type": "grant_denied"})
        (event,) = found.json()["events"]
        assert event["payload"] == {
            "purpose": "advertise", "service": "main", "reason": "other-request", "count": 1,
        }  # fmt: skip
        assert event["subject"] is None
        assert grant.subject.hex() not in json.dumps(event)
        metrics = await client.admin.get("/metrics")
        assert "ringwork_grants_denied_total 1" in metrics.text

    serve(tmp_path / "data", scenario)


def test_what_is_too_old_goes_in_the_background(tmp_path):
    data = tmp_path / "data"

    async def scenario(client: Client) -> None:
        await consent(client)
        await tell(client, did("ana"))
        await client.app.platform.indexed()
        client.clock.advance_us(181 * 86_400 * 1_000_000)
        await client.app.platform._keep_people()
        assert rows(data) == []

    serve(data, scenario)
