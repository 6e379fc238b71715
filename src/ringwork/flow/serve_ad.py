"""An ad request, top to bottom: gather outside bids, candidates, rank, clear, log.

Read this file to know what happens to a request between its bytes and its answer. Whatever a later
part does to it (admission, consent, fairness) stands here as one more line.
"""

from __future__ import annotations

from typing import Final

from ringwork.ads.events import AnswerTimed, AuctionCleared, SlotOutcome
from ringwork.ads.exchange.desk import ExchangeDesk
from ringwork.ads.exchange.outbound import Signals
from ringwork.ads.model import Ask, Served
from ringwork.ads.service import Ads
from ringwork.kernel.errors import Unavailable
from ringwork.kernel.journal import Journal

SLOW_DISK_NS: Final = 50_000_000
SLOW_EVERY_NS: Final = 1_000_000
TIMED_EVERY_NS: Final = 20_000_000
"""An event for every wait would be a third of the log: fifty a second tell as much, and of slow
ones a thousand."""


class ServeAd:
    """Answers ad requests. What it returns as sold is durable.

    A request that sold nothing waits for no disk.
    """

    def __init__(
        self, *, ads: Ads, journal: Journal, tenant: str, exchange: ExchangeDesk | None = None
    ) -> None:
        """``exchange``: where outside bidders are configured."""
        self.exchange = exchange
        self._ads = ads
        self._journal = journal
        self._tenant = tenant
        self._timed_ns = -TIMED_EVERY_NS

    async def __call__(  # every step of a request stands here
        self, ask: Ask, *, tmax_ms: int | None = None, signals: Signals | None = None
    ) -> list[Served]:
        """The sold slots of ``ask``.

        ``tmax_ms`` and ``signals`` are for outside bidders: what the request leaves them, and what
        regulates it. Raises Overloaded or StorageFull before anything is decided.
        """
        journal, ads = self._journal, self._ads
        auction_id = journal.ids.new()
        served: list[Served] = []
        outcomes: list[SlotOutcome] = []
        stages = StageTimes(journal)

        outside = None
        if self.exchange is not None:
            outside = await self.exchange.gather(ask, tmax_ms=tmax_ms, signals=signals)
            stages.end("outside bids")

        with journal.command(
            tenant=self._tenant, request_id=ask.request_id, cause_id=auction_id
        ) as command:
            page = ads.begin(ask, auction_id, now_s=command.now_s)
            for lot in ask.lots():
                left = lot
                while left:
                    number, slot = len(outcomes), left[0]
                    shortlist = ads.candidates(ask, slot, page, now_s=command.now_s)
                    if outside is not None:
                        shortlist = outside.join(number, left, page, shortlist)
                    stages.end("candidates")
                    ranked = ads.rank(shortlist, slot, page)
                    shortlist, ranked = ads.steer(ask, slot, page, shortlist, ranked)
                    stages.end("rank")
                    cleared = ads.clear(
                        command, ask, left, page, shortlist, ranked, auction_id=auction_id
                    )
                    if outside is not None:
                        cleared = outside.settle(command, left, cleared)
                    outcomes += [outcome for outcome, _ in cleared]
                    served += [sold for _, sold in cleared if sold is not None]
                    stages.end("clear")
                    left = left[len(cleared) :]
            if outside is not None:
                outside.record(command)
            command.record(
                AuctionCleared(
                    ask.source,
                    ads.currency,
                    ask.context,
                    outcomes,
                    stages.spent_ns,
                    ask.supply_chain,
                    ads.index.model_version,
                ),
                event_id=auction_id,
            )
            durable = command.commit()

        if served:
            await durable
            self._time_the_disk(ask, auction_id, stages)
        if outside is not None:
            outside.tell()
        return served

    def _time_the_disk(self, ask: Ask, auction_id: bytes, stages: StageTimes) -> None:
        """Note the wait, relaxed: it explains a slow answer later and bills nothing."""
        stages.end("disk")
        if not self._is_to_be_timed(stages):
            return
        try:
            command = self._journal.command(
                tenant=self._tenant, request_id=ask.request_id, cause_id=auction_id
            )
        except Unavailable:
            return  # the answer does not depend on it
        with command:
            command.record(AnswerTimed(stages.spent_ns["disk"]))
            command.commit()

    def _is_to_be_timed(self, stages: StageTimes) -> bool:
        """Whether this wait is noted: a slow one, and of the others some a second, for the mean."""
        is_slow = stages.spent_ns["disk"] >= SLOW_DISK_NS
        if stages.last_ns < self._timed_ns + (SLOW_EVERY_NS if is_slow else TIMED_EVERY_NS):
            return False
        self._timed_ns = stages.last_ns
        return True


class StageTimes:
    """Nanoseconds spent per stage, summed over the slots of one request."""

    __slots__ = ("_clock", "last_ns", "spent_ns")

    def __init__(self, journal: Journal) -> None:
        self._clock = journal.clock
        self.last_ns = self._clock.monotonic_ns()
        self.spent_ns: dict[str, int] = {}

    def end(self, stage: str) -> None:
        """Book the time since the last stage's end to ``stage``."""
        now_ns = self._clock.monotonic_ns()
        self.spent_ns[stage] = self.spent_ns.get(stage, 0) + now_ns - self.last_ns
        self.last_ns = now_ns
