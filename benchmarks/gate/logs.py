"""Reading a log: lines a second to parse, and to the whole report, beside goaccess, ``re`` and DuckDB.

All read the same invented log of a shop in combined format and must agree on requests, on visitors
(an address with one agent on one day, as goaccess counts them) and on every status. Rates are lines
per CPU second, medians of rounds in turn. What goaccess does more (countries, referring sites,
operating systems) it does in its own time; what we do more (detectors, evidence) we do in ours.
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import duckdb

from benchmarks.foundation.event_log import result
from ringwork.gate.analyse import compiled, plain
from ringwork.gate.analyse.behaviour import Behaviour
from ringwork.gate.analyse.blocks import blocks
from ringwork.gate.analyse.columns import ADDRESS, AGENT
from ringwork.gate.analyse.engine import Engine, parse_block
from ringwork.gate.analyse.report import to_html, to_json
from ringwork.gate.analyse.scan import scan

LINES, QUICK_LINES = 500_000, 100_000
ROUNDS, QUICK_ROUNDS = 5, 2
VISITORS_OF_LINES = 12
GROWTH = 4
DAY_US = 86_400_000_000
LINE = (
    r'^(\S+) \S+ \S+ \[(\d{2}/\w{3}/\d{4}):(\d{2}:\d{2}:\d{2}) ([+-]\d{4})\] '
    r'"([A-Z]+) (\S+) (HTTP/[0-9.]+)" (\d{3}) (\d+|-) "([^"]*)" "([^"]*)"'
)  # fmt: skip
GOACCESS = shutil.which("goaccess")


class Answer(NamedTuple):
    """What everybody must agree on."""

    requests: int
    visitors: int
    statuses: dict[int, int]


def shop_log(lines: int, visitors: int) -> Iterator[str]:
    """Visits of people with their pages and assets, and of machines; from one seed."""
    chance = random.Random(1)  # an invented log, the same everywhere
    at = datetime(2026, 3, 2, tzinfo=UTC)
    browsers = [
        f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 "
        "Safari/537.36"
        for version in range(120, 146)
        for system in ("Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7",
                       "X11; Linux x86_64", "Linux; Android 10; K")
    ]  # fmt: skip
    machine = "Mozilla/5.0 (compatible; Shopbot/1.0; +http://bot.example/)"
    people = [
        (f"{chance.randrange(11, 200)}.{chance.randrange(256)}.{chance.randrange(256)}."
         f"{chance.randrange(1, 255)}", machine if chance.random() < 0.05 else
         chance.choice(browsers))
        for _ in range(visitors)
    ]  # fmt: skip
    assets = [f"/static/{name}" for name in ("a.css", "b.css", "app.js", "logo.svg", "font.woff2")]
    for number in range(lines):
        address, agent = people[int(visitors * chance.random() ** 2)]
        at += timedelta(milliseconds=chance.randrange(1, 600))
        if agent != machine and chance.random() < 0.6:
            target = chance.choice(assets)
        else:
            target = f"/p/{int(chance.paretovariate(0.7)) % 50_000}?from={number % 7}"
        status = chance.choices((200, 304, 301, 404, 500), (90, 4, 3, 2, 1))[0]
        yield (
            f"{address} - - [{at:%d/%b/%Y:%H:%M:%S} +0000] "
            f'"GET {target} HTTP/1.1" {status} {chance.randrange(200, 90_000)} '
            f'"https://shop.example/" "{agent}"\n'
        )


def parse(path: Path, engine: Engine) -> int:
    """Lines of a file as arrays."""
    with path.open("rb") as file:
        return sum(len(parse_block(one.lines, "combined", engine=engine)) for one in blocks(file))


def report(path: Path) -> Answer:
    """The whole command: actors, detectors, verdicts, JSON and the page; visitors are not in it."""
    with path.open("rb") as file:
        scanner = scan(file)
    found = scanner.result()
    assert to_json(found)
    assert to_html(found, scanner.totals, name=path.name)
    return Answer(found.parsed, 0, dict(scanner.totals.statuses))


def visitors_of(path: Path) -> int:
    """Addresses with one agent on one day, from the arrays."""
    seen: set[tuple[bytes, bytes, int]] = set()
    with path.open("rb") as file:
        for block in blocks(file):
            columns = parse_block(block.lines, "combined", engine=compiled)
            for row, record in enumerate(columns.records()):
                day = int(columns.ts_us[row]) // DAY_US
                seen.add((record.texts[ADDRESS], record.texts[AGENT], day))
    return len(seen)


def by_re(path: Path) -> Answer:
    """A loop over lines with Python's regular expressions, as scripts do it."""
    match, seen, statuses, requests = re.compile(LINE).match, set(), Counter[int](), 0
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            found = match(line)
            if found is not None:
                requests += 1
                seen.add((found[1], found[11], found[2]))
                statuses[int(found[8])] += 1
    return Answer(requests, len(seen), dict(statuses))


def by_duckdb(path: Path) -> Answer:
    """One query over the lines, on one thread."""
    with duckdb.connect() as database:
        database.execute("SET threads = 1")
        database.execute("SET enable_progress_bar = false")
        database.execute("SET preserve_insertion_order = false")
        names = ["ip", "day", "time", "zone", "method", "target", "version", "status", "size",
                 "referrer", "agent"]  # fmt: skip
        rows = database.execute(
            f"""
            WITH lines AS (
                SELECT regexp_extract(line, $pattern, {names}) AS f
                FROM read_csv($path, columns = {{'line': 'VARCHAR'}}, delim = '\x01',
                              quote = '', escape = '', header = false, auto_detect = false)
            )
            SELECT f.status, count(*), (SELECT count(DISTINCT (f.ip, f.agent, f.day)) FROM lines)
            FROM lines WHERE f.status <> '' GROUP BY f.status
            """,
            {"pattern": LINE, "path": str(path)},
        ).fetchall()
    statuses = {int(status): count for status, count, _ in rows}
    return Answer(sum(statuses.values()), rows[0][2], statuses)


def by_goaccess(path: Path, out: Path) -> tuple[Answer, float]:
    """Its JSON report and the CPU seconds of its process."""
    assert GOACCESS is not None
    command = [
        GOACCESS, str(path), "--log-format=COMBINED", "--no-global-config", "-o", str(out),
        "--no-progress", "--4xx-to-unique-count",
    ]  # fmt: skip
    cpu_s = _child_cpu_s(command)
    found = json.loads(out.read_bytes())
    statuses: dict[int, int] = {}
    for group in found["status_codes"]["data"]:
        for one in group["items"]:
            statuses[int(one["data"][:3])] = one["hits"]["count"]
    general = found["general"]
    return Answer(general["valid_requests"], general["unique_visitors"], statuses), cpu_s


def _child_cpu_s(command: list[str]) -> float:
    """CPU seconds of a process of its own."""
    child = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, f"{command[0]} ended with {child.returncode}"
    return used.ru_utime + used.ru_stime


def _cpu_s(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def run(quick: bool) -> list[dict[str, object]]:
    """Agree, measure in turn, print, return the goals."""
    lines, rounds = (QUICK_LINES, QUICK_ROUNDS) if quick else (LINES, ROUNDS)
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "shop.log", Path(folder) / "goaccess.json"
        path.write_text("".join(shop_log(lines, lines // VISITORS_OF_LINES)), encoding="utf-8")
        _agree(path, out, lines)
        took: dict[str, list[float]] = {}
        for _ in range(rounds):
            for name, work in _works(path).items():
                took.setdefault(name, []).append(_cpu_s(work))
            if GOACCESS is not None:
                took.setdefault("goaccess", []).append(by_goaccess(path, out)[1])
        rate = {name: lines / statistics.median(times) for name, times in took.items()}
        for name, value in rate.items():
            print(f"{name:28} {value:12,.0f} lines/s")
        growth = _growth(Path(folder), QUICK_LINES)
    return _goals(rate, took, growth)


def _works(path: Path) -> dict[str, Callable[[], object]]:
    return {
        "parse compiled": lambda: parse(path, compiled),
        "parse plain": lambda: parse(path, plain),
        "report": lambda: report(path),
        "report with features": lambda: scan(
            io.BytesIO(path.read_bytes()), behaviour=Behaviour()
        ).result(),
        "re": lambda: by_re(path),
        "duckdb": lambda: by_duckdb(path),
    }


def _agree(path: Path, out: Path, lines: int) -> None:
    """Everybody's answer before anybody's time; compiles what is compiled, too."""
    ours = report(path)._replace(visitors=visitors_of(path))
    assert ours.requests == lines
    assert by_re(path) == ours
    assert by_duckdb(path) == ours
    assert parse(path, plain) == parse(path, compiled) == lines
    if GOACCESS is not None:
        assert by_goaccess(path, out)[0] == ours


_SCAN_AND_TELL = """
import sys
from ringwork.cli.main import run
assert run(["gate", "scan", sys.argv[1], "--json"]) in (0, 1)
status = open("/proc/self/status").read()
sys.stderr.write(status.partition("VmHWM:")[2].split()[0])
"""
"""The process reads its own high-water mark: what ``wait4`` tells begins with the parent's."""


def _growth(folder: Path, lines: int) -> float:
    """The memory of the command for so many times the lines of the same visitors."""
    sizes = []
    for times in (1, GROWTH):
        path = folder / f"{times}.log"
        path.write_text("".join(shop_log(lines, 2_000)) * times, encoding="utf-8")
        told = subprocess.run(
            [sys.executable, "-c", _SCAN_AND_TELL, str(path)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True,
        )  # fmt: skip
        sizes.append(int(told.stderr))
    print(f"memory for {lines:,} lines {sizes[0]:,} KiB, for {GROWTH} times as many {sizes[1]:,}")
    return sizes[1] / sizes[0]


def _goals(
    rate: dict[str, float], took: dict[str, list[float]], growth: float
) -> list[dict[str, object]]:
    others = ", ".join(
        f"{name} {rate[name] / 1000:.0f} k/s"
        for name in ("goaccess", "re", "duckdb") if name in rate
    )  # fmt: skip
    rows = []
    for goal, name, target in (
        ("log lines parsed, compiled", "parse compiled", 700_000),
        ("log lines parsed, without numba", "parse plain", 150_000),
        ("log lines to the whole report", "report", 200_000),
    ):
        row = result(goal, rate[name], target, "lines/s")
        rows.append({**row, "peer": others, "ratio": round(rate[name] / rate["re"], 2)})
    if "goaccess" in took:
        ratio = statistics.median(
            theirs / ours for ours, theirs in zip(took["report"], took["goaccess"], strict=True)
        )
        row = result("whole report over goaccess", ratio, 5, "x")
        rows.append({**row, "peer": f"goaccess {rate['goaccess']:,.0f} lines/s", "ratio": ratio})
    else:
        rows.append({
            "goal": "whole report over goaccess", "measured": "goaccess is not installed",
            "target": 5, "unit": "x", "ok": False, "peer": others,
        })  # fmt: skip
    rows.append(
        result(f"memory of a scan, {GROWTH} times the lines of the same actors", growth, 1.1, "x",
               at_most=True)
    )  # fmt: skip
    return rows
