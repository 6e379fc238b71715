"""The way of a request through its stages, each to one scale of time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from ringwork.ads.events import AuctionCleared
from ringwork.console.format import count, exact, plural, scale
from ringwork.console.pricings import priced_per
from ringwork.console.views.reasons import reason_in_words
from ringwork.console.views.tiers import name_of, reasons_in_words


class Step(Struct, frozen=True, kw_only=True):
    """One stage: what it decided and why; start and width in per cent of the scale."""

    stage: str
    decision: str
    why: str
    ns: int
    start: float
    width: float
    mark: str = ""
    """``wait`` where the bar is hatched and not to scale, ``stopped`` where the race ended."""


def steps(cleared: AuctionCleared, disk_ns: int | None) -> tuple[list[Step], int]:
    """The stages in their order, and the end of the scale in nanoseconds."""
    worked = {stage: ns for stage, ns in cleared.stage_ns.items() if stage != "disk"}
    top = scale_end(sum(worked.values()))
    found, start = [], 0
    for stage, ns in worked.items():
        decision, why = _decided(stage, cleared)
        stopped = "stopped" if stage == "clear" and not any(s.ad_id for s in cleared.slots) else ""
        found.append(
            Step(
                stage=stage,
                decision=decision,
                why=why,
                ns=ns,
                mark=stopped,
                start=round(start / top * 100, 2),
                width=round(ns / top * 100, 2),
            )
        )
        start += ns
    if disk_ns is not None:
        found.append(
            Step(
                stage="disk",
                decision="Confirmed, then answered",
                ns=disk_ns,
                start=0.0,
                width=100.0,
                why="The sale was on disk before its answer; hatched because not to scale.",
                mark="wait",
            )
        )
    return found, top


def scale_end(ns: int) -> int:
    """The next round number: 1, 2, 4, 5 or 8 times a power of ten.

    >>> scale_end(79_700)
    80000
    """
    if ns <= 0:
        return 1000
    power: int = 10 ** int(math.log10(ns))
    return next(power * m for m in (1, 2, 4, 5, 8, 10) if power * m >= ns)


def scale_text(top_ns: int) -> tuple[str, str]:
    """The middle and the end of the scale."""
    return scale(top_ns // 2), scale(top_ns)


def _decided(stage: str, cleared: AuctionCleared) -> tuple[str, str]:
    known = _STAGES.get(stage)
    return known(cleared) if known else ("Passed", "")


def _candidates(cleared: AuctionCleared) -> tuple[str, str]:
    eligible = sum(slot.eligible for slot in cleared.slots)
    left: dict[str, int] = {}
    for slot in cleared.slots:
        for reason, ads in slot.excluded.items():
            left[reason] = left.get(reason, 0) + ads
    every = eligible + sum(left.values())
    decision = f"{count(eligible)} of {plural(every, 'ad')}"
    if not left:
        return decision, "Every ad fits this place."
    reason, ads = max(left.items(), key=lambda pair: pair[1])
    return (
        decision,
        f"Most others left for: {_lower(reason_in_words(reason))} ({count(ads)}).",
    )


def _rank(cleared: AuctionCleared) -> tuple[str, str]:
    ranked = [each for slot in cleared.slots for each in slot.considered]
    if not ranked:
        return "None scored", "There was nothing to rank."
    best = max(each.score_nanos for each in ranked)
    kept = f"{plural(len(ranked), 'score')} kept"
    by = "On the page, the place and the person's audiences"
    if not cleared.reads:
        by = "On the page and the place alone"
    return kept, f"{by}; the best score is {exact(best)}."


def _clear(cleared: AuctionCleared) -> tuple[str, str]:
    sold = [slot for slot in cleared.slots if slot.ad_id]
    if not sold:
        return "Not sold", "No ad met the reserve with budget left."
    first = sold[0]
    rule = "first price" if first.rule == "first" or first.charge_bid else "second price"
    price = exact(first.price_nanos)
    if first.pricing in ("cpc", "cpa"):
        paid = priced_per(first.pricing)
        why = f"Its price of {price} is charged at the {paid}, if budget is left."
    else:
        why = f"Its price of {price} is reserved in the campaign's budget."
    reserve = f" The reserve is {exact(first.reserve_nanos)}." if first.reserve_nanos else ""
    return f"{count(len(sold))} sold, {rule}", why + reserve


def _terms(cleared: AuctionCleared) -> tuple[str, str]:
    return name_of(cleared.tier), " ".join(reasons_in_words(cleared.tier_reasons))


def _history(cleared: AuctionCleared) -> tuple[str, str]:
    if not cleared.reads:
        return "Not opened", "The grant did not hold any more when it was to be read."
    services = ", ".join(cleared.reads)
    return "Opened by the grant", f"What the person did on {services}, and no other service."


_STAGES: Final[Mapping[str, Callable[[AuctionCleared], tuple[str, str]]]] = {
    "terms": _terms,
    "history": _history,
    "candidates": _candidates,
    "rank": _rank,
    "clear": _clear,
}


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
