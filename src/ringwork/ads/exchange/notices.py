"""Tell bidders what became of their bids: won, lost, and billed, which alone counts.

A billing notice is sent again every ten seconds for a minute until it is taken with 200 or 204; its
receiver counts it once (ads specification 3.8). A win or loss is told once and bills nothing. All
waiting notices together are bounded: past that the newest is dropped and counted. URLs are called
only on the hosts that the bidder is configured with, and redirections are not followed, because
they are written by others. What the viewer's device is called is known nowhere here, so no header
says it (``X-Forwarded-For``, ``X-Device-User-Agent``).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal
from urllib.parse import urlsplit

from msgspec import Struct

from ringwork.ads.exchange.bidders import Bidder, lies_in
from ringwork.ads.exchange.transport import BidderFailed, NoticeTransport

RETRY_EVERY_S: Final = 10
ATTEMPTS_MAX: Final = 7
"""At once and every ten seconds for a minute."""
WAITING_MAX: Final = 10_000
SENDING_MAX: Final = 32
TIMEOUT_S: Final = 5
URL_MAX_CHARS: Final = 4096

_URL: Final = re.compile(r"https?://[!-~]+")
_TAKEN: Final = frozenset({200, 204})


class Notice(Struct, frozen=True, kw_only=True):
    """One notice, its macros filled in."""

    kind: Literal["won", "lost", "billed"]
    bidder_id: str
    url: str
    impression_id: bytes = b""
    """Of a billing notice."""


Ended = Callable[[Notice, bool, int], None]
"""Takes a billing notice, whether it was taken, and after how many attempts."""


class Notices:
    """Sends notices in the background of one event loop."""

    def __init__(
        self,
        transport: NoticeTransport,
        bidders: Iterable[Bidder],
        *,
        ended: Ended | None = None,
        waiting_max: int = WAITING_MAX,
        sending_max: int = SENDING_MAX,
    ) -> None:
        self._transport = transport
        self._hosts = {bidder.id: bidder.notice_hosts for bidder in bidders}
        self._ended = ended
        self._waiting_max = waiting_max
        self._free = asyncio.Semaphore(sending_max)
        self._tasks: set[asyncio.Task[None]] = set()
        self._counts: dict[str, int] = {}

    def counts(self) -> Mapping[str, int]:
        """``<kind> <taken|untaken|refused|dropped>`` -> how often since the start."""
        return dict(self._counts)

    def offer(self, notice: Notice) -> bool:
        """Send a notice in the background; False for one that is not sent, which is counted."""
        if not notice.url:
            return False  # the bidder did not ask for it
        if not self._may_call(notice):
            self._count(notice, "refused")
            return False
        if len(self._tasks) >= self._waiting_max:
            self._count(notice, "dropped")
            return False
        task = asyncio.create_task(self._deliver(notice))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def close(self) -> None:
        """Stop sending; a billing notice that has not ended has not been told to ``ended``."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _may_call(self, notice: Notice) -> bool:
        url = notice.url
        if len(url) > URL_MAX_CHARS or not _URL.fullmatch(url):
            return False
        try:
            parts = urlsplit(url)
            host = parts.hostname or ""
        except ValueError:  # an IPv6 literal that is none
            return False
        is_plain = parts.username is None and parts.password is None
        return is_plain and lies_in(host, self._hosts.get(notice.bidder_id, ()))

    async def _deliver(self, notice: Notice) -> None:
        attempts, was_taken = 0, False
        attempts_max = ATTEMPTS_MAX if notice.kind == "billed" else 1
        while True:
            attempts += 1
            async with self._free:
                was_taken = await self._call(notice.url)
            if was_taken or attempts == attempts_max:
                break
            await asyncio.sleep(RETRY_EVERY_S)
        self._count(notice, "taken" if was_taken else "untaken")
        if notice.kind == "billed" and self._ended is not None:
            self._ended(notice, was_taken, attempts)

    async def _call(self, url: str) -> bool:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._transport(url) in _TAKEN
        except (BidderFailed, TimeoutError):
            return False

    def _count(self, notice: Notice, how: str) -> None:
        name = f"{notice.kind} {how}"
        self._counts[name] = self._counts.get(name, 0) + 1
