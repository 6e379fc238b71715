"""The follower of a real ``ringwork serve``: what it keeps, and what becomes of it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from ringwork.app.memory import EVENTS, Memory
from ringwork.kernel.events import EventTypes
from ringwork.kernel.journal import appliers_of, replay
from ringwork.storage.sqlite.reader import SqliteLogReader
from tests.app.life import opened
from tests.app.logged import events_of, unbroken
from tests.crash.server import Server, is_running
from tests.crash.shop import BID_REQUEST, open_shop

RICH_NANOS = 10**9


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A directory with something to sell, and a key to it."""
    data = tmp_path_factory.mktemp("stocked") / "data"
    return data, open_shop(data, RICH_NANOS)


@pytest.fixture
def shop(stocked: tuple[Path, str], tmp_path: Path) -> Iterator[tuple[Server, httpx.Client]]:
    """A started server that sells, and a client with its key."""
    data, token = stocked
    shutil.copytree(data, tmp_path / "data")
    server = Server(tmp_path / "data")
    server.start()
    auth = {"authorization": f"Bearer {token}"}
    with httpx.Client(base_url=server.url, headers=auth, timeout=30) as client:
        yield server, client
    if is_running(server.pid):
        server.kill()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


def bill(client: httpx.Client, count: int) -> None:
    """Sell and bill impressions."""
    for _ in range(count):
        bid = client.post("/openrtb2/auction", json=BID_REQUEST).json()["seatbid"][0]["bid"][0]
        assert client.get(httpx.URL(bid["burl"]).path).status_code == 204


def billed(client: httpx.Client) -> int:
    """What a query says; who is told to come again (a follower that starts slowly) does."""
    until(lambda: client.get("/v1/ledger/totals").status_code == 200)
    return client.get("/v1/ledger/totals").json()["billed_impressions"]


def billed_in(data: Path) -> int:
    return sum(kind == "impression_billed" for kind, _ in events_of(data))


def replayed(data: Path) -> dict[str, bytes]:
    memory = Memory()
    reader = SqliteLogReader(data / "log")
    replay(reader.rows(), EventTypes(EVENTS), appliers_of(memory.folds))
    return {fold.name: fold.dump() for fold in memory.folds}


def test_what_was_just_answered_is_in_the_next_query(shop):
    server, client = shop
    for count in range(1, 6):
        bill(client, 1)
        assert billed(client) == count
    follower = server.follower
    assert follower is not None
    assert os.getpriority(os.PRIO_PROCESS, follower) >= 5, "requests come first"
    assert server.terminate() == 0
    assert not is_running(follower)
    platform = opened(server.data)
    assert platform.snapshots.load()[0] == platform.log.head.seq, "it saved the last snapshot"
    platform.close()
    unbroken(server.data)


def test_a_killed_follower_is_replaced_and_its_tables_are_right(shop):
    server, client = shop
    bill(client, 5)
    for count in (10, 15):  # the second one dies as well
        dead = server.follower
        os.kill(dead, signal.SIGKILL)
        until(lambda: client.get("/readyz").status_code == 503)
        said = client.get("/readyz").json()["checks"]["projections"]
        assert said.startswith("follower: the follower was ended by signal 9"), said
        bill(client, 5)  # serving does not need it
        until(lambda: client.get("/readyz").status_code == 200)
        assert server.follower not in (None, dead)
        assert billed(client) == count
    assert server.terminate() == 0
    assert server.lines.count("was ended by signal 9") == 2, "each death is logged once"
    assert billed_in(server.data) == 15
    unbroken(server.data)


def test_a_killed_server_leaves_no_follower_and_no_lock(shop):
    server, client = shop
    bill(client, 5)
    orphan = server.follower
    server.kill_alone()
    server.start()  # at once, whether or not the other one has noticed
    until(lambda: not is_running(orphan))
    bill(client, 5)
    assert billed(client) == 10
    server.kill_alone()
    server.start()
    assert billed(client) == 10
    lived = server.data.parent / "lived"
    shutil.copytree(server.data, lived, ignore=shutil.ignore_patterns("admin.sock"))
    assert server.terminate() == 0
    again = opened(server.data)
    assert {fold.name: fold.dump() for fold in again.memory.folds} == replayed(lived)
    again.close()
    unbroken(server.data)


def test_a_signal_to_the_whole_group_stops_both_cleanly(shop):
    server, client = shop
    bill(client, 5)
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 0)):
        follower = server.follower  # the second one is told to finish before its first line
        server.send(number)
        assert server.wait() == code
        assert not is_running(follower)
        platform = opened(server.data)
        assert platform.snapshots.load()[0] == platform.log.head.seq
        platform.close()
        if number == signal.SIGINT:
            server.start()
    assert "follower" not in server.lines, "nothing to say of a clean stop"


def test_a_follower_loads_nothing_that_serves():
    probe = "import sys, ringwork.app.follower; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    serving = {"litestar", "uvicorn", "jinja2", "httpx", "ringwork.console", "ringwork.app.compose"}
    assert serving.isdisjoint(done.stdout.split())
