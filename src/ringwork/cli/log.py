"""``ringwork log``: check the event log, export it, save what is sound of a damaged one."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import msgspec
from cyclopts import App

from ringwork.app.call import store_of
from ringwork.cli.options import DEFAULTS, Options
from ringwork.cli.progress import counting

app = App(name="log", help="Check, export and salvage the event log.")


def _directory(options: Options) -> Path:
    return store_of(options.settings()) / "log"


@app.command
def verify(*, options: Options = DEFAULTS) -> int:
    """Check the chain, the continuity and every event; exit 3 names the first defect.

    Example: ringwork log verify
    """
    directory = _directory(options)
    from ringwork.app.memory import EVENTS  # noqa: PLC0415  # loads every part
    from ringwork.kernel.events import EventTypes  # noqa: PLC0415
    from ringwork.storage.sqlite.verify import verify as check  # noqa: PLC0415

    with counting() as progress:
        report = check(
            directory, EventTypes(EVENTS), progress=lambda done, total: progress("events", done)
        )
    lines = []
    for one in report.partitions:
        lines.append(
            f"partition {one.partition}: {one.events:,} events in {one.files} files, "
            f"chain head {one.head_chain[:16]} at sequence {one.head_seq:,}"
        )
        if one.defect is not None:
            lines.append(
                f"  {one.defect.file}: at sequence {one.defect.seq}: {one.defect.expected}\n"
                "  save what is sound before it: ringwork log salvage --out DIR"
            )
    lines.append("the log is as it was written" if report.is_sound else "THE LOG IS DAMAGED")
    options.show({**msgspec.to_builtins(report), "sound": report.is_sound}, "\n".join(lines))
    return 0 if report.is_sound else 3


@app.command
def export(
    *,
    out: Path,
    first_day: date | None = None,
    last_day: date | None = None,
    options: Options = DEFAULTS,
) -> None:
    """Write the log as Parquet, a folder per day, for DuckDB and other tools.

    Example: ringwork log export --out ./export --first-day 2026-11-26

    Parameters
    ----------
    out:
        Where to write.
    first_day:
        From this day on (UTC).
    last_day:
        Up to this day (UTC).
    """
    directory = _directory(options)
    from ringwork.app.memory import EVENTS  # noqa: PLC0415  # loads every part
    from ringwork.kernel.events import EventTypes  # noqa: PLC0415
    from ringwork.storage.parquet import export as write  # noqa: PLC0415

    with counting() as progress:
        done = write(
            directory,
            out,
            EventTypes(EVENTS),
            first_day=first_day,
            last_day=last_day,
            progress=lambda done, total: progress("events", done),
        )
    options.show(msgspec.to_builtins(done), f"{done.events:,} events in {done.files} files: {out}")


@app.command
def salvage(*, out: Path, options: Options = DEFAULTS) -> None:
    """Copy what is sound of a damaged log to a new directory, with a report.

    Example: ringwork log salvage --out ./salvaged

    Parameters
    ----------
    out:
        A directory that does not exist yet.
    """
    directory = _directory(options)
    from ringwork.app.memory import EVENTS  # noqa: PLC0415  # loads every part
    from ringwork.kernel.events import EventTypes  # noqa: PLC0415
    from ringwork.storage.sqlite.verify import salvage as save  # noqa: PLC0415

    with counting() as progress:
        report = save(
            directory,
            out,
            EventTypes(EVENTS),
            progress=lambda done, total: progress("events", done),
        )
    options.show(
        msgspec.to_builtins(report), f"{report.events:,} sound events and report.json: {out}"
    )
