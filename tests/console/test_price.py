"""The price, recomputed: by hand, against the auction itself, and as the lines that people read."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ringwork.ads import auction
from ringwork.ads.events import Considered, SlotOutcome
from ringwork.ads.model import Candidate, Rule
from ringwork.console.views.price import more_to_win, recompute, score_of, winner_and_next
from tests.console.day import NEXT, SOLD, WINNER


def test_the_second_price_by_hand() -> None:
    """1,818,000 / 0.97 is 1,874,226.80...: rounded up to the nano."""
    tied_loses = replace(NEXT, ad_id="zz")  # "hp-1" < "zz": an equal score would keep the place
    slot = replace(SOLD, considered=[WINNER, tied_loses])
    found = recompute(slot)
    assert found is not None
    assert found.price_nanos == 1_874_227
    assert found.same
    assert [line.text for line in found.lines] == [
        "Bid", "Quality", "Score", "Next score", "Quality undone, up to the nano", "Charged",
    ]  # fmt: skip
    assert found.lines[-1].figure.replace("\u202f", " ") == "0.001 874 227"


def test_a_tie_that_would_be_lost_costs_one_nano_of_score() -> None:
    slot = replace(SOLD, considered=[replace(WINNER, ad_id="zz"), NEXT], ad_id="zz")
    found = recompute(slot)
    assert found is not None
    assert found.price_nanos == 1_874_228  # (1,818,000 + 1) / 0.97 = 1,874,227.84
    assert not found.same
    assert "A tie would go to the next" in [line.text for line in found.lines]


def test_alone_it_pays_the_reserve() -> None:
    slot = replace(SOLD, considered=[WINNER], price_nanos=900_000)
    found = recompute(slot)
    assert found is not None
    assert found.same
    assert [line.text for line in found.lines][-2:] == ["The reserve asks more", "Charged"]


def test_first_price_and_an_exchange_that_sets_the_price_pay_the_bid() -> None:
    for slot in (replace(SOLD, rule="first"), replace(SOLD, charge_bid=True)):
        found = recompute(replace(slot, price_nanos=WINNER.bid_nanos))
        assert found is not None
        assert found.same


def test_a_place_that_was_not_sold_has_no_price() -> None:
    unsold = replace(SOLD, ad_id="", campaign_id="")
    assert recompute(unsold) is None
    assert winner_and_next(unsold) is None
    assert more_to_win(unsold, NEXT) is None


def test_a_click_price_undoes_the_chance() -> None:
    """0.25 a click at 0.5 %: worth 1,250,000; the reserve of 900,000 is 0.18 a click."""
    clicks = Considered("c", "c", 250_000_000, 5_000_000, 10**6, 10**6, 0, 1_250_000)
    slot = replace(SOLD, considered=[clicks], ad_id="c", pricing="cpc", price_nanos=180_000_000)
    found = recompute(slot)
    assert found is not None
    assert found.same
    assert found.unit == "a click"


candidates = st.lists(
    st.builds(
        Candidate,
        ad_id=st.text("abc", min_size=1, max_size=3),
        bid_nanos=st.integers(1, 10**12),
        p_ppb=st.integers(1, 10**9),
        quality_ppm=st.integers(1, 10**7),
        multiplier_ppm=st.integers(1, 10**7),
        shift_nanos=st.integers(-(10**6), 10**6),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda one: one.ad_id,
)


@given(candidates, st.sampled_from(["first", "second"]), st.integers(0, 10**7))
def test_the_page_and_the_auction_agree_to_the_nano(
    running: list[Candidate], rule: Rule, reserve_nanos: int
) -> None:
    ranked = auction.rank(running, reserve_nanos=reserve_nanos)
    sale = auction.sell(ranked, rule=rule, reserve_nanos=reserve_nanos)
    considered = [
        Considered(
            each.candidate.ad_id, each.candidate.ad_id, each.candidate.bid_nanos,
            each.candidate.p_ppb, each.candidate.quality_ppm, each.candidate.multiplier_ppm,
            each.candidate.shift_nanos, each.score_nanos,
        )
        for each in ranked
    ]  # fmt: skip
    assert all(score_of(each) == each.score_nanos for each in considered)
    slot = SlotOutcome("1", "banner", rule, reserve_nanos, len(ranked), {}, considered)
    if sale is None:
        assert recompute(slot) is None
        return
    sold = replace(slot, ad_id=sale.ad_id, price_nanos=sale.price_nanos)
    found = recompute(sold)
    assert found is not None
    assert found.same
    for loser in considered[1:]:
        more = more_to_win(sold, loser)
        assert more is not None
        assert more > 0
        for step, wins in ((0, True), (-1, False)):
            raised = [
                replace(one, bid_nanos=one.bid_nanos + more + step)
                if one.ad_id == loser.ad_id
                else one
                for one in running
            ]
            first = auction.rank(raised, reserve_nanos=reserve_nanos)[0].candidate.ad_id
            assert (first == loser.ad_id) is wins
