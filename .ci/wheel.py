"""Installs the wheel in a clean virtual environment, checks what it brings and that it starts."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

BUILD = Path("build") / "wheel"
PYTHON = BUILD / "venv" / "bin" / "python"
MAX_MB = 220  # what a plain install may bring, without byte code and installers
NOT_IN_CORE = {"numba", "llvmlite", "duckdb", "greenlet", "pydantic"}
HEAVY = {"alembic", "cryptography", "duckdb", "jinja2", "litestar", "numba", "numpy", "sqlalchemy"}
LIGHT_IMPORT = """
import sys, {module}
loaded = {heavy!r} & sys.modules.keys()
sys.exit(f"import {module} loads {{sorted(loaded)}}" if loaded else 0)
"""


def run(*command: str | Path, **environment: str) -> str:
    """The standard output of ``command``; its failure ends this script with its own text."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=False, env=os.environ | environment
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout}")
    return done.stdout


def build() -> Path:
    """Build the wheel twice: the same bytes both times, whatever the clock says."""
    wheels = []
    for name in ("one", "two"):
        folder = BUILD / name
        run(
            *(sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps", "--no-build-isolation"),
            *("--wheel-dir", folder, "."),
            SOURCE_DATE_EPOCH="1767225600",
        )
        wheels.append(next(folder.glob("ringwork-*.whl")))
    if wheels[0].read_bytes() != wheels[1].read_bytes():
        sys.exit("two builds of the wheel differ")
    return wheels[0]


def install(wheel: Path) -> None:
    """A plain install; the locked versions, so that nobody else's release breaks the run."""
    constraints = BUILD / "constraints.txt"
    lock = Path("requirements/dev.txt").read_text(encoding="utf-8")
    constraints.write_text(
        "\n".join(line.removesuffix(" \\") for line in lock.splitlines() if re.match(r"\w", line)),
        encoding="utf-8",
    )
    run(sys.executable, "-m", "venv", BUILD / "venv")
    run(PYTHON, "-m", "pip", "install", "-qq", "-c", constraints, wheel)


def check_size() -> None:
    """Measure site-packages without byte code, pip and setuptools."""
    site = Path(run(PYTHON, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    installers = re.compile(r"(pip|setuptools|pkg_resources|_distutils_hack|distutils-precedence)")
    size = sum(
        path.stat().st_size
        for path in site.rglob("*")
        if path.is_file()
        and "__pycache__" not in path.parts
        and not installers.match(path.relative_to(site).parts[0])
    )
    print(f"the wheel and what it needs: {size / 1e6:.0f} MB (at most {MAX_MB})")
    if size > MAX_MB * 1e6:
        sys.exit("too large for a plain install")
    if unwanted := NOT_IN_CORE & {path.name for path in site.iterdir()}:
        sys.exit(f"a plain install must not bring {sorted(unwanted)}")


def check_start() -> None:
    """What must stay light loads nothing heavy, and the command answers."""
    for module in ("ringwork", "ringwork.kernel", "ringwork.cli.main"):
        run(PYTHON, "-c", LIGHT_IMPORT.format(module=module, heavy=HEAVY))
    command = PYTHON.with_name("ringwork").resolve()
    print(run(command, "--help").strip().splitlines()[0])
    run(command, "config", "show", "--explain")


def main() -> None:
    """Build, install, measure, start."""
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    install(build())
    check_size()
    check_start()


if __name__ == "__main__":
    main()
