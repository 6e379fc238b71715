"""Addresses as numbers, and the keys they are counted under.

An address is an integer: IPv4 below 2^32, IPv6 from 2^64 on. IPv4 inside IPv6 (``::ffff:…``) is
IPv4, so that nobody has two identities; ``::1`` is 127.0.0.1; the rest of ``::/64`` names no host
(RFC 4291) and is no address here. Parsing is the C library's: ``ipaddress`` builds an object per
look-up and takes 15 times as long.
"""

from __future__ import annotations

from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Final

V4_END: Final = 1 << 32
_MAPPED: Final = 0xFFFF
_LOOPBACK: Final = 0x7F000001


def address_of(text: str) -> int | None:
    """The address, or None for text that is none.

    A port (``1.2.3.4:80``, ``[::1]:80``) and a zone (``fe80::1%eth0``) are left out.
    """
    try:
        return int.from_bytes(inet_pton(AF_INET, text), "big")
    except (OSError, ValueError):  # ValueError: a NUL, or characters that are no ASCII
        return _address_of_other(text.strip())


def _address_of_other(text: str) -> int | None:
    if text.startswith("["):
        text, closed, port = text[1:].partition("]")
        if not closed or not (port == "" or _is_port(port)):
            return None
    elif text.count(":") <= 1:
        host, colon, port = text.partition(":")
        if colon and not _is_port(colon + port):
            return None
        return _packed(AF_INET, host)
    return _packed(AF_INET6, text.partition("%")[0])


def _is_port(text: str) -> bool:
    return text.startswith(":") and len(text) <= 6 and text[1:].isdecimal() and text.isascii()


def _packed(family: int, text: str) -> int | None:
    try:
        number = int.from_bytes(inet_pton(family, text), "big")
    except (OSError, ValueError):
        return None
    return number if family == AF_INET else canonical(number)


def canonical(number: int) -> int | None:
    """The address for 128 bits of IPv6, None where they name no host."""
    if number >> 64:
        return number
    if number >> 32 == _MAPPED:
        return number & (V4_END - 1)
    return _LOOPBACK if number == 1 else None


def text_of(address: int) -> str:
    """The address as people write it (RFC 5952)."""
    if address < V4_END:
        return inet_ntop(AF_INET, address.to_bytes(4, "big"))
    return inet_ntop(AF_INET6, address.to_bytes(16, "big"))


def host_key(address: int) -> int:
    """What one subscriber has: an IPv4 address, an IPv6 /64 (never /128: he has 2^64 of those)."""
    return address if address < V4_END else address >> 64 << 64


def net_key(address: int) -> int:
    """What one site has: an IPv4 /24, an IPv6 /48."""
    return address & 0xFFFFFF00 if address < V4_END else address >> 80 << 80


def prefix_text(key: int, *, wide: bool) -> str:
    """A ``host_key`` or, with ``wide``, a ``net_key`` as people write it."""
    bits = (24 if wide else 32) if key < V4_END else (48 if wide else 64)
    return f"{text_of(key)}/{bits}"
