"""G5, non-interference: what people did does not show where they did not consent, and leaks do.

The rows are those of ``ringwork consent prove``; no peer has such a proof, so what stands beside
them is the proof's own control: the same requests with consent, which must differ.
"""

from __future__ import annotations

import asyncio
import time

from benchmarks.foundation.event_log import result
from ringwork.app.proof.prove import Proof, prove
from ringwork.app.proof.timing import LEVEL

PAIRS = 100_000
QUICK_PAIRS = 2_000
SEED = 1


def run(quick: bool) -> list[dict[str, object]]:
    """Prove, print, return the goals."""
    started = time.process_time()
    proof = asyncio.run(prove(pairs=QUICK_PAIRS if quick else PAIRS, seed=SEED))
    print(f"{proof.pairs:,} pairs, all of it {time.process_time() - started:.0f} s CPU")
    for check in proof.checks:
        print(f"{check.wall}: {'stands' if check.holds else 'BROKEN'}; {check.says}")
    assert all(check.holds for check in proof.checks), [c.found for c in proof.checks if c.found]
    return goals(proof)


def goals(proof: Proof) -> list[dict[str, object]]:
    """What the specification asks for, row by row."""
    control = next(check.says for check in proof.checks if check.wall == "pairs")
    differing = result(
        f"G5 bytes that differ in {proof.pairs:,} pairs", proof.differing_bytes, 0, "bytes",
        at_most=True,
    )  # fmt: skip
    p = min(one.p for one in proof.timing)
    return [
        {**differing, "peer": control.partition("; ")[2]},
        result("G5 reads of history without consent", proof.history_reads, 0, "", at_most=True),
        result("G5 canaries seen", proof.canary_sightings, 0, "", at_most=True),
        result("G5 planted leaks caught", proof.caught, proof.planted, ""),
        {**result("G5 timing, smaller p of two tests", p, LEVEL, "p"), "measured": round(p, 4)},
    ]
