"""The contextual path has no way to history: by its imports, and by what it could do at run time."""

import ast
import configparser
import subprocess
import sys
from pathlib import Path

import pytest

import ringwork.ads

ROOT = Path(ringwork.ads.__file__).parent
CONTEXTUAL = sorted(
    path for path in ROOT.rglob("*.py") if "behavioural" not in path.relative_to(ROOT).parts
)
DYNAMIC = {"getattr", "setattr", "eval", "exec", "__import__", "globals", "vars", "compile"}
"""Built-in functions that reach what no import names."""
MODULES = {"importlib", "pkgutil", "runpy", "imp", "sqlite3", "gc"}
ALLOWED = {
    # Members of a struct that was handed in, by names that stand beside the call.
    "creatives/assets.py": {"getattr"},
    "creatives/check.py": {"getattr"},
    "exchange/outbound.py": {"getattr"},
    "holdout.py": {"getattr"},
    "projections/counts.py": {"getattr"},
    "projections/history.py": {"getattr"},
    "rules.py": {"getattr"},
    "traffic/filter.py": {"getattr", "setattr"},
    # Whether numba is installed; the simulator of markets, which serves nobody.
    "market/kernel.py": {"importlib"},
}
"""What is looked at by hand; anything new has to stand here."""


def used(source: str) -> set[str]:
    """What dynamic means a module uses."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and node.id in DYNAMIC:
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and node.attr in {"__import__", "__subclasses__"}:
            found.add(node.attr)
        elif isinstance(node, ast.Import):
            found |= {one.name.partition(".")[0] for one in node.names} & MODULES
        elif isinstance(node, ast.ImportFrom):
            found |= {(node.module or "").partition(".")[0]} & MODULES
    return found


@pytest.mark.parametrize("path", CONTEXTUAL, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_contextual_module_reaches_for_nothing_at_run_time(path):
    name = path.relative_to(ROOT).as_posix()
    assert used(path.read_text()) == ALLOWED.get(name, set())


@pytest.mark.parametrize(
    ("source", "means"),
    [
        ("import importlib\nimportlib.import_module('ringwork.ads.behavioural')", "importlib"),
        ("from importlib import import_module", "importlib"),
        ("getattr(x, 'history')", "getattr"),
        ("f = eval\nf('1')", "eval"),
        ("import sqlite3 as s", "sqlite3"),
        ("object.__subclasses__()", "__subclasses__"),
    ],
)
def test_a_planted_leak_is_found(source, means):
    assert used(source) == {means}


def contract() -> list[str]:
    read = configparser.ConfigParser()
    read.read(ROOT.parents[2] / ".importlinter")
    section = read["importlinter:contract:contextual"]
    assert section["forbidden_modules"].split() == ["ringwork.ads.behavioural"]
    return section["source_modules"].split()


def test_the_contract_names_every_module_of_the_part_but_behavioural():
    modules = {
        f"ringwork.ads.{path.stem}"
        for path in ROOT.iterdir()
        if path.stem not in ("__init__", "__pycache__", "behavioural", "static")
        and (path.suffix == ".py" or path.is_dir())
    }
    assert modules == set(contract())


def test_serving_without_a_grant_loads_nothing_behavioural():
    probe = "import sys, ringwork.ads.service, ringwork.ads.http_lanes; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert not [one for one in done.stdout.split() if "behavioural" in one]
