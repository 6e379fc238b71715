"""The figures under an answer: value, unit, comparison or interval, and a sparkline."""

from __future__ import annotations

from msgspec import Struct

from ringwork.console.facts import Bin, OverviewFacts
from ringwork.console.format import (
    MISSING,
    NARROW,
    amount,
    between,
    count,
    duration,
    money,
    percent,
    share,
    weekday,
)
from ringwork.console.intervals import wilson
from ringwork.console.views.bins import hourly, quantile, rates, until


class Figure(Struct, frozen=True, kw_only=True):
    """``key`` names its node for live values; ``trend`` is drawn without an axis."""

    key: str
    label: str
    value: str
    unit: str = ""
    note: str = ""
    trend: list[float] = []
    trend_title: str = ""


def overview_figures(facts: OverviewFacts, today: Bin) -> list[Figure]:
    """Earned, requests, filled, per thousand, and what an answer waits for."""
    hours = hourly(facts.today)
    before = until(facts.earlier, facts.now_us)
    last = f"last {weekday(facts.now_us)}"
    running, earned = 0, []
    for hour in hours:
        running += hour.earned_nanos
        earned.append(float(running))
    rate = rates(facts.today, facts.now_us, of=lambda one: one.requests)
    return [
        Figure(
            key="earned",
            label="Earned today",
            value=money(today.earned_nanos, facts.currency),
            note=f"{amount(before.earned_nanos, facts.currency)} {last} by now"
            if before.requests
            else f"from {count(today.impressions)} impressions",
            trend=earned,
            trend_title="Earned today, cumulative, hour by hour",
        ),
        Figure(
            key="requests",
            label="Ad requests",
            value=count(today.requests),
            note=f"{count(round(rate[-1][1]))} a minute now" if rate else "none yet",
            trend=[float(hour.requests) for hour in hours],
            trend_title="Ad requests today, by hour",
        ),
        Figure(
            key="filled",
            label="Filled",
            value=share(today.sold, today.slots),
            unit="%",
            note=f"{percent(before.sold, before.slots)} {last}"
            if before.slots
            else f"{count(today.sold)} of {count(today.slots)} places",
            trend=[hour.sold / hour.slots * 100 for hour in hours if hour.slots],
            trend_title="Share filled today, by hour",
        ),
        _per_thousand(today, hours, facts.currency),
        _disk_wait(facts.waits_ns),
    ]


def _per_thousand(today: Bin, hours: list[Bin], currency: str) -> Figure:
    exact = today.earned_nanos * 1000 // today.impressions if today.impressions else None
    clicked = percent(today.clicks, today.impressions, 2)
    interval = between(*(f"{end * 100:.2f}" for end in wilson(today.clicks, today.impressions)))
    return Figure(
        key="thousand",
        label="Per 1,000 impressions",
        value=MISSING if exact is None else money(exact, currency),
        note=f"clicks {clicked} ({interval})" if today.impressions else "no impression yet",
        trend=[hour.earned_nanos / hour.impressions for hour in hours if hour.impressions],
        trend_title="Earned per 1,000 impressions today, by hour",
    )


def _disk_wait(waits_ns: list[int]) -> Figure:
    """Of the latest sold answers, in the order they were given."""
    if not waits_ns:
        return Figure(key="wait", label="Disk wait, p99", value=MISSING, note="nothing sold yet")
    ordered = sorted(waits_ns)
    value, unit = duration(quantile(ordered, 0.99)).split(NARROW)
    return Figure(
        key="wait",
        label="Disk wait, p99",
        value=value,
        unit=unit,
        note=f"median {duration(quantile(ordered, 0.5))}, last {count(len(ordered))}",
        trend=[float(wait) for wait in waits_ns[-60:]],
        trend_title="Disk wait of the latest sold answers",
    )
