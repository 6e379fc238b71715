from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from ringwork.kernel.errors import Invalid, Refused
from ringwork.web.problems import Malformed, UnsupportedMediaType
from ringwork.web.strict import check_json, decode, json_pointer


class Bulb(Struct, forbid_unknown_fields=True):
    watts: Annotated[int, Meta(ge=0, le=100)]


class Lamp(Struct, forbid_unknown_fields=True):
    id: str
    bulbs: list[Bulb] = []
    ratio: float = 1.0


LAMP = msgspec.json.Decoder(Lamp)


def test_integral_floats_are_integers_and_strings_are_not():
    assert decode(b'{"id":"a","bulbs":[{"watts":5.0}]}', LAMP).bulbs[0].watts == 5
    assert decode(b'{"id":"a","ratio":2.0}', LAMP).ratio == 2.0
    with pytest.raises(Invalid) as refused:
        decode(b'{"id":"a","bulbs":[{"watts":"5"}]}', LAMP)
    assert [(fault.pointer, fault.detail) for fault in refused.value.errors] == [
        ("/bulbs/0/watts", "Expected `int`, got `str`")
    ]


@pytest.mark.parametrize("watts", [b"5.5", b"1e300", b"101.0", b"-1.0"])
def test_floats_that_are_no_integer_in_range_are_invalid(watts):
    with pytest.raises(Invalid):
        decode(b'{"id":"a","bulbs":[{"watts":%b}]}' % watts, LAMP)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[" * 100_000, b"\xff\xfe{}", b"\xef\xbb\xbf{}", b'{"id":NaN}', b'"\xff"']
)
def test_what_is_no_json_is_malformed_or_of_the_wrong_type(body):
    with pytest.raises((Malformed, Invalid)):
        decode(body, LAMP)


def test_unknown_members_are_named():
    with pytest.raises(Invalid, match="unknown field `colour`"):
        decode(b'{"id":"a","colour":"red"}', LAMP)


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(body):
    try:
        decode(body, LAMP)
    except Refused as refused:
        assert refused.status in (400, 422)


@pytest.mark.parametrize(
    ("path", "pointer"),
    [("$", ""), ("$.a[0].b", "/a/0/b"), ("$[...]", "/..."), ("$.a/b", "/a~1b"), ("$.a~b", "/a~0b")],
)
def test_pointers(path, pointer):
    assert json_pointer(path) == pointer


@pytest.mark.parametrize(
    "kind", [b"application/json", b"application/json; charset=UTF-8", b"application/vnd.x+json"]
)
def test_json_media_types_are_taken(kind):
    check_json(kind, b"")


@pytest.mark.parametrize(
    ("kind", "coding"),
    [
        (b"text/plain", b""),
        (b"", b""),
        (b"application/json; charset=latin-1", b""),
        (b"application/json", b"gzip"),
    ],
)
def test_other_media_types_are_415(kind, coding):
    with pytest.raises(UnsupportedMediaType):
        check_json(kind, coding)
