"""Ads that are paid by a response: scored by the model's version, found exactly, bounds and all."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.ads.catalogue import Catalogue
from ringwork.ads.events import AdvertiserRegistered, CampaignCreated, CreativeCreated
from ringwork.ads.index import SHORTLIST_MAX, Index
from ringwork.ads.model import Advertiser, Campaign, Context, Creative, Slot
from ringwork.ads.rank import features
from ringwork.ads.rank.response import HEADS, ResponseModel
from ringwork.ads.rank.snapshot import TIERS, Snapshot
from ringwork.ads.retrieval import scan as scanning
from ringwork.ads.retrieval.scoring import HEADS_OF, TIER
from ringwork.kernel.events import Recorded
from tests.ads.test_index import NOW_US, P_PPB, Purses, campaign, creative

PRICINGS = list(HEADS_OF)
SITES = [f"s{n}.example" for n in range(6)]
SLOT = Slot(id="1", format="banner")


class Market:
    """Ads of every pricing, and a model that has learned something about them, from one seed."""

    def __init__(self, seed: int, ads: int = 300, learned: int = 4000) -> None:
        self.random = Random(seed)
        self.catalogue = Catalogue()
        self.record(
            AdvertiserRegistered(Advertiser(id="adv", name="A", domain="a.example", currency="EUR"))
        )
        for number in range(ads):
            self.advertise(f"n{number}")
        self.snapshot = self.learned(learned)

    def record(self, event: object) -> None:
        self.catalogue.apply(Recorded(0, 1, b"e", 0, b"r", None, "main", None, None, event))

    def advertise(self, id: str) -> None:
        pick = self.random.choice
        pricing = pick(PRICINGS)
        per = {"cpm": 1, "vcpm": 2, "cpv": 2, "cpc": 200, "cpa": 10_000}[pricing]
        bid = int(self.random.lognormvariate(0, 0.7) * 1_000_000 * per)
        self.record(
            CampaignCreated(campaign(id=id, advertiser_id="adv", pricing=pricing, bid_nanos=bid))
        )
        self.record(
            CreativeCreated(creative(id=id, campaign_id=id, quality_ppm=pick([10**6, 700_000])))
        )

    def context(self) -> Context:
        pick = self.random.choice
        return Context(
            site=pick(SITES), categories=(pick(["x", "y"]),), region=pick(["PRT-11", "ESP"]),
            device_type=pick(["phone", "tv"]), hour=pick([3, 9, 20]), placement_id=pick(["", "top"]),
        )  # fmt: skip

    def learned(self, count: int) -> Snapshot:
        """A version that tells ads, sites and pairs of them apart."""
        model = ResponseModel(HEADS, bits=14)
        ads = list(self.catalogue.creatives.values())
        taste = {one.id: self.random.gauss(0, 1.2) for one in ads}
        for head in HEADS:
            contexts, keys, labels = [], [], []
            for _ in range(count // len(HEADS)):
                ad, context = self.random.choice(ads), self.context()
                odds = taste[ad.id] - 2 + 0.8 * (hash_of(ad.id + context.site) % 3 - 1)
                contexts.append(features.context_keys(features.context_values(context, SLOT)))
                keys.append(
                    features.ad_keys(
                        [features.ad_values(ad, self.catalogue.campaigns[ad.campaign_id])]
                    )[0]
                )
                labels.append(float(self.random.random() < 1 / (1 + np.exp(-odds))))
            tiers = np.full(len(labels), TIERS.index(TIER))
            model.learn_many(
                head.name, np.array(contexts), np.array(keys), np.array(labels), tiers=tiers
            )
        return model.publish()


def hash_of(text: str) -> int:
    return sum(map(ord, text))


def expected(market: Market, context: Context, snapshot: Snapshot) -> list[tuple[str, int, int]]:
    """(ad, p, score) of the best, by the formulas of the specification, ad by ad."""
    row = features.context_keys(features.context_values(context, SLOT))
    found = []
    for ad in market.catalogue.creatives.values():
        one = market.catalogue.campaigns[ad.campaign_id]
        p_ppb = p_of(snapshot, row, ad, one)
        value = one.bid_nanos * p_ppb // 10**9
        score = value * ad.quality_ppm // 10**6
        if score > 0:
            found.append((-score, ad.id, p_ppb))
    return [(id, p_ppb, -score) for score, id, p_ppb in sorted(found)[:SHORTLIST_MAX]]


def p_of(snapshot: Snapshot, row: np.ndarray, ad: Creative, one: Campaign) -> int:
    p_ppb = 10**9
    keys = features.ad_keys([features.ad_values(ad, one)])[0]
    for name in HEADS_OF[one.pricing]:
        head = snapshot.head(name)
        p_ppb = p_ppb * head.p_ppb(head.logit(row, keys), TIER) // 10**9
    return p_ppb


def answer(index: Index, context: Context) -> list[tuple[str, int, int]]:
    found = index.shortlist(context, SLOT, now_us=NOW_US)
    return [(one.candidate.ad_id, one.candidate.p_ppb, one.score_nanos) for one in found.ranked]


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_best_by_the_model_are_found_wherever_the_scan_ends(seed):
    market = Market(seed)
    index = Index(market.catalogue, Purses(), p_ppb=P_PPB)
    index.use_model(market.snapshot)
    for step in range(12):
        if step == 6:
            for number in range(40):
                market.advertise(f"late{number}")
        if step == 9:
            index.merged(index.merge().run())
        context = market.context()
        assert answer(index, context) == expected(market, context, market.snapshot)
    assert index.model_version == market.snapshot.version


def test_most_ads_are_not_looked_at_although_their_chances_differ_from_request_to_request():
    market = Market(7, ads=4000, learned=20_000)
    index = Index(market.catalogue, Purses(), p_ppb=P_PPB)
    index.use_model(market.snapshot)
    looked_at = []
    for _ in range(20):
        context = market.context()
        assert answer(index, context) == expected(market, context, market.snapshot)
        looked_at.append(index.shortlist(context, SLOT, now_us=NOW_US).scanned)
    assert max(looked_at) < 2000


def test_another_version_takes_effect_with_the_next_merge_and_at_once():
    market = Market(3, ads=60)
    index = Index(market.catalogue, Purses(), p_ppb=P_PPB)
    context = market.context()
    before = answer(index, context)
    assert index.model_version == 0
    index.use_model(market.snapshot)
    assert answer(index, context) == before
    assert index.is_worth_merging
    index.merged(index.merge().run())
    assert not index.is_worth_merging
    assert answer(index, context) == expected(market, context, market.snapshot)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_both_implementations_score_alike(seed):
    market = Market(seed, ads=200, learned=2000)
    index = Index(market.catalogue, Purses(), p_ppb=P_PPB)
    index.use_model(market.snapshot)
    for number in range(10):
        market.advertise(f"late{number}")
    for _ in range(4):
        context = market.context()
        found = index.shortlist(context, SLOT, now_us=NOW_US)
        numbers = scanning.query_of(index.clauses(context, SLOT, now_us=NOW_US))
        best, counts = scanning.scan_with_numpy(numbers, index.plan, 0, SHORTLIST_MAX)
        assert [(row[3], row[4]) for row in best.tolist()] == [
            (one.candidate.p_ppb, one.score_nanos) for one in found.ranked
        ]
        assert counts.tolist()[-2:] == [found.eligible, found.scanned]


def test_a_model_without_the_heads_that_pricings_need_is_refused():
    model = ResponseModel(HEADS[:1], bits=10)
    with pytest.raises(ValueError, match="heads"):
        Index(Catalogue(), Purses(), p_ppb=P_PPB).use_model(model.publish())
