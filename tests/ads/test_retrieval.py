"""The search while the catalogue changes, in both implementations, whatever is merged when."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ringwork.ads.catalogue import Catalogue
from ringwork.ads.events import (
    AdvertiserRegistered,
    CampaignChanged,
    CampaignCreated,
    CreativeChanged,
    CreativeCreated,
)
from ringwork.ads.index import SHORTLIST_MAX, Index, Shortlist
from ringwork.ads.model import Advertiser, Context, Excluded, Slot, Targeting
from ringwork.ads.retrieval import scan as scanning
from ringwork.kernel.events import Recorded
from tests.ads.test_index import NOW_US, P_PPB, Purses, campaign, creative

SITES = ["a.example", "b.example", "c.example"]


def as_answer(found: Shortlist) -> list[tuple[str, int, int]]:
    return [(one.candidate.ad_id, one.candidate.bid_nanos, one.score_nanos) for one in found.ranked]


class Town:
    """A catalogue that changes, from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.catalogue = Catalogue()
        self.means: dict[str, int] = {}
        self.purses = Purses(lambda one: self.means.get(one.id, 10**9))
        for n in range(3):
            self.record(
                AdvertiserRegistered(
                    Advertiser(id=f"adv{n}", name="A", domain=f"d{n}.example", currency="EUR")
                )
            )
        self.ads = 0

    def record(self, event: object) -> None:
        self.catalogue.apply(Recorded(0, 1, b"e", 0, b"r", None, "main", None, None, event))

    def some(self, values: list) -> list:
        return self.random.sample(values, self.random.choice([0, 0, 0, 1, 2]))

    def targeting(self) -> Targeting:
        pick = self.random.choice
        return Targeting(
            sites=self.some(SITES),
            categories=self.some(["x", "y", "z"]),
            regions=self.some(["PRT", "ESP-MD", "FRA"]),
            hours=self.some([8, 9, 10]),
            weekdays=self.some([3, 4]),
            time_zone=pick(["UTC", "UTC", "Europe/Madrid"]),
            key_values=pick([{}, {}, {"section": ["sport"]}, {"section": ["news", "sport"]}]),
            excluded=Excluded(
                sites=self.some(SITES[:1] * 2), key_values=pick([{}, {}, {"mood": ["grim"]}])
            ),
        )

    def change(self) -> None:
        """One thing that may happen to a catalogue."""
        pick, roll = self.random.choice, self.random.random()
        campaigns, creatives = self.catalogue.campaigns, self.catalogue.creatives
        if roll < 0.4 or not campaigns:
            self.ads += 1
            id = f"n{self.random.randrange(10**6)}"
            if id in campaigns:
                return
            self.record(
                CampaignCreated(
                    campaign(
                        id=id,
                        advertiser_id=f"adv{self.random.randrange(3)}",
                        bid_nanos=self.random.choice([50, 50, self.random.randint(1, 10**6)]),
                        targeting=self.targeting(),
                        starts_us=pick([0, 0, NOW_US + 5]),
                        ends_us=pick([None, None, NOW_US + 3]),
                        status=pick(["active", "active", "paused"]),
                        priority=pick(["price", "price", "price", "house"]),
                    )
                )
            )
            self.record(CreativeCreated(creative(id=id, campaign_id=id)))
        elif roll < 0.55:
            one = campaigns[pick(list(campaigns))]
            self.record(CampaignChanged(replace(one, bid_nanos=self.random.randint(1, 10**6))))
        elif roll < 0.7:
            one = campaigns[pick(list(campaigns))]
            self.record(
                CampaignChanged(
                    replace(one, status=pick(["active", "paused"]), targeting=self.targeting())
                )
            )
        elif roll < 0.8:
            ad = creatives[pick(list(creatives))]
            self.record(CreativeChanged(replace(ad, status=pick(["active", "paused"]))))
        elif roll < 0.9:
            one = campaigns[pick(list(campaigns))]
            ad = creative(id=f"{one.id}.{self.random.randrange(99)}", campaign_id=one.id)
            if ad.id not in creatives:
                self.record(CreativeCreated(ad))
        else:
            id = pick(list(campaigns))
            self.means[id] = pick([0, 7, 10**9])
            self.purses.changed[id] = None

    def ask(self) -> tuple[Context, Slot]:
        pick = self.random.choice
        context = Context(
            site=pick([*SITES, "www.a.example", ""]),
            categories=tuple(self.some(["x", "y", "z"])),
            region=pick(["PRT-11", "ESP-MD", "ESP", ""]),
            key_values=pick([(), (("section", "sport"),), (("section", "x"), ("mood", "grim"))]),
        )
        return context, Slot(id="1", format="banner", floor_nanos=pick([0, 0, 60]))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_an_index_that_followed_every_change_answers_like_a_new_one(seed):
    town = Town(seed)
    index = Index(town.catalogue, town.purses, p_ppb=P_PPB)
    merge = None
    for step in range(60):
        for _ in range(town.random.choice([1, 1, 5])):
            town.change()
        now_us = NOW_US + step // 10
        context, slot = town.ask()
        found = index.shortlist(context, slot, now_us=now_us)
        # A second index over the same catalogue: its means and its catalogue are read anew.
        fresh = Index(town.catalogue, Purses(town.purses.free), p_ppb=P_PPB)
        assert as_answer(found) == as_answer(fresh.shortlist(context, slot, now_us=now_us))
        roll = town.random.random()
        if merge is None and roll < 0.2:
            merge = index.merge()
        elif merge is not None and roll < 0.3:
            index.merged(merge.run())
            merge = None


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_both_implementations_find_and_count_the_same(seed):
    town = Town(seed)
    index = Index(town.catalogue, town.purses, p_ppb=P_PPB)
    for _ in range(town.random.choice([5, 120, 400])):
        town.change()
    index.shortlist(*town.ask(), now_us=NOW_US)
    if town.random.random() < 0.7:
        index.merged(index.merge().run())
        for _ in range(20):
            town.change()
    for _ in range(5):
        context, slot = town.ask()
        found = index.shortlist(context, slot, now_us=NOW_US)
        plan = index.plan
        clauses = index.clauses(context, slot, now_us=NOW_US)
        numbers = scanning.query_of(clauses)
        best, counts = scanning.scan_with_numpy(numbers, plan, slot.floor_nanos, SHORTLIST_MAX)
        assert [row[4] for row in best.tolist()] == [one.score_nanos for one in found.ranked]
        assert counts.tolist()[-2:] == [found.eligible, found.scanned]
        assert {
            scanning.REASONS[code]: count
            for code, count in enumerate(counts.tolist()[:-2])
            if count
        } == found.excluded


def test_more_changes_than_the_tail_holds_are_merged_on_the_way():
    town = Town(1)
    index = Index(town.catalogue, town.purses, p_ppb=P_PPB)
    for n in range(3000):
        id = f"c{n}"
        town.record(CampaignCreated(campaign(id=id, advertiser_id="adv1", bid_nanos=n + 1)))
        town.record(CreativeCreated(creative(id=id, campaign_id=id)))
        if n in (10, 1500):
            index.shortlist(*plain(), now_us=NOW_US)
    found = index.shortlist(*plain(), now_us=NOW_US)
    assert [id for id, *_ in as_answer(found)] == [f"c{n}" for n in range(2999, 2991, -1)]
    assert found.scanned < 3000, "it stopped where none could be better"


def plain() -> tuple[Context, Slot]:
    return Context(site="z.example"), Slot(id="1", format="banner")


def test_equal_scores_are_ordered_by_id_also_between_base_and_tail():
    town = Town(1)
    index = Index(town.catalogue, town.purses, p_ppb=P_PPB)
    for id in ("m", "b", "zz", "z"):
        town.record(CampaignCreated(campaign(id=id, advertiser_id="adv1")))
        town.record(CreativeCreated(creative(id=id, campaign_id=id)))
    index.shortlist(*plain(), now_us=NOW_US)
    index.merged(index.merge().run())
    for id in ("a", "n", "zy"):
        town.record(CampaignCreated(campaign(id=id, advertiser_id="adv1")))
        town.record(CreativeCreated(creative(id=id, campaign_id=id)))
    found = index.shortlist(*plain(), now_us=NOW_US)
    assert [id for id, *_ in as_answer(found)] == ["a", "b", "m", "n", "z", "zy", "zz"]


def test_a_house_ad_comes_after_whoever_pays():
    town = Town(1)
    for id, bid, priority in (("house", 10**9, "house"), ("paid", 1, "price")):
        town.record(
            CampaignCreated(campaign(id=id, advertiser_id="adv1", bid_nanos=bid, priority=priority))
        )
        town.record(CreativeCreated(creative(id=id, campaign_id=id)))
    index = Index(town.catalogue, town.purses, p_ppb=P_PPB)
    assert [id for id, *_ in as_answer(index.shortlist(*plain(), now_us=NOW_US))] == [
        "paid", "house",
    ]  # fmt: skip


def test_a_query_that_is_too_long_is_refused():
    index = Index(Catalogue(), Purses(), p_ppb=P_PPB)
    index.shortlist(*plain(), now_us=NOW_US)
    with pytest.raises(ValueError, match="at most"):
        index.plan.scan([0] * 5000, floor_nanos=0, wanted=1)
