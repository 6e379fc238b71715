"""How soon a change takes effect while serving, with 100,000 live ads, and what it does to latency.

The real server under a steady open-loop load; a client beside it creates an ad, raises its bid,
pauses it, resumes it and lets its budget run out, over the management API, and asks for the same
place until the answer shows the change. Every answer is checked, not only timed: the ad wins at
exactly its bid, or does not.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from benchmarks.ads.market_of_ads import requests, store
from benchmarks.ads.serving import Served, goal
from benchmarks.machine import ROOT_CACHE

RATE = 400
"""Requests a second meanwhile: far from what saturates the server, so that a spike is its own."""
SITE = "changes.example"
BID_NANOS = 900_000_000
EFFECT_MAX_S = 0.1


class Market:
    """The management API and the auction of a server, as its clients see them."""

    def __init__(self, served: Served, data: Path) -> None:
        self._served = served
        made = subprocess.run(
            [sys.executable, "-m", "ringwork", "keys", "create", "--role", "admin", "--data", str(data), "--json"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        self._token = json.loads(made.stdout)["token"]
        self._calls = 0

    def manage(self, method: str, path: str, body: dict[str, object]) -> None:
        self._calls += 1
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._served.port}{path}",
            json.dumps(body).encode(),
            {
                "content-type": "application/json",
                "authorization": f"Bearer {self._token}",
                "idempotency-key": f"change-{self._calls}",
            },
            method=method,
        )
        with urllib.request.urlopen(request) as answer:
            answer.read()

    def winner(self, number: int) -> tuple[str, float]:
        """(creative, price) of a place that only this site has, at the winner's full bid."""
        body = {
            "id": f"probe-{number}", "at": 2, "cur": ["EUR"],
            "imp": [{"id": "1", "banner": {"w": 970, "h": 250}, "bidfloor": 0.01, "bidfloorcur": "EUR"}],
            "site": {"domain": SITE, "publisher": {"id": "pub"}},
        }  # fmt: skip
        status, text = self._served.ask(json.dumps(body).encode())
        if status == 204:
            return "", 0.0
        bid = json.loads(text)["seatbid"][0]["bid"][0]
        return bid["crid"], bid["price"]


def until(is_so: Callable[[], bool]) -> float:
    """Seconds until it is so; RuntimeError after a hundred times the goal."""
    began = time.perf_counter()
    while not is_so():
        if time.perf_counter() - began > 100 * EFFECT_MAX_S:
            raise RuntimeError("the change has no effect")
    return time.perf_counter() - began


def churn(market: Market, rounds: int) -> list[float]:
    """Seconds from the acknowledgement of each change to the first answer that shows it."""
    took: list[float] = []
    asked = 0

    def shows(creative: str, bid_nanos: int = 0) -> Callable[[], bool]:
        def is_so() -> bool:
            nonlocal asked
            asked += 1
            won, price = market.winner(asked)
            return (won == creative and price == bid_nanos / 1e6) if bid_nanos else won != creative

        return is_so

    for number in range(rounds):
        id, bid_nanos = f"new{number}", BID_NANOS + number * 1_000
        market.manage("POST", "/v1/campaigns", {
            "id": id, "advertiser_id": "adv0", "name": id, "special_ad_categories": [], "pricing": "cpm", "bid_nanos": bid_nanos,
            "budget": {"currency": "EUR", "units": 1_000, "nanos": 0}, "targeting": {"sites": [SITE]},
        })  # fmt: skip
        market.manage("POST", "/v1/creatives", {
            "id": f"{id}.a", "campaign_id": id, "name": id, "format": "banner", "width": 970,
            "height": 250, "landing_url": "https://adv0.example/", "html": "<b>New</b>",
        })  # fmt: skip
        took.append(until(shows(f"{id}.a", bid_nanos)))
        raised = bid_nanos + 500
        market.manage("PATCH", f"/v1/campaigns/{id}", {"bid_nanos": raised})
        took.append(until(shows(f"{id}.a", raised)))
        market.manage("PATCH", f"/v1/campaigns/{id}", {"status": "paused"})
        took.append(until(shows(f"{id}.a")))
        # What is left pays for one more impression: the answer after the next does without it.
        market.manage("POST", "/v1/campaigns", {
            "id": f"{id}-last", "advertiser_id": "adv0", "name": id, "special_ad_categories": [], "pricing": "cpm",
            "bid_nanos": raised, "targeting": {"sites": [SITE]},
            "budget": {"currency": "EUR", "units": 0, "nanos": raised},
        })  # fmt: skip
        market.manage("POST", "/v1/creatives", {
            "id": f"{id}-last.a", "campaign_id": f"{id}-last", "name": id, "format": "banner", "width": 970,
            "height": 250, "landing_url": "https://adv0.example/", "html": "<b>Last</b>",
        })  # fmt: skip
        took.append(until(shows(f"{id}-last.a", raised)))
        took.append(until(shows(f"{id}-last.a")))
    return took


def run(quick: bool) -> list[dict[str, object]]:
    """New, edited, paused and exhausted ads while serving."""
    if shutil.which("taskset") is None:
        print("the goals of changes need taskset on PATH")
        return []
    count, rounds, seconds = (10_000, 10, 3) if quick else (100_000, 150, 15)
    work = Path(tempfile.mkdtemp(prefix="ringwork-changes-"))
    kept, data = work / "bodies.json", work / "market"
    kept.write_text(json.dumps([body.decode() for body in requests(500)]))
    shutil.copytree(store(count, ROOT_CACHE), data)
    os.sync()  # else the system writes the copy out half a minute later, while we measure
    served = Served("ringwork", data)
    try:
        market = Market(served, data)
        served.latency(RATE, 2, kept)
        still = served.latency(RATE, seconds, kept)
        told: list[dict[str, float]] = []
        beside = threading.Thread(target=lambda: told.append(served.latency(RATE, seconds, kept)))
        beside.start()
        took = churn(market, rounds)
        beside.join()
        changing = told[0]
    finally:
        served.stop()
        shutil.rmtree(work, ignore_errors=True)
    took.sort()
    peer = f"median {took[len(took) // 2] * 1e3:.1f} ms of {len(took)} changes, the first answers included"
    return [
        goal(f"a change's effect while serving, {count:,} live ads, the slowest", took[-1] * 1e3,
             EFFECT_MAX_S * 1e3, "ms", at_most=True, peer=peer),
        goal("p99 while ads change over p99 without", changing["p99_ms"] / still["p99_ms"], 2, "x", at_most=True,
             peer=f"{changing['p99_ms']:.1f} and {still['p99_ms']:.1f} ms; longest {changing['max_ms']:.0f} and {still['max_ms']:.0f}",
             ratio=changing["p99_ms"] / still["p99_ms"]),
    ]  # fmt: skip
