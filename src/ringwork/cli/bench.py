"""``ringwork bench``: the measurements of a source tree."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ringwork.kernel.errors import ConfigurationError


def bench(area: str = "foundation", /, *, quick: bool = False, strict: bool = False) -> int:
    """Measure the goals of an area beside their peers (needs the source tree).

    Example: ringwork bench foundation --quick

    Parameters
    ----------
    area:
        Which goals.
    quick:
        Small sizes, for a first look.
    strict:
        End with 1 when a goal is missed.
    """
    if not Path("benchmarks", area, "__init__.py").is_file():
        raise ConfigurationError(
            f"no benchmarks/{area} here: run this in the root of the source tree"
        )
    flags = [name for name, given in (("--quick", quick), ("--strict", strict)) if given]
    command = [sys.executable, "-m", "benchmarks", area, *flags]
    return subprocess.run(command, check=False).returncode
