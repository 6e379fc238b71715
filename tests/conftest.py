"""What every test runs in: fixed seeds, an environment of its own, and the staged data if present.

Tests on staged third-party data live in ``tests/staged/``. The data is looked for in
``RINGWORK_TEST_DATA``, else in ``shared/data`` beside the repository. Where it is absent those
tests are left out, which the summary says in one line; ``RINGWORK_REQUIRE_DATA=1`` makes that an
error.
"""

import ast
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

REPOSITORY = Path(__file__).parent.parent
STAGED = REPOSITORY / "tests" / "staged"
PRIVATE = pytest.StashKey[Path]()
# Variables that steer the suite itself; every other RINGWORK_* would leak into settings under test.
STEERING = {"RINGWORK_TEST_DATA", "RINGWORK_REQUIRE_DATA", "RINGWORK_KILL_ROUNDS", "RINGWORK_PURE"}

# Time limits and "too slow" depend on the machine's load, so they would make the suite a lottery.
settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    print_blob=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
# HYPOTHESIS_PROFILE=explore looks for new counterexamples: other seeds, ten times as many.
settings.register_profile(
    "explore", settings.get_profile("ci"), derandomize=False, max_examples=1000
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def staged_folder() -> Path | None:
    """Where the staged data lies, or None. A folder that was named but is not there is None too."""
    named = os.environ.get("RINGWORK_TEST_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    return folder if folder.is_dir() else None


@pytest.hookimpl(tryfirst=True)  # before pytest settles on a folder for tmp_path
def pytest_configure(config: pytest.Config) -> None:
    """Give this run folders of its own, so that no test reads or leaves anything outside them."""
    if os.environ.get("RINGWORK_REQUIRE_DATA") == "1" and staged_folder() is None:
        raise pytest.UsageError(
            "RINGWORK_REQUIRE_DATA=1, but there is no staged data: set RINGWORK_TEST_DATA"
        )
    if hasattr(config, "workerinput"):
        return  # a worker of pytest-xdist inherits all this from the process that started it
    for name in os.environ.keys() - STEERING:
        if name.startswith("RINGWORK_"):
            del os.environ[name]
    # Short names: the path of a Unix socket in tmp_path must stay below 108 bytes.
    private = Path(tempfile.mkdtemp(prefix="rw-"))
    config.stash[PRIVATE] = private
    config.option.basetemp = config.option.basetemp or str(private / "t")
    for variable, folder in {
        "TMPDIR": "tmp",
        "XDG_CACHE_HOME": "cache",
        "XDG_CONFIG_HOME": "config",
        "XDG_DATA_HOME": "data",
        "XDG_STATE_HOME": "state",
        "XDG_RUNTIME_DIR": "run",
    }.items():
        (private / folder).mkdir(mode=0o700)
        os.environ[variable] = str(private / folder)
    tempfile.tempdir = None  # look at TMPDIR again


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the folders of this run."""
    if private := config.stash.get(PRIVATE, None):
        shutil.rmtree(private, ignore_errors=True)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out the staged tests where their data is absent; importing them already reads it."""
    absent = staged_folder() is None and collection_path.is_relative_to(STAGED)
    return True if absent else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line what was left out."""
    named = [Path(arg.split("::")[0]).resolve() for arg in terminalreporter.config.args]
    wanted = any(STAGED.is_relative_to(path) or path.is_relative_to(STAGED) for path in named)
    if wanted and staged_folder() is None and (count := count_staged()):
        terminalreporter.write_line(
            f"{count} tests left out: tests/staged needs the staged data (RINGWORK_TEST_DATA)"
        )


def count_staged() -> int:
    """The test functions below ``tests/staged``, counted in their text: nothing is imported."""
    return sum(
        isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        for path in STAGED.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    )


@pytest.fixture(scope="session")
def staged_data() -> Path:
    """The folder with the staged third-party data; only tests in ``tests/staged/`` ask for it."""
    folder = staged_folder()
    assert folder is not None, "only tests in tests/staged/ may use staged data"
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium for Playwright's ``executable_path``; ``make test`` installs one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    assert found, "no Chromium on PATH: run `make test`, or apt-get install -y chromium"
    return found
