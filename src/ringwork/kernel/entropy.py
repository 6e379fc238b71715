"""Randomness: the system's CSPRNG drawn in blocks, and a seeded stream for tests and simulation."""

from __future__ import annotations

import hashlib
import os

_BLOCK_BYTES = 4096
"""One system call per 4 KiB: a 16-byte urandom call costs 0.66 us, a slice of a block 0.1 us."""


class SystemEntropy:
    """The operating system's CSPRNG."""

    __slots__ = ("_block", "_position")

    def __init__(self) -> None:
        self._block = b""
        self._position = 0

    def take(self, count: int) -> bytes:
        end = self._position + count
        if end > len(self._block):
            if count > _BLOCK_BYTES:
                return os.urandom(count)
            self._block, self._position, end = os.urandom(_BLOCK_BYTES), 0, count
        taken = self._block[self._position : end]
        self._position = end
        return taken


class SeededEntropy:
    """SHA-256 in counter mode over a seed: the same seed gives the same bytes.

    Never for secrets.
    """

    __slots__ = ("_counter", "_rest", "_seed")

    def __init__(self, seed: int | str) -> None:
        self._seed = str(seed).encode()
        self._counter = 0
        self._rest = b""

    def take(self, count: int) -> bytes:
        while len(self._rest) < count:
            self._rest += hashlib.sha256(b"%d:" % self._counter + self._seed).digest()
            self._counter += 1
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken
