"""Who advertises what and where it may be shown: the catalogue in memory, and its rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import ClassVar, Final, TypeVar

import msgspec

from ringwork.ads.events import (
    AdvertiserRegistered,
    CampaignChanged,
    CampaignCreated,
    CreativeChanged,
    CreativeCreated,
    PlacementCreated,
    PublisherRegistered,
)
from ringwork.ads.model import Advertiser, Campaign, Creative, Placement, Publisher
from ringwork.kernel.errors import Fault
from ringwork.kernel.events import Event, Recorded
from ringwork.kernel.money import Money

_ORIGIN: Final = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")
_Item = TypeVar("_Item")


class Catalogue:
    """Everything that was created, as it is now; a fold of the catalogue's events."""

    name: ClassVar[str] = "catalogue"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (
        AdvertiserRegistered,
        CampaignCreated,
        CampaignChanged,
        CreativeCreated,
        CreativeChanged,
        PublisherRegistered,
        PlacementCreated,
    )

    def __init__(self) -> None:
        self.advertisers: dict[str, Advertiser] = {}
        self.campaigns: dict[str, Campaign] = {}
        self.creatives: dict[str, Creative] = {}
        self.publishers: dict[str, Publisher] = {}
        self.placements: dict[str, Placement] = {}
        self.registrations: dict[str, bytes] = {}
        """Advertiser id -> the event that registered it: what its contact is sealed for."""
        self.generation = 0
        """Grows when campaigns or creatives change: what derives from them knows when to follow."""
        self.publishers_generation = 0
        """The same for publishers."""

    def apply(self, recorded: Recorded) -> None:
        event = recorded.payload
        if isinstance(event, AdvertiserRegistered):
            self.advertisers[event.advertiser.id] = event.advertiser
            self.registrations[event.advertiser.id] = recorded.id
        elif isinstance(event, CampaignCreated | CampaignChanged):
            self.campaigns[event.campaign.id] = event.campaign
            self.generation += 1
        elif isinstance(event, CreativeCreated | CreativeChanged):
            self.creatives[event.creative.id] = event.creative
            self.generation += 1
        elif isinstance(event, PublisherRegistered):
            self.publishers[event.publisher.id] = event.publisher
            self.publishers_generation += 1
        elif isinstance(event, PlacementCreated):
            self.placements[event.placement.id] = event.placement

    def clear(self) -> None:
        for kept in self._state():
            kept.clear()
        self.generation += 1
        self.publishers_generation += 1

    def dump(self) -> bytes:
        return msgspec.msgpack.encode(self._state())

    def load(self, state: bytes) -> None:
        self.clear()
        advertisers, campaigns, creatives, publishers, placements, registrations = _decoder.decode(
            state
        )
        self.advertisers.update(advertisers)
        self.campaigns.update(campaigns)
        self.creatives.update(creatives)
        self.publishers.update(publishers)
        self.placements.update(placements)
        self.registrations.update(registrations)

    def live_ads(self) -> Iterator[tuple[Creative, Campaign, Advertiser]]:
        """The creatives that may be shown: active ones of active campaigns."""
        for creative in self.creatives.values():
            campaign = self.campaigns[creative.campaign_id]
            if creative.status == "active" and campaign.status == "active":
                yield creative, campaign, self.advertisers[campaign.advertiser_id]

    def origins(self) -> frozenset[str]:
        """The web origins of all publishers, whose pages may ask for ads."""
        return frozenset(
            origin for publisher in self.publishers.values() for origin in publisher.origins
        )

    def _state(
        self,
    ) -> tuple[
        dict[str, Advertiser],
        dict[str, Campaign],
        dict[str, Creative],
        dict[str, Publisher],
        dict[str, Placement],
        dict[str, bytes],
    ]:
        return (
            self.advertisers,
            self.campaigns,
            self.creatives,
            self.publishers,
            self.placements,
            self.registrations,
        )


_decoder: Final = msgspec.msgpack.Decoder(
    tuple[
        dict[str, Advertiser],
        dict[str, Campaign],
        dict[str, Creative],
        dict[str, Publisher],
        dict[str, Placement],
        dict[str, bytes],
    ]
)


def page(items: Mapping[str, _Item], after: int, limit: int) -> list[_Item]:
    """At most ``limit`` items in the order of their creation, from position ``after``.

    Nothing is ever removed from the catalogue, so a position is a cursor that stays right.
    """
    return list(islice(items.values(), after, after + limit))


def check_advertiser(advertiser: Advertiser, *, currency: str) -> list[Fault]:
    """What is wrong with a new advertiser; ``currency`` is the platform's."""
    return list(_same_currency("/currency", advertiser.currency, currency))


def check_campaign(catalogue: Catalogue, campaign: Campaign, *, currency: str) -> list[Fault]:
    """What is wrong with a campaign, new or changed."""
    faults = list(_known("/advertiser_id", campaign.advertiser_id, catalogue.advertisers))
    faults += _budget("/budget", campaign.budget, currency)
    daily = campaign.daily_budget
    if daily is not None:
        faults += _budget("/daily_budget", daily, currency)
        if daily.total_nanos > campaign.budget.total_nanos:
            faults.append(
                Fault(
                    "/daily_budget", f"{daily} is more than the lifetime budget {campaign.budget}"
                )
            )
    if campaign.ends_us is not None and campaign.ends_us <= campaign.starts_us:
        faults.append(Fault("/ends_us", "must be later than starts_us"))
    return faults


def check_creative(catalogue: Catalogue, creative: Creative) -> list[Fault]:
    """What is wrong with a creative: its campaign, and the members that its format needs."""
    faults = list(_known("/campaign_id", creative.campaign_id, catalogue.campaigns))
    needed: dict[str, object]
    if creative.format == "banner":
        needed = {"width": creative.width, "height": creative.height, "html": creative.html}
    elif creative.format == "video":
        needed = {
            "video_url": creative.video_url,
            "video_mime": creative.video_mime,
            "duration_s": creative.duration_s,
        }
    else:
        needed = {"title": creative.title}
    faults += [
        Fault(f"/{name}", f"a {creative.format} creative needs it")
        for name, given in needed.items()
        if not given
    ]
    return faults


def check_publisher(publisher: Publisher) -> list[Fault]:
    """What is wrong with a new publisher."""
    return [
        Fault(f"/origins/{position}", f"expected scheme://host[:port], got {origin[:64]!r}")
        for position, origin in enumerate(publisher.origins)
        if _ORIGIN.fullmatch(origin) is None
    ]


def check_placement(catalogue: Catalogue, placement: Placement) -> list[Fault]:
    """What is wrong with a new placement."""
    faults = list(_known("/publisher_id", placement.publisher_id, catalogue.publishers))
    if placement.format == "banner":
        faults += [
            Fault(f"/{name}", "a banner placement needs it")
            for name in ("width", "height")
            if not getattr(placement, name)
        ]
    return faults


def _known(pointer: str, id: str, among: Iterable[str]) -> Iterator[Fault]:
    if id not in among:
        yield Fault(pointer, f"{id!r} does not exist")


def _same_currency(pointer: str, given: str, currency: str) -> Iterator[Fault]:
    if given != currency:
        yield Fault(pointer, f"this platform auctions in {currency}, not in {given}")


def _budget(pointer: str, budget: Money, currency: str) -> Iterator[Fault]:
    yield from _same_currency(f"{pointer}/currency", budget.currency, currency)
    if budget.total_nanos <= 0:
        yield Fault(pointer, f"must be positive, got {budget}")
