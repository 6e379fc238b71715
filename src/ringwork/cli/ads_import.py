"""``ringwork ads import``: a file of the catalogue, a thousand lines a request."""

from __future__ import annotations

import asyncio
import csv as spreadsheets
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any, Final
from uuid import uuid4

import msgspec
from cyclopts import Parameter
from msgspec import Struct

from ringwork.ads.import_csv import lines_of
from ringwork.ads.import_lines import IMPORT_MAX_BYTES
from ringwork.app.call import Reply, call, request
from ringwork.app.lock import hold, holder_of
from ringwork.app.settings import Settings
from ringwork.cli.answer import answer_of
from ringwork.cli.options import DEFAULTS, Options
from ringwork.kernel.errors import ConfigurationError

REQUEST_LINES: Final = 1000
"""Lines of one request: progress is seen, and what broke off is soon sent again."""
REQUEST_BYTES: Final = IMPORT_MAX_BYTES // 2
SHOWN_MAX: Final = 20
"""Refused lines that are told one by one to a person; ``--json`` tells of every line."""
VIOLATIONS: Final = 1

_PATH: Final = "/v1/import"


class Part(Struct, frozen=True):
    """What one request brings."""

    first: int
    """The number of its first line."""
    body: bytes
    position: int
    """How many bytes of the file were read by then."""


Take = Callable[[Part, Reply], None]


def import_file(
    file: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    csv: bool = False,
    options: Options = DEFAULTS,
) -> int:
    """Create what each line of a file says, in order; what exists already stays as it is.

    A line is JSON with its type (advertiser, publisher, site, placement, campaign, creative) and
    the members that POST /v1/campaigns and its like take. The same file may be sent again. A line
    that is refused stops no other; the exit code is then 1.

    Example: ringwork ads import market.ndjson

    Parameters
    ----------
    file:
        The lines; - reads stdin. A name that ends in .csv is a spreadsheet.
    csv:
        It is a spreadsheet, whatever its name: the first row names members, type among them.
    """
    told = _Told(options)
    with _opened(file) as source, _bar(source) as advance:
        is_csv = csv or file.suffix.lower() == ".csv"
        lines = _rows(source) if is_csv else _lines(source)

        def take(part: Part, reply: Reply) -> None:
            told.take(part, answer_of(reply))
            advance(part.position)

        _send_all(options.settings(), _parts(lines, source), take)
    told.close(file)
    return VIOLATIONS if told.totals["refused"] else 0


# ---- reading ------------------------------------------------------------------------------------


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    try:
        source = file.open("rb")
    except FileNotFoundError:
        raise ConfigurationError(f"{file}: no such file") from None
    with source:
        yield source


def _lines(source: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(source, 1):
        yield number, line.rstrip(b"\r\n")


def _rows(source: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Rows of a spreadsheet, numbered as it shows them: the names are row 1."""
    text = io.TextIOWrapper(source, encoding="utf-8-sig", newline="")
    reader = spreadsheets.DictReader(text, restkey="?")
    try:
        if "type" not in (reader.fieldnames or ()):
            told = "the first row names no member 'type'; every row has to say its type"
            raise ConfigurationError(told)
        yield from enumerate(lines_of(reader), 2)
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"the spreadsheet is not UTF-8: {error}") from None
    finally:
        text.detach()  # the file is closed by who opened it


def _parts(lines: Iterator[tuple[int, bytes]], source: IO[bytes]) -> Iterator[Part]:
    """Lines in requests, each within the bounds of one."""
    first, part, size = 0, list[bytes](), 0

    def packed() -> Part:
        return Part(first, b"\n".join(part), source.tell() if source.seekable() else 0)

    for number, line in lines:
        if part and (len(part) == REQUEST_LINES or size + len(line) > REQUEST_BYTES):
            yield packed()
            part, size = [], 0
        first = first if part else number
        part.append(line)
        size += len(line) + 1
    if part:
        yield packed()


# ---- sending ------------------------------------------------------------------------------------


def _send_all(settings: Settings, parts: Iterator[Part], take: Take) -> None:
    """Each part in a request of its own; where no server runs, the store is opened once for all."""
    if holder_of(settings.data_path) is None:
        asyncio.run(_in_process(settings, parts, take))
        return
    for part in parts:
        take(part, call(settings, "POST", _PATH, msgspec.Raw(part.body), headers=_headers()))


async def _in_process(settings: Settings, parts: Iterator[Part], take: Take) -> None:
    from ringwork.app.compose import create  # noqa: PLC0415  # only a command that opens the store

    with hold(settings, serves=False):
        app = create(settings)
        async with app.platform.lifespan(app):
            for part in parts:
                reply = await request(app.local_admin, "POST", _PATH, part.body, _headers())
                take(part, reply)


def _headers() -> dict[str, str]:
    """A key of its own for each request: what exists is found by its id, not by the key."""
    return {"content-type": "application/x-ndjson", "idempotency-key": str(uuid4())}


# ---- telling ------------------------------------------------------------------------------------


class _Told:
    """What became of the lines so far."""

    def __init__(self, options: Options) -> None:
        self.totals = {"created": 0, "exists": 0, "refused": 0}
        self._options = options
        self._refused: list[dict[str, Any]] = []

    def take(self, part: Part, answer: dict[str, Any]) -> None:
        for status in self.totals:
            self.totals[status] += answer[status]
        for line in answer["lines"]:
            line["line"] += part.first - 1
            if self._options.json:
                self._options.show(line, "")
            elif line["status"] == "refused" and len(self._refused) < SHOWN_MAX:
                self._refused.append(line)

    def close(self, file: Path) -> None:
        if self._options.json:
            return
        for line in self._refused:
            name = f" {line['id']}" if line["id"] else ""
            sys.stdout.write(f"line {line['line']}{name}: {line['problem']['detail']}\n")
        if self.totals["refused"] > len(self._refused):
            more = self.totals["refused"] - len(self._refused)
            sys.stdout.write(f"... and {more:,} more were refused; --json tells of each\n")
        counts = ", ".join(f"{count:,} {status}" for status, count in self.totals.items())
        sys.stdout.write(f"{file}: {counts}\n")


@contextmanager
def _bar(source: IO[bytes]) -> Iterator[Callable[[int], None]]:
    """A bar on stderr for who looks on, as far as the file is read."""
    if not sys.stderr.isatty():
        yield lambda position: None
        return
    from rich.console import Console  # noqa: PLC0415  # only where somebody looks on
    from rich.progress import Progress  # noqa: PLC0415

    total = None
    if source.seekable():
        total = source.seek(0, io.SEEK_END)
        source.seek(0)
    with Progress(console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("Importing", total=total)
        yield lambda position: shown.update(task, completed=position)
