"""Keyed fingerprints of numbers, many at once.

Numbers have little entropy, so an unkeyed hash hides nothing (Hagen et al., NDSS 2021). A number
gets a 64-bit SipHash-2-4 (Aumasson and Bernstein 2012) under the guard's secret; what an account's
book keeps are 32 bits of that, mixed with a secret of the account, so that two stored books cannot
be compared without the secret.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

FINGERPRINT_BITS: Final = 32
_WORDS: Final = (b"somepseu", b"dorandom", b"lygenera", b"tedbytes")
_STEP: Final = tuple(int.from_bytes(text, "big") for text in _WORDS)


def _rotated(words: Words, bits: int) -> Words:
    return (words << np.uint64(bits)) | (words >> np.uint64(64 - bits))


def _rounds(v: list[Words], count: int) -> None:
    for _ in range(count):
        v[0] = v[0] + v[1]
        v[1] = _rotated(v[1], 13) ^ v[0]
        v[0] = _rotated(v[0], 32)
        v[2] = v[2] + v[3]
        v[3] = _rotated(v[3], 16) ^ v[2]
        v[0] = v[0] + v[3]
        v[3] = _rotated(v[3], 21) ^ v[0]
        v[2] = v[2] + v[1]
        v[1] = _rotated(v[1], 17) ^ v[2]
        v[2] = _rotated(v[2], 32)


def siphash(key: bytes, words: Words) -> Words:
    """SipHash-2-4 of each word as a message of eight bytes; ``key`` of 16 bytes."""
    halves = np.frombuffer(key, dtype="<u8")
    words = np.ascontiguousarray(words, dtype=np.uint64)
    v = [np.full_like(words, halves[i % 2]) ^ np.uint64(step) for i, step in enumerate(_STEP)]
    for message in (words, np.full_like(words, 8 << 56)):
        v[3] = v[3] ^ message
        _rounds(v, 2)
        v[0] = v[0] ^ message
    v[2] = v[2] ^ np.uint64(0xFF)
    _rounds(v, 4)
    result: Words = v[0] ^ v[1] ^ v[2] ^ v[3]
    return result


def fingerprints(hashes: Words, account_keys: Words) -> NDArray[np.uint32]:
    """The 32 bits that an account keeps of a number; the arguments broadcast."""
    return (_mixed(hashes ^ account_keys) >> np.uint64(FINGERPRINT_BITS)).astype(np.uint32)


def _mixed(z: Words) -> Words:
    """The finaliser of SplitMix64 (Steele et al. 2014), a permutation."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: Words = z ^ (z >> np.uint64(31))
    return result


class Secret:
    """The guard's key, and what is hashed under it."""

    __slots__ = ("_after", "_before", "_numbers", "token")

    def __init__(self, key: bytes) -> None:
        """``key``: 64 bytes, kept apart from the state. Raises ValueError for another length."""
        if len(key) != 64:
            raise ValueError(f"expected a key of 64 bytes, got {len(key)}")
        self._numbers, self.token = key[:16], key[32:]
        self._before, self._after = np.frombuffer(key[16:32], dtype="<u8")

    def __repr__(self) -> str:
        return "Secret()"

    def of_numbers(self, numbers: Words) -> Words:
        """64 bits of each number."""
        return siphash(self._numbers, numbers)

    def of_accounts(self, accounts: NDArray[np.int64]) -> Words:
        """64 bits of each account: a permutation between two secrets (Even and Mansour 1991).

        That is enough for what nobody sees and is only ever mixed with a number's hash.
        """
        words = np.asarray(accounts, dtype=np.int64).view(np.uint64)
        result: Words = _mixed(words ^ self._before) ^ self._after
        return result
