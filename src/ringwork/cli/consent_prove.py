"""``ringwork consent prove``: show that no request without consent can see what its person did."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from cyclopts import Parameter

from ringwork.app.call import call
from ringwork.cli.answer import answer_of
from ringwork.cli.options import DEFAULTS, Options
from ringwork.cli.progress import counting
from ringwork.kernel.errors import RingworkError

if TYPE_CHECKING:
    from ringwork.app.proof.prove import Proof

PAIRS: Final = 2_000
PAIRS_MAX: Final = 10_000_000


def prove(
    *,
    pairs: int = PAIRS,
    seed: int = 1,
    out: Path | None = None,
    record: Annotated[bool, Parameter(negative=())] = False,
    options: Options = DEFAULTS,
) -> int:
    """Run the five walls around people's histories, and leaks against them; exit 1 where one fails.

    Whole platforms of this installation are made in temporary directories, in pairs that differ in
    what people did and in nothing else; requests without consent must be answered alike, byte for
    byte. Then every wall is shown to find the leaks that are planted for it. Needs no data
    directory and touches none. 100,000 pairs take some minutes.

    Example: ringwork consent prove --pairs 100000 --out proof.json

    Parameters
    ----------
    pairs
        Pairs of requests that are compared.
    seed
        Which people, pasts and requests; the same seed makes the same ones.
    out
        A file for the result, as JSON.
    record
        Keep the result in the log of the data directory (--data), for the console.
    """
    if not 1 <= pairs <= PAIRS_MAX:
        raise RingworkError(f"--pairs: expected 1 to {PAIRS_MAX}, got {pairs}")
    from ringwork.app.proof import prove as proving  # noqa: PLC0415  # loads the platform
    from ringwork.app.proof.world import ProofFailed  # noqa: PLC0415

    try:
        with counting() as progress:
            proof = asyncio.run(proving.prove(pairs=pairs, seed=seed, progress=progress))
    except ProofFailed as failed:
        raise RingworkError(f"the proof could not be made: {failed}") from failed
    if out is not None:
        out.write_bytes(msgspec.json.format(msgspec.json.encode(proof)) + b"\n")
    if options.json:
        options.show(proof, "")
    else:
        _show(proof, options)
    if record:
        run = proving.run_of(proof)
        answer_of(call(options.settings(), "POST", "/v1/consent-proof-runs", run))
    return 0 if proof.holds else 1


def _show(proof: Proof, options: Options) -> None:
    from ringwork.app.proof.leaks import WALLS  # noqa: PLC0415  # as above

    walls = [
        {"wall": one.wall, "stands": "yes" if one.holds else "NO", "says": one.says}
        for one in proof.checks
    ]
    options.table(walls, {"wall": "Wall", "stands": "Stands", "says": "Seen"}, title="Walls")
    wrong = [f"{one.wall}: {what}" for one in proof.checks for what in one.found]
    if wrong:
        sys.stdout.write("\n" + "\n".join(wrong) + "\n")
    sys.stdout.write("\n")
    rows: list[dict[str, Any]] = []
    for one in proof.leaks:
        row: dict[str, Any] = {"leak": one.name}
        for wall in WALLS:
            is_due, is_caught = wall in one.expected, wall in one.caught
            row[wall] = "caught" if is_due and is_caught else "MISSED" if is_due else ""
            if is_caught and not is_due:
                row[wall] = "(caught)"
        rows.append(row)
    columns: dict[str, str] = {"leak": "Planted leak"}
    columns |= {str(one): str(one) for one in WALLS}
    options.table(rows, columns, title="Leaks that were planted, and the walls that must find each")
    verdict = "HOLDS" if proof.holds else "DOES NOT HOLD"
    sys.stdout.write(
        f"\n{verdict}: {proof.differing_bytes} bytes differ in {proof.pairs:,} pairs, "
        f"{proof.history_reads} reads of history, {proof.canary_sightings} canaries seen, "
        f"{proof.caught} of {proof.planted} planted leaks caught (seed {proof.seed})\n"
    )
