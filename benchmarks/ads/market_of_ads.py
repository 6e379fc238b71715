"""The demo market that the serving goals are measured in: N live ads over eight dimensions.

A platform of its own per size, stocked once through the part's own commands and closed, so that
every server of a run opens the same store. Sites, categories, regions, devices, hours and key-values
are targeted as in retail and news; bids are log-normal; one ad a campaign.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from pathlib import Path

import msgspec

from ringwork.ads.model import Excluded, Targeting
from ringwork.ads.requests import NewAdvertiser, NewCampaign, NewCreative, NewPublisher
from ringwork.app.platform import Platform
from ringwork.app.settings import Settings
from ringwork.consent import tcf
from ringwork.consent.vendors import NOBODY, Vendors
from ringwork.kernel.clock import SystemClock
from ringwork.kernel.entropy import SystemEntropy
from ringwork.kernel.ledger import Transfer
from ringwork.kernel.money import Money

VENDOR_ID = 20
"""Ours, in the vendor list that consent strings name."""
SEED = 17
CATEGORIES = [f"{number}" for number in range(100, 400)]
REGIONS = [
    "PRT",
    "PRT-11",
    "PRT-13",
    "ESP",
    "ESP-MD",
    "FRA",
    "DEU",
    "ITA",
    "GBR",
    "USA",
    "USA-CA",
    "BRA",
]
DEVICES = ["phone", "tablet", "computer", "tv", "other"]
SITES = [f"site{number}.example" for number in range(300)]
SIZES = [(300, 250), (728, 90), (320, 50), (160, 600), (970, 250)]
ADVERTISERS = 200
AT_ONCE = 250


def targeting(rng: random.Random) -> Targeting:
    """Where a campaign may show: most name two or three dimensions."""
    named: dict[str, object] = {}
    if rng.random() < 0.55:
        named["categories"] = rng.sample(CATEGORIES, 20)
    if rng.random() < 0.55:
        named["regions"] = rng.sample(REGIONS, 3)
    if rng.random() < 0.4:
        named["device_types"] = rng.sample(DEVICES, 2)
    if rng.random() < 0.25:
        named["hours"] = sorted(rng.sample(range(24), 12))
    if rng.random() < 0.2:
        named["sites"] = rng.sample(SITES, 12)
    if rng.random() < 0.15:
        named["key_values"] = {"section": rng.sample(["news", "sport", "money", "life"], 2)}
    if rng.random() < 0.15:
        targeted = named.get("categories", [])
        others = [one for one in CATEGORIES if one not in targeted]  # type: ignore[operator]
        named["excluded"] = Excluded(categories=rng.sample(others, 10))
    return Targeting(**named)  # type: ignore[arg-type]  # built by name


async def _stock(platform: Platform, count: int) -> None:
    rng = random.Random(SEED)
    management, ledger = platform.management, platform.memory.ledger
    with platform.journal.command(tenant="main", request_id=platform.ids.new()) as command:
        ledger.open_account(command, id="cash", currency="EUR", limited=False)
        management.register_publisher(
            command, NewPublisher(id="pub", name="Publisher", domain="site0.example")
        )
        for number in range(ADVERTISERS):
            advertiser = f"adv{number}"
            management.register_advertiser(
                command,
                NewAdvertiser(
                    id=advertiser,
                    name=f"Advertiser {number}",
                    domain=f"{advertiser}.example",
                    currency="EUR",
                ),
            )
            deposit = Transfer(
                id=f"deposit {number}", kind="single", debit_account="cash",
                credit_account=f"advertiser/{advertiser}", amount_nanos=10**16, currency="EUR",
            )  # fmt: skip
            ledger.transfer(command, deposit)
        await command.commit()
    for begin in range(0, count, AT_ONCE):
        with platform.journal.command(tenant="main", request_id=platform.ids.new()) as command:
            for number in range(begin, min(begin + AT_ONCE, count)):
                _advertise(platform, command, rng, number)
            durable = command.commit()
        await durable


def _advertise(platform: Platform, command, rng: random.Random, number: int) -> None:  # type: ignore[no-untyped-def]
    id = f"c{number}"
    platform.management.create_campaign(
        command,
        NewCampaign(
            id=id, advertiser_id=f"adv{number % ADVERTISERS}", name=f"Campaign {number}", pricing="cpm",
            bid_nanos=int(1e6 * rng.lognormvariate(0, 0.6)) + 1_000,
            budget=Money.of_nanos("EUR", 10**12), daily_budget=Money.of_nanos("EUR", 10**11),
            special_ad_categories=[], targeting=targeting(rng),
        ),
    )  # fmt: skip
    width, height = rng.choice(SIZES)
    platform.management.create_creative(
        command,
        NewCreative(
            id=f"{id}.a", campaign_id=id, name=f"Ad {number}", format="banner", width=width, height=height,
            landing_url=f"https://adv{number % ADVERTISERS}.example/landing", html="<b>Buy one</b>",
            categories=[rng.choice(CATEGORIES)],
        ),
    )  # fmt: skip


def store(count: int, cache: Path) -> Path:
    """The directory of a stocked store with ``count`` ads; made once."""
    made = cache / f"market-{count}"
    if (made / "stocked").exists():
        return made
    shutil.rmtree(made, ignore_errors=True)

    async def stock() -> None:
        platform = Platform(Settings(data=str(made)), clock=SystemClock(), entropy=SystemEntropy())
        async with platform.lifespan(None):
            await _stock(platform, count)

    asyncio.run(stock())
    (made / "stocked").touch()
    return made


def consents(count: int, purposes: tuple[int, ...] = (2, 7)) -> list[str]:
    """TC strings of a week, as long as real ones, that let vendor ``VENDOR_ID`` do what is for ``purposes``."""
    rng, today_ms = random.Random(SEED + 2), int(time.time()) // 86_400 * 86_400_000
    made = []
    for number in range(count):
        ids = {VENDOR_ID, *rng.sample(range(1, 1_500), 700)}
        vendors = Vendors.of((id, id) for id in sorted(ids))
        day_ms = today_ms - number % 7 * 86_400_000
        made.append(
            tcf.encode(
                tcf.TcString(
                    version=2, created=day_ms, last_updated=day_ms, cmp_id=31, cmp_version=1,
                    consent_screen=1, consent_language="PT", vendor_list_version=190,
                    policy_version=5, is_service_specific=True, use_non_standard_texts=False,
                    special_feature_optins=(), purpose_consents=purposes,
                    purpose_legitimate_interests=(), purpose_one_treatment=False,
                    publisher_country_code="PT", vendor_consents=vendors,
                    vendor_legitimate_interests=NOBODY, segments=(1,), vendors_disclosed=vendors,
                )
            )
        )  # fmt: skip
    return made


def requests(count: int) -> list[bytes]:
    """Bid requests of one banner, about 2 KB with their consent, from many sites and devices."""
    rng = random.Random(SEED + 1)
    strings = consents(200)
    kinds = {"phone": 4, "tablet": 5, "computer": 2, "tv": 3, "other": 8}
    made = []
    for number in range(count):
        site, region = rng.choice(SITES), rng.choice(REGIONS)
        country, _, subdivision = region.partition("-")
        width, height = rng.choice(SIZES[:3])
        geo = {"country": country, "type": 2} | ({"region": subdivision} if subdivision else {})
        made.append(
            msgspec.json.encode(
                {
                    "id": f"80ce30c53c16e6ede735f123ef6e{number:012}", "at": 1, "cur": ["EUR"], "tmax": 120,
                    "imp": [{
                        "id": "1", "bidfloor": round(rng.uniform(0.05, 0.4), 2), "bidfloorcur": "EUR",
                        "banner": {"format": [{"w": width, "h": height}], "pos": 1, "battr": [13], "api": [3, 5]},
                        "secure": 1, "tagid": "top",
                    }],
                    "site": {
                        "id": "102855", "domain": site, "page": f"https://{site}/article-{number}.html",
                        "cat": rng.sample(CATEGORIES, 2), "ref": "https://search.example/",
                        "publisher": {"id": "pub", "name": "Publisher", "domain": site},
                    },
                    "device": {
                        "ua": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15",
                        "ip": "198.51.100.0", "devicetype": kinds[rng.choice(DEVICES)], "geo": geo,
                        "language": "pt", "js": 1, "dnt": 0, "lmt": 0,
                    },
                    "user": {
                        "id": "55816b39711f9b5acf3b90e313ed29e51665623f",
                        "consent": strings[number % len(strings)],
                    },
                    "regs": {"coppa": 0, "gdpr": 1, "us_privacy": "1---"},
                    "bcat": rng.sample(CATEGORIES, 2), "badv": ["competitor.example"],
                    "source": {"fd": 0, "tid": f"tid-{number}"},
                }
            )
        )  # fmt: skip
    return made
