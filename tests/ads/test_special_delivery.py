"""Nothing that is excluded from the delivery of special ads can change whether, or how, they win."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ringwork.ads.events import CampaignChanged
from ringwork.ads.index import Index
from ringwork.ads.learning import Learning
from ringwork.ads.model import Certified, Context, Screening, Slot
from ringwork.ads.page import Page
from ringwork.ads.priorities import Turns
from ringwork.ads.rank import features
from ringwork.ads.rank.snapshot import Snapshot
from ringwork.ads.retrieval import scan as scanning
from ringwork.ads.retrieval.scoring import HEADS_OF
from tests.ads.test_index import NOW_US, P_PPB, Purses
from tests.ads.test_scoring import SLOT, Market, p_of

SIGNED = Screening(certification=Certified(by="a", at_us=0, text="t"))
INTERESTS = ["interest:483", "interest:455", "vip", "buyers"]


class SpecialMarket(Market):
    """The same market, in which a share of the campaigns is special."""

    def __init__(self, seed: int, share: float = 1.0, **more: int) -> None:
        super().__init__(seed, **more)
        chosen = Random(seed)
        for id in list(self.catalogue.campaigns):
            if chosen.random() < share:
                self.declare(id)

    def declare(self, id: str) -> None:
        campaign = self.catalogue.campaigns[id]
        special = replace(campaign, special_ad_categories=["HOUSING"], screening=SIGNED)
        self.record(CampaignChanged(special))


def answer(index, context, audiences=()):
    page = Page(Turns(b"x" * 16, lambda _: 10**6))
    page.audiences = audiences
    found = index.shortlist(context, SLOT, now_us=NOW_US, page=page)
    return [(one.candidate, one.score_nanos) for one in found.ranked], found.eligible


def index_of(market):
    index = Index(market.catalogue, Purses(), p_ppb=P_PPB)
    index.use_model(market.snapshot)
    index.follow(NOW_US)
    index.merged(index.merge().run())
    return index


EXCLUDED = st.fixed_dictionaries(
    {
        "region": st.sampled_from(["PRT-11", "PRT-13", "PRT", "PRT-20"]),
        "audiences": st.lists(st.sampled_from(INTERESTS), unique=True).map(tuple),
        "key_values": st.lists(
            st.tuples(st.sampled_from(["age", "gender", "zip"]), st.sampled_from(["25", "f", "1"])),
            max_size=3,
        ).map(tuple),
    }
)


@pytest.fixture(scope="module")
def special():
    market = SpecialMarket(11)
    return market, index_of(market)


@settings(max_examples=150, deadline=None)
@given(EXCLUDED, EXCLUDED, st.integers(0, 20))
def test_two_requests_that_differ_in_excluded_inputs_alone_are_answered_alike(
    special, one, other, number
):
    """Score, probability, bid, order and eligibility: every input of a price, bit for bit."""
    market, index = special
    market.random.seed(number)
    context = replace(market.context(), region="PRT")
    answers = [
        answer(
            index,
            replace(context, region=each["region"], key_values=each["key_values"]),
            each["audiences"],
        )
        for each in (one, other)
    ]
    assert answers[0] == answers[1]


def test_the_same_inputs_do_change_ads_that_are_not_special():
    """So that the property above could fail."""
    market = Market(11)
    index = index_of(market)
    market.random.seed(3)
    context = market.context()
    one, other = (answer(index, replace(context, region=each)) for each in ("PRT-11", "PRT-13"))
    assert one != other


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_in_a_mixed_market_each_is_scored_by_its_own_features_wherever_the_scan_ends(seed):
    market = SpecialMarket(seed, share=0.5)
    index = index_of(market)
    for _ in range(6):
        context = market.context()
        ranked, _ = answer(index, context)
        assert [(one.ad_id, one.p_ppb, score) for one, score in ranked] == expected(market, context)


def test_compiled_and_plain_scans_agree_about_special_ads(monkeypatch):
    market = SpecialMarket(5, share=0.5, ads=600)
    contexts = [market.context() for _ in range(10)]
    compiled = [answer(index_of(market), one) for one in contexts]
    monkeypatch.setattr(scanning, "_compiled", lambda: None)
    assert [answer(index_of(market), one) for one in contexts] == compiled


def expected(market, context, snapshot: Snapshot | None = None):
    """By the formulas, ad by ad: a special one from a row that knows allowed fields alone."""
    values = features.context_values(context, SLOT)
    allowed = tuple(
        value if name in features.SPECIAL_FIELDS else ""
        for name, value in zip(features.CONTEXT_FIELDS, values, strict=True)
    )
    found = []
    for ad in market.catalogue.creatives.values():
        one = market.catalogue.campaigns[ad.campaign_id]
        row = features.context_keys(allowed if one.is_special else values)
        p_ppb = p_of(snapshot or market.snapshot, row, ad, one)
        score = one.bid_nanos * p_ppb // 10**9 * ad.quality_ppm // 10**6
        if score > 0:
            found.append((-score, ad.id, p_ppb))
    return [(id, p_ppb, -score) for score, id, p_ppb in sorted(found)[:8]]


def test_the_price_of_a_special_ad_among_special_ads_is_the_same(special):
    from ringwork.ads.auction import sell_as  # noqa: PLC0415

    market, index = special
    market.random.seed(7)
    context = market.context()
    sales = set()
    for region in ("PRT-11", "PRT-13", "PRT-20"):
        for audiences in ((), tuple(INTERESTS)):
            page = Page(Turns(b"x" * 16, lambda _: 10**6))
            page.audiences = audiences
            found = index.shortlist(replace(context, region=region), SLOT, now_us=NOW_US, page=page)
            sale = sell_as("second", found.ranked, 0)
            sales.add((sale.ad_id, sale.price_nanos))
    assert len(sales) == 1


def test_the_allow_list_names_no_person_and_no_place_finer_than_a_country():
    assert set(features.CONTEXT_FIELDS) - features.SPECIAL_FIELDS == {"region"}
    told = features.special_features()
    assert not any("region" in one for one in told)
    assert "ad x place" in told
    assert "country" in told
    for word in ("age", "gender", "sex", "audience", "interest", "person", "zip", "embedding"):
        assert not any(word in one.replace("language", "") for one in told if one != "place")


class Rows:
    """What a model is taught."""

    def __init__(self) -> None:
        self.contexts = []

    def shown(self, impression_id, context, ad, tier, *, ts_us, heads):
        self.contexts.append(context.tolist())

    def responded(self, head, impression_id, *, ts_us):
        pass

    def advance(self, now_us):
        return 0

    def publish(self):
        return None


def test_nothing_finer_is_learned_of_special_ads_either():
    from ringwork.ads.events import (  # noqa: PLC0415
        AuctionCleared,
        CampaignCreated,
        CreativeCreated,
        ImpressionBilled,
        SlotOutcome,
    )
    from ringwork.kernel.events import Recorded  # noqa: PLC0415
    from tests.ads.test_index import campaign, creative  # noqa: PLC0415

    def taught(region, special):
        model = Rows()
        learning = Learning(model)
        owner = campaign(id="c", advertiser_id="adv")
        if special:
            owner = replace(owner, special_ad_categories=["CREDIT"], screening=SIGNED)
        outcome = SlotOutcome(
            "1", "banner", "second", 0, 1, {}, [], b"i" * 16, "a", "c", "cpm", 1, 10**9
        )
        cleared = AuctionCleared("native", "EUR", Context(site="s", region=region), [outcome], {})
        billed = ImpressionBilled(b"i" * 16, "c", "a", "pub", "p", "cpm", 1, "EUR")
        events = (
            CampaignCreated(owner), CreativeCreated(creative(id="a", campaign_id="c")),
            cleared, billed,
        )  # fmt: skip
        for seq, event in enumerate(events):
            learning.apply(Recorded(seq, seq + 1, b"e", 0, b"r", None, "main", None, None, event))
            learning.load(learning.dump())  # what is kept on disk knows it too
        return model.contexts

    assert taught("PRT-11", True) == taught("PRT-13", True) != []
    assert taught("PRT-11", False) != taught("PRT-13", False)


def test_every_pricing_has_heads_for_special_ads_too():
    market = SpecialMarket(3, ads=50, learned=400)
    index = index_of(market)
    assert len(index._scorer.pricing_heads) == 2 * len(HEADS_OF)
    assert (index._scorer.pricing_heads[:5] == index._scorer.pricing_heads[5:]).all()
    assert isinstance(SLOT, Slot)
