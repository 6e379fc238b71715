"""A price as arithmetic, recomputed from the logged inputs of its auction (ads specification 3.12).

Written out again here on purpose, apart from the auction's own code: the page says "same to the
nano" only where two computations agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from math import ceil

from msgspec import Struct

from ringwork.ads.events import Considered, SlotOutcome
from ringwork.console.format import MINUS, TIMES, chance, exact, factor
from ringwork.console.pricings import per_one

_PPB = 10**9
_PPM = 10**6


class Line(Struct, frozen=True):
    """One line of the column; ``rule`` is ``total`` or ``pay`` where a rule is drawn above it."""

    text: str
    figure: str
    rule: str = ""


class Recomputed(Struct, frozen=True, kw_only=True):
    """The arithmetic of one sale, its result, and what was logged."""

    lines: list[Line]
    price_nanos: int
    logged_nanos: int
    unit: str

    @property
    def same(self) -> bool:
        return self.price_nanos == self.logged_nanos


def value_of(candidate: Considered) -> int:
    """What an impression is worth to it, nanos."""
    return candidate.bid_nanos * candidate.p_ppb // _PPB


def score_of(candidate: Considered) -> int:
    """What it is ranked by, nanos."""
    scaled = value_of(candidate) * candidate.quality_ppm * candidate.multiplier_ppm
    return scaled // 10**12 + candidate.shift_nanos


def bar_to_keep(winner: Considered, runner: Considered | None) -> int:
    """The least score that keeps the place: above the next one where a tie would go to it."""
    if runner is None:
        return 1
    return runner.score_nanos + (winner.ad_id > runner.ad_id)


def least_value(candidate: Considered, bar: int, reserve_nanos: int) -> int:
    """The least value of an impression whose score reaches ``bar`` and that meets the reserve."""
    weight = candidate.quality_ppm * candidate.multiplier_ppm
    need = -(-(bar - candidate.shift_nanos) * 10**12 // weight)
    return max(reserve_nanos, need)


def bid_for(candidate: Considered, value_nanos: int) -> int:
    """The least bid worth ``value_nanos`` an impression."""
    return -(-value_nanos * _PPB // candidate.p_ppb)


def least_bid(candidate: Considered, bar: int, reserve_nanos: int) -> int:
    """The least bid that reaches ``bar``, in the unit of its bid."""
    return bid_for(candidate, least_value(candidate, bar, reserve_nanos))


def winner_and_next(slot: SlotOutcome) -> tuple[Considered, Considered | None] | None:
    """Who won and who came next; None for a slot that was not sold."""
    for index, candidate in enumerate(slot.considered):
        if candidate.ad_id == slot.ad_id:
            rest = slot.considered[index + 1 :]
            return candidate, rest[0] if rest else None
    return None


def recompute(slot: SlotOutcome) -> Recomputed | None:
    """The price of a sold slot, line by line; None where nothing was sold."""
    pair = winner_and_next(slot)
    if pair is None:
        return None
    winner, runner = pair
    lines = _score_lines(winner)
    if slot.rule == "first" or slot.charge_bid:
        paid = winner.bid_nanos
        lines.append(Line("The winner pays what it bid", ""))
    elif slot.rule == "vcg" and slot.slate_ppm:
        more, paid = _externality(winner, slot)
        lines += more
    else:
        more, paid = _second_price(winner, runner, slot.reserve_nanos)
        lines += more
    lines.append(Line("Charged", exact(paid), "pay"))
    unit = per_one(slot.pricing)
    return Recomputed(lines=lines, price_nanos=paid, logged_nanos=slot.price_nanos, unit=unit)


def _score_lines(winner: Considered) -> list[Line]:
    lines = [Line("Bid", exact(winner.bid_nanos))]
    if winner.p_ppb != _PPB:
        lines.append(Line("Chance that it is earned", f"{TIMES} {chance(winner.p_ppb)}"))
        lines.append(Line("Value of an impression", exact(value_of(winner)), "total"))
    if winner.quality_ppm != _PPM:
        lines.append(Line("Quality", f"{TIMES} {factor(winner.quality_ppm)}"))
    if winner.multiplier_ppm != _PPM:
        lines.append(Line("Multiplier", f"{TIMES} {factor(winner.multiplier_ppm)}"))
    if winner.shift_nanos:
        lines.append(Line("Shift", _signed(winner.shift_nanos)))
    lines.append(Line("Score", exact(score_of(winner)), "total"))
    return lines


def _second_price(
    winner: Considered, runner: Considered | None, reserve_nanos: int
) -> tuple[list[Line], int]:
    bar = bar_to_keep(winner, runner)
    need = least_value(winner, bar, 0)
    kept = max(need, reserve_nanos)
    lines = [Line("Next score", exact(runner.score_nanos) if runner else "nobody follows")]
    if runner is not None and bar > runner.score_nanos:
        lines.append(Line("A tie would go to the next", _signed(1)))
    if winner.shift_nanos:
        lines.append(Line("Shift undone", _signed(-winner.shift_nanos)))
    weight = winner.quality_ppm * winner.multiplier_ppm
    if weight != 10**12:
        undone = "Quality" if winner.multiplier_ppm == _PPM else "Quality and multiplier"
        lines.append(Line(f"{undone} undone, up to the nano", f"÷ {factor(weight // _PPM)}"))
    if kept > need:
        lines.append(Line("The reserve asks more", exact(reserve_nanos)))
    if winner.p_ppb != _PPB:
        lines.append(Line("Least value of an impression", exact(kept), "total"))
        lines.append(Line("Chance undone, up to the nano", f"÷ {chance(winner.p_ppb)}"))
    return lines, bid_for(winner, kept)


def _externality(winner: Considered, slot: SlotOutcome) -> tuple[list[Line], int]:
    """What the winner's presence costs the others per show (VCG, the reserve inside the sum).

    Each place from its own down: by how much it is worth more than the next one, times what must be
    outranked to be in it.
    """
    weight = Fraction(winner.quality_ppm * winner.multiplier_ppm, 10**12)
    worth = [*slot.slate_ppm, 0]
    rivals: list[Considered | None] = [*slot.considered[1:], *[None] * len(slot.slate_ppm)]
    lines, need = [], Fraction(0)
    for number, (here, below) in enumerate(pairwise(worth)):
        rival = rivals[number]
        bar = Fraction(bar_to_keep(winner, rival) - winner.shift_nanos) / weight
        asked = max(bar, Fraction(slot.reserve_nanos))
        need += asked * (here - below) / worth[0]
        share = factor(round((here - below) * _PPM / worth[0]))
        who = f"Place {number + 1} from its own" if number else "Its own place"
        lines.append(Line(f"{who}: {share} of what {exact(ceil(asked))} asks", ""))
    lines.append(Line("What its presence costs the others", exact(ceil(need)), "total"))
    if winner.p_ppb != _PPB:
        lines.append(Line("Chance undone, up to the nano", f"÷ {chance(winner.p_ppb)}"))
    return lines, bid_for(winner, ceil(need))


def _signed(nanos: int) -> str:
    return f"+{exact(nanos)}" if nanos >= 0 else f"{MINUS}{exact(-nanos)}"


def more_to_win(slot: SlotOutcome, loser: Considered) -> int | None:
    """How much more the loser would have had to bid for first place; None where nobody won."""
    first: Sequence[Considered] = slot.considered[:1]
    if not slot.ad_id or not first or first[0] is loser:
        return None
    bar = first[0].score_nanos + (loser.ad_id > first[0].ad_id)
    return least_bid(loser, bar, slot.reserve_nanos) - loser.bid_nanos
