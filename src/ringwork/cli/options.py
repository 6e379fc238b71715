"""What every command takes: where the data is, how settings are found, how results are printed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from cyclopts import Parameter

from ringwork.app.settings import Settings
from ringwork.kernel.config import Loaded, load
from ringwork.kernel.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.console import Console

DEFAULT_CONFIG: Final = "ringwork.toml"
CONFIG_VARIABLE: Final = "RINGWORK_CONFIG"
PIPE_WIDTH: Final = 10_000
"""Columns where nobody looks on: nothing is cut off, and a table is only as wide as it needs."""


@Parameter(name="*")
@dataclass(frozen=True)
class Options:
    """Options of every command."""

    data: str | None = None
    "Data directory (default: the setting data, ./ringwork-data)."
    config: str | None = None
    "Settings file (default: ./ringwork.toml where it exists)."
    json: Annotated[bool, Parameter(negative=())] = False
    "Print JSON lines on stdout and nothing else."

    def load(self, flags: Mapping[str, object] | None = None) -> Loaded[Settings]:
        """The settings of this call, with where each came from. Raises ConfigurationError."""
        named = self.config or os.environ.get(CONFIG_VARIABLE)
        path = Path(named or DEFAULT_CONFIG)
        given = dict(flags or {})
        if self.data is not None:
            given["data"] = self.data
        return load(
            Settings,
            toml=_text_of(path, must_exist=named is not None),
            toml_name=str(path),
            environment=os.environ,
            flags=given,
        )

    def settings(self, flags: Mapping[str, object] | None = None) -> Settings:
        """The settings of this call."""
        return self.load(flags).settings

    def show(self, value: object, text: str) -> None:
        """One result: as a JSON line, or as text for people."""
        line = msgspec.json.encode(value).decode() if self.json else text
        sys.stdout.write(line + "\n")

    def table(
        self, rows: Iterable[Mapping[str, object]], columns: Mapping[str, str], *, title: str
    ) -> None:
        """Rows as JSON lines, or as a table with the given columns (member -> head)."""
        if self.json:
            for row in rows:
                sys.stdout.write(msgspec.json.encode(row).decode() + "\n")
            return
        from rich.markup import escape  # noqa: PLC0415  # only where a table is drawn
        from rich.table import Table  # noqa: PLC0415

        all_rows = list(rows)
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        for member, head in columns.items():
            is_number = any(_is_number(row.get(member)) for row in all_rows)
            table.add_column(head, justify="right" if is_number else "left", overflow="fold")
        for row in all_rows:
            table.add_row(*(escape(_cell(row.get(member))) for member in columns))
        _console().print(table)


DEFAULTS: Final = Options()


def _text_of(path: Path, *, must_exist: bool) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if must_exist:
            raise ConfigurationError(f"{path}: no such settings file") from None
        return None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not UTF-8 at byte {error.start}") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None


def _console() -> Console:
    from rich.console import Console  # noqa: PLC0415  # only where a table is drawn

    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)


def _is_number(value: object) -> bool:
    return _is_money(value) or (isinstance(value, int | float) and not isinstance(value, bool))


def _is_money(value: object) -> bool:
    return isinstance(value, dict) and value.keys() >= {"currency", "units", "nanos"}


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if _is_money(value):
        from ringwork.kernel.money import Money  # noqa: PLC0415

        return str(msgspec.convert(value, Money))
    return str(value)
