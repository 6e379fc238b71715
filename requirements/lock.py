"""Pins requirements/*.in by hash (``make lock``), and refuses a lock that names a package index."""

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
# 3.11 is the oldest Python we support; --universal adds markers for the newer ones.
COMPILE = (
    *("pip", "compile", "--quiet", "--universal", "--python-version", "3.11"),
    *("--generate-hashes", "--no-header", "--no-emit-index-url", "--no-emit-find-links"),
    *("--no-emit-package", "ringwork"),
)


def main() -> None:
    """Compile each input in order: later ones are constrained by earlier ones."""
    for name in ("dev", "bench", "peers"):
        source, target = HERE / f"{name}.in", HERE / f"{name}.txt"
        uv = Path(sys.executable).with_name("uv")
        alone = ("--no-deps",) if name == "peers" else ()  # they name all they need themselves
        subprocess.run([uv, *COMPILE, *alone, source, "--output-file", target], check=True)
        for number, line in enumerate(target.read_text().splitlines(), 1):
            if re.search(r"://|index-url|find-links", line):
                sys.exit(f"{target}:{number}: a lock names no index address: {line}")


if __name__ == "__main__":
    main()
