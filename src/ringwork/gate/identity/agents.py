"""Web Bot Auth: which automated client signed a request, if one did.

The profile of draft-ietf-webbotauth-httpsig-protocol over RFC 9421. What an RFC 9421 library does
not ask, this asks: the tag, both times and the lifetime, the form of the key id, that the target
and the agent's own member are covered, that the key is one of *that* agent's, that it is no known
test key, and that a signature is not used again. Time is the injected clock's.

    keys = StaticKeys({"https://signer.example": jwks})
    verifier = AgentVerifier(keys=keys, clock=SystemClock())
    verifier.verify(HttpMessage(method="GET", authority="me.example", path="/", headers=headers))

A verdict is a status and never an exception, whatever the fields hold:

========== =======================================================================================
absent     no signature for Web Bot Auth: says nothing about the sender
verified   a key that ``url`` publishes signed what is ``covered``
unverified cannot be decided: keys not read (yet), or no room to record the use
invalid    breaks a rule, which ``reason`` names
replayed   was used more often than the policy permits
========== =======================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from ringwork.gate.identity.digests import digest_matches
from ringwork.gate.identity.jwk import PublicKey
from ringwork.gate.identity.keys import FetchedKeys, KeySource, StaticKeys
from ringwork.gate.identity.messages import (
    Component,
    HttpMessage,
    Plan,
    Resolve,
    Unresolvable,
    base_of,
    planned,
)
from ringwork.gate.identity.nonces import MemoryNonces, Nonces
from ringwork.gate.identity.signatures import (
    EXAMINED_MAX,
    FIELDS_MAX_BYTES,
    TAG,
    Signature,
    read_signatures,
)
from ringwork.gate.identity.urls import NO_AGENTS, AgentField, AgentRef, read_agents
from ringwork.gate.identity.verdicts import (
    SENSITIVE,
    AgentPolicy,
    AgentVerdict,
    Status,
    accept_signature,
    answer_status,
)
from ringwork.kernel.ports import Clock

__all__ = [
    "AgentPolicy",
    "AgentVerdict",
    "AgentVerifier",
    "FetchedKeys",
    "HttpMessage",
    "StaticKeys",
    "Status",
    "accept_signature",
    "answer_status",
]


_RANK: Final[dict[str, int]] = {
    "verified": 4, "replayed": 3, "unverified": 2, "invalid": 1, "absent": 0,
}  # fmt: skip
_is_thumbprint: Final = re.compile(r"[A-Za-z0-9_-]{43}").fullmatch
_LENGTHS: Final = (9, 15)
"""Of the names of the three fields."""
NONCE_MAX: Final = 256
REMEMBERED: Final = 4096
"""Signatures whose fields need not be read again, twice this many at most."""
REMEMBERED_MAX_BYTES: Final = 2048
"""Of the fields of one: longer ones are read anew, so that 20 MB hold them all."""


ABSENT: Final = AgentVerdict("absent", "no-signature")


class _Coverage(Struct, frozen=True):
    """What a signature covers, the fault in that, the agent, and how the base is made.

    The same for all requests that an agent makes in one way.
    """

    fault: str
    agent: AgentRef | None
    names: tuple[str, ...]
    plan: Plan


_NOTHING: Final = _Coverage("", None, (), ())


class _Claim(Struct, gc=False):
    """A signature whose fields were read, and what is wrong with it whatever the rest holds.

    ``proven``: the base that it was verified over, and the key, so that the same need not be again.
    """

    signature: Signature
    fault: str = ""
    coverage: _Coverage = _NOTHING
    created_s: int = 0
    expires_s: int = 0
    keyid: str = ""
    proven: tuple[bytes, PublicKey] | None = None


class AgentVerifier:
    """Verdicts on requests. ``verify`` does no I/O: keys that are not held are fetched beside."""

    def __init__(
        self,
        *,
        keys: KeySource,
        clock: Clock,
        policy: AgentPolicy | None = None,
        nonces: Nonces | None = None,
    ) -> None:
        self.keys = keys
        self.policy = policy or AgentPolicy()
        self._lifetime_s = self.policy.max_lifetime_s
        self._skew_us = self.policy.skew_s * 1_000_000
        self._wall_us = clock.wall_us
        self._nonces = nonces if nonces is not None else MemoryNonces()
        self._coverages: dict[tuple[str, str, bytes], _Coverage] = {}
        self._newer: dict[tuple[bytes, bytes, bytes], list[_Claim]] = {}
        self._older: dict[tuple[bytes, bytes, bytes], list[_Claim]] = {}

    def verify(self, message: HttpMessage, *, sensitive: bool = False) -> AgentVerdict:
        """The best verdict among the request's signatures; each one is judged by itself.

        ``sensitive``: the signature has to cover method, path and query, and to carry a nonce.
        """
        found = self.verify_all(message, sensitive=sensitive)
        return found[0] if len(found) == 1 else max(found, key=_rank)

    async def resolve(self, message: HttpMessage, *, sensitive: bool = False) -> AgentVerdict:
        """As ``verify``, and waits for keys that have to be fetched, within the fetch's bounds."""
        found = self.verify_all(message, sensitive=sensitive)
        best = max(found, key=_rank)
        if best.status != "unverified" or best.reason != "keys-pending":
            return best
        for one in self._claims(message):
            if one.coverage.agent is not None and not one.fault:
                await self.keys.fetch(one.coverage.agent, one.keyid)
        return self.verify(message, sensitive=sensitive)

    def verify_all(self, message: HttpMessage, *, sensitive: bool = False) -> list[AgentVerdict]:
        """A verdict on each signature for Web Bot Auth, in order; one where there is none."""
        inputs = signatures = agents = None
        for name, value in message.fields:
            if len(name) not in _LENGTHS:
                continue
            key = name.lower()
            if key == b"signature-input":
                inputs = value if inputs is None else inputs + b", " + value
            elif key == b"signature":
                signatures = value if signatures is None else signatures + b", " + value
            elif key == b"signature-agent":
                agents = value if agents is None else agents + b", " + value
        if inputs is None and signatures is None:
            return [ABSENT]
        if inputs is None or signatures is None:
            return [AgentVerdict("invalid", "malformed")]
        claims = self._read(inputs, signatures, agents or b"")
        if isinstance(claims, AgentVerdict):
            return [claims]
        now_us = self._wall_us()
        if len(claims) == 1:
            return [self._judge(claims[0], message, now_us, sensitive)]
        return [self._judge(one, message, now_us, sensitive) for one in claims]

    def _claims(self, message: HttpMessage) -> Sequence[_Claim]:
        fields = [
            message.field(name) or b""
            for name in (b"signature-input", b"signature", b"signature-agent")
        ]
        found = self._read(*fields)
        return () if isinstance(found, AgentVerdict) else found

    def _read(self, inputs: bytes, signatures: bytes, agents: bytes) -> list[_Claim] | AgentVerdict:
        """What the fields say, or the verdict where they say nothing that can be judged."""
        agents = agents.strip(b" \t")
        key = (inputs, signatures, agents)
        if self._newer:
            found = self._newer.get(key) or self._older.get(key)
            if found is not None:
                return found
        if len(inputs) + len(signatures) + len(agents) > FIELDS_MAX_BYTES:
            return AgentVerdict("invalid", "too-large")
        try:
            read = read_signatures(inputs.strip(b" \t"), signatures.strip(b" \t"))
            field = read_agents(agents) if agents else NO_AGENTS
        except (ValueError, RecursionError):  # http-sf raises a ValueError of its own
            return AgentVerdict("invalid", "malformed")
        ours = read
        if len(read) != 1 or read[0].tag != TAG:
            ours = [one for one in read if one.tag == TAG][:EXAMINED_MAX]
        if not ours:
            # With an agent's field this was meant for us, and says it in no way that was agreed on.
            return AgentVerdict("invalid", "tag") if agents else AgentVerdict("absent", "tag")
        claims = [self._claim(one, agents, field) for one in ours]
        if self.policy.uses_max == 1 and len(ours) == 1 and ours[0].nonce is not None:
            return claims  # it does not come again
        if len(inputs) + len(signatures) + len(agents) > REMEMBERED_MAX_BYTES:
            return claims
        if len(self._newer) >= REMEMBERED:
            self._older, self._newer = self._newer, {}
        self._newer[key] = claims
        return claims

    def _claim(self, signature: Signature, agents: bytes, field: AgentField) -> _Claim:
        claim = _Claim(signature)
        claim.fault = self._fault_of_form(claim)
        if not claim.fault:
            # An agent covers the same from request to request.
            place = (signature.items, signature.label, agents)
            found = self._coverages.get(place)
            if found is None:
                found = self._coverage(signature, field)
                if len(self._coverages) >= REMEMBERED:
                    self._coverages.clear()
                if len(signature.items) + len(agents) <= REMEMBERED_MAX_BYTES:
                    self._coverages[place] = found
            claim.fault, claim.coverage = found.fault, found
        return claim

    def _fault_of_form(self, claim: _Claim) -> str:
        told = claim.signature
        created, expires, keyid = told.created, told.expires, told.keyid
        if told.covered is None:
            return "malformed"
        if type(created) is not int or type(expires) is not int or type(keyid) is not str:
            parts = (("created", created), ("expires", expires), ("keyid", keyid))
            missing = [name for name, value in parts if value is None]
            return f"{missing[0]}-missing" if missing else "malformed"
        claim.created_s, claim.expires_s, claim.keyid = created, expires, keyid
        if not _is_thumbprint(keyid):
            return "keyid-form"
        if not 0 < expires - created <= self._lifetime_s:
            return "lifetime"
        algorithm, nonce = told.algorithm, told.nonce
        if algorithm is not None and (not isinstance(algorithm, str) or algorithm[:4] == "hmac"):
            return "algorithm"
        if nonce is None:
            return "nonce-missing" if self.policy.require_nonce else ""
        return "" if isinstance(nonce, str) and 0 < len(nonce) <= NONCE_MAX else "nonce-form"

    def _coverage(self, signature: Signature, field: AgentField) -> _Coverage:
        covered = signature.covered or ()
        names = tuple(one.label for one in covered)
        plan = [_step(one, field) for one in covered]
        if "@authority" not in names and "@target-uri" not in names:
            return _Coverage("target-not-covered", None, names, plan)
        if not set(self.policy.require) <= set(names):
            return _Coverage("required-not-covered", None, names, plan)
        members = [
            one.parameters.get("key")
            for one in covered
            if one.name == "signature-agent" and one.parameters.keys() <= {"key"}
        ]
        if not members and not self.policy.require_agent:
            return _Coverage("", None, names, plan)
        agent = self._agent(members, signature.label, field)
        if agent is None:
            return _Coverage("agent-not-covered", None, names, plan)
        return _Coverage(agent.fault, None if agent.fault else agent, names, plan)

    def _agent(self, members: Sequence[object], label: str, field: AgentField) -> AgentRef | None:
        """The member that the signature covers for itself, never another's.

        An intermediary may give the signature another label, not the member (section "Signature-
        Agent Labeling"): where only one is covered, it is the signer's.
        """
        if field.bare is not None:
            return field.bare if self.policy.legacy_agent and members == [None] else None
        own = label if label in members else members[0] if len(members) == 1 else None
        return field.members.get(own) if isinstance(own, str) else None

    def _judge(
        self, claim: _Claim, message: HttpMessage, now_us: int, sensitive: bool
    ) -> AgentVerdict:
        fault = claim.fault or self._fault_now(claim, now_us, sensitive)
        if fault:
            # A way of discovery that we do not know is no broken rule.
            return _verdict(claim, "unverified" if fault == "agent-type" else "invalid", fault)
        signature, coverage = claim.signature, claim.coverage
        key, missing = self.keys.find(coverage.agent, claim.keyid)
        if key is None:
            return _verdict(claim, "unverified", missing)
        fault = self._fault_of_key(key, signature.algorithm, now_us)
        if fault:
            return _verdict(claim, "invalid", fault)
        try:
            base = base_of(coverage.plan, signature.line, message)
        except Unresolvable:
            return _verdict(claim, "invalid", "component-missing")
        if claim.proven is None or claim.proven[1] is not key or claim.proven[0] != base:
            if not key.verifies(signature.octets, base):
                return _verdict(claim, "invalid", "signature")
            claim.proven = (base, key)
        if message.body is not None:
            fault = _fault_of_body(claim, message, message.body, sensitive)
            if fault:
                return _verdict(claim, "invalid", fault)
        return self._used(claim, now_us, sensitive)

    def _fault_now(self, claim: _Claim, now_us: int, sensitive: bool) -> str:
        if claim.created_s * 1_000_000 > now_us + self._skew_us:
            return "created-in-future"
        if claim.expires_s * 1_000_000 < now_us:
            return "expired"
        if sensitive:
            if not all(any(one in claim.coverage.names for one in group) for group in SENSITIVE):
                return "not-bound-to-request"
            if claim.signature.nonce is None:
                return "nonce-missing"
        return ""

    def _fault_of_key(self, key: PublicKey, algorithm: object, now_us: int) -> str:
        if key.is_test_key and not self.policy.test_keys:
            return "test-key"
        if not key.not_before_us <= now_us <= key.expires_us:
            return "key-expired" if key.expires_us < now_us else "key-not-yet-valid"
        return "" if algorithm is None or algorithm == key.algorithm else "algorithm"

    def _used(self, claim: _Claim, now_us: int, sensitive: bool) -> AgentVerdict:
        """The verdict on a good signature: whether it may be used (again)."""
        nonce, uses_max, agent = claim.signature.nonce, self.policy.uses_max, claim.coverage.agent
        url = None if agent is None else agent.identifier
        if sensitive and uses_max is None:
            uses_max = 1
        if isinstance(nonce, str) and uses_max is not None:
            use = self._nonces.record(
                url or claim.keyid,
                nonce,
                expires_s=claim.expires_s,
                now_s=now_us // 1_000_000,
                uses_max=uses_max,
            )
            if use == "reused":
                return _verdict(claim, "replayed", "nonce-reused")
            if use != "fresh":
                return _verdict(claim, "unverified", f"nonces-{use}")
        return AgentVerdict(
            "verified", "", url, claim.keyid, claim.coverage.names, claim.signature.label, url
        )


def _step(component: Component, field: AgentField) -> str | tuple[str, Resolve | Component]:
    """Of the plan: the agent's member is known already."""
    if component.name == "signature-agent" and component.parameters.keys() == {"key"}:
        agent = field.members.get(str(component.parameters["key"]))
        if agent is not None and agent.text:
            return f"{component.text}: {agent.text}\n"
    return planned(component)


def _fault_of_body(claim: _Claim, message: HttpMessage, body: bytes, sensitive: bool) -> str:
    """A body is covered by its digest alone."""
    if "content-digest" not in claim.coverage.names:
        return "not-bound-to-request" if sensitive and body else ""
    return "" if digest_matches(message.field(b"content-digest") or b"", body) else "digest"


def _rank(verdict: AgentVerdict) -> int:
    return _RANK[verdict.status]


def _verdict(claim: _Claim, status: Status, reason: str) -> AgentVerdict:
    claimed = claim.coverage.agent.identifier if claim.coverage.agent else None
    url = claimed if status == "replayed" else None
    return AgentVerdict(
        status,
        reason,
        url,
        claim.keyid or None,
        claim.coverage.names,
        claim.signature.label,
        claimed,
    )
