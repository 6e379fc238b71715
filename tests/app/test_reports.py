"""Reports, forecasts and documents of a running platform: made from the log, kept across ends."""

import csv
import logging
import shutil
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest

from ringwork.app import platform as platform_module
from ringwork.kernel.clock import ManualClock
from tests.app.life import post
from tests.app.logged import events_of, unbroken
from tests.app.served import EPOCH_US, Client, serve, until
from tests.crash.shop import BID_REQUEST, euros

DAY_US = 86_400_000_000
DECEMBER_US = int(datetime(2025, 12, 2, tzinfo=UTC).timestamp()) * 1_000_000
NOVEMBER = {"month": "2025-11"}
TAX = {"name": "IVA", "rate_ppm": 230_000}
SCHEDULE = {
    "id": "daily", "name": "Every day", "every": "day", "dimensions": ["campaign"],
    "measures": ["impressions", "spend_nanos"],
}  # fmt: skip
QUERY = {
    "from_us": EPOCH_US, "until_us": DECEMBER_US, "dimensions": ["campaign", "day"],
    "measures": ["impressions", "clicks", "spend_nanos"],
}  # fmt: skip
PLAN = {
    "pricing": "cpm", "bid_nanos": 3_000_000, "formats": ["banner"], "budget": euros(10**10),
    "starts_us": DECEMBER_US, "ends_us": DECEMBER_US + 2 * DAY_US,
}  # fmt: skip


async def sell(client: Client, times: int = 1) -> None:
    """Impressions at the second price, which is the floor: 300,000 nanos each."""
    for _ in range(times):
        client.clock.advance_us(1_000_000)
        answer = await client.outside.post("/openrtb2/auction", json=BID_REQUEST)
        bid = answer.json()["seatbid"][0]["bid"][0]
        assert bid["price"] == 0.3
        assert (await client.outside.get(bid["burl"])).status_code == 204


async def sell_a_week(client: Client) -> None:
    """Seven impressions a day on five days; December has begun afterwards."""
    await client.stock()
    for day in range(5):
        client.clock.set_wall_us(EPOCH_US + day * DAY_US // 2)
        await sell(client, 7)
    client.clock.set_wall_us(DECEMBER_US)


def nanos(money: dict) -> int:
    assert money["currency"] == "EUR"
    return money["units"] * 10**9 + money["nanos"]


async def account(client: Client, id: str) -> dict:
    return (await client.admin.get(f"/v1/ledger/accounts/{id}")).json()


async def got(client: Client, path: str, **params: str) -> object:
    answer = await client.admin.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json() if "json" in answer.headers["content-type"] else answer.text


async def documents(client: Client) -> dict[str, object]:
    """Everything that was issued, as it is read."""
    paths = ("/v1/invoices", "/v1/invoices/a-1", "/v1/report-schedules")
    found = {path: await got(client, path) for path in paths}
    [schedule] = found["/v1/report-schedules"]["report_schedules"]
    found["csv"] = await got(client, schedule["last_report"])
    found["statement"] = await got(client, "/v1/publishers/pub/statement", month="2025-12")
    return found


async def issue(client: Client) -> dict[str, dict]:
    """An invoice of November, a part of it back, and a payout."""
    credit = {"invoice": "a-1", "amount": euros(10_000_000), "reason": "a wrong placement"}
    bodies = {
        "/v1/invoices": {"advertiser": "a", "tax": TAX, **NOVEMBER},
        "/v1/credit-notes": credit,
        "/v1/payouts": {"publisher": "pub", **NOVEMBER},
    }
    return {path: await post(client, path, body, path) for path, body in bodies.items()}


def test_a_month_from_the_first_impression_to_the_payout(tmp_path):
    """35 impressions of 300,000 nanos: 10,500,000, a cent on the invoice, half a one carried."""

    async def scenario(client: Client) -> None:
        await sell_a_week(client)
        made = await issue(client)
        invoice = await got(client, "/v1/invoices/a-1")
        spent = 35 * 300_000
        assert [nanos(line["spent"]) for line in invoice["lines"]] == [spent]
        assert [line["quantity"] for line in invoice["lines"]] == [35]
        totals = await got(client, "/v1/ledger/totals")
        assert totals["debits_nanos"] == totals["credits_nanos"]
        assert nanos(totals["debits_nanos"]) == nanos(invoice["spent"]) == spent
        assert nanos(invoice["invoice"]["net"]) + nanos(invoice["carried_out"]) == spent
        assert nanos(made["/v1/invoices"]["net"]) == 10_000_000
        # 23 % of a cent is less than half a cent: nothing.
        assert nanos(made["/v1/invoices"]["tax"]) == 0
        assert invoice["credit_notes"] == [made["/v1/credit-notes"]]
        back = await account(client, "advertiser/a")
        given = await account(client, "platform/credit-notes")
        assert nanos(given["debits_posted"]) == 10_000_000
        assert nanos(back["credits_posted"]) == 10**12 + 10_000_000
        assert nanos(made["/v1/payouts"]["amount"]) == 10_000_000
        publisher = await account(client, "publisher/pub")
        assert nanos(publisher["credits_posted"]) - nanos(publisher["debits_posted"]) == 500_000
        statement = await got(client, "/v1/publishers/pub/statement", **NOVEMBER)
        assert [nanos(statement[one]) for one in ("gross", "closing")] == [spent, spent]
        again = await client.admin.post(
            "/v1/payouts", json={"publisher": "pub", **NOVEMBER}, headers={"idempotency-key": "x"}
        )
        assert again.json()["type"] == "urn:ringwork:problem:nothing-to-pay"

    serve(tmp_path / "data", scenario)
    unbroken(tmp_path / "data")


def test_a_report_is_the_ledger_s_sum_and_a_forecast_has_an_interval(tmp_path):
    async def scenario(client: Client) -> None:
        await sell_a_week(client)
        answer = await client.admin.post("/v1/reports", json=QUERY)
        assert answer.status_code == 201, answer.text
        report = answer.json()
        # Half-day steps from noon: 26 November has one of the five, the 27th two, the 28th two.
        assert [row[:3] for row in report["rows"]] == [
            ["c", "2025-11-26", 7], ["c", "2025-11-27", 14], ["c", "2025-11-28", 14],
        ]  # fmt: skip
        spent = nanos(report["totals"][2])
        assert spent == nanos((await got(client, "/v1/ledger/totals"))["debits_nanos"])
        rows = list(csv.reader(StringIO(await got(client, report["csv"]))))
        assert sum(int(row[-1]) for row in rows[1:-1]) == spent == int(rows[-1][-1])
        forecast = await client.admin.post("/v1/forecasts", json=PLAN)
        assert forecast.status_code == 200, forecast.text
        shown = forecast.json()["impressions"]
        assert 0 <= shown["low"] <= shown["expected"] <= shown["high"]
        assert shown["low"] < shown["high"], "two days of three were full and one was not"
        assert forecast.json()["assumptions"]

    serve(tmp_path / "data", scenario)


def test_scheduled_reports_appear_while_the_server_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(platform_module, "REPORTS_S", 0.01)

    async def scenario(client: Client) -> None:
        await client.stock()
        await post(client, "/v1/report-schedules", SCHEDULE)
        await sell(client, 3)
        schedules = client.app.platform.desk.schedules.items
        client.clock.set_wall_us(EPOCH_US + DAY_US)
        await until(lambda: schedules["daily"].last_until_us > 0)
        [schedule] = (await got(client, "/v1/report-schedules"))["report_schedules"]
        text = await client.admin.get(schedule["last_report"])
        assert text.headers["content-type"] == "text/csv; charset=utf-8"
        assert list(csv.reader(StringIO(text.text)))[1] == ["c", "3", "900000"]

    serve(tmp_path / "data", scenario)


def test_a_report_that_cannot_be_made_is_told_and_made_when_it_can(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(platform_module, "REPORTS_S", 0.01)
    broken = tmp_path / "data" / "warehouse" / "day=2025-11-26" / "p0-00000000000000999999.parquet"

    async def scenario(client: Client) -> None:
        await client.stock()
        await post(client, "/v1/report-schedules", SCHEDULE)
        schedules = client.app.platform.desk.schedules.items
        await sell(client)
        broken.parent.mkdir(parents=True)
        broken.write_bytes(b"no Parquet")
        client.clock.set_wall_us(EPOCH_US + DAY_US)
        await until(lambda: "report schedule daily: not made" in caplog.text)
        asked = await client.admin.post("/v1/reports", json=QUERY)
        assert asked.status_code == 503
        assert asked.json()["type"] == "urn:ringwork:problem:reports-unavailable"
        assert "Parquet" in asked.json()["detail"] or "parquet" in asked.json()["detail"]
        assert (await client.outside.get("/readyz")).status_code == 200
        shutil.rmtree(tmp_path / "data" / "warehouse")
        await until(lambda: schedules["daily"].last_until_us > 0)

    with caplog.at_level(logging.WARNING):
        serve(tmp_path / "data", scenario)


def test_a_restart_keeps_documents_reports_and_what_is_due_next(tmp_path):
    data, kept = tmp_path / "data", {}
    clock = ManualClock(EPOCH_US)

    async def first(client: Client) -> None:
        await sell_a_week(client)
        await post(client, "/v1/report-schedules", SCHEDULE)
        await issue(client)
        client.clock.advance_us(DAY_US)
        due = await client.app.platform.desk.make_due()
        assert (due.made, due.troubles) == (1, {})
        kept.update(await documents(client))

    async def second(client: Client) -> None:
        assert await documents(client) == kept
        assert (await client.app.platform.desk.make_due()).made == 0
        again = {"advertiser": "a", "tax": TAX, **NOVEMBER}
        same = await client.admin.post(
            "/v1/invoices", json=again, headers={"idempotency-key": "/v1/invoices"}
        )
        assert same.headers["idempotency-replayed"] == "true"
        other = await client.admin.post(
            "/v1/invoices", json=again, headers={"idempotency-key": "k"}
        )
        assert (other.status_code, other.json()["id"]) == (200, "a-1"), "nothing is billed twice"
        client.clock.advance_us(DAY_US)
        assert (await client.app.platform.desk.make_due()).made == 1

    serve(data, first, clock=clock)
    serve(data, second, clock=clock, seed=6)
    issued = [kind for kind, _ in events_of(data)]
    assert [issued.count(one) for one in ("invoice_issued", "payout_made", "report_made")] == [
        1, 1, 2,
    ]  # fmt: skip
    unbroken(data)


def test_a_crash_between_a_report_s_file_and_its_event_loses_nothing(tmp_path):
    """The directory as the crash leaves it: files that are written or half so, and no event."""
    data, crashed = tmp_path / "data", tmp_path / "crashed"
    clock = ManualClock(EPOCH_US)

    async def until_the_crash(client: Client) -> None:
        await client.stock()
        await post(client, "/v1/report-schedules", SCHEDULE)
        await sell(client, 3)
        await client.app.platform.indexed()
        shutil.copytree(data, crashed, ignore=shutil.ignore_patterns("admin.sock"))
        client.clock.advance_us(DAY_US)
        assert (await client.app.platform.desk.make_due()).made == 1
        for name in ("reports", "warehouse"):
            shutil.copytree(data / name, crashed / name)

    async def after(client: Client) -> None:
        assert list(crashed.glob("reports/*.csv")), "the file is there, its event is not"
        assert (await client.app.platform.desk.make_due()).made == 1
        assert (await client.app.platform.desk.make_due()).made == 0
        [schedule] = (await got(client, "/v1/report-schedules"))["report_schedules"]
        text = await got(client, schedule["last_report"])
        assert list(csv.reader(StringIO(text)))[1] == ["c", "3", "900000"]

    serve(data, until_the_crash, clock=clock)
    unfinished(crashed)
    serve(crashed, after, clock=clock, seed=6)
    assert [kind for kind, _ in events_of(crashed)].count("report_made") == 1
    unbroken(crashed)


def unfinished(data: Path) -> None:
    """Half a file of each kind."""
    [exported] = data.glob("warehouse/day=*/*.parquet")
    exported.with_suffix(".parquet.new").write_bytes(exported.read_bytes()[:99])
    [report] = data.glob("reports/*.csv")
    report.with_suffix(".new").write_bytes(report.read_bytes()[:9])


@pytest.mark.parametrize("path", ["/v1/reports", "/v1/forecasts", "/v1/invoices", "/v1/payouts"])
@pytest.mark.parametrize("body", [{}, [], {"surprise": 1}])
def test_bad_bodies_are_refused_by_name(tmp_path, path, body):
    async def scenario(client: Client) -> None:
        answer = await client.admin.post(path, json=body, headers={"idempotency-key": "k"})
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"

    serve(tmp_path / "data", scenario)
