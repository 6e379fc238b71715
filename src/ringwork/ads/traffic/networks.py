"""Sets of IP networks: is an address in one of them, in the time of one binary search.

Addresses are packed, 4 or 16 bytes; an IPv4 address inside IPv6 (RFC 4291, 2.5.5.2) is IPv4.
"""

from __future__ import annotations

import socket
from bisect import bisect_right
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

NETWORKS_MAX: Final = 1_000_000
"""The published ranges of all large clouds together are about 100,000."""
PREFIX_BYTES: Final = {4: 3, 16: 7}
"""What of an address names its network here: an IPv4 /24, an IPv6 /56 (what one household gets)."""
_MAPPED: Final = bytes(10) + b"\xff\xff"


def pack(address: str) -> bytes | None:
    """The bytes of an address as text; None for anything else.

    >>> pack("::ffff:192.0.2.7").hex()
    'c0000207'
    """
    # inet_pton only computes; ipaddress does the same in twenty times the time.
    try:
        if ":" not in address:
            return socket.inet_pton(socket.AF_INET, address)
        packed = socket.inet_pton(socket.AF_INET6, address)
    except (OSError, ValueError):  # ValueError: a NUL inside
        return None
    return packed[12:] if packed.startswith(_MAPPED) else packed


class Networks:
    """Merged ranges of either version; ``packed in networks``."""

    __slots__ = ("_ranges",)

    def __init__(self, networks: Iterable[str], exceptions: Iterable[str] = ()) -> None:
        """CIDR notation; what lies in an exception is not in the set. ValueError for others."""
        kept = [ip_network(one) for one in networks]
        left_out = [ip_network(one) for one in exceptions]
        self._ranges = {
            size: _packed(_without(_merged(kept, version), _merged(left_out, version)), size)
            for size, version in ((4, 4), (16, 6))
        }

    @classmethod
    def read(cls, text: str) -> Networks:
        """A list as operators keep it: a network a line, ``!`` for an exception, ``#`` comments.

        ValueError names the first line that is none of these.
        """
        kept: list[str] = []
        left_out: list[str] = []
        for number, line in enumerate(text.splitlines(), 1):
            entry = line.partition("#")[0].strip()
            if not entry:
                continue
            if len(kept) + len(left_out) >= NETWORKS_MAX:
                raise ValueError(f"line {number}: more than {NETWORKS_MAX} networks")
            target = left_out if entry.startswith("!") else kept
            target.append(entry.removeprefix("!").strip())
            try:
                ip_network(target[-1])
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from None
        return cls(kept, left_out)

    def __contains__(self, packed: bytes) -> bool:
        starts, ends = self._ranges[len(packed)]
        at = bisect_right(starts, packed) - 1
        return at >= 0 and packed <= ends[at]


def _merged(networks: Iterable[IPv4Network | IPv6Network], version: int) -> list[tuple[int, int]]:
    """The ranges of one version, ascending, without overlap or touch."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(
        (int(one.network_address), int(one.broadcast_address))
        for one in networks
        if one.version == version
    ):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def _without(kept: list[tuple[int, int]], left_out: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """``kept`` less ``left_out``; both ascending and merged."""
    rest: list[tuple[int, int]] = []
    position = 0
    for first, last in kept:
        while position < len(left_out) and left_out[position][1] < first:
            position += 1
        begin, look = first, position
        while look < len(left_out) and left_out[look][0] <= last:
            if begin < left_out[look][0]:
                rest.append((begin, left_out[look][0] - 1))
            begin = left_out[look][1] + 1
            look += 1
        if begin <= last:
            rest.append((begin, last))
    return rest


def _packed(ranges: list[tuple[int, int]], size: int) -> tuple[list[bytes], list[bytes]]:
    """Starts and ends as bytes: in network order they compare as the numbers do."""
    starts = [first.to_bytes(size, "big") for first, _ in ranges]
    return starts, [last.to_bytes(size, "big") for _, last in ranges]


PRIVATE: Final = Networks(
    (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::/127",
        "fc00::/7",
        "fe80::/10",
    )
)
"""Addresses that tell nothing of where on the internet somebody is (RFC 1918, 6598, 4193, 4291)."""
