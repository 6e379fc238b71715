"""What the gate says of a request: an action, its reasons, and what the client is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from ringwork.gate.limits.model import PS_PER_S
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


Standing = tuple["Compiled", int, int, int]
"""How a limit stands: its rule, units left, picoseconds until there is one more (0: all are
there), and its quota. -1 picoseconds: what is left is the room of a cell, and not divided yet."""


class Decision(Struct, frozen=True, kw_only=True):
    """The answer to ``Gate.admit``. Give it back to ``Gate.settle`` with what was used."""

    action: Action
    status: int = 200
    retry_after_s: float = 0.0
    """Infinite: no waiting helps, the request is larger than any burst."""
    delay_s: float = 0.0
    """Of ``slow``: wait so long, then answer."""
    reasons: Sequence[Reason] = ()
    standing: Sequence[Standing] = ()
    """How all limits stand that count the request, as they were read off."""
    challenge: str = ""
    """Of ``challenge``: what has to be solved, as JSON (``respond.pow``)."""
    over: Over | None = None
    """How the refusing rule answers: of ``degrade``, what the answer may hold. None where nothing
    refused."""
    trace: tuple[str, int] = ("", 0)
    """``trace_id``: of the gate, and in it."""
    policy: str = ""
    """SHA-256 of the policy that decided."""
    charged: Sequence[Charged] = ()

    @property
    def trace_id(self) -> str:
        """What a client names in an appeal."""
        return f"{self.trace[0]}{self.trace[1]:012x}"

    @property
    def limits(self) -> list[Left]:
        """How those limits stand that the client may know of; worked out when it is asked for."""
        return [_left(*one) for one in self.standing if one[0].rule.expose]

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """What a client is told beside the answer: ``respond.ratelimit``."""
        return rate_limit_headers(self.limits, self.retry_after_s)

    @property
    def is_allowed(self) -> bool:
        """Whether the request goes on, be it slowly or to less."""
        return self.action in ("allow", "slow", "degrade")


def _left(rule: Compiled, left: int, more_ps: int, quota: int) -> Left:
    if more_ps < 0:
        left, more_ps = rule.cells_left(left)
    return Left(rule.rule, quota, rule.window_s, rule.unit, left, -(-more_ps // PS_PER_S))
