"""The staged audit log: somebody else's bytes, chain and figures."""

import io
import json
import subprocess
import sys
from pathlib import Path

from ringwork.fairness.audit import audited
from ringwork.fairness.log import canonical
from ringwork.fairness.records import body_to_write, wire_of
from ringwork.fairness.rendering import to_csv, to_html
from ringwork.fairness.report import document_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "fairness_audit.py"


def test_the_sample_is_sound_and_what_cannot_be_recomputed_is_counted(staged_data: Path) -> None:
    log = (staged_data / "fairness/log/sample.jsonl").read_bytes()
    found = audited(io.BytesIO(log)).found
    assert (found.word, found.findings, found.unsigned) == ("sound", [], 0)
    # 40 ads by sex and race; the de-attenuated figures are twice the proxy, without a model.
    assert (found.figures, found.figures_unverifiable, found.coverage_rows) == (80, 40, 12)
    for line in log.splitlines():
        record = json.loads(line)
        body = body_to_write(record["kind"], record["body"])
        assert canonical(wire_of(body)) == canonical(record["body"])


def test_its_report_marks_what_is_only_stated(staged_data: Path) -> None:
    log = (staged_data / "fairness/log/sample.jsonl").read_bytes()
    document = document_of(audited(io.BytesIO(log)))
    page = to_html(document)
    assert page.count("<small>as stated</small>") == 40
    assert "Of 40 figures the de-attenuated half cannot be recomputed" in page
    assert (
        to_csv(document).count(",false,undecided,false,")
        + to_csv(document).count(",false,inside,false,")
        + to_csv(document).count(",false,outside,false,")
        == 40
    )


def test_the_script_without_our_imports_reads_it_too(staged_data: Path) -> None:
    log = (staged_data / "fairness/log/sample.jsonl").read_bytes()
    done = subprocess.run(
        [sys.executable, "-I", str(EXAMPLE)], input=log, capture_output=True, check=True
    )
    report = next(one for one in map(json.loads, log.splitlines()) if one["kind"] == "report")
    assert [json.loads(line) for line in done.stdout.splitlines()] == report["body"]["coverage"]
