"""A snapshot in memory."""

from __future__ import annotations

from collections.abc import Mapping


class MemorySnapshots:
    """Holds the last snapshot that was saved."""

    def __init__(self) -> None:
        self._saved: tuple[int, dict[str, bytes]] = (0, {})

    def save(self, seq: int, states: Mapping[str, bytes]) -> None:
        self._saved = (seq, dict(states)) if states else (0, {})

    def load(self) -> tuple[int, dict[str, bytes]]:
        seq, states = self._saved
        return seq, dict(states)
