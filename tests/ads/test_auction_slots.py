"""Several slots: hand-worked prices, the laws of 3.12, and oracles in exact fractions."""

from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ringwork.ads.auction import MAX_SLOTS, clear, rank
from ringwork.ads.model import Candidate, Sale

names = st.sampled_from("abcdefgh")
SLOTS = st.lists(st.integers(1, 10**6), min_size=1, max_size=4).map(
    lambda factors: sorted(factors, reverse=True)
)
RESERVES = st.integers(0, 40) | st.integers(0, 10**9)


def candidates(*, shifts=(0, 0, 3, -5, 40), p_ppb=(1, 5_000_000, 300_000_000, 10**9)):
    return st.lists(
        st.builds(
            Candidate,
            ad_id=names,
            bid_nanos=st.integers(0, 60) | st.integers(1, 10**12),
            p_ppb=st.sampled_from(p_ppb),
            quality_ppm=st.sampled_from([1, 500_000, 10**6, 1_500_000]),
            multiplier_ppm=st.sampled_from([700_000, 10**6, 1_200_000]),
            shift_nanos=st.sampled_from(shifts),
        ),
        max_size=7,
        unique_by=lambda candidate: candidate.ad_id,
    )


def cpm(ad_id: str, bid_nanos: int, **scales: int) -> Candidate:
    return Candidate(ad_id=ad_id, bid_nanos=bid_nanos, **scales)


# ---- by hand ------------------------------------------------------------------------------------


def test_gsp_charges_each_slot_the_next_score():
    sales = clear([cpm("a", 900), cpm("b", 500), cpm("c", 200)], slot_ppm=(1_000_000, 500_000))
    assert sales == [
        Sale(ad_id="a", slot=0, price_nanos=500),
        Sale(ad_id="b", slot=1, price_nanos=200),
    ]


def test_vcg_charges_what_the_others_lose():
    # Without a, b would have the whole slot instead of half, and c half instead of nothing:
    # 500 / 2 + 200 / 2 per show. Without b, c would have half of its 200: 200 per show.
    sales = clear([cpm("a", 900), cpm("b", 500), cpm("c", 200)], slot_ppm=(2, 1), rule="vcg")
    assert [sale.price_nanos for sale in sales] == [350, 200]


def test_a_vcg_price_is_rounded_up_once():
    # (500 + 2 * 200) / 3 is 300 exactly; (500 + 2 * 201) / 3 is 300.67.
    assert (
        clear([cpm("a", 900), cpm("b", 500), cpm("c", 200)], slot_ppm=(3, 2), rule="vcg")[
            0
        ].price_nanos
        == 300
    )
    assert (
        clear([cpm("a", 900), cpm("b", 500), cpm("c", 201)], slot_ppm=(3, 2), rule="vcg")[
            0
        ].price_nanos
        == 301
    )


def test_first_price_charges_every_slot_its_bid():
    sales = clear([cpm("a", 900), cpm("b", 500)], slot_ppm=(3, 2, 1), rule="first")
    assert [(sale.slot, sale.price_nanos) for sale in sales] == [(0, 900), (1, 500)]


def test_multiplier_and_shift_are_undone_inside_a_vcg_price():
    # Scores: a 400 * 1.5 + 200 = 800, b 500, c 300. Charge (500 + 300) / 2 = 400 of score;
    # less the shift 200, over 1.5: 133.3.
    a = cpm("a", 400, multiplier_ppm=1_500_000, shift_nanos=200)
    assert (
        clear([a, cpm("b", 500), cpm("c", 300)], slot_ppm=(2, 1), rule="vcg")[0].price_nanos == 134
    )


def utility(bids: dict[str, int], *, worth: int, slots: tuple[int, ...], reserve: int) -> Fraction:
    """Of "me", per opportunity, in units of the last slot factor."""
    sales = clear(
        [cpm(name, bid) for name, bid in bids.items()],
        slot_ppm=slots,
        rule="vcg",
        reserve_nanos=reserve,
    )
    mine = [sale for sale in sales if sale.ad_id == "me"]
    return Fraction(sum(slots[sale.slot] * (worth - sale.price_nanos) for sale in mine))


def test_the_reserve_inside_the_sum_leaves_nothing_to_overbidding():
    # The specification's example: a price clamped at the reserve would give 500 to the truth and
    # 1000 to a bid of 7000. Inside the sum, half of 6000 and half of 4000 are charged for the top.
    terms = {"worth": 5_000, "slots": (2, 1), "reserve": 4_000}
    assert utility({"me": 5_000, "rival": 6_000}, **terms) / 2 == 500
    assert utility({"me": 7_000, "rival": 6_000}, **terms) / 2 == 0


def test_an_increment_goes_on_top_of_a_rival_s_price_up_to_the_bid():
    def first_price(bid_nanos: int, rival_nanos: int, reserve_nanos: int = 0) -> int:
        return clear(
            [cpm("a", bid_nanos), cpm("b", rival_nanos)],
            increment_nanos=10,
            reserve_nanos=reserve_nanos,
        )[0].price_nanos

    assert first_price(900, 500) == 510
    assert first_price(505, 500) == 505
    assert first_price(900, 500, reserve_nanos=600) == 600, "the reserve is no rival"


@pytest.mark.parametrize(
    "terms",
    [
        {"slot_ppm": ()},
        {"slot_ppm": (1, 2)},
        {"slot_ppm": (2, 0)},
        {"slot_ppm": (1,) * (MAX_SLOTS + 1)},
        {"slot_ppm": (2, 1), "rule": "second"},
        {"rule": "third"},
        {"reserve_nanos": -1},
        {"increment_nanos": -1},
        {"increment_nanos": 1, "rule": "vcg"},
    ],
)
def test_terms_that_make_no_sense_are_refused(terms):
    with pytest.raises(ValueError):
        clear([cpm("a", 1)], **terms)


def test_two_candidates_of_one_name_are_refused():
    with pytest.raises(ValueError, match="twice"):
        clear([cpm("a", 1), cpm("a", 2)])


# ---- oracles ------------------------------------------------------------------------------------


def weight(one: Candidate) -> Fraction:
    return Fraction(one.quality_ppm, 10**6) * Fraction(one.multiplier_ppm, 10**6)


def ordered(among: list[Candidate], reserve_nanos: int) -> list[tuple[int, str, Candidate]]:
    """(points, name, candidate), best first, by fractions."""
    places = []
    for one in among:
        worth = floor(Fraction(one.bid_nanos * one.p_ppb, 10**9))
        points = floor(worth * weight(one)) + one.shift_nanos
        if worth >= reserve_nanos and points >= 1:
            places.append((points, one.ad_id, one))
    return sorted(places, key=lambda place: (-place[0], place[1]))


def slot_of(name: str, among: list[Candidate], reserve_nanos: int) -> int | None:
    order = [place[1] for place in ordered(among, reserve_nanos)]
    return order.index(name) if name in order else None


def with_bid(among: list[Candidate], name: str, bid_nanos: int) -> list[Candidate]:
    return [replace(one, bid_nanos=bid_nanos) if one.ad_id == name else one for one in among]


def bid_of(among: list[Candidate], name: str) -> int:
    return next(one.bid_nanos for one in among if one.ad_id == name)


@given(candidates(), SLOTS, RESERVES)
def test_winners_are_the_best_in_order_and_a_gsp_price_the_least_bid_that_keeps_the_slot(
    among, slots, reserve_nanos
):
    sales = clear(among, slot_ppm=slots, reserve_nanos=reserve_nanos)
    expected = [place[1] for place in ordered(among, reserve_nanos)][: len(slots)]
    assert [(sale.slot, sale.ad_id) for sale in sales] == list(enumerate(expected))
    for sale in sales:
        low, high = -1, bid_of(among, sale.ad_id)
        while high - low > 1:
            middle = (low + high) // 2
            slot = slot_of(sale.ad_id, with_bid(among, sale.ad_id, middle), reserve_nanos)
            low, high = (low, middle) if slot is not None and slot <= sale.slot else (middle, high)
        assert sale.price_nanos == high


def charge(among: list[Candidate], name: str, slots: list[int], reserve_nanos: int) -> Fraction:
    """The exact VCG charge of a winner in nanos of value, as the specification writes it."""
    order = ordered(among, reserve_nanos)
    position = next(i for i, place in enumerate(order) if place[1] == name)
    winner = order[position][2]
    least = reserve_nanos * weight(winner) + winner.shift_nanos
    total = Fraction(0)
    for slot in range(position, len(slots)):
        below = slots[slot + 1] if slot + 1 < len(slots) else 0
        to_beat = 1
        if slot + 1 < len(order):
            to_beat = order[slot + 1][0] + (name > order[slot + 1][1])
        total += (slots[slot] - below) * max(Fraction(to_beat), least)
    return (total / slots[position] - winner.shift_nanos) / weight(winner)


@given(candidates(), SLOTS, RESERVES)
def test_vcg_prices_are_the_specified_fraction_and_at_most_gsp(among, slots, reserve_nanos):
    vcg = clear(among, slot_ppm=slots, rule="vcg", reserve_nanos=reserve_nanos)
    gsp = clear(among, slot_ppm=slots, rule="gsp", reserve_nanos=reserve_nanos)
    by_name = {one.ad_id: one for one in among}
    for one, other in zip(vcg, gsp, strict=True):
        exact = charge(among, one.ad_id, slots, reserve_nanos)
        p_ppb = by_name[one.ad_id].p_ppb
        assert one.price_nanos == ceil(Fraction(ceil(exact) * 10**9, p_ppb))
        assert one.ad_id == other.ad_id
        assert one.price_nanos <= other.price_nanos <= bid_of(among, one.ad_id)


@given(candidates(shifts=(0, 0, -5)), SLOTS)
def test_vcg_is_the_loss_of_the_others_up_to_ties(among, slots):
    """Remove the winner and solve again: what the rest gain, undone, is the price but for the one
    point of score that a tie, or winning against nobody, takes."""

    def welfare(order: list[tuple[int, str, Candidate]]) -> int:
        return sum(slot * place[0] for slot, place in zip(slots, order, strict=False))

    order = ordered(among, 0)
    for sale in clear(among, slot_ppm=slots, rule="vcg"):
        points, _, winner = order[sale.slot]
        own = slots[sale.slot] * points
        without = [place for place in order if place[1] != sale.ad_id]
        lost = Fraction(welfare(without) - (welfare(order) - own), slots[sale.slot])

        def price(points: Fraction, winner: Candidate = winner) -> int:
            worth = ceil(max(Fraction(0), (points - winner.shift_nanos) / weight(winner)))
            return ceil(Fraction(worth * 10**9, winner.p_ppb))

        assert price(lost) <= sale.price_nanos <= price(lost + 1)


SMALL = st.lists(
    st.builds(
        Candidate,
        ad_id=names,
        bid_nanos=st.integers(0, 14),
        quality_ppm=st.sampled_from([500_000, 10**6, 1_500_000]),
        shift_nanos=st.sampled_from([0, 0, 2, -2]),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda candidate: candidate.ad_id,
)


@given(SMALL, st.lists(st.integers(1, 6), min_size=1, max_size=3), st.integers(0, 8))
def test_no_misreport_pays_under_vcg(among, factors, reserve_nanos):
    slots = sorted(factors, reverse=True)
    me = among[0]

    def outcome(bid_nanos: int) -> tuple[Fraction, int]:
        """What bidding so is worth exactly, and at the prices charged."""
        bids = with_bid(among, me.ad_id, bid_nanos)
        for sale in clear(bids, slot_ppm=slots, rule="vcg", reserve_nanos=reserve_nanos):
            if sale.ad_id == me.ad_id:
                exact = charge(bids, me.ad_id, slots, reserve_nanos)
                assert sale.price_nanos == ceil(exact)
                return slots[sale.slot] * (me.bid_nanos - exact), slots[sale.slot] * (
                    me.bid_nanos - sale.price_nanos
                )
        return Fraction(0), 0

    truth_exact, truth = outcome(me.bid_nanos)
    for bid_nanos in range(24):
        misreport_exact, misreport = outcome(bid_nanos)
        assert misreport_exact <= truth_exact
        assert misreport - truth < slots[0], "rounding up takes less than a nano a show"


@given(SMALL, st.integers(0, 8), st.sampled_from([100_000_000, 350_000_000]))
def test_misreporting_a_click_s_worth_gains_less_than_two_nanos(among, reserve_nanos, p_ppb):
    slots = [3, 2]
    among = [replace(one, bid_nanos=one.bid_nanos * 7, p_ppb=p_ppb) for one in among]
    me = among[0]

    def gain(bid_nanos: int) -> Fraction:
        bids = with_bid(among, me.ad_id, bid_nanos)
        for sale in clear(bids, slot_ppm=slots, rule="vcg", reserve_nanos=reserve_nanos):
            if sale.ad_id == me.ad_id:
                per_click = me.bid_nanos - sale.price_nanos
                return Fraction(slots[sale.slot] * per_click * p_ppb, 10**9)
        return Fraction(0)

    truth = gain(me.bid_nanos)
    assert all(gain(bid_nanos) - truth < 2 * slots[0] for bid_nanos in range(0, 160, 3))


@given(candidates(), SLOTS, RESERVES)
def test_who_is_behind_the_first_loser_and_who_may_not_win_change_nothing(
    among, slots, reserve_nanos
):
    first_loser = rank(among, reserve_nanos=reserve_nanos)[: len(slots) + 1]
    needed = [one.candidate for one in first_loser]
    for rule in ("gsp", "vcg", "first"):
        terms = {"slot_ppm": slots, "rule": rule, "reserve_nanos": reserve_nanos}
        assert clear(needed, **terms) == clear(among, **terms) == clear(among[::-1], **terms)


@given(candidates(), SLOTS, RESERVES, st.integers(1, 10**9), st.sampled_from(["gsp", "vcg"]))
def test_raising_a_bid_never_worsens_the_slot(among, slots, reserve_nanos, more_nanos, rule):
    terms = {"slot_ppm": slots, "rule": rule, "reserve_nanos": reserve_nanos}
    for before in clear(among, **terms):
        raised = with_bid(among, before.ad_id, bid_of(among, before.ad_id) + more_nanos)
        after = next(sale for sale in clear(raised, **terms) if sale.ad_id == before.ad_id)
        assert after.slot <= before.slot
        if after.slot == before.slot:
            assert after.price_nanos == before.price_nanos, "a price is not set by one's own bid"
