"""Who signs the days of the consent ledger: Ed25519 (RFC 8032), the key outside the database."""

from __future__ import annotations

from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


class Signer:
    """Signs; ``public`` is what others verify with and should keep outside this installation."""

    def __init__(self, seed: bytes) -> None:
        """``seed``: 32 secret bytes."""
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._key.public_key().public_bytes_raw()
        self.key_id = key_id_of(self.public)

    def sign(self, statement: bytes) -> bytes:
        """64 bytes, the same for the same statement."""
        return self._key.sign(statement)


def key_id_of(public: bytes) -> str:
    """A short name of a public key."""
    return sha256(public).hexdigest()[:16]


def is_signed(statement: bytes, signature: bytes, public: bytes) -> bool:
    """Whether the key of ``public`` signed the statement."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, statement)
    except (InvalidSignature, ValueError):
        return False
    return True
