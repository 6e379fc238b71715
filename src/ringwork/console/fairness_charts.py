"""The plots of fairness. What is estimated is never drawn as one point: proxy, de-attenuated, span.

Proxy: hollow diamond, dashed line. De-attenuated: disc, or a square where all of its interval is
outside; solid line. Interval: capped bar, or fan. Calibration band: a soft bar around it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from markupsafe import Markup
from msgspec import Struct

from ringwork.console.charts import number_of, ticks, written
from ringwork.console.format import MINUS
from ringwork.console.labels import Label, axis, settle
from ringwork.console.svg import element

_UNIT: Final = 1000
_TOP_PX: Final = 24
_AXIS_PX: Final = 24
LINES: Final = ("s1", "s2 dash", "s3", "s4 dash", "si", "s1 dot", "s2", "s3 dash", "s4", "si dash")
"""Of groups: hue and dash differ, so that neither is needed alone."""
NAMED_MAX: Final = 6
"""Points of the plot of cost that are named; the table beside it names all."""


class Estimate(Struct, frozen=True, kw_only=True):
    """A figure in per cent: ``proxy`` None where it is declared, ``point`` None where unknown."""

    proxy: float | None
    point: float | None
    low: float | None
    high: float | None
    band: tuple[float, float] | None = None


class At(Struct, frozen=True, kw_only=True):
    """An estimate at a place from 0 to 1 of the plot."""

    x: float
    estimate: Estimate
    text: str = ""


def interval_mark(
    estimate: Estimate, title: str, *, end: float, thresholds: Sequence[float]
) -> Markup:
    """One figure on a scale from 0 to ``end`` in a cell; thresholds as ticks, the widest last."""
    hue = "2" if _is_outside(estimate, max(thresholds, default=end)) else "1"
    drawn = [
        element("line", class_="grid", x1=_at(one, end), x2=_at(one, end), y1=0, y2=34)
        for one in thresholds
    ]
    if estimate.band is not None:
        low, high = estimate.band
        width = f"{_share(high, end) - _share(low, end):.2f}%"
        drawn.append(element("rect", class_="fan", x=_at(low, end), y=10, width=width, height=14))
    if estimate.low is not None and estimate.high is not None:
        low_at, high_at = _at(estimate.low, end), _at(estimate.high, end)
        drawn += [
            element("line", class_=f"err s{hue}", x1=a, x2=b, y1=y1, y2=y2)
            for a, b, y1, y2 in (
                (low_at, high_at, 17, 17), (low_at, low_at, 12, 22), (high_at, high_at, 12, 22),
            )
        ]  # fmt: skip
    if estimate.point is not None:
        drawn.append(_point(_at(estimate.point, end), 17, hue))
    if estimate.proxy is not None:
        drawn.append(_diamond(_at(estimate.proxy, end), 17, hue))
    return element("svg", element("title", title), *drawn, height=34, role="img")


def scale_mark(end: float, thresholds: Sequence[float]) -> Markup:
    """The head of a column of ``interval_mark``: 0, the widest threshold, the end."""
    marks = [(0.0, "0"), *[(one / end, number_of(one)) for one in sorted(thresholds)]]
    texts = axis([*marks, (1.0, f"{number_of(end)} %")], 11)
    return element(
        "svg", *[written(one) for one in texts], class_="plot", height=14, aria_hidden="true"
    )


def coverage_mark(
    *, proxy: float | None, point: float | None, upper: float | None, title: str
) -> Markup:
    """Shares of ads from 0 to 1 in a cell: the pair, and those whose whole interval is inside.

    A declared attribute has ``point`` alone.
    """
    drawn = [element("rect", class_="track", x=0, y=11, height=12, width="100%")]
    if point is not None:
        css = "fm" if proxy is None else "fan"
        drawn.append(element("rect", class_=css, x=0, y=11, height=12, width=_at(point, 1)))
    if upper is not None:
        drawn.append(element("rect", class_="f1", x=0, y=11, height=12, width=_at(upper, 1)))
    if point is not None and proxy is not None:
        at = _at(point, 1)
        drawn.append(element("line", class_="err s1", x1=at, x2=at, y1=7, y2=27))
    if proxy is not None:
        drawn.append(_diamond(_at(proxy, 1), 17, "1"))
    return element("svg", element("title", title), *drawn, height=34, role="img")


def history_chart(
    *,
    title: str,
    points: Sequence[At],
    thresholds: Sequence[float],
    marks: Sequence[tuple[float, str]],
) -> Markup:
    """A figure over an ad's releases, in per cent, in the corridor of its widest threshold."""
    reach = [
        one
        for at in points
        for one in (at.estimate.proxy, at.estimate.point, at.estimate.high)
        if one is not None
    ]
    top = 1.12 * max([*reach, *thresholds, 1.0])
    height = 208
    floor = float(height - _AXIS_PX)
    scale = _scale(top, _TOP_PX, floor)
    bound = max(thresholds, default=0.0)
    drawn = [_corridor(scale(bound), floor)]
    names = [
        Label(text=f"{number_of(one)} % threshold", x=0.0, y=scale(one) - 4, css="halo", fixed=True)
        for one in sorted(thresholds, reverse=True)
    ]
    drawn += [_across("plan", scale(one)) for one in thresholds]
    for step in ticks(top, 4):
        if all(abs(scale(step) - scale(one)) > 3 for one in thresholds):
            drawn.append(_across("grid", scale(step)))
            names.append(
                Label(text=f"{number_of(step)} %", x=0.0, y=scale(step) - 4, css="halo", fixed=True)
            )
    texts = settle(names, top=11.0, bottom=floor - 3)
    return element(
        "svg",
        element("title", title),
        *drawn,
        _curves(points, top, floor),
        *_ends(points, scale, bound),
        _across("axis-line", floor),
        *[written(one) for one in (*texts, *axis(marks, floor + 18))],
        class_="plot",
        height=height,
        role="img",
    )


def _curves(points: Sequence[At], top: float, floor: float) -> Markup:
    """The fan of the interval, the de-attenuated line in it, the proxy's dashed."""
    spans = [(at.x, at.estimate.low, at.estimate.high) for at in points]
    upper = [(x, high) for x, low, high in spans if low is not None and high is not None]
    lower = [(x, low) for x, low, high in spans if low is not None and high is not None]
    drawn = []
    if len(upper) > 1:
        around = _points([*upper, *reversed(lower)], top)
        drawn.append(element("polygon", class_="fan", points=around))
    for css, line in (
        ("thin si dash", [(at.x, at.estimate.proxy) for at in points]),
        ("s1", [(at.x, at.estimate.point) for at in points]),
    ):
        known = [(x, y) for x, y in line if y is not None]
        if len(known) > 1:
            drawn.append(element("polyline", class_=f"line {css}", points=_points(known, top)))
    return _inner(drawn, _TOP_PX, floor)


def _ends(points: Sequence[At], scale: Callable[[float], float], bound: float) -> list[Markup]:
    """The newest release, with its interval."""
    if not points:
        return []
    newest, x = points[-1].estimate, _at(points[-1].x, 1)
    hue = "2" if _is_outside(newest, bound) else "1"
    drawn = []
    if newest.low is not None and newest.high is not None:
        low, high = scale(newest.low), scale(newest.high)
        drawn.append(element("line", class_=f"err s{hue}", x1=x, x2=x, y1=low, y2=high))
    if newest.point is not None:
        drawn.append(_point(x, scale(newest.point), hue))
    if newest.proxy is not None:
        drawn.append(_diamond(x, scale(newest.proxy), hue))
    return drawn


class Line(Struct, frozen=True, kw_only=True):
    """What holds from each of its points on."""

    points: Sequence[tuple[float, float]]


def steps_chart(*, title: str, lines: Sequence[Line], marks: Sequence[tuple[float, str]]) -> Markup:
    """Values that hold until the next, 0 in the middle; a key names the lines."""
    furthest = max((abs(y) for line in lines for _, y in line.points), default=0.0)
    top = 1.15 * furthest or 1.0
    height = 208
    floor = float(height - _AXIS_PX)
    middle = (_TOP_PX + floor) / 2

    def y_px(value: float) -> float:
        return middle - (floor - _TOP_PX) / 2 * value / top

    grid, names = [_across("axis-line", middle)], []
    for step in ticks(furthest, 2):
        for value, sign in ((step, "+"), (-step, MINUS)):
            grid.append(_across("grid", y_px(value)))
            text = f"{sign}{plain(step)}"
            names.append(Label(text=text, x=0.0, y=y_px(value) - 4, css="halo", fixed=True))
    curves = [
        element(
            "polyline",
            class_=f"line {LINES[number % len(LINES)]}",
            points=" ".join(
                f"{x * _UNIT:.0f},{_UNIT / 2 - _UNIT / 2 * y / top:.0f}"
                for x, y in _stepped(line.points)
            ),
        )
        for number, line in enumerate(lines)
    ]
    texts = settle(names, top=11.0, bottom=floor - 3)
    return element(
        "svg",
        element("title", title),
        *grid,
        _inner(curves, _TOP_PX, floor),
        *[written(one) for one in (*texts, *axis(marks, floor + 18))],
        class_="plot",
        height=height,
        role="img",
    )


def plain(value: float) -> str:
    """A shift to the millionth, without zeros that say nothing and never with an exponent.

    >>> plain(0.0000025), plain(0.1)
    ('0.0000025', '0.1')
    """
    return f"{value:.9f}".rstrip("0").rstrip(".")


def _stepped(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Level until the next point, and to the end of the plot."""
    out: list[tuple[float, float]] = []
    for x, y in points:
        if out:
            out.append((x, out[-1][1]))
        out.append((x, y))
    return [*out, (1.0, out[-1][1])] if out else []


def line_key(number: int) -> Markup:
    """The line of a group, for the key."""
    css = f"line {LINES[number % len(LINES)]}"
    stroke = element("line", class_=css, x1=0, x2=24, y1=5, y2=5)
    return element("svg", stroke, width=24, height=10, aria_hidden="true")


def frontier_chart(
    *,
    title: str,
    points: Sequence[At],
    top: float,
    thresholds: Sequence[float],
    marks: Sequence[tuple[float, str]],
    without: tuple[float, str] | None,
) -> Markup:
    """Ads by what reaching people cost (across) and how far they were from their audience (up).

    ``without``: what it cost in the control arm. Lower left is better.
    """
    height = 290
    floor = float(height - _AXIS_PX)
    scale = _scale(top, _TOP_PX, floor)
    bound = max(thresholds, default=0.0)
    drawn = [
        _corridor(scale(bound), floor),
        *[_across("plan", scale(one)) for one in thresholds],
    ]
    names = [
        Label(text=f"{number_of(one)} % threshold", x=1.0, y=scale(one) - 4, anchor="end",
              css="halo", fixed=True)
        for one in sorted(thresholds, reverse=True)
    ]  # fmt: skip
    if without is not None:
        x = _at(without[0], 1)
        drawn.append(element("line", class_="plan", x1=x, x2=x, y1=_TOP_PX, y2=floor))
        names.insert(0, _beside(without[0], 12.0, without[1], fixed=True))
    for at in points:
        drawn += _ends([at], scale, bound)
    named = sorted(points, key=lambda one: -(one.estimate.high or one.estimate.point or 0.0))
    names += [
        _beside(at.x, scale(at.estimate.high or at.estimate.point or 0.0) - 5, at.text)
        for at in named[:NAMED_MAX]
    ]
    texts = settle(names, top=11.0, bottom=floor - 3)
    return element(
        "svg",
        element("title", title),
        *drawn,
        _across("axis-line", floor),
        *[written(one) for one in (*texts, *axis(marks, floor + 18))],
        class_="plot",
        height=height,
        role="img",
    )


def _beside(x: float, y: float, text: str, *, fixed: bool = False) -> Label:
    is_left = x > 0.5
    return Label(
        text=text,
        x=x,
        y=y,
        anchor="end" if is_left else "start",
        dx=-8.0 if is_left else 8.0,
        css="ink halo",
        fixed=fixed,
    )


def _is_outside(estimate: Estimate, bound: float) -> bool:
    low = estimate.low if estimate.band is None else estimate.band[0]
    return low is not None and low > bound


def _scale(top: float, above: float, floor: float) -> Callable[[float], float]:
    return lambda value: floor - (floor - above) * min(value, top) / top


def _share(value: float, end: float) -> float:
    return 100 * min(max(value / end, 0.0), 1.0)


def _at(value: float, end: float) -> str:
    return f"{_share(value, end):.2f}%"


def _corridor(y: float, floor: float) -> Markup:
    return element("rect", class_="band", x=0, y=y, width="100%", height=floor - y)


def _across(css: str, y: float) -> Markup:
    return element("line", class_=css, x1=0, x2="100%", y1=y, y2=y)


def _point(x: str, y: float, hue: str) -> Markup:
    mark = element("circle", class_="f1", r=4.5)
    if hue == "2":
        mark = element("rect", class_="f2", x=-4.5, y=-4.5, width=9, height=9)
    return element("svg", mark, x=x, y=y)


def _diamond(x: str, y: float, hue: str) -> Markup:
    path = element("path", class_=f"hollow s{hue}", d="M0-5 5 0 0 5-5 0z")
    return element("svg", path, x=x, y=y)


def _points(line: Sequence[tuple[float, float]], top: float) -> str:
    return " ".join(f"{x * _UNIT:.0f},{_UNIT - _UNIT * min(y, top) / top:.0f}" for x, y in line)


def _inner(drawn: Sequence[Markup], above: float, floor: float) -> Markup:
    return element(
        "svg",
        *drawn,
        y=above,
        width="100%",
        height=floor - above,
        viewBox=f"0 0 {_UNIT} {_UNIT}",
        preserveAspectRatio="none",
        aria_hidden="true",
    )
