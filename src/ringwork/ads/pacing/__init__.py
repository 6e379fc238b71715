"""Pacing: how much of its bid a campaign bids, so that its budget lasts until its end.

``DualPacer`` is the default; ``ThrottlePacer`` takes part in fewer auctions instead of bidding
less; ``PidPacer`` is there to compare. ``TrafficProfile`` learns the traffic and gives the
``Forecast``; ``assess`` says beforehand what can be delivered.
"""

from ringwork.ads.pacing.controller import DualPacer, State
from ringwork.ads.pacing.curve import (
    DAY_MINUTES,
    WEEK_MINUTES,
    Forecast,
    ProfileState,
    TrafficProfile,
)
from ringwork.ads.pacing.feasibility import Feasibility, Reason, assess, log_normal_prices
from ringwork.ads.pacing.pid import PidPacer, PidState
from ringwork.ads.pacing.throttle import ThrottlePacer, ThrottleState
from ringwork.ads.pacing.traffic import Curve

__all__ = [
    "DAY_MINUTES",
    "WEEK_MINUTES",
    "Curve",
    "DualPacer",
    "Feasibility",
    "Forecast",
    "PidPacer",
    "PidState",
    "ProfileState",
    "Reason",
    "State",
    "ThrottlePacer",
    "ThrottleState",
    "TrafficProfile",
    "assess",
    "log_normal_prices",
]
