"""Bytes to a valid ``BidRequest``: typed once, 2.5 members moved to their 2.6 place, rules checked.

Members have their exact types, except that an integral number with a decimal point is an integer
(as in JSON Schema). Of duplicate members the last one counts.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

import msgspec

from ringwork.ads.openrtb.lift import lift
from ringwork.ads.openrtb.native import NativeAsk, parse
from ringwork.ads.openrtb.reasons import BadBidRequest
from ringwork.ads.openrtb.structs import BidRequest
from ringwork.ads.openrtb.validate import validate

_LOCATED = re.compile(r"(?P<detail>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?", re.DOTALL)
_INTEGRAL: Final = "got `float`"
_MAX_EXACT = Decimal(2**53)


def _convert(type: type, value: object) -> object:
    """Called by msgspec for the one member that is JSON in a string; its errors get the path."""
    assert type is NativeAsk, type
    if not isinstance(value, str):
        raise ValueError("Expected `str`")  # msgspec turns ValueError into its own
    return parse(value)


_DECODER = msgspec.json.Decoder(BidRequest, dec_hook=_convert)
_UNTYPED = msgspec.json.Decoder(float_hook=Decimal)


def decode(body: bytes, warnings: list[str] | None = None) -> BidRequest:
    """The request in ``body``; BadBidRequest names the member that breaks a rule.

    ``warnings`` receives members that contradict each other without making the request invalid.
    """
    try:
        request = _DECODER.decode(body)
    except msgspec.ValidationError as error:
        if _INTEGRAL not in str(error):
            raise _located(body, error) from None
        request = _decode_integral(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadBidRequest("JSON", str(error)) from None
    lift(request, warnings)
    validate(request)
    return request


def _decode_integral(body: bytes) -> BidRequest:
    """Decode again with 300.0 read as 300; only requests that were refused for it pay for it."""
    try:
        untyped = _with_integers(_UNTYPED.decode(body))
        return msgspec.convert(untyped, BidRequest, dec_hook=_convert)
    except msgspec.ValidationError as error:
        raise _located(body, error) from None
    except RecursionError as error:
        raise BadBidRequest("JSON", str(error)) from None


def _with_integers(value: object) -> object:
    if isinstance(value, Decimal):
        exact = value.is_finite() and abs(value) <= _MAX_EXACT and value == int(value)
        return int(value) if exact else value
    if isinstance(value, list):
        return [_with_integers(one) for one in value]
    if isinstance(value, dict):
        return {name: _with_integers(one) for name, one in value.items()}
    return value


def _located(body: bytes, error: msgspec.ValidationError) -> BadBidRequest:
    """The error with its member; what is inside an ``ext`` is the exchange's, so that is named."""
    match = _LOCATED.fullmatch(str(error))
    assert match is not None
    path = match["path"] or ""
    if not path:
        return BadBidRequest("id" if body.strip() == b"null" else "JSON", match["detail"])
    head, ext, _ = f"{path}.".partition(".ext.")
    return BadBidRequest(f"{head}.ext" if ext else path, match["detail"])
