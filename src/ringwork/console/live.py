"""Live values: texts by name, sent once a second to who looks; ends with the server.

A page names its stream, a few lines of script replace the texts in place. Without script the page
is the same, as of the moment it was made.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final

import msgspec

from ringwork.kernel.errors import Overloaded
from ringwork.web.sse import message

TICK_S: Final = 1.0
STREAMS_MAX: Final = 64
"""Each costs a few queries a second; more viewers than that want their own copy of the figures."""
LIFE_TICKS: Final = 1800
"""A stream ends after half an hour; the browser of who still looks opens a new one."""

Texts = Callable[[], Awaitable[tuple[Mapping[str, str], int]]]
"""The texts of a page now, and the sequence of the newest event."""


class Live:
    """The open streams of one process."""

    def __init__(self, *, is_closing: Callable[[], bool], tick_s: float = TICK_S) -> None:
        """``is_closing`` turns true at shutdown: every stream ends within a tick."""
        self._is_closing = is_closing
        self._tick_s = tick_s
        self._open = 0

    def admit(self) -> None:
        """Raise Overloaded where one more stream would be too many."""
        if self._open >= STREAMS_MAX:
            raise Overloaded(f"{STREAMS_MAX} pages are live already; this one keeps its figures")

    async def stream(self, texts: Texts) -> AsyncIterator[bytes]:
        """One message a tick until the client leaves or the server closes."""
        self._open += 1
        try:
            for _ in range(LIFE_TICKS):
                if self._is_closing():
                    return
                now, seq = await texts()
                yield message(msgspec.json.encode({"texts": now, "seq": seq}))
                await asyncio.sleep(self._tick_s)
        finally:
            self._open -= 1
