"""Plots: what they state, what they escape, and that no two of their labels touch at any width."""

import math
import re
from itertools import combinations
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.console import charts
from ringwork.console.labels import NARROWEST_PX, Anchor, Label, axis, settle, touch
from ringwork.console.svg import element, plain

WIDTHS = (NARROWEST_PX, 320.0, 640.0, 1280.0)


def texts(markup: str) -> list[str]:
    return [node.text or "" for node in ElementTree.fromstring(markup).iter() if node.tag == "text"]


def test_elements_escape_attributes_and_text() -> None:
    written = element("text", '<script>"', class_='a"b', text_anchor="end")
    assert written == ('<text class="a&#34;b" text-anchor="end">&lt;script&gt;&#34;</text>')


def test_nested_elements_are_not_escaped_twice() -> None:
    assert element("g", element("title", "a & b")) == "<g><title>a &amp; b</title></g>"


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1"), (1.50, "1.5"), (-0.001, "0"), (33.333, "33.33"), (7, "7")]
)
def test_numbers_are_written_short(value: float, text: str) -> None:
    assert plain(value) == text


@pytest.mark.parametrize(
    ("top", "expected"),
    [
        (930, [200, 400, 600, 800]),
        (1296, [500, 1000]),
        (1.0, [0.25, 0.5, 0.75, 1.0]),
        (0, []),
        (8, [2, 4, 6, 8]),
    ],
)
def test_grid_lines_are_round(top: float, expected: list[float]) -> None:
    assert charts.ticks(top) == pytest.approx(expected)


@given(st.floats(1e-6, 1e12))
def test_a_chart_has_one_to_five_grid_lines_below_its_top(top: float) -> None:
    steps = charts.ticks(top)
    assert 1 <= len(steps) <= 5
    assert steps[-1] <= top * (1 + 1e-6)


def test_a_sparkline_ends_in_a_dot_at_its_last_value() -> None:
    plot = charts.sparkline([1.0, 3.0, 2.0], "Earned")
    root = ElementTree.fromstring(plot)
    assert root.findtext("title") == "Earned"
    line, dot = root.find("polyline"), root.find("circle")
    assert line is not None
    assert dot is not None
    assert (
        line.attrib["points"].split()[-1]
        == f"{float(dot.attrib['cx']):.1f},{float(dot.attrib['cy']):.1f}"
    )
    assert charts.sparkline([], "nothing") == ""


def test_one_value_and_equal_values_draw_a_flat_line() -> None:
    for values in ([5.0], [5.0, 5.0, 5.0]):
        points = re.findall(r"[\d.]+,([\d.]+)", str(charts.sparkline(values, "flat")))
        assert set(points) == {"23.0"}


def test_a_line_chart_starts_at_zero_and_names_its_finding() -> None:
    plot = charts.flow_chart(
        title="Impressions <today>",
        today=[(0.0, 0.0), (0.5, 100.0)],
        earlier=[],
        now=(0.5, 100.0, "now 12:00, 100"),
    )
    root = ElementTree.fromstring(plot)
    assert root.findtext("title") == "Impressions <today>"
    line = root.find("svg/polyline")
    assert line is not None
    assert line.attrib["points"].split()[0] == "0,1000"
    assert "now 12:00, 100" in texts(plot)
    assert texts(plot)[-5:] == ["00:00", "06:00", "12:00", "18:00", "24:00"]


def test_a_limit_is_written_in_words_and_kept_over_a_grid_label() -> None:
    plot = charts.spend_chart(
        title="t", points=[(0.0, 0.0), (1.0, 399.0)], marks=[(0.0, "1 Nov"), (1.0, "30 Nov")],
        now=(1.0, 399.0, "now 399.00"), budget=400.0, budget_text="budget € 400.00, never passed",
    )  # fmt: skip
    assert "budget € 400.00, never passed" in texts(plot)
    assert "400" not in texts(plot)  # its line is the budget's own


@given(
    st.lists(
        st.builds(
            Label,
            text=st.text("0123456789abc .,", min_size=1, max_size=24),
            x=st.floats(0, 1),
            y=st.floats(11, 200),
            anchor=st.sampled_from(["start", "middle", "end"]),
            fixed=st.booleans(),
        ),
        max_size=8,
    )
)
def test_settled_labels_never_touch(labels: list[Label]) -> None:
    placed = settle(labels, top=11.0, bottom=200.0)
    for one, other in combinations(placed, 2):
        assert not touch(one, other)
    assert all(11.0 <= label.y <= 200.0 for label in placed)
    if labels:
        assert placed[0] == labels[0]  # the most important one stays where it is


@given(st.floats(0, 1), st.integers(0, 100_000), st.integers(1, 100_000))
def test_a_chart_keeps_its_unit_whatever_stands_in_the_way(x: float, now: int, top: int) -> None:
    plot = charts.flow_chart(
        title="t", today=[(0.0, float(top))], earlier=[], now=(x, float(now), f"now 15:31, {now:,}")
    )
    assert any(text.endswith(" a minute") for text in texts(plot))


def test_a_fixed_label_is_left_out_rather_than_moved() -> None:
    first = Label(text="budget", x=0.0, y=50.0)
    grid = Label(text="400", x=0.0, y=55.0, fixed=True)
    free = Label(text="now", x=0.0, y=55.0)
    assert settle([first, grid], top=11, bottom=200) == [first]
    moved = settle([first, free], top=11, bottom=200)[1]
    assert moved.y != free.y
    assert not touch(first, moved)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=9, unique=True), st.integers(1, 16))
def test_axis_labels_keep_first_and_last_and_never_touch(places: list[float], length: int) -> None:
    marks = [(x, "x" * length) for x in [0.0, *sorted(places)[1:-1], 1.0]]
    labels = axis(marks, 200.0)
    assert [labels[0].x, labels[-1].x][: len(labels)] == [0.0, 1.0][: len(labels)]
    for one, other in combinations(labels, 2):
        assert not touch(one, other)


def side_of(classes: list[str]) -> Anchor:
    return "end" if "end" in classes else "middle" if "mid" in classes else "start"


@given(st.floats(0, 1), st.floats(0, 2000), st.floats(1, 2000))
def test_the_labels_of_a_spend_chart_never_touch_from_320_to_1600(
    x: float, spent: float, budget: float
) -> None:
    """Read back from the drawn SVG, measured at several widths."""
    plot = charts.spend_chart(
        title="t", points=[(0.0, 0.0), (x, spent)],
        marks=[(i / 4, f"{i + 1} Nov") for i in range(5)],
        now=(x, spent, f"now {spent:,.2f}"), budget=budget,
        budget_text=f"budget € {budget:,.2f}, never passed",
    )  # fmt: skip
    labels = [
        Label(
            text=node.text or "",
            x=float(node.attrib["x"].rstrip("%")) / 100,
            y=float(node.attrib["y"]),
            anchor="end"
            if "end" in node.attrib["class"]
            else "middle"
            if "mid" in node.attrib["class"]
            else "start",
            dx=float(node.attrib.get("dx", 0)),
        )
        for node in ElementTree.fromstring(plot).iter("text")
    ]
    for width in WIDTHS:
        for one, other in combinations(labels, 2):
            assert not touch(one, other, width), (one, other, width)


def test_bars_and_strips_stay_inside_their_cell() -> None:
    assert 'width="100.00%"' in charts.bar(1.7, "too much", css="f1")
    assert 'width="25.00%"' in charts.bar(0.25, "a quarter")
    assert 'x="75.00%"' in charts.bar(0.25, "last", start=0.75)
    strokes = re.findall(r'x1="([\d.]+)%"', str(charts.strip([1.0, 5.0, 50.0], "waits", top=10.0)))
    assert [float(at) for at in strokes] == [10.0, 50.0, 100.0]


def test_what_is_reserved_stays_visible_however_little_it_is() -> None:
    plot = charts.budget_bar(
        spent=0.85, reserved=1e-9, labels=("spent", "reserved", "free"), title="t"
    )
    assert "max(3px,0.00%)" in plot
    assert texts(plot) == ["spent", "free", "reserved"]
    without = charts.budget_bar(spent=0.85, reserved=0.0, labels=("spent", "", "free"), title="t")
    assert "max(3px" not in without


def test_curves_are_finite() -> None:
    plot = charts.flow_chart(title="t", today=[(0.0, 0.0)], earlier=[], now=(0.0, 0.0, "now"))
    assert not math.isnan(float(re.findall(r'cy="([\d.]+)"', str(plot))[0]))
