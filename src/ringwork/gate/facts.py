"""What is known of a request before it is decided, and of its answer after."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from ringwork.gate.identity.ip import address_of, host_key, net_key

NO_COUNTERS: Final[Mapping[str, float]] = {}
NO_FIELDS: Final[Mapping[str, Sequence[str]]] = {}


class Facts(Struct, frozen=True, kw_only=True, gc=False):
    """One request, as far as the gate may look at it. Empty: not known."""

    method: str = "GET"
    route: str = ""
    """What it is for, as a bounded set of names; where there is none, the path."""
    path: str = ""
    ip: int = 0
    """An IPv4 address or, of IPv6, its /64: whoever has one address of it has them all
    (``identity.ip.host_key``)."""
    net: int = 0
    """Its /24 or /48 (``identity.ip.net_key``)."""
    asn: int = 0
    account: str = ""
    app: str = ""
    ad_account: str = ""
    device: str = ""
    visit: str = ""
    tier: str = ""
    user_agent: str = ""
    ja4: str = ""
    clearance: str = ""
    """Of a challenge that was solved before."""
    fields: Mapping[str, Sequence[str]] = NO_FIELDS
    """Lists of ids in the request, by the member they stand in."""
    estimate: int = 0
    """Rows that it asks for."""
    counters: Mapping[str, float] = NO_COUNTERS
    """What quotas grow with: ``active_ads`` and the like."""

    @classmethod
    def of(cls, *, ip: int | str = 0, **known: object) -> Facts:
        """Facts with the client's address in any form. ValueError for one that is no address."""
        address = address_of(ip) if isinstance(ip, str) and ip else ip or 0
        if not isinstance(address, int) or not 0 <= address < 2**128:
            raise ValueError(f"ip: expected an IPv4 or IPv6 address, got {ip!r}"[:200])
        known.setdefault("route", known.get("path", ""))
        host, net = host_key(address), net_key(address)
        return cls(ip=host, net=net, **known)  # type: ignore[arg-type] # as the members say


class Usage(Struct, frozen=True, kw_only=True, gc=False):
    """What a request was given."""

    rows: int = 0
    bytes: int = 0
    entities: Sequence[Hashable] = ()
    """Whom or what the answer told of: people, profiles, ads."""
    status: int = 200
