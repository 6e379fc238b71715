"""``ringwork demo`` with the real server: a day that goes on, and every way it may end."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec
import pytest

from ringwork.app.lock import holder_of
from ringwork.app.verify import check_all
from ringwork.kernel.errors import Busy, ConfigurationError
from ringwork.kernel.events import decode_frames
from ringwork.storage.sqlite.reader import SqliteLogReader
from ringwork.world.demo import World, remember, remembered, run
from ringwork.world.paper import known_readers
from ringwork.world.readers import readers
from ringwork.world.town import RESIDENTS

WITHIN_S = 60


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


class Demo:
    """The command as a user runs it, in a pipe."""

    def __init__(
        self, data: Path, *options: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self.data = data
        self.port = free_port()
        command = [sys.executable, "-m", "ringwork", "demo", "--data", str(data)]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port), *options],
            cwd=data.parent,
            env={**os.environ, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def await_views(self) -> None:
        """Until the world has set itself up, which is some 800 events, and people look at pages."""
        until = time.monotonic() + WITHIN_S
        while time.monotonic() < until:
            assert self.process.poll() is None, self.process.communicate()
            if (self.data / "log").exists() and len(event_types(self.data)) > 1_000:
                return
            time.sleep(0.1)
        raise AssertionError("the world did not begin in time")

    def end(self, number: signal.Signals | None = None) -> tuple[int, str, str]:
        """Send a signal, if any; exit code, stdout and stderr."""
        if number is not None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=WITHIN_S)
        return self.process.returncode, out, err


Demos = Callable[..., Demo]


@pytest.fixture
def demos() -> Iterator[Demos]:
    """Starts demos, and leaves none behind."""
    started: list[Demo] = []

    def start_demo(data: Path, *options: str) -> Demo:
        started.append(Demo(data, *options))
        return started[-1]

    yield start_demo
    for demo in started:
        if demo.process.poll() is None:
            demo.end(signal.SIGTERM)


def holds(data: Path) -> list[str]:
    """Promises that are broken."""
    promises = check_all(data, lambda what, count: None)
    assert len(promises) == 9
    return [f"{one.name}: {one.detail}" for one in promises if one.violations]


def event_types(data: Path) -> list[tuple[int, str]]:
    """(time, type) of every event of the log, in its order."""
    return [
        (envelope.ts_us, envelope.type)
        for row in SqliteLogReader(data / "log").rows()
        for frame in decode_frames(row.payload)
        for envelope in frame.events
    ]


def test_a_second_start_continues_the_same_world(tmp_path: Path, demos: Demos) -> None:
    data = tmp_path / "d"
    demo = demos(data, "--until-world-hours", "0.3", "--seed", "3")
    code, out, err = demo.end()
    assert (code, out) == (0, ""), err
    first = remembered(data)
    assert first is not None
    assert first.seed == 3
    assert "Ringwork demo at" in err
    assert "token" not in err + (data / "server.log").read_text()  # a link is for a terminal only

    demo = demos(data, "--until-world-hours", "0.1")
    code, out, err = demo.end()
    assert (code, out) == (0, ""), err
    assert "has the seed 3 and goes on with it" in err
    second = remembered(data)
    assert second is not None
    assert (second.seed, second.began_us) == (3, first.began_us)
    assert second.last_us > first.last_us

    assert holds(data) == []
    events = event_types(data)
    times = [ts_us for ts_us, _ in events]
    assert times == sorted(times)
    assert times[-1] <= second.last_us
    types = [type for _, type in events]
    assert types.count("campaign_created") > 30  # once, not twice
    assert types.count("api_key_created") == types.count("api_key_revoked") == 2
    decided = [one.decision for one in (*known_readers(3), *readers(3))]
    consents = types.count("consent_recorded") - len(decided) + decided.count("subscriber")
    assert 0 <= consents <= RESIDENTS  # the town's, who are told of while the world lives
    assert types.count("subscription_requested") == decided.count("subscriber")
    assert types.count("impression_billed") > 20
    assert len({type for _, type in events if type.endswith("_registered")}) == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_stops_server_and_world_and_nothing_is_lost(
    tmp_path: Path, demos: Demos, number: signal.Signals, code: int
) -> None:
    data = tmp_path / "d"
    demo = demos(data)
    demo.await_views()
    ended, _, err = demo.end(number)
    assert ended == code, err
    assert "Traceback" not in err
    assert holder_of(data) is None
    assert holds(data) == []
    world = remembered(data)
    assert world is not None
    assert event_types(data)[-1][0] <= world.last_us


def test_a_server_that_dies_ends_the_demo_and_time_does_not_go_back(
    tmp_path: Path, demos: Demos
) -> None:
    data = tmp_path / "d"
    demo = demos(data)
    demo.await_views()
    holder = holder_of(data)
    assert holder is not None
    os.kill(holder.pid, signal.SIGKILL)
    code, _, err = demo.end()
    assert code == 128 + signal.SIGKILL
    assert "the server ended; its log is" in err
    assert "Traceback" not in err
    world = remembered(data)
    assert world is not None
    assert event_types(data)[-1][0] <= world.last_us


def test_a_port_in_use_is_told_before_anything_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Busy, match=f"port {port} already; choose another with --port"):
            start(tmp_path / "d", port, {})
    assert not (tmp_path / "d").exists()


def test_a_server_that_cannot_start_gives_its_words_and_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        start(tmp_path / "d", free_port(), {"RINGWORK_HTTP__PRT": "1"})
    assert ended.value.code == 2
    assert "there is no setting 'http.prt'; did you mean http.port?" in capsys.readouterr().err
    assert remembered(tmp_path / "d") is None


def test_a_state_that_is_none_is_told_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "world.json").write_text('{"seed": "x"}')
    with pytest.raises(ConfigurationError, match=r"world\.json: not the state of a world: .*seed"):
        start(tmp_path, free_port(), {})


def test_the_state_is_replaced_whole(tmp_path: Path) -> None:
    assert remembered(tmp_path) is None
    for last_us in (1, 2):
        remember(tmp_path, World(7, 1, last_us))
        assert remembered(tmp_path) == World(7, 1, last_us)
    assert [path.name for path in tmp_path.iterdir()] == ["world.json"]
    assert msgspec.json.decode((tmp_path / "world.json").read_bytes())["seed"] == 7


def start(data: Path, port: int, environment: dict[str, str]) -> None:
    run(
        data=data,
        seed=7,
        port=port,
        until_world_hours=0.1,
        environment={**os.environ, **environment},
    )
