"""What a batch costs: numbers in public, people in private.

*Numbers*: a leaky bucket that anybody may know of; a number costs the same whoever has it.

*People*: how many may be shown, which is what an attacker is after. Of whom nothing says that they
know the asker: a + c a day, and b for every contact who has the asker's number, each of whom
counts for one asker in a period. So whatever accounts an attacker makes vouch for each other, all
together are shown at most ``accounts * (a + c * days + b)`` people without evidence, plus b for
each of the contacts outside who really have him.
"""

from __future__ import annotations

import math

from msgspec import Struct

from ringwork.gate.contacts.model import ContactPolicy

DAY_S = 86_400.0


class Ledger(Struct):
    """What one account has used. Levels fall with time; all are in units of the policy's bursts."""

    at_s: float
    numbers: float = 0.0
    unproven: float = 0.0
    """Below zero after vouchers were spent."""
    coherent: float = 0.0
    established: float = 0.0
    first_book_until_s: float = 0.0
    matched: int = 0
    mutual: int = 0
    """Matches so far, and those who have the asker: whether this account's books are a person's."""
    grown_at_s: float = math.inf
    """From when on it is an old account with a book."""
    vouched_until_s: float = 0.0
    """Its voice is spent until then."""
    number_hash: int = 0
    """Of the number it had at the last request."""

    def settle(self, policy: ContactPolicy, now_s: float) -> None:
        """Let the levels fall until now."""
        days = max(now_s - self.at_s, 0.0) / DAY_S
        self.at_s = max(now_s, self.at_s)
        self.numbers = max(self.numbers - days * policy.numbers_per_day, 0.0)
        if self.unproven > 0:
            self.unproven = max(self.unproven - days * policy.unproven_per_day, 0.0)
        self.coherent = max(self.coherent - days * policy.coherent_per_day, 0.0)
        self.established = max(self.established - days * policy.established_per_day, 0.0)

    def is_first_book(self, now_s: float) -> bool:
        """Whether its first book is being sent."""
        return now_s < self.first_book_until_s

    def is_grown(self, now_s: float) -> bool:
        """Whether it had a book for long."""
        return now_s >= self.grown_at_s


def numbers_price(unseen: int, in_runs: int, policy: ContactPolicy) -> float:
    """Of a batch, from counts of its numbers alone."""
    return unseen + in_runs * (policy.run_price - 1)


def wait_s(ledger: Ledger, price: float, policy: ContactPolicy) -> int | None:
    """Seconds until the batch may be paid for: 0 now, None never."""
    if price > policy.numbers_burst:
        return None
    short = ledger.numbers + price - policy.numbers_burst
    return math.ceil(short / policy.numbers_per_day * DAY_S) if short > 1e-9 else 0


def retry_s(ledger: Ledger, price: float, policy: ContactPolicy) -> int:
    """Seconds until such a batch would be paid for by itself, for one that was refused."""
    short = ledger.numbers + min(price, policy.numbers_burst) - policy.numbers_burst
    return max(math.ceil(short / policy.numbers_per_day * DAY_S), 1)
