"""What ends or refuses a server process, each with its named outcome; nothing acknowledged is lost."""

import asyncio
import signal
import sqlite3
import subprocess
import sys

import httpx
import pytest

from ringwork.app.compose import create
from ringwork.app.lock import holder_of
from ringwork.app.settings import Settings
from ringwork.kernel.errors import LogCorrupt
from ringwork.storage.snapshot_file import FileSnapshots
from ringwork.storage.sqlite.reader import SqliteLogReader
from tests.app.logged import sold_in, unbroken
from tests.crash.server import Server
from tests.crash.shop import BID_REQUEST


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ringwork", *arguments], capture_output=True, text=True, check=False, timeout=60
    )  # fmt: skip


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
    snapshot_seq, _ = FileSnapshots(data).load()
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
    (data / "snapshot.bin").unlink()  # or it would let the start skip the damaged part

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
