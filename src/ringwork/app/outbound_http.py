"""Bidders over HTTP: the adapter of the exchange's ports, on httpx.

Answers are asked for unpacked and read to a bound, so that no small answer becomes a large one; one
that is packed all the same is refused. Redirections are not followed. Connections are kept open:
most of an exchange's time would be handshakes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.cookiejar import DefaultCookiePolicy
from typing import Final

import httpx

from ringwork.ads.exchange.bidders import Bidder
from ringwork.ads.exchange.transport import (
    RESPONSE_MAX_BYTES,
    Answered,
    TooMuch,
    Unreachable,
)

CONNECTIONS_MAX: Final = 1000
KEPT_OPEN_S: Final = 60

_BID_HEADERS: Final = {
    "content-type": "application/json",
    "accept": "application/json",
    "accept-encoding": "identity",
    "x-openrtb-version": "2.6",
}


class OutboundHttp:
    """Posts bid requests and gets notice URLs with one client, which ``close`` closes."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    @classmethod
    def open(cls, *, transport: httpx.AsyncBaseTransport | None = None) -> OutboundHttp:
        """The adapter; connections are made when they are needed.

        ``transport`` replaces the network.
        """
        limits = httpx.Limits(
            max_connections=CONNECTIONS_MAX,
            max_keepalive_connections=CONNECTIONS_MAX,
            keepalive_expiry=KEPT_OPEN_S,
        )
        client = httpx.AsyncClient(
            transport=transport, limits=limits, follow_redirects=False, trust_env=False
        )
        # Cookies are the bidder's to set and nobody's to send back.
        client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=()))
        return cls(client)

    @classmethod
    @asynccontextmanager
    async def serving(
        cls, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> AsyncIterator[OutboundHttp]:
        """The adapter, for as long as the context lasts."""
        adapter = cls.open(transport=transport)
        try:
            yield adapter
        finally:
            await adapter.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def bid(self, bidder: Bidder, body: bytes, *, timeout_ms: int) -> Answered:
        """A ``BidTransport``."""
        try:
            async with self._client.stream(
                "POST",
                bidder.endpoint,
                content=body,
                headers=_BID_HEADERS,
                timeout=timeout_ms / 1000,
            ) as response:
                if response.headers.get("content-encoding", "identity") != "identity":
                    raise Unreachable(f"bidder {bidder.id} answered packed, unasked")
                return Answered(response.status_code, await _read(response, bidder.id))
        except httpx.TimeoutException as error:
            raise TimeoutError(f"bidder {bidder.id}: {type(error).__name__}") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(f"bidder {bidder.id}: {type(error).__name__}: {error}") from None

    async def notify(self, url: str) -> int:
        """A ``NoticeTransport``."""
        try:
            async with self._client.stream("GET", url) as response:
                return response.status_code
        except httpx.TimeoutException as error:
            raise TimeoutError(type(error).__name__) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(f"{type(error).__name__}: {error}") from None


async def _read(response: httpx.Response, bidder_id: str) -> bytes:
    pieces, size = [], 0
    async for piece in response.aiter_raw():
        size += len(piece)
        if size > RESPONSE_MAX_BYTES:
            raise TooMuch(f"bidder {bidder_id} answered more than {RESPONSE_MAX_BYTES} bytes")
        pieces.append(piece)
    return b"".join(pieces)
