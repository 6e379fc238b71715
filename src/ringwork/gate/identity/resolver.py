"""Names and addresses, as the machine's resolver answers; the port through which parts ask."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol


class LookupFailed(Exception):
    """The resolver did not answer; an empty answer is one."""


class Resolver(Protocol):
    """The domain name system. Answers are texts; LookupFailed where there was none."""

    async def addresses(self, host: str) -> Sequence[str]:
        """The addresses of a name; none for a name that does not exist."""
        ...

    async def names(self, address: str) -> Sequence[str]:
        """The names of an address (PTR); none where there are none."""
        ...


_NOT_THERE = frozenset(
    code for code in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None)) if code is not None
)


THREADS: Final = 8
"""Of its own: names that nobody answers for hold up only each other."""


class SystemResolver:
    """What the machine is configured with, asked in threads."""

    __slots__ = ("_threads",)

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="resolver")

    async def addresses(self, host: str) -> Sequence[str]:
        """See ``Resolver``."""

        def ask() -> list[str]:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            return [str(entry[4][0]) for entry in found]

        return tuple(dict.fromkeys(await self._ask(ask)))

    async def names(self, address: str) -> Sequence[str]:
        """See ``Resolver``. The machine's resolver tells one name, the first."""

        def ask() -> list[str]:
            return [socket.getnameinfo((address, 0), socket.NI_NAMEREQD)[0]]

        return await self._ask(ask)

    async def _ask(self, ask: Callable[[], list[str]]) -> list[str]:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        except socket.gaierror as error:
            if error.errno in _NOT_THERE:
                return []
            raise LookupFailed(str(error.strerror)) from error
        except (OSError, UnicodeError) as error:  # a label of more than 63 letters
            raise LookupFailed(str(error)) from error
