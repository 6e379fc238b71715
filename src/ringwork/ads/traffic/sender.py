"""Who sends a beacon, from the request's connection and headers; it lives as long as the request.

Address and user agent are personal data (GDPR, recital 30). They are looked at here to tell people
from programs (TCF special purpose 1, security and fraud prevention) and go no further: nothing
writes them, no event carries them, and the filter's memory holds keyed hashes of networks alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from ringwork.ads.traffic.agents import Hints
from ringwork.ads.traffic.networks import PRIVATE, Networks, pack

FORWARDED_MAX: Final = 16
"""Hops of ``X-Forwarded-For`` that are looked at, from its end."""

_NAMES: Final = {
    b"user-agent": "user_agent",
    b"sec-ch-ua": "brands",
    b"sec-purpose": "purpose",
    b"purpose": "purpose",
    b"x-moz": "purpose",
    b"x-forwarded-for": "forwarded",
    b"x-device-ip": "device_ip",
    b"x-device-user-agent": "device_agent",
}


class Sender(Struct, frozen=True, gc=False):
    """The other end of a beacon, as far as it is known."""

    address: bytes | None
    """Packed; None where it is not known or tells nothing (private networks)."""
    user_agent: str
    brands: str = ""
    """``Sec-CH-UA`` as it came."""
    is_prefetch: bool = False
    """The browser fetches ahead what nobody has asked for yet."""
    by_server: bool = False
    """A server reports what happened elsewhere: an exchange's billing notice."""


def sender_of(
    headers: Iterable[tuple[bytes, bytes]],
    peer: str,
    *,
    proxies: Networks,
    by_server: bool = False,
) -> Sender | None:
    """The sender of a request; None over loopback, which is the owner's own.

    ``peer`` is the connection's address, empty on the admin socket. A peer in ``proxies`` is one
    of ours: it has put the client's address at the end of ``X-Forwarded-For``. A server's notice
    speaks for a device by ``X-Device-IP`` and ``X-Device-User-Agent`` (or ``X-Forwarded-For``);
    where it does not, device and network are not known.
    """
    found = dict.fromkeys(("user_agent", "brands", "purpose", "forwarded"), "")
    for name, value in headers:
        kind = _NAMES.get(name)
        if kind is not None:
            # Several headers of one name are one list (RFC 9110, 5.3).
            given = value.decode("latin-1")
            before = found.get(kind)
            found[kind] = f"{before},{given}" if before and kind == "forwarded" else given
    if by_server:
        address = pack(found.get("device_ip", "").strip()) or _client(found["forwarded"], proxies)
        user_agent = found.get("device_agent", "")
        return Sender(_public(address), user_agent, by_server=True)
    address = pack(peer)
    if address is not None and address in proxies:
        address = _client(found["forwarded"], proxies)
    elif not peer or _is_loopback(address):
        return None
    is_prefetch = "prefetch" in found["purpose"].lower()
    return Sender(_public(address), found["user_agent"], found["brands"], is_prefetch)


def hints_of(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, Hints]:
    """(user agent, client hints) of a request for ads, for ``read_agent``."""
    name = brands = mobile = platform = ""
    for key, value in headers:
        if key == b"user-agent":
            name = value.decode("latin-1")
        elif key == b"sec-ch-ua":
            brands = value.decode("latin-1")
        elif key == b"sec-ch-ua-mobile":
            mobile = value.decode("latin-1")
        elif key == b"sec-ch-ua-platform":
            platform = value.decode("latin-1")
    return name, Hints(brands, mobile, platform)


def _client(forwarded: str, proxies: Networks) -> bytes | None:
    """The last address that is no proxy of ours: what stands before it, the client wrote."""
    for one in reversed(forwarded.rsplit(",", FORWARDED_MAX)[-FORWARDED_MAX:]):
        address = pack(one.strip())
        if address is None:
            return None
        if address not in proxies:
            return address
    return None


def _public(address: bytes | None) -> bytes | None:
    return None if address is None or address in PRIVATE else address


def _is_loopback(address: bytes | None) -> bool:
    return address is not None and (
        address[:1] == b"\x7f" if len(address) == 4 else address == _ONE
    )


_ONE: Final = bytes(15) + b"\x01"
