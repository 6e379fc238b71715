"""``ringwork fairness serve``: a real server, asked as somebody's auction asks it, killed, gone on with."""

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
import pytest

from ringwork.app.call import call
from ringwork.app.fairness_alone import create
from ringwork.app.fairness_log import FILE_NAME
from ringwork.app.settings import Settings
from ringwork.cli.main import BUSY, USAGE, run
from ringwork.fairness.audit import SOUND, audited
from ringwork.fairness.tables.demo import demo_people
from tests.app.logged import events_of, unbroken
from tests.app.plans import plan_with
from tests.crash.server import Server, is_running

ALONE = ("fairness", "serve")
FEW = {
    "RINGWORK_FAIRNESS__CLUSTERS": "2",
    "RINGWORK_FAIRNESS__CLUSTER_PEOPLE": "100",
    "RINGWORK_FAIRNESS__CLUSTER_SIGMA": "2",
    "RINGWORK_FAIRNESS__AUDIENCE_STILL_S": "0",
}
"""So that a few people are enough to be steered by."""
COUNT = 1000
WOMEN, MEN = 0, 1
WITHIN_S = 60


def people() -> list[dict[str, object]]:
    who = demo_people(7, COUNT)
    return [
        {
            "person": f"u{number}", "surname": str(who.surname[number]),
            "zip": str(who.zip[number]), "sex": ("female", "male")[who.sex[number]],
            "region": "USA-TX",
        }
        for number in range(COUNT)
    ]  # fmt: skip


def until(holds: Callable[[], Any]) -> Any:
    """What it says once it says something."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        found = holds()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it never came true")


def is_steered_by(view: dict, impressions: int) -> bool:
    """Whether the controller has heard of a release of so many impressions."""
    release, control = view["release"], view["control"]
    if release is None or control is None or release["impressions"] != impressions:
        return False
    return control["episode"] == release["episode"]


class Asking:
    """The engineer's side: a server, and clients with the roles that her systems have."""

    def __init__(self, data: Path, command: tuple[str, ...] = ALONE) -> None:
        # A thousand people are too few for noise on how the proxy blurs sex x race.
        plan = {"RINGWORK_FAIRNESS__PLAN": plan_with(data.parent, "12", "model_sigma: null")}
        self.server = Server(data, {**FEW, **plan}, command)
        self.server.start()
        self.http = httpx.Client(base_url=self.server.url, timeout=30)
        settings = Settings(data=str(data))
        self.keys = {
            role: call(settings, "POST", "/v1/keys", {"role": role}).json["token"]
            for role in ("supply", "service", "auditor", "viewer", "privacy")
        }

    def ask(self, role: str, method: str, path: str, body: object = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.keys[role]}"}
        return self.http.request(method, path, json=body, headers=headers)

    def told(self, role: str, path: str, body: object) -> Any:
        answer = self.ask(role, "POST", f"/v1/fairness/{path}", body)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def read(self, path: str) -> Any:
        answer = self.ask("auditor", "GET", f"/v1/fairness/{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def close(self) -> None:
        """End it all; a server that runs still is killed."""
        self.http.close()
        if is_running(self.server.pid):
            self.server.kill()

    def shifts(self, value_nanos: int = 2_700_000) -> list[dict]:
        """By cluster, what would be taken from the ad's value."""
        bids = [{"ad": "home", "value_nanos": value_nanos}, {"ad": "shoes", "value_nanos": 1}]
        return [
            self.told("supply", "adjust", {"cluster": cluster, "candidates": bids})["shifts"][0]
            for cluster in (WOMEN, MEN)
        ]


def auctions(rows: list[dict]) -> Iterator[tuple[dict, dict | None]]:
    """An auction for each person, and the impression where the ad won: women cost more."""
    for number, one in enumerate(rows):
        cluster = MEN if one["sex"] == "male" else WOMEN
        bid = 2_500_000 + number % 5 * 100_000
        rival = 2_400_000 + number % 3 * 100_000 + (1 - cluster) * 300_000
        bids = [{"ad": "home", "value_nanos": bid}, {"ad": "shoes", "value_nanos": rival}]
        shown = {"id": f"i{number}", "ad": "home", "person": one["person"], "cluster": cluster,
                 "time_us": time.time_ns() // 1000, "price_nanos": rival}  # fmt: skip
        yield {"cluster": cluster, "candidates": bids}, shown if bid > rival else None


def begin(asking: Asking, found: SimpleNamespace) -> None:
    """From nothing to an ad that is measured and steered."""
    rows = people()
    found.described = asking.told("service", "people", {"people": rows})
    ad = {"ad": "home", "category": "HOUSING", "advertiser": "casa", "expected_impressions": 2000}
    asking.told("supply", "ads", {**ad, "audience": {"regions": ["USA-TX"]}})
    found.registered = asking.read("ads/home")
    until(lambda: asking.read("ads/home")["segments"])
    found.unsteered = asking.shifts()
    held = []
    for auction, shown in auctions(rows):
        asking.told("supply", "adjust", auction)
        held += [] if shown is None else [shown]
    found.held = held
    found.counted = [
        asking.told("supply", "impressions", {"impressions": batch})
        for batch in (held[:300], held[200:], held)
    ]
    until(lambda: is_steered_by(asking.read("ads/home"), len(held)))
    found.view = asking.read("ads/home")
    found.steered = asking.shifts()
    found.report = asking.read("report")
    found.log = asking.read("log?limit=1000")
    found.page = asking.read("log?after=4&limit=3")


def kill_after_an_answer(asking: Asking, found: SimpleNamespace) -> None:
    """kill -9 as soon as a batch was acknowledged, then the same directory again."""
    found.last = [{**found.held[0], "id": f"late{number}", "person": None} for number in range(7)]
    found.acknowledged = asking.told("supply", "impressions", {"impressions": found.last})
    asking.server.kill()
    asking.server.start()
    found.before_looks = asking.told("supply", "impressions", {"impressions": found.last})
    found.after = until(lambda: asking.read("ads/home"))
    found.log_after = asking.read("log?limit=1000")
    until(lambda: asking.read("ads/home")["control"])


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    data = tmp_path_factory.mktemp("alone") / "data"
    asking = Asking(data)
    found = SimpleNamespace(data=data, asking=asking)
    try:
        begin(asking, found)
        kill_after_an_answer(asking, found)
        yield found
    finally:
        asking.close()


def test_a_registered_ad_is_known_at_once(found):
    assert found.described == {"described": COUNT, "total": COUNT}
    view = found.registered
    assert (view["ad"], view["category"], view["figures"]) == ("home", "HOUSING", [])
    assert view["segments"] or view["unmeasured"]


def test_each_impression_counts_once_whatever_the_batches(found):
    total = len(found.held)
    assert [one["counted"] for one in found.counted] == [300, total - 300, 0]
    assert [one["repeated"] for one in found.counted] == [0, 100, total]
    assert found.view["impressions"] == total


def test_figures_are_pairs_where_the_group_is_estimated(found):
    figures = {one["attribute"]: one for one in found.view["figures"]}
    assert {name: one["kind"] for name, one in figures.items()} == {
        "sex": "direct", "race": "pair", "sex x race": "pair",
    }  # fmt: skip
    race = figures["race"]
    assert race["low"] <= race["deattenuated"] <= race["high"]
    # Of the people who were reached about one in seven is a woman, of the eligible about a half.
    women = sum(one["cluster"] == WOMEN for one in found.held) / len(found.held)
    eligible = sum(one["sex"] == "female" for one in people()) / COUNT
    assert figures["sex"]["value"] == pytest.approx(eligible - women, abs=0.2)
    assert found.view["demo_tables"] is True


def test_an_auction_is_shifted_towards_whom_the_ad_did_not_reach(found):
    assert [one["shift_nanos"] for one in found.unsteered] == [0, 0]
    women, men = found.steered
    left_alone = women["is_left_alone"] or men["is_left_alone"]  # one auction of fifty
    assert left_alone or women["shift_nanos"] < men["shift_nanos"]


def test_the_report_and_a_range_of_the_log_are_what_an_outsider_recomputes(found, tmp_path):
    log, page = found.log, found.page
    assert log["next"] is None
    assert page["lines"] == log["lines"][5:8]
    assert (page["next"], page["records"]) == (7, log["records"])
    auditor = audited(io.BytesIO("".join(log["lines"]).encode()), public_key=log["public_key"])
    assert auditor.found.verdict == SOUND, auditor.found.findings
    assert found.report["verdict"] == "sound"
    assert {one["attribute"] for one in found.report["figures"]} == {"sex", "race", "sex x race"}


def test_a_campaign_is_checked_and_a_targeting_scanned(found):
    targeting = {"regions": ["USA-TX"], "genders": ["female"]}
    asked = {"special_ad_categories": ["HOUSING"], "targeting": targeting}
    (violation,) = found.asking.told("viewer", "check", asked)["violations"]
    assert (violation["rule"], violation["pointer"]) == ("us/gender", "/targeting/genders")
    table = {"attribute": "sex", "groups": ["female", "male"], "counts": [[800, 200], [300, 700]]}
    assert found.asking.told("viewer", "scan", {**table, "clauses": {"x": [1, 0]}})["is_flagged"]
    assert not found.asking.told("viewer", "scan", {**table, "clauses": {"x": [1, 1]}})[
        "is_flagged"
    ]


def test_nothing_that_was_answered_is_lost_by_a_kill(found):
    assert found.acknowledged["counted"] == 7
    assert (found.before_looks["counted"], found.before_looks["repeated"]) == (0, 7)
    assert found.after["impressions"] == len(found.held) + 7
    assert found.after["release"] == found.view["release"], "no noise is drawn again"
    assert found.log_after["lines"][: len(found.log["lines"])] == found.log["lines"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/console/"),
        ("GET", "/ringwork.js"),
        ("GET", "/ads.txt"),
        ("GET", "/v1/campaigns"),
        ("POST", "/v1/ads/request"),
        ("POST", "/openrtb2/auction"),
        ("GET", "/v1/ledger/totals"),
        ("POST", "/v1/consent"),
        ("POST", "/v1/events"),
        ("POST", "/v1/sign-in-links"),
        ("GET", "/v1/subscriptions"),
        ("GET", "/b/token"),
        ("GET", "/v1/fairness/nothing"),
    ],
)
def test_what_belongs_to_other_parts_is_not_there(found, method, path):
    answer = found.asking.http.request(method, path, json={} if method == "POST" else None)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:ringwork:problem:not-found"


def test_the_document_lists_what_is_served_and_nothing_else(found):
    document = found.asking.http.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    common = {
        "/healthz", "/readyz", "/v1/keys", "/v1/keys/{key_id}", "/v1/access", "/v1/erasures",
        "/v1/erasures/{erasure_id}", "/v1/log/events", "/v1/log/stream", "/v1/traces/{request_id}",
    }  # fmt: skip
    own = {
        f"/v1/fairness/{name}"
        for name in (
            "people", "ads", "ads/{ad}", "ads/{ad}/override", "impressions", "adjust", "report",
            "log", "log/rotations", "check", "scan", "rules",
        )
    }  # fmt: skip
    assert document["paths"].keys() == common | own
    wanted = {
        one.rpartition("/")[2] for one in str(document["paths"]).split("'") if "schemas/" in one
    }
    assert wanted <= document["components"]["schemas"].keys()
    assert (
        not {"Campaign", "NewCampaign", "Money", "SignInLink"}
        & document["components"]["schemas"].keys()
    )


def test_metrics_are_of_what_is_there(found):
    found.asking.shifts()
    text = call(Settings(data=str(found.data)), "GET", "/metrics").body.decode()
    assert "ringwork_fairness_ads 1.0" in text
    assert 'ringwork_requests_total{endpoint="/v1/fairness/adjust",status="200"}' in text
    assert "ringwork_events_total" in text
    assert not {"ad_requests", "holds", "bidders", "payments"} & set(text.split("_"))


def test_who_may_do_what_is_as_in_the_platform(found):
    assert found.asking.http.get("/v1/fairness/ads/home").status_code == 401
    assert found.asking.ask("viewer", "GET", "/v1/fairness/ads/home").status_code == 403
    unknown = found.asking.ask("auditor", "GET", "/v1/fairness/ads/none")
    assert unknown.json()["type"] == "urn:ringwork:problem:unknown-ad"


def test_a_person_is_erased_and_the_proof_reads_every_store(found):
    ask = found.asking.ask
    made = ask("privacy", "POST", "/v1/erasures", {"subject": "person/u1"}).json()
    assert made["keys_deleted"] == 1
    proof = ask("privacy", "GET", f"/v1/erasures/{made['id']}").json()
    assert proof["holds"] is True
    assert {one["store"]: one["readable"] for one in proof["searched"]} == {
        "event log": 0, "key store": 0, "projections": 0, "snapshot": 0,
    }  # fmt: skip
    rest = [{"person": "u0", "sex": "female"}]
    assert found.asking.told("service", "people", {"people": rest})["total"] == COUNT - 1


def test_the_key_of_the_log_is_replaced_while_it_serves(found, capsys):
    command = ["fairness", "log", "rotate-key", "--reason", "yearly", "--data", str(found.data)]
    assert run([*command, "--json"]) == 0, capsys.readouterr()
    made = msgspec.json.decode(capsys.readouterr().out)
    page = found.asking.read(f"log?after={made['seq'] - 1}&limit=1000")
    assert msgspec.json.decode(page["lines"][0])["body"]["new_public_key"] == made["public_key"]
    assert page["public_key"] == made["public_key"]
    assert made["previous_public_key"] == found.log["public_key"]
    first = found.log["public_key"]
    auditor = audited(io.BytesIO((found.data / FILE_NAME).read_bytes()), public_key=first)
    assert auditor.found.verdict == SOUND, auditor.found.findings


def test_a_second_server_on_the_directory_names_the_first(found, capsys):
    assert run([*ALONE, "--data", str(found.data)]) == BUSY
    assert f"serves {found.asking.server.url}" in capsys.readouterr().err


def test_the_commands_read_its_directory_and_the_platform_goes_on_with_it(found, capsys):
    """Last of all: it stops the server."""
    asking, file = found.asking, str(found.data / FILE_NAME)
    assert asking.server.terminate() == 0
    for command in (
        ["fairness", "audit", file],
        ["fairness", "budget", file, "home"],
        ["fairness", "report", file, "--format", "json"],
        ["fairness", "log", "head", file],
    ):
        assert run(command) == 0, capsys.readouterr()
    unbroken(found.data)
    kinds = {kind for kind, _ in events_of(found.data)}
    assert {"special_ad_registered", "special_ad_shown", "fairness_sums_released"} <= kinds
    platform = Asking(found.data, ("serve",))
    try:
        view = platform.read("ads/home")
        assert view["release"]["episode"] >= found.view["release"]["episode"]
        again = platform.told("supply", "impressions", {"impressions": found.held})
        assert again == {"counted": 0, "repeated": len(found.held), "late": 0}
        assert "/v1/campaigns" in platform.http.get("/openapi.json").json()["paths"]
        account = {"id": "cash", "currency": "EUR"}
        settings, key = Settings(data=str(found.data)), {"idempotency-key": "cash"}
        made = call(settings, "POST", "/v1/ledger/accounts", account, headers=key)
        assert made.status == 201
        assert platform.server.terminate() == 0
    finally:
        platform.close()
    unbroken(found.data)
    assert run([*ALONE, "--data", str(found.data), "--port", str(asking.server.port)]) == USAGE
    said = capsys.readouterr().err
    assert "in its ledger" in said
    assert "ringwork serve" in said


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"FAIRNESS__ENABLED": "false"}, "fairness.enabled = false"),
        ({"FAIRNESS__PLAN": "nowhere.yaml"}, "fairness.plan: nowhere.yaml"),
        ({"FAIRNESS__TABLES": "census-1790"}, "fairness.tables = 'census-1790': expected one of"),
        ({"FAIRNESS__CLUSTERS": "0"}, "fairness.clusters"),
        ({"HTTP__HOST": "0.0.0.0"}, "set http.allow_remote"),
    ],
)
def test_a_setting_that_cannot_be_is_a_sentence_and_no_server(tmp_path, settings, said):
    done = subprocess.run(
        [sys.executable, "-m", "ringwork", *ALONE, "--data", str(tmp_path / "data")],
        env={**os.environ, "RINGWORK_HTTP__PORT": str(Server(tmp_path).port),
             **{f"RINGWORK_{name}": value for name, value in settings.items()}},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == USAGE
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_without_rules_there_is_nothing_to_check_by(tmp_path):
    settings = msgspec.convert(
        {"data": str(tmp_path / "data"), "special_ads": {"rules": []}}, Settings
    )
    app = create(settings)
    try:
        paths = msgspec.json.decode(app.document())["paths"]
    finally:
        app.platform.close()
    assert "/v1/fairness/adjust" in paths
    assert "/v1/fairness/check" not in paths


def test_it_loads_nothing_of_the_market_and_no_library_before_it_is_used():
    script = (
        "import sys, ringwork.app.fairness_alone, ringwork.app.serve; print(sorted("
        "{'ringwork.app.compose', 'ringwork.app.platform', 'ringwork.app.consent', "
        "'ringwork.flow.serve_ad', 'ringwork.console', 'numba', 'scipy', "
        "'pyarrow', 'dp_accounting', 'jinja2', 'httpx'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
