"""All five walls, and every planted leak against the walls that must find it, in one run.

1 types, 2 capability, 3 credentials, 4 static, 5 pairs of worlds with canaries and timing (ads
specification 7.3).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from ringwork import __version__
from ringwork.app.proof import leaky_code, static
from ringwork.app.proof.grants import Attempt, attempts
from ringwork.app.proof.leaks import LEAKS, WALLS, Leak, Wall
from ringwork.app.proof.pairs import Difference, Found, worlds
from ringwork.app.proof.sightings import Sightings
from ringwork.app.proof.timing import LEVEL, POWER, Timed, time_answers
from ringwork.app.proof.town import Town
from ringwork.consent.proof_runs import ProofRun, WallStands

PEOPLE: Final = 220
"""Ten couples of each status, twenty and more of those who consented."""
LEAK_PEOPLE: Final = 44
LEAK_PAIRS: Final = 200
TIMED_PAIRS: Final = 2_000
LEAK_TIMED_PAIRS: Final = 400
CONTROLS: Final = 20

Progress = Callable[[str, int], None]


class Planted(Struct, frozen=True):
    """A leak, and who found it."""

    name: str
    expected: list[str]
    caught: list[str]

    @property
    def slipped(self) -> list[str]:
        """The walls that should have found it and did not."""
        return [one for one in self.expected if one not in self.caught]


class Check(Struct, frozen=True):
    """One wall, standing."""

    wall: Wall
    holds: bool
    says: str
    """What was looked at and found, in figures."""
    found: list[str] = []
    """What is wrong, the first few."""


class Proof(Struct, frozen=True, kw_only=True):
    """What a run has shown."""

    version: str
    seed: int
    holds: bool
    pairs: int
    differing_pairs: int
    differing_bytes: int
    history_reads: int
    canary_sightings: int
    timing: list[Timed]
    planted: int
    caught: int
    checks: list[Check]
    leaks: list[Planted]
    cases: dict[str, int]
    tiers: dict[str, int]


class _Shown(Struct):
    """What honest worlds have shown."""

    found: Found
    sightings: Sightings
    bytes_searched: int
    timed: list[Timed]
    attempts: list[Attempt]


async def prove(*, pairs: int, seed: int, progress: Progress | None = None) -> Proof:
    """Raises ProofFailed where the worlds of the proof could not be made."""
    checks = [_types(), _static()]
    planted = [*_planted_texts(), *_planted_members()]
    shown = await _honest(pairs, seed, progress)
    checks += [_capability(shown), _credentials(shown), _pairs(shown), _canaries(shown)]
    checks.append(_timing(shown))
    planted += [Planted(one.name, [one.wall], [one.wall] * one.caught) for one in shown.attempts]
    for number, leak in enumerate(LEAKS, 1):
        if progress is not None:
            progress("planted leaks", number)
        planted.append(await plant(leak, seed=seed + number))
    is_whole = all(one.holds for one in checks) and not any(one.slipped for one in planted)
    return Proof(
        version=__version__,
        seed=seed,
        holds=is_whole,
        pairs=shown.found.pairs,
        differing_pairs=shown.found.differing_pairs,
        differing_bytes=shown.found.differing_bytes,
        history_reads=shown.found.columns_read,
        canary_sightings=shown.sightings.seen.total(),
        timing=shown.timed,
        planted=len(planted),
        caught=sum(not one.slipped for one in planted),
        checks=sorted(checks, key=lambda one: WALLS.index(one.wall)),
        leaks=planted,
        cases=shown.found.cases,
        tiers=shown.found.tiers,
    )


async def _honest(pairs: int, seed: int, progress: Progress | None) -> _Shown:
    """Worlds as the platform is."""
    town = Town(people=PEOPLE, seed=seed)
    sightings = Sightings(town.canaries)
    with tempfile.TemporaryDirectory(prefix="ringwork-proof-") as name, sightings.listening():
        folder = Path(name)
        async with worlds(folder, town, seed=seed, sightings=sightings) as both:
            await both.run(pairs, progress)
            if progress is not None:
                progress("timed answers", TIMED_PAIRS)
            timed = await time_answers(both, pairs=TIMED_PAIRS, seed=seed)
            await both.control(CONTROLS)
            tried = await attempts(both.pair[0], town)
        return _Shown(both.found, sightings, sightings.search(folder, town), timed, tried)


async def plant(leak: Leak, *, seed: int) -> Planted:
    """Worlds with a leak, and which of the walls found it."""
    town = Town(people=LEAK_PEOPLE, seed=seed)
    sightings = Sightings(town.canaries)
    caught: set[Wall] = set()
    with tempfile.TemporaryDirectory(prefix="ringwork-proof-") as name, sightings.listening():
        folder = Path(name)
        async with worlds(folder, town, seed=seed, plant=leak.plant, sightings=sightings) as both:
            await both.run(LEAK_PAIRS)
            if "timing" in leak.walls:
                timed = await time_answers(both, pairs=LEAK_TIMED_PAIRS, seed=seed)
                caught |= {"timing"} if any(one.rejected for one in timed) else set()
        sightings.search(folder, town)
    caught |= {"pairs"} if both.found.differing_bytes else set()
    caught |= {"credentials"} if both.found.columns_read else set()
    caught |= {"canaries"} if sightings.seen else set()
    return Planted(leak.name, _in_order(leak.walls), _in_order(caught))


# ---- what is planted as text --------------------------------------------------------------------


def _planted_texts() -> Iterator[Planted]:
    sources = static.installed()
    for name, (text, expected) in leaky_code.LEAKY_TEXTS.items():
        leaky = leaky_code.with_text(sources, text)
        caught: set[Wall] = {"static"} if static.static_findings(leaky) else set()
        caught |= {"types"} if static.type_findings(leaky) else set()
        yield Planted(f"in a module: {name}", _in_order(expected), _in_order(caught))


def _planted_members() -> Iterator[Planted]:
    for name, members in leaky_code.leaky_members().items():
        caught = ["types"] if static.type_findings({}, members) else []
        yield Planted(name, ["types"], caught)


def _in_order(walls: set[Wall] | frozenset[Wall]) -> list[str]:
    return [one for one in WALLS if one in walls]


# ---- the walls ----------------------------------------------------------------------------------


def _types() -> Check:
    sources = static.installed()
    found = static.type_findings(sources)
    count, members = len(static.contextual(sources)), sum(map(len, static.MEMBERS.values()))
    says = f"{count} contextual modules, {members} members of an ask: none holds a person"
    return Check("types", not found, says, found[:5])


def _static() -> Check:
    sources = static.installed()
    found = static.static_findings(sources)
    says = f"{len(sources)} modules read: no way from a contextual one to history"
    return Check("static", not found, says, found[:5])


def _capability(shown: _Shown) -> Check:
    tried = [one for one in shown.attempts if one.wall == "capability"]
    missed = [f"{one.name}: {one.came or 'it opened'}" for one in tried if not one.caught]
    says = f"{len(tried)} grants that do not hold: {len(tried) - len(missed)} refused and noted"
    return Check("capability", not missed, says, missed)


def _credentials(shown: _Shown) -> Check:
    tried = [one for one in shown.attempts if one.wall == "credentials"]
    missed = [f"{one.name}: {one.came or 'it opened'}" for one in tried if not one.caught]
    reads = shown.found.columns_read
    if reads:
        missed.append(f"{reads} reads of the history by requests without consent")
    says = f"{reads} reads of the history in {2 * shown.found.pairs:,} requests without consent"
    return Check("credentials", not missed, says, missed)


def _pairs(shown: _Shown) -> Check:
    found = shown.found
    wrong = [_told(one) for one in found.differences]
    if found.controls_differing * 2 < found.controls:
        wrong.append(
            f"of {found.controls} requests with consent only {found.controls_differing} differ: "
            "these worlds show nothing"
        )
    says = (
        f"{found.differing_bytes} bytes differ in {found.pairs:,} pairs; with consent "
        f"{found.controls_differing} of {found.controls} do"
    )
    return Check("pairs", not wrong, says, wrong)


def _told(one: Difference) -> str:
    return f"pair {one.number} ({one.case}): {one.bytes} bytes of {one.what}"


def _canaries(shown: _Shown) -> Check:
    seen = shown.sightings.seen
    says = f"{seen.total()} sightings in answers, bids, log lines, {shown.bytes_searched:,} bytes"
    return Check("canaries", not seen, says, [f"{where}: {count}" for where, count in seen.items()])


def _timing(shown: _Shown) -> Check:
    says = "; ".join(
        f"{one.what}: p {one.p:.3g}, {one.detectable_ns / 1000:.1f} us would show"
        for one in shown.timed
    )
    wrong = [
        f"{one.what}: {one.difference_ns / 1000:+.1f} us for a long history, p {one.p:.2g}"
        for one in shown.timed
        if one.rejected
    ]
    return Check("timing", not wrong, f"{says} (level {LEVEL}, power {POWER})", wrong)


def run_of(proof: Proof) -> ProofRun:
    """What an operator keeps of it."""
    return ProofRun(
        version=proof.version,
        seed=proof.seed,
        holds=proof.holds,
        pairs=proof.pairs,
        differing_pairs=proof.differing_pairs,
        differing_bytes=proof.differing_bytes,
        history_reads=proof.history_reads,
        canary_sightings=proof.canary_sightings,
        timing_p_ppm=round(min(one.p for one in proof.timing) * 1_000_000),
        planted=proof.planted,
        caught=proof.caught,
        walls=[WallStands(one.wall, one.holds, one.says) for one in proof.checks],
    )
