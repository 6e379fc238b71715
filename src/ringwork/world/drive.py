"""Drives a platform with the world's page views over HTTP, in the world's time, with back-pressure.

One task reads the sequence and waits for each view's moment; a bounded number of requests is in
flight, so a slow server slows the world down instead of being flooded. What a person does after an
answer waits in a heap until its moment has come.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import re
from collections import Counter, deque
from collections.abc import Coroutine, Iterator
from typing import Final
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec

from ringwork.kernel.ports import Clock
from ringwork.world.cast import CURRENCY, Setup
from ringwork.world.traffic import Act, View

IN_FLIGHT_MAX: Final = 24
LATE_US: Final = 300_000_000
"""A view whose moment passed five minutes of the world ago is left out: a machine too slow for the
world's speed gets less traffic, not the whole afternoon's at once in the evening."""
WAITING_ACTS_MAX: Final = 50_000
SHORT_S: Final = 0.002
"""A shorter wait is no wait: at 360 times real time it is less than a second of the world."""

_JSON: Final = {"content-type": "application/json"}
_CLICK: Final = re.compile(r"/c/[A-Za-z0-9_%-]+")
_BEACON: Final = re.compile(r"/b/[A-Za-z0-9_%-]+")


class Tally:
    """What happened so far, for the display."""

    def __init__(self) -> None:
        self.views = 0
        self.filled = 0
        self.statuses: Counter[int] = Counter()
        self.acts: Counter[str] = Counter()
        self.errors = 0
        self.skipped = 0
        self.latencies_ns: deque[int] = deque(maxlen=2_000)

    @property
    def p99_ms(self) -> float:
        """The 99th percentile of the last requests' answer times, in ms, as the client saw them."""
        if not self.latencies_ns:
            return 0.0
        ordered = sorted(self.latencies_ns)
        return ordered[int(len(ordered) * 0.99)] / 1e6


class Pending:
    """One sold ad and what its viewer may still do with it."""

    __slots__ = ("click_path", "impression_path", "rwclid", "view")

    def __init__(self, view: View, impression_path: str, click_path: str) -> None:
        self.view = view
        self.impression_path = impression_path
        self.click_path = click_path
        self.rwclid = ""


class Driver:
    """A world at work on one platform. ``token`` is an API key that may set it up and report."""

    def __init__(self, client: httpx.AsyncClient, *, clock: Clock, token: str) -> None:
        self.tally = Tally()
        self._client = client
        self._clock = clock
        self._auth = {**_JSON, "authorization": f"Bearer {token}"}
        self._slots = asyncio.Semaphore(IN_FLIGHT_MAX)
        self._tasks: set[asyncio.Task[None]] = set()
        self._acts: list[tuple[int, int, Act, Pending]] = []
        self._order = itertools.count()
        self._seen = (clock.wall_us(), clock.monotonic_ns())
        self.last_us = 0

    async def set_up(self, calls: Iterator[Setup]) -> None:
        """Make the world's accounts, publishers, campaigns; what exists already stays as it is."""
        for call in calls:
            headers = {**self._auth, "idempotency-key": call.key}
            answer = await self._client.post(call.path, json=call.body, headers=headers)
            if answer.status_code >= 400 and "exists" not in answer.text:
                raise RuntimeError(f"{call.path} {call.body['id']}: {answer.text[:300]}")

    async def run(self, views: Iterator[View], stop: asyncio.Event, until_us: int | None) -> None:
        """Live through ``views`` until told to stop, or until the world's time ``until_us``."""
        for view in views:
            if until_us is not None and view.at_us >= until_us:
                break
            await self._live_until(view.at_us, stop)
            if stop.is_set():
                break
            self.last_us = view.at_us
            if self._clock.wall_us() - view.at_us > LATE_US:
                self.tally.skipped += 1
                continue
            await self._spawn(self._look(view))
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _live_until(self, at_us: int, stop: asyncio.Event) -> None:
        """Let the world's time pass, doing what falls due meanwhile."""
        while not stop.is_set():
            now_us = self._clock.wall_us()
            while self._acts and self._acts[0][0] <= now_us:
                _, _, act, pending = heapq.heappop(self._acts)
                await self._spawn(self._do(act, pending))
            due_us = min(at_us, self._acts[0][0]) if self._acts else at_us
            if due_us <= now_us:
                if at_us <= now_us:
                    return
                continue
            await asyncio.sleep(self._real_wait_s(due_us - now_us))

    def _real_wait_s(self, world_us: int) -> float:
        """Real seconds for a stretch of the world's time at the current pace, at most 0.25."""
        before_us, before_ns = self._clock.wall_us(), self._clock.monotonic_ns()
        passed_us, passed_ns = before_us - self._seen[0], before_ns - self._seen[1]
        self._seen = (before_us, before_ns)
        speed = passed_us * 1000 / passed_ns if passed_ns > 1_000_000 else 1.0
        return min(0.25, max(SHORT_S, world_us / 1e6 / max(speed, 1.0)))

    async def _spawn(self, work: Coroutine[None, None, None]) -> None:
        await self._slots.acquire()
        task: asyncio.Task[None] = asyncio.create_task(self._guard(work))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._slots.release()

    async def _guard(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except (httpx.HTTPError, OSError):
            self.tally.errors += 1  # the server is busy or stopping; the world goes on

    async def _look(self, view: View) -> None:
        started_ns = self._clock.monotonic_ns()
        answer = await self._client.post(view.path, content=view.body, headers=_JSON)
        self.tally.latencies_ns.append(self._clock.monotonic_ns() - started_ns)
        self.tally.views += 1
        self.tally.statuses[answer.status_code] += 1
        if answer.status_code != 200:
            return
        pending = _sold(view, answer.content)
        if pending is None:
            return
        self.tally.filled += 1
        now_us = self._clock.wall_us()
        for after_s, act in view.acts:
            if len(self._acts) < WAITING_ACTS_MAX:
                due_us = now_us + int(after_s * 1_000_000)
                heapq.heappush(self._acts, (due_us, next(self._order), act, pending))

    async def _do(self, act: Act, pending: Pending) -> None:
        self.tally.acts[act] += 1
        if act == "click":
            answer = await self._client.get(pending.click_path, follow_redirects=False)
            query = parse_qs(urlsplit(answer.headers.get("location", "")).query)
            pending.rwclid = query.get("rwclid", [""])[0]
        elif act == "conversion":
            await self._convert(pending)
        elif act == "forged":
            await self._client.get(pending.impression_path[:-3] + "AAA")
        else:
            await self._client.get(pending.impression_path)

    async def _convert(self, pending: Pending) -> None:
        if not pending.rwclid:
            return
        view = pending.view
        units, cents = divmod(view.order_cents, 100)
        body = {
            "rwclid": pending.rwclid,
            "conversion_id": f"order-{view.at_us}",
            "value": {"currency": CURRENCY, "units": units, "nanos": cents * 10_000_000},
            "customer": view.customer,
        }
        await self._client.post("/v1/conversions", json=body, headers=self._auth)


def _sold(view: View, content: bytes) -> Pending | None:
    """The beacon and click paths of the first ad of an answer, whatever protocol it is in."""
    answer = msgspec.json.decode(content)
    if view.path == "/v1/ads/request":
        ads = answer.get("ads") or []
        if not ads:
            return None
        return Pending(view, _path(ads[0]["beacons"]["impression"]), _path(ads[0]["click"]))
    seats = answer.get("seatbid") or []
    if not seats:
        return None
    bid = seats[0]["bid"][0]
    markup = str(bid.get("adm", ""))
    beacon = _path(bid["burl"]) if "burl" in bid else _first(_BEACON, markup)
    return Pending(view, beacon, _first(_CLICK, markup))


def _path(url: str) -> str:
    return urlsplit(url).path


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found.group(0) if found else "/b/missing"
