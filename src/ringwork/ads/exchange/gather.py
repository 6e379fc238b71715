"""Ask every bidder at once, and take what is there in time.

A bidder is asked when its currency has a rate, it sells what is asked for, enough time is left, its
breaker is closed and neither its requests a second nor those under way are at their bound: it is
never waited for in a queue, because a request that starts late ends late. What has not come by the
deadline is dropped, counted, and a failure to the breaker. An answer that can be read is none,
however many of its bids are refused.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from ringwork.ads.exchange import inbound
from ringwork.ads.exchange.bidders import Bidder, ExchangeSettings
from ringwork.ads.exchange.breaker import Allowance, Breaker, Pass
from ringwork.ads.exchange.events import BidderHeard
from ringwork.ads.exchange.inbound import Answer, ExternalBid, Rejection
from ringwork.ads.exchange.outbound import TMAX_MIN_MS, Outgoing, PassedOn, outgoing, slots_for
from ringwork.ads.exchange.rules import INVALID
from ringwork.ads.exchange.transport import BidderFailed, BidTransport, TooMuch
from ringwork.ads.exchange.worth import worths_of
from ringwork.ads.model import Ask
from ringwork.ads.openrtb.terms import Rates
from ringwork.kernel.ports import Clock

ASKED: Final = frozenset({"bids", "no-bid", "late", "error", "oversized", "status", "malformed"})
"""How a request that went out can end; the other outcomes say why it did not."""
_OK: Final = 200
_NO_CONTENT: Final = 204
_NOTHING: Final = Answer([], [])
_log: Final = logging.getLogger(__name__)


class Gathered(Struct, frozen=True):
    """What outside bidders bid for one ask."""

    bids: list[ExternalBid]
    rejected: list[Rejection]
    heard: list[BidderHeard]
    """Every configured bidder, in their order."""
    waited_us: int


class _Line:
    """A bidder and how it is doing."""

    __slots__ = ("allowance", "bidder", "breaker", "counts", "running")

    def __init__(self, bidder: Bidder, settings: ExchangeSettings) -> None:
        self.bidder = bidder
        self.breaker = Breaker(
            failures_to_open=settings.failures_to_open,
            pause_s=settings.pause_s,
            pause_max_s=settings.pause_max_s,
        )
        self.allowance = Allowance(bidder.qps_max)
        self.running: set[asyncio.Task[_Heard]] = set()
        """Under way, those too that nobody waits for any more and that have not ended yet."""
        self.counts: dict[str, int] = {}

    def count(self, what: str, by: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + by


class Held(Struct, frozen=True):
    """Why a request does not go out."""

    why: str


class _Heard(Struct):
    """How one request ended."""

    outcome: str
    latency_us: int
    answer: Answer = _NOTHING


class _Asked(Struct):
    """One request under way."""

    line: _Line
    given: Pass
    task: asyncio.Task[_Heard]


class Gather:
    """Asks the configured bidders. One event loop; counters live as long as it does."""

    def __init__(
        self,
        settings: ExchangeSettings,
        *,
        transport: BidTransport,
        clock: Clock,
        asi: str,
        currency: str,
        rates: Rates | None = None,
    ) -> None:
        """``asi``: the platform's domain in supply chains; ``currency``: the platform's."""
        self.settings = settings
        self._transport = transport
        self._clock = clock
        self._asi = asi
        self._currency = currency
        self._rates = rates
        self._lines = [_Line(bidder, settings) for bidder in settings.bidders]

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Bidder -> outcome, or ``loss <code>`` of a refused bid -> how often since the start."""
        return {line.bidder.id: dict(line.counts) for line in self._lines}

    async def __call__(
        self, ask: Ask, *, tmax_ms: int | None = None, passed_on: PassedOn | None = None
    ) -> Gathered:
        """The bids for ``ask`` that came in time.

        ``tmax_ms``: what the request itself leaves, from now on. Returns by then whatever a bidder
        or its transport does.
        """
        started_ns = self._clock.monotonic_ns()
        longest_ms = self.settings.tmax_ms
        budget_ms = min(longest_ms, longest_ms if tmax_ms is None else tmax_ms)
        budget_ms -= self.settings.own_margin_ms
        found: dict[str, _Heard] = {}
        asked: list[_Asked] = []
        for line in self._lines:
            started = self._start(line, ask, budget_ms, passed_on)
            if isinstance(started, str):
                found[line.bidder.id] = _Heard(started, 0)
            else:
                asked.append(started)
        await self._wait(asked, budget_ms)
        for one in asked:
            found[one.line.bidder.id] = self._ended(one, started_ns)
        waited_us = (self._clock.monotonic_ns() - started_ns) // 1000
        return self._gathered(found, waited_us)

    # ---- asking ---------------------------------------------------------------------------------

    def _start(
        self, line: _Line, ask: Ask, budget_ms: int, passed_on: PassedOn | None
    ) -> _Asked | str:
        """The request under way, or why the bidder is not asked."""
        if passed_on is not None and passed_on.unclear:
            return "signals"
        bidder = line.bidder
        wait_ms = min(bidder.tmax_ms, budget_ms)
        tmax_ms = wait_ms - bidder.margin_ms
        if tmax_ms < TMAX_MIN_MS:
            return "no-time"
        worths = worths_of(
            bidder, currency=self._currency, rates=self._rates, now_us=self._clock.wall_us()
        )
        if not worths:
            return "currency"
        if not slots_for(ask, bidder):
            return "unsuited"
        given = self._admit(line)
        if isinstance(given, Held):
            return given.why
        request = outgoing(
            ask,
            bidder,
            self.settings,
            asi=self._asi,
            worths=worths,
            tmax_ms=tmax_ms,
            passed_on=passed_on,
        )
        task = asyncio.create_task(self._ask(request, wait_ms))
        line.running.add(task)
        task.add_done_callback(line.running.discard)
        return _Asked(line, given, task)

    def _admit(self, line: _Line) -> Pass | Held:
        """Whether one more request may go out to a bidder now."""
        if len(line.running) >= line.bidder.concurrency_max:
            return Held("busy")
        now_ns = self._clock.monotonic_ns()
        if not line.allowance.take(now_ns):
            return Held("rate")
        return line.breaker.admit(now_ns) or Held("paused")

    async def _ask(self, request: Outgoing, wait_ms: int) -> _Heard:
        """One request and what came of it."""
        started_ns = self._clock.monotonic_ns()
        answer = _NOTHING
        try:
            async with asyncio.timeout(wait_ms / 1000):
                reply = await self._transport(request.bidder, request.body, timeout_ms=wait_ms)
        except TimeoutError:
            outcome = "late"
        except TooMuch:
            outcome = "oversized"
        except BidderFailed:
            outcome = "error"
        else:
            outcome = "status"
            if reply.status == _NO_CONTENT:
                outcome = "no-bid"
            elif reply.status == _OK:
                answer = inbound.read(reply.body, request)
                outcome = _outcome_of(answer)
        return _Heard(outcome, (self._clock.monotonic_ns() - started_ns) // 1000, answer)

    async def _wait(self, asked: list[_Asked], budget_ms: int) -> None:
        """Until all have ended or the time is over; what has not ended then is cancelled."""
        if not asked:
            return
        try:
            await asyncio.wait([one.task for one in asked], timeout=budget_ms / 1000)
        except asyncio.CancelledError:
            for one in asked:
                one.line.breaker.abandoned(one.given)
            raise
        finally:
            for one in asked:
                one.task.cancel()  # nothing happens to those that have ended

    # ---- counting -------------------------------------------------------------------------------

    def _ended(self, one: _Asked, started_ns: int) -> _Heard:
        """How a request ended, told to its breaker."""
        now_ns = self._clock.monotonic_ns()
        task, breaker = one.task, one.line.breaker
        error = task.exception() if task.done() and not task.cancelled() else None
        if not task.done() or task.cancelled():
            heard = _Heard("late", (now_ns - started_ns) // 1000)
        elif error is not None:  # one bidder's transport must not cost the others their bids
            _log.error("asking bidder %s failed", one.line.bidder.id, exc_info=error)
            heard = _Heard("error", (now_ns - started_ns) // 1000)
        else:
            heard = task.result()
        if heard.outcome in ("bids", "no-bid"):
            breaker.succeeded(one.given)
        else:
            breaker.failed(one.given, now_ns)
        return heard

    def _gathered(self, found: Mapping[str, _Heard], waited_us: int) -> Gathered:
        gathered = Gathered([], [], [], waited_us)
        for line in self._lines:
            heard = found[line.bidder.id]
            answer, rejected = heard.answer, dict[int, int]()
            for rejection in answer.rejected:
                rejected[rejection.reason] = rejected.get(rejection.reason, 0) + 1
            line.count(heard.outcome)
            for reason, count in rejected.items():
                line.count(f"loss {reason}", count)
            gathered.bids.extend(answer.bids)
            gathered.rejected.extend(answer.rejected)
            gathered.heard.append(
                BidderHeard(
                    line.bidder.id,
                    heard.outcome,
                    heard.latency_us,
                    len(answer.bids),
                    rejected,
                    answer.no_bid,
                    *_offered(answer.bids),
                )
            )
        return gathered


def _offered(bids: list[ExternalBid]) -> tuple[str, str, int, dict[str, int]]:
    """How the bids of one response were made: what each of them counts as follows from it."""
    if not bids:
        return "", "", 0, {}
    first = bids[0]  # a response has one currency
    rate = f"{first.worth.rate:f}"
    offered = {one.bid_id: one.bid_nanos for one in bids}
    return first.currency, rate, first.worth.adjustment_ppm, offered


def _outcome_of(answer: Answer) -> str:
    """A response that could not be read is a failure, one without a bid that competes is not."""
    if answer.bids:
        return "bids"
    is_broken = any(one.reason == INVALID and not one.imp_id for one in answer.rejected)
    return "malformed" if is_broken else "no-bid"
