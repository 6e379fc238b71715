"""``python -m benchmarks AREA``: measure an area's goals, show them beside their peers, keep them.

Every module of ``benchmarks/AREA`` with a ``run(quick)`` takes part. A missed goal is a row that
says so; a module that raises has found a wrong answer, which is worse: it ends with 1 in any case.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, cast

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.machine import described

Goal = dict[str, object]
Run = Callable[[bool], list[Goal]]

ROOT: Final = Path(__file__).parent
RESULTS: Final = ROOT / "results"
"""What docs/benchmarks.md is written from."""
QUICK_RESULTS: Final = ROOT.parent / "build" / "benchmarks"
"""Quick figures are a look, not a record."""


def runs_of(area: str) -> Iterator[tuple[str, Run]]:
    """(module, its ``run``) of an area, by name."""
    for module in sorted(pkgutil.iter_modules([str(ROOT / area)]), key=lambda found: found.name):
        run = getattr(importlib.import_module(f"benchmarks.{area}.{module.name}"), "run", None)
        if run is not None:
            yield module.name, cast("Run", run)


def measure(runs: Iterator[tuple[str, Run]], *, quick: bool) -> tuple[list[Goal], list[str]]:
    """The goals of every module, and the modules that raised."""
    goals: list[Goal] = []
    broken: list[str] = []
    for name, run in runs:
        print(f"== {name}", flush=True)
        started = time.perf_counter()
        try:
            goals += run(quick)
        except Exception as error:  # the edge of the process: the other modules are still measured
            broken.append(name)
            told = f"{type(error).__name__}: {error}"
            goals.append({"goal": name, "measured": told, "target": "", "unit": "", "ok": False})
            print(told)
        print(f"-- {name}: {time.perf_counter() - started:.0f} s", flush=True)
    return goals, broken


def table_of(goals: Sequence[Goal], *, title: str) -> Table:
    """The goals for people."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for head, is_number in (
        ("Goal", False),
        ("Measured", True),
        ("Target", True),
        ("Unit", False),
        ("", False),
        ("Ratio", True),
        ("Peer", False),
    ):
        table.add_column(head, justify="right" if is_number else "left", overflow="fold")
    for goal in goals:
        cells = (
            goal["goal"],
            _number(goal["measured"]),
            _number(goal["target"]),
            goal["unit"],
            "ok" if goal["ok"] else "MISSED",
            _number(goal.get("ratio", "")),
            goal.get("peer", ""),
        )
        table.add_row(*(escape(str(cell)) for cell in cells))
    return table


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    areas = sorted(folder.name for folder in ROOT.iterdir() if (folder / "__init__.py").exists())
    parser.add_argument("area", choices=areas)
    parser.add_argument("--quick", action="store_true", help="small sizes, for a first look and CI")
    parser.add_argument("--strict", action="store_true", help="end with 1 when a goal is missed")
    given = parser.parse_args(arguments)
    machine = described(quick=given.quick)
    goals, broken = measure(runs_of(given.area), quick=given.quick)
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(table_of(goals, title=str(machine["measured"])))
    results = QUICK_RESULTS if given.quick else RESULTS
    results.mkdir(parents=True, exist_ok=True)
    kept = msgspec.json.format(msgspec.json.encode([machine, *goals]), indent=2)
    (results / f"{given.area}.json").write_bytes(kept + b"\n")
    missed = [str(goal["goal"]) for goal in goals if not goal["ok"]]
    print(f"{len(goals) - len(missed)} of {len(goals)} goals met")
    return 1 if broken or (missed and given.strict) else 0


if __name__ == "__main__":
    sys.exit(main())
