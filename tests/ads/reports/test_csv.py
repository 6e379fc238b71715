"""CSV that a spreadsheet reads back as it was, and never computes."""

import csv
from fractions import Fraction
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.ads.reports import Report, ReportQuery, ReportRow, to_csv


def report(rows, *, dimensions, measures):
    query = ReportQuery(from_us=0, until_us=1, dimensions=dimensions, measures=measures)
    totals = (0,) * len(measures)
    return Report(query=query, currency="", rows=rows, totals=totals, is_truncated=False)


def test_head_rows_and_totals():
    rows = [ReportRow(('Paints, "best"',), (3, Fraction(1, 3), None))]
    one = report(rows, dimensions=["campaign"], measures=["clicks", "ctr", "fill_rate"])
    assert to_csv(one) == (
        'campaign,clicks,ctr,fill_rate\r\n"Paints, ""best""",3,0.333333333,\r\n,0,0,0\r\n'
    )


@pytest.mark.parametrize("begins", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_text_is_a_formula(begins):
    [_, [cell, _], _] = list(
        csv.reader(
            StringIO(
                to_csv(
                    report(
                        [ReportRow((f'{begins}HYPERLINK("http://x")',), (1,))],
                        dimensions=["domain"], measures=["clicks"],
                    )
                ),
                newline="",
            )
        )
    )  # fmt: skip
    assert cell == f'\'{begins}HYPERLINK("http://x")'


@given(st.lists(st.tuples(st.text(), st.integers(-(2**70), 2**70)), max_size=5))
def test_it_reads_back(given_rows):
    rows = [ReportRow((text,), (number,)) for text, number in given_rows]
    written = to_csv(report(rows, dimensions=["domain"], measures=["clicks"]))
    read = list(csv.reader(StringIO(written, newline="")))[1:-1]
    assert [int(number) for _, number in read] == [number for _, number in given_rows]
    for (cell, _), (text, _) in zip(read, given_rows, strict=True):
        assert cell in (text, f"'{text}")
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


@given(st.fractions(min_value=0, max_value=10**30))
def test_ratios_are_right_to_half_a_unit_of_their_last_place(ratio):
    row = ReportRow((), (ratio,))
    written = to_csv(report([row], dimensions=[], measures=["ctr"])).splitlines()[1]
    assert "E" not in written
    assert abs(Fraction(written) - ratio) <= Fraction(1, 2 * 10**9)
