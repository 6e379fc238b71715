"""318 byte strings against every body decoder of ours: accepted or refused, never an accident."""

from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from ringwork.ads import openrtb
from ringwork.ads.openrtb import BadBidRequest
from ringwork.kernel.errors import Refused
from ringwork.web.strict import decode, decode_untyped


class Lamp(Struct, forbid_unknown_fields=True):
    id: str
    watts: int


def cases(staged_data: Path) -> list[Path]:
    found = sorted((staged_data / "platform" / "json-test-suite" / "test_parsing").glob("*.json"))
    assert len(found) == 318
    return found


def test_valid_json_is_read_and_invalid_json_is_400(staged_data: Path):
    wrong = []
    for path in cases(staged_data):
        try:
            decode_untyped(path.read_bytes())
            accepted = True
        except Refused as refused:
            assert refused.status == 400
            accepted = False
        if path.name[0] in "yn" and accepted != (path.name[0] == "y"):
            wrong.append(path.name)
    assert wrong == []


@pytest.mark.parametrize("kind", [Lamp, list[Lamp], dict[str, int]])
def test_typed_bodies_are_read_or_refused(staged_data: Path, kind: type):
    decoder = msgspec.json.Decoder(kind)
    for path in cases(staged_data):
        try:
            decode(path.read_bytes(), decoder)
        except Refused as refused:
            assert refused.status in (400, 422), path.name


def test_bid_requests_are_read_or_refused(staged_data: Path):
    for path in cases(staged_data):
        with pytest.raises(BadBidRequest):
            openrtb.decode(path.read_bytes())
