"""``ringwork fairness infer``: the mix of groups in a file of names and areas, and never a row."""

from __future__ import annotations

import csv
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from cyclopts import Parameter

from ringwork.cli.fairness_tables import BANNER, cache_of
from ringwork.cli.options import DEFAULTS, Options
from ringwork.cli.progress import counting
from ringwork.kernel.errors import Refused, RingworkError

if TYPE_CHECKING:
    from ringwork.fairness.proxy import BISG, ProxyBatch

ROWS_MAX: Final = 5_000_000
_COLUMNS: Final = ("surname", "first_name", "zip", "tract", "block_group")

_log = logging.getLogger(__name__)


def infer(  # noqa: PLR0913 - one parameter per option
    file: Path,
    /,
    *,
    tables: str = "demo",
    method: Literal["bisg", "bifsg", "fbisg"] = "bisg",
    groups: Literal["six", "four"] = "six",
    rules: Literal["extended", "cfpb"] = "extended",
    out: Path | None = None,
    allow_individual_export: Annotated[bool, Parameter(negative=())] = False,
    i_have_a_lawful_basis: str = "",
    cache: Path | None = None,
    options: Options = DEFAULTS,
) -> None:
    """Estimate the mix of groups in a CSV file of names and areas.

    The file has a head with the column surname and any of first_name, zip, tract, block_group. The
    result is the mean posterior of all rows together and a report of what matched. It is blurred
    (docs: race and ethnicity estimated): no measure of a difference between groups by itself.

    Example: ringwork fairness infer people.csv --tables census-2020 --method bifsg

    Parameters
    ----------
    file
        The CSV file, in UTF-8.
    tables
        The set of census tables; see ringwork fairness tables list.
    method
        bisg: surname and area; bifsg: first name too; fbisg: with errors of the area counts.
    groups
        six, or four: white, black, hispanic, other.
    rules
        How surnames are read: extended, or exactly as the regulator's scripts do (cfpb).
    out
        With --allow-individual-export: the file for a row per person.
    allow_individual_export
        Write the posteriors of single people to --out; needs --i-have-a-lawful-basis.
    i_have_a_lawful_basis
        The lawful basis, in words; it is logged.
    cache
        The folder of the sets (default: ringwork/fairness in the user's cache).
    """
    if (out is None) is not (not allow_individual_export):
        raise RingworkError("expected --out and --allow-individual-export together, or neither")
    columns = _columns(file)
    with counting() as progress:
        progress("rows read", len(columns["surname"]))
        proxy = _proxy(method, cache_of(cache).load(tables), groups, rules)
        progress("estimating, rows", len(columns["surname"]))
        batch = _posterior(proxy, columns)
    if out is not None:
        _export(batch, out, i_have_a_lawful_basis)
    mix = batch.mix()
    if options.json:
        options.show(mix, "")
        return
    if mix.demo_tables:
        sys.stdout.write(f"{BANNER}\n\n")
    rows = [
        {"group": group, "share": f"{share:.2%}"}
        for group, share in zip(mix.groups, mix.shares, strict=True)
    ]
    options.table(rows, {"group": "Group", "share": "Mean"}, title=f"{len(batch):,} people")
    told: list[dict[str, Any]] = [
        {"what": what, "match": match, "people": count}
        for what, counts in msgspec.to_builtins(mix.match).items()
        if what != "people"
        for match, count in counts.items()
        if count
    ]
    sys.stdout.write("\n")
    options.table(told, {"what": "", "match": "Match", "people": "People"}, title="Matched")
    sys.stdout.write(f"\n{mix.tables}, SHA-256 {mix.tables_sha256}\n")


def _columns(file: Path) -> dict[str, list[str]]:
    """The columns that are used. Errors name the line and never what stands in it."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        try:
            rows = csv.reader(lines)
            head = next(rows, [])
            if "surname" not in head or len(set(head)) != len(head):
                raise RingworkError(
                    f"{file}: expected a head with surname and any of "
                    f"{', '.join(_COLUMNS[1:])}, each once"
                )
            used = [(name, head.index(name)) for name in _COLUMNS if name in head]
            found: dict[str, list[str]] = {name: [] for name, _ in used}
            for row in _checked(rows, file, len(head)):
                for name, at in used:
                    found[name].append(row[at])
        except (UnicodeDecodeError, csv.Error) as error:
            kind = "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
            raise RingworkError(f"{file}: cannot be read as CSV: {kind}") from None
    if not found["surname"]:
        raise RingworkError(f"{file}: expected at least one row")
    return found


def _checked(rows: Iterator[list[str]], file: Path, cells: int) -> Iterator[list[str]]:
    for number, row in enumerate(rows, start=2):
        if number > ROWS_MAX + 1:
            raise RingworkError(f"{file}: expected at most {ROWS_MAX:,} rows")
        if row and len(row) != cells:
            raise RingworkError(f"{file}: row {number}: expected {cells} cells, got {len(row)}")
        yield row or [""] * cells


def _proxy(method: str, tables: Any, groups: Any, rules: Any) -> BISG:
    from ringwork.fairness.proxy import BIFSG, BISG, FBISG  # noqa: PLC0415 - for this command

    if method == "fbisg":
        from ringwork.kernel.entropy import SystemEntropy  # noqa: PLC0415 - as above

        return FBISG(tables, entropy=SystemEntropy(), groups=groups, name_rules=rules)
    kind = BIFSG if method == "bifsg" else BISG
    return kind(tables, groups=groups, name_rules=rules)


def _posterior(proxy: BISG, columns: dict[str, list[str]]) -> ProxyBatch:
    return proxy.posterior(
        surname=columns["surname"],
        zip=columns.get("zip"),
        tract=columns.get("tract"),
        block_group=columns.get("block_group"),
        first_name=None if proxy.name == "bisg" else columns.get("first_name"),
    )


def _export(batch: ProxyBatch, out: Path, basis: str) -> None:
    from ringwork.fairness.proxy import IndividualExport  # noqa: PLC0415 - as above

    policy = IndividualExport(allow_individual_export=True, lawful_basis=basis)
    try:
        values = batch.individual(policy)
    except Refused as refused:
        raise RingworkError(
            "--allow-individual-export needs --i-have-a-lawful-basis TEXT"
        ) from refused
    _log.warning("posteriors of %d people written; lawful basis: %s", len(batch), basis)
    with out.open("x", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(batch.partition.groups)
        writer.writerows([f"{value:.6f}" for value in row] for row in values.tolist())
    out.chmod(0o600)
