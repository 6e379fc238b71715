"""Sealing personal members: AES-256-GCM (NIST SP 800-38D, 96-bit nonces), a key per subject.

A sealed value is ``0x01 || key id (16) || nonce (12) || ciphertext and tag``. It names its key, so
that a value whose key was erased is told apart from one that was tampered with.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ringwork.kernel.errors import SealBroken
from ringwork.kernel.ports import Entropy

KEY_BYTES: Final = 32
KEY_ID_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_VERSION: Final = b"\x01"
_HEAD_BYTES: Final = 1 + KEY_ID_BYTES + _NONCE_BYTES


def encrypt(key: bytes, plain: bytes, *, context: bytes, entropy: Entropy) -> bytes:
    """``nonce || ciphertext and tag``, bound to ``context``."""
    nonce = entropy.take(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, context)


def decrypt(key: bytes, encrypted: bytes, *, context: bytes) -> bytes:
    """What was encrypted; SealBroken where key, bytes or context are others."""
    try:
        return AESGCM(key).decrypt(encrypted[:_NONCE_BYTES], encrypted[_NONCE_BYTES:], context)
    except InvalidTag:
        raise SealBroken("a sealed member does not authenticate in this place") from None


def seal_with(
    key_id: bytes, key: bytes, plain: bytes, *, context: bytes, entropy: Entropy
) -> bytes:
    """A sealed value that names its key."""
    return _VERSION + key_id + encrypt(key, plain, context=context, entropy=entropy)


def split_sealed(sealed: bytes) -> tuple[bytes, bytes]:
    """A sealed value's key id and what ``decrypt`` takes; SealBroken for another form."""
    if len(sealed) < _HEAD_BYTES + _TAG_BYTES or sealed[:1] != _VERSION:
        raise SealBroken(f"a sealed member was expected, {len(sealed)} other bytes came")
    return sealed[1 : 1 + KEY_ID_BYTES], sealed[1 + KEY_ID_BYTES :]
