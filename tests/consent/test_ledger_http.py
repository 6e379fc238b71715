"""The consent ledger over HTTP: what is recorded, refused, repeated, shown, erased."""

import json
import statistics
import time

import pytest

from ringwork.consent.proof import Proof, ProofBroken, check_proof, decode_proof
from ringwork.consent.settings import ConsentSettings
from ringwork.kernel.purpose import GrantRefused
from tests.app.served import EPOCH_US, Client, serve

DAY_US = 86_400_000_000
NOTICE = "a" * 64
PERSON = "anna@example.org"
REQUEST = bytes(16)


def body(action: str, *purposes: str, person: str = PERSON, **more: object) -> dict:
    notice = {"notice": NOTICE, "notice_version": "2025-11"} if action == "grant" else {}
    return {
        "person": person, "action": action, "purposes": list(purposes),
        "surface": "choice-page", "steps": 1, "locale": "pt-PT", **notice, **more,
    }  # fmt: skip


async def post(client: Client, sent: dict, status: int = 201, key: str | None = None) -> dict:
    headers = {} if key is None else {"idempotency-key": key}
    answer = await client.admin.post("/v1/consent", json=sent, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


async def get(client: Client, path: str = "", person: str = PERSON) -> dict:
    answer = await client.admin.get(f"/v1/consent/{person}{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def statuses(view: dict) -> dict[str, str]:
    return {one["purpose"]: one["status"] for one in view["purposes"]}


def state_of(client: Client, person: str = PERSON):
    platform = client.app.platform
    subject = platform.consent.consents.subject_of(person)
    return subject, platform.memory.consent.state(subject, platform.clock.wall_us())


def may_advertise(client: Client, person: str = PERSON, service: str = "main") -> bool:
    """Whether a request that starts now gets a grant that holds."""
    subject, state = state_of(client, person)
    if "advertise" not in state.granted:
        return False
    try:
        grant = client.app.platform.consent.grants.grant(
            subject=subject, purposes=("advertise",), services=state.sources("advertise", service),
            epoch=state.epoch, request_id=REQUEST,
        )  # fmt: skip
        client.app.platform.consent.grants.verify(
            grant, purpose="advertise", service=service, request_id=REQUEST
        )
    except GrantRefused:
        return False
    return True


# ---- one shape both ways ------------------------------------------------------------------------


def test_a_consent_is_given_and_withdrawn_by_the_same_request(tmp_path):
    async def scenario(client: Client) -> None:
        assert statuses(await get(client)) == dict.fromkeys(
            ("advertise", "measure", "converse"), "undecided"
        )
        assert not may_advertise(client)
        sent = body("grant", "advertise", "measure", services=[{"from": "shop", "to": "main"}])
        given = await post(client, sent)
        assert given["number"] == 1
        assert given["undo"] == {
            "method": "POST", "path": "/v1/consent", "action": "withdraw", "steps_max": 1,
        }  # fmt: skip
        assert given["processing"][0] == {
            "purpose": "advertise", "basis": "consent",
            "services": [{"from": "shop", "to": "main"}],
        }  # fmt: skip
        assert given["notice"] == {"sha256": NOTICE, "version": "2025-11", "locale": "pt-PT"}
        assert may_advertise(client)
        _, state = state_of(client)
        assert state.sources("advertise", "main") == ("main", "shop")
        assert state.sources("advertise", "shop") == ("shop",), "a join has one direction"
        assert state.sources("converse", "main") == ()
        undo = {**sent, "action": given["undo"]["action"]}
        ended = await post(client, undo)
        assert (ended["number"], ended["prev_hash"]) == (2, given["hash"])
        assert not may_advertise(client)
        view = await get(client)
        assert statuses(view) == {
            "advertise": "withdrawn", "measure": "withdrawn", "converse": "undecided",
        }  # fmt: skip
        assert (view["records"], view["head"]) == (2, ended["hash"])

    serve(tmp_path / "data", scenario)


def test_a_withdrawal_that_is_repeated_gets_the_same_receipt(tmp_path):
    async def scenario(client: Client) -> None:
        await post(client, body("grant", "advertise"))
        first = await post(client, body("withdraw", "advertise"), key="k1")
        assert await post(client, body("withdraw", "advertise"), key="k1") == first
        assert await post(client, body("withdraw", "advertise"), 200) == first
        assert await post(client, body("withdraw", "advertise"), 200, key="k2") == first
        assert await post(client, body("withdraw", "advertise", steps=3), 200) == first
        assert (await get(client))["records"] == 2
        more = await post(client, body("withdraw", "advertise", "measure"))
        assert more["number"] == 3, "it says more than what was said"

    serve(tmp_path / "data", scenario)


def test_a_key_has_one_effect_and_belongs_to_one_body(tmp_path):
    async def scenario(client: Client) -> None:
        first = await post(client, body("grant", "advertise"), key="k")
        assert await post(client, body("grant", "advertise"), key="k") == first
        assert (await get(client))["records"] == 1
        other = await post(client, body("grant", "measure"), 422, key="k")
        assert other["type"].endswith(":idempotency-mismatch")

    serve(tmp_path / "data", scenario)


def test_joins_are_chosen_apart_and_end_with_their_purpose(tmp_path):
    join = [{"from": "shop", "to": "main"}]

    async def scenario(client: Client) -> None:
        await post(client, body("grant", "advertise", services=join))
        assert state_of(client)[1].sources("advertise", "main") == ("main", "shop")
        await post(client, body("withdraw", services=join))
        assert state_of(client)[1].sources("advertise", "main") == ("main",)
        assert may_advertise(client), "the purpose itself goes on"
        await post(client, body("grant", "advertise", services=join, asked=False))
        await post(client, body("withdraw", "advertise"))
        await post(client, body("grant", "advertise", asked=False))
        assert state_of(client)[1].sources("advertise", "main") == ("main",), "not brought back"

    serve(tmp_path / "data", scenario)


# ---- who may be asked ---------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["refuse", "withdraw"])
def test_who_said_no_is_asked_again_after_a_year(tmp_path, action):
    async def scenario(client: Client) -> None:
        assert (await get(client, "/prompt"))["ask"] is True
        await post(client, body(action, "advertise", "measure", "converse"))
        prompt = await get(client, "/prompt")
        assert (prompt["ask"], prompt["ask_again_after"]) == (False, "2026-11-26T12:00:00Z")
        client.clock.advance_us(365 * DAY_US - 1)
        refused = await post(client, body("grant", "advertise"), 409, key="early")
        assert refused["type"].endswith(":asked-too-soon")
        assert refused["ask_again_after"] == "2026-11-26T12:00:00Z"
        again = await post(client, body("grant", "advertise"), 409, key="early")
        assert again == refused
        client.clock.advance_us(1)
        prompt = await get(client, "/prompt")
        assert [one["reason"] for one in prompt["purposes"]] == ["may-ask-again"] * 3
        await post(client, body("grant", "advertise"))
        assert may_advertise(client)

    serve(tmp_path / "data", scenario)


def test_who_comes_by_themselves_may_change_their_mind_at_any_time(tmp_path):
    async def scenario(client: Client) -> None:
        await post(client, body("refuse", "advertise"))
        await post(client, body("grant", "advertise", surface="settings", asked=False))
        assert may_advertise(client)

    serve(tmp_path / "data", scenario)


def test_the_lock_is_of_one_purpose_and_a_setting(tmp_path):
    async def scenario(client: Client) -> None:
        await post(client, body("refuse", "advertise"))
        await post(client, body("grant", "measure"))
        prompt = {one["purpose"]: one for one in (await get(client, "/prompt"))["purposes"]}
        assert prompt["advertise"]["ask_again_after"] == "2025-11-27T12:00:00Z"
        assert (prompt["measure"]["reason"], prompt["converse"]["ask"]) == ("granted", True)
        client.clock.advance_us(DAY_US)
        await post(client, body("grant", "advertise"))

    settings = {"consent": ConsentSettings(ask_again_days=1)}
    serve(tmp_path / "data", scenario, settings=settings)


def test_an_objection_stays_until_the_person_lifts_it(tmp_path):
    async def scenario(client: Client) -> None:
        await post(client, body("grant", "advertise"))
        first = await post(client, body("object", "advertise"))
        assert await post(client, body("object", "advertise"), 200) == first
        for action in ("withdraw", "refuse"):
            await post(client, body(action, "advertise"))
            assert statuses(await get(client))["advertise"] == "objected"
        client.clock.advance_us(3650 * DAY_US)
        refused = await post(client, body("grant", "advertise"), 409)
        assert refused["type"].endswith(":objected")
        prompt = (await get(client, "/prompt"))["purposes"][0]
        assert (prompt["ask"], prompt["reason"], prompt["ask_again_after"]) == (
            False, "objected", "",
        )  # fmt: skip
        await post(client, body("grant", "advertise", asked=False))
        assert may_advertise(client)

    serve(tmp_path / "data", scenario)


def test_minors_get_no_personalised_ads(tmp_path):
    async def scenario(client: Client) -> None:
        await post(client, body("grant", "advertise", "measure"))
        await post(client, body("declare", minor=True))
        assert not may_advertise(client)
        assert statuses(await get(client))["measure"] == "granted"
        refused = await post(client, body("grant", "advertise", asked=False), 409)
        assert refused["type"].endswith(":minor")
        assert (await get(client, "/prompt"))["purposes"][0]["reason"] == "minor"
        await post(client, body("declare", minor=False))
        assert not may_advertise(client), "coming of age is no consent"
        await post(client, body("grant", "advertise"))
        assert may_advertise(client)
        refused = await post(client, body("grant", "advertise", person="ben", minor=True), 409)
        assert refused["type"].endswith(":minor")

    serve(tmp_path / "data", scenario)


def test_a_consent_gets_old(tmp_path):
    async def scenario(client: Client) -> None:
        await post(client, body("grant", "advertise"))
        client.clock.advance_us(395 * DAY_US - 1)
        assert may_advertise(client)
        client.clock.advance_us(1)
        assert not may_advertise(client)
        assert statuses(await get(client))["advertise"] == "expired"
        assert (await get(client, "/prompt"))["purposes"][0]["reason"] == "expired"
        assert state_of(client)[1].undecided == {"advertise", "measure", "converse"}

    serve(tmp_path / "data", scenario)


# ---- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"purposes": ["advertising"]}, "/purposes/0"),
        ({"action": "accept"}, "/action"),
        ({"person": "a/b"}, "/person"),
        ({"person": ""}, "/person"),
        ({"notice": "v1"}, "/notice"),
        ({"steps": 0}, "/steps"),
        ({"services": [{"from": "a"}]}, "/services/0"),
        ({"locale": "portugu\u00eas"}, "/locale"),
        ({"signal": {"kind": "tcf", "value": ""}}, "/signal/value"),
        ({"unknown": 1}, ""),
    ],
)
def test_what_cannot_be_is_422_and_says_where(tmp_path, change, pointer):
    async def scenario(client: Client) -> None:
        refused = await post(client, {**body("grant", "advertise"), **change}, 422)
        assert refused["type"].endswith(":invalid")
        assert pointer in [one["pointer"] for one in refused["errors"]]
        assert (await get(client))["records"] == 0

    serve(tmp_path / "data", scenario)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"purposes": []}, "/purposes"),
        ({"purposes": ["measure", "measure"]}, "/purposes"),
        ({"notice": ""}, "/notice"),
        ({"services": [{"from": "a", "to": "a"}]}, "/services/0"),
        ({"services": [{"from": "a", "to": "b"}] * 2}, "/services"),
        ({"basis": "legitimate-interest"}, "/basis"),
        ({"action": "erase"}, "/purposes"),
        ({"action": "erase", "purposes": [], "minor": True}, "/action"),
        ({"action": "declare", "purposes": []}, "/minor"),
        ({"action": "withdraw", "purposes": []}, "/purposes"),
    ],
)
def test_what_does_not_go_together_is_409_and_says_where(tmp_path, change, pointer):
    async def scenario(client: Client) -> None:
        refused = await post(client, {**body("grant", "advertise"), **change}, 409)
        assert refused["type"].endswith(":consent-rule")
        assert [one["pointer"] for one in refused["errors"]] == [pointer]
        assert (await get(client))["records"] == 0

    serve(tmp_path / "data", scenario)


@pytest.mark.parametrize("off_s", [-301, 301])
def test_a_client_clock_that_is_off_is_422(tmp_path, off_s):
    async def scenario(client: Client) -> None:
        sent = body("grant", "advertise", decided_us=EPOCH_US + off_s * 1_000_000)
        refused = await post(client, sent, 422)
        assert refused["type"].endswith(":clock-off")
        assert [one["pointer"] for one in refused["errors"]] == ["/decided_us"]

    serve(tmp_path / "data", scenario)


def test_a_client_clock_within_five_minutes_is_taken(tmp_path):
    async def scenario(client: Client) -> None:
        for off_s in (-300, 0, 300):
            await post(client, body("grant", "advertise", decided_us=EPOCH_US + off_s * 1_000_000))

    serve(tmp_path / "data", scenario)


def test_every_role_may_what_its_scopes_say(tmp_path):
    async def scenario(client: Client) -> None:
        await post(client, body("grant", "advertise"))
        wanted = {
            "supply": (403, 403, 403), "viewer": (403, 403, 403), "auditor": (403, 200, 403),
            "choice": (201, 200, 403), "privacy": (201, 200, 200), "admin": (201, 200, 200),
        }  # fmt: skip
        for role, expected in wanted.items():
            headers = await client.key(role)
            ask = client.outside
            sent = body("grant", "advertise")
            found = (
                (await ask.post("/v1/consent", json=sent, headers=headers)).status_code,
                (await ask.get(f"/v1/consent/{PERSON}", headers=headers)).status_code,
                (await ask.get(f"/v1/consent/{PERSON}/export", headers=headers)).status_code,
            )
            assert found == expected, role
        assert (await client.outside.get(f"/v1/consent/{PERSON}")).status_code == 401

    serve(tmp_path / "data", scenario)


# ---- evidence -----------------------------------------------------------------------------------


def proof_of(text: dict) -> Proof:
    return decode_proof(json.dumps(text).encode())


def test_every_record_has_a_proof_that_holds_without_the_server(tmp_path):
    proofs: list[dict] = []

    async def scenario(client: Client) -> None:
        for day in range(3):
            for number in range(5):
                await post(client, body("grant", "measure", person=f"p{number % 2}"))
            if day < 2:
                client.clock.advance_us(DAY_US)
        # Housekeeping would seal the second day; the next record does it as well.
        for person, count in (("p0", 9), ("p1", 6)):
            for number in range(1, count + 1):
                found = await get(client, f"/proof?number={number}", person)
                event = check_proof(proof_of(found), bytes.fromhex(found["public_key"]))
                assert (event.number, event.action) == (number, "grant")
                proofs.append(found)
        latest = await get(client, "/proof", "p0")
        assert latest["number"] == 9
        missing = await client.admin.get("/v1/consent/p0/proof?number=10")
        assert missing.status_code == 404
        assert (await client.admin.get("/v1/consent/nobody/proof")).status_code == 404

    serve(tmp_path / "data", scenario)
    trees = {(one["tree"]["day"], one["tree"]["count"], one["tree"]["is_open"]) for one in proofs}
    first = EPOCH_US // DAY_US
    assert trees == {(first, 5, False), (first + 1, 5, False), (first + 2, 5, True)}
    assert {one["subject"] for one in proofs} == {proofs[0]["subject"], proofs[-1]["subject"]}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda one: one.update(ts_us=one["ts_us"] + 1), "record"),
        (lambda one: one.update(subject="0" * 32), "record"),
        (lambda one: one["digests"].pop(0), "number"),
        (lambda one: one["digests"].__setitem__(0, "0" * 64), "chain"),
        (lambda one: one["path"].__setitem__(0, "0" * 64), "path"),
        (lambda one: one["path"].pop(), "path"),
        (lambda one: one.update(position=0), "path"),
        (lambda one: one["tree"].update(day=one["tree"]["day"] - 1), "signature"),
        (lambda one: one["tree"].update(signature="0" * 128), "signature"),
        (lambda one: one["tree"].update(key_id="x"), "key"),
        (lambda one: one.update(payload=one["payload"].replace("6772616e74", "6f626a656374")), "unreadable"),
        (lambda one: one.update(hash="zz"), "unreadable"),
    ],
)  # fmt: skip
def test_a_proof_that_was_changed_does_not_hold(tmp_path, change, reason):
    async def scenario(client: Client) -> None:
        for number in range(5):
            await post(client, body("grant", "measure", person=f"p{number % 2}"))
        found = await get(client, "/proof?number=2", "p1")
        key = bytes.fromhex(found["public_key"])
        assert check_proof(proof_of(found), key).number == 2
        change(found)
        with pytest.raises(ProofBroken) as broken:
            check_proof(proof_of(found), key)
        assert broken.value.reason == reason

    serve(tmp_path / "data", scenario)


def test_a_proof_for_another_key_does_not_hold(tmp_path):
    async def scenario(client: Client) -> None:
        await post(client, body("grant", "measure"))
        with pytest.raises(ProofBroken, match="key"):
            check_proof(proof_of(await get(client, "/proof")), bytes(32))

    serve(tmp_path / "data", scenario)


# ---- export and erasure -------------------------------------------------------------------------

SIGNAL = {"kind": "tcf", "value": "CPokAsAPokAsABEACBENC7-secret-signal"}


def test_everything_that_is_held_is_exported_page_by_page(tmp_path):
    async def scenario(client: Client) -> None:
        given = await post(client, body("grant", "advertise", signal=SIGNAL))
        await post(client, body("grant", "measure"))
        ended = await post(client, body("withdraw", "advertise"))
        page = await get(client, "/export?limit=2")
        assert page["records"][0]["receipt"] == given
        assert page["records"][0]["signal"] == SIGNAL["value"]
        assert page["next"] == "2"
        last = await get(client, "/export?limit=2&after=2")
        assert [one["receipt"] for one in last["records"]] == [ended]
        assert last["next"] is None
        nobody = await get(client, "/export", "nobody")
        assert (nobody["records"], nobody["next"]) == ([], None)

    serve(tmp_path / "data", scenario)


@pytest.mark.parametrize("way", ["consent", "erasures"])
def test_an_erased_person_cannot_be_read_and_every_no_stays(tmp_path, way):
    data = tmp_path / "data"

    async def scenario(client: Client) -> None:
        await post(client, body("grant", "advertise", signal=SIGNAL))
        await post(client, body("refuse", "measure"))
        assert may_advertise(client)
        if way == "consent":
            receipt = await post(client, {"person": PERSON, "action": "erase"})
            assert (receipt["action"], receipt["number"]) == ("erase", 3)
        else:
            made = await client.admin.post("/v1/erasures", json={"subject": f"person/{PERSON}"})
            assert made.json()["keys_deleted"] == 1
            proof = (await client.admin.get(f"/v1/erasures/{made.json()['id']}")).json()
            assert proof["holds"] is True
        assert not may_advertise(client)
        assert statuses(await get(client)) == {
            "advertise": "withdrawn", "measure": "refused", "converse": "undecided",
        }  # fmt: skip
        page = await get(client, "/export")
        assert [one["signal"] for one in page["records"]] == [None, None, None]
        found = await get(client, "/proof?number=1")
        assert check_proof(proof_of(found), bytes.fromhex(found["public_key"])).number == 1
        events = (
            await client.admin.get("/v1/log/events", params={"type": "subject_erased"})
        ).json()
        assert len(events["events"]) == 1

    serve(data, scenario)
    for path in data.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert PERSON.encode() not in content, path.name
            assert b"secret-signal" not in content, path.name


def test_an_erasure_of_somebody_else_is_no_consent_record(tmp_path):
    async def scenario(client: Client) -> None:
        await client.admin.post("/v1/erasures", json={"subject": "customer/1"})
        events = await client.admin.get("/v1/log/events", params={"type": "consent_recorded"})
        assert events.json()["events"] == []

    serve(tmp_path / "data", scenario)


# ---- restarts -----------------------------------------------------------------------------------


def test_a_restart_leaves_state_epochs_and_chains_as_they_were(tmp_path):
    data, kept = tmp_path / "data", {}

    async def before(client: Client) -> None:
        await post(client, body("grant", "advertise"))
        await post(client, body("grant", "advertise", person="ben"))
        await post(client, body("withdraw", "advertise", person="ben"))
        kept.update(anna=await get(client), ben=await get(client, person="ben"))

    async def after(client: Client) -> None:
        assert await get(client) == kept["anna"]
        assert await get(client, person="ben") == kept["ben"]
        assert may_advertise(client)
        assert not may_advertise(client, "ben")
        more = await post(client, body("grant", "measure"))
        assert (more["number"], more["prev_hash"]) == (2, kept["anna"]["head"])

    serve(data, before)
    (data / "epochs").unlink()  # as a power cut may leave it
    serve(data, after, seed=6)


def test_an_older_directory_gets_the_secret_that_it_lacks(tmp_path):
    data = tmp_path / "data"

    async def scenario(client: Client) -> None:
        await get(client)

    serve(data, scenario)
    path = data / "secrets.json"
    secrets = json.loads(path.read_bytes())
    del secrets["consent"]
    path.write_text(json.dumps(secrets))
    serve(data, scenario, seed=6)
    added = json.loads(path.read_bytes())
    assert {**added, "consent": ""} == {**secrets, "consent": ""}
    assert added["consent"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_withdrawal_takes_less_than_fifty_milliseconds(tmp_path):
    async def scenario(client: Client) -> None:
        took = []
        for number in range(40):
            await post(client, body("grant", "advertise", person=f"p{number}"))
        for number in range(40):
            started = time.perf_counter()
            await post(client, body("withdraw", "advertise", person=f"p{number}"))
            took.append(time.perf_counter() - started)
            assert not may_advertise(client, f"p{number}")
        assert statistics.median(took) < 0.05

    serve(tmp_path / "data", scenario)
