"""``ringwork ads model``: the response model's versions, and how far they can be trusted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from ringwork.app.call import store_of
from ringwork.cli.options import DEFAULTS, Options
from ringwork.cli.progress import counting

if TYPE_CHECKING:
    from ringwork.app.model_report import Report

_FIGURES = {
    "head": "Head",
    "rows": "Rows",
    "responses": "Responses",
    "predicted": "Predicted",
    "ratio": "Predicted / seen",
    "ece": "Calibration error",
    "auc": "AUC",
    "log_loss": "Log loss",
    "normalised_entropy": "Normalised entropy",
}


def model(*, options: Options = DEFAULTS) -> None:
    """Show the response model's versions, and judge one by responses that it has not learned.

    Reads the log and the versions on disk; works on a stopped directory and beside a live server.

    Example: ringwork ads model --json
    """
    data = store_of(options.settings())
    from ringwork.app.model_report import report  # noqa: PLC0415  # loads every part

    with counting() as progress:
        found = report(data, progress)
    if options.json:
        options.show(msgspec.to_builtins(found), "")
    else:
        _draw(found, options)


def _draw(found: Report, options: Options) -> None:
    heads = sorted({head for one in found.versions for head in one.learned})
    rows = [
        {
            "version": one.version,
            "published": f"{datetime.fromtimestamp(one.ts_us // 10**6, UTC):%Y-%m-%d %H:%M:%S}",
            "seq": one.seq,
            "on_disk": one.version in found.on_disk,
            **one.learned,
        }
        for one in found.versions
    ]
    columns = {"version": "Version", "published": "Published, UTC", "seq": "Event"}
    learned = {head: f"Learned, {head}" for head in heads}
    title = "Versions" if rows else "Versions: none was published yet"
    options.table(rows, {**columns, **learned, "on_disk": "On disk"}, title=title)
    if found.judged is None:
        return
    figures = [
        {
            "head": head,
            "rows": one.rows,
            "responses": one.responses,
            "predicted": round(sum(part.rows * part.predicted for part in one.deciles), 1),
            **{name: round(getattr(one, name), 4) for name in list(_FIGURES)[4:]},
        }
        for head, one in sorted(found.heads.items())
    ]
    title = f"Version {found.judged}, judged by what it had not learned"
    options.table(figures, _FIGURES, title=title if figures else f"{title}: nothing yet")
