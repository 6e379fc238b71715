"""What can go wrong, each with its named outcome; nothing acknowledged is lost."""

import asyncio
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import msgspec
import pytest

from ringwork.app import platform as platform_module
from ringwork.app.compose import create
from ringwork.app.lock import holder_of
from ringwork.app.settings import Settings
from ringwork.app.verify import check_all
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.errors import LogCorrupt, Unavailable
from ringwork.kernel.events import decode_frames
from ringwork.kernel.ids import format_id
from ringwork.storage.sqlite.reader import SqliteLogReader
from ringwork.storage.sqlite.state import SqliteSnapshots, State, read_state
from tests.app.served import EPOCH_US, Client, serve, until
from tests.crash.server import Server
from tests.crash.shop import BID_REQUEST, euros, open_shop
from tests.storage.disks import Disk

DAY_US = 86_400_000_000
SQLITE_IOERR_FSYNC = 1034  # the module names it from Python 3.12 on


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


def sold_in(data: Path) -> set[str]:
    """Impressions that the log knows as sold."""
    return {
        format_id(slot[7])
        for kind, payload in events_of(data)
        if kind == "auction_cleared"
        for slot in payload[3]
        if slot[7]
    }


def unbroken(data: Path) -> None:
    promises = check_all(data, lambda what, count: None)
    assert [(one.name, one.detail) for one in promises if one.violations] == []


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A stopped directory with a shop in it, and its key; made once, copied by each test."""
    data = tmp_path_factory.mktemp("shop") / "data"
    return data, open_shop(data, 4_000_000_000)


@pytest.fixture
def data(stocked: tuple[Path, str], tmp_path: Path) -> Path:
    return Path(shutil.copytree(stocked[0], tmp_path / "data"))


@pytest.fixture
def token(stocked: tuple[Path, str]) -> str:
    return stocked[1]


# ---- the process --------------------------------------------------------------------------------


def test_sigterm_under_load_answers_what_runs_and_loses_nothing(data):
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
    assert set(sold) <= sold_in(data)
    assert holder_of(data) is None
    engine = read_state(data / "state.db")
    snapshot_seq, _ = SqliteSnapshots(State(writer=engine, reader=engine)).load()
    engine.dispose()
    assert snapshot_seq == SqliteLogReader(data / "log").head.seq, "the next start replays nothing"
    server.start()
    assert httpx.get(f"{server.url}/readyz").json()["ready"] is True
    assert server.terminate() == 0
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


def test_a_corrupted_page_refuses_the_start_and_what_is_sound_is_saved(data, tmp_path):
    (path,) = (data / "log").glob("p0-*.db")
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT first_seq, payload FROM frames ORDER BY 1").fetchall()
        first_seq, payload = rows[len(rows) // 2]
        database.execute(
            "UPDATE frames SET payload = ? WHERE first_seq = ?", (payload[:-1] + b"\x00", first_seq)
        )
    database.close()
    (data / "state.db").unlink()  # or the snapshot would let the start skip the damaged part

    where = f"{path.name}: at sequence {first_seq}: "
    refused = command("serve", "--data", str(data), "--port", "1")
    assert (refused.returncode, refused.stdout) == (3, "")
    assert refused.stderr.startswith(f"ringwork: {where}")
    found = command("log", "verify", "--data", str(data))
    assert found.returncode == 3
    assert where in found.stdout
    assert "ringwork log salvage --out" in found.stdout
    with pytest.raises(LogCorrupt, match=f"sequence {first_seq}"):  # it stays refused
        create(Settings(data=str(data)))

    saved = tmp_path / "saved"
    done = command("log", "salvage", "--data", str(data), "--out", str(saved / "log"))
    assert done.returncode == 0, done.stderr
    assert command("log", "verify", "--data", str(saved)).returncode == 0
    unbroken(saved)
    server = Server(saved)
    server.start()
    assert server.terminate() == 0
    assert SqliteLogReader(saved / "log").head.seq == first_seq - 1


def test_a_log_that_lost_its_end_is_refused(data):
    (path,) = (data / "log").glob("p0-*.db")
    with sqlite3.connect(path) as database:
        (last,) = database.execute("SELECT max(first_seq) FROM frames").fetchone()
        database.execute("DELETE FROM frames WHERE first_seq = ?", (last,))
    database.close()
    with pytest.raises(LogCorrupt, match=f"the log ends at {last - 1}, its anchor at "):
        create(Settings(data=str(data)))


# ---- the disk -----------------------------------------------------------------------------------

MOVE = {
    "id": "m",
    "kind": "single",
    "debit_account": "cash",
    "credit_account": "purse",
    "amount": euros(5),
}
KEY = {"idempotency-key": "m"}
FULL = "urn:ringwork:problem:storage-full"


def test_a_full_disk_refuses_writes_keeps_reading_and_recovers_without_a_restart(tmp_path):
    data, disk = tmp_path / "data", Disk()

    async def scenario(client: Client) -> None:
        await client.stock()
        ready = (await client.outside.get("/readyz")).json()
        before = await client.outside.post("/openrtb2/auction", json=BID_REQUEST)
        assert (ready["ready"], before.status_code) == (True, 200)
        account = (await client.admin.get("/v1/ledger/accounts/purse")).json()

        disk.fail_with = sqlite3.SQLITE_FULL
        refused = await client.outside.post("/openrtb2/auction", json=BID_REQUEST)
        assert (refused.status_code, refused.json()["type"]) == (503, FULL)
        assert int(refused.headers["retry-after"]) > 0
        moved = await client.admin.post("/v1/ledger/transfers", json=MOVE, headers=KEY)
        assert (moved.status_code, moved.json()["type"]) == (503, FULL)
        ready = await client.outside.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]["log"]) == (503, "ok")
        assert ready.json()["checks"]["disk"].startswith("storage-full: ")
        assert (await client.outside.get("/healthz")).status_code == 200
        assert (await client.admin.get("/v1/ledger/accounts/purse")).json() == account

        disk.fail_with = None
        await until(lambda: is_admitted(client))
        assert (await client.outside.get("/readyz")).status_code == 200
        again = await client.admin.post("/v1/ledger/transfers", json=MOVE, headers=KEY)
        assert again.status_code == 201
        after = await client.outside.post("/openrtb2/auction", json=BID_REQUEST)
        assert after.status_code == 200

    serve(data, scenario, open_database=disk.open)
    unbroken(data)
    assert [kind for kind, members in events_of(data) if members[0] == "m"] == ["transfer_created"]


def is_admitted(client: Client) -> bool:
    try:
        client.app.platform.log.admit()
    except Unavailable:
        return False
    return True


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting needs root; the same without a real disk is tested above")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(65_536))
    return filler


def test_a_disk_that_is_really_full(small_disk, stocked, token):
    """Log, keys, projections and snapshot lie on it: each has to refuse, and to come back."""
    data = Path(shutil.copytree(stocked[0], small_disk / "data"))
    server = Server(data)
    server.start()
    headers = {"authorization": f"Bearer {token}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=30) as http:
        sold = [http.post("/openrtb2/auction", json=BID_REQUEST)]
        filler = fill(small_disk)
        contact = {"id": "z", "name": "Z", "domain": "z.example", "currency": "EUR", "contact": "Z"}
        refused = [http.post("/v1/advertisers", json=contact)]  # its key would be written first
        while (answer := http.post("/openrtb2/auction", json=BID_REQUEST)).status_code == 200:
            sold.append(answer)
        refused += [answer, http.post("/v1/ledger/transfers", json=MOVE, headers=KEY)]
        refused.append(http.post("/v1/erasures", json={"subject": "customer/x"}))
        assert {(one.status_code, one.json()["type"]) for one in refused} == {(503, FULL)}
        assert all(int(one.headers["retry-after"]) > 0 for one in refused)
        ready = http.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]["disk"][:12]) == (503, "storage-full")
        for path in ("/healthz", "/v1/ledger/accounts/purse", "/v1/log/events", "/v1/campaigns"):
            assert http.get(path).status_code == 200
        # What needs the projections says so, if they could not be written, and does not hang.
        trace = http.get(f"/v1/traces/{sold[-1].headers['x-request-id']}")
        assert trace.status_code in (200, 503)

        filler.unlink()
        wait_until_ready(http)
        assert http.post("/v1/ledger/transfers", json=MOVE, headers=KEY).status_code == 201
        assert http.get(f"/v1/traces/{sold[-1].headers['x-request-id']}").status_code == 200

        filler = fill(small_disk)
        while http.post("/openrtb2/auction", json=BID_REQUEST).status_code == 200:
            pass
        assert server.terminate() == 0, "a stop on a full disk is a clean one"
    assert "shutdown failed" not in server.lines
    filler.unlink()
    server.start()
    assert server.terminate() == 0
    assert {one.json()["seatbid"][0]["bid"][0]["id"] for one in sold} <= sold_in(data)
    unbroken(data)


def wait_until_ready(http: httpx.Client) -> None:
    deadline = time.monotonic() + 20
    while http.get("/readyz").status_code != 200:
        assert time.monotonic() < deadline, http.get("/readyz").text
        time.sleep(0.02)


def test_projections_that_do_not_follow_are_told_and_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(platform_module, "INDEXED_WITHIN_S", 0.01)

    async def scenario(client: Client) -> None:
        await client.stock()
        await client.app.platform.indexed()
        with sqlite3.connect(tmp_path / "data" / "state.db") as held:
            held.execute("BEGIN IMMEDIATE")  # as a full disk would, this keeps them from writing
            sold = await client.outside.post("/openrtb2/auction", json=BID_REQUEST)
            path = f"/v1/traces/{sold.headers['x-request-id']}"
            answer = await client.admin.get(path)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert "the projections are " in answer.json()["detail"]
            held.rollback()
        held.close()
        monkeypatch.setattr(platform_module, "INDEXED_WITHIN_S", 20)
        assert (await client.admin.get(path)).status_code == 200

    serve(tmp_path / "data", scenario)


def test_a_failed_sync_acknowledges_nothing(tmp_path):
    data, disk, fatal = tmp_path / "data", Disk(), []

    async def scenario(client: Client) -> None:
        await client.stock()
        disk.fail_with = SQLITE_IOERR_FSYNC
        answer = await client.outside.post("/openrtb2/auction", json=BID_REQUEST)
        assert answer.status_code == 503
        assert len(fatal) == 1, "the process would have ended with status 3"
        assert (await client.outside.get("/readyz")).status_code == 503

    serve(data, scenario, open_database=disk.open, on_fatal=fatal.append)


def test_a_write_that_fails_otherwise_ends_the_process_and_the_next_start_has_it_all(data):
    """A file that may not grow (EFBIG): what is on disk is unknown, so nothing goes on."""
    server = Server(data)
    server.start()
    with httpx.Client(base_url=server.url, timeout=20) as http:
        sold = [http.post("/openrtb2/auction", json=BID_REQUEST) for _ in range(20)]
        (wal,) = (data / "log").glob("*.db-wal")
        limit = wal.stat().st_size + 10_000
        resource.prlimit(holder_of(data).pid, resource.RLIMIT_FSIZE, (limit, limit))
        with suppress(httpx.HTTPError):
            while (answer := http.post("/openrtb2/auction", json=BID_REQUEST)).status_code == 200:
                sold.append(answer)
    assert server.wait() == 3
    assert "nothing more is acknowledged" in server.lines
    server.start()
    assert server.terminate() == 0
    assert {one.json()["seatbid"][0]["bid"][0]["id"] for one in sold} <= sold_in(data)
    unbroken(data)


# ---- the clock ----------------------------------------------------------------------------------


def test_a_clock_that_goes_back_changes_times_and_no_order(tmp_path):
    data = tmp_path / "data"

    async def scenario(client: Client) -> None:
        await client.stock()
        impressions = []
        for step_us in (0, -3_600_000_000, 7_200_000_000, -2 * 3_600_000_000, 1):
            client.clock.set_wall_us(client.clock.wall_us() + step_us)
            answer = await client.outside.post("/openrtb2/auction", json=BID_REQUEST)
            impressions.append(answer.json()["seatbid"][0]["bid"][0]["id"])
        assert impressions == sorted(set(impressions)), "ids go on increasing"
        await client.app.platform.journal.settled()
        events = (await client.admin.get("/v1/log/events?limit=1000")).json()["events"]
        assert [one["seq"] for one in events] == list(range(1, len(events) + 1))
        times = [one["ts_us"] for one in events]
        assert times != sorted(times), "records say what the clock said"
        assert [one["id"] for one in events if one["type"] == "auction_cleared"] == sorted(
            one["id"] for one in events if one["type"] == "auction_cleared"
        )

    serve(data, scenario)
    unbroken(data)


def test_a_clock_that_goes_back_frees_no_budget(tmp_path):
    """0.0003 per sale while 0.0004 is free of a day's 0.0015: four a day, whatever the clock says."""
    data = tmp_path / "data"

    async def sells(client: Client) -> int:
        """How many sell at this time; each is seen at once."""
        sold = 0
        while True:
            answer = await client.outside.post("/openrtb2/auction", json=BID_REQUEST)
            if answer.status_code == 204:
                return sold
            sold += 1
            beacon = answer.json()["seatbid"][0]["bid"][0]["burl"]
            assert (await client.outside.get(beacon)).status_code == 204

    async def scenario(client: Client) -> None:
        await client.stock()
        change = {"bid_nanos": 400_000, "daily_budget": euros(1_500_000)}
        changed = await client.admin.patch("/v1/campaigns/c", json=change, headers=KEY)
        assert changed.status_code == 200
        noon = EPOCH_US - EPOCH_US % DAY_US + DAY_US // 2
        told = []
        for hours in (0, -2, 24, 22, 0, 25, 48, 24):
            client.clock.set_wall_us(noon + hours * 3_600_000_000)
            told.append((hours, await sells(client)))
        assert told == [
            (0, 4), (-2, 0), (24, 4), (22, 0), (0, 0), (25, 0), (48, 4), (24, 0),
        ]  # fmt: skip

    serve(data, scenario)
    unbroken(data)


def test_a_clock_that_goes_back_revives_no_hold(tmp_path):
    data = tmp_path / "data"

    async def scenario(client: Client) -> None:
        await client.stock()
        beacons = []
        for _ in range(3):
            sold = await client.outside.post("/openrtb2/auction", json=BID_REQUEST)
            beacons.append(sold.json()["seatbid"][0]["bid"][0]["burl"])
        early, late, _ = beacons
        client.clock.set_wall_us(EPOCH_US - 3_600_000_000)
        await client.outside.get(early)
        client.clock.set_wall_us(EPOCH_US + 3_600_000_000)
        await client.outside.get(late)
        assert client.app.platform.expire_due() == 2
        client.clock.set_wall_us(EPOCH_US)
        for _ in range(2):
            for beacon in beacons:
                assert (await client.outside.get(beacon)).status_code == 204
        account = (await client.admin.get("/v1/ledger/accounts/campaign/c")).json()
        assert account["debits_posted"] == euros(300_000), "the early one, once"
        assert account["debits_pending"] == euros(0)

    serve(data, scenario)
    unbroken(data)
    kinds = [kind for kind, _ in events_of(data)]
    assert kinds.count("impression_billed") == 1
    assert kinds.count("transfer_expired") == 2


# ---- beacons ------------------------------------------------------------------------------------


async def beacons_of(client: Client, count: int) -> list[str]:
    sold = [await client.outside.post("/openrtb2/auction", json=BID_REQUEST) for _ in range(count)]
    return [httpx.URL(one.json()["seatbid"][0]["bid"][0]["burl"]).path for one in sold]


async def statuses(client: Client, *paths: str) -> list[int]:
    return [(await client.outside.get(path)).status_code for path in paths]


def test_beacons_first_repeated_late_and_forged(tmp_path):
    data = tmp_path / "data"

    async def scenario(client: Client) -> None:
        await client.stock()
        first, late, forged = await beacons_of(client, 3)
        assert await statuses(client, first, first, first) == [204, 204, 204]
        flipped = "A" if forged[20] != "A" else "B"
        forgeries = [
            forged[:-4] + "AAAA",
            forged[:20] + flipped + forged[21:],
            forged.replace("/b/", "/c/"),
            forged[:-1],
            forged + "A",
            "/b/x",
            "/b/" + "A" * 3000,
        ]
        assert await statuses(client, *forgeries) == [404] * len(forgeries)
        client.clock.advance_us(3_600_000_000)
        assert await statuses(client, late, late) == [204, 204]
        account = (await client.admin.get("/v1/ledger/accounts/campaign/c")).json()
        assert account["debits_posted"] == euros(300_000)

    serve(data, scenario)
    unbroken(data)
    kinds = [kind for kind, _ in events_of(data)]
    assert kinds.count("impression_billed") == 1
    assert kinds.count("impression_unbilled") == 1


def test_a_beacon_that_is_replayed_at_once_or_after_a_restart_bills_once(tmp_path):
    data, clock, kept = tmp_path / "data", ManualClock(EPOCH_US), []

    async def first(client: Client) -> None:
        await client.stock()
        kept.extend(await beacons_of(client, 2))
        answers = await asyncio.gather(*(client.outside.get(kept[0]) for _ in range(20)))
        assert {one.status_code for one in answers} == {204}

    async def second(client: Client) -> None:
        assert await statuses(client, *kept, *kept) == [204] * 4

    async def elsewhere(client: Client) -> None:
        await client.stock()
        assert await statuses(client, *kept) == [404, 404], "signed by another installation"

    serve(data, first, clock=clock)
    serve(data, second, clock=clock, seed=6)
    serve(tmp_path / "other", elsewhere, clock=clock, seed=7)
    unbroken(data)
    assert [kind for kind, _ in events_of(data)].count("impression_billed") == 2
