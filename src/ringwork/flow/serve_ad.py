"""An ad request, top to bottom: terms, outside bids, candidates, rank, steer, clear, log.

Read this file to know what happens to a request between its bytes and its answer. Whatever a later
part does to it (admission) stands here as one more line.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, Protocol

from ringwork.ads.behavioural.service import Behaviour, PersonalAsk
from ringwork.ads.contexts import slot_context, visit_context
from ringwork.ads.events import AnswerTimed, AuctionCleared, SlotOutcome
from ringwork.ads.exchange.desk import ExchangeDesk
from ringwork.ads.exchange.outbound import PassedOn
from ringwork.ads.exchange.round import Round
from ringwork.ads.model import Answered, Ask, Served
from ringwork.ads.page import Page
from ringwork.ads.service import Ads
from ringwork.flow.special_ads import SpecialAds
from ringwork.kernel.errors import Unavailable
from ringwork.kernel.history import working_for
from ringwork.kernel.journal import Journal
from ringwork.kernel.purpose import Grant, GrantRefused, Terms, Tier
from ringwork.kernel.viewer import Viewer

SLOW_DISK_NS: Final = 50_000_000
SLOW_EVERY_NS: Final = 1_000_000
TIMED_EVERY_NS: Final = 20_000_000
"""An event for every wait would be a third of the log: fifty a second tell as much, and of slow
ones a thousand."""


class TermsOf(Protocol):
    """Decides what a request may use."""

    def __call__(self, viewer: Viewer, *, request_id: bytes) -> Terms:
        """The terms of one request; never an error, whatever its signals hold."""
        ...


class ServeAd:
    """Answers ad requests. What it returns as sold is durable.

    A request that sold nothing waits for no disk.
    """

    def __init__(
        self,
        *,
        terms_of: TermsOf,
        ads: Ads,
        behaviour: Behaviour,
        journal: Journal,
        tenant: str,
        exchange: ExchangeDesk | None = None,
        special: SpecialAds | None = None,
    ) -> None:
        """``exchange``: where outside bidders are configured.

        ``special``: where special ads are measured and steered.
        """
        self.exchange = exchange
        self._special = special
        self.requests: Counter[Tier] = Counter()
        """Requests of each tier since the start: all that there is of a subscriber's."""
        self._terms_of = terms_of
        self._ads = ads
        self._behaviour = behaviour
        self._journal = journal
        self._tenant = tenant
        self._timed_ns = -TIMED_EVERY_NS

    async def __call__(
        self,
        ask: Ask,
        viewer: Viewer,
        *,
        tmax_ms: int | None = None,
        passed_on: PassedOn | None = None,
        is_test: bool = False,
    ) -> Answered:
        """The sold slots of ``ask``, for ``viewer``.

        ``tmax_ms`` and ``passed_on`` are for outside bidders: what the request leaves them, and
        what regulates it. ``is_test``: nothing is recorded or sold, only found (OpenRTB ``test``).
        Raises Overloaded or StorageFull before anything is decided.
        """
        stages = StageTimes(self._journal)
        terms = self._terms_of(viewer, request_id=ask.request_id)
        self.requests[terms.tier] += 1
        match terms.tier:
            case "subscriber":
                return Answered("subscriber", [])  # nothing of the request reaches ads or the log
            case "general":
                ask = slot_context(ask)
            case "less-personalised" | "consented":
                ask = visit_context(ask, terms.visit_window_s)
        stages.end("terms")

        if is_test:
            now_s = self._journal.clock.wall_us() // 1_000_000
            return Answered(terms.tier, self._ads.rehearse(ask, now_s=now_s))
        outside = None
        if self.exchange is not None:
            outside = await self.exchange.gather(ask, tmax_ms=tmax_ms, passed_on=passed_on)
            stages.end("outside bids")
        personal = None
        if terms.grant is not None:
            terms, personal = self._personal_context(ask, terms.grant, terms)
            stages.end("history")
        served = await self._sell(ask, viewer, terms, personal, outside, stages)
        return Answered(terms.tier, served)

    def _personal_context(
        self, ask: Ask, grant: Grant, terms: Terms
    ) -> tuple[Terms, PersonalAsk | None]:
        """What the person's grant opens.

        Where it holds no more (withdrawn a moment ago, or outside bidders took too long), nothing:
        the request goes on as one of a person who allowed nothing, measurement included.
        """
        now_s = self._journal.clock.wall_us() // 1_000_000
        try:
            with working_for("consented"):
                return terms, self._behaviour.personal_context(ask, grant, now_s=now_s)
        except GrantRefused as refused:
            reasons = (f"grant-{refused.reason}", *terms.reasons)
            less = Terms("less-personalised", reasons, visit_window_s=terms.visit_window_s)
            return less, None

    async def _sell(
        self,
        ask: Ask,
        viewer: Viewer,
        terms: Terms,
        personal: PersonalAsk | None,
        outside: Round | None,
        stages: StageTimes,
    ) -> list[Served]:
        """Hold the auctions of all slots, in one command."""
        journal, ads = self._journal, self._ads
        auction_id = journal.ids.new()
        served: list[Served] = []
        outcomes: list[SlotOutcome] = []
        with (
            working_for(terms.tier),
            journal.command(
                tenant=self._tenant, request_id=ask.request_id, cause_id=auction_id
            ) as command,
        ):
            page = self._page(ask, personal, auction_id, now_s=command.now_s)
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
            assert not page.reads or terms.tier == "consented", "nobody else's history is read"
            if personal is not None:
                self._behaviour.record(command, personal, page)
            if self._special is not None:
                self._special.record(command, page, outcomes, viewer, terms)
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
                    dict(page.reads),
                    terms.tier,
                    terms.reasons,
                    terms.measurement_allowed,
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

    def _page(
        self, ask: Ask, personal: PersonalAsk | None, auction_id: bytes, *, now_s: int
    ) -> Page:
        """What holds for all slots: of a person where a grant opened something; its cluster."""
        if personal is None:
            page = self._ads.begin(ask, auction_id, now_s=now_s)
        else:
            page = self._behaviour.begin(personal, auction_id, now_s=now_s)
        if self._special is not None:
            self._special.enter(ask, page, now_s=now_s)
        return page

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
