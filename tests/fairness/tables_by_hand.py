"""Small tables that can be checked by hand, and the archives of which they could be built."""

import hashlib
import io
import zipfile

import numpy as np

from ringwork.fairness.model import RACE_SIX
from ringwork.fairness.tables.model import AreaTable, NameTable, Tables
from ringwork.fairness.tables.sources import Archive, Package

WHITE, BLACK, HISPANIC, API, AIAN, MULT = range(6)


def shares(**given: float) -> list[float]:
    return [given.get(group, 0.0) for group in RACE_SIX.groups]


def by_hand(**changes: object) -> Tables:
    """Three names, two ZIP codes with people and one without, a tract; margins that differ."""
    members: dict[str, object] = {
        "name": "by-hand",
        "vintage": "2010",
        "surnames": NameTable(
            ("SMITH", "GARCIA", "LEE"),
            np.array([600.0, 200.0, 100.0]),
            np.array(
                [
                    shares(white=0.7, black=0.3),
                    shares(white=0.1, hispanic=0.9),
                    shares(white=0.4, black=0.2, api=0.4),
                ]
            ),
            np.array(
                shares(white=0.6, black=0.2, hispanic=0.1, api=0.05, aian=0.03, mult_other=0.02)
            ),
            100.0,
        ),
        "first_names": NameTable(
            ("MARY", "JOSE", "ZORAN"),
            np.array([80.0, 15.0, 1.0]),
            np.array(
                [
                    shares(white=0.8, black=0.15, hispanic=0.05),
                    shares(white=0.1, hispanic=0.9),
                    shares(white=1.0),
                ]
            ),
            np.array(shares(white=0.7, black=0.1, hispanic=0.1, api=0.1)),
            4.0,
        ),
        "areas": {
            "zip": AreaTable(
                "zip",
                np.array([10001, 10002, 10003, 20001]),
                np.array(
                    [
                        shares(white=80, black=10, hispanic=10),
                        shares(white=10, black=70, hispanic=15, api=5),
                        shares(),
                        shares(white=50, black=10, hispanic=20, api=10, aian=5, mult_other=5),
                    ]
                ),
            ),
            "tract": AreaTable(
                "tract",
                np.array([36061000100, 36061000200]),
                np.array([shares(white=30, black=5, hispanic=5), shares()]),
            ),
        },
    }
    return Tables(**(members | changes))  # type: ignore[arg-type]


def archive(name: str, members: dict[str, tuple[str, bytes]]) -> Archive:
    """A wheel of that name: what -> (path inside, content)."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as wheel:
        for path, data in members.values():
            wheel.writestr(path, data)
    package = Package(
        name=name,
        version="1",
        archive=f"{name}-1-py3-none-any.whl",
        sha256=hashlib.sha256(content.getvalue()).hexdigest(),
        members={what: path for what, (path, _) in members.items()},
    )
    return Archive(package, content.getvalue())
