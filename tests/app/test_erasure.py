"""Erasing a person: readable before, unreadable after, in every place that keeps anything."""

import base64
import hashlib
import json
import sqlite3
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from ringwork.ads.behavioural.projections import metadata as denied_metadata
from ringwork.ads.catalogue import Catalogue
from ringwork.ads.projections.tables import metadata as ads_metadata
from ringwork.app.erasure import SEARCHED_AT_ONCE_BYTES, envelopes, sealed_members
from ringwork.app.memory import EVENTS
from ringwork.app.secrets import Pseudonyms
from ringwork.app.verify import check_all
from ringwork.consent.projections import metadata as consent_metadata
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.events import EventTypes, decode_frames
from ringwork.kernel.ids import parse_id
from ringwork.storage.parquet import export, query
from ringwork.storage.snapshot_file import FileSnapshots
from ringwork.storage.sqlite.keys import SqliteKeyStore
from ringwork.storage.sqlite.reader import SqliteLogReader
from ringwork.storage.sqlite.state import metadata
from tests.app.served import Client, serve
from tests.crash.shop import BID_REQUEST, euros

CONTACT = "Ada Lovelace <ada@lovelace.example>"
CUSTOMER = "customer-4711-of-the-shop"
SUBJECTS = {"advertiser/a": CONTACT, f"customer/{CUSTOMER}": CUSTOMER}
TYPES = EventTypes(EVENTS)


async def post(client: Client, path: str, body: dict, key: str | None = None, ok: int = 201):
    headers = {"idempotency-key": key or f"{path} {body}"}
    answer = await client.admin.post(path, json=body, headers=headers)
    assert answer.status_code == ok, answer.text
    return answer.json()


def advertiser(id: str = "a", contact: str = CONTACT) -> dict:
    domain, currency = "a.example", "EUR"
    return {"id": id, "name": "A", "domain": domain, "currency": currency, "contact": contact}


async def two_people(client: Client) -> None:
    """A contact and a customer, in everything that may keep a request: keys, refusals, repeats."""
    await post(client, "/v1/advertisers", advertiser(), "a")
    await post(client, "/v1/advertisers", advertiser(), "a")
    await post(client, "/v1/advertisers", advertiser(), "again", ok=200)
    other = {**advertiser(), "name": "B"}
    await post(client, "/v1/advertisers", other, "other", ok=409)
    await post(client, "/v1/advertisers", {**advertiser("b"), "currency": "USD"}, "usd", ok=409)
    await post(client, "/v1/advertisers", {**advertiser("b"), "domain": CONTACT}, "bad", ok=422)
    await post(client, "/v1/publishers", {"id": "pub", "name": "P", "domain": "pub.example"})
    await post(client, "/v1/ledger/accounts", {"id": "cash", "currency": "EUR"})
    paid = {"id": "d", "kind": "single", "debit_account": "cash", "credit_account": "advertiser/a"}
    await post(client, "/v1/ledger/transfers", {**paid, "amount": euros(10**12)})
    campaign = {
        "id": "c",
        "advertiser_id": "a",
        "name": "C",
        "special_ad_categories": [],
        "pricing": "cpa",
    }
    campaign |= {"bid_nanos": 20 * 10**9, "budget": euros(10**11)}
    await post(client, "/v1/campaigns", campaign)
    creative = {"id": "c.a", "campaign_id": "c", "name": "Ad", "format": "banner", "width": 300}
    creative |= {"height": 250, "landing_url": "https://a.example/", "html": "<b>Ad</b>"}
    await post(client, "/v1/creatives", creative)
    await convert(client, "1")


async def convert(client: Client, order: str) -> None:
    """The customer sees an ad, follows it and buys; the advertiser says so three times."""
    sold = await client.outside.post("/openrtb2/auction", json=BID_REQUEST)
    markup = sold.json()["seatbid"][0]["bid"][0]["adm"]
    click = markup.partition("/c/")[2].partition('"')[0]
    landing = await client.outside.get(f"/c/{click}")
    rwclid = landing.headers["location"].partition("rwclid=")[2]
    body = {"rwclid": rwclid, "conversion_id": order, "customer": CUSTOMER}
    await post(client, "/v1/conversions", body, f"order {order}")
    await post(client, "/v1/conversions", body, f"order {order}")
    await post(client, "/v1/conversions", body, f"order {order} again", ok=200)
    forged = {**body, "rwclid": "A" * len(rwclid)}
    await post(client, "/v1/conversions", forged, f"order {order} forged", ok=409)


async def erase(client: Client, subject: str, key: str | None = None) -> dict:
    made = await post(client, "/v1/erasures", {"subject": subject}, key)
    return (await client.admin.get(f"/v1/erasures/{made['id']}")).json()


# ---- reading as somebody with the whole directory would -----------------------------------------


class Thief:
    """Somebody who has the whole directory: what can be read of people, and where."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.keys = SqliteKeyStore.open(data / "keys.db", data / "kek", entropy=SeededEntropy(9))

    def unseal(self, subject: bytes, sealed: bytes, context: bytes) -> set[str]:
        plain = self.keys.unseal(subject, sealed, context=context)
        return set() if plain is None else {plain.decode()}

    def log(self) -> set[str]:
        found: set[str] = set()
        for envelope, _ in envelopes(SqliteLogReader(self.data / "log").rows()):
            for sealed, context in sealed_members(envelope, TYPES):
                found |= self.unseal(envelope.subject, sealed, context)
        return found

    def parquet(self) -> set[str]:
        """From an export, whose payloads are JSON with base64."""
        found: set[str] = set()
        rows = query(self.data / "export", "SELECT type, id, subject, payload FROM events").rows
        for type, id, subject, payload in rows:
            for member in TYPES.get(type).PERSONAL:
                value = json.loads(payload)
                for name in member.split("."):
                    value = value[name]
                if value is not None:
                    context = parse_id(id) + member.encode()
                    found |= self.unseal(parse_id(subject), base64.b64decode(value), context)
        return found

    def snapshot(self) -> set[str]:
        """From the catalogue that the last stop left for the next start."""
        _, states = FileSnapshots(self.data).load()
        catalogue = Catalogue()
        catalogue.load(states[f"{Catalogue.name}/{Catalogue.version}"])
        found: set[str] = set()
        for one in catalogue.advertisers.values():
            secret = json.loads((self.data / "secrets.json").read_bytes())["pseudonym"]
            subject = Pseudonyms(base64.b64decode(secret))(f"advertiser/{one.id}")
            context = catalogue.registrations[one.id] + b"advertiser.contact"
            found |= self.unseal(subject, one.contact, context)
        return found

    def reads(self) -> dict[str, set[str]]:
        return {"log": self.log(), "parquet": self.parquet(), "snapshot": self.snapshot()}


def test_what_could_be_read_everywhere_can_be_read_nowhere(tmp_path):
    data = tmp_path / "data"
    serve(data, two_people)
    export(data / "log", data / "export", TYPES)
    thief = Thief(data)
    assert thief.reads() == {
        "log": {CONTACT, CUSTOMER},
        "parquet": {CONTACT, CUSTOMER},
        "snapshot": {CONTACT},
    }
    thief.keys.close()

    async def erasures(client: Client) -> None:
        for subject in SUBJECTS:
            assert (await erase(client, subject))["holds"] is True

    serve(data, erasures, seed=6)
    thief = Thief(data)  # its export is the one from before
    assert thief.reads() == {"log": set(), "parquet": set(), "snapshot": set()}
    thief.keys.close()
    i7 = next(one for one in check_all(data, lambda what, count: None) if one.name == "I7")
    assert (i7.checked, i7.violations) == (4, 0), "two members, two histories"


def test_nothing_personal_is_ever_written_in_plain(tmp_path):
    """Every byte of every file, beside the living server and after it, before and after erasing."""
    data = tmp_path / "data"

    async def scenario(client: Client) -> None:
        await two_people(client)
        await client.app.platform.indexed()
        look(data)
        for subject in SUBJECTS:
            await erase(client, subject, key="erase " + hashlib.md5(subject.encode()).hexdigest())
        await client.app.platform.indexed()
        look(data)

    serve(data, scenario)
    export(data / "log", data / "export", TYPES)
    look(data)


def look(data: Path) -> None:
    files = [path for path in data.rglob("*") if path.is_file()]
    assert {"state.db", "keys.db", "secrets.json"} <= {path.name for path in files}
    for path in files:
        content = path.read_bytes().lower()
        for plain in (CONTACT, "lovelace", CUSTOMER, "4711-of-the", "advertiser/a\x00"):
            for form in (plain.encode(), base64.b64encode(plain.encode())[:-4]):
                assert form.lower() not in content, f"{plain} in {path.name}"


# ---- the proof ----------------------------------------------------------------------------------


def counts(proof: dict) -> dict[str, tuple[int, int]]:
    return {one["store"]: (one["found"], one["readable"]) for one in proof["searched"]}


def test_the_proof_counts_what_it_found(tmp_path):
    async def scenario(client: Client) -> None:
        await two_people(client)
        proof = await erase(client, f"customer/{CUSTOMER}", "e1")
        assert (proof["keys_deleted"], proof["holds"]) == (1, True)
        assert counts(proof)["event log"] == (1, 0)
        assert counts(proof)["key store"] == (0, 0)
        assert counts(proof)["projections"][1] == 0
        event = (await client.admin.get("/v1/log/events", params={"type": "subject_erased"})).json()
        (shown,) = event["events"]
        assert (shown["seq"], shown["id"]) == (proof["event_seq"], proof["id"])
        assert (shown["subject"], shown["purpose"]) == (proof["subject"], "erasure")
        of_subject = await client.admin.get("/v1/log/events", params={"subject": proof["subject"]})
        types = [one["type"] for one in of_subject.json()["events"]]
        assert types == ["conversion_recorded", "subject_erased"]

        again = await erase(client, f"customer/{CUSTOMER}", "e2")
        assert (again["keys_deleted"], again["holds"]) == (0, True)
        nobody = await erase(client, "customer/nobody", "e3")
        assert (nobody["keys_deleted"], nobody["holds"]) == (0, True)
        assert counts(nobody)["event log"] == (0, 0)

    serve(tmp_path / "data", scenario)


def test_the_proof_searches_the_snapshot_to_its_last_byte(tmp_path):
    data, at_once = tmp_path / "data", SEARCHED_AT_ONCE_BYTES

    async def scenario(client: Client) -> None:
        await two_people(client)
        proof = await erase(client, f"customer/{CUSTOMER}", "e1")
        assert counts(proof)["snapshot"] == (0, 0)
        pseudonym = bytes.fromhex(proof["subject"])
        states = {
            f"{begin}/1": bytes(begin) + pseudonym
            for begin in (0, 1, at_once - 16, at_once - 15, at_once - 1, at_once, 2 * at_once + 1)
        }
        states["torn/1"] = pseudonym[:-1] + bytes(at_once) + pseudonym[1:]
        FileSnapshots(data).save(1, states)
        proof = (await client.admin.get(f"/v1/erasures/{proof['id']}")).json()
        assert counts(proof)["snapshot"] == (7, 0)

    serve(data, scenario)


def test_who_comes_back_can_be_read_again_from_then_on_only(tmp_path):
    data = tmp_path / "data"

    async def scenario(client: Client) -> None:
        await two_people(client)
        first = await erase(client, f"customer/{CUSTOMER}", "e1")
        await convert(client, "2")
        kept = (await client.admin.get(f"/v1/erasures/{first['id']}")).json()
        assert kept["holds"] is True, "the new key opens nothing from before"
        assert counts(kept)["event log"] == (1, 0)
        assert counts(kept)["key store"] == (1, 0)
        second = await erase(client, f"customer/{CUSTOMER}", "e2")
        assert (second["keys_deleted"], second["holds"]) == (1, True)
        assert counts(second)["event log"] == (2, 0)

    serve(data, scenario)
    assert [one.detail for one in check_all(data, lambda *_: None) if one.violations] == []


def test_a_proof_says_so_when_something_can_still_be_read(tmp_path):
    """A key that came back, as from a backup that was put in place without its erasures."""
    data = tmp_path / "data"

    async def scenario(client: Client) -> None:
        await two_people(client)
        await client.app.platform.journal.settled()
        with sqlite3.connect(data / "keys.db") as keys:
            backup = keys.execute("SELECT key_id, wrapped FROM keys").fetchall()
        proof = await erase(client, "advertiser/a")
        with sqlite3.connect(data / "keys.db") as keys:
            for key_id, wrapped in backup:
                keys.execute("UPDATE keys SET wrapped = ? WHERE key_id = ?", (wrapped, key_id))
        keys.close()
        proof = (await client.admin.get(f"/v1/erasures/{proof['id']}")).json()
        assert proof["holds"] is False
        assert counts(proof)["event log"] == (1, 1)
        assert counts(proof)["key store"] == (1, 1)

    serve(data, scenario)
    broken = [one.name for one in check_all(data, lambda what, count: None) if one.violations]
    assert broken == ["I7"]


@pytest.mark.parametrize(
    ("id", "status"), [("0" * 8 + "-0000-7000-8000-" + "0" * 12, 404), ("x", 422)]
)
def test_a_proof_of_no_erasure(tmp_path, id, status):
    async def scenario(client: Client) -> None:
        answer = await client.admin.get(f"/v1/erasures/{id}")
        assert answer.status_code == status

    serve(tmp_path / "data", scenario)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ({"subject": ""}, "/subject"),
        ({"subject": "x" * 401}, "/subject"),
        ({"subject": 5}, "/subject"),
    ],
)
def test_a_subject_that_is_none_is_422(tmp_path, body, pointer):
    async def scenario(client: Client) -> None:
        answer = await client.admin.post("/v1/erasures", json=body)
        assert answer.status_code == 422
        assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]

    serve(tmp_path / "data", scenario)


# ---- where a person could hide ------------------------------------------------------------------


def test_no_table_has_a_column_for_a_personal_member(tmp_path):
    members = {path.rpartition(".")[2] for event in EVENTS for path in event.PERSONAL}
    assert members == {"contact", "customer", "details", "payment_method", "signal"}
    declared = {
        column.name
        for tables in (metadata, ads_metadata, denied_metadata, consent_metadata)
        for table in tables.tables.values()
        for column in table.columns
    }
    serve(tmp_path / "data", two_people)
    made = sa.MetaData()
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'data' / 'state.db'}")
    made.reflect(engine)
    engine.dispose()
    migrated = {column.name for table in made.tables.values() for column in table.columns}
    assert declared <= migrated
    assert not members & migrated


def test_fingerprints_and_pseudonyms_are_of_one_installation(tmp_path):
    """Or a list of names and addresses would be enough to find out who is in a log."""
    seen = []
    for seed in (1, 2):
        data = tmp_path / f"data{seed}"
        serve(data, two_people, seed=seed)
        rows = list(SqliteLogReader(data / "log").rows())
        frames = [frame for row in rows for frame in decode_frames(row.payload)]
        keyed = {f.idempotency.key: f.idempotency.fingerprint for f in frames if f.idempotency}
        subjects = {e.type: e.subject for f in frames for e in f.events if e.subject}
        seen.append((keyed["a"], keyed["order 1"], *subjects.values()))
        canonical = msgspec.json.encode(advertiser(), order="deterministic")
        assert hashlib.sha256(canonical).digest() not in keyed.values()
        assert keyed["a"] == keyed["again"], "within it, the same body is known again"
        assert keyed["a"] != keyed["other"]
    first, second = seen
    assert len(first) == 4
    assert not set(first) & set(second)
