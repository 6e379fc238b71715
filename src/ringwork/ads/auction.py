"""Who wins which slot and at what price, in integers (ads specification 3.12).

Python ints with floor division, so that a price can be recomputed bit for bit from the logged
inputs. ``value = bid * p // 10**9`` is what an impression is worth, ``score = value * quality *
multiplier // 10**12 + shift`` orders the candidates (ties: the smaller ad id first). Every price
rests on the score that a winner must reach to keep a slot; quality, multiplier, shift and p are
undone *inside* it, so that what is charged is in the unit of the bid and never more than the bid.

Generalised second price and position auctions: Edelman, Ostrovsky and Schwarz, "Internet
Advertising and the Generalized Second-Price Auction", AER 97(1), 2007. The reserve lies inside the
sum of the VCG price, because a truthful price is the integral of what a bid is allotted (Myerson,
"Optimal auction design", 1981), and a finished sum raised to the reserve is not. Where the bid is
per click, the charge is an exact fraction of an impression's value, is rounded up to a nano of
value once, and becomes a price per click as a second price does: one slot sold by VCG costs exactly
its second price, and misreporting gains less than the two nanos an impression that rounding moves.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from ringwork.ads.events import SlotOutcome
from ringwork.ads.model import Candidate, Rule, Sale

MAX_SLOTS: Final = 100
"""More places than a page or a break has; a VCG price is a sum over them."""
_RULES: Final = frozenset({"gsp", "second", "vcg", "first"})
_BY_PRIORITY: Final = frozenset({"house", "priority"})
"""Of these the first is asked before whoever scores more."""
_ONE_P: Final = 10**9
_ONE_SCALE: Final = 10**12
"""quality (ppm) times multiplier (ppm)."""


class Ranked(Struct, frozen=True):
    """A candidate that may win, with the score that gives it its place."""

    candidate: Candidate
    score_nanos: int


Place = tuple[Ranked, Sequence[Ranked | None]]
"""A winner, and for its own slot and each slot below: whom it must outrank to be there or higher
(None: nobody)."""


class Placed(Struct, frozen=True):
    """A winner of a slate, with what its price is made of."""

    sale: Sale
    winner: Ranked
    rivals: list[Ranked]
    """Whom it must outrank to hold its slot, and each of the slots below, as far as they differ."""
    slot_ppm: Sequence[int]
    """What its slot and those below are worth that ``rivals`` and nobody after them stand for."""


class _Claim(Struct, frozen=True):
    """A ranked candidate and what it would occupy."""

    ranked: Ranked
    owner: Hashable
    keys: Collection[Hashable]


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
    return [Ranked(one, -points) for points, _, _, one in _scored(candidates, reserve_nanos)]


def sell(ranked: Sequence[Ranked], *, rule: Rule, reserve_nanos: int = 0) -> Sale | None:
    """The sale of a single slot to the first of ``ranked``.

    ``rank`` put them in order at the same reserve. Every rule but ``first`` is the second price.
    """
    if not ranked:
        return None
    winner = ranked[0].candidate
    if rule == "first":
        price_nanos = winner.bid_nanos
    else:
        rival = ranked[1] if len(ranked) > 1 else None
        price_nanos = _second_price(winner, rival, reserve_nanos)
    assert price_nanos <= winner.bid_nanos, "a winner never pays more than its bid"
    return Sale(ad_id=winner.ad_id, slot=0, price_nanos=price_nanos)


def clear(
    candidates: Iterable[Candidate],
    *,
    slot_ppm: Sequence[int] = (1_000_000,),
    rule: Rule = "gsp",
    reserve_nanos: int = 0,
    increment_nanos: int = 0,
    advertisers: Mapping[str, Hashable] | None = None,
    groups: Mapping[str, Collection[Hashable]] | None = None,
) -> list[Sale]:
    """Run the auction of a page: its sales, best slot first; empty when nobody may win.

    ``slot_ppm`` says what each slot is worth beside the others, in any common unit, never rising.
    ``gsp`` charges the least bid that keeps the winner's slot (``second`` is its name for a single
    slot), ``vcg`` what the winner's presence costs the others per show, ``first`` the bid.
    ``increment_nanos`` (OpenRTB's "second price plus") is added to a price that a rival sets, up to
    the bid; a price that the reserve sets stays.

    ``advertisers`` (ad id -> advertiser) lets each advertiser win once; ``groups`` (ad id -> keys)
    keeps any two winners from sharing a key. They are two arguments because they price differently:
    a competitor of the winner's category may set its price, another ad of its own advertiser never
    does. Slots are then filled in order of score by whoever is compatible with those above.
    Raising a bid can only improve its slot in that rule, so the least bid for each slot exists and
    is what a bisection over the whole rule would find. It is found in one pass per winner:
    at most slots * candidates steps.

    ValueError: slots that rise, are below 1 or are not 1 to ``MAX_SLOTS`` many; ``second`` for
    several; a negative reserve or increment, or an increment without a second price; an unknown
    rule; two candidates of one name.

    >>> rivals = [Candidate(ad_id="a", bid_nanos=900), Candidate(ad_id="b", bid_nanos=500)]
    >>> clear(rivals)
    [Sale(ad_id='a', slot=0, price_nanos=500)]
    >>> clear(rivals, slot_ppm=(2, 1), rule="vcg", reserve_nanos=300)
    [Sale(ad_id='a', slot=0, price_nanos=400), Sale(ad_id='b', slot=1, price_nanos=300)]
    >>> clear(rivals, slot_ppm=(2, 1), groups={"a": ["cars"], "b": ["cars"]})
    [Sale(ad_id='a', slot=0, price_nanos=500)]
    """
    placed = place(
        candidates,
        slot_ppm=slot_ppm,
        rule=rule,
        reserve_nanos=reserve_nanos,
        increment_nanos=increment_nanos,
        advertisers=advertisers,
        groups=groups,
    )
    return [one.sale for one in placed]


def place(
    candidates: Iterable[Candidate],
    *,
    slot_ppm: Sequence[int] = (1_000_000,),
    rule: Rule = "gsp",
    reserve_nanos: int = 0,
    increment_nanos: int = 0,
    advertisers: Mapping[str, Hashable] | None = None,
    groups: Mapping[str, Collection[Hashable]] | None = None,
) -> list[Placed]:
    """As ``clear``, with the inputs of every price.

    The price of each is that of the first of a slate of its ``slot_ppm`` among itself and its
    ``rivals`` alone.
    """
    _check(slot_ppm, rule, reserve_nanos, increment_nanos)
    scored = _scored(candidates, reserve_nanos)
    if len({ad_id for _, ad_id, _, _ in scored}) < len(scored):
        raise ValueError("every candidate of an auction needs an ad id of its own, got one twice")
    apart = bool(advertisers or groups)
    needed = scored if apart else scored[: len(slot_ppm) + 1]
    ranked = [Ranked(one, -points) for points, _, _, one in needed]
    if apart:
        places = _separated(ranked, len(slot_ppm), advertisers or {}, groups or {})
    else:
        places = _in_order(ranked, len(slot_ppm))
    placed = []
    for slot, (ranked_winner, rivals) in enumerate(places):
        winner = ranked_winner.candidate
        if rule == "first":
            price_nanos = winner.bid_nanos
        elif rule == "vcg":
            price_nanos = _vcg_price(winner, rivals, slot_ppm[slot:], reserve_nanos)
        else:
            price_nanos = _second_price(winner, rivals[0], reserve_nanos, increment_nanos)
        assert price_nanos <= winner.bid_nanos, "a winner never pays more than its bid"
        sale = Sale(ad_id=winner.ad_id, slot=slot, price_nanos=price_nanos)
        placed.append(_placed(sale, ranked_winner, rivals, slot_ppm[slot:]))
    return placed


def _placed(
    sale: Sale, winner: Ranked, rivals: Sequence[Ranked | None], slot_ppm: Sequence[int]
) -> Placed:
    """A rival that stands for all slots from one on is as good as that slot being the last."""
    distinct: list[Ranked] = []
    for number, rival in enumerate(rivals):
        if rival is None:
            break
        if distinct and rival is distinct[-1]:
            return Placed(sale, winner, distinct, slot_ppm[:number])
        distinct.append(rival)
    return Placed(sale, winner, distinct, slot_ppm)


def sell_as(charged: str, ranked: Sequence[Ranked], reserve_nanos: int = 0) -> Sale | None:
    """The sale of a single slot as a winner of that kind pays.

    ``first`` and ``priority`` its bid, ``second`` what keeps its place, ``agreed`` exactly the
    reserve (a deal's price), ``house`` nothing.
    """
    if not ranked:
        return None
    if charged == "second":
        return sell(ranked, rule="second", reserve_nanos=reserve_nanos)
    if charged in ("first", "priority"):
        return sell(ranked, rule="first")
    winner = ranked[0].candidate
    price_nanos = -(-reserve_nanos * _ONE_P // winner.p_ppb) if charged == "agreed" else 0
    assert price_nanos <= winner.bid_nanos, "who is not worth the agreed price is not ranked"
    return Sale(ad_id=winner.ad_id, slot=0, price_nanos=price_nanos)


def recompute(outcome: SlotOutcome) -> tuple[str, int] | None:
    """(ad id, price in nanos) of a logged slot from its inputs alone; None for no sale.

    All that were considered were worth their own reserve, which may differ with their duration; the
    one that is logged is the winner's.
    """
    ranked = rank(
        Candidate(
            ad_id=one.ad_id,
            bid_nanos=one.bid_nanos,
            p_ppb=one.p_ppb,
            quality_ppm=one.quality_ppm,
            multiplier_ppm=one.multiplier_ppm,
            shift_nanos=one.shift_nanos,
        )
        for one in outcome.considered[: 1 if outcome.rule in _BY_PRIORITY else None]
    )
    if outcome.rule in _BY_PRIORITY or outcome.rule == "agreed":
        charged = outcome.rule
    else:  # for one slot the other rules are the second price
        charged = "first" if outcome.charge_bid or outcome.rule == "first" else "second"
    if ranked and charged != "house" and value(ranked[0].candidate) < outcome.reserve_nanos:
        return None
    if outcome.slate_ppm and outcome.rule == "vcg":
        sales = clear(
            [one.candidate for one in ranked],
            slot_ppm=outcome.slate_ppm,
            rule="vcg",
            reserve_nanos=outcome.reserve_nanos,
        )
        return (sales[0].ad_id, sales[0].price_nanos) if sales else None
    sale = sell_as(charged, ranked, outcome.reserve_nanos)
    return None if sale is None else (sale.ad_id, sale.price_nanos)


def _check(slot_ppm: Sequence[int], rule: Rule, reserve_nanos: int, increment_nanos: int) -> None:
    if rule not in _RULES:
        raise ValueError(f"expected a rule of {sorted(_RULES)}, got {rule!r}")
    if not 1 <= len(slot_ppm) <= MAX_SLOTS:
        raise ValueError(f"expected 1 to {MAX_SLOTS} slots, got {len(slot_ppm)}")
    if len(slot_ppm) > 1 and rule == "second":
        raise ValueError(f"rule 'second' sells one slot, got {len(slot_ppm)}: 'gsp' sells several")
    if slot_ppm[-1] < 1 or any(map(int.__lt__, slot_ppm, slot_ppm[1:])):
        raise ValueError(f"slots must be worth 1 or more and never rise, got {list(slot_ppm)}")
    if reserve_nanos < 0 or increment_nanos < 0:
        raise ValueError(
            f"reserve and increment must not be negative, got {reserve_nanos}, {increment_nanos}"
        )
    if increment_nanos and rule not in ("gsp", "second"):
        raise ValueError(f"an increment belongs to a second price, got rule {rule!r}")


def _scored(
    candidates: Iterable[Candidate], reserve_nanos: int
) -> list[tuple[int, str, int, Candidate]]:
    """(less its score, ad id, number, candidate) of those that may win, best first."""
    # ``value`` and ``score`` written out, without the arithmetic that changes nothing, and tuples
    # that sort without a key function: this loop is in every request. The number keeps candidates
    # of one name from being compared themselves.
    running = []
    for number, candidate in enumerate(candidates):
        p_ppb = candidate.p_ppb
        quality_ppm = candidate.quality_ppm
        multiplier_ppm = candidate.multiplier_ppm
        if p_ppb < 1 or quality_ppm < 1 or multiplier_ppm < 1:
            continue
        worth = candidate.bid_nanos
        if p_ppb != _ONE_P:
            worth = worth * p_ppb // _ONE_P
        if worth < reserve_nanos:
            continue
        scale = quality_ppm * multiplier_ppm
        points = worth if scale == _ONE_SCALE else worth * scale // _ONE_SCALE
        points += candidate.shift_nanos
        if points > 0:
            running.append((-points, candidate.ad_id, number, candidate))
    running.sort()
    return running


def _in_order(ranked: Sequence[Ranked], count: int) -> Iterator[Place]:
    """The winners where everybody may stand beside everybody."""
    best: list[Ranked | None] = [*ranked[: count + 1]]
    best += [None] * (count + 1 - len(best))
    for slot, winner in enumerate(ranked[:count]):
        yield winner, best[slot + 1 :]


def _separated(
    ranked: Sequence[Ranked],
    count: int,
    advertisers: Mapping[str, Hashable],
    groups: Mapping[str, Collection[Hashable]],
) -> Iterator[Place]:
    """The winners where some exclude each other, each taken if compatible with those above it."""
    claims = [
        _Claim(one, advertisers.get(one.candidate.ad_id), groups.get(one.candidate.ad_id, ()))
        for one in ranked
    ]
    owners: set[Hashable] = set()
    keys: set[Hashable] = set()
    slot = 0
    for number, claim in enumerate(claims):
        if slot == count:
            return
        if claim.owner in owners or not keys.isdisjoint(claim.keys):
            continue
        if claim.owner is not None:
            owners.add(claim.owner)
        rivals = _rivals(claim, claims[number + 1 :], set(owners), set(keys), count - slot)
        yield claim.ranked, rivals
        keys.update(claim.keys)
        slot += 1


def _rivals(
    winner: _Claim,
    behind: Iterable[_Claim],
    owners: set[Hashable],
    keys: set[Hashable],
    count: int,
) -> list[Ranked | None]:
    """Whom ``winner`` must outrank to hold its slot, or each of the slots below.

    The slots are filled without the winner and its advertiser's other ads (``owners`` holds it).
    Those above the winner are as they were: the other ads had not won. Its slot is one below as
    many as are taken ahead of it, and it has none once somebody who excludes it is.
    """
    mine = set(winner.keys)
    rivals: list[Ranked | None] = []
    for other in behind:
        if len(rivals) == count:
            return rivals
        if other.owner in owners or not keys.isdisjoint(other.keys):
            continue
        rivals.append(other.ranked)
        if not mine.isdisjoint(other.keys):
            # No slot is left below this one, however many there are.
            return rivals + [other.ranked] * (count - len(rivals))
        if other.owner is not None:
            owners.add(other.owner)
        keys.update(other.keys)
    return rivals + [None] * (count - len(rivals))


def _second_price(
    winner: Candidate, rival: Ranked | None, reserve_nanos: int, increment_nanos: int = 0
) -> int:
    """The least bid that reaches the reserve and outranks ``rival``, the latter by the increment.

    At most the bid.
    """
    p_ppb = winner.p_ppb
    scale = winner.quality_ppm * winner.multiplier_ppm
    outranking = -((winner.shift_nanos - _to_beat(winner, rival)) * _ONE_SCALE // scale)
    worth = outranking if outranking > reserve_nanos else reserve_nanos
    price_nanos = -(-worth * _ONE_P // p_ppb)
    if increment_nanos and rival is not None:
        stepped_nanos = -(-outranking * _ONE_P // p_ppb) + increment_nanos
        return min(winner.bid_nanos, max(price_nanos, stepped_nanos))
    return price_nanos


def _vcg_price(
    winner: Candidate,
    rivals: Sequence[Ranked | None],
    slot_ppm: Sequence[int],
    reserve_nanos: int,
) -> int:
    """The mean of what each slot from the winner's down must reach, by what it adds to the next.

    Everything is multiplied by scale and factor, so that the one division rounds up once.
    """
    scale = winner.quality_ppm * winner.multiplier_ppm
    shift_nanos = winner.shift_nanos
    # A score of this or less asks for no more than the reserve.
    reserve = reserve_nanos * scale
    least = shift_nanos + reserve // _ONE_SCALE
    rest_ppm = slot_ppm[0]
    charge = 0
    for number, rival in enumerate(rivals):
        to_beat = _to_beat(winner, rival)
        if to_beat <= least:
            break  # nor do the slots below, whose rivals rank lower
        below_ppm = slot_ppm[number + 1] if number + 1 < len(slot_ppm) else 0
        charge += (rest_ppm - below_ppm) * (to_beat - shift_nanos)
        rest_ppm = below_ppm
    charge = charge * _ONE_SCALE + rest_ppm * reserve
    worth = -(-charge // (slot_ppm[0] * scale))
    return -(-worth * _ONE_P // winner.p_ppb)


def _to_beat(winner: Candidate, rival: Ranked | None) -> int:
    """The least score that is ranked above ``rival``; without one, the least that counts."""
    if rival is None:
        return 1
    return rival.score_nanos + (winner.ad_id > rival.candidate.ad_id)
