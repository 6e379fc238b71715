"""``ringwork bench``: the measurements of a source tree."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ringwork.kernel.errors import ConfigurationError


def bench(area: str = "foundation", /, *, quick: bool = False) -> int:
    """Measure the goals of an area beside their peers (needs the source tree).

    Example: ringwork bench foundation --quick

    Parameters
    ----------
    area: Which goals.
    quick: Small sizes, for a first look.
    """
    if not Path("benchmarks", area).is_dir():
        raise ConfigurationError(
            f"no benchmarks/{area} here: run this in the root of the source tree"
        )
    command = [sys.executable, "-m", "benchmarks", area, *(["--quick"] if quick else [])]
    return subprocess.run(command, check=False).returncode  # our own module
