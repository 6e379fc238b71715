"""API keys: made once, shown once, kept as a hash; a role is a fixed set of scopes."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import ClassVar, Final, Literal

import msgspec
from msgspec import Struct

from ringwork.kernel.errors import NotFound
from ringwork.kernel.events import Event, Recorded
from ringwork.kernel.journal import Command
from ringwork.kernel.ports import Entropy

Role = Literal[
    "admin", "manager", "reviewer", "finance", "auditor", "viewer", "supply", "service", "choice",
    "privacy",
]  # fmt: skip

SCOPES: Final = {
    "console:read": "see the console",
    "catalogue:read": "read advertisers, campaigns, creatives, publishers, placements",
    "catalogue:write": "change them, budgets included",
    "catalogue:review": "approve, reject and return campaigns and creatives",
    "ledger:read": "read accounts, transfers, totals",
    "ledger:write": "open accounts and transfer money",
    "log:read": "read events and traces",
    "outcomes:write": "report conversions",
    "subscriptions:read": "read plans, prices and subscriptions",
    "subscriptions:write": "subscribe, cancel, link and unlink accounts, change how is paid",
    "subscriptions:refund": "give money back",
    "plans:write": "define plans and set their prices",
    "history:write": "tell what people did on a core service",
    "ads:request": "ask for ads from beyond the loopback interface",
    "keys:write": "make, list and revoke API keys",
    "consent:read": "read what people decided, prompts and proofs",
    "consent:write": "record what people decide",
    "consent:export": "read everything that is held about a person's consent",
    "consent:prove": "record runs of the proof of consent",
    "erasure:write": "erase a person and read the proof",
    "fairness:read": "read how special ads are delivered: figures, prices, reports, the audit log",
    "fairness:people": "tell names, areas and declared groups of people to the enclave",
    "fairness:deliver": "register special ads of other platforms, their impressions and auctions",
    "fairness:override": "pause, set and resume the control of special ads",
    "fairness:rotate": "replace the key that the fairness audit log is signed with",
}
"""Every scope and what it allows."""

_READ: Final = frozenset({"console:read", "catalogue:read"})
_AUDIT: Final = _READ | {"ledger:read", "log:read", "subscriptions:read", "fairness:read"}

ROLES: Final[dict[Role, frozenset[str]]] = {
    "admin": frozenset(SCOPES),
    "manager": _AUDIT | {"catalogue:write", "outcomes:write", "subscriptions:write", "plans:write"},
    "reviewer": _AUDIT | {"catalogue:review", "fairness:override"},
    "finance": _AUDIT | {"ledger:write", "subscriptions:refund"},
    "auditor": _AUDIT | {"consent:read"},
    "viewer": _READ,
    "supply": frozenset({"ads:request", "fairness:deliver"}),
    "service": frozenset({"history:write", "fairness:people"}),
    "choice": frozenset({"consent:read", "consent:write"}),
    "privacy": frozenset(
        {
            "console:read",
            "consent:read",
            "consent:write",
            "consent:export",
            "consent:prove",
            "erasure:write",
            "fairness:people",
        }
    ),
}
"""``supply`` is for exchanges and publishers that ask for ads, ``service`` for core services that
tell what people did, ``choice`` for what asks people.

The others are for people and their tools.
"""

_ID_BYTES: Final = 6
_SECRET_BYTES: Final = 32


class ApiKeyCreated(Event, frozen=True, array_like=True):
    """An API key exists; its secret is kept as SHA-256 (it has 256 random bits.

    So no salt is needed).
    """

    TYPE: ClassVar[str] = "api_key_created"
    key_id: str
    role: Role
    label: str
    secret_sha256: bytes


class ApiKeyRevoked(Event, frozen=True, array_like=True):
    """The key opens nothing from here on."""

    TYPE: ClassVar[str] = "api_key_revoked"
    key_id: str


class ApiKey(Struct, frozen=True):
    """A key as it is kept."""

    id: str
    tenant: str
    role: Role
    label: str
    secret_sha256: bytes
    created_us: int
    revoked: bool = False


class Principal(Struct, frozen=True):
    """Who a request comes from and what it may do."""

    tenant: str
    role: Role
    key_id: str

    def may(self, scope: str) -> bool:
        """Whether the role has the scope."""
        return scope in ROLES[self.role]


class ApiKeys:
    """Every key ever made; a fold of their events."""

    name: ClassVar[str] = "api_keys"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (ApiKeyCreated, ApiKeyRevoked)

    def __init__(self) -> None:
        self.keys: dict[str, ApiKey] = {}

    def create(self, command: Command, entropy: Entropy, *, role: Role, label: str) -> str:
        """Record a new key and return its token, ``rw_<id>_<secret>``: the only time it is seen."""
        key_id, secret = entropy.take(_ID_BYTES).hex(), entropy.take(_SECRET_BYTES).hex()
        command.record(ApiKeyCreated(key_id, role, label, _digest(secret)))
        return f"rw_{key_id}_{secret}"

    def revoke(self, command: Command, key_id: str) -> ApiKey:
        """Revoke a key; revoking it again changes nothing."""
        key = self.keys.get(key_id)
        if key is None:
            raise NotFound(f"no API key {key_id!r}")
        if not key.revoked:
            command.record(ApiKeyRevoked(key_id))
        return self.keys[key_id]

    def principal(self, token: str) -> Principal | None:
        """Whom a bearer token stands for; None for a wrong, unknown or revoked one."""
        prefix, _, rest = token.partition("_")
        key_id, _, secret = rest.partition("_")
        key = self.keys.get(key_id)
        expected = key.secret_sha256 if key is not None else bytes(32)
        matches = hmac.compare_digest(_digest(secret), expected)
        if prefix != "rw" or key is None or key.revoked or not matches:
            return None
        return Principal(key.tenant, key.role, key.id)

    def apply(self, recorded: Recorded) -> None:
        event = recorded.payload
        if isinstance(event, ApiKeyCreated):
            self.keys[event.key_id] = ApiKey(
                event.key_id,
                recorded.tenant,
                event.role,
                event.label,
                event.secret_sha256,
                recorded.ts_us,
            )
        elif isinstance(event, ApiKeyRevoked):
            self.keys[event.key_id] = msgspec.structs.replace(self.keys[event.key_id], revoked=True)

    def clear(self) -> None:
        self.keys.clear()

    def dump(self) -> bytes:
        return msgspec.msgpack.encode(self.keys)

    def load(self, state: bytes) -> None:
        self.clear()
        self.keys.update(_decoder.decode(state))


_decoder: Final = msgspec.msgpack.Decoder(dict[str, ApiKey])


def _digest(secret: str) -> bytes:
    return sha256(secret.encode()).digest()
