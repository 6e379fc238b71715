"""A token that proves which numbers an account has paid for, without anything being stored.

The idea is that of Signal's contact discovery: the client sends its old list again with a token
that authenticates it, and pays for what is new. Ours is bound to the account and ends; the list is
proven by its length and its order in the request, so that one list is sent instead of two::

    version 1 | issued 4 (seconds / 64) | count 4 | nonce 16 | HMAC-SHA-256 truncated to 24

The MAC is over all that, the account and the sorted numbers. A token that was used before proves
its own list again and no more.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import Final

import numpy as np

from ringwork.gate.contacts.keyed import Words

VERSION: Final = 1
TOKEN_BYTES: Final = 49
NONCE_BYTES: Final = 16
_HEAD: Final = struct.Struct(">BII")
_TICK_S: Final = 64


def issue(key: bytes, account: int, numbers: Words, *, nonce: bytes, now_s: float) -> bytes:
    """A token for distinct ascending numbers. Its length and form do not depend on them."""
    head = _HEAD.pack(VERSION, int(max(now_s, 0)) // _TICK_S, len(numbers)) + nonce
    return head + _mac(key, account, head, numbers)


def proven(
    key: bytes, account: int, token: bytes, in_order: Words, *, now_s: float, days_max: float
) -> Words:
    """The numbers that a token proves, ascending; none where it does not hold.

    A token that is foreign, forged, outdated or of another list proves nothing, and says nothing
    of why.
    """
    nothing = in_order[:0]
    if not isinstance(token, bytes) or len(token) != TOKEN_BYTES:
        return nothing
    head = token[: _HEAD.size + NONCE_BYTES]
    version, issued, count = _HEAD.unpack_from(head)
    age_s = now_s - issued * _TICK_S
    if version != VERSION or not -_TICK_S <= age_s <= days_max * 86_400 or count > len(in_order):
        return nothing
    listed = np.unique(in_order[:count])
    mac = _mac(key, account, head, listed)
    return listed if hmac.compare_digest(mac, token[len(head) :]) else nothing


def _mac(key: bytes, account: int, head: bytes, numbers: Words) -> bytes:
    body = head + struct.pack(">q", account) + numbers.astype(">u8").tobytes()
    return hmac.digest(key, body, hashlib.sha256)[: TOKEN_BYTES - len(head)]
