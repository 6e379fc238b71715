"""Fluid server-side SVG: x in per cent, y in pixels, text at one size from 320 to 1600 px.

Pure functions from numbers to Markup. Each plot is an image whose title states its finding; the
numbers stand as text beside it. Only curves live in a stretched inner ``svg``; marks and text keep
their shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from markupsafe import Markup
from msgspec import Struct, structs

from ringwork.console.labels import Label, axis, settle
from ringwork.console.svg import element

CORRIDOR: Final = 0.80, 1.25
"""Of the ratio of refused to consented: as far below 1 as above it."""
_UNIT: Final = 1000
"""The inner coordinate system of curves, both ways."""
_HEADROOM_PX: Final = 24
_AXIS_PX: Final = 24
_LOW_PX: Final = 160
"""A lower chart has room for two grid lines."""
_SPARK_EDGE: Final = 3.0
_FAR: Final = 5.0
"""A limit more than five times the highest value would press the curve flat."""


class Curve(Struct, frozen=True, kw_only=True):
    """A line: x from 0 to 1 of the plot, y in the chart's unit; ``css`` names hue and dash."""

    points: Sequence[tuple[float, float]]
    css: str


class Mark(Struct, frozen=True, kw_only=True):
    """One named point: a disc with a leader to its text."""

    x: float
    y: float
    text: str


class Limit(Struct, frozen=True, kw_only=True):
    """A dashed line across the plot that is written out in words."""

    y: float
    text: str


_LEAST: Final = 1e-300
"""Below it there is no power of ten to step by."""


def ticks(top: float, most: int = 4) -> list[float]:
    """Round steps above 0 up to ``top``: 1, 2, 2.5 or 5 times a power of ten.

    >>> ticks(930)
    [200.0, 400.0, 600.0, 800.0]
    """
    if top < _LEAST:
        return []
    power = 10.0 ** math.floor(math.log10(top / most))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if _steps(top, power * m) <= most)
    return [step * i for i in range(1, _steps(top, step) + 1)]


def _steps(top: float, step: float) -> int:
    return int(top / step * (1 + 1e-9))


def sparkline(values: Sequence[float], title: str, *, width: int = 124, height: int = 26) -> Markup:
    """A small grey line without axis that ends in a dot; fewer than two values draw a flat one."""
    if not values:
        return Markup("")
    series = [values[0], *values] if len(values) == 1 else list(values)
    low, high = min(series), max(series)
    room = height - 2 * _SPARK_EDGE
    step = (width - 6) / (len(series) - 1)
    points = [
        (
            2 + i * step,
            height - _SPARK_EDGE - room * ((v - low) / (high - low) if high > low else 0),
        )
        for i, v in enumerate(series)
    ]
    written = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    end_x, end_y = points[-1]
    return element(
        "svg",
        element("title", title),
        element("polyline", class_="line thin si", points=written),
        element("circle", class_="fi", cx=end_x, cy=end_y, r=2.5),
        width=width,
        height=height,
        role="img",
    )


def line_chart(
    *,
    title: str,
    curves: Sequence[Curve],
    x_marks: Sequence[tuple[float, str]],
    unit: str = "",
    now: Mark | None = None,
    limit: Limit | None = None,
    remark: str = "",
    height: int = 248,
) -> Markup:
    """Curves over a grid that starts at 0; ``unit`` is written at the highest grid line.

    Labels that would touch another one are moved or left out.
    """
    highest = max((y for curve in curves for _, y in curve.points), default=0.0)
    top = _headroom(max(highest, limit.y if limit else 0.0))
    plot_px = height - _HEADROOM_PX - _AXIS_PX
    floor_px = float(_HEADROOM_PX + plot_px)

    def y_px(value: float) -> float:
        return floor_px - plot_px * value / top

    over = marked(now) if now else []
    if remark:
        over.append(Label(text=remark, x=0.0, y=12.0))
    grid, named = _grid(ticks(top, 4 if height > _LOW_PX else 2), y_px, limit)
    free = _settled(over, named, unit, bottom=floor_px - 3)
    return element(
        "svg",
        element("title", title),
        *grid,
        _stretched(curves, top, plot_px),
        element("line", class_="axis-line", x1=0, x2="100%", y1=floor_px, y2=floor_px),
        *dot(now, y_px),
        *[written(label) for label in (*free, *axis(x_marks, floor_px + 18))],
        class_="plot",
        height=height,
        role="img",
    )


def _headroom(highest: float) -> float:
    """The value at the top edge: a little above the highest, so that a curve does not touch it."""
    return highest * 1.08 if highest > 0 else 1.0


def number_of(value: float) -> str:
    """A value at a grid line."""
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:g}"


def _grid(
    steps: Sequence[float], y_px: Callable[[float], float], limit: Limit | None
) -> tuple[list[Markup], list[Label]]:
    """The lines and their labels: the limit's first, then the grid's from the top down."""
    drawn: list[Markup] = []
    named: list[Label] = []
    if limit is not None:
        y = y_px(limit.y)
        drawn.append(element("line", class_="limit", x1=0, x2="100%", y1=y, y2=y))
        named.append(Label(text=limit.text, x=0.0, y=y - 5, css="ink halo"))
    for step in reversed(steps):
        y = y_px(step)
        drawn.append(element("line", class_="grid", x1=0, x2="100%", y1=y, y2=y))
        named.append(Label(text=number_of(step), x=0.0, y=y - 4, css="halo", fixed=True))
    return drawn, named


def _settled(
    over: Sequence[Label], named: Sequence[Label], unit: str, *, bottom: float
) -> list[Label]:
    """The labels that fit, with the unit written at the highest grid line that has room for it."""
    for index, label in enumerate(named):
        if unit and label.fixed:
            told = structs.replace(label, text=f"{label.text} {unit}")
            placed = settle(
                [*over, *named[:index], told, *named[index + 1 :]], top=11.0, bottom=bottom
            )
            if told in placed:
                return placed
    return settle([*over, *named], top=11.0, bottom=bottom)


def _stretched(curves: Sequence[Curve], top: float, plot_px: int) -> Markup:
    return element(
        "svg",
        *[
            element(
                "polyline",
                class_=f"line {curve.css}",
                points=" ".join(
                    f"{x * _UNIT:.0f},{_UNIT - _UNIT * y / top:.0f}" for x, y in curve.points
                ),
            )
            for curve in curves
            if curve.points
        ],
        y=_HEADROOM_PX,
        width="100%",
        height=plot_px,
        viewBox=f"0 0 {_UNIT} {_UNIT}",
        preserveAspectRatio="none",
        aria_hidden="true",
    )


def marked(now: Mark) -> list[Label]:
    """The text of the named point: above the plot, on the side with more room."""
    left = now.x > 0.5
    return [
        Label(
            text=now.text,
            x=now.x,
            y=12.0,
            anchor="end" if left else "start",
            dx=-6.0 if left else 6.0,
            css="strong halo",
            fixed=True,
        )
    ]


def dot(now: Mark | None, y_px: Callable[[float], float]) -> list[Markup]:
    """The disc of the named point and the leader to its text."""
    if now is None:
        return []
    x, y = f"{now.x * 100:.2f}%", y_px(now.y)
    return [
        element("line", class_="axis-line", x1=x, x2=x, y1=16, y2=y),
        element("circle", class_="f1", cx=x, cy=y, r=4),
    ]


def written(label: Label) -> Markup:
    """A label as text of the chart."""
    side = {"start": "", "middle": "mid", "end": "end"}[label.anchor]
    css = " ".join(filter(None, (label.css, side)))
    more: dict[str, str | float] = {"dx": label.dx} if label.dx else {}
    return element("text", label.text, class_=css, x=f"{label.x * 100:.2f}%", y=label.y, **more)


def bar(
    part: float,
    title: str,
    *,
    css: str = "fm",
    start: float = 0.0,
    limit: float | None = None,
    track: bool = False,
) -> Markup:
    """A bar to one scale inside a table cell; shares from 0 to 1.

    ``limit`` draws a dashed tick, ``track`` the whole that the bar is a part of.
    """
    drawn = []
    if track:
        drawn.append(element("rect", class_="track", x=0, y=11, height=12, width="100%"))
    drawn.append(
        element("rect", class_=css, x=_percent(start), y=11, height=12, width=_percent(part))
    )
    if track:
        drawn.append(element("line", class_="axis-line", x1="100%", x2="100%", y1=9, y2=25))
    if limit is not None:
        at = _percent(limit)
        drawn.append(element("line", class_="plan", x1=at, x2=at, y1=0, y2=34))
    return element("svg", element("title", title), *drawn, height=34, role="img")


def budget_bar(
    *, spent: float, reserved: float, labels: tuple[str, str, str], title: str
) -> Markup:
    """Spent, reserved, free as one bar, in shares of the budget, each with its label."""
    spent_text, reserved_text, free_text = labels
    edge = _percent(spent)
    parts = [
        element("rect", class_="track", x=0, y=18, width="100%", height=14),
        element("rect", class_="f1", x=0, y=18, width=edge, height=14),
    ]
    if reserved > 0:
        # Never thinner than it can be seen: what is reserved is most often a sliver.
        parts.append(
            element(
                "rect",
                class_="f2",
                x=edge,
                y=18,
                height=14,
                style=f"width:max(3px,{_percent(reserved)})",
            )
        )
    parts += [
        element("line", class_="axis-line", x1=0, x2="100%", y1=32.5, y2=32.5),
        written(Label(text=spent_text, x=0.0, y=50)),
        written(Label(text=free_text, x=1.0, y=50, anchor="end")),
    ]
    if reserved_text:
        parts.append(written(Label(text=reserved_text, x=1.0, y=10, anchor="end", css="")))
    return element("svg", element("title", title), *parts, class_="plot", height=56, role="img")


def ratio_place(ratio: float) -> float:
    """Where a ratio stands on a scale from a half to double, from 0 to 1: 1 is in the middle.

    >>> ratio_place(1.0), ratio_place(0.5), ratio_place(4.0)
    (0.5, 0.0, 1.0)
    """
    return min(1.0, max(0.0, (math.log2(ratio) + 1) / 2)) if ratio > 0 else 0.0


def ratio_mark(ratio: float, title: str) -> Markup:
    """A ratio in a cell that has its corridor: a disc, or a square where it is above."""
    x = _percent(ratio_place(ratio))
    mark = element("circle", class_="f1", cx=x, cy=17, r=4.5)
    if ratio > CORRIDOR[1]:
        square = element("rect", class_="f2", x=-4.5, y=-4.5, width=9, height=9)
        mark = element("svg", square, x=x, y=17)
    line = element("line", class_="axis-line", x1="50%", x2="50%", y1=9, y2=25)
    return element("svg", element("title", title), line, mark, height=34, role="img")


def reach_mark(ratio: float, title: str) -> Markup:
    """A ratio from a half to double in a cell: a disc from 1 up, a square in another hue below."""
    x = _percent(ratio_place(ratio))
    mark = element("circle", class_="f1", cx=x, cy=17, r=4.5)
    if ratio < 1:
        square = element("rect", class_="f2", x=-4.5, y=-4.5, width=9, height=9)
        mark = element("svg", square, x=x, y=17)
    line = element("line", class_="axis-line", x1="50%", x2="50%", y1=9, y2=25)
    return element("svg", element("title", title), line, mark, height=34, role="img")


def strip(values: Sequence[float], title: str, *, top: float) -> Markup:
    """Every value as one thin stroke on a scale from 0 to ``top``."""
    strokes = [
        element("line", class_="stroke", x1=x, x2=x, y1=9, y2=25)
        for x in (_percent(value / top) for value in values)
    ]
    return element("svg", element("title", title), *strokes, height=34, role="img")


def _percent(share: float) -> str:
    return f"{max(0.0, min(1.0, share)) * 100:.2f}%"


def flow_chart(
    *,
    title: str,
    today: Sequence[tuple[float, float]],
    earlier: Sequence[tuple[float, float]],
    now: tuple[float, float, str] | None,
) -> Markup:
    """A day's impressions a minute, the same weekday before it dotted."""
    return line_chart(
        title=title,
        curves=[
            Curve(points=earlier, css="thin si dot"),
            Curve(points=today, css="s1"),
        ],
        x_marks=[(0.0, "00:00"), (0.25, "06:00"), (0.5, "12:00"), (0.75, "18:00"), (1.0, "24:00")],
        unit="a minute",
        now=Mark(x=now[0], y=now[1], text=now[2]) if now else None,
    )


def series_chart(
    *,
    title: str,
    points: Sequence[tuple[float, float]],
    marks: Sequence[tuple[float, str]],
    unit: str,
) -> Markup:
    """One figure over time."""
    return line_chart(
        title=title, curves=[Curve(points=points, css="s1")], x_marks=marks, unit=unit, height=208
    )


def spend_chart(
    *,
    title: str,
    points: Sequence[tuple[float, float]],
    marks: Sequence[tuple[float, str]],
    now: tuple[float, float, str] | None,
    budget: float,
    budget_text: str,
) -> Markup:
    """Cumulative spend under its budget; a budget far above is named and not drawn to scale."""
    highest = max((y for _, y in points), default=0.0)
    near = budget <= _FAR * highest
    return line_chart(
        title=title,
        curves=[Curve(points=points, css="s1")],
        x_marks=marks,
        now=Mark(x=now[0], y=now[1], text=now[2]) if now else None,
        limit=Limit(y=budget, text=budget_text) if near else None,
        remark="" if near else f"{budget_text}; above this scale",
        height=208,
    )
