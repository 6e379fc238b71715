"""The real server as a child process, stopped by SIGTERM however the demo ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

import httpx
import msgspec

from ringwork.kernel.errors import Busy, RingworkError

LOG: Final = "server.log"
READY_WITHIN_S: Final = 120.0
"""A stored market of 100,000 ads takes some 20 s to load."""
STOPPED_WITHIN_S: Final = 60
LAST_WORDS_MAX: Final = 2_000
"""Bytes of the server's log that are shown when it ends by itself."""

_COMMAND: Final = (sys.executable, "-m", "ringwork")


class ServerEnded(RingworkError):
    """The server ended by itself; ``code`` is what it ended with, the text its last words."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code if code > 0 else 128 - code  # as a shell counts signals


class Child:
    """A server of our own on one data directory."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, log_start: int) -> None:
        self._process = process
        self._log = log
        self._log_start = log_start

    def require_alive(self) -> None:
        """Raise ServerEnded when it has."""
        code = self._process.poll()
        if code is not None:
            said = self._log.read_bytes()[self._log_start :][-LAST_WORDS_MAX:]
            words = said.decode(errors="replace").strip()
            raise ServerEnded(code, f"{words}\nringwork: the server ended; its log is {self._log}")

    def await_ready(self, url: str) -> None:
        """Wait until it answers; Busy when it does not in time."""
        until_ns = time.monotonic_ns() + int(READY_WITHIN_S * 1e9)
        while time.monotonic_ns() < until_ns:
            self.require_alive()
            try:
                if httpx.get(f"{url}/readyz", timeout=2, trust_env=False).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.05)  # a child says nothing else
        raise Busy(f"the server is not ready after {READY_WITHIN_S:.0f} s; its log is {self._log}")


@contextmanager
def serving(data: Path, port: int, environment: Mapping[str, str]) -> Iterator[Child]:
    """Start the server on loopback; stop it at the end, so that all it acknowledged is on disk.

    It has a session of its own: Ctrl-C reaches only us, and we let it finish. SIGTERM at us is a
    clean end too. Raises Busy where something else answers on the port.
    """
    _require_silent(port)
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = [*_COMMAND, "serve", "--data", str(data), "--port", str(port)]
    before = signal.signal(signal.SIGTERM, _end)
    try:
        with (data / LOG).open("ab") as lines:
            process = subprocess.Popen(
                command,
                env={"RINGWORK_LOGGING__LEVEL": "warning", **environment},
                stdout=lines,
                stderr=lines,
                start_new_session=True,
            )
            try:
                yield Child(process, data / LOG, lines.tell())
            finally:
                process.terminate()
                _wait(process)
    finally:
        signal.signal(signal.SIGTERM, before)


def ask(data: Path, environment: Mapping[str, str], *words: str) -> dict[str, object]:
    """What ``ringwork WORDS --json`` prints: a command to the server over its owner's socket."""
    done = subprocess.run(
        [*_COMMAND, *words, "--data", str(data), "--json"],
        env=dict(environment),
        check=False,
        capture_output=True,
    )
    if done.returncode != 0:
        raise RingworkError(f"{' '.join(words)}: {done.stderr.decode(errors='replace').strip()}")
    return msgspec.json.decode(done.stdout, type=dict[str, object])


def _require_silent(port: int) -> None:
    """Else we would take another server's answers for those of ours."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            raise Busy(f"something listens on port {port} already; choose another with --port")
    except OSError:
        return


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(STOPPED_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()  # what it acknowledged is on disk all the same
        process.wait()
        raise RingworkError(
            f"the server did not stop within {STOPPED_WITHIN_S} s of SIGTERM and was killed"
        ) from None
