"""Facts of an HTTP request: who asks, from where, for what.

Every field is what a client may have written, except what a trusted proxy says. None of them can
cause anything but a decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from ringwork.gate.facts import NO_COUNTERS, Facts
from ringwork.gate.identity.address import ClientAddresses
from ringwork.gate.identity.ip import address_of, host_key, net_key
from ringwork.gate.policy.model import Policy

Headers = Iterable[tuple[bytes, bytes]]

NAME_MAX: Final = 200
"""Characters of a name that somebody gives himself; a longer one is none."""
PATH_MAX: Final = 2000
COOKIES_MAX: Final = 8192
FORWARDED_BYTES: Final = 4096
"""Of ``X-Forwarded-For``, from the right: what our own proxies wrote stands there."""
PLACES_MAX: Final = 16_384
"""Addresses that were read already, the last ones: most requests come from where others did."""
_FORWARDED: Final = "<forwarded>"
_ENVOY: Final = "<envoy>"
_COOKIES: Final = "<cookies>"
_ADDRESSING: Final[Mapping[bytes, str]] = {
    b"x-forwarded-for": _FORWARDED,
    b"x-envoy-external-address": _ENVOY,
}
IDENTITIES: Final = ("account", "app", "ad_account", "device", "visit", "tier")


class RequestFacts:
    """Reads requests as a policy says."""

    def __init__(self, policy: Policy) -> None:
        """Refused (ranges-invalid) for a proxy that is no prefix."""
        trust, identity = policy.trust, policy.identity
        self._clients = ClientAddresses(proxies=trust.proxies, hops=trust.hops)
        self._read: dict[bytes, str] = {b"user-agent": "user_agent", **_ADDRESSING}
        """Header -> the fact that it holds, or what is read out of it. Others are passed over."""
        self._cookies: dict[str, str] = {}
        for name in (*IDENTITIES, "ja4"):
            kind, _, source = getattr(identity, name).partition(":")
            if kind == "header":
                self._read[source.lower().encode()] = name
            elif kind == "cookie":
                self._cookies[source] = name
                self._read[b"cookie"] = _COOKIES
        if policy.ladder is not None or any(one.over.action == "challenge" for one in policy.rules):
            # Only where somebody may be challenged: reading cookies costs every request.
            self._read[policy.challenge.header.encode()] = "clearance"
            self._cookies[policy.challenge.cookie] = "clearance"
            self._read[b"cookie"] = _COOKIES
        self._place = lru_cache(maxsize=PLACES_MAX)(self._placed)

    def of(
        self,
        *,
        method: str,
        path: str,
        headers: Headers,
        peer: str,
        counters: Mapping[str, float] = NO_COUNTERS,
        is_envoy: bool = False,
    ) -> Facts:
        """The facts. ``peer``: the address of the connection; ``is_envoy``: Envoy is who asks."""
        read, forwarded, envoy = self._read, b"", None
        said: dict[str, str] = {}
        for name, value in headers:
            what = read.get(name)
            if what is None:
                continue
            if what == _FORWARDED:
                forwarded = forwarded + b"," + value if forwarded else value
            elif what == _ENVOY:
                envoy = value if is_envoy else None
            elif what == _COOKIES:
                self._read_cookies(value, said)
            elif len(value) <= NAME_MAX:
                said[what] = value.decode("latin-1")
        ip, net, is_trusted = self._place(peer, forwarded[-FORWARDED_BYTES:], envoy)
        if "ja4" in said and not is_trusted:
            del said["ja4"]  # a client's own word about his fingerprint
        path = path[:PATH_MAX]
        return Facts(
            method=method,
            route=path,
            path=path,
            ip=ip,
            net=net,
            counters=counters,
            **said,  # type: ignore[arg-type] # all of them are texts
        )

    def _placed(self, peer: str, forwarded: bytes, envoy: bytes | None) -> tuple[int, int, bool]:
        """Keys of the client's address, and whether the peer is believed about it."""
        address = address_of(peer) if peer else None
        client = self._clients.client(
            address,
            forwarded.decode("latin-1"),
            envoy=None if envoy is None else envoy.decode("latin-1"),
        ).address
        is_trusted = self._clients.trusts(address)
        if client is None:
            return 0, 0, is_trusted
        return host_key(client), net_key(client), is_trusted

    def _read_cookies(self, value: bytes, said: dict[str, str]) -> None:
        for pair in value[:COOKIES_MAX].decode("latin-1").split(";"):
            name, equals, content = pair.strip().partition("=")
            if equals and len(content) <= NAME_MAX:
                fact = self._cookies.get(name)
                if fact is not None:
                    said.setdefault(fact, content)
