"""An open-loop client: requests leave when the schedule says so, whatever came back before.

A closed loop waits for an answer before it asks again, so that a slow server is asked less and its
queue never shows. Here a latency counts from the moment a request was due. The client sleeps in
``select`` until an answer comes or the next request is due, to the microsecond: one that spins
takes the processor from whatever else is on it, the server's follower, and then waits for it
itself. It asks for real-time priority, so that what is measured is the server and not its client.

    python -m benchmarks.ads.open_loop PORT RATE SECONDS BODIES   (prints JSON)
"""

from __future__ import annotations

import gc
import json
import os
import random
import select
import socket
import sys
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

CONNECTIONS = 64
PATH = "/openrtb2/auction"
PRIORITY = 50
ANSWER_MAX_BYTES = 1 << 18
LAST_WAIT_S = 1.0


class Connection:
    """One keep-alive connection with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due_ns = 0
        self._waiting = b""

    def ask(self, request: bytes, due_ns: int) -> None:
        self.due_ns = due_ns
        self.socket.sendall(request)

    def is_answered(self) -> bool:
        """Whether what has come is a whole answer; an error where it is a refusal or the end."""
        data = self.socket.recv(ANSWER_MAX_BYTES)
        if not data:
            raise RuntimeError("the server closed a connection")
        if self._waiting:
            data, self._waiting = self._waiting + data, b""
        head, separator, body = data.partition(b"\r\n\r\n")
        if not separator:
            self._waiting = data
            return False
        at = head.lower().find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(body) < length:
            self._waiting = data
            return False
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 204")):
            raise RuntimeError(f"expected 200 or 204, got {head[:200]!r}")
        return True


def drive(port: int, rate: float, seconds: float, bodies: list[bytes]) -> dict[str, float]:
    """Latencies in ms at ``rate`` requests a second, arriving as a Poisson process."""
    every = [Connection(port) for _ in range(CONNECTIONS)]
    idle = deque(every)
    """Taken in turn: one that were left alone would be closed by the server."""
    by_socket = {one.socket: one for one in every}
    sockets = [one.socket for one in every]
    latencies_ns: list[int] = []
    head = f"POST {PATH} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\ncontent-length: "
    wires = [f"{head}{len(body)}\r\n\r\n".encode() + body for body in bodies]
    rng = random.Random(3)
    due_ns = time.perf_counter_ns() + 50_000_000
    end_ns = due_ns + int(seconds * 1e9)
    sent = starved = 0
    late_ns: list[int] = []
    gc.disable()
    cpu_s = time.process_time()
    while True:
        now_ns = time.perf_counter_ns()
        while due_ns <= now_ns and due_ns < end_ns:
            if not idle:
                starved += 1
                break
            idle.popleft().ask(wires[sent % len(wires)], due_ns)
            late_ns.append(now_ns - due_ns)
            sent += 1
            due_ns += int(rng.expovariate(rate) * 1e9)
        if due_ns >= end_ns and len(latencies_ns) == sent:
            break
        if now_ns > end_ns + int((seconds + LAST_WAIT_S) * 1e9):
            raise RuntimeError(f"{sent} requests in twice the time: it is overloaded")
        wait_s = LAST_WAIT_S
        if due_ns < end_ns and idle:
            wait_s = max(due_ns - time.perf_counter_ns(), 0) / 1e9
        for readable in select.select(sockets, (), (), wait_s)[0]:
            one = by_socket[readable]
            if one.is_answered():
                latencies_ns.append(time.perf_counter_ns() - one.due_ns)
                idle.append(one)
    latencies_ns.sort()
    late_ns.sort()

    def at(share: float, of: list[int]) -> float:
        return of[min(int(len(of) * share), len(of) - 1)] / 1e6

    return {
        "sent": sent, "answered": len(latencies_ns), "starved": starved, "rate": sent / seconds,
        "p50_ms": at(0.5, latencies_ns), "p90_ms": at(0.9, latencies_ns), "p99_ms": at(0.99, latencies_ns),
        "p999_ms": at(0.999, latencies_ns), "max_ms": latencies_ns[-1] / 1e6,
        "sent_late_p99_ms": at(0.99, late_ns), "client_cpu": (time.process_time() - cpu_s) / seconds,
    }  # fmt: skip


if __name__ == "__main__":
    port, rate, seconds, kept = sys.argv[1:5]
    wanted = [text.encode() for text in json.loads(Path(kept).read_text())]
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    print(json.dumps(drive(int(port), float(rate), float(seconds), wanted)))
