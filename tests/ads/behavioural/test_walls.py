"""The contextual path has no way to history: by its imports, and by what it could do at run time.

What ``ringwork consent prove`` looks at on an installed package; its planted leaks are in
``tests/app/test_proof.py``.
"""

import configparser
import subprocess
import sys
from pathlib import Path

import pytest

import ringwork.ads
from ringwork.app.proof.static import (
    ALLOWED,
    contextual,
    installed,
    means_of,
    static_findings,
    type_findings,
)

ROOT = Path(ringwork.ads.__file__).parent


def test_no_contextual_module_imports_or_reaches_for_history():
    assert static_findings(installed()) == []


def test_no_contextual_function_takes_or_keeps_what_a_grant_opens():
    assert type_findings(installed()) == []


def test_what_is_allowed_by_hand_is_used():
    """An exception that nobody needs any more is a hole."""
    sources = installed()
    used = {module: means_of(sources[module]) - {"sqlalchemy"} for module in ALLOWED}
    assert used == {module: means - {"sqlalchemy"} for module, means in ALLOWED.items()}


def test_every_module_but_behavioural_is_looked_at():
    paths = [path for path in ROOT.rglob("*.py") if "behavioural" not in path.parts]
    assert len(contextual(installed())) == len(paths) > 150


@pytest.mark.parametrize(
    ("source", "means"),
    [
        ("import importlib\nimportlib.import_module('ringwork.ads.behavioural')", "importlib"),
        ("from importlib import import_module", "importlib"),
        ("getattr(x, 'history')", "getattr"),
        ("f = eval\nf('1')", "eval"),
        ("import sqlite3 as s", "sqlite3"),
        ("object.__subclasses__()", "__subclasses__"),
        ("from ringwork.kernel import history\nhistory.working_for('consented')", "working_for"),
    ],
)
def test_a_means_is_found(source, means):
    assert means_of(source) == {means}


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
