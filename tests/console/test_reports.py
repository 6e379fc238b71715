"""A report's page: spans of time, texts of figures, and what is drawn."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ringwork.ads.reports import DIMENSIONS, RATIOS, SUMS, ReportRow
from ringwork.console.forms import texts
from ringwork.console.forms.reading import read_new, written
from ringwork.console.forms.report import (
    DIMENSION_NAMES,
    GROUPS,
    MEASURE_NAMES,
    ReportAsked,
    defaults,
)
from ringwork.console.views.reports import ROWS_SHOWN, Reports, reports, spans
from tests.console import month as m


def asked(first: str, last: str, zone: str = "UTC") -> ReportAsked:
    return ReportAsked(
        first_day=date.fromisoformat(first), last_day=date.fromisoformat(last), time_zone=zone,
        dimensions=[], measures=["clicks"], filters={},
    )  # fmt: skip


def body(made: object) -> Reports:
    found = reports(replace(m.OPENED, made=made), m.AROUND).body
    assert isinstance(found, Reports)
    return found


def test_every_word_of_reports_has_a_name() -> None:
    assert set(DIMENSION_NAMES) == set(DIMENSIONS)
    assert set(MEASURE_NAMES) == {*SUMS, *RATIOS}


def test_spans_are_those_of_the_zone() -> None:
    assert list(spans("day", asked("2026-02-27", "2026-03-01"))) == [
        "2026-02-27", "2026-02-28", "2026-03-01"
    ]  # fmt: skip
    assert list(spans("month", asked("2026-11-30", "2027-01-01"))) == [
        "2026-11", "2026-12", "2027-01"
    ]  # fmt: skip
    assert list(spans("hour_of_day", asked("2026-02-27", "2026-02-27")))[-1] == "23"
    short = list(spans("hour", asked("2026-03-29", "2026-03-29", "Europe/Lisbon")))
    assert (len(short), short[:2]) == (23, ["2026-03-29T00+00:00", "2026-03-29T02+01:00"])
    long = list(spans("hour", asked("2026-10-25", "2026-10-25", "Europe/Lisbon")))
    assert (len(long), long[1:3]) == (25, ["2026-10-25T01+01:00", "2026-10-25T01+00:00"])


@given(
    st.dates(date(1971, 1, 1), date(2100, 1, 1)),
    st.integers(0, 30),
    st.sampled_from(["UTC", "Europe/Lisbon", "Asia/Kathmandu", "America/Santiago"]),
)
def test_every_day_is_one_span_and_hours_fill_them(first: date, days: int, zone: str) -> None:
    period = asked(first.isoformat(), (first + timedelta(days=days)).isoformat(), zone)
    found = list(spans("day", period))
    assert found == [(first + timedelta(days=each)).isoformat() for each in range(days + 1)]
    hours = list(spans("hour", period))
    assert {hour[:10] for hour in hours} <= set(found)
    begin = datetime(first.year, first.month, first.day, tzinfo=ZoneInfo(zone))
    last = first + timedelta(days=days + 1)
    end = datetime(last.year, last.month, last.day, tzinfo=ZoneInfo(zone))
    seconds = int(end.timestamp() - begin.timestamp())
    assert abs(len(hours) - seconds / 3600) < 1


def test_a_day_is_read_as_it_is_written() -> None:
    assert texts.DAY.read([" 2026-11-26 "]) == "2026-11-26"
    assert texts.DAY.write("2026-11-26") == ["2026-11-26"]
    for wrong in ("", "26.11.2026", "2026-13-01", "1970-12-31", "2200-01-01", "9999-12-31"):
        with pytest.raises(ValueError, match="a day"):
            texts.DAY.read([wrong])


def test_the_form_opens_with_what_can_be_run() -> None:
    read = read_new(GROUPS, defaults(m.NOW), ReportAsked)
    assert read.faults == {}
    assert read.values["last_day"] == "2026-11-26"
    assert read.values["first_day"] == "2026-11-20"
    typed = written(GROUPS, {**read.values, "filters": {"campaign": ["a", "b"]}})
    assert typed["/filters"] == ["campaign = a, b"]


def test_figures_are_texts_and_exact_values() -> None:
    table = body(m.BY_CAMPAIGN).table
    assert table is not None
    first, second, third = table.rows
    assert [(cell.text, cell.value) for cell in first.figures] == [
        ("400", 400), ("1.00\u202f%", "1/100"), ("€\u00a02.00", 2_000_000_000)
    ]  # fmt: skip
    assert first.cells[0].href == "/console/campaigns/hp-autumn-26"
    assert (first.share, second.share, third.share) == (1.0, 0.25, 0.0)
    assert (second.cells[0].text, second.cells[0].href) == ("<i>gone</i>", "")
    assert [cell.text for cell in second.figures[1:]] == ["\u2013", "€\u00a00.50"]
    assert third.cells[0].text == "\u2013"
    assert table.totals[2].value == 2_500_000_001


def test_sums_of_several_currencies_are_not_added() -> None:
    made = m.made(
        [ReportRow(("EUR",), (10**9,)), ReportRow(("JPY",), (10**9,))], (2 * 10**9,),
        dimensions=["currency"], measures=["spend_nanos"],
    )  # fmt: skip
    table = body(made).table
    assert table is not None
    assert [row.figures[0].text for row in table.rows] == ["€\u00a01.00", "¥\u00a01"]
    assert table.totals[0].text == "\u2013"


def test_a_day_without_a_fact_is_zero_on_the_curve() -> None:
    table = body(m.BY_DAY).table
    assert table is not None
    assert table.curve is not None
    assert table.curve.points == [(0.0, 0.0), (1.0, 400.0)]
    assert "the most is 400, 2026-11-26" in table.curve.title
    ratio = m.made(
        [ReportRow(("2026-11-26",), (Fraction(1, 4),))], (Fraction(1, 4),),
        dimensions=["day"], measures=["ctr"],
    )  # fmt: skip
    drawn = body(ratio).table
    assert drawn is not None
    assert drawn.curve is not None
    assert drawn.curve.points == [(1.0, 25.0)]  # nothing to divide by is no zero


def test_a_long_report_is_cut_on_the_page_alone() -> None:
    rows = [ReportRow((f"c{each}",), (1, None, 0)) for each in range(ROWS_SHOWN + 1)]
    table = body(m.made(rows, (len(rows), None, 0))).table
    assert table is not None
    assert (len(table.rows), table.row_count) == (ROWS_SHOWN, ROWS_SHOWN + 1)
