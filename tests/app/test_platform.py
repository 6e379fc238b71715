"""The platform over its life: holds that expire, snapshots, and what memory forgot."""

import asyncio
import gc
import sqlite3
import weakref
from random import Random

import pytest

from ringwork.app import keeper as keeper_module
from ringwork.app import store as store_module
from ringwork.app.platform import EXPIRE_AT_ONCE, Platform
from ringwork.kernel.errors import Busy, ConfigurationError, LogCorrupt
from ringwork.kernel.ledger import Transfer
from ringwork.storage.snapshot_file import FileSnapshots
from ringwork.web import idempotency
from tests.app.life import accounts, move, opened, post, transfer
from tests.app.logged import unbroken
from tests.app.served import Client, is_admitted, serve, until
from tests.crash.shop import euros
from tests.storage.disks import Disk

HOUR_US = 3_600_000_000


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
    monkeypatch.setattr(store_module, "TICK_S", 0.001)

    async def scenario(client: Client) -> None:
        await accounts(client)
        hold = transfer("h", 5, kind="pending", timeout_s=1)
        await post(client, "/v1/ledger/transfers", hold, "h")
        client.clock.advance_us(1_000_000)
        ledger = client.app.platform.memory.ledger
        await until(lambda: ledger.entries["h"].state == "expired")

    serve(tmp_path / "data", scenario)


def test_a_hold_that_is_due_while_the_disk_is_full_expires_when_there_is_room(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(store_module, "TICK_S", 0.001)
    disk = Disk()

    async def scenario(client: Client) -> None:
        await accounts(client)
        hold = transfer("h", 5, kind="pending", timeout_s=1)
        await post(client, "/v1/ledger/transfers", hold, "h")
        ledger = client.app.platform.memory.ledger
        disk.fail_with = sqlite3.SQLITE_FULL
        client.clock.advance_us(1_000_000)
        await until(lambda: not is_admitted(client))
        await ticks()
        disk.fail_with = None
        await until(lambda: ledger.entries["h"].state == "expired")
        await until(lambda: client.app.platform.log.waiting_events == 0)
        shown = (await client.admin.get("/v1/ledger/transfers/h")).json()
        assert shown["state"] == "expired"

    serve(tmp_path / "data", scenario, open_database=disk.open)


# ---- snapshots ----------------------------------------------------------------------------------


def test_a_snapshot_is_never_ahead_of_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "SNAPSHOT_EVENTS", 1)
    monkeypatch.setattr(keeper_module, "LOADED_BYTES_PER_EVENT", 10**9)
    monkeypatch.setattr(store_module, "TICK_S", 0.001)
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
    unbroken(data)


def saved_seq(platform: Platform) -> int:
    return platform.snapshots.load()[0]


async def ticks() -> None:
    """Let the housekeeping pass several times."""
    for _ in range(30):
        await asyncio.sleep(0.001)


def test_a_snapshot_beyond_the_log_is_corruption(tmp_path):
    data = tmp_path / "data"
    serve(data, accounts)
    snapshots = FileSnapshots(data)
    snapshots.save(1000, snapshots.load()[1])
    with pytest.raises(
        LogCorrupt, match="the snapshot is at sequence 1000; put the log's end back"
    ):
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
    kept = (data / "secrets.json").read_bytes()
    (data / "secrets.json").write_bytes(kept[:-9])
    with pytest.raises(ConfigurationError, match="restore it from a backup"):
        opened(data)
    (data / "secrets.json").write_bytes(kept)
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


# ---- closing ------------------------------------------------------------------------------------


def test_a_closed_application_is_forgotten_by_the_process_that_goes_on(tmp_path):
    """What a test worker or an embedding process would otherwise pile up."""
    platforms: list[weakref.ref[Platform]] = []

    async def scenario(client: Client) -> None:
        platforms.append(weakref.ref(client.app.platform))
        await client.stock()
        assert (await client.outside.get("/openapi.json")).status_code == 200

    for number in range(3):
        serve(tmp_path / str(number), scenario)
    gc.collect()
    assert [one() for one in platforms[:2]] == [None, None]
