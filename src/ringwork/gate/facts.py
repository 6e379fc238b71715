"""What is known of a request before it is decided, and of its answer after."""

from __future__ import annotations

import socket
from collections.abc import Hashable, Mapping, Sequence
from typing import Final

from msgspec import Struct

NO_COUNTERS: Final[Mapping[str, float]] = {}
NO_FIELDS: Final[Mapping[str, Sequence[str]]] = {}


class Facts(Struct, frozen=True, kw_only=True, gc=False):
    """One request, as far as the gate may look at it. Empty: not known."""

    method: str = "GET"
    route: str = ""
    """What it is for, as a bounded set of names; where there is none, the path."""
    path: str = ""
    ip: str = ""
    """``192.0.2.7`` or, of IPv6, its /64: whoever has one address of it has them all."""
    net: str = ""
    """Its /24 or /48."""
    asn: int = 0
    account: str = ""
    app: str = ""
    ad_account: str = ""
    device: str = ""
    visit: str = ""
    tier: str = ""
    user_agent: str = ""
    ja4: str = ""
    fields: Mapping[str, Sequence[str]] = NO_FIELDS
    """Lists of ids in the request, by the member they stand in."""
    estimate: int = 0
    """Rows that it asks for."""
    counters: Mapping[str, float] = NO_COUNTERS
    """What quotas grow with: ``active_ads`` and the like."""

    @classmethod
    def of(cls, *, ip: int | str = "", **known: object) -> Facts:
        """Facts with the client's address in any form. ValueError for one that is no address."""
        address, net = networks_of(ip)
        known.setdefault("route", known.get("path", ""))
        return cls(ip=address, net=net, **known)  # type: ignore[arg-type] # as the members say


class Usage(Struct, frozen=True, kw_only=True, gc=False):
    """What a request was given."""

    rows: int = 0
    bytes: int = 0
    entities: Sequence[Hashable] = ()
    """Whom or what the answer told of: people, profiles, ads."""
    status: int = 200


def networks_of(ip: int | str) -> tuple[str, str]:
    """What counters of an address are kept by: (IPv4 address or IPv6 /64, /24 or /48).

    An IPv4 address inside IPv6 (``::ffff:192.0.2.7``) is that IPv4 address, not a second identity.
    """
    if ip == "":
        return "", ""
    packed = _packed(ip)
    if len(packed) == 16 and packed[:12] == _MAPPED:
        packed = packed[12:]
    if len(packed) == 4:
        return socket.inet_ntoa(packed), f"{packed[0]}.{packed[1]}.{packed[2]}.0/24"
    return f"{packed[:8].hex(':', 2)}::/64", f"{packed[:6].hex(':', 2)}::/48"


_MAPPED: Final = bytes(10) + b"\xff\xff"


def _packed(ip: int | str) -> bytes:
    if isinstance(ip, int):
        if not 0 <= ip < 2**128:
            raise ValueError(f"ip: expected a number of 128 bits, got {ip}")
        return ip.to_bytes(4 if ip < 2**32 else 16)
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in ip else socket.AF_INET, ip)
    except OSError:
        raise ValueError(f"ip: expected an IPv4 or IPv6 address, got {ip[:60]!r}") from None
