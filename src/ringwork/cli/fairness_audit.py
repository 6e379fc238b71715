"""``ringwork fairness audit``, ``report``, ``dossier`` and ``budget``: what a signed log proves."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from ringwork.cli.options import DEFAULTS, Options
from ringwork.cli.progress import counting
from ringwork.kernel.errors import ConfigurationError, RingworkError

if TYPE_CHECKING:
    from ringwork.fairness.audit import Audit, Auditor

Format = Literal["html", "json", "csv", "all"]
UNREADABLE = 3
SUFFIXES = ("html", "json", "csv")


def audit(
    log: Path,
    /,
    *,
    public_key: str | None = None,
    head: str | None = None,
    report: Path | None = None,
    against: Path | None = None,
    options: Options = DEFAULTS,
) -> int:
    """Check a fairness log's chain and signatures and recompute every figure in it.

    Ends with 0 where it is sound, 1 where a figure differs, 2 where chain or signature are broken,
    3 where it cannot be read, and names the first record. De-attenuated figures without a
    model, prior and budget before them cannot be recomputed: they are counted, and the rest is
    checked.

    Example: ringwork fairness audit fairness.jsonl --public-key 1de94f96...

    Parameters
    ----------
    log
        The log, as JSON lines.
    public_key
        The key that its owner published, 64 hex digits. Without it the log's own word is taken.
    head
        A line of `log head` that was published elsewhere: the log must hold that record.
    report
        Write the report that follows from the log to this file (.html, .json or .csv). Of a log
        that is broken or cannot be read there is none.
    against
        A published report (.json): hold it against what follows from the log.
    """
    try:
        auditor = read_log(log, public_key, head)
    except OSError as error:
        print(f"ringwork: {log}: cannot be read: {error.strerror}", file=sys.stderr)
        return UNREADABLE
    found = auditor.found
    differs = _against(auditor, against) if against is not None else []
    if report is not None and found.verdict < 2:
        _write(report, _rendered(auditor, _suffix_of(report)))
    shown = {**msgspec.to_builtins(found), "verdict": found.word, "exit": found.verdict}
    if against is not None:
        shown["report_differs"] = differs
    options.show(shown, "\n".join([_told(found), *differs]))
    return found.verdict or (1 if differs else 0)


def report(
    log: Path,
    /,
    *,
    format: Format = "html",  # the option's name
    period: str | None = None,
    out: Path | None = None,
    options: Options = DEFAULTS,
) -> int:
    """Write the compliance report of a period, recomputed from the log.

    A log that is broken or cannot be read gives no report; where a figure differs from the stated
    one the report shows the recomputed one, says so, and the command ends with 1.

    Example: ringwork fairness report fairness.jsonl --format all --out reports

    Parameters
    ----------
    log
        The log, as JSON lines.
    format
        html, json, csv, or all three.
    period
        The period as the plan in the log names it; the newest one by default.
    out
        A file, or the folder for all three; else it is printed.
    """
    if format == "all" and out is None:
        raise ConfigurationError("--format all: name the folder, --out DIR")
    auditor = _readable(log, period)
    if out is None:
        sys.stdout.write(_rendered(auditor, format))
        return auditor.found.verdict
    wanted = SUFFIXES if format == "all" else (format,)
    for one in wanted:
        path = out / f"report.{one}" if format == "all" else out
        _write(path, _rendered(auditor, one))
        options.show({"file": str(path), "verdict": auditor.found.word}, f"wrote {path}")
    return auditor.found.verdict


def dossier(
    log: Path,
    /,
    *,
    out: Path = Path("dossier.zip"),
    provider: Path | None = None,
    options: Options = DEFAULTS,
) -> int:
    """Write the technical documentation that the EU AI Act asks for, as one archive.

    Annex IV of Regulation (EU) 2024/1689, filled from the log, the risk register and the change
    log of this version; beside it the report, the log, and the hash of each file.

    Example: ringwork fairness dossier fairness.jsonl --out dossier.zip

    Parameters
    ----------
    log
        The log, as JSON lines.
    out
        The archive.
    provider
        YAML with what only you know (name, contact, purpose, standards, declaration); without it
        those places say that they are open.
    """
    auditor = _readable(log)
    from ringwork.fairness.dossier import archive_of, bundle, provider_of  # noqa: PLC0415

    given = None if provider is None else provider_of(provider.read_bytes(), where=str(provider))
    files = bundle(auditor, provider=given, log_bytes=log.read_bytes())
    _make(out.parent)
    out.write_bytes(archive_of(files))
    text = f"wrote {out}: {', '.join(files)}"
    options.show({"file": str(out), "files": list(files), "verdict": auditor.found.word}, text)
    return auditor.found.verdict


def budget(log: Path, ad: str | None = None, /, *, options: Options = DEFAULTS) -> int:
    """Show the privacy that each ad's releases spent, and what the plan leaves.

    Example: ringwork fairness budget fairness.jsonl ad-17

    Parameters
    ----------
    log
        The log, as JSON lines.
    ad
        One ad; else all of them.
    """
    auditor = _readable(log)
    from ringwork.fairness.report import privacy_rows  # noqa: PLC0415

    rows = [one for one in privacy_rows(auditor.state) if ad in (None, one.ad)]
    if ad is not None and not rows:
        raise RingworkError(f"{log}: no ad {ad!r} in this log")
    columns = {
        "ad": "Ad",
        "releases": "Releases",
        "releases_max": "of",
        "sigma": "Sigma",
        "epsilon": "Epsilon",
        "epsilon_left": "left of plan",
        "delta": "Delta",
    }
    options.table([msgspec.to_builtins(one) for one in rows], columns, title="Privacy by ad")
    return auditor.found.verdict


def read_log(
    path: Path, public_key: str | None, head: str | None, period: str | None = None
) -> Auditor:
    """An auditor that has read a whole file, with progress; a wrong option is named."""
    from ringwork.fairness.audit import audited  # noqa: PLC0415  # loads cryptography
    from ringwork.fairness.log import head_of  # noqa: PLC0415

    if public_key is not None and not _is_key(public_key):
        raise ConfigurationError(f"--public-key: expected 64 hex digits, got {public_key!r}")
    try:
        published = None if head is None else head_of(head)
    except ValueError as error:
        raise ConfigurationError(f"--head: {error}") from None
    key = None if public_key is None else public_key.lower()
    with path.open("rb") as file, counting() as progress:
        return audited(file, public_key=key, head=published, period=period, progress=progress)


def _readable(path: Path, period: str | None = None) -> Auditor:
    """An auditor of a log that holds together; else the command ends, with the first record."""
    auditor = read_log(path, None, None, period)
    if auditor.found.verdict > 1:
        first = auditor.found.findings[0]
        raise RingworkError(f"{path}: {auditor.found.word}: record {first.seq}: {first.detail}")
    if auditor.state.plan is None:
        raise RingworkError(f"{path}: no plan record: there is nothing to report")
    if period not in (None, auditor.state.plan.period):
        raise RingworkError(f"--period: no plan in {path} names the period {period!r}")
    return auditor


def _is_key(text: str) -> bool:
    return len(text) == 64 and all(one in "0123456789abcdefABCDEF" for one in text)


def _suffix_of(path: Path) -> str:
    suffix = path.suffix.removeprefix(".")
    if suffix not in SUFFIXES:
        raise ConfigurationError(f"{path}: expected a name that ends in .html, .json or .csv")
    return suffix


def _rendered(auditor: Auditor, format: str) -> str:
    from ringwork.fairness.rendering import to_csv, to_html, to_json  # noqa: PLC0415  # jinja2
    from ringwork.fairness.report import document_of  # noqa: PLC0415

    if auditor.state.plan is None:
        raise RingworkError("no plan record was read: there is nothing to report")
    document = document_of(auditor)
    if format == "html":
        return to_html(document)
    return to_json(document) if format == "json" else to_csv(document)


def _against(auditor: Auditor, published: Path) -> list[str]:
    from ringwork.fairness.rendering import differences  # noqa: PLC0415
    from ringwork.fairness.report import document_of  # noqa: PLC0415

    if auditor.state.plan is None:
        return [f"{published}: no plan record was read: nothing to hold it against"]
    found = differences(published.read_bytes(), document_of(auditor))
    return [f"{published}: {one}" for one in found]


def _write(path: Path, text: str) -> None:
    _make(path.parent)
    path.write_bytes(text.encode())


def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)


def _told(found: Audit) -> str:
    """The audit for people."""
    half = found.figures_unverifiable
    lines = [
        f"{found.word.upper()}: {found.records:,} records of log {found.log or '?'}",
        f"figures: {found.figures:,}, of {half:,} the de-attenuated half cannot be recomputed "
        "(no model, prior or budget before them); their proxy half was"
        if half
        else f"figures: {found.figures:,}, all recomputed",
        f"coverage rows: {found.coverage_rows:,} in {found.reports:,} reports",
    ]
    if found.head is not None:
        lines.append(f"head: {found.head.line()}")
    if not found.is_key_from_outside:
        lines.append("the key is the log's own word: give the published one, --public-key")
    if not found.is_head_from_outside:
        lines.append("a cut end would not show: give a published head, --head")
    if found.unsigned:
        lines.append(f"the last {found.unsigned:,} records are signed by nobody yet")
    if found.torn_bytes:
        lines.append(f"{found.torn_bytes:,} bytes of a torn last line are no record")
    lines += [f"record {one.seq}: {one.detail}" for one in found.findings]
    if found.findings_total > len(found.findings):
        lines.append(f"... and {found.findings_total - len(found.findings):,} more")
    return "\n".join(lines)
