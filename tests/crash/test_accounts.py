"""kill -9 of the real server among its documents and reports; and the same from a terminal."""

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx
import msgspec

from ringwork.app.verify import check_all
from tests.crash.server import Server
from tests.crash.shop import BID_REQUEST, euros, open_shop

DAY_US = 86_400_000_000
SOLD = 40
REPORT = {"dimensions": ["campaign"], "measures": ["impressions", "spend_nanos"]}


def world(days: int) -> dict[str, str]:
    """An environment in which it is so many days later."""
    now_us = int(datetime.now(UTC).timestamp()) * 1_000_000
    later_us = now_us + days * DAY_US
    clock = {"REAL_START_US": now_us, "WORLD_START_US": later_us, "WORLD_END_US": later_us}
    return {f"RINGWORK_CLOCK__{name}": str(value) for name, value in {**clock, "SPEED": 1}.items()}


async def sell(server: Server, token: str) -> int:
    """Nanos of impressions that were shown, by the prices of the bids: of campaigns that pay so."""
    nanos, auth = 0, {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=server.url, timeout=20, headers=auth) as http:
        for id in ("c2", "c5"):  # which pay by the click
            paused = await http.patch(
                f"/v1/campaigns/{id}", json={"status": "paused"}, headers={"idempotency-key": id}
            )
            assert paused.status_code == 200
        for _ in range(SOLD):
            answer = (await http.post("/openrtb2/auction", json=BID_REQUEST)).json()
            bid = answer["seatbid"][0]["bid"][0]
            assert (await http.get(httpx.URL(bid["burl"]).path)).status_code == 204
            nanos += round(bid["price"] * 1_000_000)
    return nanos


def killed_after(server: Server, token: str, asked: dict[str, object]) -> dict[str, bytes]:
    """Kill the server once it has answered commands, while reports are being made.

    Returns the answers; each path is its command's key too.
    """

    async def run() -> dict[str, bytes]:
        answered = {}
        auth = {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=server.url, timeout=60, headers=auth) as http:
            query = {**REPORT, "from_us": 0, "until_us": 10**12}
            reports = [
                asyncio.ensure_future(http.post("/v1/reports", json=query)) for _ in range(3)
            ]
            for path, body in asked.items():
                answer = await http.post(path, json=body, headers={"idempotency-key": path})
                assert answer.status_code == 201, answer.text
                answered[path] = answer.content
            server.kill()
            await asyncio.gather(*reports, return_exceptions=True)
        return answered

    return asyncio.run(run())


def ringwork(data: Path, environment: dict[str, str], *words: str) -> list[object]:
    """What a command prints as JSON lines."""
    command = [sys.executable, "-m", "ringwork", *words, "--data", str(data), "--json"]
    ran = subprocess.run(
        command, check=False, capture_output=True, env={**os.environ, **environment}, timeout=120
    )
    assert ran.returncode == 0, ran.stderr.decode()
    return [msgspec.json.decode(line) for line in ran.stdout.splitlines()]


def test_what_was_issued_outlives_every_kill_and_is_the_same_from_a_terminal(tmp_path: Path):
    data = tmp_path / "data"
    token = open_shop(data, 10**9)
    server = Server(data)
    server.start()
    begun_us = int(datetime.now(UTC).timestamp()) * 1_000_000 - DAY_US
    spent_nanos = asyncio.run(sell(server, token))
    schedule = {"id": "monthly", "name": "Every month", "every": "month", **REPORT}
    killed_after(server, token, {"/v1/report-schedules": schedule})
    month = datetime.now(UTC).strftime("%Y-%m")

    later = world(40)
    server = Server(data, later)
    asked = {
        "/v1/invoices": {"advertiser": "adv", "month": month},
        "/v1/credit-notes": {"invoice": "adv-1", "amount": euros(10**7), "reason": "a mistake"},
        "/v1/payouts": {"publisher": "pub", "month": month},
    }
    answered = {}
    for paths in (["/v1/invoices"], ["/v1/credit-notes", "/v1/payouts"]):
        server.start()
        answered |= killed_after(server, token, {path: asked[path] for path in paths})
    server.start()
    auth = {"authorization": f"Bearer {token}"}
    with httpx.Client(base_url=server.url, headers=auth, timeout=60) as http:
        for path, body in asked.items():
            again = http.post(path, json=body, headers={"idempotency-key": path})
            assert again.content == answered[path], "a repeated key answers the same"
        [listed] = http.get("/v1/report-schedules").json()["report_schedules"]
        assert listed["schedule"]["id"] == "monthly"
        charged = http.get("/v1/ledger/totals").json()["debits_nanos"]
    assert charged["nanos"] == spent_nanos > 20_000_000

    [issued] = ringwork(data, later, "ads", "invoice", "adv", month)
    assert issued["invoice"]["id"] == "adv-1", "nothing is billed twice"
    assert issued["spent"] == charged
    assert [note["id"] for note in issued["credit_notes"]] == ["adv-c1"]
    query = tmp_path / "query.json"
    query.write_bytes(
        msgspec.json.encode({**REPORT, "from_us": begun_us, "until_us": begun_us + 2 * DAY_US})
    )
    text = tmp_path / "report.csv"
    *rows, totals = ringwork(data, later, "ads", "report", str(query), "--csv", str(text))
    assert sum(row["spend_nanos"] for row in rows) == totals["spend_nanos"] == charged["nanos"]
    assert totals["impressions"] == SOLD
    assert len(text.read_text().splitlines()) == len(rows) + 2
    assert server.terminate() == 0
    promises = check_all(data, lambda what, count: None)
    assert [(p.name, p.detail) for p in promises if p.violations] == []
