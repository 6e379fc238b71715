"""Undeclared special ads: what the detector finds, and that its weights can be made again."""

from importlib.resources import files

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.fairness.hec.detect import CATEGORIES, Detector, Weights, packaged, sigmoid
from ringwork.fairness.hec.rules import preset
from ringwork.fairness.hec.text import BUCKETS, Features, folded
from ringwork.fairness.hec.train import (
    ANY,
    judge,
    packaged_examples,
    packaged_version,
    parse_examples,
    train,
)
from ringwork.kernel.errors import Invalid
from ringwork.kernel.screening import AdContent

RULES = [preset("united-states")]
THRESHOLDS = [RULES[0].detection.thresholds_ppm[one] for one in CATEGORIES]


def said(text, **more):
    return {
        one.category for one in packaged().suspect(AdContent(ad_id="a", text=text, **more), RULES)
    }


@pytest.fixture(scope="module")
def examples():
    return parse_examples(packaged_examples())


def test_there_are_examples_enough_and_most_negatives_are_hard(examples):
    assert len(examples) >= 600
    texts = [one.content.text for one in examples]
    assert len(set(texts)) == len(texts)
    negatives = [one.content.text.lower() for one in examples if not one.labels]
    words = ("hous", "home", "job", "hir", "credit", "card", "rent", "loan", "bank", "apartment",
             "work", "career", "room", "apply", "interest", "mortgage")  # fmt: skip
    hard = sum(any(word in text for word in words) for text in negatives)
    assert len(negatives) >= 250
    assert hard >= 100
    for category in CATEGORIES:
        assert sum(category in one.labels for one in examples) >= 80


def test_it_finds_most_of_what_it_never_saw_and_holds_little_else(examples, capsys):
    """On examples held out, a third of whose negatives were written to mislead it."""
    seen = [one for one in examples if not one.is_held_out]
    unseen = [one for one in examples if one.is_held_out]
    assert len(unseen) >= 150
    judged = judge(Detector(train(seen)), unseen, THRESHOLDS)
    with capsys.disabled():
        for one in judged:
            print(
                f"\n{one.category}: precision {one.precision:.2f}, recall {one.recall:.2f}", end=""
            )
    by = {one.category: one for one in judged}
    assert by[ANY].precision >= 0.85
    assert by[ANY].recall >= 0.78
    for category in CATEGORIES:
        assert by[category].precision >= 0.75
        assert by[category].recall >= 0.70


def test_the_packaged_weights_are_those_that_training_gives(examples):
    kept = (files("ringwork.fairness") / "presets" / "detector" / "weights.msgpack").read_bytes()
    assert msgspec.msgpack.encode(train(examples, version=packaged_version())) == kept


@pytest.mark.parametrize(
    "text",
    ["credit card holder wallets", "House music all night", "Jobs page of a game",
     "A wall in an afternoon", "Rent a car at the airport", "Save 20% on shoes", ""],
)  # fmt: skip
def test_what_only_sounds_like_it_is_not_held(text):
    assert said(text) == set()


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("Two-bedroom apartments for rent, move in today", "HOUSING"),
        ("NOW HIRING nurses! Apply today", "EMPLOYMENT"),
        ("N0W H1RING drivers, apply t0day", "EMPLOYMENT"),
        ("Personal loans with low APR", "CREDIT"),
        ("per\u00adsonal lo\u200bans with low APR", "CREDIT"),
    ],
)
def test_what_it_plainly_is_is_held_however_it_is_written(text, category):
    assert category in said(text)


def test_a_suspicion_says_its_score_threshold_and_what_counted():
    content = AdContent(ad_id="a", text="Apartments for rent downtown, now leasing")
    (one,) = packaged().suspect(content, RULES)
    assert one.category == "HOUSING"
    assert one.threshold_ppm == THRESHOLDS[0] <= one.score_ppm <= 10**6
    assert any("apartments" in name for name in one.features)


@given(st.text(max_size=300), st.text(max_size=60))
def test_any_text_has_scores_between_nothing_and_one(text, title):
    scores = packaged().scores_ppm(AdContent(ad_id="a", text=text, landing_title=title))
    assert len(scores) == 3
    assert all(0 <= one <= 10**6 for one in scores)


def test_a_long_text_is_looked_at_as_far_as_it_has_said_what_it_is():
    content = AdContent(ad_id="a", text="homes for sale " * 10_000)
    assert len(folded(content.text)) <= 2_000
    assert packaged().scores_ppm(content)[0] >= THRESHOLDS[0]


def test_blocks_of_features_weigh_the_same_however_many_they_are():
    for text in ("one", "one two three four five six"):
        found = Features(AdContent(ad_id="a", text=text)).found
        letters = sum(value**2 for value, name in found.values() if name.startswith("letters"))
        assert letters == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize(("x", "expected"), [(0.0, 0.5), (1.0, 0.7310585786), (-3.0, 0.0474258732)])
def test_the_sigmoid_is_the_textbook_one(x, expected):
    assert sigmoid(x) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"\xff", 1),
        (b"", 1),
        (b"label\ttext\n", 1),
        (b"labels\ttext\tlanding_title\tcategory\nHOUSING\tx\n", 2),
        (b"labels\ttext\tlanding_title\tcategory\nnone\tx\t\t\nPETS\tx\t\t\n", 3),
    ],
)
def test_examples_that_cannot_be_read_say_the_line(text, line):
    with pytest.raises(Invalid, match=f"line {line}"):
        parse_examples(text)


def test_weights_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=str(BUCKETS)):
        Detector(Weights(version="", biases=(0.0,), columns=(b"1",)))
