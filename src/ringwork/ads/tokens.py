"""Signed, self-contained beacon tokens: everything that billing an event needs travels in its URL.

A token is base64url of ``key id (1 byte) | tag (16 bytes) | claim (msgpack)``, where the tag is
HMAC-SHA-256 over key id and claim, cut to 128 bits (RFC 2104, section 5). The server keeps no list
of what it has handed out: a genuine tag proves that it did. A new key signs from its first day, the
old one verifies until its last token has ended.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from typing import Final, Literal

import msgspec
from msgspec import Struct

from ringwork.ads.model import Pricing

Kind = Literal["impression", "click", "conversion"]

TOKEN_MAX_CHARS: Final = 2048
"""The bound before decoding: ids of 64 characters throughout make a token of 700."""
KEY_BYTES: Final = 32
_TAG_BYTES: Final = 16
_HEAD_BYTES: Final = 1 + _TAG_BYTES


class Claim(Struct, frozen=True, array_like=True):
    """What a token entitles to: one event of one sale, until ``expires_s``."""

    kind: Kind
    impression_id: bytes
    auction_id: bytes
    """The event that decided the sale: the cause of whatever the beacon records."""
    request_id: bytes
    campaign_id: str
    ad_id: str
    publisher_id: str
    placement: str
    pricing: Pricing
    price_nanos: int
    """In the unit of the pricing."""
    currency: str
    issued_s: int
    expires_s: int


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Claim)


class Tokens:
    """Signs and verifies: ``keys`` are secrets by id (0 to 255), ``current`` signs."""

    __slots__ = ("_current", "_keys")

    def __init__(self, keys: Mapping[int, bytes], *, current: int) -> None:
        for key_id, secret in keys.items():
            if not 0 <= key_id <= 255 or len(secret) < KEY_BYTES:
                raise ValueError(f"token key {key_id}: ids are 0 to 255, secrets {KEY_BYTES} bytes")
        if current not in keys:
            raise ValueError(f"the signing key {current} is not among the keys {sorted(keys)}")
        self._keys = dict(keys)
        self._current = current

    def sign(self, claim: Claim) -> str:
        """The token of a claim: letters, digits, ``-`` and ``_``."""
        signed = bytes((self._current,)) + _encoder.encode(claim)
        tag = _tag(self._keys[self._current], signed)
        return _text(signed[:1] + tag + signed[1:])

    def verify(self, token: str, kind: Kind) -> Claim | None:
        """The claim of a genuine token of that kind, expired or not; None for anything else."""
        if len(token) > TOKEN_MAX_CHARS:
            return None
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            return None
        if _text(raw) != token:  # the unused bits of the last character: one token, one spelling
            return None
        secret = self._keys.get(raw[0]) if len(raw) > _HEAD_BYTES else None
        if secret is None:
            return None
        tag = _tag(secret, raw[:1] + raw[_HEAD_BYTES:])
        if not hmac.compare_digest(tag, raw[1:_HEAD_BYTES]):
            return None
        claim = _decoder.decode(raw[_HEAD_BYTES:])
        return claim if claim.kind == kind else None


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _tag(secret: bytes, signed: bytes) -> bytes:
    return hmac.digest(secret, signed, "sha256")[:_TAG_BYTES]
