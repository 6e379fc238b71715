"""The pieces below the pages: words for events, live streams, reading the log, forms."""

from __future__ import annotations

import asyncio
import importlib
import json
import pkgutil

import pytest
from msgspec.structs import replace

import ringwork
from ringwork.ads import events as ads
from ringwork.ads.catalogue import Catalogue
from ringwork.ads.exchange import events as exchange
from ringwork.ads.invoice_events import CreditNoteIssued, InvoiceIssued, PayoutMade
from ringwork.ads.model import Advertiser, Creative, Placement, Publisher
from ringwork.ads.model_events import ModelPublished
from ringwork.ads.pacing_events import CampaignPaced
from ringwork.app.erasure import SubjectErased
from ringwork.app.memory import EVENTS
from ringwork.console import logged
from ringwork.console.asked import back_to, chosen_scheme, id_of
from ringwork.console.live import STREAMS_MAX, Live
from ringwork.console.pages import Bold, say
from ringwork.console.sources import Names
from ringwork.console.views.campaigns import flight
from ringwork.console.views.reasons import reason_in_words
from ringwork.console.views.words import describe, has_words
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.errors import Invalid, NotFound, Overloaded
from ringwork.kernel.events import Event, EventTypes, UnknownEvent, encode_event, encode_frame
from ringwork.kernel.ledger import AccountOpened, TransferCreated, TransferExpired
from ringwork.storage.memory import MemoryEventLog
from tests.console import day as d

CREATIVE = Creative(
    id="a", campaign_id="tram", name="Wide", format="banner", landing_url="https://x.example/"
)
SOLD_TO_TRAM = replace(d.SOLD, campaign_id="tram", pricing="cpa", price_nanos=5_000_000_000)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (d.cleared(SOLD_TO_TRAM), "Tram pass, yearly at € 5.000 000 000 a conversion"),
        (d.cleared(d.SOLD, d.SOLD), "Autumn exteriors at € 0.001 874 227 and 1 more"),
        (d.cleared(replace(d.UNSOLD, eligible=3)), "not sold: none of 3 cleared"),
        (
            ads.ImpressionBilled(d.IMPRESSION, "tram", "a", "casa", "", "cpc", 0, "EUR"),
            "Tram pass, yearly, paid by click",
        ),
        (
            ads.ImpressionUnbilled(d.IMPRESSION, "tram", "late"),
            "Tram pass, yearly, not charged: late",
        ),
        (
            ads.ClickRecorded(d.IMPRESSION, "tram", "a", "casa", 300_000_000, "EUR"),
            "Tram pass, yearly, € 0.300 000 000",
        ),
        (
            ads.ClickRecorded(d.IMPRESSION, "tram", "a", "casa", 0, "EUR", "insufficient-funds"),
            "Tram pass, yearly, unbilled: insufficient-funds",
        ),
        (
            ads.ConversionRecorded("o1", d.IMPRESSION, "tram", "a", "casa", 10**9, 0, "EUR"),
            "Tram pass, yearly, worth € 1.000 000 000",
        ),
        (
            ads.ConversionRecorded(
                "o1", d.IMPRESSION, "tram", "a", "casa", 10**9, 0, "EUR", None, "late"
            ),
            "Tram pass, yearly, worth € 1.000 000 000, unbilled: late",
        ),
        (ads.CampaignCreated(d.TRAM.campaign), "Tram pass, yearly, budget 100.00 EUR"),
        (ads.CampaignChanged(d.HOTEL.campaign), "Blue Tile Hotel, paused"),
        (ads.CreativeCreated(CREATIVE), "Wide, banner"),
        (ads.CreativeChanged(CREATIVE), "Wide, active"),
        (
            ads.AdvertiserRegistered(
                Advertiser(id="x", name="Harbour", domain="x.example", currency="EUR")
            ),
            "Harbour",
        ),
        (
            ads.PublisherRegistered(Publisher(id="casa", name="Casa", domain="x.example")),
            "Casa",
        ),
        (
            ads.PlacementCreated(Placement(id="foot", publisher_id="casa", format="banner")),
            "foot of casa",
        ),
        (
            ads.ImpressionMeasured(d.IMPRESSION, "tram", "a", "casa", "view", 2_000_000, "EUR"),
            "Tram pass, yearly, viewed to the end, € 0.002 000 000",
        ),
        (
            ads.BidSettled(d.IMPRESSION, "tram", "lost", 102, None, None, "EUR"),
            "Tram pass, yearly: the exchange says lost, reason 102",
        ),
        (
            ads.CampaignReviewed(
                replace(d.TRAM.campaign, review_reason="No prices in the picture"), "reject"
            ),
            "Tram pass, yearly, rejected: No prices in the picture",
        ),
        (ads.CreativeReviewed(CREATIVE, "approve"), "Wide, approved"),
        (
            CampaignPaced(
                "tram", "nanos", 0, 86_400, 20 * 10**9, 5 * 10**9, 6 * 10**9, None, 412_000
            ),
            "Tram pass, yearly, 25 % of its plan's budget spent, plan 30 %, multiplier 41.2 %",
        ),
        (ModelPublished(3, {"click": 40, "view": 2}), "version 3, learned from 42 responses"),
        (
            exchange.BidsGathered([exchange.BidderHeard("dsp", "bids", bids=2)], 90_000),
            "2 bids from 1 outside bidder",
        ),
        (
            InvoiceIssued(
                "a-1", 1, "tram", "EUR", 2, "2026-11", [], 10**9, 0, 1_234, 0, "VAT", 0, 0
            ),
            "invoice a-1 of 2026-11 to Tram pass, yearly, € 12.34 net",
        ),
        (
            CreditNoteIssued("c-1", 1, "a-1", "hp", "EUR", 2, 100, 0, "late"),
            "credit note c-1 on invoice a-1, € 1.00 net: late",
        ),
        (
            PayoutMade("p-1", 1, "casa", "JPY", 0, "2026-11", 500, 0),
            "payout p-1 to casa to the end of 2026-11, ¥ 500",
        ),
        (
            SubjectErased(2),
            "a person's keys were deleted: what was sealed for them cannot be read again",
        ),
        (AccountOpened("bank", "EUR", False), "bank, EUR"),
        (AccountOpened("campaign/x", "EUR", True), "campaign/x, EUR, limited"),
        (TransferExpired("x"), "reservation ran out, released"),
        (
            TransferCreated("x", "single", "bank", "casa", 10**9, "EUR"),
            "€ 1.000 000 000 moved, bank to casa",
        ),
        (TransferCreated("x", "post", pending_id="y"), "posted from its reservation"),
        (
            TransferCreated("x", "post", amount_nanos=1, currency="EUR", pending_id="y"),
            "posted from its reservation, € 0.000 000 001",
        ),
    ],
)
def test_words_for_events(event: Event, words: str) -> None:
    told = describe(event, d.NAMES).replace("\u202f", " ").replace("\u00a0", " ")
    assert told == words


def test_every_event_that_exists_has_words() -> None:
    """Also those of parts that a server does not hold yet: every Event of every module."""
    for module in pkgutil.walk_packages(ringwork.__path__, "ringwork."):
        if module.name.split(".")[1] in ("ads", "app", "flow", "kernel", "web", "world"):
            importlib.import_module(module.name)
    found, waiting = set(), [Event]
    while waiting:
        one = waiting.pop()
        waiting += one.__subclasses__()
        is_ours = one.__module__.startswith("ringwork.") and "TYPE" in vars(one)
        if is_ours and ".testing." not in one.__module__ and one is not UnknownEvent:
            found.add(one.TYPE)
    assert {event.TYPE for event in EVENTS} <= found
    assert {type for type in found if not has_words(type)} == set()


def test_an_event_that_no_page_knows_is_named_by_its_type() -> None:
    class ThingHappened(Event, frozen=True, array_like=True):
        TYPE = "thing_happened"

    assert describe(ThingHappened(), {}) == "thing happened"


def test_a_reason_without_a_sentence_is_told_in_its_own_words() -> None:
    assert reason_in_words("size") == "The size does not fit"
    assert reason_in_words("sold-by_hand") == "Sold by hand"


def test_flights_in_words() -> None:
    campaign = d.TRAM.campaign
    assert flight(campaign) == "no end date"
    assert flight(replace(campaign, starts_us=d.DAY)) == "from 26 November 2026"
    assert flight(replace(campaign, ends_us=d.DAY)) == "until 26 November 2026"
    both = replace(campaign, starts_us=d.DAY, ends_us=d.DAY + d.WEEK)
    assert flight(both) == "26 November 2026 to 3 December 2026"


def test_sentences_keep_their_parts() -> None:
    sentence = say(Bold("€ 1.00", "earned"), " earned.")
    assert sentence.text == "€ 1.00 earned."
    assert [(part.text, part.bold, part.key) for part in sentence.parts] == [
        ("€ 1.00", True, "earned"), (" earned.", False, ""),
    ]  # fmt: skip


def test_names_are_looked_up_in_the_catalogue_as_it_is() -> None:
    catalogue = Catalogue()
    names = Names(catalogue)
    assert names.get("tram") is None
    catalogue.campaigns["tram"] = d.TRAM.campaign
    catalogue.creatives["a"] = CREATIVE
    assert names["tram"] == "Tram pass, yearly"
    assert dict(names) == {"tram": "Tram pass, yearly", "a": "Wide"}
    assert len(names) == 2


def test_what_a_form_may_ask() -> None:
    assert back_to("/console/ledger?x=1") == "/console/ledger?x=1"
    for elsewhere in (
        "https://x.example",
        "//x.example",
        "/v1/x",
        "/console/\r\nx",
        "/console/\\x",
    ):
        assert back_to(elsewhere) == "/console/"
    assert chosen_scheme("light") == "light"
    with pytest.raises(Invalid, match="scheme"):
        chosen_scheme("pink")
    with pytest.raises(NotFound, match="expected an id"):
        id_of("x")


# ---- live ---------------------------------------------------------------------------------------


def test_a_stream_ends_with_the_server() -> None:
    closing = False

    async def texts() -> tuple[dict[str, str], int]:
        nonlocal closing
        closing = True  # the server is told to stop while the first message is made
        return {"now": "16:20:04 UTC"}, 7

    async def read() -> list[bytes]:
        live = Live(is_closing=lambda: closing, tick_s=0.0)
        return [message async for message in live.stream(texts)]

    (message,) = asyncio.run(read())
    told = json.loads(message.removeprefix(b"data: "))
    assert told == {"texts": {"now": "16:20:04 UTC"}, "seq": 7}


def test_streams_are_bounded_and_given_back() -> None:
    async def texts() -> tuple[dict[str, str], int]:
        return {}, 0

    async def run() -> None:
        live = Live(is_closing=lambda: False, tick_s=0.0)
        streams = [live.stream(texts) for _ in range(STREAMS_MAX)]
        for stream in streams:
            await anext(stream)
        with pytest.raises(Overloaded):
            live.admit()
        for stream in streams:
            await stream.aclose()  # type: ignore[attr-defined]  # an async generator
        live.admit()

    asyncio.run(run())


# ---- the log ------------------------------------------------------------------------------------

TYPES = EventTypes((AccountOpened, *ads.EVENTS))


async def written(*sizes: int) -> MemoryEventLog:
    """A log whose batches hold so many events, numbered from 1."""
    log = MemoryEventLog(clock=ManualClock())
    number = 0
    for size in sizes:
        encoded = []
        for _ in range(size):
            number += 1
            opened = AccountOpened(f"a{number}", "EUR", False)
            encoded.append(
                encode_event(
                    opened, id=d.id_of(number), ts_us=number, request_id=d.REQUEST,
                    cause_id=None, tenant="main",
                )
            )  # fmt: skip
        await log.append(encode_frame(encoded), size)
    return log


@pytest.mark.parametrize("sizes", [(1,), (3, 2, 4), (9,), (1,) * 9])
def test_the_newest_events_come_newest_first(sizes: tuple[int, ...]) -> None:
    log = asyncio.run(written(*sizes))
    total = sum(sizes)
    found = logged.latest(log, TYPES, 3)
    assert [each.seq for each in found] == list(range(total, max(0, total - 3), -1))
    assert [each.ts_us for each in found] == [each.seq for each in found]


def test_an_empty_log_has_no_newest_event() -> None:
    assert logged.latest(asyncio.run(written()), TYPES, 3) == []


@pytest.mark.parametrize("sizes", [(3, 2, 4), (9,), (1,) * 9])
def test_events_are_found_by_their_place(sizes: tuple[int, ...]) -> None:
    log = asyncio.run(written(*sizes))
    for wanted in ([1], [9], [2, 3, 9], [9, 1, 1, 5], []):
        found = logged.at(log, TYPES, wanted)
        assert [each.seq for each in found] == sorted(set(wanted))
    assert logged.at(log, TYPES, [10]) == []
