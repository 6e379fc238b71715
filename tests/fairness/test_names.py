"""Names as written: the regulator's rules by its own steps, ours by example, the loops by both."""

import csv
import string
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ringwork.fairness.columns import strings
from ringwork.fairness.names import index as indexing
from ringwork.fairness.names.index import NameIndex
from ringwork.fairness.names.rules import (
    ANSWERS,
    GENERIC,
    NONE,
    PART,
    TABLE,
    cfpb,
    extended,
    match,
    unglued,
)

VECTORS = Path(__file__).parents[1] / "vectors" / "surname_vectors.csv"
KEYS = [
    "SMITH",
    "JONES",
    "GARCIA",
    "LOPEZ",
    "ONEIL",
    "MCDONALD",
    "MACDONALD",
    "DELACRUZ",
    "DELAFUENTE",
    "FUENTE",
    "LE",
    "VAN",
    "DO",
    "DE",
    "AL",
    "NGUYEN",
    "RASHID",
    "WEISS",
    "MUNOZ",
    "NAN",
    "NULL",
    "TRUE",
    "SENIOR",
    "ANONYMOUS",
    "WILLIAMSON",
    "DIAZ",
    "SMITHK",
    "WILSON",
    "VANDERBERG",
    "ABCDEFGHIJKLMNOPQR",
    "ABCDEFGHIJKL",
    "ABCDEFGHIJKLM",
    "IV",
]
INDEX = NameIndex(KEYS)
RULES = ("cfpb", "extended")


def looked_up(text: str, rules: str = "extended") -> tuple[str | None, int]:
    found = match(text, rules, INDEX.find)
    return (KEYS[found.row] if found.row >= 0 else None), found.kind


def test_all_59_vectors_of_the_regulators_rules() -> None:
    rows = list(csv.DictReader(VECTORS.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 59
    for row in rows:
        assert cfpb(row["written"]) == (row["first"], row["second"]), row["written"]


@pytest.mark.parametrize(
    ("written", "key", "kind"),
    [
        ("Smith", "SMITH", TABLE),
        ("  sMiTh ", "SMITH", TABLE),
        ("García", "GARCIA", TABLE),
        ("Muñoz", "MUNOZ", TABLE),
        ("Weiß", "WEISS", TABLE),
        ("O'Neil", "ONEIL", TABLE),
        ("O\u2019Neil", "ONEIL", TABLE),
        ("O Neil", "ONEIL", TABLE),
        ("Mc Donald", "MCDONALD", TABLE),
        ("Mac Donald", "MACDONALD", TABLE),
        ("De La Cruz", "DELACRUZ", TABLE),
        ("De-La-Cruz", "DELACRUZ", TABLE),
        ("S M I T H", "SMITH", TABLE),
        ("Smith, Jr.", "SMITH", TABLE),
        ("Smith Senior", "SMITH", TABLE),
        ("Smith III MD", "SMITH", TABLE),
        ("Smith 3rd", "SMITH", TABLE),
        ("WilliamsonJR", "WILLIAMSON", TABLE),
        ("DiazJr", None, GENERIC),
        ("J. Garcia", "GARCIA", TABLE),
        ("Garcia L", "GARCIA", TABLE),
        ("Wilson2", "WILSON", TABLE),
        ("Senior", "SENIOR", TABLE),
        ("NaN", "NAN", TABLE),
        ("null", "NULL", TABLE),
        ("true", "TRUE", TABLE),
        ("Smith-Jones", "SMITH", PART),
        ("Smith Jones", "SMITH", PART),
        ("Smith\u2013Jones", "SMITH", PART),
        ("Xyzzy-Lopez", "LOPEZ", PART),
        ("Smith-Senior", "SMITH", PART),
        ("Le-Smith", "LE", PART),
        ("De La Fuente Garcia", "DELAFUENTE", PART),
        ("Xyzzy y Garcia", "GARCIA", PART),
        ("Van Nguyen", "NGUYEN", TABLE),
        ("D Smith", "SMITH", TABLE),
        ("Al-Rashid", "RASHID", TABLE),
        ("Xyzzy", None, GENERIC),
        ("Xyzzy-Plugh", None, GENERIC),
        ("李", None, NONE),
        ("", None, NONE),
        ("  ", None, NONE),
        ("X", None, NONE),
        ("123", None, NONE),
        ("N/A", None, NONE),
        ("Decline to state", None, NONE),
        ("SAME AS ABOVE", None, NONE),
        ("no name", None, NONE),
        ("unknown", None, NONE),
        ("anonymous", "ANONYMOUS", TABLE),
        ("A" * 300, None, GENERIC),
    ],
)  # fmt: skip
def test_a_name_as_written_finds_its_row(written: str, key: str | None, kind: int) -> None:
    assert looked_up(written) == (key, kind)


def test_the_regulators_rules_find_the_first_part_else_the_second() -> None:
    assert looked_up("Smith-Jones", "cfpb") == ("SMITH", TABLE)
    assert looked_up("Xyzzy-Jones", "cfpb") == ("JONES", PART)
    assert looked_up("Smith J K", "cfpb") == ("SMITHK", TABLE)
    assert looked_up("García", "cfpb") == (None, GENERIC)
    assert looked_up("weiß", "cfpb") == (None, GENERIC)
    assert looked_up("Jr.", "cfpb") == (None, NONE)


def test_the_second_part_is_told_where_both_are_listed() -> None:
    both = match("Garcia-Lopez", "extended", INDEX.find)
    assert (KEYS[both.row], KEYS[both.second]) == ("GARCIA", "LOPEZ")
    assert match("Garcia-Xyzzy", "extended", INDEX.find).second == -1
    assert match("Garcia Lopez Jones", "extended", INDEX.find).second == -1


def test_a_suffix_is_unglued_from_five_letters_on() -> None:
    assert unglued("SMITHJR") == "SMITH"
    assert unglued("DIAZJR") is None
    assert unglued("SMITH") is None


ALPHABET = string.ascii_letters + " -'.,`" + "0123áñßØ\u2019\t/"
words = st.sampled_from(
    [*KEYS, *ANSWERS, "Jr", "sr", "III", "D", "O", "Mc", "van", "J", "xyzzy", "y"]
)
typed = st.builds(
    "".join,
    st.lists(
        st.one_of(words, st.text(ALPHABET, max_size=4), st.sampled_from([" ", "-", ". ", "'"])),
        max_size=7,
    ),
)


@given(texts=st.lists(typed, max_size=20))
@example(texts=["GarciaJR-Lopez", "PREFER NOT TO STATE", "abcdefghijklmnopqrs", "A-B", "D-Smith"])
@pytest.mark.parametrize("rules", RULES)
def test_the_loops_answer_as_the_rules_do(rules: str, texts: list[str]) -> None:
    pytest.importorskip("numba")
    found = INDEX.match(strings(texts), rules)
    for row, text in enumerate(texts):
        expected = match(text, rules, INDEX.find)
        if expected.row < 0:
            expected = expected._replace(row=len(KEYS) + (expected.kind == NONE))
        assert (found.rows[row], found.kinds[row], found.seconds[row]) == expected, text


@pytest.mark.parametrize("rules", RULES)
def test_without_numba_the_answers_are_the_same(
    rules: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["Smith", "García", "Smith-Jones", "Mc Donald", "xyzzy", "", "smith jr"] * 3
    with_loops = INDEX.match(strings(texts), rules)
    monkeypatch.setattr(indexing, "compiled", lambda: None)
    plain = NameIndex(KEYS).match(strings(texts), rules)
    for one, other in ((with_loops.rows, plain.rows), (with_loops.kinds, plain.kinds)):
        assert np.array_equal(one, other)


@given(st.text())
def test_no_text_breaks_the_rules(text: str) -> None:
    assert all(part == part.lower() for part in cfpb(text))
    name = extended(text)
    assert name.whole.isascii()
    assert name.whole == "" or name.whole.isalpha()
    again = match(text, "extended", INDEX.find)
    assert again.kind in (NONE, GENERIC, TABLE, PART)
    assert (again.row >= 0) == (again.kind >= TABLE)


def test_a_long_list_finds_every_one_of_its_names() -> None:
    keys = ["".join(letters) for letters in np.array(list(string.ascii_uppercase))[
        np.random.RandomState(5).randint(0, 26, (5000, 7))
    ]]  # fmt: skip
    index = NameIndex(list(dict.fromkeys(keys)))
    found = index.match(strings([key.title() for key in index.keys]), "extended")
    assert np.array_equal(found.rows, np.arange(len(index.keys)))


def test_what_is_no_column_is_refused() -> None:
    with pytest.raises(TypeError, match="expected a column of strings, got str"):
        strings("Smith")
    with pytest.raises(TypeError, match="got int"):
        strings(3)


def test_columns_of_every_kind_are_read_alike() -> None:
    pa = pytest.importorskip("pyarrow")
    texts = ["Smith", None, "", "Muñoz", "x" * 40]
    expected = [text or "" for text in texts]
    array = pa.array(texts)
    kinds = [
        texts,
        tuple(texts),
        np.array(texts, dtype=object),
        array,
        pa.array(["zero", *texts])[1:],
        pa.chunked_array([array[:2], array[2:]]),
        array.dictionary_encode(),
        array.cast(pa.large_string()),
        pa.array(texts, pa.string_view()),
    ]
    # A missing value may have bytes of its own.
    bytes_in_null = pa.Array.from_buffers(
        pa.string(),
        5,
        [pa.py_buffer(b"\x1d"), *pa.array(["Smith", "hidden", "", *texts[3:]]).buffers()[1:]],
    )
    for kind in [*kinds, bytes_in_null]:
        found = strings(kind)
        assert [found.text(row) for row in range(len(found))] == expected, type(kind)


def test_numbers_are_filled_with_zeros_and_what_is_neither_is_missing() -> None:
    found = strings([2139, 2139.0, float("nan"), True, None, b"00501", [1], 2139.5], digits=5)
    texts = [found.text(row) for row in range(len(found))]
    assert texts == ["02139", "02139", "", "", "", "00501", "", ""]
    assert strings([5, "a"]).text(0) == ""
