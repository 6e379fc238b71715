"""Signatures that may be used once: what was seen, until it has expired by itself.

Asking and recording are one step. What was recorded is never forgotten before it expires: where
there is no room the answer is "cannot say", so that a flood does not make room for a replay. No
agent fills more than its share.
"""

from __future__ import annotations

import threading
from typing import Final, Literal, Protocol

RECORDS_MAX: Final = 500_000
"""Some 130 MB: 800 signatures a second, each valid for ten minutes."""
SHARES: Final = 16
"""One agent has at most this part of the room."""
BUCKET_S: Final = 60
"""Records end in groups of a minute."""

Use = Literal["fresh", "reused", "full", "forgotten"]


class Nonces(Protocol):
    """Where uses are counted. Behind several workers it has to be one place for all."""

    def record(self, agent: str, nonce: str, *, expires_s: int, now_s: int, uses_max: int) -> Use:
        """Count one use, unless there were ``uses_max``; one step, whoever asks beside."""
        ...


class MemoryNonces:
    """Uses within one process, safe among its threads."""

    def __init__(self, *, records_max: int = RECORDS_MAX) -> None:
        self.records_max = records_max
        self._share = max(1, records_max // SHARES)
        self._lock = threading.Lock()
        self._buckets: dict[int, dict[str, dict[str, int]]] = {}
        """Minute of expiry -> agent -> nonce -> uses."""
        self._count = 0
        self._of_agent: dict[str, int] = {}
        self._forgotten = 0
        """Buckets before this one are gone: a clock that goes back does not bring them back."""

    def __len__(self) -> int:
        return self._count

    def record(self, agent: str, nonce: str, *, expires_s: int, now_s: int, uses_max: int) -> Use:
        """See ``Nonces``."""
        place, now = expires_s // BUCKET_S, now_s // BUCKET_S
        with self._lock:
            if now > self._forgotten:
                self._forget(now)
            if place < self._forgotten:
                return "forgotten"
            bucket = self._buckets.get(place)
            if bucket is None:
                bucket = self._buckets[place] = {}
            own = bucket.get(agent)
            if own is None:
                own = bucket[agent] = {}
            uses = own.get(nonce, 0)
            if uses >= uses_max:
                return "reused"
            if not uses:
                held = self._of_agent.get(agent, 0)
                if held >= self._share or self._count >= self.records_max:
                    return "full"
                self._of_agent[agent] = held + 1
                self._count += 1
            own[nonce] = uses + 1
            return "fresh"

    def _forget(self, now: int) -> None:
        self._forgotten = now
        for place in [place for place in self._buckets if place < now]:
            for agent, uses in self._buckets.pop(place).items():
                self._count -= len(uses)
                left = self._of_agent.get(agent, 0) - len(uses)
                if left > 0:
                    self._of_agent[agent] = left
                else:
                    self._of_agent.pop(agent, None)
