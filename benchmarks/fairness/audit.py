"""G14: the audit recomputes a log bit for bit, finds every tampering, and a stranger's script agrees.

The peer is that script: examples/fairness_audit.py, sixty lines that import nothing of ours. It
recomputes chain, signatures, proxy figures and coverage; ours the de-attenuated half as well, which
is nearly all of the time.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from benchmarks.foundation.event_log import result
from ringwork.fairness.audit import Audit, audited
from ringwork.fairness.coverage import coverage
from ringwork.fairness.log import Signer, canonical, head_of
from ringwork.fairness.records import Coverage
from tests.fairness.logs import OTHER_SEED, SEED, made

Goal = dict[str, object]
EXAMPLE = Path(__file__).parents[2] / "examples" / "fairness_audit.py"
SIGNED = ("genesis", "key", "report", "checkpoint")


def found_in(log: bytes, line: str | None = None) -> Audit:
    return audited(io.BytesIO(log), head=None if line is None else head_of(line)).found


def rehashed(rows: list[dict[str, object]], seed: bytes | None = None) -> bytes:
    """Records chained anew; with ``seed`` begun and signed with its key, else the old signatures."""
    out, prev = [], "0" * 64
    for number, one in enumerate(rows):
        record = {name: value for name, value in one.items() if name not in ("hash", "sig")}
        body = dict(record["body"])  # type: ignore[call-overload]
        if seed is not None and number == 0:
            body["public_key"] = Signer(seed).public
        if record["kind"] == "checkpoint":
            body["head"] = number - 1
        record |= {"seq": number, "prev": prev, "body": body}
        prev = hashlib.sha256(canonical(record)).hexdigest()
        record["hash"] = prev
        if record["kind"] in SIGNED:
            record["sig"] = one["sig"] if seed is None else Signer(seed).sign(prev)
        out.append(canonical(record) + b"\n")
    return b"".join(out)


def tampered(log: bytes) -> Iterator[tuple[str, bytes]]:
    """The seven of the goal, each at every record where it can be done."""
    lines = log.splitlines(keepends=True)
    rows = [json.loads(line) for line in lines]
    figures = [at for at, row in enumerate(rows) if row["kind"] == "figure"]
    for at in figures:
        digit = json.loads(lines[at])
        digit["body"]["proxy_ppb"] += 1
        changed = canonical(digit) + b"\n"
        yield "changed digit", b"".join([*lines[:at], changed, *lines[at + 1 :]])
        bare = {name: value for name, value in digit.items() if name != "hash"}
        bare["hash"] = hashlib.sha256(canonical(bare)).hexdigest()
        again = canonical(bare) + b"\n"
        yield "re-hashed record", b"".join([*lines[:at], again, *lines[at + 1 :]])
        yield "re-hashed chain", rehashed([*rows[:at], digit, *rows[at + 1 :]])
    for at in range(len(lines) - 1):
        yield "dropped record", b"".join([*lines[:at], *lines[at + 1 :]])
        pair = [lines[at + 1], lines[at]]
        yield "swapped records", b"".join([*lines[:at], *pair, *lines[at + 2 :]])
        yield "cut tail", b"".join(lines[: at + 1])
    yield "other key", rehashed(rows, OTHER_SEED)


def detection(log: bytes) -> list[Goal]:
    """The share of each kind of tampering that an auditor with key and head finds."""
    head = found_in(log).head
    assert head is not None
    counts: dict[str, list[int]] = {}
    for name, changed in tampered(log):
        count = counts.setdefault(name, [0, 0])
        count[0] += found_in(changed, head.line()).word != "sound"
        count[1] += 1
    return [
        result(f"G14 {name} is detected, of {total}", 100 * hits / total, 100, "%")
        for name, (hits, total) in counts.items()
    ]


def plain(rows: list[Coverage]) -> list[dict[str, object]]:
    return [json.loads(canonical(msgspec.to_builtins(row))) for row in rows]


def agreement(log: bytes) -> list[Goal]:
    """Figures recomputed to the bit, and the stranger's coverage."""
    began = time.perf_counter()
    auditor = audited(io.BytesIO(log))
    ours_s = time.perf_counter() - began
    found, plan = auditor.found, auditor.state.plan
    assert plan is not None
    if found.word != "sound":
        raise AssertionError(found.findings)
    began = time.perf_counter()
    script = subprocess.run(
        [sys.executable, "-I", str(EXAMPLE)], input=log, capture_output=True, check=True
    )
    script_s = time.perf_counter() - began
    rows = [json.loads(line) for line in script.stdout.splitlines()]
    expected = plain(coverage(auditor.state, plan))
    same = sum(one in rows for one in expected)
    equal = found.figures - found.figures_unverifiable
    sizes = f"{found.records:,} records, {len(log) / 1e6:.1f} MB"
    print(f"{sizes}: audit {ours_s:.1f} s, script {script_s:.1f} s")
    return [
        result(f"G14 figures recomputed bit for bit, of {found.figures:,}",
               100 * equal / found.figures, 100, "%"),
        {**result(f"G14 coverage rows equal to the script's, of {len(expected)}",
                  100 * same / len(expected), 100, "%"),
         "peer": f"{len(EXAMPLE.read_text().splitlines())} lines, no import of ours"},
        result("G14 lines of the script", len(EXAMPLE.read_text().splitlines()), 60, "lines",
               at_most=True),
        {"goal": "records audited, figures and all (no goal is set)",
         "measured": round(found.records / ours_s), "target": "", "unit": "1/s", "ok": True,
         "ratio": round(script_s / ours_s, 2),
         "peer": f"script, proxy figures only: {found.records / script_s:,.0f} 1/s; {sizes}"},
    ]  # fmt: skip


def run(quick: bool) -> list[Goal]:
    """Measure; a wrong answer raises."""
    small = made(2, episodes=1) if quick else made(4, episodes=2)
    large = made(35, episodes=2) if quick else made(300, episodes=8, periods=2)
    if rehashed([json.loads(line) for line in large.splitlines()], SEED) != large:
        raise AssertionError("the forger of this benchmark cannot write an honest log")
    return [*detection(small), *agreement(large)]
