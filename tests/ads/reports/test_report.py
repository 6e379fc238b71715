"""Reports by any dimension equal a plain count of the log, and their money the ledger's."""

import random
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringwork.ads.events import ClickRecorded, ImpressionBilled
from ringwork.ads.reports import DIMENSIONS, RATIOS, SUMS, ReportQuery, ReportRow, run_report
from ringwork.ads.traffic.rules import is_invalid
from ringwork.kernel.errors import Conflict, RingworkError
from ringwork.kernel.events import EventTypes
from ringwork.storage import parquet
from ringwork.storage.warehouse import ParquetWarehouse
from tests.ads.house import House
from tests.ads.reports.oracle import expected
from tests.ads.reports.town import DAY_US, live, settle, stored

EVERYTHING = {"measures": [*SUMS, *RATIOS], "limit": 100_000}


class Town(tuple):
    """House, events, files; without all of them in every message."""

    def __repr__(self):
        return "Town()"


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """A town that has lived a while."""
    with House() as house:
        settle(house)
        live(house, random.Random(7), 60)
        yield Town((house, house.events(), stored(house, tmp_path_factory.mktemp("town"))))


def span(events):
    return {"from_us": events[0].ts_us, "until_us": events[-1].ts_us + 1}


def pairs(report):
    return [(row.dimensions, row.figures) for row in report.rows]


# ---- a report that anyone can check by hand -----------------------------------------------------


def test_one_impression_one_click_by_campaign(tmp_path):
    with House() as house:
        house.open()
        house.campaign("c1", bid_nanos=3_000_000)
        house.creative("a1", "c1")
        [_], [one] = house.serve()
        house.serve()  # sold, and never shown
        house.impression(one.tokens["impression"])
        house.click(one.tokens["click"])
        events, warehouse = house.events(), stored(house, tmp_path)
        price = house.payloads(ImpressionBilled)[0].price_nanos
    query = ReportQuery(
        **span(events), dimensions=["campaign"],
        measures=["slots", "sold", "impressions", "clicks", "spend_nanos", "ctr", "ecpm_nanos"],
    )  # fmt: skip
    report = run_report(warehouse, query)
    figures = (2, 2, 1, 1, price, Fraction(1), Fraction(price * 1000))
    assert report.rows == [ReportRow(("c1",), figures)]
    assert report.totals == figures
    assert (report.currency, report.is_truncated) == ("EUR", False)


# ---- equality -----------------------------------------------------------------------------------


@given(
    dimensions=st.lists(st.sampled_from(list(DIMENSIONS)), max_size=6, unique=True),
    zone=st.sampled_from(["UTC", "Europe/Lisbon", "Asia/Kathmandu", "America/New_York"]),
    cut=st.tuples(st.integers(0, 100), st.integers(0, 100)),
    where=st.sampled_from([None, "campaign", "publisher", "region", "reason", "hour_of_day"]),
    draw=st.randoms(use_true_random=False),
)
@settings(max_examples=25, deadline=None)
def test_every_report_equals_a_plain_count(town, dimensions, zone, cut, where, draw):
    house, events, warehouse = town
    begin_us, whole_us = events[0].ts_us, events[-1].ts_us + 1 - events[0].ts_us
    low, high = sorted(cut)
    times = {
        "from_us": begin_us + whole_us * low // 100,
        "until_us": begin_us + whole_us * high // 100 + 1,
    }
    filters = {}
    if where is not None:
        everywhere = ReportQuery(**span(events), dimensions=[where], time_zone=zone, **EVERYTHING)
        known = [row.dimensions[0] for row in run_report(warehouse, everywhere).rows]
        filters = {where: draw.sample(known, draw.randint(1, len(known)))}
    query = ReportQuery(
        **times, dimensions=dimensions, time_zone=zone, filters=filters, **EVERYTHING
    )
    report = run_report(warehouse, query)
    rows, totals = expected(events, house.catalogue, query)
    assert report.totals == totals
    if dimensions:
        assert pairs(report) == rows


@given(seed=st.integers(0, 2**32))
@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_money_is_the_ledgers_to_the_nano(seed, tmp_path_factory):
    with House() as house:
        settle(house)
        live(house, random.Random(seed), 20)
        events = house.events()
        warehouse = stored(house, tmp_path_factory.mktemp("town"))
        accounts = house.ledger.accounts
    money = {"measures": ["spend_nanos", "earnings_nanos", "fees_nanos"], **span(events)}
    by_campaign = run_report(warehouse, ReportQuery(dimensions=["campaign"], **money))
    for row in by_campaign.rows:
        account = accounts[f"campaign/{row.dimensions[0]}"]
        assert row.figures[0] == account.debits_posted
    by_publisher = run_report(warehouse, ReportQuery(dimensions=["publisher"], **money))
    for row in by_publisher.rows:
        account = accounts.get(f"publisher/{row.dimensions[0]}")
        earned = account.credits_posted - account.debits_posted if account else 0
        assert row.figures[1] == earned
    kept = accounts["platform/fees"].credits_posted if "platform/fees" in accounts else 0
    assert by_campaign.totals == by_publisher.totals
    assert by_campaign.totals[2] == kept


def test_days_add_up_to_the_whole_in_any_zone(town):
    _, events, warehouse = town
    for zone in ("UTC", "Pacific/Auckland"):
        query = ReportQuery(**span(events), dimensions=["day"], time_zone=zone, **EVERYTHING)
        report = run_report(warehouse, query)
        for n in range(len(SUMS)):
            assert sum(row.figures[n] for row in report.rows) == report.totals[n]


def test_what_the_files_do_not_hold_is_empty_and_still_counted(town, tmp_path):
    """The sales are of days that were not exported: their money is."""
    house, events, _ = town
    last = next(e for e in reversed(events) if isinstance(e.payload, ClickRecorded))
    stored(house, tmp_path)
    warehouse = ParquetWarehouse(tmp_path / "log", tmp_path / "parquet", EventTypes())
    for folder in (tmp_path / "parquet").glob("day=*"):
        if folder.name < f"day={_day(last.ts_us)}":
            for file in folder.iterdir():
                file.unlink()
    day_us = last.ts_us // DAY_US * DAY_US
    query = ReportQuery(
        from_us=day_us, until_us=day_us + DAY_US, dimensions=["region", "campaign"],
        measures=["clicks", "spend_nanos"],
    )  # fmt: skip
    report = run_report(warehouse, query)
    clicks = [
        e for e in events
        if isinstance(e.payload, ClickRecorded) and day_us <= e.ts_us < day_us + DAY_US
        and not is_invalid(e.payload.unbilled_reason)
    ]  # fmt: skip
    assert report.totals[0] == len(clicks) > 0


def _day(ts_us):
    return f"{parquet.datetime.fromtimestamp(ts_us // 1_000_000, parquet.UTC):%Y-%m-%d}"


# ---- order and bounds ---------------------------------------------------------------------------


def test_order_and_limit(town):
    _, events, warehouse = town
    query = ReportQuery(
        **span(events), dimensions=["campaign", "day"], measures=["spend_nanos"],
        order_by="-spend_nanos", limit=5,
    )  # fmt: skip
    report = run_report(warehouse, query)
    spent = [row.figures[0] for row in report.rows]
    assert spent == sorted(spent, reverse=True)
    assert len(spent) == 5
    assert report.is_truncated
    assert report.totals[0] > sum(spent)


def test_invalid_traffic_is_counted_apart(tmp_path):
    with House() as house:
        house.open()
        house.campaign()
        house.creative()
        for n in range(3):
            _, [one] = house.serve()
            claim = house.billing.verify(one.tokens["impression"], "impression")
            why = "invalid-data-centre" if n == 0 else ""
            house.do(lambda c, k=claim, w=why: house.billing.bill_impression(c, k, invalid=w))
            why = "invalid-click-rate" if n == 1 else ""
            house.do(lambda c, k=claim, w=why: house.billing.record_click(c, k, invalid=w))
        events, warehouse = house.events(), stored(house, tmp_path)
    query = ReportQuery(
        **span(events), dimensions=["reason", "publisher"],
        measures=["impressions", "clicks", "unbilled", "invalid", "ctr"],
    )  # fmt: skip
    report = run_report(warehouse, query)
    assert pairs(report) == [
        (("", "pub"), (2, 1, 0, 0, Fraction(1, 2))),
        (("invalid-click-rate", "pub"), (0, 0, 0, 1, None)),
        (("invalid-data-centre", "pub"), (0, 0, 0, 2, None)),  # a click on it is no better
    ]


def test_money_of_two_currencies_is_never_added(tmp_path):
    with House() as house:
        house.open()
        for number, currency in enumerate(("EUR", "USD")):
            billed = ImpressionBilled(
                bytes(15) + bytes([number]), "c", "a", "pub", "", "cpm", 5, currency
            )
            house.do(lambda c, billed=billed: c.record(billed))
        events, warehouse = house.events(), stored(house, tmp_path)
    members = {**span(events), "measures": ["spend_nanos"]}
    with pytest.raises(Conflict, match="money of EUR and USD cannot be added"):
        run_report(warehouse, ReportQuery(**members))
    apart = run_report(warehouse, ReportQuery(dimensions=["currency"], **members))
    assert pairs(apart) == [(("EUR",), (5,)), (("USD",), (5,))]
    one = run_report(warehouse, ReportQuery(filters={"currency": ["USD"]}, **members))
    assert (one.totals, one.currency) == ((5,), "USD")


@pytest.mark.parametrize(
    ("members", "pointer", "said"),
    [
        ({"dimensions": ["weather"]}, "/dimensions/0", "expected one of advertiser, campaign"),
        ({"dimensions": ["day", "day"]}, "/dimensions/1", "said twice"),
        ({"measures": ["joy"]}, "/measures/0", "expected one of requests, slots"),
        ({"measures": []}, "/measures", "at least one"),
        ({"filters": {"person": ["x"]}}, "/filters/person", "expected one of"),
        ({"until_us": 0}, "/until_us", "later"),
        ({"until_us": 401 * DAY_US}, "/until_us", "400 days"),
        ({"order_by": "-ctr"}, "/order_by", "not a dimension or a sum"),
        ({"time_zone": "Mars/Base"}, "/time_zone", "IANA"),
    ],
)
def test_a_query_that_cannot_be_is_explained(town, members, pointer, said):
    _, _, warehouse = town
    query = {"from_us": 0, "until_us": DAY_US, "measures": ["clicks"], **members}
    with pytest.raises(Conflict, match=said) as refused:
        run_report(warehouse, ReportQuery(**query))
    assert [fault.pointer for fault in refused.value.errors] == [pointer]


def test_hostile_filter_values_are_values(town):
    _, events, warehouse = town
    query = ReportQuery(
        **span(events), dimensions=["campaign"], measures=["clicks"],
        filters={"campaign": ["x') OR ('1'='1", "'; DROP TABLE events; --"]},
    )  # fmt: skip
    report = run_report(warehouse, query)
    assert (report.rows, report.totals) == ([], (0,))


def test_without_files_the_error_says_so(tmp_path):
    empty = ParquetWarehouse(tmp_path / "log", tmp_path / "parquet", EventTypes())
    query = ReportQuery(from_us=0, until_us=1, measures=["clicks"])
    with pytest.raises(RingworkError, match="No files found"):
        run_report(empty, query)
