"""How often a visit was shown what, for frequency caps: in memory, for the visit alone.

A visit is a random key of the publisher's page. It is never written anywhere and is forgotten after
its window (ads specification 1, *visit*: 90 minutes, at most 120), so that a cap of a day holds
within the visit only: nobody can be recognised in the next one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from msgspec import Struct

from ringwork.ads.model import Campaign, FrequencyCap

VISITS_MAX: Final = 200_000
"""Visits in memory; the ones that were seen longest ago are forgotten first."""
SHOWN_MAX: Final = 200
"""Ads of one visit that are remembered, the newest of them."""


class Seen(Struct, gc=False):
    """An ad that a viewer was shown."""

    at_s: int
    campaign: str
    advertiser: str


class Visits:
    """What the current visits were shown."""

    def __init__(self, *, window_s: int) -> None:
        self._window_s = window_s
        self._visits: OrderedDict[str, list[Seen]] = OrderedDict()

    def shown(self, visit: str, campaign: Campaign, now_s: int) -> None:
        """An ad of ``campaign`` goes to the visit; nothing is kept of a request without one."""
        if not visit:
            return
        ads = self._visits.setdefault(visit, [])
        ads.append(Seen(now_s, campaign.id, campaign.advertiser_id))
        del ads[:-SHOWN_MAX]
        self._visits.move_to_end(visit)
        while len(self._visits) > VISITS_MAX:
            self._visits.popitem(last=False)

    def capped(
        self, visit: str, now_s: int, campaign_of: Callable[[str], Iterable[Campaign]]
    ) -> list[str]:
        """The campaigns that this visit has seen often enough.

        ``campaign_of`` gives, for an advertiser, its campaigns that have caps.
        """
        ads = self._visits.get(visit) if visit else None
        if ads is None:
            return []
        if ads[-1].at_s < now_s - self._window_s:
            del self._visits[visit]
            return []
        return seen_enough(ads, now_s, campaign_of)


def seen_enough(
    ads: Sequence[Seen], now_s: int, campaign_of: Callable[[str], Iterable[Campaign]]
) -> list[str]:
    """The campaigns one of whose caps the ads that a viewer saw have reached."""
    advertisers = {one.advertiser for one in ads}
    return [
        campaign.id
        for advertiser in sorted(advertisers)
        for campaign in campaign_of(advertiser)
        if any(_is_reached(cap, campaign, ads, now_s) for cap in campaign.frequency_caps)
    ]


def _is_reached(cap: FrequencyCap, campaign: Campaign, ads: Sequence[Seen], now_s: int) -> bool:
    since_s = now_s - cap.window_s
    if cap.per == "campaign":
        seen = sum(one.campaign == campaign.id for one in ads if one.at_s > since_s)
    else:
        seen = sum(one.advertiser == campaign.advertiser_id for one in ads if one.at_s > since_s)
    return seen >= cap.impressions
