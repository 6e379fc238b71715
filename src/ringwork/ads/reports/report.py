"""Run a report: rows of exact integers and ratios, totals of everything, bounded in number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Protocol, cast

from msgspec import Struct

from ringwork.ads.reports.compile import Compiled, compile_query
from ringwork.ads.reports.vocabulary import RATIOS, ReportQuery
from ringwork.kernel.errors import Conflict

Figure = int | Fraction | None
"""A sum, a ratio, or None where a ratio's divisor is zero."""


class Warehouse(Protocol):
    """The exported log, to ask; ``storage.warehouse`` is the adapter."""

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """The rows that SQL over the table ``events`` gives. RingworkError where it cannot."""
        ...


class ReportRow(Struct, frozen=True):
    """One combination of the dimensions' values, with its figures in the order of the query."""

    dimensions: tuple[str, ...]
    figures: tuple[Figure, ...]


class Report(Struct, frozen=True, kw_only=True):
    """The answer to a query; ``totals`` are of all facts, also of rows past the limit."""

    query: ReportQuery
    currency: str
    """Of its money; empty where there is none."""
    rows: list[ReportRow]
    totals: tuple[Figure, ...]
    is_truncated: bool
    """Whether there are more rows than the limit."""


def run_report(warehouse: Warehouse, query: ReportQuery) -> Report:
    """The report that ``query`` asks for.

    Raises Conflict ``rule-violated`` for a query that cannot be, ``currencies-mixed`` where money
    of several currencies would be added up; RingworkError where the exported files cannot be read.
    """
    compiled = compile_query(query)
    found = warehouse.rows(compiled.sql, compiled.parameters)
    assert found[0][0], "the totals' row comes first"
    totals, *rest = found
    least, greatest = cast("tuple[str | None, str | None]", totals[1:3])
    if least != greatest and "currency" not in query.dimensions:
        raise Conflict(
            "currencies-mixed",
            f"money of {least} and {greatest} cannot be added: ask by currency, or filter by it",
        )
    rows = [ReportRow(_texts(row, compiled), _figures(row, compiled, query)) for row in rest]
    return Report(
        query=query,
        currency=(least or "") if least == greatest else "",
        rows=rows[: query.limit],
        totals=_figures(totals, compiled, query),
        is_truncated=len(rows) > query.limit,
    )


def _texts(row: Sequence[object], compiled: Compiled) -> tuple[str, ...]:
    return cast("tuple[str, ...]", tuple(row[3 : 3 + len(compiled.dimensions)]))


def _figures(row: Sequence[object], compiled: Compiled, query: ReportQuery) -> tuple[Figure, ...]:
    sums = cast("Sequence[int]", row[3 + len(compiled.dimensions) :])
    by_name = dict(zip(compiled.sums, sums, strict=True))
    return tuple(_figure(measure, by_name) for measure in query.measures)


def _figure(measure: str, sums: Mapping[str, int]) -> Figure:
    if measure not in RATIOS:
        return sums[measure]
    above, times, below = RATIOS[measure]
    return Fraction(sums[above] * times, sums[below]) if sums[below] else None
