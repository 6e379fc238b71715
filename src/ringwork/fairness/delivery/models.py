"""The noisy sums that say how the proxy blurs groups, as they were released; a fold.

As ``audiences``: whoever asks again within a window is given the same numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import ClassVar, Final

import msgspec

from ringwork.fairness.delivery.events import ModelMeasured
from ringwork.kernel.events import Event, Recorded

PREFIX: Final = "models/"
"""Before a release's key and window: whose privacy budget it has."""


class Models:
    """The fold. The newest release of each key."""

    name: ClassVar[str] = "fairness_models"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (ModelMeasured,)

    def __init__(self) -> None:
        self._measured: dict[str, ModelMeasured] = {}

    def of(self, key: str, window: int) -> ModelMeasured | None:
        """What holds in a window; a later one's where a clock went back: none is made twice."""
        found = self._measured.get(key)
        return None if found is None or found.window < window else found

    def apply(self, recorded: Recorded) -> None:
        event = recorded.payload
        assert isinstance(event, ModelMeasured)
        self._measured[event.key] = event

    def clear(self) -> None:
        self._measured.clear()

    def dump(self) -> bytes:
        return msgspec.msgpack.encode(list(self._measured.values()))

    def load(self, state: bytes) -> None:
        self._measured = {one.key: one for one in _decode(state)}


_decode: Final = msgspec.msgpack.Decoder(list[ModelMeasured]).decode


def key_of(attribute: str, *, tables: str, groups: Sequence[str], window_days: int) -> str:
    """One key for all that says the same."""
    said = msgspec.json.encode((attribute, tables, groups, window_days))
    return hashlib.blake2b(said, digest_size=16).hexdigest()
