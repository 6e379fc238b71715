"""Bidders are asked at once and no answer is waited for past its time, in virtual time."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.exchange import Bidder, ExchangeSettings, Gather, Gathered
from ringwork.ads.exchange.transport import RESPONSE_MAX_BYTES, Answered, Unreachable
from ringwork.ads.model import Ask, Slot
from ringwork.ads.openrtb import decode
from ringwork.ads.openrtb.terms import Rates
from tests.ads.exchange.market import (
    BANNER,
    LoopClock,
    SimulatedBidders,
    answering,
    ask,
    bid,
    bidder,
    reply,
    run_virtually,
    saying,
    video_bid,
)


def settings(*bidders: Bidder, **members: Any) -> ExchangeSettings:
    return ExchangeSettings(**{"bidders": list(bidders), **members})


def gathering(
    world: SimulatedBidders, terms: ExchangeSettings, *asks: Ask, **members: Any
) -> tuple[list[Gathered], Gather]:
    """Ask for each ask in turn, over httpx and ASGI, in virtual time."""

    async def work(clock: LoopClock) -> tuple[list[Gathered], Gather]:
        async with world.serving() as http:
            gather = Gather(
                terms, transport=http.bid, clock=clock, asi="ads.example", currency="EUR",
                rates=Rates(as_of_us=0, units={"USD": Decimal("0.9")}, max_age_s=10**10),
            )  # fmt: skip
            return [await gather(one, **members) for one in asks or (ask(),)], gather

    return run_virtually(work)


def outcomes(gathered: Gathered) -> dict[str, str]:
    return {one.bidder_id: one.outcome for one in gathered.heard}


def test_bidders_are_asked_in_parallel_and_their_bids_come_together() -> None:
    world = SimulatedBidders(
        one=answering(bid(), after_s=0.1), two=answering(bid(price=2), after_s=0.12)
    )
    (found,), _ = gathering(world, settings(bidder("one"), bidder("two")))
    assert [(one.bidder_id, one.worth_nanos) for one in found.bids] == [
        ("one", 1_500_000), ("two", 2_000_000),
    ]  # fmt: skip
    assert found.waited_us == 120_000
    assert [one.latency_us for one in found.heard] == [100_000, 120_000]
    for _, request, headers in world.asked:
        assert request["tmax"] == 130  # of 150 ms, less 20 on the way
        assert headers["x-openrtb-version"] == "2.6"
        assert "cookie" not in headers


def test_each_bidder_is_heard_in_its_own_way() -> None:
    """One that is slow, broken, chatty or strange costs the others nothing."""
    world = SimulatedBidders(
        good=answering(bid()),
        slow=answering(bid(), after_s=0.151),
        none=saying(204),
        empty=saying(200, b"{}"),
        garbage=saying(200, b"<html>busy</html>"),
        teapot=saying(418),
        large=saying(200, b" " * (RESPONSE_MAX_BYTES + 1)),
        francs=answering(bid(), cur="CHF"),
        doubled=answering(bid(), bid()),
        cheap=answering(bid(price=0.4)),
    )
    (found,), gather = gathering(world, settings(*map(bidder, world.handlers)))
    assert outcomes(found) == {
        "good": "bids", "slow": "late", "none": "no-bid", "empty": "no-bid", "garbage": "malformed",
        "teapot": "status", "large": "oversized", "francs": "no-bid", "doubled": "bids",
        "cheap": "no-bid",
    }  # fmt: skip
    assert [one.bidder_id for one in found.bids] == ["good", "doubled"]
    assert {one.bidder_id: one.rejected for one in found.heard if one.rejected} == {
        "garbage": {3: 1}, "francs": {9: 1}, "doubled": {3: 1}, "cheap": {100: 1},
    }  # fmt: skip
    assert gather.counts()["cheap"] == {"no-bid": 1, "loss 100": 1}
    assert gather.counts()["slow"] == {"late": 1}
    assert found.waited_us == 150_000


def test_a_broken_transport_is_an_error_and_a_bug_in_it_costs_one_bidder(caplog) -> None:
    async def send(who: Bidder, body: bytes, *, timeout_ms: int) -> Answered:
        if who.id == "down":
            raise Unreachable("no route")
        if who.id == "bug":
            raise ZeroDivisionError
        return Answered(200, reply(bid()))

    async def work(clock: LoopClock) -> Gathered:
        terms = settings(bidder("down"), bidder("bug"), bidder("up"))
        return await Gather(terms, transport=send, clock=clock, asi="a.example", currency="EUR")(
            ask()
        )

    found = run_virtually(work)
    assert outcomes(found) == {"down": "error", "bug": "error", "up": "bids"}
    assert "asking bidder bug failed" in caplog.text


def test_an_answer_on_the_last_millisecond_is_in_time_and_one_after_it_is_not() -> None:
    world = SimulatedBidders(
        early=answering(bid(), after_s=0.149), late=answering(bid(), after_s=0.1501)
    )
    (found,), _ = gathering(world, settings(bidder("early"), bidder("late")))
    assert outcomes(found) == {"early": "bids", "late": "late"}


def test_the_request_says_how_long_it_waits() -> None:
    world = SimulatedBidders(dsp=answering(bid(), after_s=0.075))
    (found,), _ = gathering(world, settings(bidder()), tmax_ms=80)
    assert world.asked[0][1]["tmax"] == 50  # 80, less 10 of ours and 20 on the way
    assert (outcomes(found), found.waited_us) == ({"dsp": "late"}, 70_000)


@pytest.mark.parametrize("tmax_ms", [0, 5, 39])
def test_who_would_be_late_is_not_asked(tmax_ms: int) -> None:
    world = SimulatedBidders(dsp=answering(bid()))
    (found,), _ = gathering(world, settings(bidder()), tmax_ms=tmax_ms)
    assert (outcomes(found), world.asked) == ({"dsp": "no-time"}, [])


def test_who_cannot_suit_is_not_asked() -> None:
    world = SimulatedBidders(dsp=answering(bid()))
    native = Slot(id="n", format="native")
    anysize = Slot(id="a", format="banner")
    terms = settings(bidder(formats=["video"]), bidder("chf", currency="CHF"))
    (found, second), _ = gathering(world, terms, ask(), ask(native, anysize))
    assert outcomes(found) == {"dsp": "unsuited", "chf": "currency"}
    assert outcomes(second) == {"dsp": "unsuited", "chf": "currency"}
    assert world.asked == []


def test_bids_go_to_the_slots_they_were_made_for() -> None:
    video = Slot(id="v", format="video", mimes=("video/mp4",), max_duration_s=30)
    native = Slot(id="n", format="native")
    bids = (bid(impid="1"), video_bid(id="b2", impid="2"), bid(id="b3", impid="0"))
    world = SimulatedBidders(dsp=answering(*bids))
    (found,), _ = gathering(world, settings(bidder()), ask(native, BANNER, video))
    assert [[one.bid_id for one in found.bids if one.slot == n] for n in range(3)] == [
        [],
        ["b1"],
        ["b2"],
    ]
    assert [one.reason for one in found.rejected] == [3]


def test_only_so_many_requests_a_second_go_out() -> None:
    world = SimulatedBidders(dsp=answering(bid()))
    found, _ = gathering(world, settings(bidder(qps_max=2)), *[ask()] * 3)
    assert [outcomes(one)["dsp"] for one in found] == ["bids", "bids", "rate"]
    assert len(world.asked) == 2


def test_only_so_many_requests_wait_for_a_bidder_at_once() -> None:
    world = SimulatedBidders(dsp=answering(bid(), after_s=0.1))

    async def work(clock: LoopClock) -> list[Gathered]:
        async with world.serving() as http:
            terms = settings(bidder(concurrency_max=2))
            gather = Gather(terms, transport=http.bid, clock=clock, asi="a.example", currency="EUR")
            return await asyncio.gather(*(gather(ask()) for _ in range(3)))

    found = run_virtually(work)
    assert sorted(outcomes(one)["dsp"] for one in found) == ["bids", "bids", "busy"]


def test_a_bidder_that_fails_in_a_row_is_left_alone_then_tried_once() -> None:
    answers = [saying(500)] * 3 + [saying(500), saying(204), saying(204)]

    async def next_answer(request: dict[str, Any]) -> tuple[int, bytes]:
        return await answers.pop(0)(request)

    world = SimulatedBidders(dsp=next_answer)
    terms = settings(bidder(), failures_to_open=3, pause_s=5)

    async def work(clock: LoopClock) -> list[str]:
        found = []
        async with world.serving() as http:
            gather = Gather(terms, transport=http.bid, clock=clock, asi="a.example", currency="EUR")
            for pause_s in (0, 0, 0, 0, 5, 5, 5, 0):
                await asyncio.sleep(pause_s)
                found.append(outcomes(await gather(ask()))["dsp"])
        return found

    assert run_virtually(work) == [
        "status", "status", "status",  # the third opens it
        "paused",
        "status",  # after five seconds one tries, and fails: the pause doubles
        "paused",
        "no-bid",  # after ten it tries again, and is open to all
        "no-bid",
    ]  # fmt: skip


def test_a_transport_that_does_not_let_go_cannot_hold_up_the_answer() -> None:
    async def stubborn(who: Bidder, body: bytes, *, timeout_ms: int) -> Answered:
        until = asyncio.get_running_loop().time() + 3
        while (left := until - asyncio.get_running_loop().time()) > 0:
            try:
                await asyncio.sleep(left)
            except asyncio.CancelledError:
                continue
        return Answered(200, reply(bid()))

    async def work(clock: LoopClock) -> tuple[list[Gathered], float]:
        terms = settings(bidder(concurrency_max=1))
        gather = Gather(terms, transport=stubborn, clock=clock, asi="a.example", currency="EUR")
        found = [await gather(ask()), await gather(ask())]
        ended_s = asyncio.get_running_loop().time()
        await asyncio.sleep(5)
        return [*found, await gather(ask())], ended_s

    found, ended_s = run_virtually(work)
    assert [outcomes(one)["dsp"] for one in found] == ["late", "busy", "late"]
    assert ended_s == pytest.approx(0.19)  # the operator's 200 ms, less our own 10


def test_a_request_that_is_given_up_leaves_its_bidder_to_be_tried_again() -> None:
    world = SimulatedBidders(dsp=answering(bid(), after_s=1))
    terms = settings(bidder(), failures_to_open=1, pause_s=1)

    async def work(clock: LoopClock) -> list[str]:
        async with world.serving() as http:
            gather = Gather(terms, transport=http.bid, clock=clock, asi="a.example", currency="EUR")
            await gather(ask())  # late, which opens the breaker
            await asyncio.sleep(1)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await gather(ask())  # the trial, cut short by whoever asked
            world.handlers["dsp"] = answering(bid())
            return [outcomes(await gather(ask()))["dsp"] for _ in range(2)]

    assert run_virtually(work) == ["bids", "bids"]


DELAYS = st.lists(st.integers(0, 400).filter(lambda ms: ms != 150), min_size=1, max_size=6)


@given(DELAYS, st.integers(15, 400), st.integers(10, 300))
def test_the_answer_never_waits_past_its_time_and_in_time_is_taken(
    delays, tmax_ms, patience
) -> None:
    names = [f"b{number}" for number in range(len(delays))]
    world = SimulatedBidders(
        **{
            name: answering(bid(), after_s=ms / 1000)
            for name, ms in zip(names, delays, strict=True)
        }
    )
    bidders = [bidder(name, tmax_ms=patience, margin_ms=0) for name in names]
    (found,), _ = gathering(world, settings(*bidders), tmax_ms=tmax_ms)
    budget_ms = min(200, tmax_ms) - 10
    wait_ms = min(patience, budget_ms)
    assert found.waited_us <= max(budget_ms, 0) * 1000
    if wait_ms < 10:
        assert set(outcomes(found).values()) == {"no-time"}
        return
    for name, ms in zip(names, delays, strict=True):
        if ms != wait_ms:  # on the very tick either may come first
            assert outcomes(found)[name] == ("bids" if ms < wait_ms else "late")


def test_what_goes_over_the_wire_is_a_valid_request() -> None:
    bodies: list[bytes] = []

    async def send(who: Bidder, body: bytes, *, timeout_ms: int) -> Answered:
        bodies.append(body)
        return Answered(204)

    async def work(clock: LoopClock) -> Gathered:
        gather = Gather(
            settings(bidder()), transport=send, clock=clock, asi="a.example", currency="EUR"
        )
        return await gather(ask())

    assert outcomes(run_virtually(work)) == {"dsp": "no-bid"}
    assert decode(bodies[0]).imp[0].id == "0"


def test_two_bidders_of_one_id_are_refused() -> None:
    with pytest.raises(ValueError, match="id of its own"):
        settings(bidder(), bidder())
