"""Stocks the market with its long tail through the bulk import, while people look at pages.

One request after another, on a connection of its own. A platform that is busy is asked again with
the same key, so that nothing is made twice; what an operator changed meanwhile stays changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

import httpx
import msgspec

from ringwork.kernel.errors import Busy, RingworkError
from ringwork.world.cast import Setup
from ringwork.world.long_tail import ADS_EACH, MERCHANTS, advertisers, deposits, stock

ATTEMPTS_MAX: Final = 60
PAUSE_S: Final = 1.0
"""A platform that is busy for a minute has another trouble."""
CALLS_AT_ONCE: Final = 8
"""Each waits for the disk or the tables of queries, which take many as fast as one."""

Stocked = Callable[[int], None]


class Stocker:
    """Makes what is missing of the long tail."""

    def __init__(self, client: httpx.AsyncClient, *, token: str, seed: int, start_us: int) -> None:
        self._client = client
        self._auth = {"authorization": f"Bearer {token}"}
        self._seed = seed
        self._start_us = start_us

    async def run(self, merchants: int, stocked: Stocked) -> None:
        """Go on after so many merchants; ``stocked`` hears how many there are, and with it ads.

        Raises RingworkError when the platform refuses what should be taken.
        """
        if merchants == 0:
            await self._import("advertisers", list(advertisers(self._seed)))
            await self.make(deposits(self._seed))
        for number in range(merchants, MERCHANTS):
            lines = await asyncio.to_thread(stock, self._seed, number, self._start_us)
            await self._import(str(number), lines)
            stocked(number + 1)

    async def make(self, calls: Iterator[Setup]) -> None:
        """Several calls at once, in no order. Raises as ``run``."""

        async def take() -> None:
            for call in calls:  # one iterator for all of them
                headers = {"content-type": "application/json", "idempotency-key": call.key}
                await self._send(call.path, msgspec.json.encode(call.body), headers)

        async with asyncio.TaskGroup() as group:
            for _ in range(CALLS_AT_ONCE):
                group.create_task(take())

    async def _import(self, name: str, lines: list[bytes]) -> None:
        headers = {
            "content-type": "application/x-ndjson",
            "idempotency-key": f"world:long-tail:{name}",
        }
        answer = await self._send("/v1/import", b"\n".join(lines), headers)
        for line in msgspec.json.decode(answer.content)["lines"]:
            if line["status"] == "refused" and not line["problem"]["type"].endswith("-exists"):
                detail = line["problem"]["detail"]
                raise RingworkError(f"/v1/import {line['id']}: {detail}")

    async def _send(self, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        for _ in range(ATTEMPTS_MAX):
            try:
                answer = await self._client.post(
                    path, content=body, headers={**self._auth, **headers}
                )
            except httpx.TransportError:  # whether the server is there is watched by others
                await asyncio.sleep(PAUSE_S)
                continue
            if answer.status_code == 503:
                await asyncio.sleep(PAUSE_S)
            elif answer.status_code >= 400:
                raise RingworkError(f"{path}: {answer.text[:300]}")
            else:
                return answer
        raise Busy(f"{path}: the platform takes nothing, after {ATTEMPTS_MAX} attempts")


def ads_of(merchants: int) -> int:
    """The ads of so many merchants."""
    return merchants * ADS_EACH
