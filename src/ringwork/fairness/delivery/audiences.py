"""The noisy groups of every audience that was measured; a fold.

What was released is what stands: whoever asks again within a window is given the same numbers, so
that asking tells nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

import msgspec

from ringwork.fairness.delivery.events import Audience, AudienceMeasured
from ringwork.fairness.delivery.recent import DAY_US
from ringwork.kernel.events import Event, Recorded

PREFIX: Final = "audiences/"
"""Before a release's key and window: whose privacy budget it has."""


class Audiences:
    """The fold. The newest release of each key."""

    name: ClassVar[str] = "fairness_audiences"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (AudienceMeasured,)

    def __init__(self) -> None:
        self._measured: dict[str, AudienceMeasured] = {}

    def of(self, key: str, window: int) -> AudienceMeasured | None:
        """What holds in a window; a later one's where a clock went back: none is made twice."""
        found = self._measured.get(key)
        return None if found is None or found.window < window else found

    def apply(self, recorded: Recorded) -> None:
        event = recorded.payload
        assert isinstance(event, AudienceMeasured)
        self._measured[event.key] = event

    def clear(self) -> None:
        self._measured.clear()

    def dump(self) -> bytes:
        return msgspec.msgpack.encode(list(self._measured.values()))

    def load(self, state: bytes) -> None:
        self._measured = {one.key: one for one in _decode(state)}


_decode: Final = msgspec.msgpack.Decoder(list[AudienceMeasured]).decode


def key_of(
    audience: Audience, *, tables: str, groups: Mapping[str, Sequence[str]], window_days: int
) -> str:
    """One key for all that says the same: the order of regions means nothing."""
    regions = sorted(set(audience.regions)), sorted(set(audience.excluded_regions))
    said = msgspec.json.encode((regions, tables, groups, window_days), order="deterministic")
    return hashlib.blake2b(said, digest_size=16).hexdigest()


def window_of(now_us: int, window_days: int) -> int:
    """The number of a window: the same for every audience and installation, in UTC."""
    return now_us // DAY_US // window_days
