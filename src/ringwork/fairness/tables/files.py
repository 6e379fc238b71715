"""A set of tables as files: one Parquet file a table, and a manifest with the hash of their sum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct

from ringwork.fairness.model import RACE_SIX
from ringwork.fairness.tables.model import DIGITS, AreaTable, Level, NameTable, Source, Tables
from ringwork.kernel.errors import Refused

MANIFEST: Final = "manifest.json"
FORMAT: Final = 1


class Manifest(Struct, frozen=True, kw_only=True):
    """What a set is, without reading it."""

    name: str
    vintage: str
    sha256: str
    rows: dict[str, int]
    population: str
    sources: tuple[Source, ...]
    format: int = FORMAT
    demo_tables: bool = False


def manifest_of(tables: Tables) -> Manifest:
    """What a set is."""
    return Manifest(
        name=tables.name,
        vintage=tables.vintage,
        sha256=tables.sha256,
        rows=tables.rows(),
        population=tables.population,
        sources=tables.sources,
        demo_tables=tables.demo_tables,
    )


def dump(tables: Tables) -> dict[str, bytes]:
    """The files of a set by name."""
    found = {f"{part}.parquet": _parquet(table) for part, table in tables.parts()}
    manifest = msgspec.json.format(msgspec.json.encode(manifest_of(tables)), indent=2)
    return found | {MANIFEST: manifest + b"\n"}


def parse_manifest(content: bytes, where: str) -> Manifest:
    """A manifest; Refused (tables-damaged) where it is none, or one of another release."""
    try:
        found = msgspec.json.decode(content, type=Manifest)
    except msgspec.DecodeError as error:
        raise damaged(f"{where}: {error}") from None
    if found.format != FORMAT:
        raise damaged(f"{where}: expected format {FORMAT}, got {found.format}")
    return found


def load(files: Mapping[str, bytes]) -> Tables:
    """A set from its files. Raises Refused (tables-damaged) where it is not what its hash says."""
    if MANIFEST not in files:
        raise damaged(f"expected {MANIFEST} among {sorted(files)}")
    manifest = parse_manifest(files[MANIFEST], MANIFEST)
    first = "first_names.parquet"
    found = Tables(
        name=manifest.name,
        vintage=manifest.vintage,
        surnames=_names(files, "surnames.parquet"),
        first_names=_names(files, first) if first in files else None,
        areas={level: _areas(files, level) for level in DIGITS if f"{level}.parquet" in files},
        sources=manifest.sources,
        demo_tables=manifest.demo_tables,
        population=manifest.population,
    )
    if found.sha256 != manifest.sha256:
        raise damaged(
            f"{manifest.name}: expected SHA-256 {manifest.sha256}, got {found.sha256}; build it "
            f"again with `ringwork fairness tables build`"
        )
    return found


def _parquet(table: NameTable | AreaTable) -> bytes:
    pa, pq = _arrow()
    columns = {
        name: pa.array(values if isinstance(values, tuple) else values.astype(np.float64))
        for name, values in table.columns()
    }
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink, compression="zstd")
    return bytes(sink.getvalue())


def _read(files: Mapping[str, bytes], file: str, columns: tuple[str, ...]) -> Any:
    pa, pq = _arrow()
    if file not in files:
        raise damaged(f"expected {file} among {sorted(files)}")
    try:
        return pq.read_table(pa.BufferReader(files[file]), columns=list(columns))
    except (pa.ArrowException, OSError) as error:
        raise damaged(f"{file}: {error}") from None


def _names(files: Mapping[str, bytes], file: str) -> NameTable:
    found = _read(files, file, ("name", "count", *RACE_SIX.groups))
    counts = found["count"].to_numpy()
    shares = np.column_stack([found[group].to_numpy() for group in RACE_SIX.groups])
    keys = found["name"].to_pylist()
    if not keys:
        raise damaged(f"{file}: expected a row for all other names")
    return NameTable(tuple(keys[:-1]), counts[:-1], shares[:-1], shares[-1], float(counts[-1]))


def _areas(files: Mapping[str, bytes], level: Level) -> AreaTable:
    found = _read(files, f"{level}.parquet", ("code", *RACE_SIX.groups))
    people = np.column_stack([found[group].to_numpy() for group in RACE_SIX.groups])
    try:
        codes = np.array([int(code) for code in found["code"].to_pylist()], dtype=np.int64)
        return AreaTable(level, codes, people)
    except (TypeError, ValueError) as error:
        raise damaged(f"{level}.parquet: {error}") from None


def _arrow() -> tuple[Any, Any]:
    """Arrow and its Parquet, heavy: imported where a set is read or written."""
    try:
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise Refused(
            "tables-missing",
            "census tables need the package pyarrow: pip install 'ringwork[fairness]'",
            status=503,
        ) from error
    return pa, pq


def damaged(detail: str) -> Refused:
    """A set that is not what was written."""
    return Refused("tables-damaged", detail, status=503, title="The census tables are damaged")
