"""kill -9 of the real server under 32 clients: nothing acknowledged is lost or done twice."""

import asyncio
import os
import random
from pathlib import Path

import httpx
import msgspec

from ringwork.app.verify import check_all
from ringwork.kernel.events import decode_frames
from ringwork.kernel.ids import format_id
from ringwork.storage.sqlite.reader import SqliteLogReader
from tests.crash.server import Server
from tests.crash.shop import BID_REQUEST, euros, open_shop

ROUNDS = int(os.environ.get("RINGWORK_KILL_ROUNDS", "10"))
CLIENTS = 32
SEED = 20261126


class Ledger:
    """What the clients were told, to be held against the log afterwards."""

    def __init__(self) -> None:
        self.transfers: dict[str, tuple[dict[str, object], bytes | None]] = {}
        """Transfer id -> what was asked, and the first answer's bytes once there was one."""
        self.sold: dict[str, str] = {}
        """Impression id of every acknowledged bid -> path of its beacon."""
        self.beaconed: set[str] = set()
        """Impressions whose beacon was acknowledged."""


class Client:
    def __init__(self, number: int, http: httpx.AsyncClient, token: str, told: Ledger) -> None:
        self._random = random.Random(f"{SEED}/{number}")
        self._number = number
        self._http = http
        self._auth = {"authorization": f"Bearer {token}"}
        self._told = told
        self._count = 0

    async def work(self, round_number: int) -> None:
        """Until the server dies."""
        try:
            while True:
                self._count += 1
                if self._number % 2:
                    await self.transfer(f"t{round_number}.{self._number}.{self._count}")
                else:
                    await self.advertise()
        except (httpx.HTTPError, OSError):
            return

    async def transfer(self, id: str) -> None:
        asked, answered = self._told.transfers.get(id, (None, None))
        if asked is None:
            debit, credit = self._random.choice([("cash", "purse"), ("purse", "cash")])
            amount = euros(self._random.randrange(1, 5_000))
            asked = {
                "id": id,
                "kind": "single",
                "debit_account": debit,
                "credit_account": credit,
                "amount": amount,
            }
            self._told.transfers[id] = (asked, None)
        headers = {**self._auth, "idempotency-key": id}
        answer = await self._http.post("/v1/ledger/transfers", json=asked, headers=headers)
        assert answer.status_code in (201, 409), answer.text
        if answered is not None:
            assert answer.content == answered, "a repeated key answers the first bytes"
        self._told.transfers[id] = (asked, answer.content)

    async def advertise(self) -> None:
        answer = await self._http.post("/openrtb2/auction", json=BID_REQUEST)
        assert answer.status_code in (200, 204), answer.text
        if answer.status_code == 204:
            return
        bid = answer.json()["seatbid"][0]["bid"][0]
        beacon = httpx.URL(bid["burl"]).path
        self._told.sold[bid["id"]] = beacon
        for _ in range(self._random.choice((0, 1, 1, 2))):
            seen = await self._http.get(beacon)
            assert seen.status_code == 204, seen.text
            self._told.beaconed.add(bid["id"])


async def live_and_die(server: Server, token: str, told: Ledger, number: int) -> None:
    limits = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
    async with httpx.AsyncClient(base_url=server.url, timeout=20, limits=limits) as http:
        clients = [Client(i, http, token, told) for i in range(CLIENTS)]
        # What the last crash left unanswered is asked again, and some of what was answered too.
        open_ids = [id for id, (_, answer) in told.transfers.items() if answer is None]
        # Each once: a key that is asked twice at the same time is 409 until its first answer.
        again = dict.fromkeys([*open_ids, *list(told.transfers)[-8:]])
        await asyncio.gather(*(clients[1].transfer(id) for id in again))
        work = asyncio.gather(*(client.work(number) for client in clients))
        await asyncio.sleep(random.Random(f"{SEED}/round/{number}").uniform(0.05, 0.5))
        server.kill()
        await work


def test_killed_again_and_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    token = open_shop(data)
    server, told = Server(data), Ledger()
    for number in range(ROUNDS):
        server.start()
        asyncio.run(live_and_die(server, token, told, number))
    server.start()
    assert server.terminate() == 0
    promises = check_all(data, lambda what, count: None)
    assert [(p.name, p.detail) for p in promises if p.violations] == []
    compare(data, told)


def compare(data: Path, told: Ledger) -> None:
    """Everything that was acknowledged is in the log, once."""
    created: dict[str, int] = {}
    refused: set[str] = set()
    sold: set[str] = set()
    billed: dict[str, int] = {}
    for row in SqliteLogReader(data / "log").rows():
        for frame in decode_frames(row.payload):
            for envelope in frame.events:
                payload = msgspec.msgpack.decode(envelope.payload)
                if envelope.type == "transfer_created":
                    created[payload[0]] = created.get(payload[0], 0) + 1
                elif envelope.type == "transfer_refused":
                    refused.add(payload[0])
                elif envelope.type == "auction_cleared":
                    sold |= {format_id(slot[7]) for slot in payload[3] if slot[7]}
                elif envelope.type == "impression_billed":
                    id = format_id(payload[0])
                    billed[id] = billed.get(id, 0) + 1
    acknowledged = {id: answer for id, (_, answer) in told.transfers.items() if answer is not None}
    for id, answer in acknowledged.items():
        accepted = b'"created"' in answer
        assert created.get(id, 0) == int(accepted), f"transfer {id}"
        assert accepted or id in refused, f"transfer {id}"
    assert set(told.sold) <= sold, "an acknowledged sale is lost"
    assert all(count == 1 for count in billed.values()), "an impression is billed twice"
    assert told.beaconed <= set(billed), "an acknowledged beacon is lost"
    assert len(acknowledged) > ROUNDS * 10, "the clients got little done"
    assert len(told.sold) > ROUNDS, "few ads were sold"
