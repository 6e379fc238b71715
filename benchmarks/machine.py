"""The machine that a result file was made on: without it a figure says nothing."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Final

from ringwork import __version__

ROOT_CACHE: Final = Path(__file__).parent.parent / "build" / "benchmark-stores"
"""Where stores that take long to make are kept from run to run."""
_SYNCED_S: Final = 0.3


def described(*, quick: bool) -> dict[str, object]:
    """The first entry of a result file."""
    memory_gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    parts = (
        f"Ringwork {__version__}",
        f"{os.cpu_count()} x {_processor()}",
        f"{memory_gib:.0f} GiB",
        f"{platform.system()} {platform.release()}",
        f"Python {platform.python_version()}",
        f"SQLite {sqlite3.sqlite_version}",
        f"{_syncs_per_s():,.0f} fdatasync/s",
        f"load {os.getloadavg()[0]:.1f} at the start",
        "quick sizes" if quick else "full sizes",
    )
    return {
        "goal": "machine",
        "measured": ", ".join(parts),
        "target": "",
        "unit": "",
        "ok": True,
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1) if found else platform.machine()


def _syncs_per_s() -> float:
    """What the disk under the temporary folder allows: a durable answer waits for one of these."""
    with tempfile.NamedTemporaryFile(buffering=0) as file:
        count = 0
        started = time.perf_counter()
        while (elapsed := time.perf_counter() - started) < _SYNCED_S:
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            count += 1
    return count / elapsed
