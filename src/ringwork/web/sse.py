"""Server-sent events (HTML Living Standard, section 9.2).

Cursors, heartbeats, slow clients dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

HEARTBEAT_S: Final = 15.0
WAITING_MAX: Final = 256
"""Messages that may wait for one client.

A slower one is disconnected and resumes by Last-Event-ID.
"""

HEARTBEAT: Final = b": heartbeat\n\n"


def message(data: bytes, *, id: str = "", event: str = "") -> bytes:
    """One message; ``data`` is a single line (JSON)."""
    head = (f"id: {id}\n" if id else "") + (f"event: {event}\n" if event else "")
    return head.encode() + b"data: " + data + b"\n\n"


class Broadcast:
    """Hands a small message to every listening page. Listeners that do not keep up are dropped."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[bytes | None]] = set()

    @property
    def listeners(self) -> int:
        return len(self._queues)

    def send(self, text: bytes) -> None:
        """Queue for everybody, on the loop's thread."""
        for queue in list(self._queues):
            try:
                queue.put_nowait(text)
            except asyncio.QueueFull:
                self._drop(queue)

    def close(self) -> None:
        """End every stream, so that a shutdown does not wait for them."""
        for queue in list(self._queues):
            self._drop(queue)

    def _drop(self, queue: asyncio.Queue[bytes | None]) -> None:
        self._queues.discard(queue)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)

    async def listen(self) -> AsyncIterator[bytes]:
        """Messages until the server closes or the client is too slow; heartbeats in between."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(WAITING_MAX)
        self._queues.add(queue)
        try:
            while True:
                try:
                    text = await asyncio.wait_for(queue.get(), HEARTBEAT_S)
                except TimeoutError:
                    yield HEARTBEAT
                    continue
                if text is None:
                    return
                yield text
        finally:
            self._queues.discard(queue)
