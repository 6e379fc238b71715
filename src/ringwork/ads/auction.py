"""One slot, one sale, in integers: who wins and at what price (ads specification 3.12, one slot).

Python ints with floor division, so that the price can be recomputed bit for bit from the logged
inputs. ``value = bid * p // 10**9`` is what an impression is worth, ``score = value * quality *
multiplier // 10**12 + shift`` orders the candidates (ties: the smaller ad id first). The second
price is the smallest bid that keeps the winner's place, in the unit of the bid: never more than the
bid.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from ringwork.ads.events import SlotOutcome
from ringwork.ads.model import Candidate, Rule, Sale

_ONE_P = 10**9
_ONE_SCALE = 10**12
"""quality (ppm) times multiplier (ppm)."""


class Ranked(Struct, frozen=True):
    """A candidate that may win, with the score that gives it its place."""

    candidate: Candidate
    score_nanos: int


def value(candidate: Candidate) -> int:
    """Nanos that one impression is worth to the candidate."""
    return candidate.bid_nanos * candidate.p_ppb // _ONE_P


def score(candidate: Candidate) -> int:
    """What the candidates are ordered by, in nanos of value.

    >>> score(Candidate(ad_id="a", bid_nanos=2_000_000, quality_ppm=500_000))
    1000000
    """
    scale = candidate.quality_ppm * candidate.multiplier_ppm
    return value(candidate) * scale // _ONE_SCALE + candidate.shift_nanos


def rank(candidates: Iterable[Candidate], *, reserve_nanos: int = 0) -> list[Ranked]:
    """The candidates that may win, best first: worth the reserve, and with a score.

    A scale below 1 excludes too: the price is found by dividing by it.
    """
    running = [
        Ranked(candidate, points)
        for candidate in candidates
        if candidate.p_ppb >= 1
        and candidate.quality_ppm >= 1
        and candidate.multiplier_ppm >= 1
        and value(candidate) >= reserve_nanos
        and (points := score(candidate)) > 0
    ]
    running.sort(key=lambda ranked: (-ranked.score_nanos, ranked.candidate.ad_id))
    return running


def sell(ranked: Sequence[Ranked], *, rule: Rule, reserve_nanos: int = 0) -> Sale | None:
    """The sale to the first of ``ranked``, which ``rank`` put in order at the same reserve."""
    if not ranked:
        return None
    winner = ranked[0].candidate
    price_nanos = winner.bid_nanos if rule == "first" else _second_price(ranked, reserve_nanos)
    assert price_nanos <= winner.bid_nanos, "a winner never pays more than its bid"
    return Sale(ad_id=winner.ad_id, slot=0, price_nanos=price_nanos)


def clear(candidates: Iterable[Candidate], *, rule: Rule, reserve_nanos: int = 0) -> Sale | None:
    """Run the auction of one slot; None when nobody reaches the reserve.

    >>> rivals = [Candidate(ad_id="a", bid_nanos=900), Candidate(ad_id="b", bid_nanos=500)]
    >>> clear(rivals, rule="second")
    Sale(ad_id='a', slot=0, price_nanos=500)
    >>> clear(rivals, rule="second", reserve_nanos=600).price_nanos
    600
    """
    ranked = rank(candidates, reserve_nanos=reserve_nanos)
    return sell(ranked, rule=rule, reserve_nanos=reserve_nanos)


def recompute(outcome: SlotOutcome) -> tuple[str, int] | None:
    """(ad id, price in nanos) of a logged slot from its inputs alone; None for no sale."""
    sale = clear(
        (
            Candidate(
                ad_id=one.ad_id,
                bid_nanos=one.bid_nanos,
                p_ppb=one.p_ppb,
                quality_ppm=one.quality_ppm,
                multiplier_ppm=one.multiplier_ppm,
                shift_nanos=one.shift_nanos,
            )
            for one in outcome.considered
        ),
        rule="second" if outcome.rule == "second" and not outcome.charge_bid else "first",
        reserve_nanos=outcome.reserve_nanos,
    )
    return None if sale is None else (sale.ad_id, sale.price_nanos)


def _second_price(ranked: Sequence[Ranked], reserve_nanos: int) -> int:
    winner = ranked[0].candidate
    to_beat = 1
    if len(ranked) > 1:
        rival = ranked[1]
        to_beat = rival.score_nanos + (winner.ad_id > rival.candidate.ad_id)
    scale = winner.quality_ppm * winner.multiplier_ppm
    needed_value = max(reserve_nanos, _ceil_div((to_beat - winner.shift_nanos) * _ONE_SCALE, scale))
    return _ceil_div(needed_value * _ONE_P, winner.p_ppb)


def _ceil_div(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)
