"""Outside bids in the auction: their place, what they pay at most, and what they are told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ringwork.ads import auction
from ringwork.ads.creatives.vast_served import with_impression
from ringwork.ads.exchange import rules
from ringwork.ads.exchange.debts import open_accounts
from ringwork.ads.exchange.entrants import (
    Cleared,
    ad_id_of,
    candidates_of,
    contender_of,
    join,
    verdicts,
)
from ringwork.ads.exchange.inbound import ExternalBid, read
from ringwork.ads.exchange.sold import auctioned, lost_url_of, markup_of
from ringwork.ads.index import Shortlist
from ringwork.ads.model import Sale, Slot
from ringwork.ads.openrtb.macros import substitute
from ringwork.ads.outside import bidder_of, is_external
from ringwork.ads.page import Page
from ringwork.ads.priorities import Turns
from ringwork.ads.sales import terms_of
from tests.ads.exchange.market import BANNER, VAST, ask, bid, bidder, reply, request_to, video_bid
from tests.ads.house import BANNER as HOUSE_BANNER
from tests.ads.house import SITE, House, euros

EMPTY = Shortlist({}, [], 0, {}, 0)
OPEN = Slot(id="x", format="banner", sizes=((300, 250),))


def a_page() -> Page:
    return Page(Turns(bytes(16), lambda id: 1_000_000))


def bids_of(*prices: float, who: str = "dsp", slot: Slot = OPEN) -> list[ExternalBid]:
    body = reply(*(bid(id=f"b{n}", price=price) for n, price in enumerate(prices)))
    answer = read(body, request_to(bidder(who), ask(slot)))
    assert answer.rejected == []
    return answer.bids


def test_an_outside_bid_is_a_candidate_per_impression() -> None:
    (one,) = candidates_of(bids_of(2.5))
    assert (one.ad_id, one.bid_nanos, one.p_ppb) == ("x:dsp:b0", 2_500_000, 10**9)
    assert is_external(one.ad_id)
    assert bidder_of(one.ad_id) == "dsp"
    assert auction.value(one) == auction.score(one) == 2_500_000


def test_bids_and_campaigns_stand_in_one_order() -> None:
    with House() as house:
        house.open()
        house.campaign("c1", bid_nanos=2_000_000)
        house.creative("a1", "c1")
        page = a_page()
        shortlist = house.ads.candidates(
            ask(HOUSE_BANNER, context=SITE), HOUSE_BANNER, page, now_s=house.now_s
        )
        joined = join(shortlist, bids_of(2.5, 1.5), HOUSE_BANNER, page, currency="EUR")
        names = [one.candidate.ad_id for one in joined.shortlist.ranked]
        assert names == ["x:dsp:b0", "a1", "x:dsp:b1"]
        assert list(joined.shortlist.contenders) == names
        sale = sell(joined.shortlist, HOUSE_BANNER)
        # The second price: one nano past the campaign's 2.00, because "x..." > "a1" in a tie.
        assert sale == Sale(ad_id="x:dsp:b0", slot=0, price_nanos=2_000_001)


def test_a_house_ad_gives_way_and_a_sponsorship_does_not() -> None:
    with House() as house:
        house.open()
        house.campaign("c1", priority="house", budget=euros(0))
        house.creative("a1", "c1")
        shortlist = house.ads.candidates(
            ask(HOUSE_BANNER, context=SITE), HOUSE_BANNER, a_page(), now_s=house.now_s
        )
        joined = join(shortlist, bids_of(0.1), HOUSE_BANNER, a_page(), currency="EUR")
        assert [one.candidate.ad_id for one in joined.shortlist.ranked] == ["x:dsp:b0", "a1"]
        first = shortlist.contenders["a1"]
        first.campaign = replace(first.campaign, priority="sponsorship")
        joined = join(shortlist, bids_of(9), HOUSE_BANNER, a_page(), currency="EUR")
        assert [one.candidate.ad_id for one in joined.shortlist.ranked] == ["a1", "x:dsp:b0"]
        sale = Sale(ad_id="a1", slot=0, price_nanos=5)
        (told,) = verdicts(joined, [Cleared(joined.shortlist.ranked, sale, 0)])
        assert (told.reason, told.min_to_win_nanos) == (rules.DEAL_WON, None)


def sell(shortlist: Shortlist, slot: Slot) -> Sale | None:
    """A slot's sale as ``service`` makes it."""
    if not shortlist.ranked:
        return None
    winner = shortlist.contenders[shortlist.ranked[0].candidate.ad_id]
    terms = terms_of(ask(slot), slot, winner)
    return auction.sell_as(terms.charged, shortlist.ranked, terms.reserve_nanos)


CPM = st.integers(1, 5_000).map(lambda n: n / 1000)


@given(
    st.lists(CPM, min_size=1, max_size=12),
    st.integers(0, 2_000_000),
    st.sampled_from(["first", "second"]),
)
def test_no_response_makes_the_auction_pay_more_than_its_bid(prices, floor, rule) -> None:  # fmt: skip
    slot = replace(OPEN, floor_nanos=floor, rule=rule)
    body = reply(*(bid(id=f"b{n}", price=price) for n, price in enumerate(prices)))
    bids = read(body, request_to(asked=ask(slot))).bids
    joined = join(EMPTY, bids, slot, a_page(), currency="EUR")
    ranked = joined.shortlist.ranked
    sale = sell(joined.shortlist, slot)
    assert (sale is None) == (not bids)
    told = verdicts(joined, [Cleared(ranked, sale, floor)])
    assert sorted(one.bid.bid_id for one in told) == sorted(one.bid_id for one in bids)
    if sale is None:
        return
    best = max(bids, key=lambda one: one.worth_nanos)
    (winner,) = [one for one in told if one.reason == 0]
    assert winner.bid.worth_nanos == best.worth_nanos
    assert floor <= winner.price_nanos <= winner.bid.worth_nanos
    assert sale.price_nanos == (best.worth_nanos if rule == "first" else winner.price_nanos)
    for one in told:
        assert one.min_to_win_nanos is not None
        if one.reason:
            assert one.reason == rules.OUTBID
            assert one.min_to_win_nanos >= one.bid.worth_nanos


def golden(*paid_by_winner: int) -> dict[str, int | None]:
    bids = bids_of(1.00, 0.90, 0.80, slot=replace(OPEN, floor_nanos=850_000 - 50_000))
    joined = join(EMPTY, bids, OPEN, a_page(), currency="EUR")
    sale = Sale(ad_id="x:dsp:b0", slot=0, price_nanos=paid_by_winner[0])
    told = verdicts(joined, [Cleared(joined.shortlist.ranked, sale, 850_000)])
    return {one.bid.bid_id: one.min_to_win_nanos for one in told}


def test_min_to_win_of_the_standards_first_price_example() -> None:
    """Floor .85, bids 1.00/.90/.80 -> .90/1.00/1.00 (ads specification 3.8)."""
    assert golden(1_000_000) == {"b0": 900_000, "b1": 1_000_000, "b2": 1_000_000}


def test_min_to_win_of_the_standards_second_price_example() -> None:
    """With an increment of a cent the winner pays .91 -> .90/.91/.91."""
    assert golden(910_000) == {"b0": 900_000, "b1": 910_000, "b2": 910_000}


def test_a_winner_alone_ties_with_the_floor() -> None:
    joined = join(EMPTY, bids_of(1.00), OPEN, a_page(), currency="EUR")
    sale = Sale(ad_id="x:dsp:b0", slot=0, price_nanos=850_000)
    (told,) = verdicts(joined, [Cleared(joined.shortlist.ranked, sale, 850_000)])
    assert told.min_to_win_nanos == 850_000


def test_what_did_not_sell_was_no_fault_of_the_bids() -> None:
    joined = join(EMPTY, bids_of(1.00), OPEN, a_page(), currency="EUR")
    (told,) = verdicts(joined, [Cleared([], None, 0)])
    assert (told.reason, told.min_to_win_nanos) == (rules.INTERNAL, None)


def test_past_the_shortlist_a_bid_is_outbid_and_told_what_would_have_won() -> None:
    bids = bids_of(*(1 + n / 10 for n in range(10)))
    joined = join(EMPTY, bids, OPEN, a_page(), currency="EUR")
    assert len(joined.shortlist.ranked) == 8
    assert [(one.bid_id, why) for one, why in joined.kept_out] == [("b0", 102), ("b1", 102)]
    sale = Sale(ad_id="x:dsp:b9", slot=0, price_nanos=1_900_000)
    told = verdicts(joined, [Cleared(joined.shortlist.ranked, sale, 0)])
    assert {one.bid.bid_id: one.min_to_win_nanos for one in told}["b0"] == 1_900_000


@pytest.mark.parametrize(
    ("distinct", "reason"), [("advertiser", 205), ("category", 209), ("creative", 200), ("media", 200)]
)  # fmt: skip
def test_a_group_does_not_repeat_itself(distinct, reason) -> None:
    slot = replace(OPEN, group="pod", distinct=(distinct,))
    body = reply(bid(cat=["7"], cattax=9))
    (one,) = read(body, request_to(asked=ask(slot))).bids
    page = a_page()
    page.sell("pod", contender_of(one, currency="EUR"))
    joined = join(EMPTY, [one], slot, page, currency="EUR")
    assert joined.kept_out == [(one, reason)]
    assert joined.shortlist is EMPTY
    assert join(EMPTY, [one], OPEN, page, currency="EUR").kept_out == []


def test_a_roadblock_has_the_whole_page() -> None:
    page = a_page()
    page.roadblock = "c1"
    (one,) = bids_of(1)
    assert join(EMPTY, [one], OPEN, page, currency="EUR").kept_out == [(one, 205)]


def test_an_ad_of_the_same_id_is_not_replaced() -> None:
    (one,) = bids_of(1)
    taken = Shortlist({ad_id_of(one): contender_of(one, currency="EUR")}, [], 1, {}, 1)
    assert join(taken, [one], OPEN, a_page(), currency="EUR").kept_out == [(one, rules.INVALID)]


# ---- macros -------------------------------------------------------------------------------------

EVERY = "&".join(
    f"{name}=${{AUCTION_{name}}}"
    for name in (
        "ID", "BID_ID", "IMP_ID", "SEAT_ID", "AD_ID", "PRICE", "CURRENCY", "MBR", "LOSS",
        "MIN_TO_WIN", "MULTIPLIER", "IMP_TS", "DISCOUNT_PCT", "DISCOUNT_CPM",
    )
)  # fmt: skip


def test_the_macros_of_a_won_bid() -> None:
    body = reply(bid(price=2.0, adid="314", adm="<b>${AUCTION_PRICE}${AUCTION_BID_ID:B64}</b>"))
    (one,) = read(body, request_to()).bids
    joined = join(EMPTY, [one], BANNER, a_page(), currency="EUR")
    sale = Sale(ad_id="x:dsp:b1", slot=0, price_nanos=500_000)
    (told,) = verdicts(joined, [Cleared(joined.shortlist.ranked, sale, 500_000)])
    values = auctioned(told, slot=BANNER, impression_ts_ms=1_700_000_000_000)
    assert substitute(EVERY, values) == (
        "ID=00000000-0000-0000-0000-000000000001&BID_ID=b1&IMP_ID=0&SEAT_ID=s1&AD_ID=314&PRICE=0.5"
        "&CURRENCY=EUR&MBR=0.25&LOSS=0&MIN_TO_WIN=0.5&MULTIPLIER=&IMP_TS=1700000000000"
        "&DISCOUNT_PCT=&DISCOUNT_CPM="
    )
    assert markup_of(one, values) == "<b>0.5YjE=</b>"


def test_what_is_filled_in_is_not_scanned_again() -> None:
    (one,) = read(reply(bid(id="${AUCTION_PRICE}", adm="${AUCTION_BID_ID}")), request_to()).bids
    joined = join(EMPTY, [one], BANNER, a_page(), currency="EUR")
    sale = Sale(ad_id=ad_id_of(one), slot=0, price_nanos=700_000)
    (told,) = verdicts(joined, [Cleared(joined.shortlist.ranked, sale, 0)])
    assert markup_of(one, auctioned(told)) == "${AUCTION_PRICE}"


def test_a_bidder_with_a_share_is_told_its_own_price_and_never_more_than_its_bid() -> None:
    (one,) = read(reply(bid(price=2.0)), request_to(bidder(adjustment_ppm=850_000))).bids
    joined = join(EMPTY, [one], BANNER, a_page(), currency="EUR")
    sale = Sale(ad_id="x:dsp:b1", slot=0, price_nanos=1_700_000)
    (told,) = verdicts(joined, [Cleared(joined.shortlist.ranked, sale, 500_000)])
    values = auctioned(told)
    assert (values.price_nanos, values.bid_nanos) == (2_000_000, 2_000_000)
    assert values.min_to_win_nanos == 588_236  # 0.85 of it is just above the floor of 500,000


def test_a_refused_bid_is_told_why_and_not_what_would_have_won() -> None:
    lost = "https://dsp.example/l?why=${AUCTION_LOSS}&min=${AUCTION_MIN_TO_WIN}&b=${AUCTION_BID_ID}"
    (one,) = read(reply(bid(price=0.1, lurl=lost)), request_to()).rejected
    assert lost_url_of(one, "r1") == "https://dsp.example/l?why=100&min=&b=b1"


def test_our_impression_stands_before_a_videos_own() -> None:
    shown = with_impression(VAST, "https://ads.example/b/TOKEN")
    assert shown.index("ads.example/b/TOKEN") < shown.index("dsp.example/i?p=")
    assert shown.count("<Impression") == 2
    assert "https://dsp.example/v.mp4" in shown


def test_a_video_bid_becomes_a_video_ad() -> None:
    slot = Slot(id="v", format="video", mimes=("video/mp4",), max_duration_s=15)
    (one,) = read(reply(video_bid()), request_to(asked=ask(slot))).bids
    creative = contender_of(one, currency="EUR").creative
    assert (creative.vast_xml, creative.html, creative.duration_s) == (VAST, "", 15)


# ---- money --------------------------------------------------------------------------------------


def test_an_account_of_other_terms_is_named() -> None:
    with House() as house:
        house.open()
        house.do(
            lambda c: house.ledger.open_account(c, id="bidder/dsp", currency="EUR", limited=True)
        )
        found = house.do(lambda c: open_accounts(c, house.ledger, [bidder()], currency="EUR"))
        assert found == ["dsp"]
