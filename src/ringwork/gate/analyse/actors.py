"""Who stands behind the lines of a log, and their sums: memory grows with them and nothing else."""

from __future__ import annotations

import hashlib
import re
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ringwork.gate.analyse.agents import Agent

    Longs = NDArray[np.int64]

By = Literal["ip", "user", "visit"]
ACTORS_MAX: Final = 1 << 21
"""Beyond it new ones are counted together as OTHER: a flood ends there, at about 1 GB."""
OTHER: Final = "ip:other"
NAME_MAX: Final = 200
AGENTS_MAX: Final = 16
"""Different agents that are told apart for one actor."""
_FIRST_ROOM: Final = 1024
_Key = bytes | tuple[str, bytes]
"""An address as it is written, or something else with its kind."""
_MAPPED: Final = b"\x00" * 10 + b"\xff\xff"


class Actors:
    """Numbers for actors in the order of the log, and what is summed for each.

    An IPv6 customer holds at least a /64, so that is the actor; it is named by its address while
    only one was seen in it.
    """

    def __init__(self, *, actors_max: int = ACTORS_MAX) -> None:
        self._numbers: dict[_Key, int] = {}
        self._max = actors_max
        self.names: list[str] = []
        self._agents: list[bytes] = []
        self.claims: dict[int, str] = {}
        self._more_agents: dict[int, set[int]] = {}
        self._networks: set[int] = set()
        self.requests: Longs = np.zeros(_FIRST_ROOM, np.int64)
        self.first_us: Longs = np.full(_FIRST_ROOM, np.iinfo(np.int64).max)
        self.last_us: Longs = np.full(_FIRST_ROOM, np.iinfo(np.int64).min)
        self._has_agent = np.zeros(_FIRST_ROOM, np.bool_)
        self._agent_values: Longs = np.zeros(_FIRST_ROOM, np.int64)

    def __len__(self) -> int:
        return len(self.names)

    def of_address(self, address: bytes) -> int:
        """The number of whoever has an address (or host name)."""
        number = self._numbers.get(address)
        if number is not None:
            return number
        packed = _packed(address)
        if packed is None:
            host = address.lower()[:NAME_MAX]
            return self._number(host, "ip:" + printable(host))
        if len(packed) == 4:
            # A dotted address that parses is in its only form; one inside IPv6 is written like it.
            dotted = inet_ntop(AF_INET, packed) if b":" in address else address.decode("ascii")
            return self._number(dotted.encode(), "ip:" + dotted)
        name = "ip:" + inet_ntop(AF_INET6, packed)
        number = self._number(("network", packed[:8]), name)
        if number not in self._networks and self.names[number] not in {name, OTHER}:
            self._networks.add(number)
            self.names[number] = f"ip:{inet_ntop(AF_INET6, packed[:8] + bytes(8))}/64"
        return number

    def of_addresses(self, addresses: Sequence[bytes]) -> Longs:
        """The numbers of several."""
        known = self._numbers.get
        found = [known(one, -1) for one in addresses]
        return np.array(
            [
                number if number >= 0 else self.of_address(one)
                for number, one in zip(found, addresses, strict=True)
            ],
            np.int64,
        )

    def of_user(self, user: bytes) -> int:
        """The number of an account that the server knows."""
        return self._number(("user", user[:NAME_MAX]), "user:" + printable(user))

    def of_visit(self, address: int, agent: bytes) -> int:
        """The number of somebody with one address and one agent."""
        mark = hashlib.blake2s(agent, digest_size=4).hexdigest()
        name = self.names[address].partition(":")[2]
        return self._number(("visit", b"%d/%s" % (address, mark.encode())), f"visit:{name}/{mark}")

    def is_account(self, number: int) -> bool:
        """Whether there is more to go by than an address."""
        return self.names[number].startswith("user:")

    def is_network(self, number: int) -> bool:
        """Whether several addresses stand behind it."""
        return number in self._networks

    def add(self, numbers: Longs, ts_us: Longs) -> None:
        """Counts a block: the actor and the time of every line."""
        self._room()
        np.add.at(self.requests, numbers, 1)
        np.minimum.at(self.first_us, numbers, ts_us)
        np.maximum.at(self.last_us, numbers, ts_us)

    def saw(self, numbers: Longs, codes: Longs, agents: Sequence[tuple[bytes, Agent]]) -> None:
        """Notes agents of actors, pair by pair in the order of the log.

        The first of an actor is kept in words, of the others only how many they are.
        """
        values = np.array([agent.value for _, agent in agents], np.int64)
        is_new = ~self._has_agent[numbers] | (self._agent_values[numbers] != values[codes])
        for number, code in zip(numbers[is_new].tolist(), codes[is_new].tolist(), strict=True):
            text, agent = agents[code]
            if not self._has_agent[number]:
                self._has_agent[number] = True
                self._agent_values[number] = agent.value
                self._agents[number] = text
            else:
                first = int(self._agent_values[number])
                seen = self._more_agents.setdefault(number, {first})
                if len(seen) <= AGENTS_MAX:
                    seen.add(agent.value)
            if agent.claims:
                self.claims.setdefault(number, agent.claims)

    def first_agent_of(self, number: int) -> bytes:
        """The agent under which an actor first came."""
        return self._agents[number]

    def agents_of(self, number: int) -> int:
        """How many agents an actor had; AGENTS_MAX + 1 means more than AGENTS_MAX."""
        return len(self._more_agents.get(number, (None,)))

    def _number(self, key: _Key, name: str) -> int:
        known = self._numbers.get(key)
        if known is not None:
            return known
        if len(self.names) >= self._max:
            key, name = ("other", b""), OTHER
            known = self._numbers.get(key)
            if known is not None:
                return known
        self._numbers[key] = len(self.names)
        self.names.append(name)
        self._agents.append(b"")
        return len(self.names) - 1

    def _room(self) -> None:
        size = len(self.requests)
        if len(self.names) <= size:
            return
        more = max(len(self.names), 2 * size) - size
        self.requests = np.concatenate((self.requests, np.zeros(more, np.int64)))
        self._has_agent = np.concatenate((self._has_agent, np.zeros(more, np.bool_)))
        self._agent_values = np.concatenate((self._agent_values, np.zeros(more, np.int64)))
        largest, smallest = np.iinfo(np.int64).max, np.iinfo(np.int64).min
        self.first_us = np.concatenate((self.first_us, np.full(more, largest)))
        self.last_us = np.concatenate((self.last_us, np.full(more, smallest)))


def printable(text: bytes, limit: int = NAME_MAX) -> str:
    """Text of strangers as printable ASCII: everything else is written out, nothing acts."""
    cut = text[:limit]
    shown = (_UNPRINTABLE.sub(_written, cut) if _UNPRINTABLE.search(cut) else cut).decode("ascii")
    return shown + ("\N{HORIZONTAL ELLIPSIS}" if len(text) > limit else "")


_UNPRINTABLE: Final = re.compile(rb"[^ -~]")


def _written(found: re.Match[bytes]) -> bytes:
    return b"\\x%02x" % ord(found[0])


def _packed(address: bytes) -> bytes | None:
    text = address.decode("ascii", "replace")
    try:
        if ":" not in text:
            return inet_pton(AF_INET, text)
        packed = inet_pton(AF_INET6, text.partition("%")[0])
    except (OSError, ValueError):
        return None
    return packed[12:] if packed.startswith(_MAPPED) else packed
