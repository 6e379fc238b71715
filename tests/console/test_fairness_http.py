"""The pages of fairness over HTTP: files, forms, who may do what, and bad input."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import httpx
import msgspec
import pytest
from msgspec import Struct

from ringwork.fairness.audit import audited
from ringwork.fairness.recompute import Recomputation
from ringwork.fairness.records import Override
from ringwork.fairness.rendering import differences
from ringwork.fairness.report import Document, document_of
from ringwork.fairness.trail import Trail
from ringwork.kernel.journal import Command
from tests.console import fair as f
from tests.console.test_forms import Person
from tests.console.town import Town
from tests.fairness import logs

AD = "/console/fairness/ad?id=ad-1"
SEND = "/console/fairness/override"


class WrittenLog(f.LogFile):
    """A log that is written to by the real writer, as a platform's is."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._file = io.BytesIO(content)
        self._trail, _ = Trail.resumed(self._file, logs.Signer(logs.SEED))
        self._file.seek(0, io.SEEK_END)

    def override(self, command: Command, wanted: Override) -> Struct:
        self.chronicle.take(self._trail.record(wanted, time_us=command.ts_us), wanted)
        return wanted

    async def document(self) -> Document:
        return document_of(audited(io.BytesIO(self._file.getvalue())))


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    log = WrittenLog(f.flight_log().content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ringwork.app.console.fairness_source", lambda platform: log)
        running = Town(tmp_path_factory.mktemp("town") / "data")
    with running.serving():
        yield running


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A platform without an audit log."""
    with Town(tmp_path_factory.mktemp("bare") / "data").serving() as running:
        yield running


def test_every_page_is_there_for_who_may_see_the_console(town: Town) -> None:
    for role in ("admin", "auditor", "viewer"):
        visitor = Person(town, role)
        page = visitor.open("/console/fairness")
        assert "Variance per ad" in page
        assert 'href="/console/fairness" aria-current="page"' in page
        assert "Variance over its releases" in visitor.open(AD)
        assert "Newest records" in visitor.open("/console/fairness/log")
    nobody = httpx.get(f"{town.url}/console/fairness", headers={"accept": "text/html"})
    assert nobody.headers["location"] == "/console/sign-in"


def test_the_three_files_are_the_report_audited_anew(town: Town) -> None:
    auditor = Person(town, "auditor")
    document = document_of(audited(io.BytesIO(f.flight_log().content)))
    found = {
        suffix: auditor.http.get(f"/console/fairness/report.{suffix}")
        for suffix in ("html", "json", "csv")
    }
    for suffix, answer in found.items():
        assert answer.status_code == 200
        assert f'filename="fairness-report.{suffix}"' in answer.headers["content-disposition"]
    stated = msgspec.json.decode(found["json"].content)
    if stated["head"] == document.head:  # nobody took a controller's place yet
        assert differences(found["json"].content, document) == []
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
    for role in ("viewer", "auditor", "manager"):
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
    state: Recomputation = audited(io.BytesIO(f.flight_log().content)).state
    race = state.computed("ad-1", "race")
    shown = next(one for one in stated if one["attribute"].startswith("race"))
    assert race.proxy_ppb is not None
    assert shown["figure"]["proxy"] == f"{100 * race.proxy_ppb / 1e9:.1f}"
