"""One server per data directory: who holds it is named, and a dead holder holds nothing."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ringwork.app.lock import FILE_NAME, SOCKET_PATH_MAX, hold, holder_of
from ringwork.app.settings import HttpSettings, Settings
from ringwork.kernel.errors import Busy, ConfigurationError


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=str(tmp_path / "d"), http=HttpSettings(port=4242))


def test_the_holder_is_named_while_it_holds(settings: Settings) -> None:
    data = settings.data_path
    assert holder_of(data) is None
    with hold(settings):
        holder = holder_of(data)
        assert holder is not None
        assert (holder.pid, holder.url) == (os.getpid(), "http://127.0.0.1:4242")
        assert Path(holder.socket) == data / "admin.sock"
        named = f"process {os.getpid()}, which serves http://127.0.0.1:4242 since 20"
        with pytest.raises(Busy, match=named), hold(settings):
            pytest.fail("two holders")
    assert holder_of(data) is None
    assert (data.stat().st_mode & 0o777, (data / FILE_NAME).stat().st_mode & 0o777) == (
        0o700,
        0o600,
    )


def test_a_command_that_holds_the_store_takes_no_others(settings: Settings) -> None:
    with hold(settings, serves=False), pytest.raises(Busy, match="which runs a command since 20"):
        holder_of(settings.data_path)


def test_a_holder_that_has_not_said_who_it_is_yet_is_another_process(settings: Settings) -> None:
    settings.data_path.mkdir()
    lock = os.open(settings.data_path / FILE_NAME, os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with pytest.raises(Busy, match="in use by another process; stop it, or choose"):
        holder_of(settings.data_path)
    with pytest.raises(Busy, match="in use by another process; stop it, or choose"), hold(settings):
        pytest.fail("two holders")
    os.close(lock)


def test_a_start_waits_for_one_who_only_asks(settings: Settings) -> None:
    settings.data_path.mkdir()
    asking = os.open(settings.data_path / FILE_NAME, os.O_RDONLY | os.O_CREAT)
    fcntl.flock(asking, fcntl.LOCK_SH)
    held = threading.Event()

    def start() -> None:
        with hold(settings):
            held.set()

    starting = threading.Thread(target=start)
    starting.start()
    os.close(asking)
    starting.join()
    assert held.is_set()


def test_a_killed_holder_holds_nothing_whatever_its_file_says(settings: Settings) -> None:
    script = (
        "import sys; from ringwork.app.lock import hold; from ringwork.app.settings import Settings\n"
        f"with hold(Settings(data={settings.data!r})): print('held', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        holder = holder_of(settings.data_path)
        assert holder is not None
        assert holder.pid == child.pid
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert f'"pid":{child.pid}' in (settings.data_path / FILE_NAME).read_text()
    assert holder_of(settings.data_path) is None
    with hold(settings):
        holder = holder_of(settings.data_path)
        assert holder is not None
        assert holder.pid == os.getpid()


def test_a_file_in_the_way_is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for data in (tmp_path / "file", tmp_path / "file" / "below"):
        assert holder_of(data) is None
        with (
            pytest.raises(ConfigurationError, match="not a directory that can be written"),
            hold(Settings(data=str(data))),
        ):
            pytest.fail("held")


def test_a_path_too_long_for_the_socket_is_told_before_anything_is_made(tmp_path: Path) -> None:
    data = tmp_path / ("x" * SOCKET_PATH_MAX)
    with (
        pytest.raises(ConfigurationError, match="longer than the 107 bytes"),
        hold(Settings(data=str(data))),
    ):
        pytest.fail("held")
    assert not data.exists()
    with hold(Settings(data=str(data)), serves=False):
        pass  # a command needs no socket
