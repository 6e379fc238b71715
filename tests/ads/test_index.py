"""The shortlist against brute force over every ad, and hand examples for every reason."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.ads.auction import score, value
from ringwork.ads.catalogue import Catalogue
from ringwork.ads.events import AdvertiserRegistered, CampaignCreated, CreativeCreated
from ringwork.ads.index import SHORTLIST_MAX, Index
from ringwork.ads.model import Advertiser, Campaign, Candidate, Context, Creative, Slot, Targeting
from ringwork.kernel.events import Recorded
from ringwork.kernel.money import Money

P_PPB = {"cpm": 10**9, "cpc": 5_000_000, "cpa": 100_000}
EUR = Money("EUR", 100, 0)
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


def shortlisted(catalogue, context=CONTEXT, slot=SLOT, *, now_us=1_000, funded=lambda one: True):
    return Index(catalogue, p_ppb=P_PPB).shortlist(
        context, slot, now_us=now_us, funded=funded, as_of=(0, 0)
    )


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
    ("schedule", {"starts_us": 1_001}, {}, {}),
    ("schedule", {"ends_us": 1_000}, {}, {}),
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
    {"starts_us": 1_000, "ends_us": 1_001},
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
    ads = [(campaign(), creative(status="paused")), (campaign(), creative(id="b", status="ended"))]
    found = shortlisted(catalogue_of(ads))
    assert (found.eligible, found.excluded) == (0, {})


def test_an_ad_without_budget_makes_room_for_the_next():
    ads = [
        (campaign(id=f"c{n}", bid_nanos=100 - n), creative(id=f"a{n}", campaign_id=f"c{n}"))
        for n in range(12)
    ]
    asked = []

    def funded(one: Campaign) -> bool:
        asked.append(one.id)
        return one.id not in ("c0", "c3")

    found = shortlisted(catalogue_of(ads), funded=funded)
    assert list(found.contenders) == [f"a{n}" for n in (1, 2, 4, 5, 6, 7, 8, 9)]
    assert len(found.contenders) == SHORTLIST_MAX
    assert asked == [f"c{n}" for n in range(10)], "nobody behind the last one is asked"
    assert (found.eligible, found.excluded) == (10, {"budget": 2})


def test_who_could_not_pay_is_asked_again_only_when_that_may_have_changed():
    ads = [
        (campaign(id=f"c{n}", bid_nanos=100 - n), creative(id=f"a{n}", campaign_id=f"c{n}"))
        for n in range(12)
    ]
    catalogue, asked, broke = catalogue_of(ads), [], {"c0", "c3"}
    index = Index(catalogue, p_ppb=P_PPB)

    def funded(one: Campaign) -> bool:
        asked.append(one.id)
        return one.id not in broke

    def ask(as_of: tuple[int, int]):
        asked.clear()
        return index.shortlist(CONTEXT, SLOT, now_us=1_000, funded=funded, as_of=as_of)

    first = ask((5, 1))
    assert ask((5, 1)) == first, "the answer does not tell what was remembered"
    assert asked == ["c1", "c2", "c4", "c5", "c6", "c7", "c8", "c9"]
    broke.add("c1")
    assert ask((5, 1)).excluded == {"budget": 3}, "who runs dry is seen at once"
    broke.clear()
    assert ask((5, 2)).excluded == {}, "money came in"
    broke.add("c0")
    assert ask((5, 2)).excluded == {"budget": 1}
    broke.clear()
    assert ask((6, 2)).excluded == {}, "another day"
    broke.add("c0")
    assert ask((6, 2)).excluded == {"budget": 1}
    broke.clear()
    event = CreativeCreated(creative(id="b", campaign_id="c1"))
    catalogue.apply(Recorded(0, 2, b"e", 0, b"r", None, "main", None, None, event))
    assert ask((6, 2)).excluded == {}, "another numbering of the ads"


def test_a_change_of_the_catalogue_is_seen_by_the_next_request():
    catalogue = catalogue_of([(campaign(), creative())])
    index = Index(catalogue, p_ppb=P_PPB)
    ask = {"now_us": 1_000, "funded": lambda one: True, "as_of": (0, 0)}
    assert index.shortlist(CONTEXT, SLOT, **ask).eligible == 1
    event = CreativeCreated(creative(id="b"))
    catalogue.apply(Recorded(0, 2, b"e", 0, b"r", None, "main", None, None, event))
    assert index.shortlist(CONTEXT, SLOT, **ask).eligible == 2
    catalogue.clear()
    assert index.shortlist(CONTEXT, SLOT, **ask).eligible == 0


def test_a_campaign_starts_and_ends_without_any_event_and_a_clock_may_go_back():
    index = Index(catalogue_of([(campaign(starts_us=10, ends_us=20), creative())]), p_ppb=P_PPB)
    seen = [
        index.shortlist(
            CONTEXT, SLOT, now_us=now_us, funded=lambda one: True, as_of=(0, 0)
        ).eligible
        for now_us in (9, 10, 19, 20, 15, 3)
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
            hour=pick([7, 8, 9]),
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
            starts_us=pick([0] * 9 + [500, 1_000, 1_500]),
            ends_us=pick([None] * 9 + [700, 1_000, 2_000]),
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
        ("schedule", one.starts_us > 1_000 or (one.ends_us or 10**9) <= 1_000),
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

    expected: dict[str, int] = {}
    running = []
    for one, ad in ads:
        if one.status != "active":
            continue
        domain = domains[one.advertiser_id]
        reason = first_reason(one, ad, domain, context, slot)
        if reason:
            expected[reason] = expected.get(reason, 0) + 1
        else:
            points = score(Candidate(
                ad_id=ad.id, bid_nanos=one.bid_nanos, p_ppb=P_PPB[one.pricing],
                quality_ppm=ad.quality_ppm,
            ))  # fmt: skip
            running.append((-points, ad.id))
    running.sort()
    chosen, unfunded = [], 0
    for _, id in running:
        if len(chosen) == SHORTLIST_MAX:
            break
        if int(id) in broke:
            unfunded += 1
        else:
            chosen.append(id)
    if unfunded:
        expected["budget"] = unfunded

    found = shortlisted(
        catalogue, context, slot, funded=lambda campaign: int(campaign.id) not in broke
    )
    assert list(found.contenders) == chosen
    assert found.eligible == len(running) - unfunded
    assert found.excluded == expected
