from typing import ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.kernel.events import (
    Event,
    EventTypes,
    Idempotency,
    UndecodableEvent,
    UnknownEvent,
    array_header,
    decode_frames,
    encode_event,
    encode_frame,
)


class LampLit(Event, frozen=True, array_like=True):
    TYPE: ClassVar[str] = "lamp_lit"
    VERSION: ClassVar[int] = 2
    lamp: str
    brightness: int
    colour: str = "white"


def encoded(event: Event, **members: object) -> bytes:
    given = {
        "id": b"i" * 16,
        "ts_us": 5,
        "request_id": b"r" * 16,
        "cause_id": None,
        "tenant": "main",
    }
    return encode_event(event, **{**given, **members})


def test_an_event_is_the_array_of_the_platform_format():
    wire = msgspec.msgpack.decode(encoded(LampLit("hall", 3), subject=b"s" * 16, purpose="light"))
    assert wire == [
        b"i" * 16,
        5,
        "lamp_lit",
        2,
        b"r" * 16,
        None,
        "main",
        b"s" * 16,
        "light",
        ["hall", 3, "white"],
    ]


def test_a_frame_holds_its_key_and_its_events():
    key = Idempotency("main", "POST /v1/lamps", "k", b"f" * 32, 201, b"{}")
    payload = (
        array_header(2)
        + encode_frame([encoded(LampLit("hall", 3))], key)
        + encode_frame([encoded(LampLit("attic", 1))])
    )
    first, second = decode_frames(payload)
    assert first.idempotency == key
    assert second.idempotency is None
    types = EventTypes([LampLit])
    assert types.decode(first.events[0]) == LampLit("hall", 3)
    assert types.decode(second.events[0]) == LampLit("attic", 1)


def test_members_appended_later_are_optional_for_old_events():
    old = msgspec.msgpack.encode(
        [b"i", 5, "lamp_lit", 2, b"r", None, "main", None, None, ["hall", 3]]
    )
    (frame,) = decode_frames(array_header(1) + encode_frame([old]))
    assert EventTypes([LampLit]).decode(frame.events[0]) == LampLit("hall", 3, "white")


def test_an_old_version_is_upcast_on_read():
    old = msgspec.msgpack.encode([b"i", 5, "lamp_lit", 1, b"r", None, "main", None, None, ["hall"]])
    (frame,) = decode_frames(array_header(1) + encode_frame([old]))
    types = EventTypes([LampLit])
    assert types.decode(frame.events[0]) == UnknownEvent(msgspec.msgpack.encode(["hall"]))
    types.add_upcaster(
        "lamp_lit", 1, lambda raw: msgspec.msgpack.encode([*msgspec.msgpack.decode(raw), 100])
    )
    assert types.decode(frame.events[0]) == LampLit("hall", 100)


def test_unknown_types_are_kept_raw():
    strange = msgspec.msgpack.encode(
        [b"i", 5, "comet_seen", 1, b"r", None, "main", None, None, [1, {"a": 2}]]
    )
    (frame,) = decode_frames(array_header(1) + encode_frame([strange]))
    event = EventTypes().decode(frame.events[0])
    assert isinstance(event, UnknownEvent)
    assert msgspec.msgpack.decode(event.raw) == [1, {"a": 2}]


def test_a_payload_that_does_not_fit_its_struct_is_named():
    bad = msgspec.msgpack.encode(
        [b"\x01\x02", 5, "lamp_lit", 2, b"r", None, "main", None, None, ["hall", "x"]]
    )
    (frame,) = decode_frames(array_header(1) + encode_frame([bad]))
    with pytest.raises(UndecodableEvent, match=r"event 0102: lamp_lit v2: Expected `int`"):
        EventTypes([LampLit]).decode(frame.events[0])


def test_a_value_that_cannot_be_written_fails_at_once():
    with pytest.raises(OverflowError):
        encoded(LampLit("hall", 1 << 64))


def test_two_structs_cannot_claim_one_type():
    class Other(Event, frozen=True, array_like=True):
        TYPE: ClassVar[str] = "lamp_lit"

    types = EventTypes([LampLit])
    types.add(LampLit)
    with pytest.raises(ValueError, match="two structs claim"):
        types.add(Other)
    assert list(types) == [LampLit]
    assert types.get("lamp_lit") is LampLit


@given(st.integers(0, 70_000))
def test_array_header_is_msgpacks(count):
    assert array_header(count) == msgspec.msgpack.encode([None] * count)[: -count or None]


def test_sealed_members_are_declared_and_members_are_named():
    assert LampLit.PERSONAL == ()
    assert LampLit("hall", 3).members() == {"lamp": "hall", "brightness": 3, "colour": "white"}
