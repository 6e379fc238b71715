"""The platform over its life: holds that expire, snapshots, restarts, and what memory forgot."""

import asyncio
import shutil
import sqlite3
from pathlib import Path
from random import Random

import pytest

from ringwork.app import platform as platform_module
from ringwork.app.compose import create
from ringwork.app.erasure import envelopes
from ringwork.app.platform import EVENTS, EXPIRE_AT_ONCE, Memory, Platform
from ringwork.app.settings import Settings
from ringwork.app.verify import check_all
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.errors import Busy, ConfigurationError, LogCorrupt
from ringwork.kernel.journal import appliers_of, replay
from ringwork.kernel.ledger import Transfer
from ringwork.web import idempotency
from tests.app.served import EPOCH_US, Client, serve, until
from tests.crash.shop import BID_REQUEST, euros
from tests.storage.disks import Disk

HOUR_US = 3_600_000_000


def dumps(platform: Platform) -> dict[str, bytes]:
    """Everything that decisions read, and the answers to keys, as bytes."""
    return {fold.name: fold.dump() for fold in (*platform.memory.folds, platform.answers)}


def opened(data: Path, seed: int = 6) -> Platform:
    """The store as a new process finds it."""
    app = create(Settings(data=str(data)), clock=ManualClock(EPOCH_US), entropy=SeededEntropy(seed))
    return app.platform


async def post(client: Client, path: str, body: object, key: str = "") -> dict:
    headers = {"idempotency-key": key} if key else {}
    answer = await client.admin.post(path, json=body, headers=headers)
    assert answer.status_code < 500, answer.text
    return answer.json()


async def accounts(client: Client) -> None:
    for name, limited in (("cash", False), ("purse", True)):
        account = {"id": name, "currency": "EUR", "limited": limited}
        await post(client, "/v1/ledger/accounts", account, f"open {name}")
    await post(client, "/v1/ledger/transfers", transfer("fund", 10**9, "cash", "purse"), "fund")


def transfer(id: str, nanos: int, debit: str = "purse", credit: str = "cash", **more: object):
    body = {"id": id, "kind": "single", "debit_account": debit, "credit_account": credit}
    return {**body, "amount": euros(nanos), **more}


# ---- a life and its replay ----------------------------------------------------------------------


async def live(client: Client, random: Random) -> None:
    """An afternoon of everything: money, catalogue, sales, outcomes, keys, erasures, refusals."""
    await accounts(client)
    await post(client, "/v1/publishers", {"id": "pub", "name": "P", "domain": "pub.example"})
    advertiser = {"id": "a", "name": "A", "domain": "a.example", "currency": "EUR"}
    await post(client, "/v1/advertisers", {**advertiser, "contact": "Ada"}, "a")
    deposit = transfer("deposit", 10**12, "cash", "advertiser/a")
    await post(client, "/v1/ledger/transfers", deposit, "deposit")
    for number, pricing in enumerate(("cpm", "cpc", "cpa")):
        campaign = {
            "id": f"c{number}", "advertiser_id": "a", "name": "C", "pricing": pricing,
            "bid_nanos": {"cpm": 2_000_000, "cpc": 300_000_000, "cpa": 20 * 10**9}[pricing],
            "budget": euros(10**11), "daily_budget": euros(5 * 10**10),
        }  # fmt: skip
        await post(client, "/v1/campaigns", campaign, f"c{number}")
        creative = {
            "id": f"c{number}.a", "campaign_id": f"c{number}", "name": "Ad", "format": "banner",
            "width": 300, "height": 250, "landing_url": "https://a.example/", "html": "<b>Ad</b>",
        }  # fmt: skip
        await post(client, "/v1/creatives", creative)
    place = {"id": "p", "publisher_id": "pub", "format": "banner", "width": 300, "height": 250}
    await post(client, "/v1/placements", place)
    await client.admin.patch("/v1/creatives/c0.a", json={"name": "Better"})
    for number in range(60):
        client.clock.advance_us(random.randrange(1, 600_000_000))
        await random.choice((sell, move, manage))(client, random, number)
        if random.random() < 0.2:
            client.app.platform.expire_due()


async def sell(client: Client, random: Random, number: int) -> None:
    answer = await client.outside.post("/openrtb2/auction", json=BID_REQUEST)
    if answer.status_code != 200:
        return
    bid = answer.json()["seatbid"][0]["bid"][0]
    if random.random() < 0.3:
        client.clock.advance_us(HOUR_US)  # its hold expires first
    for _ in range(random.choice((0, 1, 2))):
        assert (await client.outside.get(bid["burl"])).status_code == 204
    click = bid["adm"].partition("/c/")[2].partition('"')[0]
    landing = await client.outside.get(f"/c/{click}")
    rwclid = landing.headers["location"].partition("rwclid=")[2]
    order = {"rwclid": rwclid, "conversion_id": f"o{number}", "customer": f"k{number % 3}"}
    await post(client, "/v1/conversions", order, f"o{number}")


async def move(client: Client, random: Random, number: int) -> None:
    kind = random.choice(("single", "pending", "pending", "post", "void"))
    amount = random.randrange(-5, 10**9)
    body = transfer(f"t{number}", amount, kind=kind)
    if kind in ("post", "void"):
        body = {"id": f"t{number}", "kind": kind, "pending_id": f"t{random.randrange(number + 1)}"}
        body["amount"] = euros(max(amount, 0)) if kind == "post" else None
    elif kind == "pending":
        body["timeout_s"] = random.choice((0, 5, 600))
    if body["amount"] and amount < 0:
        body["amount"] = {"currency": "EUR", "units": 0, "nanos": amount}
    await post(client, "/v1/ledger/transfers", body, f"t{number % 40}")


async def manage(client: Client, random: Random, number: int) -> None:
    made = await post(client, "/v1/keys", {"role": "viewer", "label": f"k{number}"})
    if random.random() < 0.5:
        await client.admin.delete(f"/v1/keys/{made['id']}")
    await post(client, "/v1/erasures", {"subject": f"customer/k{number % 3}"})
    status = random.choice(("active", "paused"))
    change = await client.admin.patch(
        f"/v1/campaigns/c{number % 3}",
        json={"status": status},
        headers={"idempotency-key": f"s{number}"},
    )
    assert change.status_code == 200


@pytest.mark.parametrize("seed", range(3))
def test_a_restart_finds_the_state_that_life_left(tmp_path, seed):
    data, lived = tmp_path / "data", {}

    async def scenario(client: Client) -> None:
        await live(client, Random(seed))
        await client.app.platform.journal.settled()
        lived.update(dumps(client.app.platform))

    serve(data, scenario)
    again = opened(data)
    lived_through = {envelope.type for envelope, _ in envelopes(again.log.rows())}
    assert lived_through == {event.TYPE for event in EVENTS}, "or the test would prove less"
    assert again.snapshots.load()[0] == again.log.head.seq, "a clean stop leaves nothing to replay"
    assert dumps(again) == lived, "from the snapshot"
    again.close()

    with sqlite3.connect(data / "state.db") as state:
        state.execute("DELETE FROM snapshots")
    state.close()
    again = opened(data)
    assert dumps(again) == lived, "from the log alone"
    again.close()

    memory = Memory()
    replay(again.reader.rows(), again.types, appliers_of(memory.folds))
    assert {fold.name: fold.dump() for fold in memory.folds}.items() <= lived.items()
    assert [(one.name, one.detail) for one in check_all(data, quiet) if one.violations] == []


def quiet(what: str, events: int) -> None:
    """Nobody looks on."""


def test_a_life_that_was_cut_off_goes_on_from_snapshot_and_log(tmp_path):
    """The directory as a crash leaves it: an old snapshot, a log that is further."""
    data, crashed, lived = tmp_path / "data", tmp_path / "crashed", {}
    clock = ManualClock(EPOCH_US)

    async def first(client: Client) -> None:
        await live(client, Random(7))

    async def second(client: Client) -> None:
        for number in range(100, 140):
            await move(client, Random(number), number)
        await client.app.platform.indexed()
        lived.update(dumps(client.app.platform))
        shutil.copytree(data, crashed, ignore=shutil.ignore_patterns("admin.sock"))

    serve(data, first, clock=clock)
    serve(data, second, clock=clock, seed=6)
    again = opened(crashed, seed=7)
    assert 0 < again.snapshots.load()[0] < again.log.head.seq
    assert dumps(again) == lived
    again.close()


# ---- holds --------------------------------------------------------------------------------------


def test_a_hold_expires_on_its_second_and_its_money_is_free_again(tmp_path):
    async def scenario(client: Client) -> None:
        platform = client.app.platform
        await accounts(client)
        hold = transfer("h", 10**9, kind="pending", timeout_s=60)
        await post(client, "/v1/ledger/transfers", hold, "h")
        client.clock.advance_us(60_000_000 - 1)
        before = platform.journal.seq
        assert (platform.expire_due(), platform.journal.seq) == (0, before)
        client.clock.advance_us(1)
        assert (platform.expire_due(), platform.journal.seq) == (1, before + 1)
        assert platform.expire_due() == 0
        shown = (await client.admin.get("/v1/ledger/transfers/h")).json()
        assert (shown["result"], shown["state"]) == ("created", "expired")
        purse = (await client.admin.get("/v1/ledger/accounts/purse")).json()
        assert purse["available"] == euros(10**9)

    serve(tmp_path / "data", scenario)


def test_many_holds_that_are_due_at_once_expire_in_bounded_steps(tmp_path):
    async def scenario(client: Client) -> None:
        platform, ledger = client.app.platform, client.app.platform.memory.ledger
        await accounts(client)
        with platform.journal.command(tenant="main", request_id=platform.ids.new()) as command:
            for number in range(EXPIRE_AT_ONCE + 1):
                hold = Transfer(f"h{number}", "pending", "purse", "cash", 1, "EUR", "", 5)
                assert ledger.transfer(command, hold) == "created"
            command.commit()
        client.clock.advance_us(5_000_000)
        assert [platform.expire_due() for _ in range(3)] == [EXPIRE_AT_ONCE, 1, 0]

    serve(tmp_path / "data", scenario)


def test_holds_expire_by_themselves_while_the_server_lives(tmp_path, monkeypatch):
    monkeypatch.setattr(platform_module, "TICK_S", 0.001)

    async def scenario(client: Client) -> None:
        await accounts(client)
        hold = transfer("h", 5, kind="pending", timeout_s=1)
        await post(client, "/v1/ledger/transfers", hold, "h")
        client.clock.advance_us(1_000_000)
        ledger = client.app.platform.memory.ledger
        await until(lambda: ledger.entries["h"].state == "expired")

    serve(tmp_path / "data", scenario)


# ---- snapshots ----------------------------------------------------------------------------------


def test_a_snapshot_is_never_ahead_of_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(platform_module, "SNAPSHOT_EVENTS", 1)
    monkeypatch.setattr(platform_module, "TICK_S", 0.001)
    data, disk = tmp_path / "data", Disk()

    async def scenario(client: Client) -> None:
        platform = client.app.platform
        await accounts(client)
        await until(lambda: saved_seq(platform) == platform.journal.seq)
        with disk.stall():  # what memory knows from here on is not on disk
            durable = platform.log.head.seq
            moving = asyncio.create_task(move(client, Random(3), 1))
            await until(lambda: platform.journal.seq > durable)
            await ticks()
            assert saved_seq(platform) == platform.log.head.seq == durable
        await moving
        disk.fail_with = sqlite3.SQLITE_FULL
        refused = await client.admin.post(
            "/v1/ledger/transfers",
            json=transfer("lost", 5, "cash", "purse"),
            headers={"idempotency-key": "lost"},
        )
        assert refused.status_code == 503
        await ticks()
        assert saved_seq(platform) <= platform.log.head.seq
        assert platform.memory.ledger.entry("lost") is None
        disk.fail_with = None

    serve(data, scenario, open_database=disk.open)
    again = opened(data)
    assert again.memory.ledger.entry("lost") is None
    again.close()
    assert [(one.name, one.detail) for one in check_all(data, quiet) if one.violations] == []


def saved_seq(platform: Platform) -> int:
    return platform.snapshots.load()[0]


async def ticks() -> None:
    """Let the housekeeping pass several times."""
    for _ in range(30):
        await asyncio.sleep(0.001)


def test_a_snapshot_beyond_the_log_is_corruption(tmp_path):
    data = tmp_path / "data"
    serve(data, accounts)
    with sqlite3.connect(data / "state.db") as state:
        state.execute("UPDATE snapshots SET seq = 1000")
    state.close()
    with pytest.raises(LogCorrupt, match=r"snapshot in state\.db is at sequence 1000"):
        opened(data)


# ---- older than memory --------------------------------------------------------------------------


def test_an_answer_that_memory_forgot_is_given_again_byte_for_byte(tmp_path, monkeypatch):
    monkeypatch.setattr(idempotency, "REMEMBERED_MAX", 2)
    data, firsts = tmp_path / "data", {}
    bodies = {
        "a": transfer("a", 5, "cash", "purse"),
        "refused": transfer("b", 10**12),
        "c": transfer("c", 7, "cash", "purse"),
        "d": transfer("d", 9, "cash", "purse"),
    }

    async def send(client: Client, key: str):
        headers = {"idempotency-key": key}
        path = "/v1/ledger/transfers"
        return await client.admin.post(path, json=bodies[key], headers=headers)

    async def first(client: Client) -> None:
        await accounts(client)
        firsts.update({key: await send(client, key) for key in bodies})
        await again(client)

    async def again(client: Client) -> None:
        await client.app.platform.indexed()
        seq = client.app.platform.journal.seq
        for key, answer in firsts.items():
            repeated = await send(client, key)
            assert (repeated.status_code, repeated.content) == (answer.status_code, answer.content)
            assert repeated.headers["idempotency-replayed"] == "true"
        other = await client.admin.post(
            "/v1/ledger/transfers", json=bodies["c"], headers={"idempotency-key": "a"}
        )
        assert other.status_code == 422
        assert other.json()["type"] == "urn:ringwork:problem:idempotency-mismatch"
        assert client.app.platform.journal.seq == seq

    serve(data, first)
    serve(data, again, seed=6)


def test_a_transfer_older_than_memory_is_resolved_and_repeated_as_it_was(tmp_path):
    async def scenario(client: Client) -> None:
        await accounts(client)
        path = "/v1/ledger/transfers"
        open_ended = transfer("hold", 50, kind="pending")
        refused = transfer("big", 10**12)
        for body in (open_ended, refused, transfer("old", 5)):
            await post(client, path, body, body["id"])
        await post(client, path, {"id": "v", "kind": "void", "pending_id": "hold"}, "v")
        client.clock.advance_us(2 * HOUR_US)
        await post(client, path, transfer("new", 5), "new")
        known = client.app.platform.memory.ledger.entries
        assert known.keys() == {"new"}, "memory is bounded"

        for body, status in ((open_ended, 201), (refused, 409), (transfer("old", 5), 201)):
            answer = await client.admin.post(
                path, json=body, headers={"idempotency-key": f"again {body['id']}"}
            )
            assert answer.status_code == status, answer.text
        twice = {"id": "p", "kind": "post", "pending_id": "hold", "amount": euros(50)}
        answer = await post(client, path, twice, "p")
        assert answer["type"] == "urn:ringwork:problem:pending-already-voided"
        states = {}
        for id in ("hold", "big", "old", "v"):
            shown = (await client.admin.get(f"{path}/{id}")).json()
            states[id] = (shown["result"], shown["state"])
        assert states == {
            "hold": ("created", "voided"),
            "big": ("insufficient-funds", "refused"),
            "old": ("created", "closed"),
            "v": ("created", "closed"),
        }
        cash = (await client.admin.get("/v1/ledger/accounts/cash")).json()
        assert cash["credits_posted"] == euros(10), "nothing moved twice"

    serve(tmp_path / "data", scenario)


# ---- keys ---------------------------------------------------------------------------------------


def test_keys_outlive_a_restart_and_revoked_ones_stay_revoked(tmp_path):
    data, headers = tmp_path / "data", {}

    async def opens(client: Client, name: str) -> bool:
        return (await client.outside.get("/v1/campaigns", headers=headers[name])).status_code == 200

    async def first(client: Client) -> None:
        headers["kept"], headers["gone"] = await client.key("viewer"), await client.key("viewer")
        gone = headers["gone"]["authorization"].split("_")[1]
        for _ in range(2):  # again changes nothing
            revoked = await client.admin.delete(f"/v1/keys/{gone}")
            assert (revoked.status_code, revoked.json()["revoked"]) == (200, True)
        assert (await opens(client, "kept"), await opens(client, "gone")) == (True, False)
        unknown = await client.admin.delete(f"/v1/keys/{'0' * 12}")
        assert (unknown.status_code, unknown.json()["status"]) == (404, 404)
        assert (await client.admin.delete("/v1/keys/no-id")).status_code == 422

    async def second(client: Client) -> None:
        assert (await opens(client, "kept"), await opens(client, "gone")) == (True, False)
        listed = (await client.admin.get("/v1/keys")).json()["keys"]
        assert [key["revoked"] for key in listed] == [False, True]

    serve(data, first)
    serve(data, second, seed=6)


# ---- opening and closing ------------------------------------------------------------------------


def test_a_start_that_fails_holds_nothing(tmp_path):
    data = tmp_path / "data"
    serve(data, accounts)
    (data / "secrets.json").chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        opened(data)
    (data / "secrets.json").chmod(0o600)
    (data / "kek").chmod(0o644)
    with pytest.raises(ConfigurationError, match="kek"):
        opened(data)
    (data / "kek").chmod(0o600)
    platform = opened(data)
    with pytest.raises(Busy):
        opened(data)
    platform.close()
    platform.close()
    opened(data).close()
