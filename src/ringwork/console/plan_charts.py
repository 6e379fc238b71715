"""The three charts of a plan, on one axis of time: spend, its distance from the plan, the pace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from ringwork.console.charts import (
    Curve,
    Limit,
    Mark,
    dot,
    line_chart,
    marked,
    number_of,
    ticks,
    written,
)
from ringwork.console.format import MINUS
from ringwork.console.labels import Label, axis, settle
from ringwork.console.svg import element

_HEADROOM_PX: Final = 24
_PLOT_PX: Final = 96
_UNIT: Final = 1000


def plan_chart(
    *,
    title: str,
    spent: Sequence[tuple[float, float]],
    plans: Sequence[Sequence[tuple[float, float]]],
    forecast: Sequence[tuple[float, float]],
    marks: Sequence[tuple[float, str]],
    now: tuple[float, float, str] | None,
    budget: float,
    budget_text: str,
) -> Markup:
    """Spend beside its plan over the plan's time, the plan dashed, what is foreseen dotted."""
    return line_chart(
        title=title,
        curves=[
            *[Curve(points=plan, css="thin si dash") for plan in plans],
            Curve(points=forecast, css="s1 dot"),
            Curve(points=spent, css="s1"),
        ],
        x_marks=marks,
        now=Mark(x=now[0], y=now[1], text=now[2]) if now else None,
        limit=Limit(y=budget, text=budget_text),
        height=224,
    )


def difference_chart(
    *,
    title: str,
    points: Sequence[tuple[float, float]],
    corridor: float,
    marks: Sequence[tuple[float, str]],
    now: tuple[float, float, str] | None,
) -> Markup:
    """Spent minus plan, magnified, with the corridor of plus and minus ``corridor`` as a band."""
    furthest = max((abs(y) for _, y in points), default=0.0)
    top = 1.15 * max(furthest, corridor, 1e-9)
    middle = _HEADROOM_PX + _PLOT_PX / 2

    def y_px(value: float) -> float:
        return middle - _PLOT_PX / 2 * value / top

    said = Mark(x=now[0], y=now[1], text=now[2]) if now else None
    steps = ticks(top, 2)[-1:]
    named = [Label(text="plan", x=0.0, y=middle - 4, css="halo", fixed=True)]
    for step in steps:
        for value, text in ((step, f"+{number_of(step)}"), (-step, f"{MINUS}{number_of(step)}")):
            named.append(Label(text=text, x=0.0, y=y_px(value) - 4, css="halo", fixed=True))
    floor_px = float(_HEADROOM_PX + _PLOT_PX)
    labels = settle([*(marked(said) if said else []), *named], top=11.0, bottom=floor_px - 3)
    line = " ".join(f"{x * _UNIT:.0f},{_UNIT / 2 - _UNIT / 2 * y / top:.0f}" for x, y in points)
    curve = element(
        "svg",
        element("polyline", class_="line s1", points=line),
        y=_HEADROOM_PX,
        width="100%",
        height=_PLOT_PX,
        viewBox=f"0 0 {_UNIT} {_UNIT}",
        preserveAspectRatio="none",
        aria_hidden="true",
    )
    band = [y_px(corridor), y_px(-corridor)]
    return element(
        "svg",
        element("title", title),
        element("rect", class_="band", x=0, y=band[0], width="100%", height=band[1] - band[0]),
        *[element("line", class_="axis-line", x1=0, x2="100%", y1=y, y2=y) for y in band],
        *[
            element("line", class_="grid", x1=0, x2="100%", y1=y_px(value), y2=y_px(value))
            for step in steps
            for value in (step, -step)
        ],
        element("line", class_="plan", x1=0, x2="100%", y1=middle, y2=middle),
        curve,
        element("line", class_="axis-line", x1=0, x2="100%", y1=floor_px, y2=floor_px),
        *dot(said, y_px),
        *[written(label) for label in (*labels, *axis(marks, floor_px + 18))],
        class_="plot",
        height=floor_px + 24,
        role="img",
    )


def pace_chart(
    *,
    title: str,
    points: Sequence[tuple[float, float]],
    marks: Sequence[tuple[float, str]],
    now: tuple[float, float, str] | None,
) -> Markup:
    """The multiplier over the same time, in per cent from 0."""
    return line_chart(
        title=title,
        curves=[Curve(points=points, css="s1")],
        x_marks=marks,
        unit="%",
        now=Mark(x=now[0], y=now[1], text=now[2]) if now else None,
        height=136,
    )
