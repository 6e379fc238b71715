"""``ringwork fairness check``, ``scan`` and ``detector``: what they say and how they end."""

import json

import msgspec
import pytest

from ringwork.fairness.hec.detect import Detector, Weights
from tests.cli.conftest import ringwork  # noqa: F401  # fixture

TABLE = {
    "attribute": "race", "groups": ["a", "b"], "counts": [[800, 200], [300, 700]],
    "confusion": [[0.8, 0.2], [0.3, 0.7]],
}  # fmt: skip


def written(tmp_path, body):
    (tmp_path / "in.json").write_text(body if isinstance(body, str) else json.dumps(body))
    return "in.json"


def test_a_campaign_with_forbidden_targeting_ends_with_1_and_names_each(ringwork, tmp_path):  # noqa: F811
    body = {
        "id": "c", "special_ad_categories": ["HOUSING"],
        "targeting": {"regions": ["USA-TX"], "genders": ["female"], "audiences": ["interest:483"]},
    }  # fmt: skip
    done = ringwork("fairness", "check", written(tmp_path, body))
    assert done.code == 1
    for text in ("/targeting/genders", "us/gender", "pages about 483", "nearest lawful"):
        assert text in done.out
    (told,) = ringwork("fairness", "check", "in.json", "--json").lines
    assert {one["pointer"] for one in told["violations"]} == {
        "/targeting/genders", "/targeting/audiences/0",
    }  # fmt: skip
    assert told["proposal"]["categories"] == ["483"]


def test_an_undeclared_ad_ends_with_1_and_says_what_counted(ringwork, tmp_path):  # noqa: F811
    body = {"special_ad_categories": [], "ads": [{"id": "a", "text": "Now hiring! Apply today"}]}
    done = ringwork("fairness", "check", written(tmp_path, body))
    assert done.code == 1
    assert "ad a: seems to be for EMPLOYMENT" in done.out
    assert "threshold 0.25" in done.out


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"special_ad_categories": ["CREDIT"]}, "by united-states, canada"),
        ({"special_ad_categories": [], "targeting": {"genders": ["female"]}}, "Nothing"),
        (
            {"special_ad_categories": ["CREDIT"], "targeting": {"regions": ["PRT"]}},
            "no rules, since none are kept",
        ),
    ],
)
def test_what_nothing_stands_against_ends_with_0(ringwork, tmp_path, body, said):  # noqa: F811
    done = ringwork("fairness", "check", written(tmp_path, body))
    assert (done.code, said in done.out) == (0, True)


def test_a_scan_prints_pairs_flags_them_and_says_where_no_proxy_is(ringwork, tmp_path):  # noqa: F811
    body = {**TABLE, "clauses": {"phone": [1, 0], "all": [1, 1]}}
    done = ringwork("fairness", "scan", written(tmp_path, body))
    assert done.code == 1
    for text in ("without", "pair", " to ", "!", "CA: no proxy for race"):
        assert text in done.out
    calm = {**TABLE, "clauses": {"all": [0.5, 0.5]}}
    assert ringwork("fairness", "scan", written(tmp_path, calm)).code == 0
    (told,) = ringwork("fairness", "scan", "in.json", "--json").lines
    assert told["targeting"]["whole"]["distance"] == {"proxy": 0.0, "deattenuated": 0.0}


@pytest.mark.parametrize(
    "case",
    [
        ("check", "{", "truncated"),
        ("check", {}, "special_ad_categories"),
        ("check", {"special_ad_categories": ["PETS"]}, "PETS"),
        ("check", {"special_ad_categories": ["CREDIT"], "targeting": {"places": 1}}, "places"),
        ("scan", {"attribute": "x"}, "groups"),
        ("scan", {**TABLE, "counts": [[1, 2]]}, "/counts"),
    ],
)
def test_what_cannot_be_read_is_told_without_a_traceback(ringwork, tmp_path, case):  # noqa: F811
    command, body, said = case
    done = ringwork("fairness", command, written(tmp_path, body))
    assert done.code not in (0, 1)
    assert said in done.err
    assert "Traceback" not in done.err
    assert ringwork("fairness", command, "missing.json").code == 2


def test_a_detector_of_own_examples_is_judged_and_written(ringwork, tmp_path):  # noqa: F811
    lines = ["labels\ttext\tlanding_title\tcategory"]
    for number in range(40):
        lines.append(f"HOUSING\thomes for sale {number}\t\t")
        lines.append(f"none\tfresh bread {number}\t\t")
    (tmp_path / "own.tsv").write_text("\n".join(lines) + "\n")
    done = ringwork("fairness", "detector", "own.tsv", "--write", "w.msgpack", "--json")
    assert done.code == 0
    assert [one["recall"] for one in done.lines if one["category"] == "HOUSING"] == [1.0]
    kept = (tmp_path / "w.msgpack").read_bytes()
    assert Detector(msgspec.msgpack.decode(kept, type=Weights)).version == "own"
    (tmp_path / "own.tsv").write_text("nothing")
    assert ringwork("fairness", "detector", "own.tsv").code == 2
