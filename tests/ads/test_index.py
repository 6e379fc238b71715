"""The shortlist against brute force over every ad, and hand examples for every reason."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.ads.auction import score, value
from ringwork.ads.catalogue import Catalogue
from ringwork.ads.events import (
    AdvertiserRegistered,
    CampaignChanged,
    CampaignCreated,
    CreativeCreated,
)
from ringwork.ads.index import SHORTLIST_MAX, Index
from ringwork.ads.model import Advertiser, Campaign, Candidate, Context, Creative, Slot, Targeting
from ringwork.kernel.events import Recorded
from ringwork.kernel.money import Money

P_PPB = {"cpm": 10**9, "cpc": 5_000_000, "cpa": 100_000}
EUR = Money("EUR", 100, 0)
HOUR_US = 3_600_000_000
NOW_US = 9 * HOUR_US
RICH = 10**18

CONTEXT = Context(
    site="www.news.example", categories=("sports", "cars"), region="PRT-11", device_type="phone",
    hour=9, blocked_categories=("gambling",), blocked_domains=("evil.example",),
)  # fmt: skip
SLOT = Slot(id="1", format="banner", sizes=((300, 250), (320, 50)), blocked_attributes=(8,))


def catalogue_of(ads: list[tuple[Campaign, Creative]], domain: str = "adv.example") -> Catalogue:
    catalogue = Catalogue()
    advertisers = {
        campaign.advertiser_id: AdvertiserRegistered(
            Advertiser(id=campaign.advertiser_id, name="A", domain=domain, currency="EUR")
        )
        for campaign, _ in ads
    }
    campaigns = {campaign.id: CampaignCreated(campaign) for campaign, _ in ads}
    creatives = [CreativeCreated(creative) for _, creative in ads]
    for event in (*advertisers.values(), *campaigns.values(), *creatives):
        catalogue.apply(Recorded(0, 1, b"e", 0, b"r", None, "main", None, None, event))
    return catalogue


def campaign(**members: object) -> Campaign:
    given = {
        "id": "c", "advertiser_id": "adv", "name": "c", "pricing": "cpm", "bid_nanos": 1_000_000,
        "budget": EUR, **members,
    }  # fmt: skip
    return Campaign(**given)


def creative(**members: object) -> Creative:
    given = {
        "id": "a", "campaign_id": "c", "name": "a", "format": "banner", "width": 300,
        "height": 250, "landing_url": "https://adv.example", "html": "x", **members,
    }  # fmt: skip
    return Creative(**given)


class Purses:
    """What campaigns can pay, as a test says."""

    def __init__(self, free_nanos: Callable[[Campaign], int] = lambda one: RICH) -> None:
        self.changed: dict[str, None] = {}
        self.free = free_nanos

    def free_nanos(self, campaign: Campaign, now_s: int) -> int:
        return self.free(campaign)


def shortlisted(
    catalogue, context=CONTEXT, slot=SLOT, *, now_us=NOW_US, free_nanos=lambda one: RICH
):
    return Index(catalogue, Purses(free_nanos), p_ppb=P_PPB).shortlist(context, slot, now_us=now_us)


VIDEO = {
    "format": "video", "video_url": "https://adv.example/v", "video_mime": "video/mp4",
    "duration_s": 15,
}  # fmt: skip
REASONS = [
    ("format", {}, {"format": "native", "title": "t"}, {}),
    ("size", {}, {"width": 728, "height": 90}, {}),
    ("site", {"targeting": Targeting(sites=["other.example"])}, {}, {}),
    ("site", {"targeting": Targeting(apps=["com.app"])}, {}, {}),
    ("category", {"targeting": Targeting(categories=["food"])}, {}, {}),
    ("region", {"targeting": Targeting(regions=["PRT-08", "ESP"])}, {}, {}),
    ("device", {"targeting": Targeting(device_types=["tv"])}, {}, {}),
    ("hour", {"targeting": Targeting(hours=[8, 10])}, {}, {}),
    ("blocked", {}, {"categories": ["gambling"]}, {}),
    ("blocked", {}, {"attributes": [8]}, {}),
    ("schedule", {"starts_us": NOW_US + 1}, {}, {}),
    ("schedule", {"ends_us": NOW_US}, {}, {}),
    ("floor", {}, {}, {"floor_nanos": 1_000_001}),
    ("mime", {}, VIDEO, {"format": "video", "mimes": ("video/webm",)}),
    ("duration", {}, VIDEO, {"format": "video", "max_duration_s": 14}),
    ("duration", {}, VIDEO, {"format": "video", "min_duration_s": 16}),
    ("needs", {}, {}, {"needs": ("image",)}),
    ("needs", {}, {"image_url": "https://adv.example/i"}, {"needs": ("image", "text")}),
    ("needs", {}, {"image_url": "http://adv.example/i"}, {"needs": ("https",)}),
    ("needs", {}, {"html": "<img src = 'http://adv.example/i'>"}, {"needs": ("https",)}),
    ("needs", {}, {"html": "<p style='background: URL(http://x.example)'>"}, {"needs": ("https",)}),
    # Worth one nano, but half of it is no score: such an ad can never win.
    ("floor", {"bid_nanos": 1}, {"quality_ppm": 500_000}, {}),
]


@pytest.mark.parametrize(("reason", "of_campaign", "of_creative", "of_slot"), REASONS)
def test_each_reason_keeps_an_ad_out(reason, of_campaign, of_creative, of_slot):
    ads = [(campaign(**of_campaign), creative(**of_creative))]
    found = shortlisted(catalogue_of(ads), slot=Slot(**{**as_dict(SLOT), **of_slot}))
    assert (found.eligible, found.excluded) == (0, {reason: 1})


def as_dict(slot: Slot) -> dict[str, object]:
    return {name: getattr(slot, name) for name in slot.__struct_fields__}


FITS = [
    {"targeting": Targeting(sites=["news.example"])},
    {"targeting": Targeting(sites=["news.example"], apps=["com.app"])},
    {"targeting": Targeting(categories=["food", "cars"])},
    {"targeting": Targeting(regions=["PRT"])},
    {"targeting": Targeting(regions=["PRT-11"])},
    {"targeting": Targeting(device_types=["phone", "tv"])},
    {"targeting": Targeting(hours=[9])},
    {"starts_us": NOW_US, "ends_us": NOW_US + 1},
]


@pytest.mark.parametrize("of_campaign", FITS)
def test_what_is_targeted_is_found(of_campaign):
    found = shortlisted(catalogue_of([(campaign(**of_campaign), creative())]))
    assert (list(found.contenders), found.excluded) == (["a"], {})


def test_a_namespace_is_nothing_that_is_loaded():
    svg = "<svg xmlns='http://www.w3.org/2000/svg'><image href='https://adv.example/i'/></svg>"
    ads = [(campaign(), creative(html=svg, text="t", image_url="https://adv.example/i"))]
    slot = Slot(id="1", format="banner", needs=("https", "image", "text"))
    assert shortlisted(catalogue_of(ads), slot=slot).eligible == 1


def test_a_blocked_domain_blocks_its_subdomains_and_not_its_neighbours():
    ads = [(campaign(), creative())]
    assert shortlisted(catalogue_of(ads, "shop.evil.example")).excluded == {"blocked": 1}
    assert shortlisted(catalogue_of(ads, "notevil.example")).eligible == 1


def test_a_country_alone_is_not_its_subdivision():
    ads = [(campaign(targeting=Targeting(regions=["PRT-11"])), creative())]
    coarse = Context(site="news.example", region="PRT")
    assert shortlisted(catalogue_of(ads), coarse).excluded == {"region": 1}


def test_an_app_is_not_a_site_of_the_same_name():
    ads = [(campaign(targeting=Targeting(sites=["news.example"])), creative())]
    assert shortlisted(catalogue_of(ads), Context(app="news.example")).excluded == {"app": 1}


def test_paused_and_ended_ads_are_not_there_at_all():
    ads = [
        (campaign(), creative(status="paused")),
        (campaign(), creative(id="b", status="rejected")),
    ]
    found = shortlisted(catalogue_of(ads))
    assert (found.eligible, found.excluded) == (0, {})


def test_an_ad_without_budget_makes_room_for_the_next():
    ads = [
        (campaign(id=f"c{n}", bid_nanos=100 - n), creative(id=f"a{n}", campaign_id=f"c{n}"))
        for n in range(12)
    ]

    def free_nanos(one: Campaign) -> int:
        return 0 if one.id in ("c0", "c3") else RICH

    found = shortlisted(catalogue_of(ads), free_nanos=free_nanos)
    assert list(found.contenders) == [f"a{n}" for n in (1, 2, 4, 5, 6, 7, 8, 9)]
    assert len(found.contenders) == SHORTLIST_MAX
    assert (found.eligible, found.excluded) == (10, {"budget": 2})


def test_what_a_campaign_can_pay_is_asked_again_when_it_may_have_changed():
    ads = [
        (
            campaign(id=f"c{n}", bid_nanos=100 - n, daily_budget=EUR),
            creative(id=f"a{n}", campaign_id=f"c{n}"),
        )
        for n in range(12)
    ]
    catalogue, broke = catalogue_of(ads), {"c0", "c3"}
    purses = Purses(lambda one: 0 if one.id in broke else RICH)
    index = Index(catalogue, purses, p_ppb=P_PPB)

    def excluded(day: int) -> dict[str, int]:
        return index.shortlist(CONTEXT, SLOT, now_us=NOW_US + day * 24 * HOUR_US).excluded

    assert excluded(5) == {"budget": 2}
    broke.add("c1")
    purses.changed["c1"] = None
    assert excluded(5) == {"budget": 3}, "who runs dry is seen at once"
    broke.clear()
    purses.changed.update(c0=None, c1=None)
    assert excluded(5) == {"budget": 1}, "money came in for two"
    assert excluded(6) == {}, "another day"
    broke.add("c0")
    purses.changed["c0"] = None
    assert excluded(6) == {"budget": 1}
    broke.clear()
    event = CampaignChanged(campaign(id="c0", bid_nanos=99))
    catalogue.apply(Recorded(0, 2, b"e", 0, b"r", None, "main", None, None, event))
    assert excluded(6) == {}, "other terms"


def test_a_campaign_with_less_than_its_bid_bids_what_it_has_left():
    ads = [
        (campaign(id=f"c{n}", bid_nanos=100 - n), creative(id=f"a{n}", campaign_id=f"c{n}"))
        for n in range(3)
    ]
    left = {"c0": 99, "c1": 50, "c2": RICH}
    found = shortlisted(catalogue_of(ads), free_nanos=lambda one: left[one.id])
    assert [(one.candidate.ad_id, one.candidate.bid_nanos) for one in found.ranked] == [
        ("a0", 99), ("a2", 98), ("a1", 50),
    ]  # fmt: skip


def test_a_change_of_the_catalogue_is_seen_by_the_next_request():
    catalogue = catalogue_of([(campaign(), creative())])
    index = Index(catalogue, Purses(), p_ppb=P_PPB)
    ask = {"now_us": NOW_US}
    assert index.shortlist(CONTEXT, SLOT, **ask).eligible == 1
    event = CreativeCreated(creative(id="b"))
    catalogue.apply(Recorded(0, 2, b"e", 0, b"r", None, "main", None, None, event))
    assert index.shortlist(CONTEXT, SLOT, **ask).eligible == 2
    catalogue.clear()
    assert index.shortlist(CONTEXT, SLOT, **ask).eligible == 0


def test_a_campaign_starts_and_ends_without_any_event_and_a_clock_may_go_back():
    catalogue = catalogue_of([(campaign(starts_us=10, ends_us=20), creative())])
    index = Index(catalogue, Purses(), p_ppb=P_PPB)
    seen = [
        index.shortlist(CONTEXT, SLOT, now_us=now_us).eligible for now_us in (9, 10, 19, 20, 15, 3)
    ]
    assert seen == [0, 1, 1, 0, 1, 0]


# ---- against brute force ------------------------------------------------------------------------


class World:
    """Ninety ads, a place and who has no money, all from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        pick = self.random.choice
        self.domains = {f"adv{n}": f"d{n}.example" for n in range(3)}
        self.ads = [self.ad(f"{n:02}") for n in range(90)]
        self.broke = {id for id in range(90) if self.random.random() < 0.2}
        self.context = Context(
            site=pick(["", "news.example", "www.news.example", "a.shop.example"]),
            app=pick(["", "", "com.a"]),
            categories=(pick(["sports", "x"]), pick(["food", "y"])),
            region=pick(["", "PRT", "PRT-11", "ESP-MD"]),
            device_type=pick(["phone", "tv", "other"]),
            hour=9,
            blocked_categories=pick([(), ("gambling",)]),
            blocked_domains=pick([(), (), ("example",), ("shop.example", "d1.example")]),
        )
        self.slot = Slot(
            id="1",
            format=pick(["banner", "banner", "banner", "video", "native"]),
            sizes=pick([(), ((300, 250),), ((300, 250), (728, 250))]),
            mimes=pick([(), ("video/mp4",)]),
            floor_nanos=pick([0, 0, 10, 30]),
            min_duration_s=pick([0, 0, 6]),
            max_duration_s=pick([None, 7]),
            blocked_attributes=pick([(), (8,)]),
            needs=pick([(), (), (), (), ("text",), ("image", "https")]),
        )

    def some(self, values: list) -> list:
        """Mostly nothing, so that many ads pass many rules and every rule still bites."""
        count = self.random.choice([0] * 8 + [1, 2])
        return self.random.sample(values, count)

    def ad(self, id: str) -> tuple[Campaign, Creative]:
        pick = self.random.choice
        one = campaign(
            id=id,
            advertiser_id=pick(sorted(self.domains)),
            pricing=pick(["cpm", "cpm", "cpm", "cpc"]),
            bid_nanos=pick([self.random.randint(5, 40), self.random.randint(1, 10**9)]),
            starts_us=pick([0] * 9 + [NOW_US - 1, NOW_US, NOW_US + 1]),
            ends_us=pick([None] * 9 + [NOW_US - 1, NOW_US, NOW_US + 1]),
            targeting=Targeting(
                sites=self.some(["news.example", "www.news.example", "shop.example"]),
                apps=self.some(["com.a", "news.example"]),
                categories=self.some(["sports", "food"]),
                regions=self.some(["PRT", "PRT-11", "ESP"]),
                device_types=self.some(["phone", "tv"]),
                hours=self.some([8, 9]),
            ),
            status=pick(["active", "active", "active", "paused"]),
        )
        return one, creative(
            id=id,
            campaign_id=id,
            format=pick(["banner", "banner", "banner", "video", "native"]),
            width=pick([300, 300, 728]),
            video_mime=pick(["video/mp4", "video/webm"]),
            duration_s=pick([5, 6, 7, 8]),
            categories=self.some(["gambling", "food"]),
            attributes=self.some([8, 3]),
            quality_ppm=pick([500_000, 10**6, 10**6, 1]),
            text=pick(["", "words"]),
            image_url=pick([None, "http://i.example/i", "https://i.example/i"]),
        )


def first_reason(one: Campaign, ad: Creative, domain: str, context: Context, slot: Slot) -> str:
    """Why an ad may not compete, in the index's order of reasons; empty when it may."""
    target = one.targeting
    within = [context.site.split(".", n)[-1] for n in range(context.site.count(".") + 1)]
    owners = [domain.split(".", n)[-1] for n in range(domain.count(".") + 1)]
    is_video, is_banner = ad.format == "video", ad.format == "banner"
    longest = 10**9 if slot.max_duration_s is None else slot.max_duration_s
    candidate = Candidate(
        ad_id=ad.id, bid_nanos=one.bid_nanos, p_ppb=P_PPB[one.pricing], quality_ppm=ad.quality_ppm
    )
    sizes = slot.sizes or ((ad.width, ad.height),)
    elsewhere = not (set(target.sites) & set(within) or context.app in target.apps)
    regions = (context.region, context.region[:3])
    met = {
        "text": bool(ad.text),
        "image": bool(ad.image_url),
        "https": ad.image_url != "http://i.example/i",
    }
    rules = [
        ("format", ad.format != slot.format),
        ("schedule", one.starts_us > NOW_US or (one.ends_us or 10**18) <= NOW_US),
        ("size", is_banner and (ad.width, ad.height) not in sizes),
        ("mime", is_video and bool(slot.mimes) and ad.video_mime not in slot.mimes),
        ("duration", is_video and not slot.min_duration_s <= ad.duration_s <= longest),
        ("needs", not all(met[need] for need in slot.needs)),
        ("app" if context.app else "site", bool(target.sites + target.apps) and elsewhere),
        ("category", bool(target.categories) and not {*target.categories} & {*context.categories}),
        ("region", bool(target.regions) and not {*target.regions} & {*regions}),
        ("device", bool(target.device_types) and context.device_type not in target.device_types),
        ("hour", bool(target.hours) and context.hour not in target.hours),
        ("blocked", bool(
            set(ad.categories) & set(context.blocked_categories)
            or set(owners) & set(context.blocked_domains)
            or set(ad.attributes) & set(slot.blocked_attributes)
        )),
        ("floor", value(candidate) < slot.floor_nanos or score(candidate) <= 0),
    ]  # fmt: skip
    return next((reason for reason, applies in rules if applies), "")


@settings(max_examples=300)
@given(st.integers(0, 2**32 - 1))
def test_the_shortlist_is_what_brute_force_finds(seed):
    world = World(seed)
    ads, domains, context, slot, broke = (
        world.ads, world.domains, world.context, world.slot, world.broke,
    )  # fmt: skip
    catalogue = catalogue_of(ads[::-1])
    for owner, domain in domains.items():
        event = AdvertiserRegistered(Advertiser(id=owner, name="A", domain=domain, currency="EUR"))
        catalogue.apply(Recorded(0, 1, b"e", 0, b"r", None, "main", None, None, event))

    excluded: dict[str, int] = {}
    running, live = [], 0
    for one, ad in ads:
        if one.status != "active":
            continue
        live += 1
        reason = first_reason(one, ad, domains[one.advertiser_id], context, slot)
        if reason != "floor" and not reason and int(ad.id) in broke:
            reason = "budget"
        if reason:
            excluded[reason] = excluded.get(reason, 0) + 1
        else:
            points = score(Candidate(
                ad_id=ad.id, bid_nanos=one.bid_nanos, p_ppb=P_PPB[one.pricing],
                quality_ppm=ad.quality_ppm,
            ))  # fmt: skip
            running.append((-points, ad.id))
    running.sort()

    found = shortlisted(
        catalogue, context, slot, free_nanos=lambda one: 0 if int(one.id) in broke else RICH
    )
    assert list(found.contenders) == [id for _, id in running[:SHORTLIST_MAX]]
    assert [one.score_nanos for one in found.ranked] == [
        -points for points, _ in running[:SHORTLIST_MAX]
    ]
    if found.scanned == live:  # everything was looked at: the counts are those of all ads
        assert found.eligible + sum(found.excluded.values()) == live
        assert found.eligible >= len(running), "nobody behind the list is asked for its money"
        # Who has no money and is not worth the floor is counted where it was noticed first.
        money = ("budget", "floor")
        assert {k: v for k, v in found.excluded.items() if k not in money} == {
            k: v for k, v in excluded.items() if k not in money
        }


@pytest.mark.parametrize(
    ("zone", "minute", "fits"),
    [
        ("Asia/Kolkata", 29, False),  # 14:59 there, five and a half hours ahead
        ("Asia/Kolkata", 30, True),
        ("Asia/Kathmandu", 14, False),  # 14:59 there, a quarter more
        ("Asia/Kathmandu", 15, True),
        ("UTC", 59, False),
    ],
)
def test_an_hour_begins_where_its_zone_says(zone: str, minute: int, fits: bool) -> None:
    targeting = Targeting(hours=[15], time_zone=zone)
    index = Index(
        catalogue_of([(campaign(targeting=targeting), creative())]), Purses(), p_ppb=P_PPB
    )
    nine_us = 1_795_770_000_000_000  # UTC, on a day in 2026
    index.shortlist(CONTEXT, SLOT, now_us=nine_us)  # an earlier quarter of the same hour
    now_us = nine_us + minute * 60_000_000
    assert bool(index.shortlist(CONTEXT, SLOT, now_us=now_us).ranked) == fits
