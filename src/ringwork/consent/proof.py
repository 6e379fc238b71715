"""The proof of one record, which anybody can check who has the installation's public key.

It shows three things: the record's members give its digest, the digest and those of the person's
earlier records give its hash, and the hash is a leaf of a tree whose root is signed. A day that is
not over is signed as it stands (``is_open``); a later proof of the record shows the sealed day.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from ringwork.consent.events import ConsentRecorded
from ringwork.consent.merkle import GENESIS, digest, link, root_from, statement
from ringwork.consent.signing import is_signed, key_id_of


class SignedTree(Struct, frozen=True, forbid_unknown_fields=True):
    """A day's tree, signed. Hashes and signature are hex."""

    day: int
    """Days since 1970-01-01, UTC."""
    count: int
    root: str
    previous: str
    key_id: str
    signature: str
    is_open: bool
    """The day is not over: signed on request, not part of the log."""


class Proof(Struct, frozen=True, forbid_unknown_fields=True):
    """Record, chain, path and signature. Bytes are hex."""

    subject: str
    """The pseudonym."""
    number: int
    seq: int
    ts_us: int
    payload: str
    """The event's msgpack payload, ``ConsentRecorded``."""
    hash: str
    digests: list[str]
    """Of the person's records up to this one, in order."""
    position: int
    """Of the record among those of its day."""
    path: list[str]
    tree: SignedTree
    public_key: str
    """For convenience: compare it with the one that you know."""


class ProofBroken(Exception):
    """A proof that does not hold. ``reason`` is a code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


_payloads = msgspec.msgpack.Decoder(ConsentRecorded)


def check_proof(proof: Proof, public_key: bytes) -> ConsentRecorded:
    """The record, if the proof of it holds for that key; ProofBroken says what does not."""
    try:
        event = _payloads.decode(bytes.fromhex(proof.payload))
        subject = bytes.fromhex(proof.subject)
        digests = [bytes.fromhex(one) for one in proof.digests]
        path = [bytes.fromhex(one) for one in proof.path]
        root, previous = bytes.fromhex(proof.tree.root), bytes.fromhex(proof.tree.previous)
        signature, told = bytes.fromhex(proof.tree.signature), bytes.fromhex(proof.hash)
    except (ValueError, msgspec.DecodeError):
        raise ProofBroken("unreadable") from None
    _expect(event.number == proof.number == len(digests), "number")
    _expect(digest(subject, proof.ts_us, event) == digests[-1], "record")
    chain = GENESIS
    for one in digests[:-1]:
        chain = link(chain, one)
    _expect(event.prev_hash == chain, "chain")
    _expect(event.hash == link(chain, digests[-1]) == told, "chain")
    _expect(root_from(event.hash, proof.position, proof.tree.count, path) == root, "path")
    signed = statement(day=proof.tree.day, count=proof.tree.count, root=root, previous=previous)
    _expect(proof.tree.key_id == key_id_of(public_key), "key")
    _expect(is_signed(signed, signature, public_key), "signature")
    return event


def _expect(holds: bool, reason: str) -> None:
    if not holds:
        raise ProofBroken(reason)


def decode_proof(text: bytes) -> Proof:
    """A proof as JSON; ProofBroken("unreadable") for anything else."""
    try:
        return msgspec.json.decode(text, type=Proof)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ProofBroken("unreadable") from None
