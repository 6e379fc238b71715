"""What is noted of a paced campaign: how far its plan is, what it could reach, how it bids.

The plan of a budget is the pacer's own: spent in the proportion of the requests that came to those
expected until the end (ads specification 3.14). A promise's is its throttle's, even in time.
"""

from __future__ import annotations

import math
from typing import Final

from msgspec import Struct

from ringwork.ads.pacing.controller import DualPacer
from ringwork.ads.pacing.throttle import ThrottlePacer
from ringwork.ads.pacing_events import CampaignPaced

NOTED_S: Final = 900
"""Between two notes of a campaign: a day's curve has 96 points."""
NOTES_A_S: Final = 10
"""Of all campaigns together: where there are more than 9,000, each is noted less often."""
NOTES_WAITING: Final = 600
"""Notes that nobody has taken yet; what does not fit is noted in a later round."""
RECENT_S: Final = 3600.0
"""Time constant of what is remembered of prices."""
FORESEEN_MAX: Final = 2.0**62
"""Whatever a few cheap requests seem to promise, it is written as an int64."""


class Plan(Struct):
    """One plan, from when it was made to its end, and what came of it so far."""

    campaign_id: str
    begins_s: int
    ends_s: int
    budget: int
    opened: int
    """Spent when it was made."""
    came: int = 0
    """Requests since."""
    recent_spent: float = 0.0
    """What the last hour or so spent, the older the less."""
    recent_whole: float = 0.0
    """The requests at the whole bid that would have cost as much."""
    noted_s: int | None = None

    def observe(self, came: int, spent: int, pace_ppm: int, over_s: int, slope: float) -> None:
        """Requests and spend of an interval while the pace was this."""
        kept = math.exp(-max(over_s, 0) / RECENT_S)
        self.came += came
        self.recent_spent = max(self.recent_spent * kept + spent, 0.0)
        self.recent_whole = self.recent_whole * kept + came * (pace_ppm / 1_000_000) ** slope


class Notes:
    """Collects what is to be recorded, within its bounds."""

    def __init__(self) -> None:
        self._waiting: list[CampaignPaced] = []
        self._every_s = NOTED_S

    def spread_over(self, campaigns: int) -> None:
        """Note so many campaigns, each as often as the rate of all allows."""
        self._every_s = max(NOTED_S, campaigns // NOTES_A_S)

    def take(self) -> list[CampaignPaced]:
        """What is to be recorded now."""
        taken, self._waiting = self._waiting, []
        return taken

    def note(
        self,
        plan: Plan,
        pacer: DualPacer | ThrottlePacer | None,
        now_s: int,
        *,
        spent: int,
        pace_ppm: int,
        is_known: bool,
    ) -> None:
        """Note it where that is due; ``is_known`` says whether it has seen enough to foresee."""
        due_s = plan.begins_s if plan.noted_s is None else plan.noted_s + self._every_s
        if now_s < due_s or len(self._waiting) >= NOTES_WAITING:
            return
        plan.noted_s = now_s
        is_promise = isinstance(pacer, ThrottlePacer)
        self._waiting.append(
            CampaignPaced(
                campaign_id=plan.campaign_id,
                unit="impressions" if is_promise else "nanos",
                begins_s=plan.begins_s,
                ends_s=plan.ends_s,
                budget=plan.budget,
                spent=spent,
                due=_due(plan, pacer, now_s),
                reach=_reach(plan, pacer, now_s, spent) if is_known else None,
                pace_ppm=pace_ppm,
            )
        )


def _due(plan: Plan, pacer: DualPacer | ThrottlePacer | None, now_s: int) -> int:
    """What it should have spent by now; evenly in time where no pacer knows better."""
    if pacer is None:
        passed = (now_s - plan.begins_s) / max(plan.ends_s - plan.begins_s, 1)
        return plan.opened + round(max(plan.budget - plan.opened, 0) * min(max(passed, 0.0), 1.0))
    if isinstance(pacer, ThrottlePacer):
        return plan.opened + round(pacer.due(now_s))
    if not plan.came:
        return plan.opened
    share = plan.came / (plan.came + pacer.ahead())
    return plan.opened + round(max(plan.budget - plan.opened, 0) * share)


def slope_of(pacer: DualPacer | ThrottlePacer | None) -> float:
    """How spend rises with the pace: with the share of requests, or like the square of a bid."""
    return 1.0 if isinstance(pacer, ThrottlePacer) else 2.0


def _reach(
    plan: Plan, pacer: DualPacer | ThrottlePacer | None, now_s: int, spent: int
) -> int | None:
    """What would be spent by the end if the requests that are left cost the whole bid each.

    Of a promise: if it took part in all. None where no request was measured yet, as just after a
    restart. Measured, and not the pacer's own line: that begins as a guess around the plan. Lower
    paces tell less of the whole bid; as they count with their square, the estimate tends to what is
    so where it matters, at paces near one.
    """
    if pacer is None:
        return spent  # who bids its whole bid and buys nothing will go on so
    if not plan.recent_whole:
        return None
    if isinstance(pacer, DualPacer):
        requests = pacer.ahead()
    else:
        left_s, passed_s = max(plan.ends_s - now_s, 0), max(now_s - plan.begins_s, 1)
        requests = plan.came * left_s / passed_s
    return spent + round(min(requests * plan.recent_spent / plan.recent_whole, FORESEEN_MAX))
