"""The compliance report and the technical documentation: pairs everywhere, nothing that runs."""

import csv
import hashlib
import io
import json
import random
import re
import zipfile
from collections.abc import Iterator
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from msgspec import UNSET, structs
from playwright.sync_api import Browser, sync_playwright

from ringwork.fairness.audit import SOUND, Auditor, audited
from ringwork.fairness.dossier import archive_of, bundle, changes, provider_of, risks
from ringwork.fairness.records import Ad, Eligible, Override, Tables
from ringwork.fairness.rendering import COLUMNS, answer_of, differences, to_csv, to_html, to_json
from ringwork.fairness.report import document_of
from ringwork.kernel.errors import Refused
from tests.fairness.logs import RACE_MIX, START_US, ad, begun, budget, made, model, plan, release

LOG = made(6, episodes=2)
DOCUMENT = document_of(audited(io.BytesIO(LOG)))
PAGE = to_html(DOCUMENT)
HOSTILE = "=cmd|' /C calc'!A0<script>alert(1)</script>"


def hostile() -> Auditor:
    """An ad whose owner would run code in a browser or a spreadsheet."""
    file = io.BytesIO()
    trail = begun(file)
    shares = {
        "sex": Eligible(shares_ppb=(510_000_000, 490_000_000)),
        "race": Eligible(shares_ppb=RACE_MIX),
    }
    trail.record(Ad(ad=HOSTILE, advertiser="+1", category="CREDIT", eligible=shares), time_us=1)
    trail.record(budget(HOSTILE), time_us=1)
    trail.record(release(HOSTILE, 1, 500, random.Random(1)), time_us=1)
    trail.figures(HOSTILE, time_us=1)
    pause = Override(ad=HOSTILE, action="pause", who="<b>", reason="<img src=x onerror=alert(1)>")
    trail.record(pause, time_us=1)
    trail.report(time_us=1)
    return audited(io.BytesIO(file.getvalue()))


def test_the_releases_that_are_left_are_those_of_the_newest_segment() -> None:
    """Two of three are made in each of two segments, which share one budget: not four of three."""
    file, rng = io.BytesIO(), random.Random(1)
    trail = begun(file)
    for segment in (0, 1):
        trail.record(ad("ad", segment), time_us=1)
        trail.record(structs.replace(budget("ad"), events=3), time_us=1)
        for episode in (1, 2):
            trail.record(release("ad", 2 * segment + episode, 50 * episode, rng), time_us=1)
    trail.report(time_us=1)
    (row,) = document_of(audited(io.BytesIO(file.getvalue()))).privacy
    assert (row.releases, row.releases_max, row.is_spent) == (2, 3, False)


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


# ---- the pair -------------------------------------------------------------------------------------
def test_every_figure_of_race_is_the_pair_with_its_interval_in_every_form() -> None:
    rows = [row for row in rows_of(to_csv(DOCUMENT)) if row["attribute"] == "race"]
    assert len(rows) == 6
    for row in rows:
        assert row["direct_ppb"] == ""
        for column in ("proxy_ppb", "deattenuated_ppb", "interval_low_ppb", "interval_high_ppb"):
            assert row[column].isdecimal()
    for figure in json.loads(to_json(DOCUMENT))["figures"]:
        pair = figure["proxy_ppb"], figure["deattenuated_ppb"], figure["interval"]
        assert (None in pair) == (figure["attribute"] != "race")
    section = PAGE.split("Variance by race, per ad")[1].split("</section>")[0]
    assert section.count('class="hollow"') == section.count('class="dot"') == 6 + 1  # and the key


def test_the_answer_says_race_by_two_numbers() -> None:
    answer = answer_of(DOCUMENT)
    assert re.search(
        r"between [0-9.]+ % \(proxy\) and [0-9.]+ % \(de-attenuated; .*\) by race", answer
    )
    assert answer in PAGE


def test_the_figures_are_those_of_the_log() -> None:
    stated = {}
    for line in LOG.splitlines():
        record = json.loads(line)
        if record["kind"] == "figure":
            body = record["body"]
            stated[body["ad"], body["attribute"], body.get("by", "impressions")] = body
    rows = rows_of(to_csv(DOCUMENT))
    assert len(rows) == len(stated)
    for row in rows:
        body = stated[row["ad"], row["attribute"], row["counted_by"]]
        assert (row["proxy_ppb"] or row["direct_ppb"]) == str(body["proxy_ppb"])
        assert row["deattenuated_ppb"] == str(body.get("deattenuated_ppb", ""))


def test_equal_logs_give_equal_bytes() -> None:
    again = document_of(audited(io.BytesIO(LOG)))
    assert (to_html(again), to_json(again), to_csv(again)) == (
        PAGE,
        to_json(DOCUMENT),
        to_csv(DOCUMENT),
    )


# ---- what must be said ----------------------------------------------------------------------------
def test_demo_tables_and_test_noise_are_said_first_and_both_hashes_stand() -> None:
    file = io.BytesIO()
    trail = begun(file)
    trail.record(Tables(name="census", sha256="cd" * 32, rows=3, demo_tables=False), time_us=1)
    trail.writer.checkpoint(time_us=1)
    page = to_html(document_of(audited(io.BytesIO(file.getvalue()))))
    for told in ("Demo tables.", "Test noise.", "ab" * 32, "cd" * 32):
        assert told in page


def test_excluded_ads_and_interventions_are_in_the_report() -> None:
    small = [one for one in DOCUMENT.figures if one.is_excluded]
    assert DOCUMENT.excluded.ads == len({one.ad for one in small})
    assert "In no row, since below the smallest minimum" in PAGE
    assert "complaint 17 is looked into" in PAGE


def test_an_empty_period_says_so() -> None:
    file = io.BytesIO()
    trail = begun(file)
    trail.record(ad("a"), time_us=1)
    trail.report(time_us=1)
    document = document_of(audited(io.BytesIO(file.getvalue())))
    assert answer_of(document) == "No ad had 300 impressions, so there is no coverage to report."
    assert "holds no budget records" in to_html(document)


# ---- hostile names --------------------------------------------------------------------------------
def test_no_name_becomes_markup() -> None:
    page = to_html(document_of(hostile()))
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page


def test_no_name_becomes_a_formula() -> None:
    for row in rows_of(to_csv(document_of(hostile()))):
        assert row["ad"] == f"'{HOSTILE}"
        assert row["advertiser"] == "'+1"


class Loads(HTMLParser):
    """What a page would fetch or run."""

    found: list[str]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if tag in ("script", "link", "img", "iframe", "object", "embed"):
            self.found.append(tag)
        self.found += [name for name in names if name.startswith("on") or name in ("src", "href")]


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    files = bundle(audited(io.BytesIO(LOG)), provider=None, log_bytes=LOG)
    for name in ("report.html", "technical-documentation.html"):
        parser = Loads()
        parser.found = []
        parser.feed(files[name].decode())
        assert parser.found == []
        assert b"url(" not in files[name]


# ---- held against what was published --------------------------------------------------------------
def test_a_published_report_is_held_against_the_log() -> None:
    text = to_json(DOCUMENT)
    assert differences(text.encode(), DOCUMENT) == []
    published = json.loads(text)
    published["coverage"][0]["within"] += 1
    published["figures"][1]["deattenuated_ppb"] = 0
    del published["excluded"]
    told = "\n".join(differences(json.dumps(published).encode(), DOCUMENT))
    for pointer in ("/coverage/0/within", "/figures/1/deattenuated_ppb", "/excluded"):
        assert pointer in told


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"format":"other"}', b"\xff"])
def test_what_is_no_report_is_told(text: bytes) -> None:
    assert len(differences(text, DOCUMENT)) == 1


# ---- technical documentation ----------------------------------------------------------------------
def test_the_bundle_is_whole_and_its_hashes_hold() -> None:
    auditor = audited(io.BytesIO(LOG))
    files = bundle(auditor, provider=None, log_bytes=LOG)
    archive = archive_of(files)
    assert archive_of(bundle(audited(io.BytesIO(LOG)), provider=None, log_bytes=LOG)) == archive
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        sums = dict(
            reversed(line.split("  ")) for line in opened.read("SHA256SUMS").decode().splitlines()
        )
        assert sums.keys() == set(opened.namelist()) - {"SHA256SUMS"}
        for name, digest in sums.items():
            assert hashlib.sha256(opened.read(name)).hexdigest() == digest
        assert opened.read("fairness.jsonl") == LOG


def test_the_documentation_has_the_headings_of_annex_iv_and_says_what_is_open() -> None:
    files = bundle(audited(io.BytesIO(LOG)), provider=None, log_bytes=LOG)
    page = files["technical-documentation.html"].decode()
    for heading in (
        "1. General description", "2. How it was made, and its data", "human oversight",
        "4. Metrics", "5. Risk management", "6. Changes", "7. Standards", "Logs (Articles 12 and 19)",
    ):  # fmt: skip
        assert heading in page
    assert page.count('class="open"') == 7
    for risk in risks():
        assert risk.id in page


def test_what_the_provider_says_takes_the_place_of_what_was_open() -> None:
    given = provider_of(b"name: Casa Ltd\ncontact: a@casa.example\n", where="p.yaml")
    files = bundle(audited(io.BytesIO(LOG)), provider=given, log_bytes=LOG)
    page = files["technical-documentation.html"].decode()
    assert "Casa Ltd" in page
    assert page.count('class="open"') == 5


@pytest.mark.parametrize("text", [b"name: [", b"who: x", b"name: 3", b"- x"])
def test_a_wrong_provider_file_is_told_with_its_name(text: bytes) -> None:
    with pytest.raises(Refused, match=r"p\.yaml"):
        provider_of(text, where="p.yaml")


def test_the_register_and_the_history_hold_together() -> None:
    ids = [one.id for one in risks()]
    assert len(set(ids)) == len(ids)
    days = [one.date for one in changes()]
    assert days == sorted(days, reverse=True)
    assert all(isinstance(day, date) for day in days)
    for change in changes():
        assert set(change.risks) <= set(ids)


# ---- in a browser ---------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["report.html", "technical-documentation.html"])
def test_the_page_is_readable_by_all_and_fits_a_narrow_screen(
    browser: Browser, tmp_path: Path, scheme: str, name: str
) -> None:
    files = bundle(hostile(), provider=None, log_bytes=LOG)
    (tmp_path / name).write_bytes(files[name])
    page = browser.new_page(viewport={"width": 320, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto((tmp_path / name).as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    page.set_viewport_size({"width": 1280, "height": 900})
    violations = Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in violations] == []
    page.close()
    assert set(COLUMNS) >= {"proxy_ppb", "deattenuated_ppb"}


def with_noise(noise_ppb: int, epsilon_micro: int) -> Auditor:
    """A log of one ad whose eligible shares have noise."""
    file = io.BytesIO()
    trail = begun(file)
    told = structs.replace(
        plan(), period="2026-2", eligible_epsilon_micro=epsilon_micro, eligible_window_days=30
    )
    one = ad("a")
    eligible = {
        name: structs.replace(mix, noise_ppb=noise_ppb) for name, mix in one.eligible.items()
    }
    bodies = (
        told,
        structs.replace(one, eligible=eligible),
        budget("a"),
        release("a", 1, 1000, random.Random(3)),
    )
    for number, body in enumerate(bodies):
        trail.record(body, time_us=START_US + 5 + number)
    trail.figures("a", time_us=START_US + 9)
    trail.report(time_us=START_US + 10)
    file.seek(0)
    auditor = audited(file)
    assert auditor.found.verdict == SOUND, auditor.found.findings
    return auditor


@pytest.mark.parametrize(
    ("epsilon_micro", "changes", "says"),
    [
        (472_203, {}, ["epsilon 0.47 (replace)"]),
        (0, {"sums": (), "unit": 0, "sigma": UNSET}, ["race is stated without privacy noise"]),
    ],
)
def test_a_report_says_what_protects_those_whom_the_blur_was_learned_from(
    epsilon_micro, changes, says
):
    file = io.BytesIO()
    trail = begun(file, with_model=False)
    told = structs.replace(plan(), period="2026-2", model_epsilon_micro=epsilon_micro)
    for number, body in enumerate((told, structs.replace(model(), **changes))):
        trail.record(body, time_us=START_US + 5 + number)
    trail.report(time_us=START_US + 9)
    file.seek(0)
    found = [one for one in document_of(audited(file)).assumptions if "proxy blurs" in one]
    assert [told in one for told, one in zip(says, found, strict=True)] == [True]


def test_a_report_says_what_protects_those_who_were_eligible():
    (noisy,), (exact,) = (
        [one for one in document_of(with_noise(*given)).assumptions if "eligible" in one]
        for given in ((6_000_000, 995_438), (0, 0))
    )
    assert "epsilon 1.00 (replace)" in noisy
    assert "once in 30 days" in noisy
    assert "Of 1 ads who was eligible is stated without privacy noise" in exact
    assert exact in to_html(document_of(with_noise(0, 0))).replace("&#39;", "'")


def test_an_audit_recomputes_intervals_with_the_noise_of_who_was_eligible():
    """A log that leaves it out states other intervals than its audit finds."""
    for attribute in ("sex", "race"):
        narrow, wide = (
            with_noise(noise, 995_438).state.direct("a", attribute) for noise in (0, 20_000_000)
        )
        assert wide[1] - wide[0] > 1.5 * (narrow[1] - narrow[0])
    narrow, wide = (
        with_noise(noise, 995_438).state.figure("a", "race", "impressions")
        for noise in (0, 20_000_000)
    )
    assert narrow.proxy_ppb == wide.proxy_ppb
    assert (
        wide.interval_ppb[1] - wide.interval_ppb[0]
        > narrow.interval_ppb[1] - narrow.interval_ppb[0]
    )
    assert wide.within_ppm != narrow.within_ppm
