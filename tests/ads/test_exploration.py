"""Exploring requests: who wins varies as logged, prices recompute, the others are as ever."""

from collections import Counter

import numpy as np
import pytest

from ringwork.ads.auction import recompute
from ringwork.ads.exchange.entrants import join
from ringwork.ads.exchange.inbound import read
from ringwork.ads.exploration import explored
from ringwork.ads.page import Page
from ringwork.ads.priorities import Turns
from ringwork.ads.rank import features
from ringwork.ads.rank.response import HEADS, ResponseModel
from ringwork.ads.rank.snapshot import TIERS
from ringwork.ads.retrieval.scoring import TIER
from ringwork.ads.settings import AdsSettings
from tests.ads.exchange.market import bid, reply, request_to
from tests.ads.house import BANNER, SITE, House, euros


def house_with_model(explore_ppm: int) -> House:
    """Two ads paid by the click; the model has seen a little of one and nothing of the other."""
    house = House(AdsSettings(explore_ppm=explore_ppm))
    house.open()
    for id in ("known", "new"):
        house.campaign(id, pricing="cpc", bid_nanos=10**9, budget=euros(10**13))
        house.creative(f"{id}.ad", id)
    model = ResponseModel(HEADS, bits=14)
    ad = house.catalogue.creatives["known.ad"]
    row = features.context_keys(features.context_values(SITE, BANNER))
    keys = features.ad_keys([features.ad_values(ad, house.catalogue.campaigns["known"])])[0]
    count = 3000
    labels = (np.arange(count) % 180 == 0).astype(float)
    model.learn_many(
        "click", np.tile(row, (count, 1)), np.tile(keys, (count, 1)), labels,
        tiers=np.full(count, TIERS.index(TIER)),
    )  # fmt: skip
    house.ads.use_model(model.publish())
    house.serve()
    house.ads.index.merged(house.ads.index.merge().run())
    return house


def test_an_outside_bid_among_those_that_are_tried_keeps_its_own_worth():
    """It is worth what it bids: nothing about it is uncertain, and no draw changes it."""
    (outside,) = read(reply(bid(price=9.0)), request_to()).bids
    with house_with_model(explore_ppm=1_000_000) as house:
        index = house.ads.index
        assert index.sigma_of("x:dsp:b1") == 0.0
        page = Page(Turns(bytes(16), lambda campaign_id: 1_000_000))
        found = index.shortlist(SITE, BANNER, now_us=house.clock.wall_us(), page=page)
        joined = join(found, [outside], BANNER, page, currency="EUR").shortlist
        for _ in range(50):
            tried = explored(joined, BANNER, index, house.entropy)
            assert tried is not None
            own = next(one for one in tried[0] if one.candidate.ad_id == "x:dsp:b1")
            assert (own.candidate.bid_nanos, own.candidate.p_ppb) == (9_000_000, 10**9)
            assert own.score_nanos == 9_000_000


def test_what_is_not_known_well_is_tried_as_often_as_its_propensity_says():
    with house_with_model(explore_ppm=1_000_000) as house:
        outcomes = [house.serve()[0][0] for _ in range(400)]
        won = Counter(one.ad_id for one in outcomes)
        assert set(won) == {"known.ad", "new.ad"}
        mean = {
            id: np.mean([one.propensity_ppb / 1e9 for one in outcomes if one.ad_id == id])
            for id in won
        }
        for id, count in won.items():
            assert abs(count / 400 - mean[id]) < 0.08
        assert all(recompute(one) == (one.ad_id, one.price_nanos) for one in outcomes)
        assert len({one.considered[0].p_ppb for one in outcomes}) > 100, "chances are drawn"


def test_without_exploration_the_best_by_the_model_always_wins():
    with house_with_model(explore_ppm=0) as house:
        outcomes = [house.serve()[0][0] for _ in range(50)]
        assert len({one.ad_id for one in outcomes}) == 1
        assert {one.propensity_ppb for one in outcomes} == {0}


def test_a_share_of_requests_explores():
    with house_with_model(explore_ppm=250_000) as house:
        outcomes = [house.serve()[0][0] for _ in range(400)]
        tried = sum(one.propensity_ppb > 0 for one in outcomes)
        assert 60 < tried < 140


@pytest.mark.parametrize("pricing", ["cpm"])
def test_nothing_is_explored_where_nobody_is_paid_by_a_response(pricing):
    with House(AdsSettings(explore_ppm=1_000_000)) as house:
        house.open()
        house.campaign(pricing=pricing)
        house.creative()
        house.ads.use_model(ResponseModel(HEADS, bits=10).publish())
        house.serve()
        house.ads.index.merged(house.ads.index.merge().run())
        [outcome], _ = house.serve()
        assert (outcome.ad_id, outcome.propensity_ppb) == ("a1", 0)
