"""Reports and forecasts from a terminal, on a store's log."""

import csv
import random
from pathlib import Path

import msgspec
import pytest

from ringwork.ads.reports import ReportQuery
from ringwork.cli.ads_reports import forecast, report
from ringwork.cli.options import Options
from ringwork.kernel.clock import SystemClock
from ringwork.kernel.errors import ConfigurationError, Conflict
from tests.ads.house import House
from tests.ads.reports.oracle import expected
from tests.ads.reports.town import DAY_US, live, settle, stored


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store with a lived-in log: its options, its events, what it advertises."""
    monkeypatch.chdir(tmp_path)
    with House() as house:
        settle(house)
        live(house, random.Random(5), 15)
        stored(house, tmp_path)
        yield Options(data=str(tmp_path), json=True), house.events(), house.catalogue


def write(name, body):
    Path(name).write_bytes(msgspec.json.encode(body))
    return Path(name)


def test_a_report_as_json_and_csv(store, capsys):
    options, events, catalogue = store
    query = ReportQuery(
        from_us=events[0].ts_us, until_us=events[-1].ts_us + 1, dimensions=["campaign"],
        measures=["impressions", "spend_nanos", "ctr"],
    )  # fmt: skip
    report(write("q.json", query), csv=Path("out.csv"), export=Path("files"), options=options)
    lines = [msgspec.json.decode(line) for line in capsys.readouterr().out.splitlines()]
    rows, totals = expected(events, catalogue, query)
    rows = [row for row in rows if any(row[1])]
    assert [(line["campaign"], line["impressions"], line["spend_nanos"]) for line in lines] == [
        *((key[0], *figures[:2]) for key, figures in rows),
        ("", *totals[:2]),
    ]
    with Path("out.csv").open(newline="") as file:
        assert len(list(csv.reader(file))) == len(lines) + 1
    assert list(Path("files").glob("day=*"))


def test_what_is_wrong_with_a_file_is_said(store):
    options, *_ = store
    with pytest.raises(ConfigurationError, match="no such file"):
        report(Path("none.json"), options=options)
    query = {"from_us": 0, "until_us": 1, "dimensions": ["person"], "measures": ["clicks"]}
    with pytest.raises(ConfigurationError, match=r"Invalid enum value 'person'"):
        report(write("q.json", query), options=options)
    with pytest.raises(Conflict, match="later than from_us"):
        report(write("q.json", {**query, "dimensions": [], "until_us": 0}), options=options)


def test_a_forecast(store, capsys):
    options, events, _ = store
    plan = {
        "pricing": "cpm", "bid_nanos": 10**9, "formats": ["banner"], "history_days": 92,
        "budget": {"currency": "EUR", "units": 100, "nanos": 0}, "starts_us": 0, "ends_us": DAY_US,
    }  # fmt: skip
    with pytest.raises(Conflict) as refused:
        forecast(
            write("plan.json", {**plan, "history_days": 7}), options=_at(options, events[0].ts_us)
        )
    assert refused.value.slug == "history-too-short"
    forecast(write("plan.json", plan), options=_at(options, events[-1].ts_us))
    found = msgspec.json.decode(capsys.readouterr().out)
    assert found["days_seen"] > 3
    assert found["assumptions"]


def _at(options, world_us):
    """The same store in a world whose clock stands there."""
    Path("ringwork.toml").write_text(
        f"[clock]\nreal_start_us = {SystemClock().wall_us()}\nspeed = 1\n"
        f"world_start_us = {world_us}\nworld_end_us = {world_us}\n"
    )
    return Options(data=options.data, json=True, config="ringwork.toml")
