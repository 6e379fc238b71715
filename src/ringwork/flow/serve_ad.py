"""An ad request, top to bottom: candidates, rank, clear, log.

Read this file to know what happens to a request between its bytes and its answer. Whatever a later
part does to it (admission, consent, fairness) stands here as one more line.
"""

from __future__ import annotations

from ringwork.ads.events import AnswerTimed, AuctionCleared, SlotOutcome
from ringwork.ads.model import Ask, Served
from ringwork.ads.service import Ads
from ringwork.kernel.errors import Unavailable
from ringwork.kernel.journal import Journal


class ServeAd:
    """Answers ad requests. What it returns as sold is durable.

    A request that sold nothing waits for no disk.
    """

    def __init__(self, *, ads: Ads, journal: Journal, tenant: str) -> None:
        self._ads = ads
        self._journal = journal
        self._tenant = tenant

    async def __call__(self, ask: Ask) -> list[Served]:
        """The sold slots of ``ask``.

        Raises Overloaded or StorageFull before anything is decided.
        """
        journal, ads = self._journal, self._ads
        auction_id = journal.ids.new()
        served: list[Served] = []
        outcomes: list[SlotOutcome] = []
        stages = StageTimes(journal)

        with journal.command(
            tenant=self._tenant, request_id=ask.request_id, cause_id=auction_id
        ) as command:
            for slot in ask.slots:
                shortlist = ads.candidates(ask.context, slot, now_s=command.now_s)
                stages.end("candidates")
                ranked = ads.rank(shortlist)
                stages.end("rank")
                outcome, sold = ads.clear(
                    command, ask, slot, shortlist, ranked, auction_id=auction_id
                )
                stages.end("clear")
                outcomes.append(outcome)
                if sold is not None:
                    served.append(sold)
            command.record(
                AuctionCleared(ask.source, ads.currency, ask.context, outcomes, stages.spent_ns),
                event_id=auction_id,
            )
            durable = command.commit()

        if served:
            await durable
            self._time_the_disk(ask, auction_id, stages)
        return served

    def _time_the_disk(self, ask: Ask, auction_id: bytes, stages: StageTimes) -> None:
        """Note the wait, relaxed: it explains a slow answer later and bills nothing."""
        stages.end("disk")
        try:
            command = self._journal.command(
                tenant=self._tenant, request_id=ask.request_id, cause_id=auction_id
            )
        except Unavailable:
            return  # the answer does not depend on it
        with command:
            command.record(AnswerTimed(stages.spent_ns["disk"]))
            command.commit()


class StageTimes:
    """Nanoseconds spent per stage, summed over the slots of one request."""

    __slots__ = ("_clock", "_last_ns", "spent_ns")

    def __init__(self, journal: Journal) -> None:
        self._clock = journal.clock
        self._last_ns = self._clock.monotonic_ns()
        self.spent_ns: dict[str, int] = {}

    def end(self, stage: str) -> None:
        """Book the time since the last stage's end to ``stage``."""
        now_ns = self._clock.monotonic_ns()
        self.spent_ns[stage] = self.spent_ns.get(stage, 0) + now_ns - self._last_ns
        self._last_ns = now_ns
