"""Special ads that this platform sells itself, as fairness must know them."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from ringwork.ads.budgets import Budgets
from ringwork.ads.catalogue import Catalogue, may_show
from ringwork.ads.model import Campaign
from ringwork.fairness.delivery.events import Audience
from ringwork.fairness.delivery.memory import FairnessMemory
from ringwork.fairness.delivery.work import LiveAd
from ringwork.kernel.ports import Clock


class OwnAds:
    """Of the catalogue: which are sold, to whom, and what is left of each."""

    def __init__(
        self,
        catalogue: Catalogue,
        budgets: Budgets,
        memory: FairnessMemory,
        clock: Clock,
    ) -> None:
        self._catalogue = catalogue
        self._budgets = budgets
        self._memory = memory
        self._clock = clock

    def has(self, ad: str) -> bool:
        """Whether an ad is sold here."""
        return ad in self._catalogue.creatives

    def live(self) -> Iterator[LiveAd]:
        """Those that are sold now, and those that are measured and over."""
        catalogue, now_s = self._catalogue, self._clock.wall_us() // 1_000_000
        for campaign_id in catalogue.special:
            campaign = catalogue.campaigns[campaign_id]
            if may_show(campaign):
                for ad in catalogue.creatives_of(campaign_id):
                    if catalogue.creatives[ad].status == "active":
                        yield self._live_ad(ad, campaign, now_s)
        for ad, flight in self._memory.flights.ads.items():
            creative = catalogue.creatives.get(ad)
            if creative is not None and flight.segments and not flight.is_final:
                campaign = catalogue.campaigns[creative.campaign_id]
                if campaign.status == "ended" or _is_past(campaign, now_s):
                    yield self._live_ad(ad, campaign, now_s, is_over=True)

    def _live_ad(self, ad: str, campaign: Campaign, now_s: int, *, is_over: bool = False) -> LiveAd:
        cost_nanos = self._memory.cells.cost_nanos(ad) or _first_cost_nanos(campaign)
        return LiveAd(
            ad=ad,
            advertiser=campaign.advertiser_id,
            category=campaign.special_ad_categories[0],
            audience=Audience(
                regions=tuple(campaign.targeting.regions),
                excluded_regions=tuple(campaign.targeting.excluded.regions),
            ),
            expected_impressions=campaign.budget.total_nanos // max(cost_nanos, 1),
            impressions_left=self._left_nanos(campaign, now_s) // max(cost_nanos, 1),
            is_over=is_over or _is_past(campaign, now_s),
        )

    def _left_nanos(self, campaign: Campaign, now_s: int) -> int:
        """Of the whole budget: what a day's cap leaves now is not what the flight has left."""
        whole = campaign if campaign.daily_budget is None else _uncapped(campaign)
        return self._budgets.free_nanos(whole, now_s)


def _is_past(campaign: Campaign, now_s: int) -> bool:
    return campaign.ends_us is not None and campaign.ends_us <= now_s * 1_000_000


def _uncapped(campaign: Campaign) -> Campaign:
    return replace(campaign, daily_budget=None)


def _first_cost_nanos(campaign: Campaign) -> int:
    """About what an impression costs before any was sold: the bid, or what a response is worth."""
    if campaign.pricing == "cpm":
        return campaign.bid_nanos
    return max(campaign.bid_nanos // 1000, 1)
