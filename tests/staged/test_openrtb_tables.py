"""Our structs and codes against the published tables of OpenRTB 2.6 and AdCOM."""

import json
import types
import typing
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from ringwork.ads.creatives import vast_protocol
from ringwork.ads.openrtb import answer, ask, impressions, native, notices, reasons, slots, structs
from ringwork.ads.openrtb.native import NativeAsk
from tests.ads.openrtb.wire import (
    AUDIO,
    VIDEO,
    audio_creative,
    creative,
    native_creative,
    request,
    served,
    video_creative,
)
from tests.ads.openrtb.wire import answer as answered
from tests.ads.openrtb.wire import native as native_imp

# Their names in the tables; extensions are not part of the standard's objects.
RENAMED = {"Dooh": "DOOH", "UserGeo": "Geo"}
OURS = {
    "Ext", "ImpExt", "ImpExtPrebid", "UserExt", "RegsExt", "SourceExt", "Dsa", "Transparency",
    "Seller",
}  # fmt: skip
STRUCTS = [
    kind
    for module in (structs, impressions, answer)
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


WIRE_TYPES = {
    "string": str, "integer": int, "float": float, "object": dict,
    "string array": list, "integer array": list, "object array": list,
}  # fmt: skip
CASES = {
    "banner": (request(cur=["EUR"]), creative()),
    "video": (request({"video": VIDEO}), video_creative(language="pt-PT")),
    "audio": (request({"audio": AUDIO}), audio_creative()),
    "native": (request(native_imp()), native_creative(app_bundle="org.app")),
    "test": (request(test=1), creative()),
    "dsa": (request(regs={"ext": {"dsa": {"dsarequired": 2, "datatopub": 2}}}), creative()),
}


@pytest.mark.parametrize("case", CASES)
def test_responses_hold_what_the_standard_has(staged_data: Path, case: str):
    """Required members are there, and every member has its name and type."""
    objects = table(staged_data, "openrtb26_objects.json")["objects"]
    body, ad = CASES[case]
    tokens = {"impression": "i", "click": "c", "notice": "n"}
    sold = served(ad, deal_id="d", behalf="A", payer="B", tokens=tokens)
    whole = answered(body, sold, warnings=["w"])
    (seat,) = whole["seatbid"]
    (bid,) = seat["bid"]
    for kind, value in (("BidResponse", whole), ("SeatBid", seat), ("Bid", bid)):
        members = {one["name"]: one for one in objects[kind]}
        required = {name for name, one in members.items() if one["presence"] == "required"}
        assert required <= value.keys() <= members.keys()
        for name, given in value.items():
            assert isinstance(given, WIRE_TYPES[members[name]["type"]]), (kind, name)


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
    subtypes = lists["Creative Subtypes - Audio/Video"]
    for code, version in vast_protocol.IN_LINE.items():
        assert subtypes[str(code)] == f"VAST {version}"
    for code, version in vast_protocol.WRAPPERS.items():
        assert subtypes[str(code)] == f"VAST {version} Wrapper"
    for code, name in native.DATA_ASSETS.items():
        assert lists["Native Data Asset Types"][str(code)].partition(" ")[0].strip(":;,.") == name
    assert lists["Native Image Asset Types"][str(native.IMAGE_ICON)].startswith("Icon")
    assert {str(code) for code in ask.DEVICE_TYPES} <= lists["Device Types"].keys()
    assert "3.1" in lists["Category Taxonomies"][str(answer.CONTENT_3_1)]
    assert "1.0" in lists["Category Taxonomies"][str(answer.CONTENT_1_0)]
    assert lists["Native Image Asset Types"][str(native.IMAGE_MAIN)].startswith("Main")
    data = lists["Native Data Asset Types"]
    assert data[str(native.DATA_SPONSORED)].startswith("sponsored")
    assert data[str(native.DATA_DESCRIPTION)].startswith("desc:")
    assert data[str(native.DATA_DISPLAY_URL)].startswith("displayurl")
    dedupe = lists["Pod Deduplication Settings"]
    words = {
        "advertiser": "adomain", "category": "taxonomy", "creative": "creative id",
        "media": "mediafile",
    }  # fmt: skip
    for code, distinct in slots.POD_DEDUPE.items():
        assert words[distinct] in dedupe[str(code)].lower(), dedupe[str(code)]


def test_loss_reasons_of_the_standard_can_be_read(staged_data: Path):
    for code in table(staged_data, "openrtb_codes.json")["loss_reason"]:
        assert notices.read_notice("lost", f"reason={code}".encode()).reason == int(code)
