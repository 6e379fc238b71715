"""Drives a platform with the world's page views over HTTP, in the world's time, with back-pressure.

One task reads the sequence and waits for each view's moment. Every request needs a free connection,
of which there are few, so a slow server slows the world down instead of being flooded. What a
person does after an answer waits in a heap until its moment has come.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import re
import ssl
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec

from ringwork.kernel.errors import RingworkError
from ringwork.kernel.money import Money
from ringwork.world.cast import CURRENCY, OUTLETS, Setup
from ringwork.world.pace import Pace
from ringwork.world.paper import PUBLISHER
from ringwork.world.traffic import Act, View

CONNECTIONS: Final = 32
"""Requests in flight. The busiest moment of a fast day brings 500 a second: enough at the 60 ms
that each takes where two cores import the long tail meanwhile; at 5 ms a tenth of them are."""
LATE_US: Final = 300_000_000
"""A view whose moment passed five minutes of the world ago is left out: a machine too slow for the
world's speed gets less traffic, not the whole afternoon's at once in the evening."""
WAITING_ACTS_MAX: Final = 50_000
LATENCIES_KEPT: Final = 2_000
TICK_S: Final = 0.25
"""How soon a stop is noticed while nothing is due."""
KEEP_ALIVE_S: Final = 3
"""Shorter than the server's 5 s, so that it never closes a connection that is being used."""

MEASURED: Final[tuple[Act, ...]] = ("viewable", "completed")
_JSON: Final = {"content-type": "application/json"}
_CLICK: Final = re.compile(r"/c/[A-Za-z0-9_%-]+")
_BEACON: Final = re.compile(r"/b/[A-Za-z0-9_%-]+")

Work = Callable[[httpx.AsyncClient], Coroutine[None, None, None]]


class Tally:
    """What happened so far, for the display."""

    def __init__(self) -> None:
        self.ads = 0
        """Of the long tail, how many have come to market."""
        self.views = 0
        self.filled = 0
        self.statuses: Counter[int] = Counter()
        """Answers to page views."""
        self.acts: Counter[str] = Counter()
        """What people did that the platform accepted; a forged beacon counts when it was not."""
        self.refused = 0
        """Acts that were answered otherwise, such as conversions after their window."""
        self.errors = 0
        """Requests without an answer."""
        self.skipped = 0
        """Views that were left out, because the machine is too slow for the world's speed."""
        self.spend: Money | None = None
        """What campaigns have been charged, as the platform says."""
        self.latencies_ns: deque[int] = deque(maxlen=LATENCIES_KEPT)

    @property
    def p99_ms(self) -> float:
        """The 99th percentile of the last views' answer times, in ms, as the client saw them."""
        if not self.latencies_ns:
            return 0.0
        ordered = sorted(self.latencies_ns)
        return ordered[int(len(ordered) * 0.99)] / 1e6


class Sold:
    """One sold ad and what its viewer may still do with it. An empty path: the ad has none."""

    __slots__ = ("click_path", "impression_path", "measured", "rwclid", "view")

    def __init__(
        self,
        view: View,
        impression_path: str,
        click_path: str,
        measured: Mapping[Act, str] = MappingProxyType({}),
    ) -> None:
        """``measured``: what its place can measure -> where that is reported."""
        self.view = view
        self.impression_path = impression_path
        self.click_path = click_path
        self.measured = measured
        self.rwclid = ""


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[list[httpx.AsyncClient]]:
    """The world's connections to a platform, each a client of its own.

    A shared pool looks at every connection for every request: with 24 in flight that was three
    quarters of the world's CPU time. The machine's proxy settings are not for loopback.
    """
    trust_nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the default reads all certificates
    limits = httpx.Limits(
        max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP_ALIVE_S
    )
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                httpx.AsyncClient(
                    base_url=url,
                    timeout=30,
                    trust_env=False,
                    transport=httpx.AsyncHTTPTransport(verify=trust_nobody, limits=limits),
                )
            )
            for _ in range(CONNECTIONS)
        ]


class Driver:
    """A world at work on one platform.

    Each client is used for one request at a time. ``token`` is an API key that may set the world up
    and report for it.
    """

    def __init__(self, clients: Sequence[httpx.AsyncClient], *, pace: Pace, token: str) -> None:
        self.tally = Tally()
        self.clock = pace.clock()
        self._pace = pace
        self._auth = {**_JSON, "authorization": f"Bearer {token}"}
        self._free = list(clients)
        self._slots = asyncio.Semaphore(len(clients))
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._acts: list[tuple[int, int, Act, Sold]] = []
        self._order = itertools.count()

    async def set_up(self, calls: Iterator[Setup]) -> None:
        """Make the world's accounts, publishers, campaigns; what exists already stays as it is.

        Raises RingworkError when the platform takes one not.
        """
        for call in calls:
            headers = {**self._auth, "idempotency-key": call.key}
            answer = await self._free[0].post(call.path, json=call.body, headers=headers)
            if answer.status_code >= 400 and not _exists(answer):
                raise RingworkError(f"{call.path} {call.key}: {answer.text[:300]}")

    async def publish_at(self, publisher: str, origin: str) -> None:
        """Say from which origin a publisher's pages come now. Raises RingworkError."""
        path, headers = f"/v1/publishers/{publisher}", self._auth
        answer = await self._free[0].patch(path, json={"origins": [origin]}, headers=headers)
        if answer.status_code >= 400:
            raise RingworkError(f"{path}: {answer.text[:300]}")

    async def ask_spend(self) -> None:
        """Bring the tally's spend up to date."""
        await self._spawn(self._ask_spend)

    async def revoke(self, key_id: str) -> None:
        """Give up the key: the last request."""
        path = f"/v1/keys/{key_id}"
        answer = await self._free[0].delete(path, headers=self._auth)
        if answer.status_code != 200:
            raise RingworkError(f"{path}: {answer.text[:300]}")

    async def run(self, views: Iterator[View], stop: asyncio.Event, until_us: int | None) -> None:
        """Live through ``views`` until told to stop, or until the world's time ``until_us``."""
        try:
            for view in views:
                if until_us is not None and view.at_us >= until_us:
                    break
                await self._live_until(view.at_us, stop)
                if stop.is_set():
                    break
                if self.clock.wall_us() - view.at_us > LATE_US:
                    self.tally.skipped += 1
                    continue
                await self._spawn(partial(self._look, view=view))
            if until_us is not None:
                await self._live_until(until_us, stop)
        finally:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        self._raise_failure()

    async def _live_until(self, at_us: int, stop: asyncio.Event) -> None:
        """Let the world's time pass, doing what falls due meanwhile."""
        while not stop.is_set():
            self._raise_failure()
            now_us = self.clock.wall_us()
            while self._acts and self._acts[0][0] <= now_us and not stop.is_set():
                _, _, act, sold = heapq.heappop(self._acts)
                await self._spawn(partial(self._do, act=act, sold=sold))
            due_us = min(at_us, self._acts[0][0]) if self._acts else at_us
            wait_s = self._pace.wait_s(due_us)
            if wait_s > 0:
                await asyncio.sleep(min(TICK_S, wait_s))
            elif due_us == at_us:
                return

    # ---- connections ----------------------------------------------------------------------------

    async def _spawn(self, work: Work) -> None:
        """Start ``work`` as soon as a connection is free."""
        await self._slots.acquire()
        client = self._free.pop()
        task: asyncio.Task[None] = asyncio.create_task(self._guard(work, client))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def _guard(self, work: Work, client: httpx.AsyncClient) -> None:
        try:
            await work(client)
        except (httpx.HTTPError, OSError):
            self.tally.errors += 1  # the server is busy or stopping; the world goes on
        finally:
            self._free.append(client)
            self._slots.release()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = self._failure or task.exception()

    def _raise_failure(self) -> None:
        """An answer that cannot be read is a fault of the platform, and ends the run."""
        if self._failure is not None:
            raise self._failure

    # ---- requests -------------------------------------------------------------------------------

    async def _ask_spend(self, client: httpx.AsyncClient) -> None:
        """What all publishers were credited: they get the whole of every price here.

        Not the platform's totals, which it sums over all campaigns.
        """
        spend_nanos = 0
        for publisher in (*(outlet.id for outlet in OUTLETS), PUBLISHER):
            path = f"/v1/ledger/accounts/publisher/{publisher}"
            answer = await client.get(path, headers=self._auth)
            if answer.status_code == 404:
                continue  # it sells nothing in this world
            if answer.status_code != 200:
                return
            credits = msgspec.json.decode(answer.content)["credits_posted"]
            spend_nanos += msgspec.convert(credits, Money).total_nanos
        self.tally.spend = Money.of_nanos(CURRENCY, spend_nanos)

    async def _look(self, client: httpx.AsyncClient, view: View) -> None:
        started_ns = self.clock.monotonic_ns()
        answer = await client.post(view.path, content=view.body, headers=_JSON)
        self.tally.latencies_ns.append(self.clock.monotonic_ns() - started_ns)
        self.tally.views += 1
        self.tally.statuses[answer.status_code] += 1
        sold = sold_of(view, answer.content) if answer.status_code == 200 else None
        if sold is None:
            return
        self.tally.filled += 1
        now_us = self.clock.wall_us()
        for after_s, act in view.acts:
            if act in MEASURED and act not in sold.measured:
                continue
            if len(self._acts) < WAITING_ACTS_MAX:
                due_us = now_us + int(after_s * 1_000_000)
                heapq.heappush(self._acts, (due_us, next(self._order), act, sold))

    async def _do(self, client: httpx.AsyncClient, act: Act, sold: Sold) -> None:
        if act == "click":
            was_taken = await self._click(client, sold)
        elif act == "conversion":
            was_taken = await self._convert(client, sold)
        elif act == "forged":
            answer = await client.get(_forged(sold.impression_path))
            was_taken = answer.status_code == 404
        else:
            answer = await client.get(sold.measured.get(act, sold.impression_path))
            was_taken = answer.status_code == 204
        if was_taken:
            self.tally.acts[act] += 1
        else:
            self.tally.refused += 1

    async def _click(self, client: httpx.AsyncClient, sold: Sold) -> bool:
        """Click, and keep what the landing page would get; nobody follows to another origin."""
        answer = await client.get(sold.click_path, follow_redirects=False)
        query = parse_qs(urlsplit(answer.headers.get("location", "")).query)
        sold.rwclid = query.get("rwclid", [""])[0]
        return answer.status_code == 302

    async def _convert(self, client: httpx.AsyncClient, sold: Sold) -> bool:
        view = sold.view
        units, cents = divmod(view.order_cents, 100)
        body = {
            "rwclid": sold.rwclid,
            "conversion_id": f"order-{view.at_us}",
            "value": {"currency": CURRENCY, "units": units, "nanos": cents * 10_000_000},
            "customer": view.customer,
        }
        answer = await client.post("/v1/conversions", json=body, headers=self._auth)
        return answer.status_code == 201


def sold_of(view: View, content: bytes) -> Sold | None:
    """The beacon and click paths of the first ad of an answer, whatever protocol it is in."""
    answer = msgspec.json.decode(content)
    if view.path == "/v1/ads/request":
        ads = answer["ads"]
        if not ads:
            return None
        beacons = ads[0]["beacons"]
        measured = {act: _path(beacons[act]) for act in MEASURED if act in beacons}
        return Sold(view, _path(beacons["impression"]), _path(ads[0]["click"]), measured)
    if "seatbid" not in answer:
        return None
    bid = answer["seatbid"][0]["bid"][0]
    markup = str(bid["adm"])
    beacon = _path(bid["burl"]) if "burl" in bid else _first(_BEACON, markup)
    return Sold(view, beacon, _first(_CLICK, markup))


def _exists(answer: httpx.Response) -> bool:
    """Whether it is there with other content, which stays.

    An operator changed it, or an older version of this world made it.
    """
    if answer.status_code not in (409, 422):
        return False
    slug = str(msgspec.json.decode(answer.content)["type"])
    return slug.endswith(("-exists", ":idempotency-mismatch"))


def _forged(path: str) -> str:
    """The beacon with another signature."""
    return path[:-4] + ("AAAA" if not path.endswith("AAAA") else "BBBB")


def _path(url: str) -> str:
    return urlsplit(url).path


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found.group(0) if found else ""
