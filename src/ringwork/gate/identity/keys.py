"""Which keys an agent has: configured by the operator, or fetched from where it publishes them.

A key is looked up by (URL, thumbprint), never by the thumbprint alone: else a request would be
attributed to a URL that never published the key, and nobody there could notice.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, Protocol

from ringwork.gate.identity.directory import DirectoryFailed, DirectoryReader, Reader
from ringwork.gate.identity.jwk import KeySet, PublicKey, configured_keys
from ringwork.gate.identity.urls import AgentRef, discovery, identifier_of
from ringwork.gate.limits import Gcra, MultiLimiter
from ringwork.kernel.errors import Refused
from ringwork.kernel.ports import Clock, Entropy

Found = tuple[PublicKey | None, str]
"""The key, or None and the reason why there is none."""


class KeySource(Protocol):
    """Keys of agents. ``find`` does no I/O; ``fetch`` may."""

    def find(self, agent: AgentRef | None, keyid: str) -> Found: ...

    async def fetch(self, agent: AgentRef, keyid: str) -> None: ...


class StaticKeys:
    """Keys that the operator configured, by the agents' URLs."""

    def __init__(self, jwks: Mapping[str, object]) -> None:
        """``jwks``: URL -> JWK Set (as bytes, text or decoded).

        The URL is the agent's origin (keys of its directory), or the URL of its key set or card.
        Refused (``agent-keys-invalid``) names the key or the URL that is none.
        """
        self._keys = {_identifier(url): configured_keys(one, url) for url, one in jwks.items()}
        self._by_thumbprint: dict[str, PublicKey] = {}
        for known in self._keys.values():
            self._by_thumbprint.update(known)

    def find(self, agent: AgentRef | None, keyid: str) -> Found:
        """See ``KeySource``. Without an agent the key itself is all that is known of the sender."""
        if agent is None:
            found = self._by_thumbprint.get(keyid)
            return found, "" if found else "key-unknown"
        known = self._keys.get(agent.identifier)
        if known is None:
            return None, "agent-unknown"
        found = known.get(keyid)
        return found, "" if found else "key-unknown"

    async def fetch(self, agent: AgentRef, keyid: str) -> None:
        """Nothing is fetched."""


def _identifier(url: str) -> str:
    try:
        identifier = identifier_of(url)
        is_origin = identifier.count("/") == 3 and identifier.endswith("/")
        return discovery(url, "directory").identifier if is_origin else identifier
    except ValueError as error:
        raise Refused("agent-keys-invalid", f"{url!r:.80}: {error}", status=422) from error


NS_PER_S: Final = 1_000_000_000
AGENTS_MAX: Final = 4096
AGE_DEFAULT_S: Final = 3600
"""Where the publisher does not say."""
AGE_MIN_S: Final = 60
"""Also for ``no-store``: a directory is asked once a minute, not once a request."""
AGE_MAX_S: Final = 86_400
"""A removed key stops verifying within a day, whatever its publisher said of caching."""
RETRY_FIRST_S: Final = 5
RETRY_MAX_S: Final = 300
UNKNOWN_KEY_S: Final = 60
"""How soon a directory is asked again for a key that it did not hold: signers rotate."""
IN_FLIGHT_MAX: Final = 16
PER_HOST_MAX: Final = 2
NEW_PER_MINUTE: Final = 60
"""Agents never read before: URLs cost a stranger nothing, fetches cost us."""


class _Entry:
    """What is known of one URL, times on the clock that never goes back."""

    __slots__ = (
        "failures",
        "fresh_until_ns",
        "keys",
        "read_ns",
        "refresh_ns",
        "retry_ns",
        "stale_ok",
    )

    def __init__(self) -> None:
        self.keys: KeySet | None = None
        self.read_ns = self.fresh_until_ns = self.refresh_ns = self.retry_ns = 0
        self.failures = 0
        self.stale_ok = False
        """A fetch failed since the keys ran out: an outage revokes no keys."""


class FetchedKeys:
    """Keys from the agents' own URLs, cached as HTTP says, within bounds.

    ``find`` answers from memory and starts a fetch where one is due and a loop runs; until then the
    request is unverified (``keys-pending``). A directory that was read replaces what was known, a
    fetch that failed replaces nothing. ``static`` keys come first.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        entropy: Entropy,
        reader: Reader | None = None,
        static: StaticKeys | None = None,
        agents_max: int = AGENTS_MAX,
    ) -> None:
        self._now_ns = clock.monotonic_ns
        self._take = entropy.take
        self._reader = reader or DirectoryReader()
        self._static = static
        self._agents_max = agents_max
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()
        # Apart, so that URLs which lead nowhere push out no agent that was read.
        self._without: OrderedDict[tuple[str, str], _Entry] = OrderedDict()
        self._in_flight: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._new = MultiLimiter([Gcra(limit=NEW_PER_MINUTE, period_s=60)], clock=clock)
        self.fetches = 0
        self.failures = 0

    def find(self, agent: AgentRef | None, keyid: str) -> Found:
        """See ``KeySource``."""
        if self._static is not None:
            found, reason = self._static.find(agent, keyid)
            if found is not None:
                return found, reason
        if agent is None:
            return None, "key-unknown"
        place, now_ns = (agent.kind, agent.fetch), self._now_ns()
        entry = self._entries.get(place)
        if entry is None or entry.keys is None:
            return None, self._wanted(agent, self._without.get(place), now_ns)
        key = entry.keys.get(keyid)
        if now_ns < entry.fresh_until_ns or entry.stale_ok:
            if key is not None:
                self._entries.move_to_end(place)  # who verifies requests is evicted last
                if now_ns >= max(entry.refresh_ns, entry.retry_ns):
                    self._start(agent, is_new=False)
                return key, ""
            if now_ns < max(entry.read_ns + UNKNOWN_KEY_S * NS_PER_S, entry.retry_ns):
                return None, "key-unknown"
        return None, self._wanted(agent, entry, now_ns)

    async def fetch(self, agent: AgentRef, keyid: str) -> None:
        """Wait for the keys, if they are due: one fetch for all who wait for it."""
        if self.find(agent, keyid)[1] != "keys-pending":
            return
        task = self._in_flight.get((agent.kind, agent.fetch))
        if task is not None:
            await asyncio.shield(task)

    async def aclose(self) -> None:
        """End what is in flight."""
        tasks = list(self._in_flight.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _wanted(self, agent: AgentRef, entry: _Entry | None, now_ns: int) -> str:
        """Start a fetch if it may be; the reason why there is no key yet."""
        if entry is not None and now_ns < entry.retry_ns:
            return "keys-unavailable"
        return "keys-pending" if self._start(agent, is_new=entry is None) else "keys-unavailable"

    def _start(self, agent: AgentRef, *, is_new: bool) -> bool:
        place = (agent.kind, agent.fetch)
        if place in self._in_flight:
            return True
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False  # nothing runs that could fetch
        host = _host(agent.fetch)
        if len(self._in_flight) >= IN_FLIGHT_MAX:
            return False
        if sum(_host(url) == host for _, url in self._in_flight) >= PER_HOST_MAX:
            return False
        if is_new and not self._new.take1("new").allowed:
            return False
        task = loop.create_task(self._read(agent, place))
        self._in_flight[place] = task
        task.add_done_callback(lambda _: self._in_flight.pop(place, None))
        return True

    async def _read(self, agent: AgentRef, place: tuple[str, str]) -> None:
        self.fetches += 1
        try:
            found = await self._reader.read(agent)
        except DirectoryFailed:
            self._failed(place)
            return
        self._without.pop(place, None)
        entry, now_ns = self._entry(self._entries, place), self._now_ns()
        told = AGE_DEFAULT_S if found.max_age_s is None else found.max_age_s
        age_ns = min(max(told, AGE_MIN_S), AGE_MAX_S) * NS_PER_S
        entry.keys = found.keys
        entry.read_ns, entry.fresh_until_ns = now_ns, now_ns + age_ns
        # Between 80 and 100 %: workers that started together do not ask together.
        entry.refresh_ns = now_ns + age_ns * 4 // 5 + age_ns * self._take(1)[0] // 256 // 5
        entry.failures = entry.retry_ns = 0
        entry.stale_ok = False

    def _failed(self, place: tuple[str, str]) -> None:
        self.failures += 1
        entry, now_ns = self._entries.get(place), self._now_ns()
        entry = entry or self._entry(self._without, place)
        entry.failures += 1
        wait_s = min(RETRY_FIRST_S * 2 ** min(entry.failures - 1, 10), RETRY_MAX_S)
        wait_ns = wait_s * NS_PER_S
        entry.retry_ns = now_ns + wait_ns - wait_ns * self._take(1)[0] // 256 // 5
        if entry.keys is not None and now_ns >= entry.fresh_until_ns:
            entry.stale_ok = True

    def _entry(self, among: OrderedDict[tuple[str, str], _Entry], place: tuple[str, str]) -> _Entry:
        entry = among.get(place)
        if entry is None:
            while len(among) >= self._agents_max:
                among.popitem(last=False)
            entry = among[place] = _Entry()
        return entry


def _host(url: str) -> str:
    return url.split("/", 3)[2]
