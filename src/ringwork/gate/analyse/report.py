"""What a scan found, as JSON for programs and as one page that loads nothing and runs no script."""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ringwork.gate.analyse.detectors import DETECTORS
from ringwork.gate.analyse.findings import moment
from ringwork.gate.analyse.verdicts import VERDICTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringwork.gate.analyse.findings import Actor, Scanned, Totals

ROWS_MAX: Final = 200
"""Actors on the page that were noticed; JSON has more."""
OTHERS_MAX: Final = 20
"""Machines, busy actors and clusters on the page."""
BARS_MAX: Final = 96
"""Bars of the plot over time: at 320 px each is three pixels wide."""
PLOT_PX: Final = 150
_HOUR_US: Final = 3_600_000_000


class Bar(msgspec.Struct, frozen=True):
    """Requests in a stretch of time, by how they were answered."""

    begins: str
    answered: int
    refused: int
    failed: int
    overflows: int

    @property
    def requests(self) -> int:
        """All of them."""
        return self.answered + self.refused + self.failed


class Row(msgspec.Struct, frozen=True):
    """A detector that overflowed."""

    name: str
    says: str
    overflows: int


def to_json(found: Scanned) -> bytes:
    """The shape of gate specification 7.2, in one line."""
    return msgspec.json.encode(found)


def to_html(found: Scanned, totals: Totals, *, name: str) -> str:
    """The page. ``name`` is what the log is called in its head.

    Everything that comes from the log was made printable when it was read, and is escaped here.
    """
    noticed = [one for one in found.actors if one.reasons]
    quiet = [one for one in found.actors if not one.reasons]
    bars, hours = bars_of(totals)
    page = _environment().get_template("scan.html")
    return page.render(
        found=found,
        totals=totals,
        name=name,
        answer=answer_of(found),
        noticed=noticed[:ROWS_MAX],
        noticed_left_out=max(0, len(noticed) - ROWS_MAX),
        busiest=quiet[:OTHERS_MAX],
        clusters=found.clusters[:OTHERS_MAX],
        clusters_left_out=max(0, len(found.clusters) - OTHERS_MAX),
        machines=found.declared_bots[:OTHERS_MAX],
        machines_left_out=max(0, len(found.declared_bots) - OTHERS_MAX),
        bars=bars,
        bar_hours=hours,
        highest=max((one.requests for one in bars), default=0),
        rules=rules_of(totals),
        plot_px=PLOT_PX,
        verdicts=VERDICTS,
    )


def answer_of(found: Scanned) -> str:
    """The one sentence that a reader of nothing else takes away."""
    if not found.parsed:
        return f"None of {found.lines:,} lines is a request in a format that is known here."
    asked = [one for one in found.actors if one.stands_out]
    if not asked:
        return f"Nobody stands out in {found.parsed:,} requests."
    requests = sum(one.requests for one in asked)
    who = "One actor stands out" if len(asked) == 1 else f"{len(asked):,} actors stand out"
    sent = "it sent" if len(asked) == 1 else "they sent"
    share = _percent(requests / found.parsed)
    return f"{who}; {sent} {requests:,} of {found.parsed:,} requests ({share})."


def bars_of(totals: Totals) -> tuple[list[Bar], int]:
    """The hours of the log, several to a bar where they are many; and how many."""
    known = {*totals.hours, *totals.overflows}
    if not known:
        return [], 1
    first, last = min(known), max(known)
    width = -(-(last - first + 1) // BARS_MAX)
    sums: dict[int, list[int]] = {}
    for hour, classes in totals.hours.items():
        bar = sums.setdefault((hour - first) // width, [0, 0, 0, 0])
        bar[1] += classes[4]
        bar[2] += classes[5]
        bar[0] += classes.total() - classes[4] - classes[5]
    for hour, count in totals.overflows.items():
        sums.setdefault((hour - first) // width, [0, 0, 0, 0])[3] += count
    empty = [0, 0, 0, 0]
    bars = [
        Bar(moment((first + place * width) * _HOUR_US), *sums.get(place, empty))
        for place in range((last - first) // width + 1)
    ]
    return bars, width


def rules_of(totals: Totals) -> list[Row]:
    """The detectors that overflowed, the most frequent first."""
    says = {one.name: one.says for one in DETECTORS}
    return [Row(name, says[name], count) for name, count in totals.rules.most_common()]


def text_of(found: Scanned, totals: Totals) -> str:
    """The same for a terminal: what stands out, and what did not parse."""
    lines = [answer_of(found)]
    if found.skipped:
        lines.append(
            f"{found.skipped:,} of {found.lines:,} lines did not parse, the first of them:"
        )
        lines += [f"  {one}" for one in totals.samples[:1]]
    lines += [f"  {one.id}: {one.evidence[0]}" for one in found.clusters[:OTHERS_MAX]]
    for name, count in totals.rules.most_common():
        lines.append(f"  {name}: {count:,} {'overflow' if count == 1 else 'overflows'}")
    return "\n".join(lines)


@functools.cache
def _environment() -> Environment:
    env = Environment(
        loader=PackageLoader("ringwork.gate.analyse"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    style = (files("ringwork.gate.analyse") / "templates" / "scan.css").read_text("utf-8")
    env.globals["style"] = Markup(style)  # noqa: S704  # our own file
    env.filters.update(count=_count, place=_place, percent=_percent, when=_when, spans=_spans)
    return env


def _count(value: int) -> str:
    return f"{value:,}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}\N{NARROW NO-BREAK SPACE}%"


def _place(part: float, whole: float) -> str:
    """A length or place along an axis, in per cent."""
    return f"{100 * part / whole:.2f}%" if whole else "0%"


def _when(text: str) -> str:
    """``2015-05-17T10:05:03Z`` as it is read."""
    return text.replace("T", " ").removesuffix("Z")


def _spans(actors: Sequence[Actor]) -> int:
    """The most requests of one actor: the scale of a column."""
    return max((one.requests for one in actors), default=0)
