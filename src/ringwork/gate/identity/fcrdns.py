"""Forward-confirmed reverse DNS: an address's name, believed if the name has that address.

Whoever rents an address writes its PTR record himself ("googlebot.com" on rented servers is
common); only the owner of the name writes where the name points. So both are asked, and both have
to agree. Never on the request path: a verdict is what is known by now, and asking goes on beside.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct

from ringwork.gate.identity.ip import address_of, text_of
from ringwork.gate.identity.resolver import LookupFailed, Resolver
from ringwork.kernel.ports import Clock

SUFFIXES: Final[Mapping[str, tuple[str, ...]]] = {
    "google": (".googlebot.com", ".google.com", ".googleusercontent.com"),
    "bing": (".search.msn.com",),
    "apple": (".applebot.apple.com",),
    "yandex": (".yandex.ru", ".yandex.net", ".yandex.com"),
    "baidu": (".crawl.baidu.com", ".crawl.baidu.jp"),
}
"""Operator -> what the names of its crawlers end with, as the operators' own pages say."""

POSITIVE_S: Final = 86_400
NEGATIVE_S: Final = 600
FAILED_S: Final = 60
"""After a resolver that did not answer: it says nothing about the address."""
KEPT_MAX: Final = 65_536
IN_FLIGHT_MAX: Final = 16
WAITING_MAX: Final = 1024
NAMES_MAX: Final = 8
"""PTR records of one address that are looked at."""
TIME_MAX_S: Final = 5.0

Standing = Literal["confirmed", "denied", "pending"]


class HostVerdict(Struct, frozen=True):
    """What reverse DNS says of an address; ``pending`` is as good as unverified."""

    standing: Standing
    operator: str | None = None
    name: str | None = None


PENDING: Final = HostVerdict("pending")
DENIED: Final = HostVerdict("denied")


def operator_of(name: str, suffixes: Mapping[str, tuple[str, ...]] = SUFFIXES) -> str | None:
    """Whose crawler a host of this name is. The suffix begins with a dot: no look-alikes."""
    host = name.rstrip(".").lower()
    for operator, ends in suffixes.items():
        if host.endswith(ends):
            return operator
    return None


class ForwardConfirmed:
    """Verdicts by address, kept a day (10 minutes where the names do not agree)."""

    def __init__(
        self,
        *,
        resolver: Resolver,
        clock: Clock,
        suffixes: Mapping[str, tuple[str, ...]] = SUFFIXES,
        kept_max: int = KEPT_MAX,
    ) -> None:
        self._resolver = resolver
        self._now_ns = clock.monotonic_ns
        self._suffixes = suffixes
        self._kept_max = kept_max
        self._kept: OrderedDict[int, tuple[HostVerdict, int]] = OrderedDict()
        self._asking: dict[int, asyncio.Task[HostVerdict]] = {}
        self._turns = asyncio.Semaphore(IN_FLIGHT_MAX)

    def verdict(self, address: int) -> HostVerdict:
        """What is known now; asks beside where nothing is, if a loop runs. Never waits."""
        known = self._known(address)
        if known is not None:
            return known
        self._ask(address)
        return PENDING

    async def check(self, address: int) -> HostVerdict:
        """The verdict, asked for if need be; one question for all who wait for it."""
        known = self._known(address)
        if known is not None:
            return known
        task = self._ask(address)
        return PENDING if task is None else await asyncio.shield(task)

    async def aclose(self) -> None:
        """End the questions that are under way."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _known(self, address: int) -> HostVerdict | None:
        kept = self._kept.get(address)
        return kept[0] if kept is not None and self._now_ns() < kept[1] else None

    def _ask(self, address: int) -> asyncio.Task[HostVerdict] | None:
        task = self._asking.get(address)
        if task is not None:
            return task
        if len(self._asking) >= WAITING_MAX:
            return None
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return None
        task = loop.create_task(self._answer(address))
        self._asking[address] = task
        task.add_done_callback(lambda _: self._asking.pop(address, None))
        return task

    async def _answer(self, address: int) -> HostVerdict:
        try:
            async with self._turns, asyncio.timeout(TIME_MAX_S):
                found = await self._asked(address)
        except (LookupFailed, TimeoutError):
            found = PENDING
        kept_s = {"confirmed": POSITIVE_S, "denied": NEGATIVE_S, "pending": FAILED_S}[
            found.standing
        ]
        self._kept.pop(address, None)
        while len(self._kept) >= self._kept_max:
            self._kept.popitem(last=False)
        self._kept[address] = (found, self._now_ns() + kept_s * 1_000_000_000)
        return found

    async def _asked(self, address: int) -> HostVerdict:
        names = await self._resolver.names(text_of(address))
        for name in names[:NAMES_MAX]:
            operator = operator_of(name, self._suffixes)
            if operator is None:
                continue
            forward = await self._resolver.addresses(name)
            if any(address_of(one) == address for one in forward):
                return HostVerdict("confirmed", operator, name.rstrip(".").lower())
        return DENIED
