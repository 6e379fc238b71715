"""A snapshot in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


class MemorySnapshots:
    """Holds the last snapshot that was saved."""

    def __init__(self) -> None:
        self._saved: tuple[int, dict[str, bytes]] = (0, {})

    @property
    def size_bytes(self) -> int:
        return sum(map(len, self._saved[1].values()))

    def save(self, seq: int, states: Mapping[str, bytes]) -> None:
        for _ in self.saving(seq, states):
            pass

    def saving(self, seq: int, states: Mapping[str, bytes]) -> Iterator[None]:
        copied = dict(states)
        yield
        self._saved = (seq, copied) if copied else (0, {})

    def load(self) -> tuple[int, dict[str, bytes]]:
        seq, states = self._saved
        return seq, dict(states)
