"""Whether a crawler is who its user agent says: by published ranges, else by reverse DNS.

A user agent alone never allows anything; it makes a claim, and says with that what to check.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from ringwork.gate.identity.crawlers import claimed_operator
from ringwork.gate.identity.fcrdns import SUFFIXES, ForwardConfirmed
from ringwork.gate.identity.ranges import PublishedRanges

BotStatus = Literal["none", "verified", "pending", "unverified", "refuted"]


class BotVerdict(Struct, frozen=True):
    """What is known of a claim.

    ``none``: nothing is claimed. ``refuted``: the operator's ranges or names say that it is not
    his: an impostor. ``unverified``: there is nothing to check against.
    """

    status: BotStatus
    operator: str | None = None
    by: Literal["ranges", "reverse-dns"] | None = None


NO_CLAIM: Final = BotVerdict("none")


class GoodBots:
    """Verdicts on claims; no waiting."""

    def __init__(
        self, *, ranges: PublishedRanges | None = None, names: ForwardConfirmed | None = None
    ) -> None:
        self._ranges = ranges
        self._names = names

    def judge(self, address: int, user_agent: str) -> BotVerdict:
        """Whether the claim that the user agent makes, if any, holds for the address."""
        operator = claimed_operator(user_agent)
        if operator is None:
            return NO_CLAIM
        is_listed = self._ranges is not None and self._ranges.is_current(operator)
        if self._ranges is not None and operator in self._ranges.operators(address):
            return BotVerdict("verified", operator, "ranges")
        if self._names is None or operator not in SUFFIXES:
            return BotVerdict(
                "refuted" if is_listed else "unverified", operator, "ranges" if is_listed else None
            )
        found = self._names.verdict(address)
        if found.standing == "pending":
            return BotVerdict("pending", operator)
        is_his = found.standing == "confirmed" and found.operator == operator
        return BotVerdict("verified" if is_his else "refuted", operator, "reverse-dns")
