"""A disk that is full, stalls or fails: refused by name, read on, recovered; nothing is lost."""

import resource
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from ringwork.app import store as store_module
from ringwork.app.lock import holder_of
from tests.app.logged import events_of, sold_in, unbroken
from tests.app.served import Client, is_admitted, serve, until
from tests.crash.server import Server
from tests.crash.shop import BID_REQUEST, euros
from tests.storage.disks import Disk

SQLITE_IOERR_FSYNC = 1034  # the module names it from Python 3.12 on


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
    async def scenario(client: Client) -> None:
        await client.stock()
        await client.app.platform.indexed()
        monkeypatch.setattr(store_module, "INDEXED_WITHIN_S", 0.01)
        with sqlite3.connect(tmp_path / "data" / "state.db") as held:
            held.execute("BEGIN IMMEDIATE")  # as a full disk would, this keeps them from writing
            sold = await client.outside.post("/openrtb2/auction", json=BID_REQUEST)
            path = f"/v1/traces/{sold.headers['x-request-id']}"
            answer = await client.admin.get(path)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert "the projections are " in answer.json()["detail"]
            held.rollback()
        held.close()
        monkeypatch.setattr(store_module, "INDEXED_WITHIN_S", 20)
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
