"""The page about scanning a log runs as printed, and prints what it says."""

import json
import re
from pathlib import Path

from ringwork.gate.analyse.detectors import DETECTORS
from ringwork.gate.analyse.formats import FORMATS
from tests.docs.test_pages import DOCS, commands_of, run_as_printed

PAGE = DOCS / "how-to" / "scan-a-log.md"


def test_the_page_about_scanning_a_log_runs_as_printed(tmp_path: Path) -> None:
    output = run_as_printed(commands_of(PAGE), tmp_path)
    shown = re.findall(r"^```text\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)[0]
    assert [one.split() for one in output.splitlines()] == [
        one.split() for one in shown.splitlines()
    ]
    found = json.loads((tmp_path / "found.json").read_bytes())
    assert [one["verdict"] for one in found["actors"]] == ["challenge", "ok", "ok"]
    assert found["declared_bots"][0]["name"] == "Breadreader"
    assert "192.0.2.66" in (tmp_path / "report.html").read_text()


def test_the_pages_name_every_detector_and_every_format() -> None:
    page = PAGE.read_text()
    assert [one.name for one in DETECTORS if one.name not in page] == ["brute-force-403"]
    assert "`brute-force-401`, `-403`" in page
    formats = (DOCS / "reference" / "log-formats.md").read_text()
    assert [one for one in FORMATS if f"`{one}`" not in formats] == ["auto"]
