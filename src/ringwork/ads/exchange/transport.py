"""How bidders are reached: the ports of the exchange, and what can go wrong there.

::

    BidderFailed         no usable answer came
    ├── Unreachable      no connection, or it broke
    └── TooMuch          more bytes than an answer may have

A transport that takes too long is cancelled; it may also raise ``TimeoutError`` itself.
"""

from __future__ import annotations

from typing import Final, Protocol

from msgspec import Struct

from ringwork.ads.exchange.bidders import Bidder
from ringwork.kernel.errors import RingworkError

RESPONSE_MAX_BYTES: Final = 512 * 1024
"""Two of the longest documents in JSON, or a hundred short ones."""


class BidderFailed(RingworkError):
    """No usable answer came."""


class Unreachable(BidderFailed):
    """There was no connection, or it broke."""


class TooMuch(BidderFailed):
    """The answer has more bytes than ``RESPONSE_MAX_BYTES``; the rest was not read."""


class Answered(Struct, frozen=True):
    """An HTTP answer."""

    status: int
    body: bytes = b""


class BidTransport(Protocol):
    """Sends a bid request to a bidder."""

    async def __call__(self, bidder: Bidder, body: bytes, *, timeout_ms: int) -> Answered:
        """The answer, at most ``RESPONSE_MAX_BYTES``; BidderFailed, TimeoutError."""
        ...


class NoticeTransport(Protocol):
    """Calls a notice URL."""

    async def __call__(self, url: str) -> int:
        """The status of the answer, of which nothing is read; BidderFailed, TimeoutError.

        Redirections are not followed: a host was checked, and no other.
        """
        ...
