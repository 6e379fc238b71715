"""What can go wrong, each with its named outcome; nothing acknowledged is lost."""

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import httpx
import msgspec
import pytest

from ringwork.app.call import Reply, request
from ringwork.app.compose import Application, create
from ringwork.app.settings import Settings
from ringwork.app.verify import check_all
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.errors import LogCorrupt
from ringwork.kernel.events import decode_frames
from ringwork.storage.sqlite.reader import SqliteLogReader
from tests.crash.server import Server
from tests.crash.shop import BID_REQUEST, euros, open_shop
from tests.storage.disks import Disk

EPOCH_US = 1_764_158_400_000_000


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ringwork", *arguments], capture_output=True, text=True, check=False, timeout=60
    )  # fmt: skip


def events_of(data: Path) -> list[tuple[str, list[object]]]:
    return [
        (envelope.type, msgspec.msgpack.decode(envelope.payload))
        for row in SqliteLogReader(data / "log").rows()
        for frame in decode_frames(row.payload)
        for envelope in frame.events
    ]


def unbroken(data: Path) -> None:
    promises = check_all(data, lambda what, count: None)
    assert [(one.name, one.detail) for one in promises if one.violations] == []


# ---- the process --------------------------------------------------------------------------------


def test_sigterm_under_load_answers_what_runs_and_loses_nothing(tmp_path):
    data = tmp_path / "data"
    open_shop(data, 4_000_000_000)
    server = Server(data)
    server.start()
    sold: list[str] = []

    async def ask(http: httpx.AsyncClient) -> None:
        try:
            while True:
                answer = await http.post("/openrtb2/auction", json=BID_REQUEST)
                if answer.status_code == 200:
                    sold.append(answer.json()["seatbid"][0]["bid"][0]["id"])
        except httpx.HTTPError:
            return

    async def load() -> None:
        async with httpx.AsyncClient(base_url=server.url, timeout=20) as http:
            asking = [asyncio.create_task(ask(http)) for _ in range(16)]
            while len(sold) < 40:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            server.send(signal.SIGTERM)
            await asyncio.gather(*asking)

    asyncio.run(load())
    assert server.wait() == 0
    in_log = {
        bytes(slot[7]).hex()
        for kind, payload in events_of(data)
        if kind == "auction_cleared"
        for slot in payload[3]
        if slot[7]
    }
    assert {id.replace("-", "") for id in sold} <= in_log
    unbroken(data)


def test_a_second_server_is_told_who_is_there(tmp_path):
    server = Server(tmp_path / "data")
    server.start()
    second = command("serve", "--data", str(tmp_path / "data"), "--port", str(server.port))
    assert second.returncode == 4
    assert f"which serves {server.url}" in second.stderr
    assert "--data" in second.stderr
    assert httpx.get(f"{server.url}/readyz").status_code == 200
    assert server.terminate() == 0


def test_a_head_that_is_too_large_is_431_and_the_server_goes_on(tmp_path):
    server = Server(tmp_path / "data")
    server.start()
    answer = httpx.get(f"{server.url}/healthz", headers={"x-filler": "x" * 40_000})
    assert answer.status_code == 431
    assert answer.json()["type"] == "urn:ringwork:problem:head-too-large"
    assert httpx.get(f"{server.url}/healthz", headers={"x-filler": "x" * 20_000}).status_code == 200
    assert server.terminate() == 0


def test_a_corrupted_page_refuses_the_start_and_what_is_sound_is_saved(tmp_path):
    data = tmp_path / "data"
    open_shop(data)
    (path,) = (data / "log").glob("p0-*.db")
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT first_seq, payload FROM frames ORDER BY 1").fetchall()
        first_seq, payload = rows[len(rows) // 2]
        database.execute(
            "UPDATE frames SET payload = ? WHERE first_seq = ?", (payload[:-1] + b"\x00", first_seq)
        )
    database.close()
    (data / "state.db").unlink()  # or the snapshot would let the start skip the damaged part

    refused = command("serve", "--data", str(data), "--port", "1")
    assert refused.returncode in (2, 3)
    found = command("log", "verify", "--data", str(data))
    assert found.returncode == 3
    assert path.name in found.stdout
    assert f"sequence {first_seq}" in found.stdout
    assert command("verify", "--data", str(data)).returncode == 1

    saved = command("log", "salvage", "--data", str(data), "--out", str(tmp_path / "saved" / "log"))
    assert saved.returncode == 0, saved.stderr
    assert command("log", "verify", "--data", str(tmp_path / "saved")).returncode == 0


def test_a_log_that_lost_its_end_is_refused(tmp_path):
    data = tmp_path / "data"
    open_shop(data)
    (path,) = (data / "log").glob("p0-*.db")
    with sqlite3.connect(path) as database:
        (last,) = database.execute("SELECT max(first_seq) FROM frames").fetchone()
        database.execute("DELETE FROM frames WHERE first_seq = ?", (last,))
    database.close()
    with pytest.raises(LogCorrupt, match="anchor"):
        create(Settings(data=str(data)))


# ---- the disk -----------------------------------------------------------------------------------


class Shop:
    """An application in this process, on a disk and a clock that a test moves."""

    def __init__(self, data: Path) -> None:
        self.token = open_shop(data, 4_000_000_000)
        self.disk = Disk()
        self.clock = ManualClock(EPOCH_US + 40 * 365 * 86_400_000_000)
        self.fatal: list[Exception] = []
        self.app: Application = create(
            Settings(data=str(data)), clock=self.clock, entropy=SeededEntropy(3),
            on_fatal=self.fatal.append, open_database=self.disk.open,
        )  # fmt: skip

    async def post(self, path: str, body: object, **headers: str) -> Reply:
        given = {"content-type": "application/json", **headers}
        return await request(self.app.local_admin, "POST", path, json.dumps(body).encode(), given)

    async def get(self, path: str) -> Reply:
        return await request(self.app.local_admin, "GET", path, b"", {})


def test_a_full_disk_refuses_writes_keeps_reading_and_recovers_without_a_restart(tmp_path):
    data = tmp_path / "data"

    async def live(shop: Shop) -> None:
        async with shop.app.platform.lifespan(shop.app):
            before = await shop.post("/openrtb2/auction", BID_REQUEST)
            assert before.status == 200
            account = (await shop.get("/v1/ledger/accounts/purse")).json

            shop.disk.fail_with = sqlite3.SQLITE_FULL
            refused = await shop.post("/openrtb2/auction", BID_REQUEST)
            assert refused.status == 503
            assert refused.json["type"] == "urn:ringwork:problem:storage-full"
            move = {
                "id": "m",
                "kind": "single",
                "debit_account": "cash",
                "credit_account": "purse",
                "amount": euros(5),
            }
            assert (
                await shop.post("/v1/ledger/transfers", move, **{"idempotency-key": "m"})
            ).status == 503
            ready = await shop.get("/readyz")
            assert ready.status == 503
            assert ready.json["checks"]["disk"] != "ok"
            assert (await shop.get("/healthz")).status == 200
            assert (await shop.get("/v1/ledger/accounts/purse")).json == account

            shop.disk.fail_with = None
            for _ in range(400):  # the writer probes once a second; the loop turns meanwhile
                if (await shop.get("/readyz")).status == 200:
                    break
                await asyncio.sleep(0.01)
            again = await shop.post("/v1/ledger/transfers", move, **{"idempotency-key": "m"})
            assert again.status == 201
            assert (await shop.post("/openrtb2/auction", BID_REQUEST)).status == 200

    asyncio.run(live(Shop(data)))
    unbroken(data)
    moves = [
        payload
        for kind, payload in events_of(data)
        if kind == "transfer_created" and payload[0] == "m"
    ]
    assert len(moves) == 1


def test_a_failed_sync_acknowledges_nothing(tmp_path):
    data = tmp_path / "data"

    async def live(shop: Shop) -> None:
        async with shop.app.platform.lifespan(shop.app):
            shop.disk.fail_with = (
                sqlite3.SQLITE_IOERR_FSYNC if hasattr(sqlite3, "SQLITE_IOERR_FSYNC") else 1034
            )
            answer = await shop.post("/openrtb2/auction", BID_REQUEST)
            assert answer.status == 503
            assert len(shop.fatal) == 1, "the process would have ended with status 3"

    asyncio.run(live(Shop(data)))


# ---- the clock ----------------------------------------------------------------------------------


def test_a_clock_that_goes_back_changes_no_order_and_frees_no_budget(tmp_path):
    data = tmp_path / "data"

    async def live(shop: Shop) -> None:
        async with shop.app.platform.lifespan(shop.app):
            impressions = []
            for step_us in (0, -3_600_000_000, 7_200_000_000, -86_400_000_000, 1):
                shop.clock.set_wall_us(shop.clock.wall_us() + step_us)
                answer = await shop.post("/openrtb2/auction", BID_REQUEST)
                if answer.status == 200:
                    impressions.append(answer.json["seatbid"][0]["bid"][0]["id"])
            assert impressions == sorted(impressions), "ids go on increasing"
            assert len(impressions) >= 3

    asyncio.run(live(Shop(data)))
    unbroken(data)


# ---- beacons ------------------------------------------------------------------------------------


def test_beacons_first_repeated_late_and_forged(tmp_path):
    data = tmp_path / "data"

    async def live(shop: Shop) -> None:
        async with shop.app.platform.lifespan(shop.app):
            bids = []
            for _ in range(3):
                answer = await shop.post("/openrtb2/auction", BID_REQUEST)
                bids.append(httpx.URL(answer.json["seatbid"][0]["bid"][0]["burl"]).path)
            first, late, forged = bids
            assert [(await shop.get(first)).status for _ in range(3)] == [204, 204, 204]
            assert (await shop.get(forged[:-4] + "AAAA")).status == 404
            assert (await shop.get("/b/" + "A" * 3000)).status == 404
            shop.clock.advance_us(3_600_000_000)
            assert [(await shop.get(late)).status for _ in range(2)] == [204, 204]

    asyncio.run(live(Shop(data)))
    unbroken(data)
    kinds = [kind for kind, _ in events_of(data)]
    assert kinds.count("impression_billed") == 1
    assert kinds.count("impression_unbilled") == 1
