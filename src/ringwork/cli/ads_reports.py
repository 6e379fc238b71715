"""``ringwork ads report | forecast | invoice``: figures and bills from a terminal.

Reports and forecasts read the log itself, beside a server that writes it: they export it as Parquet
first (to a folder that is kept where ``--export`` names one) and ask the files. An invoice is a
command, which the platform carries out.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias, TypeVar
from uuid import NAMESPACE_URL, uuid5

import msgspec
from cyclopts import Parameter

from ringwork.app.call import call, store_of
from ringwork.cli.answer import answer_of
from ringwork.cli.options import DEFAULTS, Options
from ringwork.cli.progress import counting
from ringwork.kernel.errors import ConfigurationError

if TYPE_CHECKING:
    from ringwork.ads.reports import Figure, Report
    from ringwork.storage.warehouse import ParquetWarehouse

_T = TypeVar("_T")
File: TypeAlias = Annotated[Path, Parameter(allow_leading_hyphen=True)]
"""Where JSON is read from; ``-`` is stdin."""
Export: TypeAlias = Annotated[Path | None, Parameter(name="--export")]


@contextmanager
def _warehouse(options: Options, export: Path | None) -> Iterator[ParquetWarehouse]:
    """The log as Parquet, up to now; below ``export``, which makes the next time short."""
    from ringwork.app.memory import EVENTS  # noqa: PLC0415  # loads every part
    from ringwork.kernel.events import EventTypes  # noqa: PLC0415
    from ringwork.storage.warehouse import ParquetWarehouse  # noqa: PLC0415

    directory = store_of(options.settings()) / "log"
    with tempfile.TemporaryDirectory() as temporary, counting() as progress:
        found = ParquetWarehouse(directory, export or Path(temporary), EventTypes(EVENTS))
        found.refresh(lambda done, total: progress("events", done))
        yield found


def _decoded(path: Path, kind: type[_T]) -> _T:
    """A JSON file as a struct; ``-`` is stdin."""
    try:
        text = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        return msgspec.json.decode(text, type=kind)
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: no such file") from None
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"{path}: {error}") from None


def report(
    file: File,
    /,
    *,
    csv: Path | None = None,
    export: Export = None,
    options: Options = DEFAULTS,
) -> None:
    """Count and sum by any dimension; equal to the ledger, to the nano.

    Example: ringwork ads report by-day.json --csv by-day.csv

    Parameters
    ----------
    file:
        A JSON file as POST /v1/reports takes it; - reads stdin.
    csv:
        Write the rows there, too.
    export:
        Keep the exported log there, and go on with it the next time.
    """
    from ringwork.ads.reports import ReportQuery, run_report, to_csv  # noqa: PLC0415  # heavy

    query = _decoded(file, ReportQuery)
    with _warehouse(options, export) as warehouse:
        found = run_report(warehouse, query)
    if csv is not None:
        csv.write_text(to_csv(found), encoding="utf-8", newline="")
    columns: list[str] = [*query.dimensions, *query.measures]
    shown = [dict(zip(columns, cells, strict=True)) for cells in _lines(found)]
    title = f"Report, money in nanos of {found.currency}" if found.currency else "Report"
    more = ", more rows are left out" if found.is_truncated else ""
    options.table(shown, {name: name for name in columns}, title=title + more)


def _lines(found: Report) -> Iterator[list[object]]:
    """The rows, and the totals under empty dimensions."""
    for row in found.rows:
        yield [*row.dimensions, *map(_shown, row.figures)]
    yield [*("" for _ in found.query.dimensions), *map(_shown, found.totals)]


def _shown(figure: Figure) -> object:
    return str(figure) if isinstance(figure, Fraction) else figure


def forecast(
    file: File,
    /,
    *,
    export: Export = None,
    options: Options = DEFAULTS,
) -> None:
    """Say what a planned campaign would come to, from the log, with an interval.

    Example: ringwork ads forecast plan.json

    Parameters
    ----------
    file:
        A JSON file as POST /v1/forecasts takes it; - reads stdin.
    export:
        Keep the exported log there, and go on with it the next time.
    """
    from ringwork.ads.forecast import PlannedCampaign, run_forecast  # noqa: PLC0415  # heavy
    from ringwork.app.store import clock_of  # noqa: PLC0415

    plan, settings = _decoded(file, PlannedCampaign), options.settings()
    with _warehouse(options, export) as warehouse:
        now_us = clock_of(settings).wall_us()
        found = run_forecast(warehouse, plan, now_us=now_us, p_ppb=settings.ads.p_ppb)
    if options.json:
        options.show(found, "")
        return
    rows = [
        {"figure": name, **msgspec.to_builtins(getattr(found, name))}
        for name in ("requests", "opportunities", "impressions", "spend_nanos")
    ]
    level = f"{plan.level_ppm / 10_000:g} %"
    columns = {"figure": "Figure", "low": "Low", "expected": "Expected", "high": "High"}
    options.table(rows, columns, title=f"Forecast from {found.days_seen} days, {level} between")
    heads = {"bid_nanos": "Bid, nanos", "win_rate_ppm": "Won, ppm", "impressions": "Impressions"}
    curve = [msgspec.to_builtins(point) for point in found.curve]
    options.table(curve, {**heads, "spend_nanos": "Spend, nanos"}, title="Other bids")
    verdict = f"; the goal: {found.feasible}" if found.feasible else ""
    options.show(found, f"limited by {found.limited_by}{verdict}")
    for assumption in found.assumptions:
        options.show(found, f"- {assumption}")


def invoice(
    advertiser: str,
    month: str,
    /,
    *,
    tax: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    options: Options = DEFAULTS,
) -> None:
    """Invoice what an advertiser was charged up to the end of a month (UTC).

    Example: ringwork ads invoice harbour-paints 2026-11

    Parameters
    ----------
    advertiser:
        Whom.
    month:
        As YYYY-MM; it must be over.
    tax:
        A JSON file {"name": "IVA", "rate_ppm": 230000}; - reads stdin.
    """
    body: dict[str, object] = {"advertiser": advertiser, "month": month}
    if tax is not None:
        from ringwork.ads.invoices import Tax  # noqa: PLC0415  # loads the part

        body["tax"] = msgspec.to_builtins(_decoded(tax, Tax))
    settings = options.settings()
    # The same command sent twice is one invoice: the key follows from what it says.
    key = str(uuid5(NAMESPACE_URL, msgspec.json.encode(body, order="sorted").decode()))
    made = answer_of(call(settings, "POST", "/v1/invoices", body, headers={"idempotency-key": key}))
    whole = answer_of(call(settings, "GET", f"/v1/invoices/{made['id']}"))
    if options.json:
        options.show(whole, "")
        return
    columns = {
        "campaign_id": "Campaign", "pricing": "Pricing", "month": "Month",
        "quantity": "Quantity", "spent": "Spent",
    }  # fmt: skip
    options.table(whole["lines"], columns, title=f"Invoice {made['id']}")
    sums = [whole[one] for one in ("spent", "carried_in", "carried_out")]
    named = dict(zip(("spent", "carried in", "carried out"), sums, strict=True))
    named |= {"net": made["net"], whole["tax_name"]: made["tax"], "total": made["total"]}
    rows = [{"what": what, "amount": amount} for what, amount in named.items()]
    options.table(rows, {"what": "", "amount": "Amount"}, title="")
