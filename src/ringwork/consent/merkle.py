"""What makes the consent ledger tamper-evident: chains, trees and the statements that are signed.

Per person: ``hash = SHA-256(previous hash || digest)``, where the digest is SHA-256 of the record's
members as one msgpack array and the first previous hash is 32 zero bytes. Per day: the Merkle tree
of RFC 6962 (section 2.1) over the hashes of all records in the order of the log. Leaves and nodes
have different prefixes, so that neither passes for the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import msgspec

from ringwork.consent.events import ConsentDaySealed, ConsentRecorded

GENESIS: Final = bytes(32)
EMPTY_ROOT: Final = sha256(b"").digest()
DAY_US: Final = 86_400_000_000
_RECORD: Final = "ringwork-consent-1"
_SEAL: Final = "ringwork-consent-day-1"
_encode: Final = msgspec.msgpack.Encoder().encode


def digest(subject: bytes, ts_us: int, event: ConsentRecorded) -> bytes:
    """What one record says, without its place in the chain."""
    return sha256(
        _encode(
            (
                _RECORD, subject, ts_us, event.number, event.action, event.purposes,
                event.services, event.basis, event.notice, event.notice_version, event.surface,
                event.steps, event.asked, event.locale, event.minor, event.signal_kind,
                event.signal, event.actor,
            )
        )
    ).digest()  # fmt: skip


def link(previous: bytes, record_digest: bytes) -> bytes:
    """The chain after one more record."""
    return sha256(previous + record_digest).digest()


def statement(*, day: int, count: int, root: bytes, previous: bytes) -> bytes:
    """What is signed once a day."""
    return _encode((_SEAL, day, count, root, previous))


def statement_of(event: ConsentDaySealed) -> bytes:
    """The statement that a seal signs."""
    return statement(day=event.day, count=event.count, root=event.root, previous=event.previous)


def seal_hash(event: ConsentDaySealed) -> bytes:
    """What the next seal names as its previous one."""
    return sha256(statement_of(event)).digest()


class Frontier:
    """A growing tree's complete subtrees, the largest first: its root needs nothing else."""

    __slots__ = ("count", "nodes")

    def __init__(self, count: int = 0, nodes: Sequence[bytes] = ()) -> None:
        self.count = count
        self.nodes = list(nodes)

    def add(self, record_hash: bytes) -> None:
        """Append one record."""
        node, size = leaf(record_hash), self.count
        while size & 1:
            node = _node(self.nodes.pop(), node)
            size >>= 1
        self.nodes.append(node)
        self.count += 1

    def root(self) -> bytes:
        """The tree's root."""
        if not self.nodes:
            return EMPTY_ROOT
        root = self.nodes[-1]
        for node in reversed(self.nodes[:-1]):
            root = _node(node, root)
        return root


def leaf(record_hash: bytes) -> bytes:
    """A record in the tree."""
    return sha256(b"\x00" + record_hash).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """The root of the tree over these records."""
    frontier = Frontier()
    for one in hashes:
        frontier.add(one)
    return frontier.root()


def path_of(hashes: Sequence[bytes], position: int) -> list[bytes]:
    """The audit path of one record, from its neighbour up (RFC 6962, section 2.1.1)."""
    level, path = [leaf(one) for one in hashes], []
    while len(level) > 1:
        beside = position ^ 1
        if beside < len(level):
            path.append(level[beside])
        # An odd one out goes up as it is: that is the RFC's split at the largest power of two.
        level = [
            _node(level[at], level[at + 1]) if at + 1 < len(level) else level[at]
            for at in range(0, len(level), 2)
        ]
        position >>= 1
    return path


def root_from(record_hash: bytes, position: int, count: int, path: Sequence[bytes]) -> bytes | None:
    """The root that a path leads to; None where it cannot be a path of that place."""
    if not 0 <= position < count:
        return None
    node, last, rest = leaf(record_hash), count - 1, list(reversed(path))
    while last:
        if position & 1 or position < last:
            if not rest:
                return None
            beside = rest.pop()
            node = _node(beside, node) if position & 1 else _node(node, beside)
        position, last = position >> 1, last >> 1
    return None if rest else node
