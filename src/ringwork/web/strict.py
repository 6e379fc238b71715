"""Decode JSON bodies strictly, once, with the type's own decoder.

JSON Schema says that ``3790.0`` is an integer; msgspec's lax mode would accept it, and ``"12"``
with it. So the first try is strict, and only when an integer was expected where a float came is the
body decoded untyped, integral floats become integers, and the result is converted strictly. The
good path pays nothing. Nesting of 100,000 brackets (RecursionError) and bad UTF-8 are malformed,
never a server error.
"""

from __future__ import annotations

import re
from typing import Final, TypeVar

import msgspec

from ringwork.kernel.errors import Fault, Invalid
from ringwork.web.problems import Malformed, UnsupportedMediaType

T = TypeVar("T")

MAX_EXACT_FLOAT: Final = 2.0**53
"""Past it a float no longer names one integer."""

_PATH: Final = re.compile(r" - at `(\$[^`]*)`$")
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_JSON_TYPES: Final = frozenset({b"application/json", b"text/json"})


def decode(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """The body as the decoder's type; Malformed (400) or Invalid (422) with a pointer."""
    if not body:
        raise Malformed("a JSON body is expected, the body is empty")
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        if "Expected `int" in str(error) and "got `float`" in str(error):
            return _decode_integral(body, decoder)
        raise invalid(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error) from None


def decode_untyped(body: bytes) -> object:
    """The body as plain values, integral floats as integers (for fingerprints).

    Malformed otherwise.
    """
    try:
        return integral(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error) from None


def _decode_integral(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return msgspec.convert(decode_untyped(body), decoder.type, strict=True)
    except msgspec.ValidationError as error:
        raise invalid(error) from None


def integral(value: object) -> object:
    """Integral floats up to 2**53 as integers, recursively."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= MAX_EXACT_FLOAT:
        return int(value)
    if isinstance(value, list):
        return [integral(item) for item in value]
    if isinstance(value, dict):
        return {key: integral(item) for key, item in value.items()}
    return value


def invalid(error: msgspec.ValidationError) -> Invalid:
    """422 with the JSON pointer that msgspec's path ``$.a[0].b`` names."""
    text = str(error)
    match = _PATH.search(text)
    detail = text[: match.start()] if match else text
    pointer = json_pointer(match.group(1)) if match else ""
    return Invalid(f"{pointer or 'the body'}: {detail}", [Fault(pointer, detail)])


def malformed(error: Exception) -> Malformed:
    """400; the text says what the reader stumbled over."""
    if isinstance(error, RecursionError):
        return Malformed("the body is nested too deeply")
    if isinstance(error, UnicodeDecodeError):
        return Malformed("the body is not UTF-8")
    return Malformed(str(error)[:200])


def json_pointer(path: str) -> str:
    """RFC 6901 form of ``$.imp[0].banner``.

    ``/imp/0/banner`` (``...`` is a key msgspec cannot name).
    """
    steps = (name or number for name, number in _STEP.findall(path))
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def check_json(content_type: bytes, content_encoding: bytes, *, required: bool = True) -> None:
    """415 unless the body is plain JSON; ``required`` asks for the header itself."""
    media, _, parameters = content_type.partition(b";")
    media = media.strip().lower()
    plain = media in _JSON_TYPES or (media.startswith(b"application/") and media.endswith(b"+json"))
    if not plain and (media or required):
        given = media.decode("latin-1") or "none"
        raise UnsupportedMediaType(f"expected application/json, got {given}")
    charset = parameters.replace(b" ", b"").lower()
    if b"charset=" in charset and b"utf-8" not in charset:
        raise UnsupportedMediaType("JSON is UTF-8 (RFC 8259, section 8.1); send no other charset")
    if content_encoding.strip().lower() not in (b"", b"identity"):
        raise UnsupportedMediaType("expected no content coding")
