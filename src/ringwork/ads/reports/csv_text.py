"""A report as CSV (RFC 4180) for spreadsheets, which must not take a name for a formula.

A text that begins as a formula does (``= + - @``, tab, carriage return) gets an apostrophe before
it, as OWASP's page on CSV injection has it; every figure is a number that we wrote. Ratios are
decimal fractions, rounded half to even in their ninth place.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from io import StringIO
from typing import Final

from ringwork.ads.reports.report import Figure, Report

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_PLACES: Final = Decimal("0.000000001")
_DIGITS: Final = 60
"""A quotient of sums has at most 39 before its point."""


def to_csv(report: Report) -> str:
    """Head, rows, and a last line of totals whose dimensions are empty.

    >>> from ringwork.ads.reports import ReportQuery, ReportRow
    >>> query = ReportQuery(from_us=0, until_us=1, dimensions=["campaign"], measures=["clicks"])
    >>> row = ReportRow(("=1+1",), (3,))
    >>> report = Report(query=query, currency="", rows=[row], totals=(3,), is_truncated=False)
    >>> to_csv(report).splitlines()
    ['campaign,clicks', "'=1+1,3", ',3']
    """
    text = StringIO()
    write = csv.writer(text, lineterminator="\r\n").writerow
    for line in _lines(report):
        write(line)
    return text.getvalue()


def _lines(report: Report) -> Iterator[list[str]]:
    query = report.query
    yield [*query.dimensions, *query.measures]
    for row in report.rows:
        yield [*map(harmless, row.dimensions), *_written(row.figures)]
    yield [*("" for _ in query.dimensions), *_written(report.totals)]


def harmless(text: str) -> str:
    """The text as a cell that no spreadsheet computes."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _written(figures: Iterable[Figure]) -> Iterator[str]:
    for figure in figures:
        if isinstance(figure, Fraction):
            yield _decimal(figure)
        else:
            yield "" if figure is None else str(figure)


def _decimal(ratio: Fraction) -> str:
    with localcontext() as context:
        context.prec = _DIGITS
        quotient = Decimal(ratio.numerator) / Decimal(ratio.denominator)
        return f"{quotient.quantize(_PLACES, ROUND_HALF_EVEN):f}"
