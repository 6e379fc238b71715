"""What the gate says of a request: an action, its reasons, and what the client is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from ringwork.gate.respond.ratelimit import Left, rate_limit_headers

if TYPE_CHECKING:
    from ringwork.gate.plan import Compiled
    from ringwork.gate.policy.model import Over

Action = Literal["allow", "slow", "challenge", "degrade", "block"]


class Reason(Struct, frozen=True, gc=False):
    """Why a decision is what it is, for the log and for an appeal."""

    rule: str
    detail: str = ""
    is_shadow: bool = False
    """It would have been enforced, were the rule not in shadow."""


class Charged(Struct, frozen=True, gc=False):
    """What a limit was charged, to be settled."""

    rule: Compiled
    key: object
    reserved: int
    leases: range


class Decision(Struct, frozen=True, kw_only=True):
    """The answer to ``Gate.admit``. Give it back to ``Gate.settle`` with what was used."""

    action: Action
    status: int = 200
    retry_after_s: float = 0.0
    """Infinite: no waiting helps, the request is larger than any burst."""
    delay_s: float = 0.0
    """Of ``slow``: wait so long, then answer."""
    reasons: Sequence[Reason] = ()
    limits: Sequence[Left] = ()
    """Those that the client may know of."""
    challenge: str = ""
    """Of ``challenge``: what has to be solved, as JSON (``respond.pow``)."""
    over: Over | None = None
    """How the refusing rule answers: of ``degrade``, what the answer may hold. None where nothing
    refused."""
    trace_id: str = ""
    policy: str = ""
    """SHA-256 of the policy that decided."""
    charged: Sequence[Charged] = ()

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """What a client is told beside the answer: ``respond.ratelimit``."""
        return rate_limit_headers(self.limits, self.retry_after_s)

    @property
    def is_allowed(self) -> bool:
        """Whether the request goes on, be it slowly or to less."""
        return self.action in ("allow", "slow", "degrade")
