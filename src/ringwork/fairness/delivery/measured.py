"""What is measured once in a window: whole audiences, and how the proxy blurs; a fold.

What was released is what stands: whoever asks again within a window is given the same numbers, so
that asking tells nothing.
"""

from __future__ import annotations

import hashlib
from typing import ClassVar, Final

import msgspec

from ringwork.fairness.delivery.events import AudienceMeasured, ModelMeasured
from ringwork.fairness.delivery.recent import DAY_US
from ringwork.kernel.events import Event, Recorded


class Measured:
    """The fold. The newest release of each key, of audiences and of models."""

    name: ClassVar[str] = "fairness_measured"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (AudienceMeasured, ModelMeasured)

    def __init__(self) -> None:
        self._audiences: dict[str, AudienceMeasured] = {}
        self._models: dict[str, ModelMeasured] = {}

    def audience(self, key: str, window: int) -> AudienceMeasured | None:
        """What holds in a window; a later one's where a clock went back: none is made twice."""
        found = self._audiences.get(key)
        return None if found is None or found.window < window else found

    def model(self, key: str, window: int) -> ModelMeasured | None:
        """The same of how the proxy blurs."""
        found = self._models.get(key)
        return None if found is None or found.window < window else found

    def apply(self, recorded: Recorded) -> None:
        match recorded.payload:
            case AudienceMeasured() as event:
                self._audiences[event.key] = event
            case ModelMeasured() as event:
                self._models[event.key] = event

    def clear(self) -> None:
        self._audiences.clear()
        self._models.clear()

    def dump(self) -> bytes:
        return msgspec.msgpack.encode((list(self._audiences.values()), list(self._models.values())))

    def load(self, state: bytes) -> None:
        audiences, models = _decode(state)
        self._audiences = {one.key: one for one in audiences}
        self._models = {one.key: one for one in models}


_decode: Final = msgspec.msgpack.Decoder(tuple[list[AudienceMeasured], list[ModelMeasured]]).decode


def key_of(*said: object) -> str:
    """One key for all that says the same."""
    text = msgspec.json.encode(said, order="deterministic")
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def window_of(now_us: int, window_days: int) -> int:
    """The number of a window: the same for everybody and every installation, in UTC."""
    return now_us // DAY_US // window_days
