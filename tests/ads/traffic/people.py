"""Sales and senders for the filter's tests."""

from __future__ import annotations

from itertools import count

from ringwork.ads.tokens import Claim
from ringwork.ads.traffic.networks import pack
from ringwork.ads.traffic.sender import Sender

NOW_MS = 1_764_158_400_000
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36"
)
_numbers = count(1)


def sale(at_ms: int = NOW_MS, *, placement: str = "foot", request: int | None = None) -> Claim:
    """A sale of its own, made at a moment; those of one ``request`` have one auction."""
    number = next(_numbers)
    auction = number if request is None else request
    return Claim(
        at_ms.to_bytes(6, "big") + b"\x70\x00" + number.to_bytes(8, "big"),
        at_ms.to_bytes(6, "big") + b"\x70\x01" + auction.to_bytes(8, "big"),
        bytes(16),
        "autumn",
        "autumn.1",
        "casa",
        placement,
        "cpm",
        2_000_000,
        "EUR",
        at_ms // 1000,
        at_ms // 1000 + 360,
    )


def person(address: str = "203.0.113.7", user_agent: str = CHROME) -> Sender:
    """Somebody with a browser."""
    return Sender(pack(address), user_agent)
