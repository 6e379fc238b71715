"""The server's side of its follower, with a real one: waiting, trouble, deaths, the end."""

import asyncio
import os
import shutil
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
import sqlalchemy as sa

from ringwork.app import follower as follower_module
from ringwork.app import following
from ringwork.app import store as store_module
from ringwork.app.follower import Follower
from ringwork.app.following import Following
from ringwork.app.link import (
    Announce,
    Begin,
    Finish,
    FollowerEnd,
    Learned,
    Progress,
    ServerGone,
    decode_progress,
    encode,
)
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.errors import LogCorrupt, Unavailable
from ringwork.kernel.ports import Head
from ringwork.storage.snapshot_file import FileSnapshots
from ringwork.storage.sqlite.history import open_history
from ringwork.storage.sqlite.keys import SqliteKeyStore
from ringwork.storage.sqlite.reader import SqliteLogReader
from ringwork.storage.sqlite.state import open_state
from ringwork.storage.standing import Standing
from tests.app.life import opened, post
from tests.app.logged import unbroken
from tests.app.served import Client, serve, until
from tests.app.test_restart import dumps
from tests.crash.server import follower_of, is_running

PUBLISHERS = 30


async def publish(client: Client, count: int = 1, since: int = 0) -> None:
    """Make events, one frame after another."""
    for number in range(since, since + count):
        body = {"id": f"p{number}", "name": "P", "domain": f"p{number}.example"}
        await post(client, "/v1/publishers", body, f"p{number}")


def follower() -> int | None:
    return follower_of(os.getpid())


async def followed(client: Client) -> int:
    """The follower's process id, once it works."""
    await caught_up(client)
    found = follower()
    assert found is not None
    return found


async def caught_up(client: Client) -> None:
    """However long a follower takes to start on a busy machine."""
    await client.app.platform.journal.settled()
    await until(lambda: client.app.platform.projections.lag == 0)


def saved_seq(platform) -> int:
    return platform.snapshots.load()[0]


# ---- snapshots ----------------------------------------------------------------------------------


def test_the_next_start_goes_on_from_the_followers_snapshot(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "SNAPSHOT_EVENTS", 20)
    data, crashed, lived = tmp_path / "data", tmp_path / "crashed", {}

    async def scenario(client: Client) -> None:
        platform = client.app.platform
        await publish(client, PUBLISHERS)
        await until(lambda: saved_seq(platform) >= 20)
        await publish(client, 3, since=PUBLISHERS)
        await caught_up(client)
        assert 20 <= saved_seq(platform) <= platform.log.head.seq
        lived.update(dumps(platform))
        shutil.copytree(data, crashed)

    serve(data, scenario, follower_process=True)
    assert follower() is None
    cut_off = opened(crashed, seed=6)
    seq = saved_seq(cut_off)
    assert cut_off.journal.refold() == cut_off.log.head.seq - seq < cut_off.log.head.seq
    assert dumps(cut_off) == lived, "snapshot and log give what the server had"
    cut_off.close()
    stopped = opened(data, seed=6)
    assert saved_seq(stopped) == stopped.log.head.seq, "a clean stop leaves nothing to replay"
    assert dumps(stopped) == lived
    stopped.close()
    unbroken(data)


def test_a_follower_that_does_not_finish_is_killed_and_costs_a_replay(tmp_path, monkeypatch):
    monkeypatch.setattr(following, "FINISH_WITHIN_S", 0.05)
    data, lived = tmp_path / "data", {}

    async def scenario(client: Client) -> None:
        await publish(client)
        os.kill(await followed(client), signal.SIGSTOP)
        lived.update(dumps(client.app.platform))

    serve(data, scenario, follower_process=True)
    assert follower() is None
    again = opened(data, seed=6)
    assert saved_seq(again) == 0
    assert dumps(again) == lived
    again.close()


# ---- waiting ------------------------------------------------------------------------------------


def test_many_wait_at_once_each_for_what_they_wrote(tmp_path):
    async def scenario(client: Client) -> None:
        platform = client.app.platform

        async def one(number: int) -> None:
            await publish(client, since=number)
            written = platform.log.head.seq
            await platform.indexed()
            with platform.state.reader.begin() as connection:
                query = sa.text("SELECT count(*) FROM request_events WHERE seq <= :seq")
                assert connection.execute(query, {"seq": written}).scalar() == written

        await caught_up(client)
        await asyncio.gather(*map(one, range(8)))

    serve(tmp_path / "data", scenario, follower_process=True)


def test_who_waits_when_the_follower_dies_is_told_and_may_come_again(tmp_path):
    async def scenario(client: Client) -> None:
        platform = client.app.platform
        await publish(client)
        dying = await followed(client)
        os.kill(dying, signal.SIGSTOP)
        await publish(client, since=1)
        waiting = asyncio.create_task(platform.indexed())
        gives_up = asyncio.create_task(platform.projections.caught_up(platform.log.head.seq))
        await asyncio.sleep(0)
        gives_up.cancel()
        os.kill(dying, signal.SIGKILL)
        with pytest.raises(Unavailable, match=r"not-ready: .*was ended by signal 9"):
            await waiting
        assert "was ended by signal 9" in platform.projections.troubles["follower"]
        answer = await client.admin.get("/v1/ledger/totals")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        await until(lambda: not platform.projections.troubles)
        await caught_up(client)
        assert platform.projections.lag == 0

    serve(tmp_path / "data", scenario, follower_process=True)


# ---- trouble ------------------------------------------------------------------------------------


def rename(data, table: str, name: str) -> None:
    with sqlite3.connect(data / "state.db", timeout=20) as state:
        state.execute(f"ALTER TABLE {table} RENAME TO {name}")
    state.close()


def test_trouble_of_the_store_is_shown_and_passes(tmp_path):
    data = tmp_path / "data"

    async def scenario(client: Client) -> None:
        platform = client.app.platform
        await publish(client)
        await followed(client)
        rename(data, "request_events", "hidden")
        await publish(client, since=1)
        await until(lambda: "runner" in platform.projections.troubles)
        assert "no such table: request_events" in platform.projections.troubles["runner"]
        assert (await client.outside.get("/readyz")).status_code == 503
        rename(data, "hidden", "request_events")
        await caught_up(client)
        assert (await client.outside.get("/readyz")).status_code == 200

    serve(data, scenario, follower_process=True)


def test_a_snapshot_that_cannot_be_saved_is_trouble_of_the_snapshots_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "SNAPSHOT_EVENTS", 2)
    data = tmp_path / "data"

    async def scenario(client: Client) -> None:
        platform = client.app.platform
        (data / "snapshot.bin").mkdir()  # nothing can be renamed to this
        await publish(client, PUBLISHERS)
        await until(lambda: "snapshots" in platform.projections.troubles)
        await caught_up(client)
        (data / "snapshot.bin").rmdir()
        await publish(client, 2, since=PUBLISHERS)
        await until(lambda: saved_seq(platform) > 0 and not platform.projections.troubles)

    async def first(client: Client) -> None:
        await caught_up(client)

    serve(data, first, follower_process=True)
    serve(data, scenario, seed=6, follower_process=True)


def test_a_checkpoint_beyond_the_log_stops_the_start(tmp_path):
    data = tmp_path / "data"

    async def scenario(client: Client) -> None:
        await publish(client)
        await caught_up(client)

    serve(data, scenario, follower_process=True)
    with sqlite3.connect(data / "state.db") as state:
        state.execute("UPDATE checkpoints SET seq = 1000")
    state.close()
    with pytest.raises(LogCorrupt, match="before this checkpoint"):
        serve(data, scenario, follower_process=True)


# ---- the follower's own side, in this process ----------------------------------------------------


@contextmanager
def working(
    data, connection: socket.socket, head: Head, *, learns: bool = True
) -> Iterator[Follower]:
    begin = Begin(str(data), "info", 10**9, head, 200, learns)
    keys = SqliteKeyStore.open(data / "keys.db", data / "kek", entropy=SeededEntropy(1))
    with (
        closing(open_state(data / "state.db")) as state,
        closing(open_history(data / "history.db")) as history,
        closing(keys),
    ):
        yield Follower(FollowerEnd(connection), begin, state, history, keys)


def test_it_finishes_once_it_was_told_so_whatever_comes_after(tmp_path):
    data = tmp_path / "data"
    serve(data, publish)
    with sqlite3.connect(data / "state.db") as store:
        store.execute("UPDATE checkpoints SET seq = 0")
    store.close()
    (data / "snapshot.bin").unlink()
    head = SqliteLogReader(data / "log").head
    ours, theirs = socket.socketpair()
    with ours, theirs, working(data, theirs, head) as follower:
        follower.hear([Finish(head), Announce(head)])
        follower.follow()
        assert FileSnapshots(data).load()[0] == head.seq
        said = [decode_progress(line) for line in ours.recv(10_000).splitlines()]
        assert said == [Progress(Standing(0))], "the next start goes on with the projections"


def test_where_nothing_is_sold_it_learns_nothing(tmp_path, monkeypatch):
    data = tmp_path / "data"
    serve(data, publish)
    head = SqliteLogReader(data / "log").head
    monkeypatch.setattr(follower_module, "LearnerThread", None)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with working(data, theirs, head, learns=False) as follower:
            follower.hear([Finish(head)])
            follower.follow()
        (said,) = [decode_progress(line) for line in ours.recv(10_000).splitlines()]
        assert said.learned == Learned()
        with pytest.raises(TypeError), working(data, theirs, head):
            pytest.fail("there is no learner to start")


def test_lines_may_come_in_pieces_and_the_end_of_the_server_is_noticed(tmp_path):
    ours, theirs = socket.socketpair()
    heads = [Announce(Head(0, seq, bytes(32))) for seq in (1, 2, 3)]
    with theirs:
        end = FollowerEnd(theirs)
        assert end.receive(0) == []
        text = b"".join(map(encode, heads))
        received = []
        for at in range(0, len(text), 50):
            ours.sendall(text[at : at + 50])
            received += end.receive(None)
        assert received == heads
        ours.sendall(text[:50])
        ours.close()
        assert end.receive(None) == [], "a torn line says nothing"
        with pytest.raises(ServerGone):
            end.receive(None)
        with pytest.raises(ServerGone):
            end.send(Progress(Standing(1)))


# ---- a follower that cannot work ----------------------------------------------------------------


class Still:
    """A log that nothing is written to."""

    head = Head(0, 7, b"")


def follow_with(monkeypatch, command: str, scenario) -> None:
    """Run ``scenario`` with followers that do ``command``."""
    monkeypatch.setattr(following, "_COMMAND", (sys.executable, "-c", command))
    monkeypatch.setattr(following, "PAUSE_MIN_S", 0.001)
    monkeypatch.setattr(following, "PAUSE_MAX_S", 0.004)

    async def live() -> None:
        followed = Following(
            Still(), data="d", log_level="info", snapshot_events=1, history_rows=9, seq=3
        )
        followed.start()
        await scenario(followed)
        began = time.monotonic()
        await followed.finish()
        await followed.finish()
        assert time.monotonic() - began < following.FINISH_WITHIN_S
        assert followed._process is None
        followed.close()

    asyncio.run(live())


def test_a_follower_that_cannot_start_is_tried_again_and_again(monkeypatch, tmp_path):
    tries = tmp_path / "tries"

    async def scenario(followed: Following) -> None:
        assert (followed.seq, followed.lag, followed.troubles) == (3, 4, {})
        with pytest.raises(Unavailable, match="ended with code 7"):
            await followed.caught_up(5)
        await followed.caught_up(3)
        await until(lambda: len(tries.read_text()) > 3)
        assert followed.troubles["follower"].startswith("the follower ended with code 7; the next")

    command = f"open({str(tries)!r}, 'a').write('.'); raise SystemExit(7)"
    follow_with(monkeypatch, command, scenario)


@pytest.mark.parametrize("line", [b"nonsense\n", b"{}\n", b"x" * 70_000])
def test_a_follower_that_talks_nonsense_is_killed(monkeypatch, line):
    async def scenario(followed: Following) -> None:
        with pytest.raises(Unavailable, match=r"broke off .* and was ended by signal 9"):
            await followed.caught_up(5)

    command = (
        f"import socket; s = socket.socket(fileno=0); s.sendall({line!r})\nwhile s.recv(99): pass"
    )
    follow_with(monkeypatch, command, scenario)


def test_a_follower_that_is_not_there_is_trouble(monkeypatch):
    async def scenario(followed: Following) -> None:
        monkeypatch.setattr(following, "_COMMAND", ("/nowhere/python",))
        await until(lambda: "cannot be started" in followed.troubles.get("follower", ""))

    follow_with(monkeypatch, "raise SystemExit(1)", scenario)


def test_a_follower_is_ended_when_nobody_lets_it_finish(tmp_path):
    async def scenario(client: Client) -> None:
        ending = await followed(client)
        client.app.platform.projections.close()
        await until(lambda: not is_running(ending))

    async def begun(client: Client) -> None:
        await publish(client)
        await scenario(client)

    serve(tmp_path / "data", begun, follower_process=True)
