"""Names and addresses, as the machine's resolver answers; the port through which parts ask."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Protocol


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


class SystemResolver:
    """What the machine is configured with, asked in the loop's threads."""

    __slots__ = ()

    async def addresses(self, host: str) -> Sequence[str]:
        """See ``Resolver``."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            if error.errno in _NOT_THERE:
                return ()
            raise LookupFailed(f"addresses: {error.strerror}") from error
        except (OSError, UnicodeError) as error:
            raise LookupFailed("addresses") from error
        return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))

    async def names(self, address: str) -> Sequence[str]:
        """See ``Resolver``. The machine's resolver tells one name, the first."""
        loop = asyncio.get_running_loop()
        try:
            name, _ = await loop.getnameinfo((address, 0), socket.NI_NAMEREQD)
        except socket.gaierror as error:
            if error.errno in _NOT_THERE:
                return ()
            raise LookupFailed(f"names: {error.strerror}") from error
        except OSError as error:
            raise LookupFailed("names") from error
        return (name,)
