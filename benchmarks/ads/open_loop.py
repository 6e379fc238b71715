"""An open-loop client: requests leave when the schedule says so, whatever came back before.

A closed loop waits for an answer before it asks again, so that a slow server is asked less and its
queue never shows. Here a latency counts from the moment a request was due.

    python -m benchmarks.ads.open_loop PORT RATE SECONDS BODIES   (prints JSON)
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import sys
import time
from collections import deque
from pathlib import Path
from typing import cast

import uvloop

CONNECTIONS = 64
PATH = "/openrtb2/auction"


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request under way."""

    def __init__(
        self, idle: deque[Connection], latencies_ns: list[int], lost: list[Exception | None]
    ) -> None:
        self._idle = idle
        self._lost = lost
        self._latencies_ns = latencies_ns
        self._due_ns = 0
        self._waiting = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own class
        self._idle.append(self)

    def ask(self, request: bytes, due_ns: int) -> None:
        assert self.transport is not None
        self._due_ns = due_ns
        self.transport.write(request)

    def connection_lost(self, error: Exception | None) -> None:
        self._lost.append(error)

    def data_received(self, data: bytes) -> None:
        if self._waiting:
            data, self._waiting = self._waiting + data, b""
        head, separator, body = data.partition(b"\r\n\r\n")
        if not separator:
            self._waiting = data
            return
        at = head.lower().find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(body) < length:
            self._waiting = data
            return
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 204")):
            self._lost.append(ValueError(head[:200].decode()))
        self._latencies_ns.append(time.perf_counter_ns() - self._due_ns)
        self._idle.append(self)


async def drive(port: int, rate: float, seconds: float, bodies: list[bytes]) -> dict[str, float]:
    """Latencies in ms at ``rate`` requests a second, arriving as a Poisson process."""
    loop = asyncio.get_running_loop()
    idle: deque[Connection] = deque()
    """Taken in turn: one that were left alone would be closed by the server."""
    latencies_ns: list[int] = []
    lost: list[Exception | None] = []
    for _ in range(CONNECTIONS):
        await loop.create_connection(
            lambda: Connection(idle, latencies_ns, lost), "127.0.0.1", port
        )
    head = f"POST {PATH} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\ncontent-length: "
    wires = [f"{head}{len(body)}\r\n\r\n".encode() + body for body in bodies]
    rng = random.Random(3)
    due_ns = time.perf_counter_ns() + 50_000_000
    end_ns = due_ns + int(seconds * 1e9)
    sent = starved = 0
    gc.disable()
    while due_ns < end_ns and not lost:
        now_ns = time.perf_counter_ns()
        while due_ns <= now_ns and due_ns < end_ns:
            if not idle:
                starved += 1
                if now_ns > end_ns + int(seconds * 1e9):
                    raise RuntimeError(f"{sent} requests in twice the time: it is overloaded")
                break
            idle.popleft().ask(wires[sent % len(wires)], due_ns)
            sent += 1
            due_ns += int(rng.expovariate(rate) * 1e9)
        wait_ns = due_ns - time.perf_counter_ns()
        await asyncio.sleep(max(wait_ns, 0) / 1e9 if wait_ns > 200_000 else 0)
    await asyncio.sleep(0.3)
    if lost:  # what was measured is not a server that keeps up
        raise RuntimeError(f"after {sent} requests the server closed a connection: {lost[0]!r}")
    latencies_ns.sort()

    def at(share: float) -> float:
        return latencies_ns[min(int(len(latencies_ns) * share), len(latencies_ns) - 1)] / 1e6

    return {
        "sent": sent, "answered": len(latencies_ns), "starved": starved, "rate": sent / seconds,
        "p50_ms": at(0.5), "p90_ms": at(0.9), "p99_ms": at(0.99), "p999_ms": at(0.999), "max_ms": latencies_ns[-1] / 1e6,
    }  # fmt: skip


if __name__ == "__main__":
    port, rate, seconds, kept = sys.argv[1:5]
    wanted = [text.encode() for text in json.loads(Path(kept).read_text())]
    print(json.dumps(uvloop.run(drive(int(port), float(rate), float(seconds), wanted))))
