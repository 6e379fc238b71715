"""``ringwork gate scan``: who behaves like a machine in a log, with the evidence."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from ringwork.cli.options import DEFAULTS, Options
from ringwork.cli.progress import measuring
from ringwork.kernel.errors import ConfigurationError

if TYPE_CHECKING:
    from io import BufferedReader

    from ringwork.gate.analyse.blocks import Readable
    from ringwork.gate.analyse.findings import Scanned

FOUND: Final = 1
SHOWN_MAX: Final = 20
_GZIP: Final = b"\x1f\x8b"

Format = Literal[
    "auto", "common", "combined", "vhost_combined", "nginx_error", "nginx_json", "caddy",
    "traefik", "traefik_json", "envoy", "alb", "litespeed",
]  # fmt: skip


def scan(
    log: Path,
    /,
    *,
    format: Format = "auto",  # the name of the flag
    actor: Literal["ip", "user", "visit"] = "ip",
    model: str = "none",
    html: Path | None = None,
    options: Options = DEFAULTS,
) -> int:
    """Find who behaves like a machine in a log, with the evidence.

    Reads access logs and nginx's error log, plain or gzip, in bounded memory. Needs neither a
    server nor a data directory. Ends with 1 where an actor reaches challenge or above, with 0 where
    none does. Evidence from an address alone may challenge, never block.

    Example: ringwork gate scan access.log --html report.html

    Parameters
    ----------
    log
        A log file; /dev/stdin reads a pipe.
    format
        What the lines are; auto looks at them, and takes mixed files.
    actor
        Whom to judge: addresses (IPv6 by /64), the users that the server knows, or visits (an
        address with one agent).
    model
        A behaviour model of ringwork gate fit. default is one that comes along, made of invented
        traffic: what it promises about people holds for yours once you fit your own. none looks
        for habits alone.
    html
        A file for the report with plots; it loads nothing and runs no script.
    """
    from ringwork.cli.gate_fit import model_of  # noqa: PLC0415
    from ringwork.gate.analyse.report import text_of, to_html, to_json  # noqa: PLC0415
    from ringwork.gate.analyse.scan import scan as read  # noqa: PLC0415
    from ringwork.gate.behave.judge import Judge  # noqa: PLC0415

    if html is not None and not html.parent.is_dir():
        raise ConfigurationError(f"{html}: expected a folder that exists, {html.parent} is none")
    name = log.name
    judge = Judge(model_of(model))
    with opened(log) as raw, measuring("reading", _size(log)) as at:
        file = unpacked(raw, name)
        try:
            scanner = read(
                file, by=actor, shape=format, judge=judge, progress=lambda: at(_place(raw))
            )
        except (EOFError, gzip.BadGzipFile) as error:
            raise ConfigurationError(f"{name}: expected gzip, got {error}") from None
        except OSError as error:
            raise ConfigurationError(f"{name}: cannot be read: {error.strerror or error}") from None
    found = scanner.result()
    if html is not None:
        _write(html, to_html(found, scanner.totals, name=name))
    if options.json:
        sys.stdout.write(to_json(found).decode() + "\n")
    else:
        sys.stdout.write(text_of(found, scanner.totals) + "\n")
        _tell(found, options)
    return 0 if found.is_clean else FOUND


def _tell(found: Scanned, options: Options) -> None:
    rows = [
        {
            "actor": one.actor,
            "verdict": one.verdict,
            "score": f"{one.score:.2f}",
            "requests": one.requests,
            "why": ", ".join(f"{reason.rule} {reason.count:,}" for reason in one.reasons),
        }
        for one in found.actors
        if one.reasons
    ][:SHOWN_MAX]
    if rows:
        heads = {
            "actor": "Actor", "verdict": "Verdict", "score": "Score", "requests": "Requests",
            "why": "Why",
        }  # fmt: skip
        options.table(rows, heads, title="Who was noticed")


def opened(log: Path) -> BufferedReader:
    """The log, or an error that names it."""
    try:
        return log.open("rb")
    except OSError as error:
        raise ConfigurationError(f"{log}: cannot be read: {error.strerror}") from None


def _size(log: Path) -> int | None:
    """Bytes to read, for the progress bar; None where nobody knows."""
    return log.stat().st_size if log.is_file() else None


def _place(raw: BufferedReader) -> int:
    """Bytes read so far, of the file as it lies on the disk."""
    return raw.tell() if raw.seekable() else 0


def unpacked(raw: BufferedReader, name: str) -> Readable:
    """The log itself: what begins like gzip is unpacked as it is read."""
    begins = raw.peek(len(_GZIP))
    if not begins:
        raise ConfigurationError(f"{name}: expected a log, got an empty file")
    return gzip.GzipFile(fileobj=raw) if begins.startswith(_GZIP) else raw


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written: {error.strerror}") from None
