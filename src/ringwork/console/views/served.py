"""What each tier is served, held against one another, and the last proof."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from ringwork.ads.projections import TierCounts
from ringwork.consent.proof_runs import RecordedRun
from ringwork.console.charts import CORRIDOR
from ringwork.console.consent_facts import ConsentFacts
from ringwork.console.format import MISSING, plural, share, stamp
from ringwork.console.views.tiers import CSS, NAMES

HIGH: Final = CORRIDOR[1]
"""The worst ratio of who refused to who consented that is still alike."""


class Measure(Struct, frozen=True, kw_only=True):
    """One measure for who refused and who consented, and the ratio of the two."""

    name: str
    refused: str
    consented: str
    ratio: float
    text: str
    tag: str
    verdict: str
    title: str


class TierRow(Struct, frozen=True, kw_only=True):
    """What was asked and served in one tier."""

    name: str
    css: str
    requests: int
    share: float
    percent: str
    filled: str
    """Slots that were sold, in per cent; a dash where no slot is sold."""
    eligible: str
    """Ads that could have been shown, per slot."""
    decided_ns: int | None
    """Mean time of a decision."""


class WallRow(Struct, frozen=True, kw_only=True):
    """One wall of the proof."""

    wall: str
    holds: bool
    says: str


class ProofBody(Struct, frozen=True, kw_only=True):
    """The newest recorded run of the proof."""

    when: str
    version: str
    holds: bool
    summary: str
    walls: list[WallRow]


def percentage(part: float) -> str:
    """A part of one in per cent, to a tenth."""
    return f"{part * 100:.1f}"


def served(facts: ConsentFacts) -> list[Measure]:
    """Whether the pages of those who refused are served as well: filled as often, as soon."""
    less, full = facts.tiers.get("less-personalised"), facts.tiers.get("consented")
    if not (less and full and less.slots and full.slots):
        return []
    filled, full_filled = less.sold / less.slots, full.sold / full.slots
    found = []
    if full_filled:
        found.append(
            Measure(
                name="Slots filled, %",
                refused=percentage(filled),
                consented=percentage(full_filled),
                ratio=filled / full_filled,
                text=f"{filled / full_filled:.2f}",
                **_verdict(filled / full_filled, CORRIDOR[0] <= filled / full_filled),
                title=f"Of those who refused {percentage(filled)} per cent of the slots are "
                f"filled, of those who consented {percentage(full_filled)}",
            )
        )
    took, full_took = less.decided_ns / less.requests, full.decided_ns / full.requests
    if full_took:
        ratio = took / full_took
        found.append(
            Measure(
                name="Time of a decision, µs",
                refused=f"{took / 1000:.0f}",
                consented=f"{full_took / 1000:.0f}",
                ratio=ratio,
                text=f"{ratio:.2f}",
                **_verdict(ratio, ratio <= HIGH),
                title=f"A decision for who refused takes {ratio:.2f} times as long; at most "
                f"{HIGH:.2f}",
            )
        )
    return found


def _verdict(ratio: float, holds: bool) -> dict[str, str]:
    if not holds:
        return {"tag": "bad", "verdict": "worse"}
    is_inside = CORRIDOR[0] <= ratio <= HIGH
    return {"tag": "good", "verdict": "alike" if is_inside else "better"}


def tiers(facts: ConsentFacts) -> list[TierRow]:
    """Every tier, the one that may be read most first; nothing where nothing was asked."""
    counted = {tier: facts.tiers.get(tier, TierCounts()) for tier in NAMES}
    counted["subscriber"] = TierCounts(requests=facts.ads_free_requests)
    total = sum(one.requests for one in counted.values())
    if not total:
        return []
    return [
        TierRow(
            name=NAMES[tier],
            css=CSS[tier],
            requests=one.requests,
            share=one.requests / total,
            percent=share(one.requests, total),
            filled=share(one.sold, one.slots) if one.slots else MISSING,
            eligible=f"{one.eligible / one.slots:,.1f}" if one.slots else MISSING,
            decided_ns=one.decided_ns // one.requests if one.slots else None,
        )
        for tier, one in counted.items()
    ]


def proof(last: RecordedRun | None) -> ProofBody | None:
    """A recorded run of the proof of consent; None where there is none."""
    if last is None:
        return None
    run = last.run
    return ProofBody(
        when=stamp(last.recorded_at_us),
        version=run.version,
        holds=run.holds,
        summary=f"{plural(run.pairs, 'pair')} of worlds that differ only in people's pasts: "
        f"{plural(run.differing_bytes, 'byte differs', 'bytes differ')}, "
        f"{plural(run.history_reads, 'read')} of history without consent, "
        f"{plural(run.canary_sightings, 'canary', 'canaries')} sighted, "
        f"{run.caught} of {plural(run.planted, 'planted leak')} caught.",
        walls=[WallRow(wall=one.wall, holds=one.holds, says=one.says) for one in run.walls],
    )
