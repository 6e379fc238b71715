"""Money under fire: concurrent wins, kill -9, retries; then the promises I1 to I5 and I8.

A child process runs the real platform on the real store and sells, bills and repeats beacons from
many tasks at once. What it acknowledges it tells its parent over a pipe, after it was durable. The
parent kills it at random moments, starts it again with the beacons that were left open (and some
that were not), and in the end compares what was acknowledged with what a second reader finds in the
log.
"""

from __future__ import annotations

import asyncio
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from ringwork.ads.model import Ask, Context, Slot
from ringwork.ads.requests import NewAdvertiser, NewCampaign, NewCreative, NewPublisher
from ringwork.app.platform import Platform
from ringwork.app.settings import Settings
from ringwork.app.verify import check_all
from ringwork.kernel.clock import SystemClock
from ringwork.kernel.entropy import SystemEntropy
from ringwork.kernel.events import decode_frames
from ringwork.kernel.ids import format_id
from ringwork.kernel.ledger import Transfer
from ringwork.kernel.money import Money
from ringwork.kernel.viewer import NOBODY
from ringwork.storage.sqlite.reader import SqliteLogReader
from ringwork.testing.invariants import _Auction, _Billed  # the second reader's views

TASKS = 96
CAMPAIGN_WINS = 400
SEED = 11
EURO = 10**9
CONTEXT = Context(site="pub.example", publisher_id="pub", hour=12)
SLOT = Slot(id="1", format="banner", sizes=((300, 250),), floor_nanos=300_000)


# ---- the child ----------------------------------------------------------------------------------


class Life:
    """One life of the platform: sells until it is killed or has sold enough."""

    def __init__(self, data: Path, wins: int, again: list[str], seed: int) -> None:
        settings = Settings(data=str(data))
        self.platform = Platform(settings, clock=SystemClock(), entropy=SystemEntropy())
        self.wins = wins
        self.again = again
        self.random = random.Random(seed)
        self.sold = 0
        self.dry = 0

    async def run(self) -> None:
        async with self.platform.lifespan(None):
            self.stock()
            await asyncio.gather(*(self.repeat(token) for token in self.again))
            await asyncio.gather(*(self.sell() for _ in range(TASKS)))

    def stock(self) -> None:
        """More campaigns to sell for, with budgets that soon run out."""
        platform, management = self.platform, self.platform.management
        with platform.journal.command(tenant="main", request_id=platform.ids.new()) as command:
            ledger = platform.memory.ledger
            ledger.open_account(command, id="cash", currency="EUR", limited=False)
            management.register_publisher(
                command, NewPublisher(id="pub", name="P", domain="pub.example")
            )
            management.register_advertiser(
                command, NewAdvertiser(id="adv", name="A", domain="adv.example", currency="EUR")
            )
            number = len(platform.memory.catalogue.campaigns)
            deposit = Transfer(
                f"in{number}", "single", "cash", "advertiser/adv", 1000 * EURO, "EUR"
            )
            ledger.transfer(command, deposit)
            for campaign in range(number, number + 24):
                self.create(command, campaign)
            command.commit()

    def create(self, command, campaign: int) -> None:
        bid = self.random.randrange(800_000, 3_000_000)
        budget = Money.of_nanos("EUR", bid * self.random.randrange(20, CAMPAIGN_WINS))
        daily = None
        if campaign % 4 == 0:
            daily = Money.of_nanos("EUR", budget.total_nanos // 2)
        new = NewCampaign(
            id=f"c{campaign}", advertiser_id="adv", name="C", pricing="cpm", bid_nanos=bid,
            special_ad_categories=[], budget=budget, daily_budget=daily,
        )  # fmt: skip
        self.platform.management.create_campaign(command, new)
        self.platform.management.create_creative(
            command,
            NewCreative(
                id=f"c{campaign}.a", campaign_id=f"c{campaign}", name="a", format="banner",
                width=300, height=250, landing_url="https://adv.example/", html="<b>a</b>",
            ),
        )  # fmt: skip

    async def sell(self) -> None:
        platform = self.platform
        while self.sold < self.wins:
            ask = Ask(
                request_id=platform.ids.new(), source="openrtb", context=CONTEXT, slots=(SLOT,)
            )
            served = (await platform.serve_ad(ask, NOBODY)).served
            if not served:
                self.dry += 1
                if self.dry % 20 == 0:
                    self.stock()
                await asyncio.sleep(0)
                continue
            self.sold += 1
            impression = format_id(served[0].impression_id)
            token = served[0].tokens["impression"]
            tell(f"S {impression} {token}")
            for _ in range(self.random.choice((0, 1, 1, 1, 2, 3))):
                if await platform.record_outcome.impression(token) in ("recorded", "repeated"):
                    tell(f"B {impression}")

    async def repeat(self, token: str) -> None:
        claim = self.platform.billing.verify(token, "impression")
        assert claim is not None, "our own token"
        if await self.platform.record_outcome.impression(token) in ("recorded", "repeated"):
            tell(f"B {format_id(claim.impression_id)}")


def tell(line: str) -> None:
    os.write(1, line.encode() + b"\n")


def child(data: str, wins: str, seed: str) -> None:
    again = sys.stdin.read().split()
    asyncio.run(Life(Path(data), int(wins), again, int(seed)).run())
    tell("END")


# ---- the parent ---------------------------------------------------------------------------------


class Told:
    """What was acknowledged, as the parent heard it."""

    def __init__(self) -> None:
        self.sold: dict[str, str] = {}
        self.billed: set[str] = set()
        self.open: dict[str, str] = {}

    def hear(self, line: str) -> None:
        kind, _, rest = line.partition(" ")
        impression, _, token = rest.partition(" ")
        if kind == "S":
            self.sold[impression] = ""
            self.open[impression] = token
        elif kind == "B":
            self.billed.add(impression)
            self.open.pop(impression, None)


def one_life(data: Path, wins: int, told: Told, seed: int, live_s: float | None) -> bool:
    """Run a child until it ends or is killed; True when it reached its number of wins."""
    again = list(told.open.values())[-2_000:]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.foundation.money", str(data), str(wins), str(seed)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    process.stdin.write(" ".join(again).encode())
    process.stdin.close()
    deadline = None if live_s is None else time.monotonic() + live_s
    ended, rest = False, b""
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        readable, _, _ = select.select([process.stdout], [], [], left)
        if not readable:
            os.killpg(process.pid, signal.SIGKILL)
            deadline = None
            continue
        chunk = os.read(process.stdout.fileno(), 1 << 16)
        if not chunk:
            break
        *lines, rest = (rest + chunk).split(b"\n")  # a line cut short by the kill was not told
        for line in lines:
            ended = ended or line == b"END"
            told.hear(line.decode())
    process.wait()
    assert ended or process.returncode == -signal.SIGKILL, f"the child failed: {process.returncode}"
    return ended


def compare(data: Path, told: Told) -> dict[str, int]:
    """Lost and doubled, as counted in the log by views of our own."""
    sold: set[str] = set()
    billed: dict[str, int] = {}
    auction, bill = msgspec.msgpack.Decoder(_Auction), msgspec.msgpack.Decoder(_Billed)
    for row in SqliteLogReader(data / "log").rows():
        for frame in decode_frames(row.payload):
            for envelope in frame.events:
                if envelope.type == "auction_cleared":
                    slots = auction.decode(envelope.payload).slots
                    sold.update(format_id(one.impression_id) for one in slots if one.impression_id)
                elif envelope.type == "impression_billed":
                    id = format_id(bill.decode(envelope.payload).impression_id)
                    billed[id] = billed.get(id, 0) + 1
    return {
        "wins": len(sold),
        "lost sales": len(told.sold.keys() - sold),
        "lost beacons": len(told.billed - billed.keys()),
        "billed twice": sum(count > 1 for count in billed.values()),
    }


def run(quick: bool) -> list[dict[str, object]]:
    """The goal, over 20,000 wins and a few kills, or over a million."""
    wins = 20_000 if quick else 1_000_000
    lives = 6 if quick else 40
    folder = Path(tempfile.mkdtemp(prefix="rw-money-"))
    told, dice, kills = Told(), random.Random(SEED), 0
    started = time.monotonic()
    while len(told.sold) < wins:
        live_s = None if kills >= lives else dice.uniform(0.9, 1.6 if quick else 12)
        left = wins - len(told.sold)
        ended = one_life(folder / "data", left, told, SEED + kills, live_s)
        kills += not ended
    took_s = time.monotonic() - started
    promises = {one.name: one for one in check_all(folder / "data", lambda what, count: None)}
    found = compare(folder / "data", told)
    shutil.rmtree(folder)
    broken = sum(promises[name].violations for name in ("I1", "I2", "I3", "I4", "I5", "I8"))
    bad = broken + found["lost sales"] + found["lost beacons"] + found["billed twice"]
    for promise in promises.values():
        for breach in promise.detail[:3]:
            print(f"  {promise.name}: {breach}")
    print(f"{found} after {kills} kills in {took_s:.0f} s; {len(told.billed):,} billed")
    return [
        {
            "goal": f"money: {found['wins']:,} concurrent wins, {kills} kill -9, retries: violations",
            "measured": bad,
            "target": 0,
            "unit": "violations of I1-I5, I8",
            "ok": bad == 0 and found["wins"] >= wins,
        },
        {
            "goal": "money: wins a second, crashes and restarts included",
            "measured": round(found["wins"] / took_s),
            "target": 0,
            "unit": "1/s",
            "ok": True,
        },
    ]


if __name__ == "__main__":
    child(*sys.argv[1:4])
