"""A small ad market that does everything that reports count, drawn from a seed; and its files."""

import asyncio
import random
from contextlib import suppress
from pathlib import Path

import msgspec

from ringwork.ads.model import Context, Slot
from ringwork.ads.requests import NewAdvertiser, NewPlacement, NewPublisher, NewSite
from ringwork.kernel.errors import Conflict
from ringwork.kernel.events import decode_frames
from ringwork.kernel.journal import Command
from ringwork.storage.sqlite.log import SqliteEventLog
from ringwork.storage.sqlite.segment import Rotation
from ringwork.storage.warehouse import ParquetWarehouse
from tests.ads.house import TYPES, House, euros

PRICINGS = ("cpm", "cpc", "cpa", "vcpm", "cpv")
SLOTS = (
    Slot(id="1", format="banner", sizes=((300, 250),)),
    Slot(id="2", format="banner", sizes=((728, 90),), floor_nanos=1_000_000, deal_id=""),
    Slot(id="3", format="video", mimes=("video/mp4",)),
)
DAY_US = 86_400_000_000


def settle(house: House) -> None:
    """Two advertisers, three publishers with shares of their own, five ways to pay."""
    house.open()
    house.do(
        lambda c: house.management.register_advertiser(
            c, NewAdvertiser(id="two", name="Two", domain="two.example", currency="EUR")
        )
    )
    house.deposit("two", 10**15)
    for id, share in (("half", 500_000), ("third", 333_333)):
        new = NewPublisher(id=id, name=id, domain=f"{id}.example", revenue_share_ppm=share)
        house.do(lambda c, new=new: house.management.register_publisher(c, new))
    house.do(
        lambda c: house.management.register_site(
            c, NewSite(id="front", publisher_id="half", name="Front", domain="half.example")
        )
    )
    house.do(
        lambda c: house.management.create_placement(
            c,
            NewPlacement(
                id="top", publisher_id="half", site_id="front", format="banner", width=300,
                height=250,
            ),
        )
    )  # fmt: skip
    for n, pricing in enumerate(PRICINGS):
        id = f"by-{pricing}"
        house.campaign(
            id, advertiser_id=("adv", "two")[n % 2], pricing=pricing,
            bid_nanos=[2_345_678, 400_000_001, 30_000_000_007, 3_141_592, 2_718_281][n],
            budget=euros(10**11), view_through=pricing == "cpa",
        )  # fmt: skip
        if pricing != "cpv":  # which is paid for by video alone
            house.creative(f"{id}-small", id)
            house.creative(f"{id}-wide", id, width=728, height=90)
    house.creative(
        "film", "by-cpv", format="video", width=640, height=360, html="", duration_s=15,
        video_url="https://adv.example/a.mp4", video_mime="video/mp4",
    )  # fmt: skip


def live(house: House, draw: random.Random, requests: int) -> None:
    """Requests and what becomes of them, some of it late, repeated or never."""
    for _ in range(requests):
        house.clock.advance_us(draw.choice((1, 60, 3600, 20_000)) * draw.randrange(1, 1_000_000))
        publisher = draw.choice(("pub", "half", "third", "unknown"))
        at_top = publisher == "half" and draw.random() < 0.5
        context = Context(
            site=f"{publisher}.example" if draw.random() < 0.8 else "", app="reader",
            publisher_id=publisher, placement_id="top" if at_top else "",
            region=draw.choice(("PRT-11", "ESP", "")), device_type=draw.choice(("phone", "tv")),
        )  # fmt: skip
        _, served = house.serve(*draw.sample(SLOTS, draw.randrange(1, 4)), context=context)
        for sale in served:
            _outcomes(house, draw, sale.tokens)


def _outcomes(house: House, draw: random.Random, tokens) -> None:
    if draw.random() < 0.1:
        house.clock.advance_us(400_000_000)  # past its hold
    if draw.random() < 0.85:
        for _ in range(draw.choice((1, 1, 2))):
            claim = house.billing.verify(tokens["impression"], "impression")
            why = "invalid-burst" if draw.random() < 0.1 else ""
            house.do(lambda c, k=claim, w=why: house.billing.bill_impression(c, k, invalid=w))
    for measure in ("viewable", "view"):
        if measure in tokens and draw.random() < 0.6:
            claim = house.billing.verify(tokens[measure], measure)
            house.do(lambda c, m=measure, k=claim: house.billing.record_measured(c, k, m))
    if draw.random() < 0.2:
        house.clock.advance_us(1_000_000)
        _convert_after_view(house, tokens["impression"])
    elif draw.random() < 0.4:
        claim = house.billing.verify(tokens["click"], "click")
        why = "invalid-prefetch" if draw.random() < 0.2 else ""
        house.click(tokens["click"], why)
        rwclid = house.billing.conversion_token(claim)
        for n in range(draw.choice((0, 1, 2))):
            house.clock.advance_us(draw.randrange(1, 10 * DAY_US))
            house.convert(rwclid, f"{claim.impression_id.hex()}-{n}", value_nanos=5 * 10**9 + n)


def _convert_after_view(house: House, token: str) -> None:
    claim = house.billing.verify(token, "impression")

    def convert(command: Command) -> None:
        with suppress(Conflict):  # nobody saw it
            house.billing.record_conversion(
                command, claim, conversion_id=claim.impression_id.hex(), value_nanos=7,
                customer=None, view_only=True,
            )  # fmt: skip

    house.do(convert)


def stored(house: House, folder: Path) -> ParquetWarehouse:
    """The house's log as a log on disk, and as Parquet."""

    async def copy() -> None:
        log = SqliteEventLog.open(
            folder / "log", clock=house.clock, entropy=house.entropy,
            rotation=Rotation(max_file_bytes=10**9),
        )  # fmt: skip
        done = None
        for row in house.log.rows(log.next_seq - 1):
            for frame in decode_frames(row.payload):
                done = log.append(msgspec.msgpack.encode(frame), len(frame.events))
        if done is not None:
            await done
        log.close()

    asyncio.run(copy())
    warehouse = ParquetWarehouse(folder / "log", folder / "parquet", TYPES)
    warehouse.refresh()
    return warehouse


class TownWarehouse(ParquetWarehouse):
    """The files of a house whose log is in memory: a refresh brings it to disk first."""

    def __init__(self, house: House, folder: Path) -> None:
        super().__init__(folder / "log", folder / "parquet", TYPES)
        self._house, self._folder = house, folder

    def refresh(self, progress=None) -> int:
        stored(self._house, self._folder)
        return super().refresh(progress)
