"""Shares of voice and guaranteed delivery: who takes part in a request, and how often."""

from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.model import Campaign
from ringwork.ads.priorities import ONE_PPM, Turns, draw_ppm
from ringwork.kernel.money import Money

IDS = [n.to_bytes(16, "big") for n in range(4000)]


def one(id: str, priority: str, **members: object) -> Campaign:
    given = {
        "id": id, "advertiser_id": "a", "name": id, "pricing": "cpm", "bid_nanos": 1,
        "budget": Money("EUR", 1, 0), "priority": priority, **members,
    }  # fmt: skip
    return Campaign(**given)


def taking_part(campaigns: list[Campaign], auction_id: bytes, rate_ppm: int = 0) -> set[str]:
    turns = Turns(auction_id, lambda id: rate_ppm)
    out = turns.out_of_turn(campaigns)
    assert turns.out_of_turn(campaigns) == out, "asked again, it stands"
    return {c.id for c in campaigns} - out.keys()


def test_sponsors_have_their_shares_and_never_two_at_once():
    sponsors = [
        one("s", "sponsorship", share_ppm=300_000),
        one("t", "sponsorship", share_ppm=500_000),
    ]
    seen = {"s": 0, "t": 0}
    for auction_id in IDS:
        here = taking_part(sponsors, auction_id)
        assert len(here) <= 1
        for id in here:
            seen[id] += 1
    assert abs(seen["s"] / len(IDS) - 0.3) < 0.03
    assert abs(seen["t"] / len(IDS) - 0.5) < 0.03


def test_a_guaranteed_campaign_takes_part_at_its_rate_whatever_others_do():
    campaigns = [one("g", "guaranteed"), one("h", "guaranteed"), one("p", "price")]
    both = g = 0
    for auction_id in IDS:
        here = taking_part(campaigns, auction_id, rate_ppm=250_000)
        assert "p" in here, "the auction is not a matter of turns"
        g += "g" in here
        both += {"g", "h"} <= here
    assert abs(g / len(IDS) - 0.25) < 0.03
    assert abs(both / len(IDS) - 0.0625) < 0.02, "independent of each other"


@given(st.binary(min_size=16, max_size=16), st.text(max_size=20))
def test_a_draw_is_a_number_below_one(auction_id, campaign_id):
    assert 0 <= draw_ppm(auction_id, campaign_id) < ONE_PPM
    assert draw_ppm(auction_id, campaign_id) == draw_ppm(auction_id, campaign_id)


def test_a_share_of_everything_is_always_there():
    assert all(taking_part([one("s", "sponsorship", share_ppm=ONE_PPM)], id) for id in IDS)
