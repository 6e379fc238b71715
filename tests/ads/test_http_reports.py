"""Reports, forecasts, invoices and payouts over HTTP: answers, refusals, roles, schedules."""

import asyncio
import csv
from datetime import UTC, datetime
from io import StringIO

import pytest

from ringwork.ads.events import ImpressionBilled
from ringwork.ads.http import SLUGS as OTHER_SLUGS
from ringwork.ads.http import routes
from ringwork.ads.http_api import AdsApi
from ringwork.ads.http_reports import SLUGS, TYPES, ReportsApi, report_routes
from ringwork.ads.reports import ReportQuery, run_report
from ringwork.ads.reports.desk import WAITING_MAX, ReportDesk
from ringwork.ads.reports.schedules import EVENTS, ReportMade, Schedules
from ringwork.kernel.errors import Overloaded
from ringwork.kernel.journal import appliers_of
from ringwork.storage.report_files import DirectoryReportFiles
from ringwork.web.app import create_litestar
from ringwork.web.execute import Executor
from ringwork.web.openapi import document
from tests.ads.counting_house import CountingHouse
from tests.ads.house import BANNER, House, changed
from tests.ads.house import TYPES as EVENT_TYPES
from tests.ads.office import Office, slug
from tests.ads.reports.town import TownWarehouse

for _event in EVENTS:
    EVENT_TYPES.add(_event)

JANUARY = int(datetime(2026, 1, 10, 12, tzinfo=UTC).timestamp()) * 1_000_000
DAY_US = 86_400_000_000
QUERY = {
    "from_us": JANUARY - DAY_US, "until_us": JANUARY + 100 * DAY_US, "dimensions": ["campaign"],
    "measures": ["impressions", "clicks", "ctr", "spend_nanos", "ecpm_nanos"],
}  # fmt: skip
SCHEDULE = {
    "id": "daily", "name": "Every day", "every": "day", "dimensions": ["campaign"],
    "measures": ["impressions", "spend_nanos"], "time_zone": "Europe/Lisbon",
}  # fmt: skip
PLAN = {
    "pricing": "cpm", "bid_nanos": 50_000_000, "formats": ["banner"],
    "budget": {"currency": "EUR", "units": 10, "nanos": 0}, "starts_us": JANUARY + 10 * DAY_US,
    "ends_us": JANUARY + 17 * DAY_US,
}  # fmt: skip


class Bureau(Office):
    """The office with reports and bills, and an advertiser who pays by the impression."""

    def __init__(self, house: House, folder) -> None:
        house.clock.set_wall_us(JANUARY)
        super().__init__(house)
        counting = CountingHouse(house)
        self.schedules = Schedules()
        old = dict(self.house.journal.appliers)
        house.journal.appliers = {
            **old, **appliers_of([*house.folds.all, *counting.folds, self.schedules, self.keys]),
        }  # fmt: skip
        answers = house.journal._answers
        api = AdsApi(
            ads=house.ads, billing=house.billing, management=house.management,
            catalogue=house.catalogue, ledger=house.ledger, journal=house.journal,
            execute=Executor(house.journal, answers, secret=bytes(32)), reader=self.engine,
            indexed=self.index,
        )  # fmt: skip
        self.warehouse = TownWarehouse(house, folder)
        self.desk = ReportDesk(
            warehouse=self.warehouse, files=DirectoryReportFiles(folder / "reports"),
            schedules=self.schedules, journal=house.journal, tenant="main",
            p_ppb=dict(house.settings.p_ppb),
        )  # fmt: skip
        reports = ReportsApi(
            ads=api, desk=self.desk, invoicing=counting.invoicing, payouts=counting.payouts
        )
        self.litestar = create_litestar([*routes(api), *report_routes(reports)])
        self.app._rest = self.litestar

    @property
    def keys(self):
        return self.app._keys

    def show(self, times: int = 1) -> None:
        for _ in range(times):
            _, [one] = self.house.serve()
            self.house.impression(one.tokens["impression"])

    def run(self, work):
        return self.house.loop.run_until_complete(work)


@pytest.fixture
def bureau(tmp_path):
    with House() as house:
        bureau = Bureau(house, tmp_path)
        bureau.create("advertisers")
        house.deposit("hp", 10**12)
        bureau.create("campaigns", pricing="cpm", bid_nanos=30_000_000)
        for noun in ("creatives", "publishers"):
            bureau.create(noun)
        bureau.create("placements", floor_nanos=12_345_678)
        yield bureau
        bureau.engine.dispose()


def later(bureau, *when):
    bureau.house.clock.set_wall_us(int(datetime(*when, tzinfo=UTC).timestamp()) * 1_000_000)


# ---- reports ------------------------------------------------------------------------------------


def test_a_report_and_its_csv(bureau):
    bureau.show(2)
    answer = bureau.send("POST", "/v1/reports", json=QUERY)
    assert answer.status_code == 201, answer.text
    report = answer.json()
    spent = {"currency": "EUR", "units": 0, "nanos": 2}
    assert report["columns"] == ["campaign", *QUERY["measures"]]
    assert report["rows"] == [["autumn", 2, 0, "0/1", spent, "1000/1"]]
    assert report["totals"] == [2, 0, "0/1", spent, "1000/1"]
    assert report["is_truncated"] is False
    assert int(report["through_seq"]) == len(bureau.house.events())
    text = bureau.send("GET", report["csv"])
    assert text.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in text.headers["content-disposition"]
    [_, row, totals] = csv.reader(StringIO(text.text))
    assert row == ["autumn", "2", "0", "0.000000000", "2", "1000.000000000"]
    assert totals[0] == ""


def test_a_report_counts_what_was_just_acknowledged(bureau):
    for times in (1, 2, 3):
        bureau.show()
        assert bureau.send("POST", "/v1/reports", json=QUERY).json()["totals"][0] == times


BY_RULE = {"/until_us", "/time_zone", "/order_by"}


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"dimensions": ["person"]}, "/dimensions/0"),
        ({"measures": ["impressions", "joy"]}, "/measures/1"),
        ({"measures": []}, "/measures"),
        ({"until_us": 0}, "/until_us"),
        ({"time_zone": "Mars/Base"}, "/time_zone"),
        ({"limit": 10**6}, "/limit"),
        ({"order_by": "-value_nanos"}, "/order_by"),
        ({"surprise": 1}, ""),
    ],
)
def test_what_is_wrong_with_a_query_is_pointed_at(bureau, members, pointer):
    answer = bureau.send("POST", "/v1/reports", json={**QUERY, **members})
    # What the schema says is 422; what only a rule can say of a body that is valid is 409.
    expected = (409, "rule-violated") if pointer in BY_RULE else (422, "invalid")
    assert (answer.status_code, slug(answer)) == expected
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


def test_a_report_that_is_not_kept(bureau):
    missing = "0190a000-0000-7000-8000-000000000000"
    assert slug(bureau.send("GET", f"/v1/reports/{missing}.csv")) == "not-found"
    for name in ("x", "..%2Fsecret.csv", f"{missing}"):
        answer = bureau.send("GET", f"/v1/reports/{name}")
        assert slug(answer) in ("invalid", "not-found")


def test_the_oldest_files_go(tmp_path):
    files = DirectoryReportFiles(tmp_path / "reports", files_max=2)
    ids = [f"0190a000-0000-7000-8000-00000000000{n}" for n in range(3)]
    for id in ids:
        files.save(id, id)
    assert [files.load(id) for id in ids] == [None, ids[1], ids[2]]
    assert files.load("../../etc/passwd") is None


def test_only_so_many_reports_wait(bureau):
    query = ReportQuery(from_us=0, until_us=1, measures=["clicks"])

    async def all_at_once():
        asked = (bureau.desk.report(query) for _ in range(WAITING_MAX + 1))
        return await asyncio.gather(*asked, return_exceptions=True)

    refused = [one for one in bureau.run(all_at_once()) if isinstance(one, Exception)]
    assert [type(one) for one in refused] == [Overloaded]


def made(bureau):
    due = bureau.run(bureau.desk.make_due())
    assert due.troubles == {}
    return due.made


# ---- schedules ----------------------------------------------------------------------------------


def test_a_schedule_makes_each_day_once(bureau):
    answers = [bureau.send("POST", "/v1/report-schedules", json=SCHEDULE) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200]
    bureau.show(3)
    assert made(bureau) == 0, "the day is not over"
    later(bureau, 2026, 1, 12, 9)
    bureau.show(1)
    assert [made(bureau) for _ in range(3)] == [1, 1, 0], "two days are over"
    first, second = bureau.house.payloads(ReportMade)
    assert (first.from_us, first.until_us) == (JANUARY - DAY_US // 2, JANUARY + DAY_US // 2)
    assert (second.from_us, first.rows, second.rows) == (first.until_us, 1, 0)
    [view] = bureau.send("GET", "/v1/report-schedules").json()["report_schedules"]
    assert view["last_report"] == f"/v1/reports/{second.report_id}.csv"
    text = bureau.send("GET", f"/v1/reports/{first.report_id}.csv").text
    assert text.splitlines()[1] == "autumn,3,3"


def test_a_schedule_ends(bureau):
    bureau.send("POST", "/v1/report-schedules", json=SCHEDULE)
    assert bureau.send("DELETE", "/v1/report-schedules/daily").status_code == 200
    assert slug(bureau.send("DELETE", "/v1/report-schedules/daily")) == "not-found"
    later(bureau, 2026, 1, 20)
    assert made(bureau) == 0
    assert bureau.send("GET", "/v1/report-schedules").json() == {"report_schedules": []}


def test_what_is_wrong_with_a_schedule(bureau):
    bureau.send("POST", "/v1/report-schedules", json=SCHEDULE)
    other = bureau.send("POST", "/v1/report-schedules", json={**SCHEDULE, "every": "week"})
    assert slug(other) == "report-schedule-exists"
    for members, expected in (
        ({"time_zone": "Mars"}, "rule-violated"),
        ({"dimensions": ["x"]}, "invalid"),
        ({"every": "year"}, "invalid"),
    ):
        body = {**SCHEDULE, "id": "new", **members}
        assert slug(bureau.send("POST", "/v1/report-schedules", json=body)) == expected


def test_a_report_that_fails_stands_in_nobodys_way(bureau):
    for currency in ("EUR", "USD"):
        billed = ImpressionBilled(bytes(16), "c", "a", "pub", "", "cpm", 5, currency)
        bureau.house.do(lambda c, billed=billed: c.record(billed))
    bureau.send("POST", "/v1/report-schedules", json=SCHEDULE)
    counting = {**SCHEDULE, "id": "counts", "measures": ["impressions"]}
    bureau.send("POST", "/v1/report-schedules", json=counting)
    later(bureau, 2026, 1, 11, 9)
    due = bureau.run(bureau.desk.make_due())
    assert (due.made, list(due.troubles)) == (1, ["daily"])
    assert "cannot be added" in due.troubles["daily"]


def test_schedules_survive_a_replay(bureau):
    bureau.send("POST", "/v1/report-schedules", json=SCHEDULE)
    later(bureau, 2026, 1, 12)
    bureau.run(bureau.desk.make_due())
    again = Schedules()
    for event in bureau.house.events():
        if isinstance(event.payload, EVENTS):
            again.apply(event)
    other = Schedules()
    other.load(again.dump())
    assert other.dump() == again.dump() == bureau.schedules.dump()


# ---- documents ----------------------------------------------------------------------------------


def invoice(bureau, key="i1", **members):
    body = {"advertiser": "hp", "month": "2026-01", **members}
    return bureau.send("POST", "/v1/invoices", json=body, key=key)


def sell_a_month(bureau):
    for _ in range(3):
        [outcome], [one] = bureau.house.serve(changed(BANNER, floor_nanos=12_345_678))
        assert outcome.price_nanos == 12_345_678
        bureau.house.impression(one.tokens["impression"])
    later(bureau, 2026, 2, 3)


def test_an_invoice_from_issue_to_credit(bureau):
    sell_a_month(bureau)
    tax = {"name": "IVA", "rate_ppm": 230_000}
    first, again = (invoice(bureau, key, tax=tax) for key in ("i1", "i2"))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    issued = first.json()
    cents = {"currency": "EUR", "units": 0}
    assert (issued["id"], issued["net"]) == ("hp-1", {**cents, "nanos": 30_000_000})
    assert issued["total"] == {**cents, "nanos": 40_000_000}
    whole = bureau.send("GET", "/v1/invoices/hp-1").json()
    assert whole["lines"] == [
        {
            "campaign_id": "autumn", "pricing": "cpm", "month": "2026-01", "quantity": 3,
            "spent": {**cents, "nanos": 37_037_034},
        }
    ]  # fmt: skip
    assert whole["carried_out"] == {**cents, "nanos": 7_037_034}
    credit = {"invoice": "hp-1", "amount": {**cents, "nanos": 30_000_000}, "reason": "robots"}
    note = bureau.send("POST", "/v1/credit-notes", json=credit, key="c1")
    assert (note.status_code, note.json()["id"]) == (201, "hp-c1")
    more = bureau.send("POST", "/v1/credit-notes", json=credit, key="c2")
    assert (more.status_code, slug(more)) == (409, "credit-exceeds-invoice")
    whole = bureau.send("GET", "/v1/invoices/hp-1").json()
    assert whole["credit_notes"] == [note.json()]
    assert whole["invoice"]["credited_net"] == whole["invoice"]["net"]
    listed = bureau.send("GET", "/v1/invoices", params={"advertiser": "hp"}).json()
    assert listed == {"invoices": [whole["invoice"]], "next": None}
    assert bureau.send("GET", "/v1/invoices", params={"advertiser": "x"}).json()["invoices"] == []


def test_an_invoice_equals_the_report_of_its_month(bureau):
    sell_a_month(bureau)
    invoice(bureau)
    whole = bureau.send("GET", "/v1/invoices/hp-1").json()
    month = ReportQuery(
        from_us=int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 10**6,
        until_us=int(datetime(2026, 2, 1, tzinfo=UTC).timestamp()) * 10**6,
        dimensions=["campaign", "pricing"], measures=["spend_nanos"],
        filters={"advertiser": ["hp"]},
    )  # fmt: skip
    bureau.warehouse.refresh()
    rows = run_report(bureau.warehouse, month).rows
    lines = [
        ((line["campaign_id"], line["pricing"]), (line["spent"]["nanos"],))
        for line in whole["lines"]
    ]
    assert [(row.dimensions, row.figures) for row in rows] == lines


def test_what_cannot_be_invoiced(bureau):
    bureau.show()
    assert slug(invoice(bureau)) == "month-not-over"
    assert slug(invoice(bureau, "i2", month="2025-12")) == "nothing-to-invoice"
    assert slug(invoice(bureau, "i3", month="2025-13")) == "invalid"
    assert slug(invoice(bureau, "i4", advertiser="nobody")) == "not-found"
    assert slug(invoice(bureau, None)) == "idempotency-key-required"
    assert slug(bureau.send("GET", "/v1/invoices/none-1")) == "not-found"


def test_a_statement_and_a_payout(bureau):
    sell_a_month(bureau)
    month = {"month": "2026-01"}
    statement = bureau.send("GET", "/v1/publishers/pub/statement", params=month).json()
    assert statement["gross"] == statement["closing"]
    assert [share["quantity"] for share in statement["shares"]] == [3]
    body = {"publisher": "pub", "month": "2026-01"}
    paid, again = (bureau.send("POST", "/v1/payouts", json=body, key=key) for key in "ab")
    assert (paid.status_code, paid.json()["amount"]["nanos"]) == (201, 30_000_000)
    assert slug(again) == "nothing-to-pay"
    wrong = bureau.send("GET", "/v1/publishers/pub/statement", params={"month": "January"})
    assert slug(wrong) == "invalid"
    for year in ("0000-01", "1969-12", "3000-01", "9999-12"):  # the calendar ends somewhere
        wrong = bureau.send("GET", "/v1/publishers/pub/statement", params={"month": year})
        assert slug(wrong) == "invalid"
    last = bureau.send("GET", "/v1/publishers/pub/statement", params={"month": "2999-12"})
    assert last.status_code == 200
    assert slug(bureau.send("GET", "/v1/publishers/x/statement", params=month)) == "not-found"


# ---- forecasts ----------------------------------------------------------------------------------


def test_a_forecast(bureau):
    assert slug(bureau.send("POST", "/v1/forecasts", json=PLAN)) == "history-too-short"
    for day in range(5):
        bureau.house.clock.set_wall_us(JANUARY + day * DAY_US)
        bureau.show(4)
    bureau.house.clock.set_wall_us(JANUARY + 5 * DAY_US)
    answer = bureau.send("POST", "/v1/forecasts", json=PLAN)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["impressions"] == {"expected": 28, "low": 28, "high": 28}
    assert found["days_seen"] == 5
    assert (
        slug(bureau.send("POST", "/v1/forecasts", json={**PLAN, "ends_us": 0})) == "rule-violated"
    )


# ---- roles and documents ------------------------------------------------------------------------


def test_roles(bureau):
    readers = {"admin", "manager", "reviewer", "finance", "auditor"}
    payers, makers = {"admin", "finance"}, {"admin", "manager"}
    expected = {
        ("POST", "/v1/reports"): readers,
        ("GET", "/v1/reports/0190a000-0000-7000-8000-000000000000.csv"): readers,
        ("POST", "/v1/forecasts"): readers | {"viewer"},
        ("POST", "/v1/report-schedules"): makers,
        ("GET", "/v1/report-schedules"): readers,
        ("DELETE", "/v1/report-schedules/x"): makers,
        ("POST", "/v1/invoices"): payers,
        ("GET", "/v1/invoices"): readers,
        ("POST", "/v1/credit-notes"): payers,
        ("POST", "/v1/payouts"): payers,
        ("GET", "/v1/publishers/pub/statement"): readers,
    }
    for (method, path), allowed in expected.items():
        body = {"json": {}} if method == "POST" else {}
        refused = {
            role
            for role in bureau.tokens
            if bureau.send(method, path, role=role, **body).status_code == 403
        }
        assert set(bureau.tokens) - refused == allowed, path
        assert bureau.send(method, path, role=None, **body).status_code == 401


def test_the_document_describes_every_endpoint(bureau):
    described = document(bureau.litestar, TYPES, {})
    assert {"get", "post"} <= described["paths"]["/v1/invoices"].keys()
    assert "/v1/reports/{name}" in described["paths"]
    assert described["components"]["schemas"]["ReportQuery"]["additionalProperties"] is False


def test_slugs_are_conflicts_of_their_own():
    statuses = {slug: status for slug, (status, _) in SLUGS.items()}
    assert statuses.pop("reports-unavailable") == 503
    assert set(statuses.values()) == {409}
    assert not SLUGS.keys() & OTHER_SLUGS.keys()
