"""Proof of work: a price on a request, paid in a client's time; never the only defence.

Challenges are Altcha's, version 2 (PBKDF2/SHA-256), so that its widgets solve them. Each is for one
actor and one route, ends, and is taken once. Its expiry stands in its ``data``, because the library
reads the machine's clock for its own. What is checked comes before what is derived, and how often
an address may have something checked is bounded: a check costs us a derivation.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from ringwork.gate.limits.gcra import GcraTable
from ringwork.gate.limits.generations import Generations
from ringwork.gate.limits.model import PS_PER_NS, PS_PER_S, Gcra, Key
from ringwork.kernel.ports import Clock

ALGORITHM: Final = "PBKDF2/SHA-256"
COST_MAX: Final = 100_000
"""Iterations: a check must stay below some 50 ms."""
PAYLOAD_MAX: Final = 4096
CHECKS_PER_MINUTE: Final = 30
"""Of one address."""
Verdict = Literal["solved", "malformed", "foreign", "expired", "wrong", "used", "too-many"]


class Work(Struct, frozen=True, kw_only=True):
    """How much is asked. The defaults take a phone about a second, and us 1.4 ms to check."""

    cost: int = 1000
    prefix: str = "00"
    """Hexadecimal digits that the derived key begins with: each is 16 times the work."""
    lifetime_s: int = 600
    clearance_s: int = 3600
    """For how long who solved one is not asked again."""


class Checked(Struct, frozen=True):
    """What a solution is worth."""

    verdict: Verdict
    clearance: str = ""
    """To be sent with later requests; empty unless it is solved."""


class ProofOfWork:
    """Makes challenges, checks solutions, and knows who has solved one."""

    def __init__(self, secret: bytes, *, clock: Clock, work: Work | None = None) -> None:
        """``secret``: 32 bytes or more. ValueError for less, and for work that nobody could do."""
        asked = work or Work()
        if len(secret) < 32:
            raise ValueError(f"secret: expected 32 bytes or more, got {len(secret)}")
        if not 1 <= asked.cost <= COST_MAX or not 1 <= len(asked.prefix) <= 6:
            raise ValueError(
                f"work: expected a cost from 1 to {COST_MAX} and a prefix of 1 to 6 digits; got "
                f"{asked.cost}, {asked.prefix!r}"
            )
        self._challenge_key = hashlib.sha256(b"challenge" + secret).digest()
        self._clearance_key = hashlib.sha256(b"clearance" + secret).digest()
        self._clock = clock
        self._work = asked
        self._used: Generations[bool] = Generations(asked.lifetime_s * PS_PER_S)
        self._checks = GcraTable(Gcra(limit=CHECKS_PER_MINUTE, period_s=60, name="checks"))

    def challenge(self, actor: Key, route: str) -> bytes:
        """A challenge as JSON, for this actor on this route."""
        from altcha import create_challenge  # noqa: PLC0415 # an extra

        until_s = self._now_s() + self._work.lifetime_s
        made = create_challenge(
            ALGORITHM,
            self._work.cost,
            key_prefix=self._work.prefix,
            data={"until": until_s, "for": self._bound(actor, route)},
            hmac_secret=self._challenge_key,
        )
        return msgspec.json.encode(made.to_dict())

    def check(self, payload: str, actor: Key, route: str, *, address: Key) -> Checked:
        """What a solution is worth: only the last step derives anything."""
        now_ps = self._clock.monotonic_ns() * PS_PER_NS
        self._checks.turn(now_ps)
        if self._checks.take(self._checks.slot(("address", address)), 1, now_ps):
            return Checked("too-many")
        parameters = _parameters(payload)
        if parameters is None:
            return Checked("malformed")
        data = parameters["data"]
        if data["for"] != self._bound(actor, route):
            return Checked("foreign")
        if data["until"] < self._now_s():
            return Checked("expired")
        self._used.turn(now_ps)
        nonce = ("nonce", parameters["nonce"])
        if self._used.get(nonce):
            return Checked("used")
        if not self._is_solved(payload, parameters):
            return Checked("wrong")
        self._used.put(nonce, True)
        return Checked("solved", self._clearance(actor, self._now_s() + self._work.clearance_s))

    def is_clear(self, clearance: str, actor: Key) -> bool:
        """Whether this actor has solved one, and not too long ago."""
        until, _, _ = clearance.partition(".")
        if not (until.isascii() and until.isdecimal()) or len(until) > 12:
            return False
        is_ours = hmac.compare_digest(
            clearance.encode(errors="replace"), self._clearance(actor, int(until)).encode()
        )
        return is_ours and int(until) >= self._now_s()

    def _is_solved(self, payload: str, parameters: dict[str, Any]) -> bool:
        """Ours, as hard as we asked for, and the derived key is what the counter gives."""
        if (parameters.get("algorithm"), parameters.get("cost")) != (ALGORITHM, self._work.cost):
            return False  # signed by us once, under another policy
        from altcha import verify_solution  # noqa: PLC0415 # an extra

        return bool(verify_solution(payload, self._challenge_key).verified)

    def _bound(self, actor: Key, route: str) -> str:
        """What ties a challenge to who asked for what; tells nobody who."""
        text = repr((actor, route)).encode(errors="replace")
        return hmac.digest(self._challenge_key, text, "sha256").hex()[:32]

    def _clearance(self, actor: Key, until_s: int) -> str:
        text = repr((actor, until_s)).encode(errors="replace")
        return f"{until_s}.{hmac.digest(self._clearance_key, text, 'sha256').hex()}"

    def _now_s(self) -> int:
        return self._clock.wall_us() // 1_000_000


def _parameters(payload: str) -> dict[str, Any] | None:
    """What a payload says of its challenge; None where it says nothing we could have said."""
    if len(payload) > PAYLOAD_MAX:
        return None
    try:
        found = msgspec.json.decode(base64.b64decode(payload, validate=True))
        parameters = found["challenge"]["parameters"]
        data = parameters["data"]
        fits = (
            isinstance(data["until"], int)
            and isinstance(data["for"], str)
            and isinstance(parameters["nonce"], str)
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return parameters if fits else None
