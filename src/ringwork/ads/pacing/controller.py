"""The default pacer: the share of its bid that a campaign bids, so that its budget lasts.

A constant multiplier is the best there is against a budget in second-price auctions (Balseiro &
Gur, Management Science 65(9), 2019: the dual variable of the budget), and the one that spends the
budget exactly is what is looked for. Their step along the gradient is replaced by solving: the
*causal plan* (ads specification 3.14) says what an opportunity may cost, budget left over
opportunities left; the learned ``Response`` says which multiplier costs that. The target follows
the traffic that really comes, so that a shock is bought at the same price and not throttled.
"""

from __future__ import annotations

import math
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from ringwork.ads.pacing.bounds import refuse_campaign, refuse_observation
from ringwork.ads.pacing.response import Response
from ringwork.ads.pacing.traffic import Curve, Flat, Traffic

ONE_PPM: Final = 1_000_000
START_PPM: Final = 100_000
"""Low, because a budget spent in the first minute is gone and an hour at a tenth is not."""
_RISE_MAX: Final = 0.7
"""Of a log-multiplier at once: a doubling. Spend then rises at most some eightfold unforeseen."""
_FALL_MAX: Final = 1.4
_LOWEST: Final = math.log(1.0 / ONE_PPM)


class State(Struct, frozen=True, array_like=True):
    """Everything a pacer knows; some hundred numbers however long the campaign runs."""

    budget_nanos: int
    start_s: float
    end_s: float
    start_ppm: int
    seen_s: float
    spent_nanos: int
    log_multiplier: float
    traffic: Traffic
    response: Response


class DualPacer:
    """A campaign's multiplier from its budget, its time and what is observed.

    A fold: equal calls give equal states, bit for bit; no clock, no randomness. It steers and does
    not stop anything: the escrow does. The forecast is not part of the state, because many
    campaigns share one.

    >>> pacer = DualPacer(5_000_000_000, start_s=0, end_s=86_400)
    >>> pacer.multiplier(0)
    100000
    >>> pacer.observe(60, spent_nanos=40_000_000, opportunities=100)
    >>> pacer.multiplier(60) < 100_000  # eleven times too fast
    True
    """

    def __init__(
        self,
        budget_nanos: int,
        start_s: float,
        end_s: float,
        forecast: Curve | None = None,
        *,
        start_ppm: int = START_PPM,
        level: float | None = None,
    ) -> None:
        """``start_ppm``: what to begin with, best what ``feasibility`` expects to be right.

        ``level``: traffic over forecast (over one a minute without one), where that is known.
        ValueError: the end is not after the start, a negative budget, numbers that are no numbers.
        """
        refuse_campaign(budget_nanos, start_s, end_s, start_ppm)
        start_s, end_s = float(start_s), float(end_s)  # as they come back from msgpack
        self._curve: Curve = forecast or Flat()
        traffic = Traffic.unseen(start_s, is_forecast=forecast is not None, level=level)
        self.state = State(
            budget_nanos=budget_nanos,
            start_s=start_s,
            end_s=end_s,
            start_ppm=start_ppm,
            seen_s=start_s,
            spent_nanos=0,
            log_multiplier=math.log(start_ppm / ONE_PPM),
            traffic=traffic,
            response=_first_response(budget_nanos, traffic.ahead(self._curve, start_s, end_s)),
        )

    @classmethod
    def restored(cls, state: State, forecast: Curve | None = None) -> DualPacer:
        """One that goes on where ``state`` was, given the same forecast.

        ValueError: a forecast where there was none, or none where there was one.
        """
        if state.traffic.is_forecast != (forecast is not None):
            raise ValueError("a pacer goes on with the forecast, or the lack of one, it began with")
        pacer = cls(
            state.budget_nanos, state.start_s, state.end_s, forecast, start_ppm=state.start_ppm
        )
        pacer.state = state
        return pacer

    def multiplier(self, now_s: float) -> int:
        """The share of its bid to bid, in 1e-6: 1 to 1,000,000; 0 while there is nothing to buy.

        That is before the start, from the end on, and once the budget is spent.
        """
        state = self.state
        if not state.start_s <= now_s < state.end_s or state.spent_nanos >= state.budget_nanos:
            return 0
        return min(max(round(math.exp(state.log_multiplier) * ONE_PPM), 1), ONE_PPM)

    def observe(self, now_s: float, spent_nanos: int, opportunities: int) -> None:
        """What was spent and could have been bought since the last call, at any interval.

        Spent is what the budget has less of, holds included; negative where more holds expired than
        were made. A clock that went back counts as standing still. ValueError: not whole numbers.
        """
        refuse_observation(now_s, spent_nanos, opportunities)
        state = self.state
        now_s = max(float(now_s), state.seen_s)
        expected = self._curve.between(state.seen_s, now_s)
        response = state.response
        if opportunities:
            offset = state.log_multiplier - math.log(state.start_ppm / ONE_PPM)
            hours = (now_s - state.seen_s) / 3600.0
            response = response.observed(offset, max(spent_nanos, 0), opportunities, hours)
        self.state = replace(
            state,
            seen_s=now_s,
            spent_nanos=state.spent_nanos + spent_nanos,
            traffic=state.traffic.observed(opportunities, expected, state.seen_s, now_s),
            response=response,
        )
        self._steer()

    def ahead(self) -> float:
        """Opportunities expected from the last observation to the end."""
        state = self.state
        return state.traffic.ahead(self._curve, state.seen_s, state.end_s)

    def change(
        self, now_s: float, *, budget_nanos: int | None = None, end_s: float | None = None
    ) -> None:
        """Another budget or end from now on; ``observe`` up to now goes before.

        ValueError as at the start, and nothing has changed.
        """
        state = self.state
        budget_nanos = state.budget_nanos if budget_nanos is None else budget_nanos
        end_s = state.end_s if end_s is None else end_s
        refuse_campaign(budget_nanos, state.start_s, end_s, state.start_ppm)
        end_s = float(end_s)
        now_s = max(now_s, state.seen_s)
        response = state.response
        if state.spent_nanos <= 0:  # the first guess was of a budget that is no more
            ahead = state.traffic.ahead(self._curve, now_s, end_s)
            response = _first_response(budget_nanos, ahead)
        self.state = replace(state, budget_nanos=budget_nanos, end_s=end_s, response=response)
        self._steer()

    def _steer(self) -> None:
        """Solve for the multiplier that spends the causal plan.

        The plan counts on one standard deviation of chance fewer opportunities than are expected:
        a budget is better spent a little early than left over when the last ones do not come.
        """
        state = self.state
        left_nanos = state.budget_nanos - state.spent_nanos
        ahead = self.ahead()
        if left_nanos <= 0 or ahead <= 0.0:
            return
        ahead = max(ahead - math.sqrt(ahead), ahead / 2.0)
        wanted = state.response.offset_for(left_nanos / ahead)
        wanted += math.log(state.start_ppm / ONE_PPM)
        now = state.log_multiplier
        wanted = min(max(wanted, now - _FALL_MAX, _LOWEST), now + _RISE_MAX, 0.0)
        self.state = replace(state, log_multiplier=wanted)


def _first_response(budget_nanos: int, ahead: float) -> Response:
    return Response.expected(max(budget_nanos, 1) / max(ahead, 1.0), budget_nanos)
