"""The real server as a process of its own, to be killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

READY_WITHIN_S = 30


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def follower_of(pid: int) -> int | None:
    """The child of a process that is a follower."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            command = (status.parent / "cmdline").read_bytes()
        except OSError:  # it ended meanwhile
            continue
        if parent == pid and b"ringwork.app.follower" in command:
            return int(status.parent.name)
    return None


def is_running(pid: int) -> bool:
    """Whether a process does anything still; what nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Server:
    """One data directory, started and killed as often as one likes."""

    def __init__(
        self,
        data: Path,
        environment: dict[str, str] | None = None,
        command: tuple[str, ...] = ("serve",),
    ) -> None:
        self.data = data
        self._command = command
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = environment or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._lines = data.parent / f"{data.name}.log"

    def start(self) -> None:
        command = [sys.executable, "-m", "ringwork", *self._command, "--data", str(self.data)]
        with self._lines.open("ab") as lines:
            self._process = subprocess.Popen(
                [*command, "--port", str(self.port)],
                env={**os.environ, "RINGWORK_LOGGING__LEVEL": "warning", **self._environment},
                stdout=lines,
                stderr=lines,
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline:
            assert self._process.poll() is None, self._lines.read_text()[-4000:]
            try:
                if httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.02)
        raise AssertionError(f"not ready: {self._lines.read_text()[-4000:]}")

    def kill(self) -> None:
        """SIGKILL to the whole process group: no handler runs, no buffer is flushed."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def terminate(self) -> int:
        """SIGTERM and the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(timeout=60)

    def kill_alone(self) -> None:
        """SIGKILL to the server and not to its follower."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    @property
    def pid(self) -> int:
        """The process id of the server."""
        assert self._process is not None
        return self._process.pid

    @property
    def follower(self) -> int | None:
        """The process id of the server's follower, where there is one."""
        return follower_of(self.pid)

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def wait(self) -> int:
        assert self._process is not None
        return self._process.wait(timeout=60)

    @property
    def lines(self) -> str:
        return self._lines.read_text()
