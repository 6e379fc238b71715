"""Facts of an HTTP request: who asks, from where, for what.

Every field is what a client may have written, except what a trusted proxy says. None of them can
cause anything but a decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from ringwork.gate.facts import Facts
from ringwork.gate.identity.address import ClientAddresses
from ringwork.gate.identity.ip import address_of, host_key, net_key
from ringwork.gate.policy.model import Policy

Headers = Iterable[tuple[bytes, bytes]]

NAME_MAX: Final = 200
"""Characters of a name that somebody gives himself; a longer one is none."""
PATH_MAX: Final = 2000
COOKIES_MAX: Final = 8192
IDENTITIES: Final = ("account", "app", "ad_account", "device", "visit", "tier")


class RequestFacts:
    """Reads requests as a policy says."""

    def __init__(self, policy: Policy) -> None:
        """Refused (ranges-invalid) for a proxy that is no prefix."""
        trust, identity = policy.trust, policy.identity
        self._clients = ClientAddresses(proxies=trust.proxies, hops=trust.hops)
        self._headers: dict[bytes, str] = {}
        """Header -> the fact that it holds."""
        self._cookies: dict[str, str] = {}
        for name in (*IDENTITIES, "ja4"):
            kind, _, source = getattr(identity, name).partition(":")
            if kind == "header":
                self._headers[source.lower().encode()] = name
            elif kind == "cookie":
                self._cookies[source] = name
        if policy.ladder is not None or any(one.over.action == "challenge" for one in policy.rules):
            # Only where somebody may be challenged: reading cookies costs every request.
            self._headers[policy.challenge.header.encode()] = "clearance"
            self._cookies[policy.challenge.cookie] = "clearance"

    def of(
        self,
        *,
        method: str,
        path: str,
        headers: Headers,
        peer: str,
        counters: Mapping[str, float] | None = None,
        is_envoy: bool = False,
    ) -> Facts:
        """The facts. ``peer``: the address of the connection; ``is_envoy``: Envoy is who asks."""
        forwarded: list[str] = []
        envoy = None
        agent = ""
        said: dict[str, str] = {}
        for name, value in headers:
            if name == b"x-forwarded-for":
                forwarded.append(value.decode("latin-1"))
            elif name == b"user-agent":
                agent = value.decode("latin-1")[:NAME_MAX]
            elif name == b"x-envoy-external-address" and is_envoy:
                envoy = value.decode("latin-1")
            elif name == b"cookie" and self._cookies:
                self._read_cookies(value, said)
            if (fact := self._headers.get(name)) is not None:
                said[fact] = value.decode("latin-1")
        peer_address = address_of(peer) if peer else None
        address = self._clients.client(peer_address, forwarded, envoy=envoy).address
        if "ja4" in said and not self._clients.trusts(peer_address):
            del said["ja4"]  # a client's own word about his fingerprint
        named = {name: value for name, value in said.items() if len(value) <= NAME_MAX}
        return Facts(
            method=method.upper(),
            route=path[:PATH_MAX],
            path=path[:PATH_MAX],
            ip=0 if address is None else host_key(address),
            net=0 if address is None else net_key(address),
            user_agent=agent,
            counters=counters or {},
            **named,  # type: ignore[arg-type] # all of them are texts
        )

    def _read_cookies(self, value: bytes, said: dict[str, str]) -> None:
        for pair in value[:COOKIES_MAX].decode("latin-1").split(";"):
            name, equals, content = pair.strip().partition("=")
            if equals and (fact := self._cookies.get(name)) is not None:
                said.setdefault(fact, content)
