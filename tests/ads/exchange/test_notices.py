"""Billing notices are sent until they are taken, others once, and only where they may go."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ringwork.ads.events import ImpressionBilled
from ringwork.ads.exchange.awaiting import KEEP_S, Awaiting
from ringwork.ads.exchange.events import (
    EVENTS,
    BidderHeard,
    BidsGathered,
    BillingNoticeEnded,
    ExternalBidWon,
)
from ringwork.ads.exchange.notices import Notice, Notices
from ringwork.ads.exchange.transport import Unreachable
from ringwork.kernel.events import (
    EventTypes,
    Recorded,
    array_header,
    decode_frames,
    encode_event,
    encode_frame,
)
from tests.ads.exchange.market import LoopClock, SimulatedBidders, bidder, run_virtually

BILLED = Notice(kind="billed", bidder_id="dsp", url="https://dsp.example/b?p=1", impression_id=b"i")
IMPRESSION = bytes(range(16))


def sending(statuses: list[Any], *notices: Notice, for_s: float = 100, **bounds: int):
    """(when each call was made, what ended, the counts) of a receiver that answers so."""
    called: list[tuple[float, str]] = []
    ended: list[tuple[str, bool, int]] = []

    async def call(url: str) -> int:
        called.append((asyncio.get_running_loop().time(), url))
        status = statuses.pop(0)
        if isinstance(status, Exception):
            raise status
        return status

    async def work(clock: LoopClock) -> dict[str, int]:
        notices_ = Notices(
            call, [bidder(notice_domains=["track.example"])],
            ended=lambda one, taken, attempts: ended.append((one.kind, taken, attempts)), **bounds,
        )  # fmt: skip
        offered = [notices_.offer(one) for one in notices]
        await asyncio.sleep(for_s)
        await notices_.close()
        return {**notices_.counts(), "offered": sum(offered)}

    counts = run_virtually(work)
    return called, ended, counts


def test_a_billing_notice_that_is_taken_is_sent_once() -> None:
    for status in (200, 204):
        called, ended, counts = sending([status], BILLED)
        assert called == [(0.0, BILLED.url)]
        assert ended == [("billed", True, 1)]
        assert counts == {"billed taken": 1, "offered": 1}


def test_a_billing_notice_is_sent_again_every_ten_seconds_for_a_minute() -> None:
    called, ended, counts = sending(
        [500, 302, Unreachable("down"), TimeoutError(), 404, 201, 503], BILLED
    )
    assert [at for at, _ in called] == pytest.approx([0, 10, 20, 30, 40, 50, 60])
    assert ended == [("billed", False, 7)]
    assert counts == {"billed untaken": 1, "offered": 1}


def test_a_billing_notice_stops_when_it_is_taken() -> None:
    called, ended, _ = sending([500, 204], BILLED)
    assert [at for at, _ in called] == pytest.approx([0, 10])
    assert ended == [("billed", True, 2)]


@pytest.mark.parametrize("kind", ["won", "lost"])
def test_what_counts_nothing_is_sent_once(kind) -> None:
    called, ended, counts = sending([500], Notice(kind=kind, bidder_id="dsp", url=BILLED.url))
    assert len(called) == 1
    assert ended == []
    assert counts == {f"{kind} untaken": 1, "offered": 1}


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example/b",
        "https://dsp.example.evil.example/b",
        "https://dsp.example@other.example/",
        "http://127.0.0.1:8080/v1/keys",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "https://dsp.example/a b",
        "https://dsp.example/" + "x" * 4096,
        "https://[::1",
        "dsp.example/b",
    ],
)
def test_no_other_address_is_called(url) -> None:
    called, _, counts = sending([], Notice(kind="billed", bidder_id="dsp", url=url))
    assert called == []
    assert counts == {"billed refused": 1, "offered": 0}


def test_a_bidders_other_domains_and_subdomains_are_called() -> None:
    urls = ["https://a.dsp.example/b", "https://track.example/b", "http://eu.track.example:81/b"]
    notices = [Notice(kind="won", bidder_id="dsp", url=url) for url in urls]
    called, _, _ = sending([200, 200, 200], *notices)
    assert [url for _, url in called] == urls


def test_a_notice_of_an_unknown_bidder_or_without_a_url_is_not_sent() -> None:
    notices = [
        Notice(kind="won", bidder_id="gone", url=BILLED.url),
        Notice(kind="won", bidder_id="dsp", url=""),
    ]
    called, _, counts = sending([], *notices)
    assert called == []
    assert counts == {"won refused": 1, "offered": 0}


def test_waiting_notices_are_bounded() -> None:
    called, _, counts = sending([200, 200], BILLED, BILLED, BILLED, waiting_max=2)
    assert len(called) == 2
    assert counts == {"billed taken": 2, "billed dropped": 1, "offered": 2}


def test_only_so_many_are_sent_at_once() -> None:
    running, most = 0, 0

    async def call(url: str) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(1)
        running -= 1
        return 200

    async def work(clock: LoopClock) -> None:
        notices = Notices(call, [bidder()], sending_max=3)
        for _ in range(10):
            notices.offer(BILLED)
        await asyncio.sleep(20)
        await notices.close()

    run_virtually(work)
    assert most == 3


def test_a_receiver_that_hangs_is_given_up_after_a_while() -> None:
    async def call(url: str) -> int:
        await asyncio.sleep(1000)
        return 200

    async def work(clock: LoopClock) -> dict[str, int]:
        notices = Notices(call, [bidder()])
        notices.offer(Notice(kind="won", bidder_id="dsp", url=BILLED.url))
        await asyncio.sleep(6)
        await notices.close()
        return dict(notices.counts())

    assert run_virtually(work) == {"won untaken": 1}


def test_a_notice_that_waits_at_the_end_is_left_to_the_next_start() -> None:
    called, ended, counts = sending([500], BILLED, for_s=5)
    assert len(called) == 1
    assert ended == []
    assert counts == {"offered": 1}


def test_over_http_a_redirection_is_not_followed() -> None:
    world = SimulatedBidders()
    world.notice_status = 302

    async def work(clock: LoopClock) -> dict[str, int]:
        async with world.serving() as http:
            notices = Notices(http.notify, [bidder()])
            notices.offer(Notice(kind="won", bidder_id="dsp", url="https://dsp.example/n?p=1.5"))
            await asyncio.sleep(1)
            await notices.close()
            return dict(notices.counts())

    assert run_virtually(work) == {"won untaken": 1}
    assert world.called == ["/n?p=1.5"]


# ---- what is still owed -------------------------------------------------------------------------


def recorded(payload: Any, at_s: int) -> Recorded:
    return Recorded(
        id=bytes(16), ts_us=at_s * 1_000_000, tenant="main", request_id=bytes(16), cause_id=None,
        subject=None, purpose=None, payload=payload, seq=1, partition=0,
    )  # fmt: skip


def won(url: str = "https://dsp.example/b", *, expires_s: int = 1000) -> ExternalBidWon:
    return ExternalBidWon(
        IMPRESSION, "dsp", "b1", "s", "c9", "adv.example", 2, "EUR", 1, "EUR", url, expires_s
    )


BILLING = ImpressionBilled(IMPRESSION, "x:dsp", "x:dsp:b1", "pub", "top", "cpm", 1, "EUR")
END = BillingNoticeEnded(IMPRESSION, "dsp", True, 1)


def folded(*events: tuple[Any, int]) -> Awaiting:
    fold = Awaiting()
    for payload, at_s in events:
        fold.apply(recorded(payload, at_s))
        again = Awaiting()
        again.load(fold.dump())
        assert again.dump() == fold.dump()
        fold = again
    return fold


def test_a_notice_is_due_from_its_billing_until_it_has_ended() -> None:
    assert folded((won(), 1)).due() == []
    billed = folded((won(), 1), (BILLING, 2))
    assert [(one.url, one.impression_id) for one in billed.due()] == [
        ("https://dsp.example/b", IMPRESSION)
    ]
    assert billed.notice(IMPRESSION) == billed.due()[0]
    assert folded((won(), 1), (BILLING, 2), (END, 3)).due() == []


def test_a_bid_without_a_billing_notice_is_never_due() -> None:
    assert folded((won(""), 1), (BILLING, 2)).due() == []


def test_an_impression_of_a_campaign_of_ours_is_none() -> None:
    assert folded((BILLING, 2)).due() == []


def test_what_was_never_billed_is_forgotten_an_hour_after_it_was_due() -> None:
    other = ExternalBidWon(
        bytes(16), "dsp", "b2", "", "c", "a.example", 2, "EUR", 1, "EUR", "", 9_999
    )
    kept = folded((won(), 1), (other, 1000 + KEEP_S - 1), (BILLING, 1000 + KEEP_S))
    assert len(kept.due()) == 1
    assert folded((won(), 1), (other, 1000 + KEEP_S), (BILLING, 1000 + KEEP_S)).due() == []


def test_the_facts_of_the_exchange_survive_the_log() -> None:
    heard = [BidderHeard("dsp", "bids", 1200, 1, {100: 2}), BidderHeard("x", "no-bid", no_bid=2)]
    facts = [BidsGathered(heard, 1500), won(), END]
    written = [
        encode_event(one, id=bytes(16), ts_us=1, request_id=bytes(16), cause_id=None, tenant="main")
        for one in facts
    ]
    (frame,) = decode_frames(array_header(1) + encode_frame(written))
    types = EventTypes(EVENTS)
    assert [types.decode(envelope) for envelope in frame.events] == facts
