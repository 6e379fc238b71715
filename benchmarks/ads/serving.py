"""The whole ad request over HTTP with 100,000 live ads: requests per CPU second, latency, the twin.

The real ``ringwork serve`` on a store of its own, pinned to the first processor; its follower, which
keeps the projections, and the load are on the second. What counts is CPU time of the serving
process; the follower's is shown beside it. Every request is decoded, matched against all live ads,
auctioned, held in the ledger, logged durably and answered. ``twin`` is the same auction on FastAPI,
pydantic and SQLAlchemy with the same index. Latency is measured open-loop at half of what one
processor serves.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from benchmarks.ads.market_of_ads import VENDOR_ID, requests, store
from benchmarks.machine import ROOT_CACHE

BODIES = 2_000
LUA = """bodies = %s
n = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
request = function()
  n = n %% #bodies + 1
  return wrk.format(nil, nil, nil, bodies[n])
end
"""


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
        except OSError:
            continue
    return found


class Served:
    """A server on the first processor, whatever it starts on the second."""

    def __init__(self, name: str, data: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        commands = {
            "ringwork": ["-m", "ringwork", "serve", "--data", str(data), "--port", str(self.port)],
            "twin, database reads": [
                "-m",
                "benchmarks.ads.twin",
                str(data),
                str(self.port),
                "reads",
            ],
            "twin, in memory": ["-m", "benchmarks.ads.twin", str(data), str(self.port), "memory"],
        }
        environment = {
            **os.environ,
            "RINGWORK_LOGGING__LEVEL": "warning",
            "RINGWORK_CONSOLE__ENABLED": "false",
            "RINGWORK_CHOICE__VENDOR_ID": str(VENDOR_ID),
        }
        self.process = subprocess.Popen(
            [sys.executable, *commands[name]],
            start_new_session=True,
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"{name} ended"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    break
            time.sleep(0.1)
        else:
            raise RuntimeError(f"{name} does not listen")
        for thread in Path(f"/proc/{self.process.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {0})
        for child in children(self.process.pid):
            for thread in Path(f"/proc/{child}/task").iterdir():
                os.sched_setaffinity(int(thread.name), {1})

    def ask(self, body: bytes) -> tuple[int, bytes]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/openrtb2/auction",
            body,
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()

    def load(self, connections: int, seconds: float, script: Path) -> tuple[float, float, float]:
        """(requests a CPU second, requests a second, CPU us a request of what it started)."""
        others = children(self.process.pid)
        before, helpers = cpu_s(self.process.pid), sum(map(cpu_s, others))
        command = [
            "taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "-s",
            str(script), f"http://127.0.0.1:{self.port}/openrtb2/auction",
        ]  # fmt: skip
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert "Non-2xx" not in output, output
        done = int(output.split(" requests in ")[0].split()[-1])
        spent = cpu_s(self.process.pid) - before
        return (
            done / spent,
            done / seconds,
            (sum(map(cpu_s, others)) - helpers) / max(done, 1) * 1e6,
        )

    def latency(self, rate: float, seconds: float, bodies: Path) -> dict[str, float]:
        command = [
            "taskset", "-c", "1", sys.executable, "-m", "benchmarks.ads.open_loop", str(self.port),
            str(rate), str(seconds), str(bodies),
        ]  # fmt: skip
        told: dict[str, float] = json.loads(
            subprocess.run(command, capture_output=True, text=True, check=True).stdout
        )
        return told

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def agree(ours: Served, twin: Served, bodies: list[bytes]) -> int:
    """How many of the requests both sold to the same ad at the same price; all must."""
    same = 0
    for body in bodies:
        one, other = (json.loads(server.ask(body)[1] or b"{}") for server in (ours, twin))
        bids = [
            (bid["crid"], bid["price"])
            for answer in (one, other)
            for seat in answer.get("seatbid", [])
            for bid in seat["bid"]
        ]
        assert len(bids) in (0, 2), (one, other)
        assert len(set(bids)) <= 1, f"the stacks disagree: {bids}"
        same += 1
    return same


def goal(
    text: str,
    measured: float,
    target: float,
    unit: str,
    *,
    at_most: bool,
    peer: str = "",
    ratio: float = 0,
) -> dict[str, object]:
    ok = measured <= target if at_most else measured >= target
    told: dict[str, object] = {
        "goal": text,
        "measured": round(measured, 2),
        "target": target,
        "unit": unit,
        "ok": ok,
    }
    if peer:
        told["peer"] = peer
    if ratio:
        told["ratio"] = round(ratio, 2)
    return told


def run(quick: bool) -> list[dict[str, object]]:
    """G2 and its latency, and the twin; ``retrieval`` measures ten times the ads."""
    if shutil.which("wrk") is None or shutil.which("taskset") is None:
        print("the serving goals need wrk and taskset on PATH: apt-get install -y wrk")
        return []
    small = 10_000 if quick else 100_000
    bodies = requests(BODIES)
    work = Path(tempfile.mkdtemp(prefix="ringwork-serving-"))
    script, kept = work / "post.lua", work / "bodies.json"
    texts = [body.decode() for body in bodies]
    script.write_text(LUA % ("{" + ",".join(json.dumps(text) for text in texts) + "}"))
    kept.write_text(json.dumps(texts))
    rounds, seconds = (1, 2) if quick else (5, 5)
    names = ("ringwork", "twin, in memory", "twin, database reads")
    goals: list[dict[str, object]] = []
    found: dict[str, list[float]] = {name: [] for name in names}
    follower: list[float] = []
    servers: dict[str, Served] = {}
    try:
        for name in names:
            data = work / name.replace(", ", "-").replace(" ", "-")
            shutil.copytree(store(small, ROOT_CACHE), data)
        os.sync()  # else the system writes the copies out half a minute later, while we measure
        for name in names:
            servers[name] = Served(name, work / name.replace(", ", "-").replace(" ", "-"))
        compared = agree(
            servers["ringwork"], servers["twin, in memory"], bodies[: 50 if quick else 300]
        )
        print(f"{compared} requests: both stacks sold the same ads at the same prices")
        for name in names:
            servers[name].load(16, 3, script)
        for _ in range(rounds):
            for name in names:
                rate, _, helped = servers[name].load(
                    64 if name == "ringwork" else 16, seconds, script
                )
                found[name].append(rate)
                if name == "ringwork":
                    follower.append(helped)
        rates = {name: statistics.median(values) for name, values in found.items()}
        print("requests a CPU second: " + ", ".join(f"{n} {r:,.0f}" for n, r in rates.items()))
        ours = rates["ringwork"]
        with_reads, in_memory = rates["twin, database reads"], rates["twin, in memory"]
        follows = f"its follower spends {statistics.median(follower):.0f} us a request beside it"
        goals += [
            goal(f"full ad request over HTTP, {small:,} live ads", ours, 8_000, "1/CPU s", at_most=False, peer=follows),
            goal("full ad request over the twin with database reads", ours / with_reads, 20, "x", at_most=False,
                 peer=f"FastAPI + pydantic + SQLAlchemy {with_reads:,.0f}/CPU s", ratio=ours / with_reads),
            goal("full ad request over the twin in memory", ours / in_memory, 0, "x", at_most=False,
                 peer=f"FastAPI + pydantic {in_memory:,.0f}/CPU s", ratio=ours / in_memory),
        ]  # fmt: skip
        for name in names[1:]:
            servers.pop(name).stop()
        served = servers["ringwork"]
        told = served.latency(ours / 2, 4 if quick else 20, kept)
        print(f"open loop: {told}")
        goals.append(
            goal("p99 at half load, open loop", told["p99_ms"], 2, "ms", at_most=True,
                 peer=f"p50 {told['p50_ms']:.2f}, p99.9 {told['p999_ms']:.2f} ms at {told['rate']:,.0f}/s")
        )  # fmt: skip
    finally:
        for server in servers.values():
            server.stop()
        shutil.rmtree(work, ignore_errors=True)
    return goals
