"""The exact shortlist at 100,000 and at a million live ads: time, and differences from brute force.

The index alone, over a catalogue folded from the same events as a server's: what a request spends
here is all that grows with the number of ads. Brute force is NumPy over every ad (the scan's twin,
which never stops early), and each of its answers must be the same to the bit: ads, order, scores.
"""

from __future__ import annotations

import gc
import random
import statistics
import time

from benchmarks.ads.market_of_ads import (
    ADVERTISERS,
    CATEGORIES,
    DEVICES,
    REGIONS,
    SITES,
    SIZES,
    targeting,
)
from benchmarks.ads.serving import goal
from ringwork.ads.catalogue import Catalogue
from ringwork.ads.events import AdvertiserRegistered, CampaignCreated, CreativeCreated
from ringwork.ads.index import SHORTLIST_MAX, Index
from ringwork.ads.model import Advertiser, Campaign, Context, Creative, Slot
from ringwork.ads.retrieval.scan import query_of, scan_with_numpy
from ringwork.kernel.events import Event, Recorded
from ringwork.kernel.money import MAX_NANOS, Money

SEED = 17
NOW_US = 1_795_770_000_000_000
P_PPB = {"cpm": 10**9}


class Rich:
    """Campaigns that can always pay."""

    def __init__(self) -> None:
        self.changed: dict[str, None] = {}

    def free_nanos(self, campaign: Campaign, now_s: int) -> int:
        return MAX_NANOS


def catalogue_of(count: int) -> Catalogue:
    """``count`` live ads, a campaign each, targeted as the serving market's."""
    rng, catalogue = random.Random(SEED), Catalogue()

    def tell(event: Event) -> None:
        catalogue.apply(Recorded(0, 1, b"e", 0, b"r", None, "main", None, None, event))

    for number in range(ADVERTISERS):
        id = f"adv{number}"
        tell(
            AdvertiserRegistered(Advertiser(id=id, name=id, domain=f"{id}.example", currency="EUR"))
        )
    budget = Money.of_nanos("EUR", 10**12)
    for number in range(count):
        id, (width, height) = f"c{number}", rng.choice(SIZES)
        tell(CampaignCreated(Campaign(
            id=id, advertiser_id=f"adv{number % ADVERTISERS}", name=id, pricing="cpm",
            bid_nanos=int(1e6 * rng.lognormvariate(0, 0.6)) + 1_000, budget=budget, targeting=targeting(rng),
        )))  # fmt: skip
        tell(CreativeCreated(Creative(
            id=f"{id}.a", campaign_id=id, name=id, format="banner", width=width, height=height,
            landing_url="https://adv.example/", html="<b>Buy</b>", categories=[rng.choice(CATEGORIES)],
        )))  # fmt: skip
    return catalogue


def asked(count: int) -> list[tuple[Context, Slot]]:
    """Random requests of one banner, as the serving market's."""
    rng = random.Random(SEED + 1)
    return [
        (
            Context(
                site=rng.choice(SITES),
                publisher_id="pub",
                categories=tuple(rng.sample(CATEGORIES, 2)),
                region=rng.choice(REGIONS),
                device_type=rng.choice(DEVICES),  # type: ignore[arg-type]  # they are these
                hour=9,
                blocked_categories=tuple(rng.sample(CATEGORIES, 2)),
                blocked_domains=("adv3.example",),
            ),
            Slot(
                id="1",
                format="banner",
                sizes=(rng.choice(SIZES[:3]),),
                floor_nanos=rng.randrange(50_000, 400_000),
            ),
        )
        for _ in range(count)
    ]


def us_a_request(index: Index, requests: list[tuple[Context, Slot]], rounds: int) -> float:
    """CPU microseconds of a shortlist, the median of the rounds."""
    found = []
    for _ in range(rounds):
        began = time.process_time()
        for context, slot in requests:
            index.shortlist(context, slot, now_us=NOW_US)
        found.append((time.process_time() - began) / len(requests) * 1e6)
    return statistics.median(found)


def differences(index: Index, requests: list[tuple[Context, Slot]]) -> int:
    """Requests whose shortlist is not what brute force over every ad finds."""
    wrong = 0
    for context, slot in requests:
        index.follow(NOW_US)
        clauses = index.clauses(context, slot, now_us=NOW_US)
        found = index.plan.scan(clauses, floor_nanos=slot.floor_nanos, wanted=SHORTLIST_MAX)
        best, _ = scan_with_numpy(query_of(clauses), index.plan, slot.floor_nanos, SHORTLIST_MAX)
        wrong += found.best != best.tolist()
    return wrong


def run(quick: bool) -> list[dict[str, object]]:
    """Ten times the ads, and exactness at either size."""
    small, large = (10_000, 100_000) if quick else (100_000, 1_000_000)
    rounds, checked = (5, 200) if quick else (15, 2_000)
    requests = asked(4_000)
    times, wrong = {}, 0
    for count in (small, large):
        index = Index(catalogue_of(count), Rich(), p_ppb=P_PPB)
        index.follow(NOW_US)
        index.warm_up()
        gc.collect()
        gc.freeze()
        us_a_request(index, requests, 1)
        times[count] = us_a_request(index, requests, rounds)
        wrong += differences(index, requests[: checked if count == small else checked // 10])
        del index
        gc.unfreeze()
        gc.collect()
    ratio = times[large] / times[small]
    told = f"{times[large]:.1f} and {times[small]:.1f} us of CPU a shortlist"
    return [
        goal(f"a shortlist among {large:,} live ads over one among {small:,}", ratio, 2, "x", at_most=True,
             peer=told, ratio=ratio),
        goal("shortlists that differ from brute force", wrong, 0, "requests", at_most=True,
             peer=f"NumPy over every ad, {checked:,} and {checked // 10:,} random requests"),
    ]  # fmt: skip
