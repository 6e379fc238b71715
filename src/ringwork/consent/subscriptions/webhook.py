"""Notices of the payment provider: who sent them, when, and what they say.

Signed as Stripe does (webhooks, "Verify webhook signatures manually"): the header holds a time and
HMAC-SHA-256 of ``time.body`` in hex, ``t=1764158400,v1=5257a8...``; several ``v1`` and several
secrets let secrets be changed without a gap. A notice that is older than the tolerance is refused,
so that a recorded one cannot be played back later; one played back at once has an id that is known.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from ringwork.kernel.errors import Fault, Invalid, Refused

HEADER: Final = "ringwork-signature"
BODY_MAX_BYTES: Final = 64 * 1024
"""A notice is some hundred bytes."""
SIGNATURES_MAX: Final = 8
_HEADER_MAX_CHARS: Final = 1024

CHARGE_SUCCEEDED: Final = "charge.succeeded"
CHARGE_DECLINED: Final = "charge.declined"
REFUND_SUCCEEDED: Final = "refund.succeeded"
REFUND_DECLINED: Final = "refund.declined"

_Text = Annotated[str, Meta(max_length=128)]


class Payment(Struct, frozen=True):
    """The payment that a notice is about. Members that we do not know are left out."""

    key: _Text = ""
    """Our key: the id of the charge or the refund."""
    reference: _Text = ""
    amount_minor: int | None = None
    reason: _Text = ""


class Notice(Struct, frozen=True):
    """Something that the provider tells us, perhaps more than once."""

    id: Annotated[str, Meta(min_length=1, max_length=128)]
    type: Annotated[str, Meta(min_length=1, max_length=64)]
    payment: Payment = Payment()


def sign(body: bytes, secret: bytes, at_s: int) -> str:
    """The header of a notice: what the provider computes, and its simulation."""
    return f"t={at_s},v1={_tag(body, secret, at_s).decode()}"


def check_signature(
    header: str | None, body: bytes, *, secrets: Sequence[bytes], now_s: int, tolerance_s: int
) -> None:
    """Raises Refused ``bad-signature``, or ``stale-signature`` where the clocks are too far off."""
    at_s, tags = _read(header or "")
    expected = [_tag(body, secret, at_s) for secret in secrets]
    # Every pair is compared, so that the time taken says nothing about which one fits.
    matches = [hmac.compare_digest(tag, own) for tag in tags for own in expected]
    if not any(matches):
        raise Refused(
            "bad-signature",
            f"header {HEADER}: expected t=SECONDS,v1=HMAC of the time and the body",
            status=401,
            title="Not signed by the provider",
        )
    if abs(now_s - at_s) > tolerance_s:
        raise Refused(
            "stale-signature",
            f"header {HEADER}: expected a time within {tolerance_s} s of this clock, got one "
            f"that is {now_s - at_s} s old",
            status=401,
            title="Signed at another time",
        )


def decode(body: bytes) -> Notice:
    """The notice in a signed body. Raises Invalid."""
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        text = str(error)
        raise Invalid(f"not a notice: {text}", [Fault("", text)]) from None


def _read(header: str) -> tuple[int, list[bytes]]:
    at_s = 0
    tags: list[bytes] = []
    for part in header[:_HEADER_MAX_CHARS].split(","):
        name, _, value = part.strip().partition("=")
        if name == "t" and value.isascii() and value.isdigit() and len(value) <= 12:
            at_s = int(value)
        elif name == "v1" and len(tags) < SIGNATURES_MAX:
            tags.append(value.encode("utf-8", "replace"))
    return at_s, tags


def _tag(body: bytes, secret: bytes, at_s: int) -> bytes:
    return hmac.digest(secret, b"%d." % at_s + body, sha256).hex().encode()


_decoder: Final = msgspec.json.Decoder(Notice)
