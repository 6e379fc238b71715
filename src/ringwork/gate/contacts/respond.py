"""Answers that tell nothing but the matches: order, size and time follow from counts alone."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from ringwork.gate.contacts.keyed import Words
from ringwork.gate.contacts.model import ContactPolicy, Match, SyncAnswer
from ringwork.gate.contacts.seen import Accounts

HEAD_BYTES: Final = 256
"""Of an answer without matches, with its token."""
MATCH_BYTES: Final = 70
"""The longest match in JSON: a number of 15 digits and an account of 19 and a sign."""
CLASS_LEAST: Final = 64
"""Books up to that get answers of one size; then the size doubles with the class."""


def floor_s(count: int, policy: ContactPolicy) -> float:
    """When to answer a request of so many numbers, however little work it was."""
    return policy.floor_s + _class_of(count) * policy.floor_s_per_number


def matches(numbers: Words, accounts: Accounts) -> tuple[Match, ...]:
    """In ascending order of the numbers, whatever the reason that each is shown for."""
    order = np.argsort(numbers)
    return tuple(map(Match, numbers[order].tolist(), accounts[order].tolist()))


def encode(answer: SyncAnswer, count: int) -> bytes:
    """JSON of a length that ``count``, the numbers sent, decides; never compress it.

    Every answer to as many numbers is as long as the one in which all of them match.
    """
    body = {
        "status": answer.status,
        "matches": [{"number": f"+{one.number}", "account": one.account} for one in answer.matches],
        "token": None if answer.token is None else answer.token.hex(),
        "retry_after_s": answer.retry_after_s,
        "unreadable": answer.unreadable,
    }
    length = HEAD_BYTES + MATCH_BYTES * _class_of(count)
    text = msgspec.json.encode(body)
    assert len(text) <= length, "an answer has at most as many matches as numbers were sent"
    return text.ljust(length)


def _class_of(count: int) -> int:
    """The least class that holds so many numbers."""
    size = CLASS_LEAST
    while size < count:
        size *= 2
    return size
