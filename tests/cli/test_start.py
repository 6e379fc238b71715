"""How the command starts: quick, light, and with help for every command."""

import subprocess
import sys

import pytest

from ringwork import __version__
from ringwork.cli.main import COMMANDS
from tests.cli.conftest import Ringwork

HEAVY = {
    "alembic", "cryptography", "duckdb", "jinja2", "litestar", "numba", "numpy",
    "prometheus_client", "sqlalchemy", "structlog", "uvicorn",
}  # fmt: skip


def test_help_loads_nothing_heavy_and_names_every_command() -> None:
    script = (
        "import sys; from ringwork.cli.main import run; code = run(['--help']);"
        f"print(sorted({HEAVY!r} & sys.modules.keys()), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"
    for command in COMMANDS:
        assert f" {command} " in done.stdout
    assert "\x1b" not in done.stdout


def test_importing_the_package_loads_none_of_its_libraries() -> None:
    loaded = (
        "import sys, ringwork; print(sorted(m for m in sys.modules if 'ringwork' in m), end='')"
    )
    done = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    )
    assert done.stdout == "['ringwork']"


@pytest.mark.parametrize(
    "command",
    [
        "", "serve", "fairness serve", "demo", "keys", "keys create", "keys list", "keys revoke", "keys link", "ads",
        "ads advertisers", "ads campaigns", "ads creatives", "ads publishers", "ads placements",
        "log", "log verify", "log export", "log salvage", "trace", "erase", "config",
        "config show", "verify", "bench",
    ],
)  # fmt: skip
def test_every_command_has_help_with_an_example_and_says_what_each_option_is_for(
    ringwork: Ringwork, command: str
) -> None:
    done = ringwork(*command.split(), "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"Usage: ringwork {command}".rstrip())
    if "Commands" not in done.out:
        assert f"Example: ringwork {command}" in done.out
    for option in ("--role", "--label", "--out", "--create", "--seed", "--port", "--quick"):
        for line in done.out.splitlines():
            if line.startswith("│") and f" {option} " in line:
                explained = line.split(option)[1].split(maxsplit=1)[1]
                assert not explained.startswith("["), f"{option} is not explained"


def test_the_list_of_commands_says_what_their_own_help_says(ringwork: Ringwork) -> None:
    listed = ringwork("--help").out
    for command, (_, summary) in COMMANDS.items():
        assert summary in listed
        # Which words a summary leaves out is a matter of taste; that it starts alike is not.
        own = ringwork(command, "--help").out.splitlines()[2]
        assert own.split()[0] == summary.split()[0], command


def test_version(ringwork: Ringwork) -> None:
    assert ringwork("--version").out.strip() == __version__
