"""Signed, self-contained beacon tokens: everything that billing an event needs travels in its URL.

A token is base64url of ``key id (1 byte) | kind (1 byte) | tag (16 bytes) | claim (msgpack)``,
where the tag is HMAC-SHA-256 over all the rest, cut to 128 bits (RFC 2104, section 5). The head is
18 bytes, 24 characters, so that the tokens of one sale differ in these alone. The server keeps no
list of what it has handed out: a genuine tag proves that it did. A new key signs from its first
day, the old one verifies until its last token has ended.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from msgspec import Struct

from ringwork.ads.model import Pricing

Kind = Literal["impression", "viewable", "view", "click", "conversion", "notice"]

TOKEN_MAX_CHARS: Final = 2048
"""The bound before decoding: ids of 64 characters throughout make a token of 700."""
KEY_BYTES: Final = 32
_TAG_BYTES: Final = 16
_HEAD_BYTES: Final = 2 + _TAG_BYTES
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_KINDS: Final[dict[Kind, bytes]] = {
    "impression": b"i",
    "viewable": b"s",
    "view": b"v",
    "click": b"c",
    "conversion": b"o",
    "notice": b"n",
}


class Claim(Struct, frozen=True, array_like=True):
    """A sale, as its beacons know it."""

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
    """Until then its impression is billed."""


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
        # An HMAC that has taken in its key: copying it costs a third of beginning anew.
        self._keys = {key_id: HMAC(secret, SHA256()) for key_id, secret in keys.items()}
        self._current = current

    def sign(self, claim: Claim, kinds: Sequence[Kind]) -> dict[str, str]:
        """The token of each kind: letters, digits, ``-`` and ``_``."""
        encoded = _encoder.encode(claim)
        key, mac = bytes((self._current,)), self._keys[self._current]
        text = _text(encoded)
        return {
            kind: _text(key + _KINDS[kind] + _tag(mac, key + _KINDS[kind] + encoded)) + text
            for kind in kinds
        }

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
        mac = self._keys.get(raw[0]) if len(raw) > _HEAD_BYTES else None
        if mac is None or raw[1:2] != _KINDS[kind]:
            return None
        tag = _tag(mac, raw[:2] + raw[_HEAD_BYTES:])
        if not hmac.compare_digest(tag, raw[2:_HEAD_BYTES]):
            return None
        return _decoder.decode(raw[_HEAD_BYTES:])


def _text(raw: bytes) -> str:
    """base64url without padding; ``base64`` itself takes twice as long to say the same."""
    return binascii.b2a_base64(raw, newline=False).translate(_URL_SAFE).rstrip(b"=").decode()


def _tag(mac: HMAC, signed: bytes) -> bytes:
    taken = mac.copy()
    taken.update(signed)
    return taken.finalize()[:_TAG_BYTES]
