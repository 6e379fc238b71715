"""Reports, invoices, payouts and advertisers by the console, on the real application's ledger."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from io import StringIO

import pytest

from ringwork.kernel.ids import format_id
from tests.console.test_forms import Fields, Person, campaign_typed
from tests.console.town import Town

DAY_US = 86_400_000_000
CENT = 10_000_000


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A day of November's traffic, and then it is December."""
    with Town(tmp_path_factory.mktemp("town") / "data").serving() as running:
        running.clock.advance_us(10 * DAY_US)
        running.do(running.ask(shown=True))
        running.do(running.caught_up())
        yield running


def data(person: Person, address: str) -> dict[str, object]:
    joined = "&" if "?" in address else "?"
    answer = person.http.get(f"{address}{joined}format=json")
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()["data"]
    return found


def available(town: Town, account: str) -> int:
    return town.platform.memory.ledger.accounts[account].available_nanos


REPORT = (
    "/console/reports?first_day=2026-11-01&last_day=2026-12-31&time_zone=UTC&dimensions=campaign"
    "&measures=spend_nanos&measures=impressions&measures=ctr"
)


# ---- reports ------------------------------------------------------------------------------------


def test_a_report_equals_the_ledger_and_its_csv(town: Town) -> None:
    person = Person(town, "auditor")
    table = data(person, REPORT)["table"]
    charged = town.platform.memory.books.charged
    shown = {row["cells"][0]["value"]: row["figures"][0]["value"] for row in table["rows"]}  # type: ignore[index,call-overload]  # JSON
    assert shown["tram"] == charged["tram"]
    assert table["totals"][0]["value"] == sum(shown.values())  # type: ignore[index,call-overload]  # JSON
    saved = person.http.get(table["csv"])  # type: ignore[index,call-overload]  # JSON
    assert "attachment" in saved.headers["content-disposition"]
    head, *rows, totals = csv.reader(StringIO(saved.text))
    assert head == ["campaign", "spend_nanos", "impressions", "ctr"]
    assert {row[0]: int(row[1]) for row in rows} == shown
    assert int(totals[1]) == sum(shown.values())
    page = person.open(REPORT)
    assert '<a href="/console/campaigns/tram">Tram pass, yearly</a>' in page


def test_a_report_is_sorted_by_its_heads(town: Town) -> None:
    person = Person(town)
    heads = data(person, REPORT)["table"]["heads"]  # type: ignore[index,call-overload]  # JSON
    by_name = {head["name"]: head for head in heads}
    assert by_name["spend_nanos"]["sorted"] == "descending"
    assert by_name["ctr"]["href"] == ""  # a ratio cannot be sorted by
    turned = data(person, by_name["spend_nanos"]["href"])["table"]["rows"]  # type: ignore[index,call-overload]  # JSON
    spent = [row["figures"][0]["value"] for row in turned]
    assert spent == sorted(spent)
    assert len(set(spent)) > 1


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ("first_day=soon", "A day such as 2026-11-26 is expected, got &#39;soon&#39;"),
        ("first_day=1066-10-14", "A day from 1971 to 2199 is expected"),
        ("first_day=2027-01-01", "It must not be before the first day"),
        ("first_day=2020-01-01", "At most 400 days after from_us"),
        ("time_zone=Mars", "Expected an IANA time zone such as Europe/Lisbon"),
        ("measures=", "Needed"),
        ("filters=colour+%3D+red", "Expected breakdowns among"),
        ("dimensions=reason&order_by=bogus", "is not a dimension or a sum of this report"),
    ],
)
def test_a_report_that_cannot_be_says_why_beside_what_was_asked(
    town: Town, changed: str, words: str
) -> None:
    name = changed.partition("=")[0]
    kept = [one for one in REPORT.partition("?")[2].split("&") if one.partition("=")[0] != name]
    answer = Person(town).http.get(f"/console/reports?{'&'.join([*kept, changed])}")
    assert answer.status_code in (409, 422)
    assert words in answer.text


def test_without_the_extra_the_page_says_what_to_install(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "duckdb", None)
    town.do(town.ask(shown=True))  # so that something has to be exported
    answer = Person(town).http.get(REPORT)
    assert answer.status_code == 503
    assert "pip install &#39;ringwork[analytics]&#39;" in answer.text.partition("</header>")[2]
    assert 'value="2026-11-01"' in answer.text


def test_a_file_that_is_not_kept_is_not_found(town: Town) -> None:
    person = Person(town)
    for name in (f"{format_id(bytes(16))}.csv", "x", "%2e%2e%2fledger"):
        assert person.http.get(f"/console/reports/{name}").status_code == 404


def test_money_pages_are_only_for_who_may_read_the_ledger(town: Town) -> None:
    viewer = Person(town, "viewer")
    for address in ("reports", "invoices", "publishers", "publishers/casa"):
        assert viewer.http.get(f"/console/{address}").status_code == 403, address
    nav = viewer.open("/console/advertisers")
    assert "/console/reports" not in nav
    body = data(viewer, "/console/advertisers/hp")
    assert (body["sums"], body["invoices"]) == ([], [])
    assert body["advertiser"]["available"] == ""  # type: ignore[index,call-overload]  # JSON


# ---- invoices and credit notes ------------------------------------------------------------------


def test_an_invoice_is_issued_once_and_adds_up(town: Town) -> None:
    finance, books = Person(town, "finance"), town.platform.memory.books
    waits = sum(charges.nanos for months in books.waiting.values() for charges in months.values())
    page = finance.open("/console/invoices")
    assert "can be invoiced" in page
    [row] = data(finance, "/console/invoices")["uninvoiced"]  # type: ignore[misc]  # JSON
    address = row["issue_href"]
    form = finance.form(finance.open(address), "/console/new-invoice")
    assert (form["/advertiser"], form["/month"]) == (["hp"], ["2026-11"])
    typed = {**form, "/tax/name": ["IVA"], "/tax/rate_ppm": ["23"], "do": ["issue"]}
    first, again = (finance.http.post("/console/new-invoice", data=typed) for _ in range(2))
    assert first.headers["location"] == again.headers["location"]
    assert list(books.invoices) == ["hp-1"]

    page = finance.open(first.headers["location"])
    assert "It was issued." in page
    assert "adds up to the nano" in page
    kept = books.invoices["hp-1"]
    net_nanos = kept.net_minor * CENT
    assert net_nanos == row["nanos"] // CENT * CENT
    assert kept.tax_minor == round(kept.net_minor * 23 / 100)
    assert 0 < row["nanos"] < waits  # December's waits on
    balance = town.platform.invoicing.balance("hp")
    assert balance.holds
    assert "equals the ledger to the nano" in finance.open("/console/advertisers/hp")
    assert data(finance, "/console/invoices")["uninvoiced"] == []


@pytest.mark.parametrize(
    ("typed", "status", "words"),
    [
        ({"/month": "2026-12"}, 409, "2026-12 is not over yet in UTC"),
        ({"/month": "2026-10"}, 409, "was charged nothing more"),
        ({"/month": "november"}, 422, "Expected a month such as 2026-11, got &#39;november&#39;"),
        ({"/advertiser": "nobody"}, 422, "There is no advertiser of that id"),
        ({"/tax/rate_ppm": "101"}, 422, "Expected 0 to 100"),
        ({"/tax/name": ""}, 422, "Needed"),
    ],
)
def test_an_invoice_that_cannot_be_says_why(
    town: Town, typed: dict[str, str | list[str]], status: int, words: str
) -> None:
    before = len(town.platform.memory.books.invoices)
    given = {"/advertiser": "hp", "/month": "2026-11", "do": "issue", **typed}
    answer = Person(town).send("/console/new-invoice", given)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert len(town.platform.memory.books.invoices) == before


def test_a_credit_note_gives_back_what_it_says(town: Town) -> None:
    finance, address = Person(town, "finance"), "/console/invoices/hp-1/credit"
    before = available(town, "advertiser/hp")
    for amount, status, words in (
        ("0.05", 422, "Needed"),  # no reason
        ("1000", 409, "is left of invoice hp-1"),
        ("0.001", 409, "Expected whole smallest units of EUR"),
        ("much", 422, "An amount such as 1200.00 is expected"),
    ):
        reason = "" if words == "Needed" else "a mistake"
        answer = finance.send(address, {"/amount": amount, "/reason": reason, "do": "issue"})
        assert (answer.status_code, words in answer.text) == (status, True), amount
    assert available(town, "advertiser/hp") == before
    given = finance.send(address, {"/amount": "0.05", "/reason": "<wrong> site", "do": "issue"})
    assert given.status_code == 303
    assert available(town, "advertiser/hp") == before + 5 * CENT
    page = finance.open(given.headers["location"])
    assert "The credit note was issued." in page
    assert "&lt;wrong&gt; site" in page
    [note] = data(finance, "/console/invoices")["notes"]  # type: ignore[misc]  # JSON
    assert note["id"] == "hp-c1"


# ---- publishers ---------------------------------------------------------------------------------


def test_a_payout_moves_what_is_owed_once(town: Town) -> None:
    finance = Person(town, "finance")
    path = "/console/publishers/casa"
    owed = town.platform.payouts.owed_nanos("casa", 2026 * 12 + 10)
    before = available(town, "publisher/casa")
    page = finance.open(path)  # of November, which is over
    form = finance.form(page, f"{path}/payout")
    assert form["month"] == ["2026-11"]
    first, again = (finance.http.post(f"{path}/payout", data=form) for _ in range(2))
    assert first.status_code == again.status_code == 303
    assert before - available(town, "publisher/casa") == owed // CENT * CENT
    page = finance.open(first.headers["location"])
    assert "The payout was made." in page
    assert f"{path}/payout" not in Fields(page).forms  # nothing is left
    [payout] = data(finance, path)["payouts"]  # type: ignore[misc]  # JSON
    assert payout["id"] == "casa-p1"
    assert "equals its account to the nano" in finance.open(f"{path}?month=2026-12")
    refused = finance.http.post(f"{path}/payout", data={**form, "key": "another"})
    assert refused.status_code == 409
    assert "earned less than a smallest unit" in refused.text


def test_only_finance_pays_and_a_month_is_a_month(town: Town) -> None:
    auditor, path = Person(town, "auditor"), "/console/publishers/casa"
    page = auditor.open(path)
    assert f"{path}/payout" not in Fields(page).forms
    csrf = re.findall(r'name="csrf" value="([^"]+)"', page)[0]
    for address in (f"{path}/payout", "/console/new-invoice", "/console/invoices/hp-1/credit"):
        answer = auditor.http.post(address, data={"csrf": csrf, "key": "k", "month": "2026-11"})
        assert answer.status_code == 403, address
    assert auditor.http.get(f"{path}?month=soon").status_code == 409
    assert auditor.http.get("/console/publishers/nobody").status_code == 404
    assert auditor.http.get("/console/invoices/none").status_code == 404
    assert auditor.http.get("/console/advertisers/none").status_code == 404


# ---- advertisers --------------------------------------------------------------------------------


def test_an_advertiser_is_made_changed_and_advertises(town: Town) -> None:
    manager = Person(town, "manager")
    typed = {
        "/name": "Bakers", "/id": "bakers", "/domain": "bakers.example",
        "/contact": "ana@bakers.example", "do": "create",
    }  # fmt: skip
    made = manager.send("/console/new-advertiser", typed)
    assert made.headers["location"] == "/console/advertisers/bakers?done=created"
    assert "ana@" not in manager.open(made.headers["location"])
    assert available(town, "advertiser/bakers") == 0

    again = manager.send("/console/new-advertiser", {**typed, "/name": "Others"})
    assert (again.status_code, "exists with other content" in again.text) == (409, True)
    wrong = manager.send("/console/new-advertiser", {**typed, "/domain": "No Domain"})
    assert (wrong.status_code, "Expected a domain in lower case" in wrong.text) == (422, True)

    edit = "/console/advertisers/bakers/edit"
    changed = manager.send(edit, {"/name": "Bakers & Sons", "do": "save"})
    assert changed.status_code == 303
    assert "Bakers &amp; Sons" in manager.open("/console/advertisers?q=sons")
    assert "Nobody fits" in manager.open("/console/advertisers?q=nobody-at-all")
    stale = manager.open(edit)
    assert manager.send(edit, {"/domain": "sons.example"}).status_code == 303
    late = manager.send(edit, {"/name": "Late"}, page=stale)
    assert (late.status_code, "changed while this form was open" in late.text) == (409, True)

    form = manager.form(
        manager.open("/console/new-campaign?advertiser=bakers"), "/console/new-campaign"
    )
    assert form["/advertiser_id"] == ["bakers"]
    funded = manager.send(
        "/console/new-campaign", campaign_typed("rolls", **{"/advertiser_id": "bakers"})
    )
    assert funded.status_code == 409  # nobody has paid in
    assert Person(town, "viewer").http.get(edit).status_code == 403
