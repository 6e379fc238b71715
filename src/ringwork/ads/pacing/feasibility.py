"""What a campaign can deliver, before it starts: spend and impressions, how sure, and why not more.

Expectations come from the prices to beat (``market.delivery``: a paced budget buys the cheapest
opportunities first); the interval from how wrong such forecasts are, how many prices were seen, and
the chance in the purchases themselves. The multiplier that would spend the budget is where a pacer
best begins.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, pstdev
from typing import Final, Literal

from msgspec import Struct

from ringwork.ads.market import delivery
from ringwork.ads.pacing.bounds import refuse_campaign
from ringwork.ads.pacing.traffic import Curve

Limit = Literal["budget", "opportunities", "no-forecast", "bid-too-low", "few-prices", "chance"]
"""What holds a campaign back (``budget`` is what should), or makes its forecast unsure."""

FORECAST_ERROR: Final = 0.25
"""Standard deviation of log(real / forecast) where nobody measured one."""
COVERED: Final = 0.80
"""Of campaigns, those that end inside the interval."""
_PRICES_MIN: Final = 100
_IMPRESSIONS_MIN: Final = 30.0
_BID_TOO_LOW: Final = 0.01
"""A full bid that beats the price in fewer cases is the reason, whatever the traffic."""


class Reason(Struct, frozen=True):
    """One thing that limits the delivery, for programs and for people."""

    limit: Limit
    detail: str


class Feasibility(Struct, frozen=True, kw_only=True):
    """The answer. Expected values with an interval; amounts in nanos."""

    opportunities: float
    spend_nanos: int
    spend_low_nanos: int
    spend_high_nanos: int
    impressions: float
    impressions_low: float
    impressions_high: float
    start_ppm: int
    """For the pacer's ``start_ppm``."""
    spends_budget: bool
    """Whether the budget is expected to be spent."""
    reasons: tuple[Reason, ...]


def assess(
    budget_nanos: int,
    start_s: float,
    end_s: float,
    forecast: Curve | None,
    *,
    bid_nanos: int,
    prices_nanos: Sequence[float],
    forecast_error: float = FORECAST_ERROR,
) -> Feasibility:
    """What ``budget_nanos`` can buy from start to end at up to ``bid_nanos`` an impression.

    ``forecast`` counts the opportunities that the targeting admits; ``prices_nanos`` is a sample of
    the price to beat, floors included. Without a forecast nothing is promised: zeros up to what the
    budget could buy, and the reason. ValueError: no prices, or numbers that cannot be.
    """
    refuse_campaign(budget_nanos, start_s, end_s, 1)
    if bid_nanos < 1 or not (math.isfinite(forecast_error) and forecast_error >= 0.0):
        raise ValueError(f"not a bid and an error: {bid_nanos!r}, {forecast_error!r}")
    expected = forecast.between(start_s, end_s) if forecast is not None else 0.0
    whole = delivery(float(bid_nanos), float(budget_nanos), _count(expected), prices_nanos)
    costs = [price if price <= bid_nanos else 0.0 for price in prices_nanos]
    error = _relative_error(costs, whole.wins, forecast_error)
    factor = math.exp(NormalDist().inv_cdf((1.0 + COVERED) / 2.0) * error)
    low, high = (
        delivery(float(bid_nanos), float(budget_nanos), _count(count), prices_nanos)
        for count in (expected / factor, expected * factor)
    )
    most_nanos = fmean(costs) * expected
    return Feasibility(
        opportunities=expected,
        spend_nanos=round(whole.spend),
        spend_low_nanos=round(low.spend),
        spend_high_nanos=round(high.spend) if forecast is not None else budget_nanos,
        impressions=whole.wins,
        impressions_low=low.wins,
        impressions_high=high.wins
        if forecast is not None
        else budget_nanos / max(min(prices_nanos), 1.0),
        start_ppm=_start_ppm(whole.bid, bid_nanos, is_known=expected > 0.0),
        spends_budget=most_nanos >= budget_nanos,
        reasons=tuple(
            _reasons(budget_nanos, most_nanos, whole.wins, costs, has_forecast=forecast is not None)
        ),
    )


def log_normal_prices(median_nanos: float, sigma: float, *, points: int = 512) -> list[float]:
    """A price distribution known by its median and sigma only, as the sample ``assess`` takes."""
    if not (median_nanos > 0.0 and sigma >= 0.0 and points >= 1):
        raise ValueError(f"not a log-normal: median {median_nanos!r}, sigma {sigma!r}")
    normal = NormalDist()
    return [
        median_nanos * math.exp(sigma * normal.inv_cdf((number + 0.5) / points))
        for number in range(points)
    ]


def _count(opportunities: float) -> int:
    return round(opportunities)


def _start_ppm(paced_nanos: float, bid_nanos: int, *, is_known: bool) -> int:
    share = paced_nanos / bid_nanos if is_known and paced_nanos > 0.0 else 0.1
    return min(max(round(share * 1_000_000), 1), 1_000_000)


def _relative_error(costs: Sequence[float], wins: float, forecast_error: float) -> float:
    """Forecast, sample and chance are independent, so their variances add."""
    mean = fmean(costs)
    if mean <= 0.0:
        return forecast_error
    scatter = pstdev(costs) / mean
    return math.sqrt(
        forecast_error**2 + scatter**2 / len(costs) + (1.0 / wins if wins > 0.0 else 0.0)
    )


def _reasons(
    budget_nanos: int, most_nanos: float, wins: float, costs: Sequence[float], *, has_forecast: bool
) -> list[Reason]:
    reasons = []
    won = sum(cost > 0.0 for cost in costs) / len(costs)
    if won < _BID_TOO_LOW:
        reasons.append(Reason("bid-too-low", f"the full bid beats {won:.2%} of the prices"))
    if not has_forecast:
        reasons.append(Reason("no-forecast", "nothing is known of the traffic to come"))
    elif most_nanos >= budget_nanos:
        share = budget_nanos / most_nanos if most_nanos else 0.0
        reasons.append(Reason("budget", f"it buys {share:.1%} of what the full bid would win"))
    else:
        share = most_nanos / budget_nanos
        reasons.append(Reason("opportunities", f"all of them cost {share:.1%} of the budget"))
    if len(costs) < _PRICES_MIN:
        reasons.append(Reason("few-prices", f"{len(costs)} prices were seen"))
    if has_forecast and wins < _IMPRESSIONS_MIN:
        reasons.append(Reason("chance", f"{wins:.1f} impressions are a matter of luck"))
    return reasons
