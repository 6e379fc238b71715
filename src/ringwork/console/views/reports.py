"""A report: the form that asks for it, its table with a bar or a curve, its totals, its CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from ringwork.ads.reports import MONEY, RATIOS, SUMS, Dimension, Figure, Report, ReportQuery
from ringwork.ads.reports.schedules import Scheduled
from ringwork.console.format import MISSING, count, money, percent, plural, short_day, symbol
from ringwork.console.forms.body import Section, Wrong, sections, summary
from ringwork.console.forms.reading import Typed
from ringwork.console.forms.report import (
    DIMENSION_NAMES,
    GROUPS,
    MEASURE_NAMES,
    TIMES,
    ReportAsked,
)
from ringwork.console.pages import Bold, Page, say
from ringwork.console.views.life import item_href
from ringwork.kernel.money import NANOS

ROWS_SHOWN: Final = 200
"""Of a page; its CSV has them all."""
_POINTS_MAX: Final = 800
"""Of a curve: more would not be told apart."""
_ANSWERED: Final = 3


class Cell(Struct, frozen=True, kw_only=True):
    """A value as it is read and as it is: an integer, or a ratio as ``numerator/denominator``."""

    text: str
    value: int | str | None
    href: str = ""


class Head(Struct, frozen=True, kw_only=True):
    """A column; ``href`` sorts by it, where it can be sorted by."""

    name: str
    title: str
    href: str
    sorted: str
    """``ascending``, ``descending`` or nothing."""
    is_figure: bool


class Row(Struct, frozen=True, kw_only=True):
    """One combination of the breakdown's values; ``share`` is of the greatest first figure."""

    cells: list[Cell]
    figures: list[Cell]
    share: float


class Drawn(Struct, frozen=True, kw_only=True):
    """The first figure over time; x from 0 to 1."""

    title: str
    points: list[tuple[float, float]]
    marks: list[tuple[float, str]]
    unit: str


class Table(Struct, frozen=True, kw_only=True):
    """What was found."""

    heads: list[Head]
    rows: list[Row]
    totals: list[Cell]
    row_count: int
    is_truncated: bool
    """Whether there are more rows than a report has."""
    curve: Drawn | None
    csv: str
    through_seq: int


class ScheduleRow(Struct, frozen=True, kw_only=True):
    """A report that is made by itself."""

    name: str
    every: str
    csv: str
    until_us: int


class Reports(Struct, frozen=True, kw_only=True):
    """The body of the page."""

    sections: list[Section]
    wrong: list[Wrong]
    trouble: str
    table: Table | None
    ready: list[tuple[str, str]]
    """Reports that are asked for often: their names and addresses."""
    schedules: list[ScheduleRow]


class Made(Struct, frozen=True, kw_only=True):
    """A report that was run."""

    id: str
    through_seq: int
    report: Report
    asked: ReportAsked


class Asked(Struct, frozen=True, kw_only=True):
    """What was typed, and what came of it: a report, or why there is none."""

    typed: Typed
    order_by: str = ""
    made: Made | None = None
    faults: Mapping[str, str] = {}
    trouble: str = ""
    status: int = 200


class Around(Struct, frozen=True, kw_only=True):
    """What every state of the page needs."""

    names: Mapping[str, str]
    currency: str
    """The platform's."""
    schedules: Sequence[Scheduled]
    now_us: int


def reports(asked: Asked, around: Around) -> Page:
    """The page: as it is opened, with a report, or with what is wrong."""
    made = asked.made
    wrong = summary(GROUPS, asked.faults)
    body = Reports(
        sections=[_named(section) for section in sections(GROUPS, asked.typed, asked.faults)],
        wrong=wrong,
        trouble=asked.trouble,
        table=_table(asked, made, around) if made is not None else None,
        ready=list(_ready(around.now_us)),
        schedules=[_schedule(one) for one in around.schedules],
    )
    if made is not None:
        answer = say(*_answer(made, around.currency))
    elif wrong:
        answer = say("Not run: look at what is marked.")
    else:
        answer = say(
            asked.trouble or "Any figures by any breakdown, equal to the ledger to the nano."
        )
    return Page(
        name="reports",
        title="Reports",
        question="What was shown, clicked and paid, by what?",
        answer=answer,
        now_us=around.now_us,
        body=body,
        notes=() if made is None else (_period(made.asked),),
        command="ringwork ads report report.json --csv report.csv",
        status=asked.status,
    )


def _named(section: Section) -> Section:
    """The inputs under their short names, as an address has them."""
    return replace(
        section,
        inputs=[replace(one, name=_plain(one.name)) for one in section.inputs],
    )


def _plain(pointer: str) -> str:
    return pointer.removeprefix("/")


def address_of(typed: Typed, order_by: str = "") -> str:
    """The address of a report, which may be kept and sent."""
    pairs = [(_plain(pointer), text) for pointer, given in typed.items() for text in given if text]
    more = [("order_by", order_by)] if order_by else []
    return f"/console/reports?{urlencode([*pairs, *more])}"


def _ready(now_us: int) -> Iterator[tuple[str, str]]:
    today = datetime.fromtimestamp(now_us // 1_000_000, ZoneInfo("UTC")).date()
    this_month = today.replace(day=1)
    last_month = (this_month - timedelta(days=1)).replace(day=1)
    week, month = (today - timedelta(days=6), today), (this_month, today)
    before = (last_month, this_month - timedelta(days=1))
    for title, (first, last), by, figures in (
        ("Day by day, last 7 days", week, ["day"], ["impressions", "clicks", "ctr", "spend_nanos"]),
        (
            "Campaigns, this month", month, ["campaign"],
            ["impressions", "clicks", "ctr", "conversions", "spend_nanos", "ecpm_nanos"],
        ),
        (
            "Publishers, last month", before, ["publisher"],
            ["impressions", "spend_nanos", "earnings_nanos", "fees_nanos"],
        ),
        ("Invalid and late, last 7 days", week, ["reason"], ["invalid", "unbilled"]),
    ):  # fmt: skip
        typed = {
            "/first_day": [first.isoformat()], "/last_day": [last.isoformat()],
            "/time_zone": ["UTC"], "/dimensions": by, "/measures": figures,
        }  # fmt: skip
        yield title, address_of(typed)


def _schedule(one: Scheduled) -> ScheduleRow:
    made = one.last_report_id
    return ScheduleRow(
        name=one.schedule.name,
        every=one.schedule.every,
        csv=f"/console/reports/{made}.csv" if made else "",
        until_us=one.last_until_us,
    )


# ---- what was found ---------------------------------------------------------------------------


def _table(asked: Asked, made: Made, around: Around) -> Table:
    report = made.report
    query, currency = report.query, report.currency or around.currency
    shown = report.rows[:ROWS_SHOWN]
    greatest = max((_height(row.figures[0]) for row in shown), default=0.0)
    by_currency = "currency" in query.dimensions
    place = query.dimensions.index("currency") if by_currency else 0
    return Table(
        heads=list(_heads(query, asked.typed)),
        rows=[
            Row(
                cells=[
                    _dimension(name, value, around.names)
                    for name, value in zip(query.dimensions, row.dimensions, strict=True)
                ],
                figures=_figures(
                    query, row.figures, row.dimensions[place] if by_currency else currency
                ),
                share=_height(row.figures[0]) / greatest if greatest > 0 else 0.0,
            )
            for row in shown
        ],
        totals=_figures(query, report.totals, "" if by_currency else currency),
        row_count=len(report.rows),
        is_truncated=report.is_truncated,
        curve=_curve(made, currency),
        csv=f"/console/reports/{made.id}.csv",
        through_seq=made.through_seq,
    )


def _heads(query: ReportQuery, typed: Typed) -> Iterator[Head]:
    ordered, is_down = query.order_by.removeprefix("-"), query.order_by.startswith("-")
    titles: dict[str, str] = {**DIMENSION_NAMES, **MEASURE_NAMES}
    for name in (*query.dimensions, *query.measures):
        is_figure = name not in query.dimensions
        # A figure is sorted from the top first, a text from its beginning; again turns it round.
        turned = is_down if name == ordered else not is_figure
        yield Head(
            name=name,
            title=titles[name],
            href="" if name in RATIOS else address_of(typed, name if turned else f"-{name}"),
            sorted=("descending" if is_down else "ascending") if name == ordered else "",
            is_figure=is_figure,
        )


def _dimension(name: Dimension, value: str, names: Mapping[str, str]) -> Cell:
    """An id with its name and its page, where it has them."""
    if not value:
        return Cell(text=MISSING, value="")
    if name in ("campaign", "creative", "advertiser", "publisher"):
        known = value in names
        href = item_href(name, value) if known else ""
        return Cell(text=names.get(value, value), value=value, href=href)
    if name == "site":
        return Cell(text=names.get(value, value), value=value)
    return Cell(text=value, value=value)


def _figures(query: ReportQuery, figures: Sequence[Figure], currency: str) -> list[Cell]:
    return [
        _figure(measure, figure, currency)
        for measure, figure in zip(query.measures, figures, strict=True)
    ]


def _figure(measure: str, figure: Figure, currency: str) -> Cell:
    if figure is None:
        return Cell(text=MISSING, value=None)
    exact = f"{figure.numerator}/{figure.denominator}" if isinstance(figure, Fraction) else figure
    if measure in MONEY:
        text = money(round(figure), currency) if currency else MISSING
        return Cell(text=text, value=exact)
    if isinstance(figure, Fraction):
        return Cell(text=percent(figure.numerator, figure.denominator, 2), value=exact)
    return Cell(text=count(figure), value=exact)


def _height(figure: Figure) -> float:
    return float(figure) if figure is not None and figure > 0 else 0.0


def _curve(made: Made, currency: str) -> Drawn | None:
    """The first figure over time, where the report is broken down by time alone."""
    query = made.report.query
    if len(query.dimensions) != 1 or query.dimensions[0] not in TIMES or not made.report.rows:
        return None
    labels = list(spans(query.dimensions[0], made.asked))
    if not 1 < len(labels) <= _POINTS_MAX:
        return None
    measure = query.measures[0]
    found = {row.dimensions[0]: row.figures[0] for row in made.report.rows}
    scale = _scale(measure)
    points = [
        (place / (len(labels) - 1), _height(figure) * scale)
        for place, label in enumerate(labels)
        if (figure := found.get(label, 0 if measure in SUMS else None)) is not None
    ]
    best = max(made.report.rows, key=lambda row: _height(row.figures[0]))
    most = _figure(measure, best.figures[0], currency).text
    name = MEASURE_NAMES[measure]
    unit = symbol(currency) if measure in MONEY else "%" if measure in RATIOS else ""
    ends = (0, len(labels) // 2, len(labels) - 1)
    return Drawn(
        title=f"{name} by {DIMENSION_NAMES[query.dimensions[0]].lower()}: "
        f"the most is {most}, {best.dimensions[0]}",
        points=points,
        marks=[(place / (len(labels) - 1), _mark(labels[place])) for place in dict.fromkeys(ends)],
        unit=unit,
    )


def _scale(measure: str) -> float:
    return 1 / NANOS if measure in MONEY else 100.0 if measure in RATIOS else 1.0


def spans(dimension: Dimension, asked: ReportAsked) -> Iterator[str]:
    """Every span of the period as a report names it, also where nothing happened."""
    zone = ZoneInfo(asked.time_zone)
    if dimension == "hour_of_day":
        yield from (f"{hour:02d}" for hour in range(24))
        return
    step = timedelta(hours=1) if dimension == "hour" else timedelta(days=1)
    now = _midnight(asked.first_day, zone)
    end = _midnight(asked.last_day + timedelta(days=1), zone)
    if (end - now) / step > _POINTS_MAX * (31 if dimension == "month" else 1):
        return
    seen = ""
    while now < end:
        local = now.astimezone(zone)
        label = {
            "hour": f"{local:%Y-%m-%dT%H}{local.isoformat()[-6:]}",
            "day": f"{local:%Y-%m-%d}",
            "month": f"{local:%Y-%m}",
        }[dimension]
        if label != seen:
            yield label
        seen = label
        now += step


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(ZoneInfo("UTC"))


def _mark(label: str) -> str:
    """A span under the axis."""
    if len(label) < len("2026-11-26"):
        return label
    day = datetime.fromisoformat(f"{label[:10]}T00:00:00+00:00")
    text = short_day(int(day.timestamp()) * 1_000_000)
    return text if len(label) == len("2026-11-26") else f"{text}, {label[11:13]}:00"


def _answer(made: Made, currency: str) -> list[str | Bold]:
    query, report = made.report.query, made.report
    currency = report.currency or currency
    if not report.rows:
        return ["Nothing of it happened in this time."]
    told: list[str | Bold] = []
    figures = _figures(query, report.totals, "" if "currency" in query.dimensions else currency)
    for measure, cell in list(zip(query.measures, figures, strict=True))[:_ANSWERED]:
        told += [", " if told else "", Bold(cell.text), f" {_in_sentence(MEASURE_NAMES[measure])}"]
    if query.dimensions:
        by = " and ".join(DIMENSION_NAMES[name].lower() for name in query.dimensions)
        told.append(f", in {plural(len(report.rows), 'row')} by {by}")
    return [*told, "."]


def _in_sentence(name: str) -> str:
    return name[:1].lower() + name[1:] if name[1:].islower() or " " in name else name


def _period(asked: ReportAsked) -> str:
    first, last = asked.first_day, asked.last_day
    text = f"{first.day} {first:%B %Y}"
    if last != first:
        text += f" to {last.day} {last:%B %Y}"
    return f"{text}, {asked.time_zone}"
