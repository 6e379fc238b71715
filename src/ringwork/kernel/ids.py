"""128-bit identifiers in the UUIDv7 layout (RFC 9562, section 5.7): time-ordered, unguessable.

48 bits of Unix milliseconds, version 7, a 12-bit counter (RFC 9562 section 6.2, method 1), variant,
62 random bits. One generator's ids strictly increase as 16 big-endian bytes even when its clock
goes back: the last millisecond is kept and the counter goes on; a full counter borrows the next
millisecond.
"""

from __future__ import annotations

import hashlib
import uuid

from ringwork.kernel.ports import Clock, Entropy

_COUNTER_MAX = 0xFFF
_RANDOM_MASK = (1 << 62) - 1
_VERSION = 7 << 76
_VARIANT = 2 << 62


class IdGenerator:
    """Makes ids from an injected clock and entropy; one per process and partition."""

    __slots__ = ("_clock", "_counter", "_entropy", "_last_ms")

    def __init__(
        self, clock: Clock, entropy: Entropy, *, last_ms: int = -1, counter: int = 0
    ) -> None:
        self._clock = clock
        self._entropy = entropy
        self._last_ms = last_ms
        self._counter = counter

    def new(self) -> bytes:
        """The next id, 16 bytes, greater than every id this generator made before."""
        now_ms = self._clock.wall_us() // 1000
        if now_ms > self._last_ms:
            self._last_ms, self._counter = now_ms, 0
        elif self._counter < _COUNTER_MAX:
            self._counter += 1
        else:
            self._last_ms, self._counter = self._last_ms + 1, 0
        random_bits = int.from_bytes(self._entropy.take(8), "big") & _RANDOM_MASK
        value = (self._last_ms << 80) | _VERSION | (self._counter << 64) | _VARIANT | random_bits
        return value.to_bytes(16, "big")


def derived_id(source: bytes, label: str) -> bytes:
    """An id for what follows from a thing that has one, of which there is one for each label.

    It draws nothing, so that no later id tells whether it was made. Time and counter are those of
    ``source``, the other 62 bits a hash: whoever knows the one can compute the other. ``label`` has
    at most 64 bytes.
    """
    drawn = hashlib.blake2b(source, key=label.encode(), digest_size=8).digest()
    low = int.from_bytes(drawn, "big") & _RANDOM_MASK | _VARIANT
    return source[:8] + low.to_bytes(8, "big")


def format_id(value: bytes) -> str:
    """The canonical text form, as in ``017f22e2-79b0-7cc3-98c4-dc0c0c07398f``."""
    text = value.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def parse_id(text: str) -> bytes:
    """16 bytes from canonical text (any UUID version); ValueError names what came."""
    try:
        if len(text) != 36:
            raise ValueError(text)
        return uuid.UUID(text).bytes
    except ValueError:
        raise ValueError(
            f"expected an id like 017f22e2-79b0-7cc3-98c4-dc0c0c07398f, got {text[:64]!r}"
        ) from None


def id_time_us(value: bytes) -> int:
    """The wall time in microseconds (whole milliseconds) that a UUIDv7 carries."""
    return int.from_bytes(value[:6], "big") * 1000
