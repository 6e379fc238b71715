"""What every command shares: where the data is, how settings are found, how results are printed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from cyclopts import Parameter

from ringwork.app.call import Reply
from ringwork.app.settings import Settings
from ringwork.kernel.config import Loaded, load
from ringwork.kernel.errors import ConfigurationError, Refused

DEFAULT_CONFIG: Final = "ringwork.toml"


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """Options of every command."""

    data: str | None = None
    "Data directory (default: the setting data, ./ringwork-data)."
    config: str | None = None
    "Settings file (default: ./ringwork.toml where it exists)."
    json: Annotated[bool, Parameter(negative=())] = False
    "Print JSON lines on stdout and nothing else."

    def load(self, flags: Mapping[str, object] | None = None) -> Loaded[Settings]:
        """The settings of this call, with where each came from."""
        path = Path(self.config or os.environ.get("RINGWORK_CONFIG") or DEFAULT_CONFIG)
        if self.config is not None and not path.exists():
            raise ConfigurationError(f"{path}: no such settings file")
        given = dict(flags or {})
        if self.data is not None:
            given["data"] = self.data
        return load(
            Settings,
            toml=path.read_text() if path.exists() else None,
            toml_name=str(path),
            environment=os.environ,
            flags=given,
        )

    def settings(self, flags: Mapping[str, object] | None = None) -> Settings:
        """The settings of this call."""
        return self.load(flags).settings

    def show(self, value: object, text: str) -> None:
        """One result: as a JSON line, or as text for people."""
        if self.json:
            sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
        else:
            sys.stdout.write(text + "\n")

    def table(
        self, rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str], *, title: str
    ) -> None:
        """Rows as JSON lines, or as a table with the given columns (member -> head)."""
        if self.json:
            for row in rows:
                sys.stdout.write(msgspec.json.encode(row).decode() + "\n")
            return
        from rich.console import Console  # noqa: PLC0415  # only where a table is drawn
        from rich.table import Table  # noqa: PLC0415

        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        for head in columns.values():
            table.add_column(head)
        for row in rows:
            table.add_row(*(_cell(row.get(member)) for member in columns))
        Console(soft_wrap=True).print(table)


Options: TypeAlias = Annotated[Common, Parameter(name="*")]
DEFAULTS: Final = Common()


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, dict) and {"currency", "units", "nanos"} <= value.keys():
        from ringwork.kernel.money import Money  # noqa: PLC0415

        return str(msgspec.convert(value, Money))
    return str(value)


def answer_of(reply: Reply) -> Any:
    """The body of a successful answer; a refusal becomes an error with the problem's detail."""
    body = reply.json
    if reply.status < 400:
        return body
    problem: Mapping[str, Any] = body if isinstance(body, dict) else {}
    slug = str(problem.get("type", "")).rpartition(":")[2] or "refused"
    raise Refused(slug, f"{problem.get('title', 'refused')}: {problem.get('detail', '')}")
