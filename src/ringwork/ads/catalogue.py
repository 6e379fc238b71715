"""Who advertises what and where it may be shown: the catalogue in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import ClassVar, Final, TypeAlias, TypeVar

import msgspec
from msgspec.structs import replace

from ringwork.ads.events import (
    AdvertiserChanged,
    AdvertiserRegistered,
    AudienceChanged,
    AudienceCreated,
    CampaignChanged,
    CampaignCreated,
    CampaignReviewed,
    CreativeChanged,
    CreativeCreated,
    CreativeReviewed,
    PlacementChanged,
    PlacementCreated,
    PublisherChanged,
    PublisherRegistered,
    SiteChanged,
    SiteRegistered,
)
from ringwork.ads.lifecycle import Noun
from ringwork.ads.model import Advertiser, Audience, Campaign, Creative, Placement, Publisher, Site
from ringwork.kernel.events import Event, Recorded

SCANNED_MAX: Final = 20_000
"""Items looked at for one page: a rare filter gets short pages, not a long wait."""

_Item = TypeVar("_Item")
_State: TypeAlias = tuple[
    dict[str, Advertiser],
    dict[str, Campaign],
    dict[str, Creative],
    dict[str, Publisher],
    dict[str, Site],
    dict[str, Placement],
    dict[str, bytes],
    dict[str, int],
    dict[str, int],
    dict[str, Audience],
]


class Catalogue:
    """Everything that was created, as it is now; a fold of the catalogue's events."""

    name: ClassVar[str] = "catalogue"
    version: ClassVar[int] = 4
    hears: ClassVar[tuple[type[Event], ...]] = (
        AdvertiserRegistered,
        AdvertiserChanged,
        CampaignCreated,
        CampaignChanged,
        CampaignReviewed,
        CreativeCreated,
        CreativeChanged,
        CreativeReviewed,
        PublisherRegistered,
        PublisherChanged,
        SiteRegistered,
        SiteChanged,
        PlacementCreated,
        PlacementChanged,
        AudienceCreated,
        AudienceChanged,
    )

    def __init__(self) -> None:
        self.advertisers: dict[str, Advertiser] = {}
        self.campaigns: dict[str, Campaign] = {}
        self.creatives: dict[str, Creative] = {}
        self.publishers: dict[str, Publisher] = {}
        self.sites: dict[str, Site] = {}
        self.placements: dict[str, Placement] = {}
        self.audiences: dict[str, Audience] = {}
        self.audiences_generation = 0
        """Grows with every change of an audience."""
        self._creatives_of: dict[str, dict[str, None]] = {}
        self.registrations: dict[str, bytes] = {}
        """Advertiser id -> the event that registered it: what its contact is sealed for."""
        self.in_review: dict[Noun, dict[str, int]] = {"campaign": {}, "creative": {}}
        """Id -> when it was sent to review, those that wait longest first."""
        self.generation = 0
        """Grows when everything is forgotten: what derives from it must begin anew."""
        self.touched: dict[str, None] = {}
        """Creatives and campaigns, by ``campaign <id>`` or ``creative <id>``, that changed since
        the index last followed; the index empties it."""
        self.publishers_generation = 0
        """The same for publishers."""
        self.special: dict[str, None] = {}
        """Active campaigns for housing, employment or credit."""

    def apply(self, recorded: Recorded) -> None:
        event = recorded.payload
        if isinstance(event, AdvertiserRegistered):
            self.advertisers[event.advertiser.id] = event.advertiser
            self.registrations[event.advertiser.id] = recorded.id
        elif isinstance(event, AdvertiserChanged):
            self._change_advertiser(event.advertiser)
        elif isinstance(event, CampaignCreated | CampaignChanged | CampaignReviewed):
            self.campaigns[event.campaign.id] = event.campaign
            self._follow_special(event.campaign)
            self.touched[f"campaign {event.campaign.id}"] = None
            self._follow_review("campaign", event.campaign, recorded.ts_us)
        elif isinstance(event, CreativeCreated | CreativeChanged | CreativeReviewed):
            self.creatives[event.creative.id] = event.creative
            self._creatives_of.setdefault(event.creative.campaign_id, {})[event.creative.id] = None
            self.touched[f"creative {event.creative.id}"] = None
            self._follow_review("creative", event.creative, recorded.ts_us)
        elif isinstance(event, PublisherRegistered | PublisherChanged):
            self.publishers[event.publisher.id] = event.publisher
            self.publishers_generation += 1
        elif isinstance(event, SiteRegistered | SiteChanged):
            self.sites[event.site.id] = event.site
        elif isinstance(event, PlacementCreated | PlacementChanged):
            self.placements[event.placement.id] = event.placement
        elif isinstance(event, AudienceCreated | AudienceChanged):
            self.audiences[event.audience.id] = event.audience
            self.audiences_generation += 1

    def audience_name(self, id: str) -> str:
        """An audience's name, or its id where there is none."""
        audience = self.audiences.get(id)
        return id if audience is None else audience.name

    def _change_advertiser(self, wanted: Advertiser) -> None:
        contact = self.advertisers[wanted.id].contact
        self.advertisers[wanted.id] = replace(wanted, contact=contact)
        for campaign in self.campaigns.values():
            if campaign.advertiser_id == wanted.id:
                self.touched[f"campaign {campaign.id}"] = None

    def _follow_special(self, campaign: Campaign) -> None:
        if campaign.is_special and campaign.status == "active":
            self.special[campaign.id] = None
        else:
            self.special.pop(campaign.id, None)

    def _follow_review(self, noun: Noun, item: Campaign | Creative, ts_us: int) -> None:
        if item.status == "review":
            self.in_review[noun].setdefault(item.id, ts_us)
        else:
            self.in_review[noun].pop(item.id, None)

    def clear(self) -> None:
        for kept in self._state():
            kept.clear()
        self._creatives_of.clear()
        self.special.clear()
        self.generation += 1
        self.publishers_generation += 1
        self.audiences_generation += 1

    def dump(self) -> bytes:
        return msgspec.msgpack.encode(self._state())

    def load(self, state: bytes) -> None:
        self.clear()
        loaded = _decoder.decode(state)
        self.advertisers.update(loaded[0])
        self.campaigns.update(loaded[1])
        for campaign in self.campaigns.values():
            self._follow_special(campaign)
        self.creatives.update(loaded[2])
        for creative in self.creatives.values():
            self._creatives_of.setdefault(creative.campaign_id, {})[creative.id] = None
        self.publishers.update(loaded[3])
        self.sites.update(loaded[4])
        self.placements.update(loaded[5])
        self.registrations.update(loaded[6])
        self.in_review["campaign"].update(loaded[7])
        self.in_review["creative"].update(loaded[8])
        self.audiences.update(loaded[9])

    def live_ads(self) -> Iterator[tuple[Creative, Campaign, Advertiser]]:
        """The creatives that may be shown: active ones of active campaigns, none withheld."""
        for creative in self.creatives.values():
            campaign = self.campaigns[creative.campaign_id]
            if creative.status == "active" and may_show(campaign):
                yield creative, campaign, self.advertisers[campaign.advertiser_id]

    def creatives_of(self, campaign_id: str) -> list[str]:
        """The ids of a campaign's creatives, whatever their status, in the order of creation."""
        return list(self._creatives_of.get(campaign_id, ()))

    def origins(self) -> frozenset[str]:
        """The web origins of all publishers, whose pages may ask for ads."""
        return frozenset(
            origin for publisher in self.publishers.values() for origin in publisher.origins
        )

    def _state(self) -> _State:
        return (
            self.advertisers,
            self.campaigns,
            self.creatives,
            self.publishers,
            self.sites,
            self.placements,
            self.registrations,
            self.in_review["campaign"],
            self.in_review["creative"],
            self.audiences,
        )


_decoder: Final = msgspec.msgpack.Decoder(_State)


def may_show(campaign: Campaign) -> bool:
    """Whether its ads take part: it is active, and nothing special about it withholds it."""
    return campaign.status == "active" and not campaign.withheld


def page(
    items: Mapping[str, _Item],
    after: int,
    limit: int,
    keep: Callable[[_Item], bool] | None = None,
) -> tuple[list[_Item], int | None]:
    """At most ``limit`` items in the order of their creation, and where the next page begins.

    Nothing is ever removed from the catalogue, so a position is a cursor that stays right. With a
    filter ``keep`` a page ends after ``SCANNED_MAX`` items and may be short, or empty before the
    end; None as the second value is the end.
    """
    if keep is None:
        found = list(islice(items.values(), after, after + limit))
        end = after + len(found)
    else:
        found, end = [], after
        for item in islice(items.values(), after, after + SCANNED_MAX):
            end += 1
            if keep(item):
                found.append(item)
                if len(found) == limit:
                    break
    return found, end if end < len(items) else None
