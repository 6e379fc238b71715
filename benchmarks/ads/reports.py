"""Reports over the exported log, beside a plain pass over it in Python; and what a forecast is worth.

The log is what serving writes: an auction of eight candidates and its hold; for most of them the
impression, its charge and the platform's fee; for some a click. Both sides answer the same question
from their own reading of it and must agree to the nano. The peer is the straightforward way to do
without a warehouse: decode every event, look its sale up in a dictionary, add up. Times are CPU
time of all threads. The interval of a forecast is back-tested on worlds whose days differ.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from ringwork.ads.events import (
    EVENTS,
    AuctionCleared,
    ClickRecorded,
    Considered,
    ImpressionBilled,
    SlotOutcome,
)
from ringwork.ads.forecast import Block, History, PlannedCampaign, project
from ringwork.ads.model import Context
from ringwork.ads.reports import ReportQuery, run_report
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.events import (
    Event,
    EventTypes,
    decode_frames,
    encode_event,
    encode_frame,
)
from ringwork.kernel.ids import IdGenerator, format_id
from ringwork.kernel.ledger import TransferCreated
from ringwork.kernel.money import Money
from ringwork.storage.sqlite.log import SqliteEventLog
from ringwork.storage.sqlite.reader import SqliteLogReader
from ringwork.storage.sqlite.segment import Rotation
from ringwork.storage.warehouse import ParquetWarehouse

TYPES: Final = EventTypes([*EVENTS, TransferCreated])
CAMPAIGNS: Final = 200
DAYS: Final = 30
DAY_US: Final = 86_400_000_000
REGIONS: Final = ("PRT", "PRT-11", "ESP", "FRA", "DEU")
DEVICES: Final = ("phone", "tablet", "computer", "tv")
WAITING_MAX: Final = 2_000
WON_PPM: Final = 800_000
"""The level of the back-tested interval."""

T = TypeVar("T")
Key = tuple[str, ...]
Sums = dict[Key, list[int]]


def frames(auctions: int) -> Iterator[list[tuple[Event, bytes]]]:
    """The events of each request, with their ids' own clock: a month, evenly."""
    draw = random.Random(5)
    clock = ManualClock()
    ids = IdGenerator(clock, SeededEntropy(5))
    for _ in range(auctions):
        clock.advance_us(DAYS * DAY_US // auctions)
        yield _request(draw, ids, clock.wall_us())


def _request(draw: random.Random, ids: IdGenerator, ts_us: int) -> list[tuple[Event, bytes]]:
    considered = [
        Considered(f"ad-{n}", f"campaign-{n}", 2_000_000 - n, 10**9, 10**6, 10**6, 0, 2_000_000 - n)
        for n in draw.sample(range(CAMPAIGNS), 8)
    ]
    winner, price_nanos = considered[0], considered[1].score_nanos
    impression_id, stamp = ids.new(), ts_us.to_bytes(8, "big")
    context = Context(
        site="news.example", publisher_id=f"publisher-{draw.randrange(20)}",
        placement_id=f"place-{draw.randrange(50)}", region=draw.choice(REGIONS),
        device_type=draw.choice(DEVICES), categories=("IAB1", "IAB2"),
    )  # fmt: skip
    slot = SlotOutcome(
        "1", "banner", "second", 500_000, 60, {"region": 12, "budget": 3}, considered,
        impression_id, winner.ad_id, winner.campaign_id, "cpm", price_nanos, ts_us // 10**6 + 300,
    )  # fmt: skip
    publisher, campaign = context.publisher_id, winner.campaign_id
    hold = format_id(impression_id)
    events: list[Event] = [
        TransferCreated(hold, "pending", f"campaign/{campaign}", f"publisher/{publisher}",
                        price_nanos, "EUR", "", 360),
        AuctionCleared("native", "EUR", context, [slot], {"rank": 9_000, "clear": 4_000}),
    ]  # fmt: skip
    if draw.random() < 0.85:
        fee_nanos = price_nanos * 3 // 10
        events += [
            TransferCreated(format_id(ids.new()), "post", "", "", price_nanos, "EUR", hold),
            TransferCreated(format_id(ids.new()), "single", f"publisher/{publisher}",
                            "platform/fees", fee_nanos, "EUR", "", 0, hold),
            ImpressionBilled(impression_id, campaign, winner.ad_id, publisher,
                             context.placement_id, "cpm", price_nanos, "EUR"),
        ]  # fmt: skip
        if draw.random() < 0.05:
            events.append(ClickRecorded(impression_id, campaign, winner.ad_id, publisher, 0, "EUR"))
    return [(event, stamp) for event in events]


async def write(directory: Path, auctions: int) -> int:
    """The log on disk; how many events it holds."""
    clock = ManualClock()
    log = SqliteEventLog.open(
        directory, clock=clock, entropy=SeededEntropy(1), rotation=Rotation(max_file_bytes=10**10)
    )
    ids = IdGenerator(clock, SeededEntropy(2))
    future = None
    for number, events in enumerate(frames(auctions)):
        request_id = ids.new()
        encoded = [
            encode_event(
                event, id=ids.new(), ts_us=int.from_bytes(stamp, "big"), request_id=request_id,
                cause_id=None, tenant="main",
            )
            for event, stamp in events
        ]  # fmt: skip
        future = log.append(encode_frame(encoded), len(encoded))
        if number % WAITING_MAX == 0:
            await future
    if future is not None:
        await future
    total = log.head.seq
    log.close()
    return total


def by_sale(directory: Path) -> Sums:
    """The peer: (region, device, placement) -> impressions, clicks, spend, fees."""
    sales: dict[bytes, Key] = {}
    sums: Sums = defaultdict(lambda: [0, 0, 0, 0])
    for event in _decoded(directory):
        if isinstance(event, AuctionCleared):
            context = event.context
            key = (context.region, context.device_type, context.placement_id)
            for slot in event.slots:
                if slot.impression_id is not None:
                    sales[slot.impression_id] = key
        elif isinstance(event, ImpressionBilled):
            row = sums[sales[event.impression_id]]
            row[0] += 1
            row[2] += event.price_nanos
        elif isinstance(event, ClickRecorded):
            sums[sales[event.impression_id]][1] += 1
        elif isinstance(event, TransferCreated) and event.credit_account == "platform/fees":
            key = sales[bytes.fromhex(event.reference.replace("-", ""))]
            sums[key][3] += event.amount_nanos
    return sums


def by_campaign(directory: Path) -> Sums:
    """The peer: (campaign,) -> impressions, clicks, spend."""
    sums: Sums = defaultdict(lambda: [0, 0, 0])
    for event in _decoded(directory):
        if isinstance(event, ImpressionBilled):
            row = sums[(event.campaign_id,)]
            row[0] += 1
            row[2] += event.price_nanos
        elif isinstance(event, ClickRecorded):
            sums[(event.campaign_id,)][1] += 1
    return sums


def _decoded(directory: Path) -> Iterator[Event]:
    for row in SqliteLogReader(directory).rows():
        for frame in decode_frames(row.payload):
            for envelope in frame.events:
                yield TYPES.decode(envelope)


def cpu_s(work: Callable[[], T]) -> tuple[T, float]:
    started = time.process_time()
    result = work()
    return result, time.process_time() - started


def reports(auctions: int, rounds: int) -> Iterator[dict[str, object]]:
    """Export, a report from the outcomes alone, and one that joins every outcome with its sale."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        events = asyncio.run(write(log, auctions))
        warehouse = ParquetWarehouse(log, Path(folder) / "parquet", TYPES)
        _, export_s = cpu_s(warehouse.refresh)
        size = sum(file.stat().st_size for file in (Path(folder) / "parquet").rglob("*.parquet"))
        yield {
            "goal": "reports: export of the log to Parquet",
            "measured": round(events / export_s),
            "target": 0,
            "unit": f"events/CPU-s ({size / events:.0f} bytes each on disk)",
            "ok": True,
        }
        begin_us = ManualClock().wall_us()
        span = {"from_us": begin_us, "until_us": begin_us + (DAYS + 1) * DAY_US}
        asked: tuple[tuple[str, ReportQuery, Callable[[Path], Sums]], ...] = (
            (
                "campaign",
                ReportQuery(
                    **span, dimensions=["campaign"],
                    measures=["impressions", "clicks", "spend_nanos"],
                ),
                by_campaign,
            ),
            (
                "region, device and placement, with fees",
                ReportQuery(
                    **span, dimensions=["region", "device", "placement"],
                    measures=["impressions", "clicks", "spend_nanos", "fees_nanos"],
                ),
                by_sale,
            ),
        )  # fmt: skip
        for name, query, peer in asked:
            yield _against(warehouse, log, name, query, peer, events, rounds)


def _against(
    warehouse: ParquetWarehouse, log: Path, name: str, query: ReportQuery,
    peer: Callable[[Path], Sums], events: int, rounds: int,
) -> dict[str, object]:  # fmt: skip
    theirs, peer_s = cpu_s(lambda: peer(log))
    ours_s = float("inf")
    for _ in range(rounds):
        report, took_s = cpu_s(lambda: run_report(warehouse, query))
        ours_s = min(ours_s, took_s)
        ours = {row.dimensions: list(row.figures) for row in report.rows}
        assert ours == theirs, f"the report by {name} is not what a plain pass adds up"
    return {
        "goal": f"reports: by {name}, a month of {events:,} events",
        "measured": round(events / ours_s),
        "target": 0,
        "unit": "events/CPU-s",
        "ok": True,
        "peer": f"decoding the log in Python: {events / peer_s:,.0f}",
        "ratio": round(peer_s / ours_s, 1),
    }


# ---- forecast -----------------------------------------------------------------------------------


def world(
    rng: np.random.Generator, days: int
) -> list[np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Days that differ: traffic by a third, the level of prices by a fifth."""
    traffic = rng.gamma(9.0, 300 / 9.0, days)
    levels = rng.lognormal(0.0, 0.2, days)
    return [
        level * rng.lognormal(np.log(2_500_000), 0.6, rng.poisson(mean))
        for mean, level in zip(traffic, levels, strict=True)
    ]


def back_test(worlds: int, seen_days: int = 28, days: int = 7) -> dict[str, object]:
    """How often the truth of the week that follows lies in the interval."""
    rng = np.random.default_rng(14)
    plan = PlannedCampaign(
        pricing="cpm", bid_nanos=3_000_000, budget=Money.of_nanos("EUR", 10**15), starts_us=0,
        ends_us=days * DAY_US, formats=["banner"], level_ppm=WON_PPM,
    )  # fmt: skip
    held, took_s = 0, 0.0
    for _ in range(worlds):
        blocks = [
            Block(n % 7, prices.size, prices.size, prices)
            for n, prices in enumerate(world(rng, seen_days))
        ]
        history = History(
            days=blocks, tails=blocks, placements=1, shown_ppm=1_000_000, pays_bid_ppm=0,
            sizes_unknown_ppm=0,
        )  # fmt: skip
        found, one_s = cpu_s(lambda history=history: project(plan, history, p_ppb=10**9))
        took_s += one_s
        truth = int((np.concatenate(world(rng, days)) <= plan.bid_nanos).sum())
        held += found.impressions.low <= truth <= found.impressions.high
    error = (0.8 * 0.2 / worlds) ** 0.5
    return {
        "goal": f"forecast: worlds of {worlds} whose truth an 80 % interval holds",
        "measured": round(held / worlds, 3),
        "target": f"0.8, give or take {3 * error:.2f}",
        "unit": f"share ({took_s / worlds * 1000:.0f} ms each)",
        "ok": abs(held / worlds - 0.8) <= 3 * error,
    }


def run(quick: bool) -> list[dict[str, object]]:
    """Reports on a small log or a large one; the back-test in a hundred worlds or five hundred."""
    goals = reports(auctions=20_000 if quick else 200_000, rounds=2 if quick else 5)
    return [*goals, back_test(100 if quick else 500)]
