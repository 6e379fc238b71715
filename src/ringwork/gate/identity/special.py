"""Addresses that are nobody's on the Internet (RFC 6890, IANA's special-purpose registries).

A URL that a stranger wrote must not make this machine ask its neighbours (SSRF).
"""

from __future__ import annotations

from typing import Final

from ringwork.gate.identity.ip import V4_END
from ringwork.gate.identity.ranges import Ranges, cidr_range

_SPECIAL: Final = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24",
    "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/4", "240.0.0.0/4",
    # Of 2000::/3, the only global unicast there is: protocol assignments (with Teredo), examples,
    # 6to4 (which wraps any IPv4 address), AS112.
    "2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
)  # fmt: skip
_TABLE: Final = Ranges((*cidr_range(one, "special"), "special") for one in _SPECIAL)
_NAT64: Final = 0x0064_FF9B << 64
"""The upper 96 bits of 64:ff9b::/96 (RFC 6052), which wraps IPv4 where a network has none."""


def is_public(address: int) -> bool:
    """Whether the address is a host's on the Internet."""
    if address < V4_END:
        return address not in _TABLE
    if address >> 32 == _NAT64:
        return (address & (V4_END - 1)) not in _TABLE  # what the translator will ask
    return address >> 125 == 0b001 and address not in _TABLE
