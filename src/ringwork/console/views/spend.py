"""What a campaign has spent over time, and where the time axis is labelled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from ringwork.console.facts import Spent
from ringwork.console.format import amount, day, minute, money, short_day
from ringwork.kernel.money import NANOS, Money

_MINUTE_US: Final = 60_000_000
_DAY_US: Final = 1440 * _MINUTE_US
_STEPS_US: Final = tuple(
    minutes * _MINUTE_US
    for minutes in (5, 10, 30, 60, 120, 180, 360, 720, 1440, 2880, 10_080, 20_160, 43_200, 129_600)
)
_MARKS_MAX: Final = 6


class SpendCurve(Struct, frozen=True, kw_only=True):
    """Cumulative spend in units of the currency; x from 0 (first spend) to 1 (now)."""

    title: str
    points: list[tuple[float, float]]
    marks: list[tuple[float, str]]
    now: tuple[float, float, str] | None
    budget: float
    budget_text: str
    days: list[tuple[str, int]]
    """Day -> spend booked on it, nanos."""


def spend_curve(spent: Sequence[Spent], *, put_in: Money, now_us: int) -> SpendCurve:
    """The cumulative curve up to now; each span's spend is reached at its end."""
    budget_text = f"budget {money(put_in.total_nanos, put_in.currency)}, never passed"
    budget = put_in.total_nanos / NANOS
    if not spent:
        return SpendCurve(
            title="No spend yet",
            points=[],
            marks=[],
            now=None,
            budget=budget,
            budget_text=budget_text,
            days=[],
        )
    start, end = spent[0].ts_us, max(now_us, spent[0].ts_us + 1)
    ends = [*(span.ts_us for span in spent[1:]), end]
    points, total = [(0.0, 0.0)], 0
    days: dict[str, int] = {}
    for span, span_end in zip(spent, ends, strict=True):
        total += span.nanos
        name = day(span.ts_us)
        days[name] = days.get(name, 0) + span.nanos
        points.append(((span_end - start) / (end - start), total / NANOS))
    return SpendCurve(
        title=f"Spend since {day(start)}: {money(total, put_in.currency)}; {budget_text}",
        points=points,
        budget=budget,
        budget_text=budget_text,
        days=list(days.items()),
        marks=time_marks(start, end),
        now=(1.0, total / NANOS, f"now {amount(total, put_in.currency)}"),
    )


def time_marks(start_us: int, end_us: int) -> list[tuple[float, str]]:
    """Round moments between two others, at most six, each with its place from 0 to 1.

    Minutes and hours up to a day, days beyond; a span too short for a round moment has none.
    """
    span = end_us - start_us
    step = next((each for each in _STEPS_US if span // each < _MARKS_MAX), _STEPS_US[-1])
    named = minute if step < _DAY_US else short_day
    first = -(-start_us // step) * step
    return [((at - start_us) / span, named(at)) for at in range(first, end_us + 1, step)]
