"""The address that a request came from: whose word about it is believed.

The left end of ``X-Forwarded-For`` is what the client wrote; the right end is what our own proxies
wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal

from msgspec import Struct

from ringwork.gate.identity.ip import address_of, host_key, net_key, prefix_text, text_of
from ringwork.gate.identity.ranges import Ranges, cidr_range

__all__ = [
    "Client",
    "ClientAddresses",
    "address_of",
    "host_key",
    "net_key",
    "prefix_text",
    "text_of",
]

FORWARDED_MAX: Final = 64
"""Entries of ``X-Forwarded-For`` that are looked at, from the right; no chain is as long."""


class Client(Struct, frozen=True):
    """Who asks. ``address`` is None behind a socket without addresses that names nobody."""

    address: int | None
    source: Literal["peer", "forwarded", "envoy"]


UNNAMED: Final = "unix"
"""In a list of proxies: peers that have no address, at a Unix socket."""


class ClientAddresses:
    """Which address to believe, given the proxies in front of this service.

    ``X-Forwarded-For`` is read from the right, where our own proxies wrote: entries of trusted
    proxies are passed over, or exactly ``hops`` entries, and the next one is the client. What lies
    further left was written by the client. A peer that is no trusted proxy is the client himself,
    whatever his fields say.
    """

    __slots__ = ("_hops", "_trusted", "_unnamed")

    def __init__(self, *, proxies: Iterable[str] = (), hops: int | None = None) -> None:
        """``proxies``: prefixes, and ``unix``. ``hops`` alone trusts every peer.

        Refused (``ranges-invalid``) for text that is no prefix, ValueError for ``hops`` below 0.
        """
        if hops is not None and not 0 <= hops < FORWARDED_MAX:
            raise ValueError(f"hops: expected 0 to {FORWARDED_MAX - 1}, got {hops}")
        named = list(proxies)
        self._hops = hops
        self._unnamed = UNNAMED in named or (hops is not None and not named)
        rows = [(*cidr_range(one, "trust.proxies"), "") for one in named if one != UNNAMED]
        self._trusted = None if hops is not None and not named else Ranges(rows)

    def trusts(self, peer: int | None) -> bool:
        """Whether what a peer says about others is believed."""
        if peer is None:
            return self._unnamed
        return self._trusted is None or peer in self._trusted

    def client(
        self, peer: int | None, forwarded: str | Sequence[str] = (), *, envoy: str | None = None
    ) -> Client:
        """The client. ``forwarded``: the values of ``X-Forwarded-For``, in order.

        ``envoy``: the value of ``x-envoy-external-address``, at the endpoint that Envoy asks:
        Envoy's own verdict, where the peer is trusted. (On a loopback connection Envoy appends its
        own address to ``X-Forwarded-For``, so there the right end is not the client.)
        """
        if not self.trusts(peer):
            return Client(peer, "peer")
        if envoy is not None:
            address = address_of(envoy)
            if address is not None:
                return Client(address, "envoy")
        if not forwarded:
            return Client(peer, "peer")
        joined = forwarded if isinstance(forwarded, str) else ",".join(forwarded)
        entries = joined.rsplit(",", FORWARDED_MAX)[-FORWARDED_MAX:]
        if self._hops is not None:
            return self._after_hops(peer, entries, self._hops)
        return self._beyond_proxies(peer, entries)

    def _after_hops(self, peer: int | None, entries: list[str], hops: int) -> Client:
        """Fewer entries than proxies: the request came another way, and names nobody."""
        address = address_of(entries[-1 - hops].strip()) if hops < len(entries) else None
        return Client(peer, "peer") if address is None else Client(address, "forwarded")

    def _beyond_proxies(self, peer: int | None, entries: list[str]) -> Client:
        nearest, trusted = Client(peer, "peer"), self._trusted
        for entry in reversed(entries):
            address = address_of(entry.strip())
            if address is None:  # not written by a proxy of ours, nor is anything left of it
                return nearest
            nearest = Client(address, "forwarded")
            if trusted is not None and address not in trusted:
                return nearest
        return nearest
