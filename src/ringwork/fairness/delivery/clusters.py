"""Which cluster a request is of: a coarse, keyed summary of what it may be decided on.

Nothing goes in that the request's tier forbids: whoever asks hands over what is left of it. The
hash is keyed, so that nobody outside can tell which pages share a cluster, and stable, so that a
table of clusters holds for as long as the key does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

CLUSTERS_MAX: Final = 4096


class Clusters:
    """Maps what a request says to one of ``count`` clusters."""

    def __init__(self, key: bytes, count: int) -> None:
        """``key``: 16 to 64 secret bytes. ValueError for a count out of range."""
        if not 1 <= count <= CLUSTERS_MAX:
            raise ValueError(f"clusters: expected 1 to {CLUSTERS_MAX}, got {count}")
        self.count = count
        self._key = key

    def of(self, said: Sequence[str]) -> int:
        """The cluster of what a request says, member by member; an empty member is a value too."""
        text = "\x1f".join(said).encode()
        drawn = hashlib.blake2b(text, key=self._key, digest_size=8, person=b"fair-cluster").digest()
        return int.from_bytes(drawn, "big") * self.count >> 64
