"""The event envelope, the registry of event types, and the frame.

One command's events, one atomic write.

Wire format (msgpack, platform log format 1): an event is the array ``[id, ts_us, type, version,
request_id, cause_id, tenant, subject, purpose, payload]``, a frame ``[idempotency | nil, [event,
...]]``. A published payload struct is never edited: optional members are appended at its end, or it
gets a new version and an upcaster. Types that a reader does not know are kept as raw bytes, never
dropped. None of these structs can be part of a reference cycle, so the garbage collector does not
track them (``gc=False``): with a million of them alive its passes cost more than the folding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar, Final

import msgspec
from msgspec import Struct

from ringwork.kernel.errors import RingworkError


class Event(Struct, frozen=True, array_like=True, gc=False):
    """Base of every payload.

    Subclasses name their type (past tense) and version, and may hold personal members.

    ``PERSONAL`` lists members that are sealed per subject before they are recorded (``bytes`` on
    the wire); ``RETENTION`` says in words how long the fact is needed, for the reference page.
    """

    TYPE: ClassVar[str]
    VERSION: ClassVar[int] = 1
    PERSONAL: ClassVar[tuple[str, ...]] = ()
    RETENTION: ClassVar[str] = "as long as the ledger it explains"

    def members(self) -> dict[str, object]:
        """The payload with named members.

        As the HTTP API shows it (bytes become text at the edge).
        """
        return msgspec.structs.asdict(self)


class UnknownEvent(Event, frozen=True, array_like=True):
    """A type or version that this process does not know.

    ``raw`` is its msgpack payload, untouched.
    """

    TYPE: ClassVar[str] = "unknown"
    raw: bytes


class Envelope(Struct, frozen=True, array_like=True, gc=False):
    """What every event carries; ``payload`` stays encoded until somebody needs it."""

    id: bytes
    ts_us: int
    type: str
    version: int
    request_id: bytes
    cause_id: bytes | None
    tenant: str
    subject: bytes | None
    purpose: str | None
    payload: msgspec.Raw


class _Outgoing(Struct, frozen=True, array_like=True, gc=False):
    """An envelope whose payload is still a struct, so that one pass encodes both."""

    id: bytes
    ts_us: int
    type: str
    version: int
    request_id: bytes
    cause_id: bytes | None
    tenant: str
    subject: bytes | None
    purpose: str | None
    payload: Event


class Idempotency(Struct, frozen=True, array_like=True, gc=False):
    """The key of a command and the first answer to it.

    Inside the command's own frame (one atomic write).
    """

    tenant: str
    scope: str
    """``"METHOD path"``."""
    key: str
    fingerprint: bytes
    """HMAC-SHA-256 of the canonical decoded body, keyed by the installation."""
    status: int
    body: bytes


class Frame(Struct, frozen=True, array_like=True, gc=False):
    """One command: all of its events or none."""

    idempotency: Idempotency | None
    events: list[Envelope]


class Recorded(Struct, frozen=True, gc=False):
    """One fact as folds and projections see it.

    Where it stands, what its envelope says, its payload.
    """

    partition: int
    seq: int
    id: bytes
    ts_us: int
    request_id: bytes
    cause_id: bytes | None
    tenant: str
    subject: bytes | None
    purpose: str | None
    payload: Event


class UndecodableEvent(RingworkError):
    """A payload that does not match the struct registered for its type and version."""


Upcaster = Callable[[bytes], bytes]
"""msgpack payload of version n -> msgpack payload of version n + 1."""

_encoder: Final = msgspec.msgpack.Encoder()
_frames: Final = msgspec.msgpack.Decoder(list[Frame])


class EventTypes:
    """Which struct decodes which (type, version).

    Built by the composition root from the parts' lists.
    """

    def __init__(self, types: Iterable[type[Event]] = ()) -> None:
        self._types: dict[str, type[Event]] = {}
        self._decoders: dict[tuple[str, int], msgspec.msgpack.Decoder[Event]] = {}
        self._upcasters: dict[tuple[str, int], Upcaster] = {}
        for event_type in types:
            self.add(event_type)

    def add(self, event_type: type[Event]) -> None:
        """Register the current version of a type.

        A second struct for one name is a programming error.
        """
        name = event_type.TYPE
        if self._types.get(name, event_type) is not event_type:
            raise ValueError(f"two structs claim the event type {name!r}")
        self._types[name] = event_type
        self._decoders[name, event_type.VERSION] = msgspec.msgpack.Decoder(event_type)

    def add_upcaster(self, name: str, from_version: int, upcaster: Upcaster) -> None:
        """How an old payload of ``name`` becomes one of ``from_version + 1``."""
        self._upcasters[name, from_version] = upcaster

    def __iter__(self) -> Iterator[type[Event]]:
        return iter(self._types.values())

    def get(self, name: str) -> type[Event] | None:
        """The struct registered for a type name."""
        return self._types.get(name)

    def decode(self, envelope: Envelope) -> Event:
        """The payload as its struct, upcast where it is old.

        UnknownEvent where nobody knows the type.
        """
        decoder = self._decoders.get((envelope.type, envelope.version))
        try:
            if decoder is not None:
                return decoder.decode(envelope.payload)
            return self._decode_old(envelope)
        except msgspec.DecodeError as error:
            raise UndecodableEvent(
                f"event {envelope.id.hex()}: {envelope.type} v{envelope.version}: {error}"
            ) from error

    def _decode_old(self, envelope: Envelope) -> Event:
        version, payload = envelope.version, bytes(envelope.payload)
        while (upcaster := self._upcasters.get((envelope.type, version))) is not None:
            version, payload = version + 1, upcaster(payload)
        decoder = self._decoders.get((envelope.type, version))
        return UnknownEvent(bytes(envelope.payload)) if decoder is None else decoder.decode(payload)


def encode_event(
    event: Event,
    *,
    id: bytes,
    ts_us: int,
    request_id: bytes,
    cause_id: bytes | None,
    tenant: str,
    subject: bytes | None = None,
    purpose: str | None = None,
) -> bytes:
    """One event as msgpack; TypeError or OverflowError for a value that cannot be written."""
    return _encoder.encode(
        _Outgoing(
            id, ts_us, event.TYPE, event.VERSION, request_id, cause_id,
            tenant, subject, purpose, event,
        )
    )  # fmt: skip


def encode_frame(events: list[bytes], idempotency: Idempotency | None = None) -> bytes:
    """A frame from already encoded events."""
    head = b"\x92" + (b"\xc0" if idempotency is None else _encoder.encode(idempotency))
    return b"".join((head, array_header(len(events)), *events))


def array_header(count: int) -> bytes:
    """The msgpack header of an array of ``count`` items (fixarray, array 16, array 32)."""
    if count < 16:
        return bytes((0x90 | count,))
    if count < 1 << 16:
        return b"\xdc" + count.to_bytes(2, "big")
    return b"\xdd" + count.to_bytes(4, "big")


def decode_frames(payload: bytes) -> list[Frame]:
    """The frames of one log row (msgpack array of frames).

    Msgspec.DecodeError when it is not that.
    """
    return _frames.decode(payload)
