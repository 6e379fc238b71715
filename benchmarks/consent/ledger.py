"""G11 and the share of a request: how long a withdrawal takes, what asking for leave costs.

The withdrawal is timed by a client of a real server, over HTTP and to the disk, while other clients
decide as well; after each answer a further request must find it. The peer is what no server with a
durable answer can undercut: one row into SQLite with a sync of the same disk. The look-up is CPU
time of one thread: state, epoch, grant and verification, as a request and the history's reader make
them; its peer is the HMAC alone, twice.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.foundation.event_log import result
from ringwork.app.call import call
from ringwork.app.settings import Settings
from ringwork.consent.epochs import Epochs, in_memory, place_of
from ringwork.consent.grants import GrantAuthority
from ringwork.consent.ledger import ConsentLedger
from ringwork.consent.model import Decision, Standing
from ringwork.kernel.clock import SystemClock
from ringwork.storage.sqlite.files import connect

NOTICE = "0" * 64
PEOPLE = 100_000
OTHERS = 4
"""Clients that decide meanwhile."""


@contextmanager
def served(data: Path) -> Iterator[tuple[str, str]]:
    """(address, API key) of a real server."""
    token = call(Settings(data=str(data)), "POST", "/v1/keys", {"role": "choice"}).json["token"]  # type: ignore[index, call-overload]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "ringwork", "serve", "--data", str(data), "--port", str(port)]
    environment = {**os.environ, "RINGWORK_LOGGING__LEVEL": "warning"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                if httpx.get(f"{url}/readyz", timeout=5).status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.05)
        yield url, token
    finally:
        process.terminate()
        process.wait(60)


def body(action: str, person: str) -> dict[str, object]:
    return {
        "person": person, "action": action, "purposes": ["advertise"], "notice": NOTICE,
        "asked": False,
    }  # fmt: skip


async def withdrawals(url: str, token: str, count: int) -> list[float]:
    """Seconds from sending a withdrawal to having its receipt, one after the other."""
    headers = {"authorization": f"Bearer {token}"}
    took: list[float] = []
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as http:

        async def decide(name: str) -> None:
            number = 0
            while len(took) < count:
                number += 1
                action = "grant" if number % 2 else "withdraw"
                answer = await http.post("/v1/consent", json=body(action, name))
                answer.raise_for_status()

        others = asyncio.gather(*(decide(f"other{number}") for number in range(OTHERS)))
        for number in range(count):
            person = f"p{number}"
            (await http.post("/v1/consent", json=body("grant", person))).raise_for_status()
            started = time.perf_counter()
            answer = await http.post("/v1/consent", json=body("withdraw", person))
            took.append(time.perf_counter() - started)
            assert answer.status_code == 201, answer.text
            shown = (await http.get(f"/v1/consent/{person}")).json()
            assert shown["purposes"][0]["status"] == "withdrawn", "not effective"
        await others
    return took


def synced_rows(folder: Path, count: int) -> list[float]:
    """Seconds of one row and one sync."""
    connection = connect(str(folder / "peer.db"))
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE t(x BLOB)")
    took = []
    for _ in range(count):
        started = time.perf_counter()
        connection.execute("INSERT INTO t VALUES (?)", (bytes(400),))
        took.append(time.perf_counter() - started)
    connection.close()
    return took


def best_us(work: Callable[[], object], count: int, rounds: int = 5) -> float:
    """CPU microseconds of one call, the best of several rounds."""
    found = []
    for _ in range(rounds):
        started = time.process_time_ns()
        for _ in range(count):
            work()
        found.append((time.process_time_ns() - started) / count / 1000)
    return min(found)


def look_up(quick: bool) -> dict[str, float]:
    """The parts of what a request pays, among many people who decided."""
    ledger, epochs, now_us = ConsentLedger(), Epochs(in_memory()), time.time_ns() // 1000
    subjects = [os.urandom(16) for _ in range(PEOPLE // (10 if quick else 1))]
    for subject in subjects:
        decisions = {"advertise": Decision("granted", now_us, 1)}
        ledger.standings[subject] = Standing(1, bytes(32), None, decisions)
        ledger.counts[place_of(subject)] += 1
    epochs.raise_to(ledger.counts)
    authority = GrantAuthority(os.urandom(32), epochs, SystemClock())
    request_id = os.urandom(16)
    for subject in subjects:
        ledger.state(subject, now_us)
    turn = iter(subjects * 1_000)

    def ask() -> None:
        subject = next(turn)
        state = ledger.state(subject, now_us)
        grant = authority.grant(
            subject=subject, purposes=("advertise",),
            services=state.sources("advertise", "main"), epoch=state.epoch, request_id=request_id,
        )  # fmt: skip
        authority.verify(grant, purpose="advertise", service="main", request_id=request_id)

    count = 5_000 if quick else 50_000
    key, members = os.urandom(32), os.urandom(90)
    return {
        "state": best_us(lambda: ledger.state(next(turn), now_us), count),
        "epoch": best_us(lambda: epochs.current(next(turn)), count),
        "all": best_us(ask, count),
        "hmac": best_us(lambda: hmac.digest(key, members, "sha256"), count) * 2,
    }


def run(quick: bool) -> list[dict[str, object]]:
    """Measure, print, return the goals."""
    count = 50 if quick else 500
    with tempfile.TemporaryDirectory() as folder:
        with served(Path(folder) / "data") as (url, token):
            took = asyncio.run(withdrawals(url, token, count))
        peer = statistics.median(synced_rows(Path(folder), count)) * 1000
    median, late = statistics.median(took) * 1000, sorted(took)[int(len(took) * 0.99)] * 1000
    costs = look_up(quick)
    print(f"withdrawal: median {median:.1f} ms, p99 {late:.1f} ms; a synced row {peer:.2f} ms")
    print("us CPU: " + ", ".join(f"{name} {cost:.2f}" for name, cost in costs.items()))
    withdrawal = result("G11 withdrawal over HTTP, median", median, 50, "ms", at_most=True)
    state = result("consent state of a person", costs["state"], 1, "us CPU", at_most=True)
    leave = result(
        "consent: state, epoch, grant and verification", costs["all"], 10, "us CPU", at_most=True
    )
    return [
        {
            **withdrawal,
            "peer": f"one row, one sync: {peer:.2f} ms",
            "ratio": round(median / peer, 1),
        },
        {**state, "peer": f"epoch alone: {costs['epoch']:.2f} us"},
        {
            **leave,
            "peer": f"two HMACs: {costs['hmac']:.2f} us",
            "ratio": round(costs["all"] / costs["hmac"], 1),
        },
    ]
