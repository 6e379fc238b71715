"""G11: what starting costs, beside bare Python and beside importing the command line's library.

CPU seconds of child processes (``os.wait4``), so that a busy machine counts little; the median of
seven after one that fills the file cache. The full size also builds the wheel, installs it alone
and weighs it.
"""

from __future__ import annotations

import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

from benchmarks.foundation.event_log import result

ROUNDS: Final = 7
ROOT: Final = Path(__file__).parent.parent.parent
READY_WITHIN_S: Final = 30
# What stays with pip in every environment is not what the wheel brings.
INSTALLERS: Final = re.compile(r"(pip|setuptools|pkg_resources|_distutils_hack|distutils)")


def cpu_s(command: list[str]) -> float:
    """CPU seconds, user and system, of one process; it has to succeed."""
    child = os.posix_spawn(
        command[0],
        command,
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, used = os.wait4(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, f"{command} failed"
    return used.ru_utime + used.ru_stime


def medians_s(commands: list[list[str]]) -> list[float]:
    """The median of each command, all of them in turn so that the machine's mood hits all alike."""
    for command in commands:
        cpu_s(command)
    rounds = [[cpu_s(command) for command in commands] for _ in range(ROUNDS)]
    return [statistics.median(times) for times in zip(*rounds, strict=True)]


def starts() -> list[dict[str, object]]:
    """``import ringwork`` and ``--help``."""
    bare, imported, library, help_ = medians_s(
        [
            [sys.executable, "-c", "pass"],
            [sys.executable, "-c", "import ringwork"],
            [sys.executable, "-c", "import cyclopts"],
            [sys.executable, "-m", "ringwork", "--help"],
        ]
    )
    cold = 1000 * (imported - bare)
    peer = f"python -c pass: {1000 * bare:.0f} ms"
    library_peer = f"import cyclopts: {1000 * library:.0f} ms"
    ratio = help_ / library
    print(
        f"bare {bare:.3f} s, import {imported:.3f} s, cyclopts {library:.3f} s, help {help_:.3f} s"
    )
    return [
        {
            **result("G11 import ringwork, CPU over bare Python", cold, 120, "ms", at_most=True),
            "peer": peer,
            "ratio": round(imported / bare, 2),
        },
        {
            **result("G11 ringwork --help, CPU", help_, 0.3, "s", at_most=True),
            "peer": library_peer,
            "ratio": round(ratio, 2),
        },
        {
            **result("G11 ringwork --help over importing cyclopts", ratio, 2.5, "x", at_most=True),
            "peer": library_peer,
            "ratio": round(ratio, 2),
        },
    ]


def ready_s() -> float:
    """From starting ``ringwork serve`` on an empty store until ``/readyz`` answers 200."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="ringwork-bench-") as folder:
        command = [
            *(sys.executable, "-m", "ringwork", "serve"),
            *("--data", str(Path(folder) / "data"), "--port", str(port)),
        ]
        started = time.perf_counter()
        server = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
        try:
            while not _is_ready(f"http://127.0.0.1:{port}/readyz"):
                assert server.poll() is None, "the server ended"
                assert time.perf_counter() - started < READY_WITHIN_S, "the server is not ready"
                time.sleep(0.01)
            return time.perf_counter() - started
        finally:
            server.terminate()
            server.wait()


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def wheel_mb() -> float:
    """What a plain install of the wheel puts on the disk, without byte code and installers."""
    with tempfile.TemporaryDirectory(prefix="ringwork-bench-") as folder:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
        flags = ("-qq", "--no-deps", "--no-build-isolation", "--wheel-dir", folder)
        subprocess.run([*pip, "wheel", *flags, str(ROOT)], check=True)
        wheel = next(Path(folder).glob("ringwork-*.whl"))
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text(_pinned((ROOT / "requirements" / "dev.txt").read_text()))
        target = Path(folder) / "venv"
        subprocess.run([sys.executable, "-m", "venv", str(target)], check=True)
        python = str(target / "bin" / "python")
        subprocess.run(
            [python, "-m", "pip", "install", "-qq", "-c", str(constraints), str(wheel)],
            check=True,
        )
        return weight_mb(next(target.glob("lib/python*/site-packages")))


def _pinned(lock: str) -> str:
    """The versions of a lock file without hashes: pip takes no hashes in constraints."""
    pins = (line.removesuffix(" \\") for line in lock.splitlines() if re.match(r"\w", line))
    return "\n".join(pins)


def weight_mb(site: Path) -> float:
    """Megabytes of installed files."""
    return (
        sum(
            path.stat().st_size
            for path in site.rglob("*")
            if path.is_file()
            and "__pycache__" not in path.parts
            and not INSTALLERS.match(path.relative_to(site).parts[0])
        )
        / 1e6
    )


def run(quick: bool) -> list[dict[str, object]]:
    """Measure, print, return the goals."""
    goals = starts()
    ready_s()  # fills the file cache
    ready = statistics.median(ready_s() for _ in range(1 if quick else 5))
    print(f"serve on an empty store is ready after {ready:.2f} s")
    goals.append(result("G11 serve ready on an empty store", ready, 2.5, "s", at_most=True))
    if not quick:
        weight = wheel_mb()
        print(f"the wheel and what it needs: {weight:.0f} MB")
        goals.append(result("G11 plain install of the wheel", weight, 220, "MB", at_most=True))
    return goals
