"""What must hold between the members of advertisers, campaigns and places; each fault is named.

Types bound every member by itself; these rules bind them to each other and to the catalogue. They
run before anything is recorded, on creation and on every change.

A *house* campaign fills what nobody bought. It is free: no budget, no daily budget, and its bid
(one nano unless given) only orders house ads among themselves, nothing is ever charged.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ringwork.ads.catalogue import Catalogue
from ringwork.ads.model import (
    INTEREST_PREFIX,
    Advertiser,
    Audience,
    Campaign,
    FrequencyCap,
    Placement,
    Publisher,
    Site,
    Targeting,
    max_bid_nanos,
)
from ringwork.ads.outside import PREFIX, is_external
from ringwork.ads.special_topics import SPECIAL_TOPICS
from ringwork.kernel.errors import Fault
from ringwork.kernel.money import Money

HOUSE_BID_NANOS: Final = 1
"""What a house campaign bids where it says nothing: the least there is."""

_ORIGIN: Final = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")


_SPECIAL: Final = (
    "topic {!r} reveals a special category of data (GDPR, article 9): no profile is made of it; "
    "target pages about it by `categories`"
)


def check_new_id(id: str) -> list[Fault]:
    """What is wrong with an id that a client gives: one that looks like an outside ad's."""
    if not is_external(id):
        return []
    return [Fault("/id", f"ids that begin with {PREFIX!r} are outside bidders' ads, got {id!r}")]


def check_advertiser(advertiser: Advertiser, *, currency: str) -> list[Fault]:
    """What is wrong with a new advertiser; ``currency`` is the platform's."""
    return list(_same_currency("/currency", advertiser.currency, currency))


def check_campaign(
    catalogue: Catalogue,
    campaign: Campaign,
    *,
    currency: str,
    special_topics: Collection[str] = SPECIAL_TOPICS,
) -> list[Fault]:
    """What is wrong with a campaign, new or changed."""
    faults = list(_known("/advertiser_id", campaign.advertiser_id, catalogue.advertisers))
    faults += _money(campaign, currency)
    if campaign.ends_us is not None and campaign.ends_us <= campaign.starts_us:
        faults.append(Fault("/ends_us", "must be later than starts_us"))
    faults += _priority(campaign)
    faults += _targeting(campaign.targeting)
    faults += _audiences(catalogue, campaign.targeting, special_topics)
    faults += _frequency(campaign.frequency_caps)
    if campaign.roadblock:
        faults += _roadblock(catalogue, campaign)
    if campaign.view_through and campaign.pricing != "cpa":
        faults.append(
            Fault("/view_through", f"only conversions are paid for so, not {campaign.pricing}")
        )
    return faults


def _money(campaign: Campaign, currency: str) -> Iterator[Fault]:
    daily = campaign.daily_budget
    if campaign.priority == "house":
        if campaign.budget.total_nanos:
            yield Fault("/budget", f"a house campaign is free: leave it out, got {campaign.budget}")
        if daily is not None:
            yield Fault("/daily_budget", "a house campaign is free: leave it out")
        yield from _same_currency("/budget/currency", campaign.budget.currency, currency)
        return
    yield from _budget("/budget", campaign.budget, currency)
    most_nanos = max_bid_nanos(campaign.pricing)
    if campaign.bid_nanos > most_nanos:
        text = f"expected at most {most_nanos} per {campaign.pricing}, got {campaign.bid_nanos}"
        yield Fault("/bid_nanos", text)
    if daily is None:
        return
    yield from _budget("/daily_budget", daily, currency)
    if daily.total_nanos > campaign.budget.total_nanos:
        text = f"{daily} is more than the lifetime budget {campaign.budget}"
        yield Fault("/daily_budget", text)


def _priority(campaign: Campaign) -> Iterator[Fault]:
    """What a priority promises must be said, and nothing that another one promises."""
    priority = campaign.priority
    if priority == "sponsorship":
        if campaign.share_ppm is None:
            yield Fault("/share_ppm", "a sponsorship needs its share of the views, in 1e-6")
    elif campaign.share_ppm is not None:
        yield Fault("/share_ppm", f"only a sponsorship has a share, this is {priority}")
    if priority == "guaranteed":
        if campaign.goal_impressions is None:
            yield Fault("/goal_impressions", "a guaranteed campaign needs what it promises")
        if campaign.ends_us is None:
            yield Fault("/ends_us", "a guaranteed campaign needs an end to deliver by")
        yield from _affordable(campaign)
    elif campaign.goal_impressions is not None:
        text = f"only a guaranteed campaign has a goal, this is {priority}"
        yield Fault("/goal_impressions", text)
    if priority == "house" and campaign.pricing != "cpm":
        yield Fault("/pricing", f"a house campaign is never charged: cpm, not {campaign.pricing}")


def _affordable(campaign: Campaign) -> Iterator[Fault]:
    """A goal that its own budget cannot pay for at its own price is no promise."""
    if campaign.pricing != "cpm" or campaign.goal_impressions is None:
        return
    cost_nanos = campaign.goal_impressions * campaign.bid_nanos
    if cost_nanos > campaign.budget.total_nanos:
        text = f"{campaign.goal_impressions} impressions cost up to {cost_nanos} nanos"
        yield Fault("/budget", f"{text}, the budget is {campaign.budget.total_nanos} nanos")


def _targeting(targeting: Targeting) -> Iterator[Fault]:
    if not is_time_zone(targeting.time_zone):
        text = f"expected an IANA time zone such as Europe/Lisbon, got {targeting.time_zone!r}"
        yield Fault("/targeting/time_zone", text)
    excluded = targeting.excluded
    for name in ("sites", "apps", "categories", "regions", "device_types", "audiences"):
        wanted = getattr(targeting, name)
        for position, value in enumerate(getattr(excluded, name)):
            if value in wanted:
                pointer = f"/targeting/excluded/{name}/{position}"
                yield Fault(pointer, f"{value!r} is targeted as well")
    for key, values in excluded.key_values.items():
        both = [value for value in values if value in targeting.key_values.get(key, ())]
        if both:
            pointer = f"/targeting/excluded/key_values/{key}"
            yield Fault(pointer, f"{both[0]!r} is targeted as well")


def _audiences(
    catalogue: Catalogue, targeting: Targeting, special_topics: Collection[str]
) -> Iterator[Fault]:
    for pointer, named in (
        ("/targeting/audiences", targeting.audiences),
        ("/targeting/excluded/audiences", targeting.excluded.audiences),
    ):
        for position, id in enumerate(named):
            if id.startswith(INTEREST_PREFIX):
                topic = id[len(INTEREST_PREFIX) :]
                if not topic:
                    yield Fault(f"{pointer}/{position}", "expected a topic behind 'interest:'")
                elif topic in special_topics:
                    yield Fault(f"{pointer}/{position}", _SPECIAL.format(topic))
            else:
                yield from _known(f"{pointer}/{position}", id, catalogue.audiences)


def check_audience(
    audience: Audience,
    *,
    services: Collection[str],
    special_topics: Collection[str] = SPECIAL_TOPICS,
) -> list[Fault]:
    """What is wrong with an audience; ``services`` are the platform's."""
    faults = []
    if audience.id.startswith(INTEREST_PREFIX):
        faults.append(Fault("/id", f"ids that begin with {INTEREST_PREFIX!r} are of interests"))
    for number, rule in enumerate(audience.rules):
        faults += [
            Fault(f"/rules/{number}/topics/{position}", _SPECIAL.format(topic))
            for position, topic in enumerate(rule.topics)
            if topic in special_topics
        ]
        for position, service in enumerate(rule.services):
            faults += _service(f"/rules/{number}/services/{position}", service, services)
    return faults


@lru_cache(maxsize=1024)
def is_time_zone(name: str) -> bool:
    """Whether the machine's time zone database knows the name."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a directory, a path that leads out of it
        return False
    return True


def _frequency(caps: Iterable[FrequencyCap]) -> Iterator[Fault]:
    """A longer window must allow more than a shorter one, else the shorter never binds."""
    last: dict[str, FrequencyCap] = {}
    for position, cap in sorted(enumerate(caps), key=lambda one: one[1].window_s):
        pointer, shorter = f"/frequency_caps/{position}", last.get(cap.per)
        if shorter is not None and cap.window_s == shorter.window_s:
            yield Fault(pointer, f"there is a cap per {cap.per} of {cap.window_s} s already")
        elif shorter is not None and cap.impressions <= shorter.impressions:
            text = f"{cap.impressions} in {cap.window_s} s leaves no room for"
            yield Fault(pointer, f"{text} {shorter.impressions} in {shorter.window_s} s")
        last[cap.per] = cap


def _roadblock(catalogue: Catalogue, campaign: Campaign) -> Iterator[Fault]:
    """A page is filled with banners, and a whole page is sold by its views."""
    if campaign.pricing not in ("cpm", "vcpm"):
        yield Fault(
            "/pricing", f"a roadblock is sold by the view: cpm or vcpm, not {campaign.pricing}"
        )
    for id in catalogue.creatives_of(campaign.id):
        creative = catalogue.creatives[id]
        if creative.format != "banner":
            text = f"a roadblock is of banners, creative {id!r} is {creative.format}"
            yield Fault("/roadblock", text)
            return


def check_publisher(publisher: Publisher, *, services: Collection[str]) -> list[Fault]:
    """What is wrong with a publisher; ``services`` are the platform's."""
    faults = [
        Fault(f"/origins/{position}", f"expected scheme://host[:port], got {origin[:64]!r}")
        for position, origin in enumerate(publisher.origins)
        if _ORIGIN.fullmatch(origin) is None
    ]
    return [*faults, *_service("/consent/service", publisher.consent.service, services)]


def check_site(catalogue: Catalogue, site: Site, *, services: Collection[str]) -> list[Fault]:
    """What is wrong with a site."""
    faults = list(_known("/publisher_id", site.publisher_id, catalogue.publishers))
    if site.consent is not None:
        faults += _service("/consent/service", site.consent.service, services)
    return faults


def _service(pointer: str, named: str, services: Collection[str]) -> Iterator[Fault]:
    if named not in services:
        known = ", ".join(sorted(services))
        yield Fault(pointer, f"expected one of the core services {known}, got {named!r}")


def check_placement(catalogue: Catalogue, placement: Placement) -> list[Fault]:
    """What is wrong with a placement."""
    faults = list(_known("/publisher_id", placement.publisher_id, catalogue.publishers))
    if placement.format == "banner":
        faults += [
            Fault(f"/{name}", "a banner placement needs it")
            for name in ("width", "height")
            if not getattr(placement, name)
        ]
    worth = placement.places_ppm
    if worth and (len(worth) != placement.slots or sorted(worth, reverse=True) != worth):
        text = f"expected {placement.slots} numbers, one a slot, that never rise, got {worth}"
        faults.append(Fault("/places_ppm", text))
    if placement.site_id is not None:
        faults += _known("/site_id", placement.site_id, catalogue.sites)
        site = catalogue.sites.get(placement.site_id)
        if site is not None and site.publisher_id != placement.publisher_id:
            text = f"site {site.id!r} is publisher {site.publisher_id!r}'s"
            faults.append(Fault("/site_id", text))
    if placement.passback_html and placement.format not in ("banner", "native"):
        text = f"markup cannot stand in for {placement.format}: for banner and native places only"
        faults.append(Fault("/passback_html", text))
    return faults


def _known(pointer: str, id: str, among: Mapping[str, object]) -> Iterator[Fault]:
    if id not in among:
        yield Fault(pointer, f"{id!r} does not exist")


def _same_currency(pointer: str, given: str, currency: str) -> Iterator[Fault]:
    if given != currency:
        yield Fault(pointer, f"this platform auctions in {currency}, not in {given}")


def _budget(pointer: str, budget: Money, currency: str) -> Iterator[Fault]:
    yield from _same_currency(f"{pointer}/currency", budget.currency, currency)
    if budget.total_nanos <= 0:
        yield Fault(pointer, f"must be positive, got {budget}")
