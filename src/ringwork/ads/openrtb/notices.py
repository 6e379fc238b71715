"""What an exchange tells about a bid: won or lost, why, at what price, what would have won.

The notice URLs of a bid (``nurl``, ``lurl``) carry a token that only the exchange sees, and the
macros below. Nothing here is billed: a win is not an impression, and prices in a URL can be written
by anyone who has it. A value that is missing, malformed or not substituted is unknown, never an
error: a notice that was half filled in still tells that the bid was lost.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final, Literal
from urllib.parse import parse_qs

from msgspec import Struct

from ringwork.ads.openrtb.price import bid_to_nanos, is_price

WON_QUERY: Final = "?price=${AUCTION_PRICE}&cur=${AUCTION_CURRENCY}&min=${AUCTION_MIN_TO_WIN}"
LOST_QUERY: Final = f"{WON_QUERY}&reason=${{AUCTION_LOSS}}"
REASON_MAX: Final = 9_999
"""Codes from 1,000 on belong to the exchange (OpenRTB 3.0, loss reasons)."""
QUERY_MAX_BYTES: Final = 2_048

_CURRENCY_CHARS: Final = 3


class Notice(Struct, frozen=True, kw_only=True):
    """One notice; None and empty texts are what the exchange did not say."""

    kind: Literal["won", "lost"]
    reason: int | None = None
    """Loss reason code of OpenRTB 3.0; 0 is a win."""
    price_nanos: int | None = None
    """What the impression was settled at, in nanos of ``currency``."""
    min_to_win_nanos: int | None = None
    """The least bid that would have won."""
    currency: str = ""


def read_notice(kind: Literal["won", "lost"], query: bytes) -> Notice:
    """The notice in a query string; of a name that is repeated the first value counts.

    >>> read_notice("lost", b"reason=102&min=2.5&price=").min_to_win_nanos
    2500000
    """
    text = query[:QUERY_MAX_BYTES].decode("latin-1")
    found = {name: values[0] for name, values in parse_qs(text).items()}
    currency = found.get("cur", "")
    return Notice(
        kind=kind,
        reason=_reason(found.get("reason", "")) if kind == "lost" else None,
        price_nanos=_nanos(found.get("price", "")),
        min_to_win_nanos=_nanos(found.get("min", "")),
        currency=currency if _is_currency(currency) else "",
    )


def _is_currency(text: str) -> bool:
    return len(text) == _CURRENCY_CHARS and text.isascii() and text.isalpha() and text.isupper()


def _reason(text: str) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(REASON_MAX))):
        return None
    return int(text)


def _nanos(text: str) -> int | None:
    try:
        cpm = Decimal(text)
    except InvalidOperation:
        return None
    return bid_to_nanos(cpm) if is_price(cpm) else None
