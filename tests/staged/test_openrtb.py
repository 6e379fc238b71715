"""Other people's OpenRTB requests: every staged file, with the outcome that it must have.

The test's ids list the files. A file is answered, gets no bid for a reason, is refused with the
member that breaks a shared rule, or is left out for a reason that stands here. Which refusals of
Prebid Server are rules of OpenRTB stands in ``prebid/CLASSES.json``.
"""

import filecmp
import json
from pathlib import Path

import pytest

from ringwork.ads import openrtb
from ringwork.ads.model import Ask
from ringwork.ads.openrtb import BadBidRequest, BidderTerms, NoBid, dsa
from ringwork.ads.openrtb.dsa import BidDsa
from ringwork.ads.openrtb.structs import Transparency
from tests.conftest import staged_folder

NOW_US = 1_764_158_400_000_000
TERMS = BidderTerms(currency="USD")
"""Prebid Server and the specification assume dollars where nothing else is said."""

ANSWERED = "answered"
CLASSES = ("prebid/sample-requests/invalid-whole/", "prebid/sample-requests/invalid-native/")

_RESPONSE = "a bid response, not a request"
_NO_BID = "a form of no bid, not a request"
_PIECE = "a piece of a request: "
_VIDEO = "of a video endpoint of Prebid's own, which makes the bid request from it"

# Files that hold no bid request of their own.
LEFT_OUT = {
    "openrtb/2.6-6-3-1-example-1-ad-served-on-win-notice-1.json": _RESPONSE,
    "openrtb/2.6-6-3-2-example-2-vast-xml-document-returned-inl-1.json": _RESPONSE,
    "openrtb/2.6-6-3-3-example-3-direct-deal-ad-served-on-win-n-1.json": _RESPONSE,
    "openrtb/2.6-6-3-4-example-4-native-markup-returned-inline-1.json": _RESPONSE,
    "openrtb/implementation-7-1-no-bid-signaling-1.json": _NO_BID,
    "openrtb/implementation-7-1-no-bid-signaling-2.json": _NO_BID,
    "openrtb/implementation-7-1-no-bid-signaling-3.json": _NO_BID,
    "openrtb/implementation-7-15-3-json-examples-1.json": _PIECE + "content",
    "openrtb/implementation-7-15-3-json-examples-2.json": _PIECE + "content",
    "openrtb/implementation-7-15-3-json-examples-3.json": _PIECE + "content",
    "openrtb/implementation-7-9-6-2-banner-bid-response-1.json": _RESPONSE,
    "openrtb/implementation-example-1-dsp-cookie-derived-from-real-time-co-1.json":
        _PIECE + "user",
    "openrtb/implementation-example-1-single-extended-content-identifier-v-1.json":
        _PIECE + "site and content",
    "openrtb/implementation-example-2-multiple-extended-content-identifier-1.json":
        _PIECE + "site and content",
    "openrtb/implementation-example-2-resettable-advertising-id-generated--1.json":
        _PIECE + "device",
    "openrtb/implementation-example-3-request-from-pub-ssp-user-id-matched-1.json":
        _PIECE + "user",
    "openrtb/implementation-example-4-request-from-ssp-dsp-corresponding-t-1.json":
        _PIECE + "user",
    "openrtb/implementation-example-5-ssp-matches-their-id-to-an-email-bas-1.json":
        _PIECE + "user",
    "openrtb/implementation-example-6-on-a-ctv-request-the-publisher-also--1.json":
        _PIECE + "device and user",
    "openrtb/implementation-example-7-on-a-ctv-request-the-publisher-provi-1.json":
        _PIECE + "device and user",
    "openrtb/implementation-example-8-fast-free-ad-supported-tv-app-develo-1.json":
        _PIECE + "user",
    "openrtb/pod-dynamic-bidrequest.json": _PIECE + "impressions",
    "openrtb/pod-dynamic-bidresponse.json": _RESPONSE,
    "openrtb/pod-hybrid-bidresponse.json": _RESPONSE,
    "openrtb/pod-structured-bidresponse.json": _RESPONSE,
    "prebid/CLASSES.json": "the classification, not a request",
    "prebid/sample-requests/account-required/valid-acct.json": _VIDEO,
    "prebid/sample-requests/valid-whole/supplementary/imp-info-invalid.json":
        "its impression is stored on that server and only named here: Prebid's own",
    "prebid/sample-requests/invalid-stored/bad_stored_req.json":
        "its request is stored on that server and only named here: Prebid's own",
    "prebid/sample-requests/invalid-stored/bad_incoming_1.json":
        "the scenario itself is malformed, for a stored request: Prebid's own",
    "prebid/sample-requests/invalid-stored/bad_incoming_imp.json":
        "the scenario itself is malformed, for a stored impression: Prebid's own",
}  # fmt: skip
LEFT_OUT_FOLDERS = {"prebid/sample-requests/video/": _VIDEO}

_RATES = "no bid: currency"
_MIMES = "400: imp[0].video.mimes"
_SIZE = "400: imp[0].banner"

# Everything else that is not plainly answered, with what is expected of it.
EXPECTED = {
    # Only XHTML text, banner and iframe ads are left by its btype.
    "openrtb/2.6-6-2-3-example-3-mobile-1.json": "no bid: banner-type",
    # A private auction whose deals are for the seats of two agencies (see the next tests).
    "openrtb/2.6-6-2-5-example-5-pmp-with-direct-deal-1.json": "no bid: private-auction",
    # Bids in pounds are wanted (see the next tests).
    "openrtb/implementation-7-9-6-1-dooh-banner-bid-request-1.json": _RATES,
    "openrtb/implementation-7-9-6-3-dooh-video-bid-request-1.json": _RATES,
    # A statement is required that a video would have to show itself.
    "prebid/exchangetest/dsa-required.json": "no bid: dsa",
    # VAST 1.0 alone.
    "prebid/exchangetest/multi-bid-default-bid-limit.json": "no bid: protocol",
    # These scenarios stand behind that server's own validation, and break rules that are shared.
    "prebid/exchangetest/events-bid-account-off-request-off.json": _SIZE,
    "prebid/exchangetest/events-bid-account-off-request-on.json": _SIZE,
    "prebid/exchangetest/events-bid-account-on-request-off.json": _SIZE,
    "prebid/exchangetest/events-vast-account-off-request-off.json": _MIMES,
    "prebid/exchangetest/events-vast-account-off-request-on.json": _MIMES,
    "prebid/exchangetest/events-vast-account-on-request-off.json": _MIMES,
    "prebid/exchangetest/imp-fpd-skipped-validation.json": "400: imp[0].native",
    # Bids in other currencies are wanted; rates in ``ext.prebid`` are Prebid's own.
    **{
        f"prebid/sample-requests/currency-conversion/{name}.json": _RATES
        for name in (
            "custom-rates/errors/conversion-disabled",
            "custom-rates/errors/custom-rates-currency-missing-usepbs-default",
            "custom-rates/errors/custom-rates-currency-missing-usepbs-false",
            "custom-rates/errors/custom-rates-empty-usepbs-false",
            "custom-rates/errors/custom-rates-invalid-usepbs-false",
            "custom-rates/valid/custom-rate-not-found-usepbsrates-default",
            "custom-rates/valid/custom-rates-override-usepbsrates-default",
            "custom-rates/valid/custom-rates-override-usepbsrates-false",
            "custom-rates/valid/custom-rates-override-usepbsrates-true",
            "custom-rates/valid/server-rates-usepbsrates-true",
            "server-rates/errors/no-conversion-found",
            "server-rates/valid/simple-conversion",
        )
    },
    # Without the member that Prebid refuses, these banners have no size.
    **{
        f"prebid/sample-requests/invalid-whole/banner-{name}.json": _SIZE
        for name in ("hmax", "hmin", "wmax", "wmin")
    },
}


def files(folder: str) -> list[str]:
    """The JSON files below a folder of the staged data, relative to it."""
    root = (staged_folder() or Path()) / folder
    return sorted(str(path.relative_to(root)) for path in root.rglob("*.json"))


REQUESTS = [
    name
    for name in files("ads")
    if name.startswith(("openrtb/", "prebid/"))
    and name not in LEFT_OUT
    and not name.startswith(tuple(LEFT_OUT_FOLDERS))
]


def body_of(path: Path) -> bytes:
    """The bid request of a scenario, or the file itself."""
    raw = path.read_bytes()
    try:
        case = json.loads(raw)
    except ValueError:
        return raw
    if not isinstance(case, dict):
        return raw
    if "mockBidRequest" in case:
        return json.dumps(case["mockBidRequest"]).encode()
    if "incomingRequest" in case:
        return json.dumps(case["incomingRequest"]["ortbRequest"]).encode()
    return raw


def answered(body: bytes, terms: BidderTerms = TERMS) -> Ask | NoBid:
    request = openrtb.decode(body)
    return openrtb.to_ask(request, terms, request_id=bytes(16), now_us=NOW_US)


def outcome(body: bytes) -> str:
    try:
        ask = answered(body)
    except BadBidRequest as error:
        assert str(error)
        return f"400: {error.path}"
    return f"no bid: {ask.reason}" if isinstance(ask, NoBid) else ANSWERED


def expected(staged_data: Path, name: str) -> str:
    if name in EXPECTED:
        return EXPECTED[name]
    if name.startswith(CLASSES):
        classes = json.loads((staged_data / "ads" / "prebid" / "CLASSES.json").read_text())
        folder, file = name.split("/")[-2:]
        if classes[folder][file]["class"] == "openrtb":
            return f"400: {classes[folder][file]['field']}"
    return ANSWERED


@pytest.mark.parametrize("name", REQUESTS)
def test_outcome(staged_data: Path, name: str):
    assert outcome(body_of(staged_data / "ads" / name)) == expected(staged_data, name)


def test_every_file_has_an_outcome_or_a_reason(staged_data: Path):
    everything = set(files("ads"))
    staged = {name for name in everything if name.startswith(("openrtb/", "prebid/"))}
    assert set(LEFT_OUT) | set(EXPECTED) <= staged
    assert not set(LEFT_OUT) & set(EXPECTED)
    assert len(staged) == 32 + 101 + 251 + 1
    classes = json.loads((staged_data / "ads" / "prebid" / "CLASSES.json").read_text())
    for folder in CLASSES:
        name = folder.split("/")[-2]
        assert {one.removeprefix(folder) for one in staged if one.startswith(folder)} == set(
            classes[name]
        )


def test_the_valid_requests_are_answered_all(staged_data: Path):
    folders = ("prebid/sample-requests/valid-whole/", "prebid/sample-requests/valid-native/")
    names = [name for name in REQUESTS if name.startswith(folders)]
    assert len(names) == 4 + 21 + 28 + 12 - 1  # one is left out
    assert not set(names) & set(EXPECTED)


def test_the_other_collection_is_the_same_files(staged_data: Path):
    other = "platform/prebid-openrtb2-samples/endpoints/openrtb2/sample-requests"
    names = files(other)
    assert names == files("ads/prebid/sample-requests")
    here = staged_data / "ads" / "prebid" / "sample-requests"
    _, differ, errors = filecmp.cmpfiles(here, staged_data / other, names, shallow=False)
    assert (differ, errors) == ([], [])


# ---- what the specification's examples ask for --------------------------------------------------


def example(staged_data: Path, name: str) -> bytes:
    (path,) = (staged_data / "ads" / "openrtb").glob(f"*{name}*.json")
    return path.read_bytes()


@pytest.mark.parametrize(
    ("seat", "deal", "floor_nanos", "charge"),
    [
        ("Agency1", "AB-Agency1-0001", 2_500_000, "clearing"),
        ("Agency2", "XY-Agency2-0001", 2_000_000, "bid"),
    ],
)
def test_a_seat_sees_its_own_deal(staged_data: Path, seat, deal, floor_nanos, charge):
    terms = BidderTerms(currency="USD", seat=seat)
    (slot,) = answered(example(staged_data, "pmp-with-direct-deal"), terms).slots
    assert (slot.deal_id, slot.floor_nanos, slot.charge) == (deal, floor_nanos, charge)


def test_the_screens_of_the_implementation_notes(staged_data: Path):
    """Deals are in USD where they name no currency, whatever the impression says."""
    pounds = BidderTerms(currency="GBP")
    slots = answered(example(staged_data, "dooh-banner-bid-request"), pounds).slots
    assert [(slot.deal_id, slot.floor_nanos) for slot in slots] == [("", 5_000_000)] * 2
    assert {slot.quantity_ppm for slot in slots} == {14_200_000}
    assert answered(example(staged_data, "dooh-video-bid-request"), pounds).reason == "currency"


def test_the_pod_of_the_specification(staged_data: Path):
    piece = json.loads(example(staged_data, "pod-dynamic-bidrequest"))
    slots = answered(json.dumps({"id": "r", **piece}).encode()).slots
    assert [(slot.group, slot.floor_nanos) for slot in slots] == [
        ("pod:preroll_pod", 8_000_000)
    ] * 4


# ---- oracles of Prebid Server -------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [name for name in files("ads/prebid/exchangetest") if name.startswith("dsa-")]
)
def test_statements_are_accepted_as_there(staged_data: Path, name: str):
    case = json.loads((staged_data / "ads" / "prebid" / "exchangetest" / name).read_text())
    kept = {seat["seat"]: seat["bid"] for seat in case["response"]["bids"]["seatbid"]}
    for bidder, call in case["outgoingRequests"].items():
        sent = json.dumps(call["expectRequest"]["ortbRequest"]).encode()
        asked = dsa.asked(openrtb.decode(sent))
        for seat in call["mockResponse"]["pbsSeatBids"]:
            for bid in seat["pbsBids"]:
                ext = bid["ortbBid"]["ext"].get("dsa")
                refusal = dsa.refusal(asked, None if ext is None else statement(ext))
                assert (refusal == "") == bool(kept[bidder]), (bidder, refusal)


def statement(ext: dict) -> BidDsa:
    used = [Transparency(**one) for one in ext["transparency"]]
    return BidDsa(**{**ext, "transparency": used})


def test_bids_below_the_floor_are_below_ours(staged_data: Path):
    """Both bids of that scenario are refused for the floor of the impression."""
    path = staged_data / "ads" / "prebid" / "exchangetest" / "floors_deal_enforcement.json"
    case = json.loads(path.read_text())
    (slot,) = answered(body_of(path)).slots
    for call in case["outgoingRequests"].values():
        for seat in call["mockResponse"]["pbsSeatBids"]:
            for bid in seat["pbsBids"]:
                assert bid["ortbBid"]["price"] * 10**6 < slot.floor_nanos
    assert case["response"]["bids"] == {}


@pytest.mark.parametrize("name", ["valid-whole/exemplary", "amp/valid-supplementary"])
def test_members_of_2_5_are_lifted_as_there(staged_data: Path, name: str):
    folder = staged_data / "ads" / "prebid" / "sample-requests" / name
    path = folder / "ortb-2.5-to-2.6-upconvert.json"
    newer = json.loads(path.read_text())["expectedValidatedBidRequest"]
    warnings: list[str] = []
    lifted = openrtb.decode(body_of(path), warnings)
    expected = openrtb.decode(json.dumps(newer).encode())
    assert warnings == []
    assert (lifted.regs.gdpr, lifted.regs.us_privacy) == (1, expected.regs.us_privacy)
    assert (lifted.regs.gdpr, lifted.user.consent) == (expected.regs.gdpr, expected.user.consent)
    assert lifted.source.schain == expected.source.schain
    assert lifted.imp[0].rwdd == expected.imp[0].rwdd == 1
