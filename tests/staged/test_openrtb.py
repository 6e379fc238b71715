"""Other people's OpenRTB requests: answered, or refused with the member that breaks a shared rule."""

import json
from pathlib import Path

import pytest

from ringwork.ads import openrtb
from ringwork.ads.model import Ask
from ringwork.ads.openrtb import BadBidRequest, BidderTerms, NoBid

TERMS = BidderTerms(currency="EUR")
NOW_US = 1_764_158_400_000_000

# Files of the document's text that are pieces of a request, not requests.
FRAGMENTS = {
    "implementation-example-1-single-extended-content-identifier-v-1.json",
    "implementation-example-2-multiple-extended-content-identifier-1.json",
    "pod-dynamic-bidrequest.json",
}


# The impression is kept on that server and only named here: a feature of its own, not of OpenRTB.
STORED = {"imp-info-invalid.json"}


def answered(body: bytes) -> Ask | NoBid:
    request = openrtb.decode(body)
    return openrtb.to_ask(request, TERMS, request_id=bytes(16), now_us=NOW_US)


def mock_request(path: Path) -> bytes | None:
    try:
        case = json.loads(path.read_text())
    except ValueError:
        return None
    wanted = case.get("mockBidRequest")
    return None if wanted is None else json.dumps(wanted).encode()


def samples(staged_data: Path) -> Path:
    return staged_data / "ads" / "prebid" / "sample-requests"


@pytest.mark.parametrize("folder", ["invalid-whole", "invalid-native"])
def test_refusals_name_the_member_of_a_shared_rule(staged_data: Path, folder: str):
    classes = json.loads((staged_data / "ads" / "prebid" / "CLASSES.json").read_text())[folder]
    wrong = []
    for name, verdict in classes.items():
        body = mock_request(samples(staged_data) / folder / name)
        if body is None:
            body = (samples(staged_data) / folder / name).read_bytes()
        try:
            answered(body)
            field = None
        except BadBidRequest as error:
            field = error.path
        expected = verdict.get("field") if verdict["class"] == "openrtb" else None
        if expected is not None and field != expected:
            wrong.append((name, expected, field))
    assert wrong == []


@pytest.mark.parametrize("folder", ["valid-whole", "valid-native"])
def test_valid_requests_are_answered(staged_data: Path, folder: str):
    refused = []
    for path in sorted((samples(staged_data) / folder).rglob("*.json")):
        body = mock_request(path)
        if body is None or path.name in STORED:
            continue
        try:
            answered(body)
        except BadBidRequest as error:
            refused.append((path.name, str(error)))
    assert refused == []


def test_examples_of_the_specification_are_answered(staged_data: Path):
    wrong = []
    for path in sorted((staged_data / "ads" / "openrtb").glob("*.json")):
        parsed = json.loads(path.read_text())
        if "imp" not in parsed or path.name in FRAGMENTS:
            continue
        try:
            answered(path.read_bytes())
        except BadBidRequest as error:
            wrong.append((path.name, str(error)))
    assert wrong == []


def test_every_sample_of_the_other_collection_is_answered_or_refused_in_words(staged_data: Path):
    counted = 0
    for path in sorted((staged_data / "platform" / "prebid-openrtb2-samples").rglob("*.json")):
        body = mock_request(path)
        if body is None:
            body = path.read_bytes()
        counted += 1
        try:
            answered(body)
        except BadBidRequest as error:
            assert error.path
            assert str(error)
    assert counted >= 239
