"""A report as HTML, JSON and CSV; HTML is one file that loads nothing and runs no script."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from io import StringIO
from itertools import islice
from math import ceil
from typing import Any, Final, get_args

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from msgspec import UNSET, UnsetType

from ringwork.fairness.model import PPB, PPM
from ringwork.fairness.records import Against, Coverage, LevellingDown, MeasureName
from ringwork.fairness.report import FORMAT, AdFigure, Document

_NONE: Final = "\N{EN DASH}"
_TO: Final = " \N{EN DASH} "
ROWS_MAX: Final = 400
"""Ads of one attribute in HTML, the furthest out first; CSV and JSON have all."""


def to_json(document: Document) -> str:
    """Integers as in the log; equal documents give equal bytes."""
    return msgspec.json.format(msgspec.json.encode(document), indent=1).decode() + "\n"


COLUMNS: Final = (
    "period", "log", "plan", "ad", "advertiser", "category", "attribute", "counted_by", "measured",
    "episode", "segments", "impressions", "spend_nanos", "below_minimum", "direct_ppb", "proxy_ppb",
    "deattenuated_ppb", "interval_low_ppb", "interval_high_ppb", "band_low_ppb", "band_high_ppb",
    "recomputed", "verdict", "demo_tables", "tables_sha256", "levelling_down_ppm",
    "levelling_down_low_ppm", "levelling_down_high_ppm", "levelling_down_deattenuated_ppm",
    "levelling_down_deattenuated_low_ppm", "levelling_down_deattenuated_high_ppm",
)  # fmt: skip
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def to_csv(document: Document) -> str:
    """One row for each ad, attribute and way of counting (RFC 4180).

    The levelling-down index stands in the rows by impressions, whose sums it is of.

    A text that begins as a formula does gets an apostrophe before it, so that no spreadsheet
    computes the name of an ad (OWASP, CSV injection).
    """
    text = StringIO()
    write = csv.writer(text, lineterminator="\r\n").writerow
    write(COLUMNS)
    hashes = " ".join(one.sha256 for one in document.tables)
    levelling = {(one.ad, one.attribute, "impressions"): one for one in document.levelling_down}
    for one in document.figures:
        spans = [one.interval, one.band]
        ends = [
            end for span in spans for end in ((span.low_ppb, span.high_ppb) if span else ("", ""))
        ]
        cells = (
            document.period, document.log, document.plan, one.ad, one.advertiser, one.category,
            one.attribute, one.by, "declared" if one.proxy_ppb is None else "proxy", one.episode,
            one.segments, one.impressions, one.spend_nanos, one.is_excluded, one.direct_ppb,
            one.proxy_ppb, one.deattenuated_ppb, *ends, one.is_recomputed, one.verdict,
            document.demo_tables, hashes,
            *_levelling_cells(levelling.get((one.ad, one.attribute, one.by))),
        )  # fmt: skip
        write([_cell(cell) for cell in cells])
    return text.getvalue()


def _levelling_cells(one: LevellingDown | None) -> tuple[int | None, ...]:
    if one is None:
        return (None,) * 6
    halves = [(one.index_ppm, one.interval_ppm)]
    halves += (
        [(None, UNSET)]
        if one.deattenuated is UNSET
        else [(one.deattenuated.index_ppm, one.deattenuated.interval_ppm)]
    )
    return tuple(
        cell
        for index, interval in halves
        for cell in (index, *((None, None) if interval is UNSET else interval))
    )


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text


DIFFERENCES_MAX: Final = 50


def differences(published: bytes, document: Document) -> list[str]:
    """Where a published report (JSON) is not what the log gives, at most ``DIFFERENCES_MAX``.

    What may differ between two honest reports is left out: which version wrote it, and notes.
    """
    try:
        came = msgspec.json.decode(published)
    except msgspec.DecodeError as error:
        return [f"no JSON: {error}"]
    if not isinstance(came, dict) or came.get("format") != FORMAT:
        return [f"expected a report of format {FORMAT}"]
    expected = msgspec.to_builtins(document)
    found = _differing(came, expected, "")
    return list(islice(found, DIFFERENCES_MAX))


_FREE: Final = frozenset({"/assumptions"})


def _differing(came: Any, expected: Any, at: str) -> Iterator[str]:
    if isinstance(came, dict) and isinstance(expected, dict):
        for name in sorted({*came, *expected}):
            where = f"{at}/{name}"
            if where not in _FREE:
                yield from _differing(came.get(name), expected.get(name), where)
    elif isinstance(came, list) and isinstance(expected, list | tuple):
        if len(came) != len(expected):
            yield f"{at}: expected {len(expected)} entries, got {len(came)}"
        for number, (one, other) in enumerate(zip(came, expected, strict=False)):
            yield from _differing(one, other, f"{at}/{number}")
    elif came != expected or type(came) is not type(expected):
        yield f"{at or '/'}: expected {expected!r}, stated {came!r}"


class Plotted(msgspec.Struct, frozen=True, kw_only=True):
    """One attribute's ads with the scale that they are drawn to."""

    attribute: str
    by: str
    is_estimated: bool
    figures: Sequence[AdFigure]
    left_out: int
    end_ppb: int
    ticks_ppb: Sequence[int]


def to_html(document: Document) -> str:
    """The report as a page: light and dark, to be printed, every plot beside its numbers."""
    page = environment().get_template("report.html")
    return page.render(
        report=document,
        answer=answer_of(document),
        coverage=list(coverage_cells(document.coverage)),
        plots_of=plots_of(document),
        rows_max=ROWS_MAX,
    )


def environment() -> Environment:
    """Templates of this part; strict, escaped."""
    env = Environment(
        loader=PackageLoader("ringwork.fairness"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    style = (files("ringwork.fairness") / "templates" / "report.css").read_text("utf-8")
    env.globals["style"] = Markup(style)  # noqa: S704  # our own file
    env.filters.update(
        ppb=percent_of_ppb, ppm=percent_of_ppm, day=day, count=count, place=place, amount=amount,
        words=words, cell=coverage_percent, measured_by=measured_by, index=index_words,
        rate=rate_words, cost=cost_words,
    )  # fmt: skip
    return env


def percent_of_ppb(value: int | None) -> str:
    """3.1 for 31,000,000."""
    return _NONE if value is None else f"{100 * value / PPB:.1f}"


def percent_of_ppm(value: int | None) -> str:
    """A threshold, without a zero that says nothing."""
    return _NONE if value is None else f"{100 * value / PPM:.1f}".removesuffix(".0")


def index_words(index_ppm: int | UnsetType | None, interval: tuple[int, int] | UnsetType) -> str:
    """31.0 (12.0 - 55.1); a dash for what is not known."""
    point = None if index_ppm is UNSET else index_ppm
    text = _NONE if point is None else f"{100 * point / PPM:.1f}"
    if interval is UNSET:
        return text
    return f"{text} ({_TO.join(f'{100 * end / PPM:.1f}' for end in interval)})"


def rate_words(value: int | None, interval: tuple[int, int] | UnsetType) -> str:
    """Reached for each eligible person: 0.312 (0.290 - 0.334)."""
    text = _NONE if value is None else f"{value / PPB:.3f}"
    if interval is UNSET:
        return text
    return f"{text} ({_TO.join(f'{end / PPB:.3f}' for end in interval)})"


def cost_words(against: Against, which: str) -> str:
    """Of ``controlled`` or ``uncontrolled``: 12.50 (11.90 - 13.20)."""
    value, interval = getattr(against, which), getattr(against, f"{which}_interval")
    if interval is UNSET:
        return amount(value)
    return f"{amount(value)} ({_TO.join(amount(end) for end in interval)})"


def coverage_percent(row: Coverage | None) -> str:
    """87.5, or a dash where no ad is counted."""
    return _NONE if row is None or row.share_ppm is None else f"{100 * row.share_ppm / PPM:.1f}"


MEASURES: Final[dict[MeasureName, str]] = {
    "proxy": "proxy",
    "deattenuated": "de-attenuated",
    "interval_upper": "whole 95 % interval",
    "expected": "expected",
}


def _expected(row: Coverage | None) -> str:
    """Said where the log's figures state chances."""
    return "" if row is None else f"; {coverage_percent(row)} % expected in truth"


def measured_by(row: Coverage, estimated: Sequence[str]) -> str:
    """How a row of coverage was measured, in words."""
    return MEASURES[row.measure] if row.attribute in estimated else "declared"


def day(time_us: int) -> str:
    """A UTC minute; empty for a time that no calendar has."""
    try:
        return datetime.fromtimestamp(time_us // 1_000_000, UTC).strftime("%-d %B %Y, %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return ""


def count(value: int) -> str:
    """1,234."""
    return f"{value:,}"


def amount(nanos: int | None) -> str:
    """Units of the log's currency, which it does not name."""
    return _NONE if nanos is None else f"{nanos / PPB:,.2f}"


def words(name: str) -> str:
    """A member's name as it is read."""
    return name.replace("_", " ").replace("-", " ")


def place(value: float, end: float) -> str:
    """Where a value stands on an axis, in per cent of its length."""
    return f"{100 * min(max(value / end, 0.0), 1.0):.2f}%" if end else "0%"


def coverage_cells(rows: Sequence[Coverage]) -> Iterator[dict[str, Any]]:
    """One line for each threshold and minimum, with its measures side by side."""
    lines: dict[tuple[str, str, int, int], dict[str, Any]] = {}
    for row in rows:
        key = (row.attribute, row.by, row.threshold_ppm, row.minimum_impressions)
        line = lines.setdefault(key, {"first": row, **dict.fromkeys(get_args(MeasureName))})
        line[row.measure] = row
    yield from lines.values()


def plots_of(document: Document) -> list[Plotted]:
    """The figures by attribute and way of counting."""
    found: dict[tuple[str, str], list[AdFigure]] = {}
    for figure in document.figures:
        found.setdefault((figure.attribute, figure.by), []).append(figure)
    return [_plotted(*key, figures, document) for key, figures in found.items()]


def _plotted(attribute: str, by: str, figures: list[AdFigure], document: Document) -> Plotted:
    shown = sorted(figures, key=_reach, reverse=True)[:ROWS_MAX]
    bounds = [one * (PPB // PPM) for one in document.thresholds_ppm]
    furthest = max([*(_reach(one) for one in shown), *(bound * 5 // 4 for bound in bounds)])
    step = PPB // 20
    end = max(step, ceil(furthest / step) * step)
    return Plotted(
        attribute=attribute,
        by=by,
        is_estimated=any(one.proxy_ppb is not None for one in figures),
        figures=shown,
        left_out=len(figures) - len(shown),
        end_ppb=end,
        ticks_ppb=sorted(bounds),
    )


def _reach(figure: AdFigure) -> int:
    spans = [span.high_ppb for span in (figure.interval, figure.band) if span is not None]
    points = (figure.direct_ppb, figure.proxy_ppb, figure.deattenuated_ppb)
    return max([*spans, *(one for one in points if one is not None)], default=0)


def answer_of(document: Document) -> str:
    """The one sentence that a reader of nothing else takes away; of the widest threshold."""
    rows = [one for one in document.coverage if one.by == "impressions"]
    if not rows:
        return "The plan asks for no coverage."
    bound = max(one.threshold_ppm for one in rows)
    least = min(one.minimum_impressions for one in rows)
    asked = [
        line
        for line in coverage_cells(rows)
        if (line["first"].threshold_ppm, line["first"].minimum_impressions) == (bound, least)
    ]
    ads = asked[0]["first"].ads
    if not ads:
        return f"No ad had {least:,} impressions, so there is no coverage to report."
    parts = []
    for line in asked:
        name = words(line["first"].attribute)
        if line["deattenuated"] is None:
            parts.append(f"{coverage_percent(line['proxy'])} % by {name}")
        else:
            parts.append(
                f"between {coverage_percent(line['proxy'])} % (proxy) and "
                f"{coverage_percent(line['deattenuated'])} % (de-attenuated; "
                f"{coverage_percent(line['interval_upper'])} % with their whole 95 % interval"
                f"{_expected(line['expected'])}) by {name}"
            )
    return (
        f"Of {ads:,} ads with {least:,} impressions or more, variance is within "
        f"{percent_of_ppm(bound)} % for {', and for '.join(parts)}."
    )
