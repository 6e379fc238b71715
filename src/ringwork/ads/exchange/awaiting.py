"""Billing notices that are still owed to bidders: what survives a restart.

A sold outside bid's notice waits for its impression; from its billing until the notice has ended it
is due. A restart sends again what is due: receivers count a notice once.
"""

from __future__ import annotations

import heapq
from typing import ClassVar, Final

import msgspec

from ringwork.ads.events import ImpressionBilled
from ringwork.ads.exchange.events import BillingNoticeEnded, ExternalBidWon
from ringwork.ads.exchange.notices import Notice
from ringwork.kernel.events import Event, Recorded

KEEP_S: Final = 3600
"""How long after its impression was due a notice is kept; a beacon that is later bills nothing."""


class Awaiting:
    """Notices by impression; a fold of the sales, the billings and the notices' ends."""

    name: ClassVar[str] = "billing_notices"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (
        ExternalBidWon,
        ImpressionBilled,
        BillingNoticeEnded,
    )

    def __init__(self) -> None:
        self._sold: dict[bytes, tuple[str, str]] = {}
        """Impression -> bidder and URL; until it is billed, or was due long ago."""
        self._due: dict[bytes, tuple[str, str]] = {}
        """The same once it is billed, until its notice has ended."""
        self._ends: list[tuple[int, bytes]] = []

    def notice(self, impression_id: bytes) -> Notice | None:
        """The billing notice of an impression that was billed and not yet told."""
        due = self._due.get(impression_id)
        return None if due is None else _notice(impression_id, *due)

    def due(self) -> list[Notice]:
        """Every notice that is to be sent, in the order in which their impressions were billed."""
        return [_notice(id, bidder, url) for id, (bidder, url) in self._due.items()]

    def apply(self, recorded: Recorded) -> None:
        event = recorded.payload
        if isinstance(event, ExternalBidWon):
            self._forget(recorded.ts_us // 1_000_000)
            if event.billed_url:
                self._sold[event.impression_id] = event.bidder_id, event.billed_url
                heapq.heappush(self._ends, (event.expires_s + KEEP_S, event.impression_id))
        elif isinstance(event, ImpressionBilled):
            sold = self._sold.pop(event.impression_id, None)
            if sold is not None:
                self._due[event.impression_id] = sold
        elif isinstance(event, BillingNoticeEnded):
            self._due.pop(event.impression_id, None)

    def _forget(self, now_s: int) -> None:
        while self._ends and self._ends[0][0] <= now_s:
            self._sold.pop(heapq.heappop(self._ends)[1], None)

    def clear(self) -> None:
        self._sold.clear()
        self._due.clear()
        self._ends.clear()

    def dump(self) -> bytes:
        return msgspec.msgpack.encode((self._sold, self._due, sorted(self._ends)))

    def load(self, state: bytes) -> None:
        self.clear()
        sold, due, ends = _decoder.decode(state)
        self._sold.update(sold)
        self._due.update(due)
        self._ends += ends  # sorted, which is a heap


def _notice(impression_id: bytes, bidder_id: str, url: str) -> Notice:
    return Notice(kind="billed", bidder_id=bidder_id, url=url, impression_id=impression_id)


_decoder: Final = msgspec.msgpack.Decoder(
    tuple[
        dict[bytes, tuple[str, str]],
        dict[bytes, tuple[str, str]],
        list[tuple[int, bytes]],
    ]
)
