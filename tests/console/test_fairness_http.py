"""The pages of fairness over HTTP: files, forms, who may do what, and bad input."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import httpx
import pytest

from ringwork.app.compose import create
from ringwork.app.settings import Settings
from ringwork.fairness.audit import audited
from ringwork.fairness.recompute import Recomputation
from ringwork.fairness.rendering import differences
from ringwork.fairness.report import document_of
from ringwork.kernel.entropy import SeededEntropy
from tests.console import fair as f
from tests.console.test_forms import Person
from tests.console.town import Town

AD = "/console/fairness/ad?id=ad-1"
SEND = "/console/fairness/override"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A platform whose own audit log holds nine days of three ads."""
    with Town(tmp_path_factory.mktemp("town") / "data").serving() as running:
        running.do(f.told(running, f.flight_log().content))
        yield running


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A platform without an audit log."""
    with Town(tmp_path_factory.mktemp("bare") / "data").serving() as running:
        yield running


def test_every_page_is_there_for_who_may_see_the_console(town: Town) -> None:
    for role in ("admin", "auditor", "manager"):
        visitor = Person(town, role)
        page = visitor.open("/console/fairness")
        assert "Variance per ad" in page
        assert 'href="/console/fairness" aria-current="page"' in page
        assert "Variance over its releases" in visitor.open(AD)
        assert "Newest records" in visitor.open("/console/fairness/log")
    nobody = httpx.get(f"{town.url}/console/fairness", headers={"accept": "text/html"})
    assert nobody.headers["location"] == "/console/sign-in"


def log_of(town: Town) -> bytes:
    """The file in the data directory, which the platform has written beside its events."""
    assert town.platform.fairness is not None
    return town.platform.fairness.file.path.read_bytes()


def test_the_three_files_are_the_report_audited_anew(town: Town) -> None:
    auditor = Person(town, "auditor")
    found = {
        suffix: auditor.http.get(f"/console/fairness/report.{suffix}")
        for suffix in ("html", "json", "csv")
    }
    for suffix, answer in found.items():
        assert answer.status_code == 200
        assert f'filename="fairness-report.{suffix}"' in answer.headers["content-disposition"]
    audit = audited(io.BytesIO(log_of(town)))
    assert audit.found.word == "sound"
    assert differences(found["json"].content, document_of(audit)) == []
    rows = list(csv.DictReader(io.StringIO(found["csv"].text)))
    assert {row["ad"] for row in rows} == {"ad-0", "ad-1", "ad-2"}
    assert "De-attenuated" in found["html"].text


def test_a_pause_needs_a_reason_and_stands_in_the_log(town: Town) -> None:
    reviewer = Person(town, "reviewer")
    page = reviewer.open(AD)
    wrong = reviewer.send(SEND, {"reason": "  ", "action": "pause"}, page=page)
    assert wrong.status_code == 422
    assert "A reason is needed" in wrong.text
    page = reviewer.open(AD)
    done = reviewer.send(SEND, {"reason": "complaint <18>", "action": "pause"}, page=page)
    assert done.status_code == 303, done.text
    after = reviewer.open(done.headers["location"].partition("#")[0])
    assert "It is paused: no shift from the next auction on" in after
    assert "complaint &lt;18&gt;" in after
    body = reviewer.http.get(f"{AD}&format=json").json()["data"]
    assert body["overrides"][0]["action"] == "pause"
    assert body["overrides"][0]["who"] == "console"
    assert body["state"] == "paused: no shift"
    report = reviewer.http.get("/console/fairness/report.json").json()
    assert report["interventions"][-1]["reason"] == "complaint <18>"
    assert report["verdict"] == "sound"


def test_shifts_are_set_exactly_or_refused_with_what_was_typed(town: Town) -> None:
    admin = Person(town)
    page = admin.open(AD)
    sent = {"reason": "by order", "action": "set", "lambda-0": "much", "lambda-5": "-0.25"}
    wrong = admin.send(SEND, sent, page=page)
    assert wrong.status_code == 422
    assert 'id="lambda-0-fault"' in wrong.text
    assert 'value="-0.25"' in wrong.text
    assert "by order" in wrong.text
    done = admin.send(SEND, {**sent, "lambda-0": "0.0125"}, page=admin.open(AD))
    assert done.status_code == 303, done.text
    body = admin.http.get(f"{AD}&format=json").json()["data"]
    shifts = body["overrides"][0]["shifts"].split(", ")
    assert [one["label"] for one in body["inputs"]][:2] == ["sex: female", "sex: male"]
    assert len(shifts) == 6
    assert shifts[0] == "+0.012\N{NARROW NO-BREAK SPACE}500"
    assert shifts[5] == "\N{MINUS SIGN}0.250\N{NARROW NO-BREAK SPACE}000"


def test_one_form_is_one_decision(town: Town) -> None:
    admin = Person(town)
    page = admin.open(AD)
    count = len(admin.http.get(f"{AD}&format=json").json()["data"]["overrides"])
    for _ in range(2):
        sent = admin.send(SEND, {"reason": "again", "action": "resume"}, page=page)
        assert sent.status_code == 303
    body = admin.http.get(f"{AD}&format=json").json()["data"]
    assert len(body["overrides"]) == count + 1
    changed = admin.send(SEND, {"reason": "other", "action": "resume"}, page=page)
    assert changed.status_code == 409
    assert "sent before, with other values" in changed.text


def test_who_may_not_approve_may_not_override(town: Town) -> None:
    assert Person(town, "viewer").http.get("/console/fairness").status_code == 403
    assert 'href="/console/fairness"' not in Person(town, "viewer").open("/console/")
    for role in ("finance", "auditor", "manager"):
        visitor = Person(town, role)
        assert SEND not in visitor.open(AD)
        answer = visitor.http.post(SEND, data={"ad": "ad-1", "action": "pause", "reason": "x"})
        assert answer.status_code == 403
    forged = Person(town).http.post(SEND, data={"ad": "ad-1", "action": "pause", "reason": "x"})
    assert forged.status_code == 403


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/console/fairness?attribute=shoe", 422),
        ("/console/fairness?by=money", 422),
        ("/console/fairness?sort=colour", 422),
        ("/console/fairness?page=0", 422),
        ("/console/fairness?page=1001", 422),
        ("/console/fairness/ad", 404),
        ("/console/fairness/ad?id=" + "x" * 300, 422),
        ("/console/fairness/ad?id=%3Cscript%3E", 404),
        ("/console/fairness/report.xml", 404),
    ],
)
def test_bad_input_is_refused_and_never_a_bug(town: Town, address: str, status: int) -> None:
    answer = Person(town).http.get(address)
    assert answer.status_code == status
    assert "<script>" not in answer.text


def test_an_action_that_no_form_has_is_refused(town: Town) -> None:
    visitor = Person(town)
    page = visitor.open(AD)
    for typed, status in (
        ({"action": "explode"}, 422),
        ({"action": "pause", "ad": "nobody"}, 404),
        ({"action": "pause", "reason": "x" * 2001}, 422),
    ):
        answer = visitor.send(SEND, {"reason": "x", **typed}, page=page)
        assert answer.status_code == status


def test_without_an_audit_log_the_pages_say_what_to_do(bare: Town) -> None:
    visitor = Person(bare)
    assert "No housing, employment or credit ad yet" in visitor.open("/console/fairness")
    assert "No log yet" in visitor.open("/console/fairness/log")
    assert visitor.http.get("/console/fairness/report.json").status_code == 404
    assert visitor.http.get("/console/fairness/ad?id=a").status_code == 404


def test_a_figure_is_recomputed_by_who_has_the_log_alone(town: Town) -> None:
    """The state of the page and one that is folded anew from the log agree."""
    stated = Person(town).http.get(f"{AD}&format=json").json()["data"]["now"]
    state: Recomputation = audited(io.BytesIO(log_of(town))).state
    race = state.computed("ad-1", "race")
    shown = next(one for one in stated if one["attribute"].startswith("race"))
    assert race.proxy_ppb is not None
    assert shown["figure"]["proxy"] == f"{100 * race.proxy_ppb / 1e9:.1f}"


def test_an_override_is_in_the_platform_s_log_and_survives_a_new_start(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    data = tmp_path_factory.mktemp("again") / "data"
    with Town(data).serving() as first:
        first.do(f.told(first, f.flight_log().content))
        admin = Person(first)
        sent = admin.send(SEND, {"reason": "kept", "action": "pause"}, page=admin.open(AD))
        assert sent.status_code == 303
        assert first.platform.memory.fairness.flights.ads["ad-1"].override is not None
        before = admin.http.get(f"{AD}&format=json").json()["data"]
        first.do(first.caught_up())
    again = create(Settings(data=str(data)), clock=first.clock, entropy=SeededEntropy("again"))
    log = again.platform.memory.fairness.log
    assert log.chronicle.overrides("ad-1")[0][1].reason == "kept"
    assert len(log.chronicle.figures("ad-1", "race")) == len(before["histories"][0]["rows"])
    assert log.chronicle.head is not None
    assert log.chronicle.head.hash == log.hash


def test_a_log_that_is_too_long_for_a_server_names_the_command(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ringwork.app.fairness.AUDIT_RECORDS_MAX", 5)
    address = "/console/fairness/report.json"
    answer = Person(town).http.get(address, headers={"accept": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["type"].endswith("log-too-long")
    assert "ringwork fairness report fairness.jsonl" in answer.json()["detail"]
