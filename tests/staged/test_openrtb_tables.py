"""Our structs and codes against the published tables of OpenRTB 2.6 and AdCOM."""

import json
import types
import typing
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from ringwork.ads.openrtb import answer, ask, native, reasons, structs
from ringwork.ads.openrtb.native import NativeAsk

# Their names in the tables; extensions are not part of the standard's objects.
RENAMED = {"Dooh": "DOOH", "UserGeo": "Geo"}
OURS = {"Ext", "ImpExt", "ImpExtPrebid", "UserExt", "RegsExt", "SourceExt", "Dsa"}
STRUCTS = [
    kind
    for module in (structs, answer)
    for kind in vars(module).values()
    if isinstance(kind, type)
    and issubclass(kind, msgspec.Struct)
    and kind.__module__ == module.__name__
    and kind.__name__ not in OURS
]
FORBIDDEN = {
    "buyeruid", "yob", "gender", "customdata", "data", "eids", "ifa", "ip", "ipv6", "ua", "sua",
    "didsha1", "didmd5", "dpidsha1", "dpidmd5", "macsha1", "macmd5", "lat", "lon", "zip", "city",
    "metro", "tid",
}  # fmt: skip


def table(staged_data: Path, name: str) -> dict:
    return json.loads((staged_data / "ads" / "tables" / name).read_text())


def wire_type(hint: object) -> str:
    """The table's word for the type of a member."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return wire_type(next(one for one in args if one is not type(None)))
    if origin is typing.Annotated:
        return wire_type(args[0])
    if origin is typing.Literal:
        return wire_type(type(args[0]))
    if origin is list:
        return f"{wire_type(args[0])} array"
    if origin is dict or hint is msgspec.Raw:
        return "object"
    assert isinstance(hint, type)
    if issubclass(hint, msgspec.Struct):
        return "object"
    # The native request travels as text.
    return {str: "string", int: "integer", Decimal: "float", float: "float", NativeAsk: "string"}[
        hint
    ]


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.__name__)
def test_members_have_the_names_and_types_of_the_standard(staged_data: Path, kind: type):
    objects = table(staged_data, "openrtb26_objects.json")["objects"]
    members = {
        one["name"]: one["type"] for one in objects[RENAMED.get(kind.__name__, kind.__name__)]
    }
    ours = {name: wire_type(hint) for name, hint in typing.get_type_hints(kind).items()}
    assert ours.items() <= members.items()


def test_what_is_required_of_a_response_is_written(staged_data: Path):
    objects = table(staged_data, "openrtb26_objects.json")["objects"]
    for kind in (answer.BidResponse, answer.SeatBid, answer.Bid):
        required = {one["name"] for one in objects[kind.__name__] if one["presence"] == "required"}
        always = {one.encode_name for one in msgspec.structs.fields(kind) if one.required}
        assert required <= always


def test_no_struct_has_a_member_for_a_person_or_a_device():
    for kind in STRUCTS:
        assert not FORBIDDEN & set(kind.__struct_fields__), kind
    assert "id" not in structs.User.__struct_fields__


def test_numbers_of_the_standard_keep_their_meaning(staged_data: Path):
    known = table(staged_data, "openrtb_codes.json")["no_bid_reason"]
    for no_bid in reasons.NO_BIDS:
        assert no_bid.nbr >= 500 or str(no_bid.nbr) in known
    assert known[str(reasons.INSUFFICIENT_TIME.nbr)] == "Insufficient Auction Time"
    assert len({no_bid.nbr for no_bid in reasons.NO_BIDS}) == len(reasons.NO_BIDS)


def test_codes_of_adcom(staged_data: Path):
    lists = table(staged_data, "adcom_lists.json")["lists"]
    for code, version in ask.VAST_PROTOCOLS.items():
        assert lists["Creative Subtypes - Audio/Video"][str(code)] == f"VAST {version}"
    assert {str(code) for code in ask.DEVICE_TYPES} <= lists["Device Types"].keys()
    assert "3.1" in lists["Category Taxonomies"][str(answer.CATEGORY_TAXONOMY)]
    assert lists["Native Image Asset Types"][str(native.IMAGE_MAIN)].startswith("Main")
    data = lists["Native Data Asset Types"]
    assert data[str(native.DATA_SPONSORED)].startswith("sponsored")
    assert data[str(native.DATA_DESCRIPTION)].startswith("desc:")
    assert data[str(native.DATA_DISPLAY_URL)].startswith("displayurl")
