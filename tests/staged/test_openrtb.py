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


# Why the examples of the specification that ask for what this platform does not do get no bid.
UNBID = {
    "2.6-6-2-3-example-3-mobile-1.json": "banner-type",
    "2.6-6-2-5-example-5-pmp-with-direct-deal-1.json": "private-auction",
    "implementation-7-9-6-1-dooh-banner-bid-request-1.json": "currency",
    "implementation-7-9-6-3-dooh-video-bid-request-1.json": "currency",
}
SPECIFICATION_TERMS = BidderTerms(currency="USD")

# Refused there for a member that is that server's own rule; without it the banner has no size.
SIZELESS = {f"banner-{name}.json" for name in ("hmax", "hmin", "wmax", "wmin")}

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
    return json.dumps(case["mockBidRequest"]).encode() if "mockBidRequest" in case else None


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
        expected = verdict["field"] if verdict["class"] == "openrtb" else None
        if name in SIZELESS:
            expected = "imp[0].banner"
        if field != expected:
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
    reasons = {}
    for path in sorted((staged_data / "ads" / "openrtb").glob("*.json")):
        if "imp" not in json.loads(path.read_text()) or path.name in FRAGMENTS:
            continue
        request = openrtb.decode(path.read_bytes())
        ask = openrtb.to_ask(request, SPECIFICATION_TERMS, request_id=bytes(16), now_us=NOW_US)
        if isinstance(ask, NoBid):
            reasons[path.name] = ask.reason
    assert reasons == UNBID


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
