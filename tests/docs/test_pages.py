"""The reference is complete and written from the code; the tutorial runs as it is printed."""

import contextlib
import csv
import os
import re
import signal
import subprocess
from pathlib import Path

import msgspec

from docs import generate
from ringwork.ads.http import SLUGS as ADS_SLUGS
from ringwork.ads.http_reports import SLUGS as REPORT_SLUGS
from ringwork.app.ledger_http import SLUGS as LEDGER_SLUGS
from ringwork.app.memory import EVENTS
from ringwork.app.settings import Settings
from ringwork.cli.consent_subscriptions import _loaded
from ringwork.consent.choice.http import SLUGS as CHOICE_SLUGS
from ringwork.consent.http import SLUGS as CONSENT_SLUGS
from ringwork.consent.subscriptions import Plan, PlanPrice
from ringwork.consent.subscriptions.http import SLUGS as SUBSCRIPTION_SLUGS
from ringwork.consent.subscriptions.requests import NewSubscription
from ringwork.fairness.slugs import SLUGS as FAIRNESS_SLUGS
from ringwork.gate.slugs import SLUGS as GATE_SLUGS
from ringwork.kernel.config import load
from ringwork.kernel.setting import settings_of
from ringwork.web.metrics import NAMES
from ringwork.web.problems import SLUGS
from tests.crash.server import free_port

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def test_every_endpoint_event_setting_metric_slug_and_command_is_in_the_reference() -> None:
    endpoints = [
        f"`{method.upper()} {path}`"
        for path, operations in generate.document()["paths"].items()
        for method in operations
        if method in generate.METHODS
    ]
    expected = {
        "http": endpoints,
        "events": [f"## `{event.TYPE}`" for event in EVENTS],
        "settings": [f"`{one.key}`" for one in settings_of(Settings)],
        "metrics": [f"`{name}`" for name in NAMES],
        "problems": [
            f"`{slug}`"
            for slug in {
                **SLUGS,
                **LEDGER_SLUGS,
                **ADS_SLUGS,
                **CONSENT_SLUGS,
                **FAIRNESS_SLUGS,
                **GATE_SLUGS,
                **CHOICE_SLUGS,
                **SUBSCRIPTION_SLUGS,
            }
        ],
        "cli": [f"`ringwork {name}`" for name in generate.command_texts()],
    }
    for page, names in expected.items():
        text = (DOCS / "reference" / f"{page}.md").read_text()
        missing = [name for name in names if name not in text]
        assert missing == [], f"{page}.md: run make docs"
        assert len(names) >= 5


def test_the_pages_are_those_that_the_code_writes() -> None:
    for name, write in generate.PAGES.items():
        assert (DOCS / name).read_text() == write(), f"{name}: run make docs"


def test_the_settings_that_a_page_shows_are_settings() -> None:
    page = (DOCS / "how-to" / "run-as-an-exchange.md").read_text()
    found, in_dollars = (
        load(Settings, toml=toml, toml_name="page", environment={}, flags={}).settings
        for toml in re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    )
    rates, (dollars,) = in_dollars.exchange.table(), in_dollars.exchange.bidders
    assert rates.units.keys() == {dollars.currency}
    (bidder,) = found.exchange.bidders
    assert (bidder.id, bidder.notice_hosts) == (
        "north-dsp",
        ("bid.north.example", "notice.north.example"),
    )
    assert found.domain == "ads.example.org"


def test_the_page_about_subscriptions_shows_real_settings_and_prices(tmp_path: Path) -> None:
    page = (DOCS / "how-to" / "sell-subscriptions.md").read_text()
    prices, own = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    found = load(Settings, toml=own, toml_name="page", environment={}, flags={}).settings
    assert found.subscriptions.webhook_tolerance_s == 300
    (tmp_path / "prices.toml").write_text(prices)
    loaded = {noun: bodies for noun, _, bodies in _loaded(tmp_path / "prices.toml")}
    (price,) = (msgspec.convert(body, PlanPrice) for body in loaded["prices"])
    (plan,) = (msgspec.convert(body, Plan) for body in loaded["plans"])
    assert (plan.id, price.price_nanos, price.notice_days) == (price.plan, 5_990_000_000, 30)
    (body,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    assert msgspec.json.decode(body, type=NewSubscription).plan == plan.id


def test_the_slugs_in_the_code_are_all_documented() -> None:
    known = {
        *SLUGS,
        *LEDGER_SLUGS,
        *ADS_SLUGS,
        *REPORT_SLUGS,
        *CONSENT_SLUGS,
        *FAIRNESS_SLUGS,
        *GATE_SLUGS,
        *CHOICE_SLUGS,
        *SUBSCRIPTION_SLUGS,
    }
    raised: set[str] = set()
    for path in (ROOT / "src" / "ringwork").rglob("*.py"):
        text = path.read_text()
        for pattern in (
            r'\b(?:Conflict|Refused|Unavailable)\(\s*"([a-z/-]+)"',
            r'slug = "([a-z/-]+)"',
        ):
            raised |= set(re.findall(pattern, text))
    assert raised - known == set()


def test_no_link_inside_the_docs_is_broken() -> None:
    broken = []
    for page in [*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "SECURITY.md"]:
        if "_build" in page.parts:
            continue
        targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        broken += [(page.name, one) for one in targets if not (page.parent / one).exists()]
    assert broken == []


def commands_of(page: Path) -> str:
    return "\n".join(re.findall(r"^```bash\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL))


TUTORIAL = DOCS / "tutorial" / "first-ad.md"
STOP = "kill $SERVER; wait $SERVER\n"


def run_as_printed(script: str, tmp_path: Path) -> str:
    """What the commands of a page print."""
    # Pages say `ringwork`, as whoever has activated the environment types it.
    script = f"PATH={ROOT / '.venv' / 'bin'}:$PATH\n" + script.replace("8090", str(free_port()))
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    run = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", script],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path, start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = run.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
    assert run.returncode == 0, output
    return output


def test_the_tutorial_runs_as_printed(tmp_path: Path) -> None:
    output = run_as_printed(commands_of(TUTORIAL), tmp_path)
    assert '"nanos":999500000' in output, "one impression at the floor was billed"
    assert "impression_billed" in output
    assert output.count("holds") == 9


def test_the_page_about_reports_runs_as_printed_after_it(tmp_path: Path) -> None:
    tutorial = commands_of(TUTORIAL)
    assert tutorial.endswith(STOP)
    page = commands_of(DOCS / "how-to" / "report-and-bill.md")
    output = run_as_printed(f"{tutorial.removesuffix(STOP)}{page}{STOP}", tmp_path)
    assert "ads.example" not in output, "nothing is set, so the host names the platform"
    assert "127.0.0.1, diario, DIRECT" in output
    assert '"seller_id":"diario"' in output
    with (tmp_path / "by-campaign.csv").open(newline="") as file:
        heads, row, totals = csv.reader(file)
    assert heads == ["campaign", "day", "impressions", "clicks", "ctr", "spend_nanos"]
    assert (row[0], row[2], row[5], totals[5]) == ("autumn", "1", "500000", "500000")


def test_the_page_about_the_gate_runs_as_printed(tmp_path: Path) -> None:
    output = run_as_printed(commands_of(DOCS / "how-to" / "gate-in-front.md"), tmp_path)
    assert output.count('"action":"allow"') == 3
    assert output.count('"action":"block"') == 1
    assert output.split()[-4:] == ["204", "204", "204", "403"]


def test_the_page_about_fairness_alone_runs_as_printed(tmp_path: Path) -> None:
    output = run_as_printed(
        commands_of(DOCS / "how-to" / "fairness-beside-your-auction.md"), tmp_path
    )
    assert '{"described":1000,"total":4000}' in output
    assert re.search(r'"counted":(\d+),"repeated":0,.*\n.*"counted":0,"repeated":\1,', output)
    assert re.findall(r'"kind": "(pair|direct)"', output).count("pair") >= 1
    assert '"shift_nanos":0,' in output, "nothing was known before"
    steered = re.findall(r'"shift_nanos":(-?\d+),"is_left_alone":(\w+)', output)[-2:]
    assert all(shift != "0" or left_alone == "true" for shift, left_alone in steered)
    assert "SOUND" in output
    assert '"rule":"us/gender"' in output
    assert '"is_flagged":true' in output
    assert output.count("holds") == 9
