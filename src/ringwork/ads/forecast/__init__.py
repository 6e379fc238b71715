"""Forecasts: what a planned campaign would come to, from the log, with an interval.

``run_forecast`` reads the exported log; ``project`` is the arithmetic alone, on days of
opportunities and prices to beat.
"""

from ringwork.ads.forecast.forecast import check_plan, run_forecast
from ringwork.ads.forecast.history import Block, History
from ringwork.ads.forecast.plan import BidPoint, Estimate, Forecast, PlannedCampaign, Reach
from ringwork.ads.forecast.project import Projection, project

__all__ = [
    "BidPoint",
    "Block",
    "Estimate",
    "Forecast",
    "History",
    "PlannedCampaign",
    "Projection",
    "Reach",
    "check_plan",
    "project",
    "run_forecast",
]
