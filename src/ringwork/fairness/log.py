"""The audit log, version 1: JSON lines, appended only, chained by SHA-256, signed by Ed25519.

A record is ``{"v":1,"seq","prev","time_us","kind","body","hash"[,"sig"]}`` on one line of canonical
JSON: sorted keys, no white space, UTF-8, and of values only text, integers below 2^53, booleans,
null, arrays and objects. ``hash`` = SHA-256 of the canonical record without hash and sig, ``prev``
the hash before it (64 zeros first), ``sig`` = Ed25519 over "ringwork-fairness-log-v1", a line feed
and the hash. Nothing here opens a file: who calls gives one.

What a log alone cannot show: that its end was cut off, or that all of it was written anew under
another key. For that a copy of its key and head has to lie outside (``Head.line``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Final, Protocol, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from ringwork.fairness.records import SIGNED, AnyBody, Checkpoint, Genesis, Key, kind_of, wire_of
from ringwork.fairness.records import refused as record_refused
from ringwork.kernel.errors import Refused

VERSION: Final = 1
DOMAIN: Final = "ringwork-fairness-log-v1"
"""Before every signed hash, so that a signature means nothing anywhere else; and of head lines."""
ZERO: Final = "0" * 64
INTEGER_END: Final = 2**53
"""Above it a double, which many JSON readers use, is no exact integer any more."""
LINE_MAX: Final = 64 << 20
"""Bytes of a record: a report of 100,000 ads with reach by group has about 40 MB."""
DEPTH_MAX: Final = 16
"""Of nested values; no kind needs more than six."""

_Struct = TypeVar("_Struct", Genesis, Key)
_encode = msgspec.json.Encoder(order="sorted").encode


class Broken(Exception):
    """A record that is not what its place in the log asks for; ``seq`` names it."""

    def __init__(self, seq: int, detail: str) -> None:
        super().__init__(f"record {seq}: {detail}")
        self.seq = seq
        self.detail = detail


class Unreadable(Broken):
    """A line that is no record at all."""


class Head(Struct, frozen=True):
    """The end of a log and the key that it began with: what somebody else should keep a copy of."""

    log: str
    seq: int
    hash: str
    public_key: str

    def line(self) -> str:
        """One line to publish."""
        return f"{DOMAIN} {self.log} {self.seq} {self.hash} {self.public_key}"


def head_of(line: str) -> Head:
    """A published line. ValueError for another text."""
    match line.split():
        case [domain, log, seq, hash_, public_key] if domain == DOMAIN and seq.isdecimal():
            if _is_hex(hash_, 32) and _is_hex(public_key, 32):
                return Head(log, int(seq), hash_, public_key)
    raise ValueError(f"expected the line of `log head`: {DOMAIN} LOG SEQ HASH KEY; got {line!r}")


class Record(Struct, frozen=True):
    """One record as it stands, members that nobody here knows included."""

    seq: int
    prev: str
    time_us: int
    kind: str
    body: dict[str, Any]
    hash: str
    sig: str | None = None

    def line(self) -> bytes:
        """The record's line, its line feed included."""
        signed = {} if self.sig is None else {"sig": self.sig}
        return canonical({**_hashed(self), "hash": self.hash, **signed}) + b"\n"


class Signer:
    """Signs; ``public`` is what others verify with."""

    def __init__(self, seed: bytes) -> None:
        """``seed``: 32 secret bytes."""
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._key.public_key().public_bytes_raw().hex()

    def sign(self, hash_: str) -> str:
        """128 hex digits, the same for the same hash."""
        return self._key.sign(statement_of(hash_)).hex()


class Sink(Protocol):
    """Where lines go: a file that was opened for appending bytes, or what acts like one."""

    def write(self, line: bytes, /) -> object: ...
    def flush(self) -> object: ...


class LogWriter:
    """Appends to one log. One writer per log: two would fork the chain.

    ``append`` returns when the sink has taken and flushed the line. The first record is a genesis,
    the last should be a checkpoint. After a write that failed the writer refuses; see ``resume``.
    """

    def __init__(self, sink: Sink, signer: Signer, *, after: Record | None = None) -> None:
        """``after``: the last record that stands; None for an empty sink."""
        self._sink = sink
        self._signer = signer
        self._seq = -1 if after is None else after.seq
        self._prev = ZERO if after is None else after.hash
        self._is_torn = False

    @property
    def next_seq(self) -> int:
        """The number of the record that comes next."""
        return self._seq + 1

    def append(self, body: AnyBody, *, time_us: int) -> Record:
        """Write one record. Refused (record-invalid): a value outside the format, or no genesis."""
        kind = kind_of(body)
        if self._is_torn:
            raise Refused(
                "log-broken", "a line was not written whole: open the log again", status=409
            )
        if (kind == "genesis") != (self._seq < 0):
            raise record_refused(
                f"expected genesis as record 0 alone, got {kind} as {self.next_seq}"
            )
        if isinstance(body, Genesis) and body.public_key != self._signer.public:
            raise record_refused("genesis: expected the public key of the signer")
        plain = wire_of(body)
        unhashed = Record(self.next_seq, self._prev, time_us, kind, plain, "")
        hash_ = hash_of(unhashed)
        sig = self._signer.sign(hash_) if kind in SIGNED else None
        record = Record(self.next_seq, self._prev, time_us, kind, plain, hash_, sig)
        line = record.line()
        self._is_torn = True  # until all of it is out: what follows half a line is lost
        self._sink.write(line)
        self._sink.flush()
        self._is_torn = False
        self._seq, self._prev = record.seq, record.hash
        return record

    def checkpoint(self, *, time_us: int) -> Record:
        """Sign everything so far; Refused (record-invalid) for an empty log."""
        return self.append(Checkpoint(head=max(self._seq, 0)), time_us=time_us)

    def rotate(self, signer: Signer, reason: str, *, time_us: int) -> Record:
        """Go on with another key, which the present one vouches for."""
        record = self.append(Key(new_public_key=signer.public, reason=reason), time_us=time_us)
        self._signer = signer
        return record


def resume(
    file: BinaryIO, signer: Signer, seen: Callable[[Record], object] = lambda _: None
) -> tuple[LogWriter, int]:
    """A writer that goes on where a log stands, and how many bytes of a torn line were cut off.

    As ``mend``; Refused (log-key) too, where another key signs by now, and nothing is cut off.
    """
    stands = mend(file, seen, signed_by=signer.public)
    return LogWriter(file, signer, after=stands.last), stands.torn_bytes


class Stands(Struct, frozen=True):
    """Where a log that was followed to its end goes on."""

    last: Record | None
    """None: it is empty."""
    public_key: str
    """The key that the next record is signed with; empty for an empty log."""
    torn_bytes: int
    """That were cut off."""


def mend(
    file: BinaryIO,
    seen: Callable[[Record], object] = lambda _: None,
    *,
    signed_by: str | None = None,
) -> Stands:
    """Follow a log to its end, and cut a torn last line off.

    A line without its end was never acknowledged: a crash left it. ``file`` was opened for reading
    and writing; ``seen`` gets every record that stands. Refused: log-broken, or log-key where
    another key than ``signed_by`` signs by now.
    """
    chain, end = Chain(), 0
    last: Record | None = None
    file.seek(0)
    try:
        for line in lines(file):
            if not line.endswith(b"\n"):
                break
            last, end = chain.follow(line), end + len(line)
            seen(last)
    except Broken as broken:
        raise Refused("log-broken", str(broken), status=409, title="The log is broken") from None
    if last is not None and signed_by not in (None, chain.public_key):
        raise Refused(
            "log-key",
            f"expected the key of {chain.public_key}, got that of {signed_by}",
            status=409,
            title="Another key signs this log",
        )
    torn = file.seek(0, 2) - end
    file.seek(end)
    file.truncate()
    return Stands(last, chain.public_key, torn)


class Chain:
    """Follows a log line by line and raises Broken at the first record that does not fit.

    ``public_key`` is the key in force; the first one is what the genesis record says, so whoever
    has it from elsewhere compares ``genesis.public_key``.
    """

    def __init__(self) -> None:
        self.next_seq = 0
        self.signed_through = -1
        """The last record that a signature vouches for."""
        self.public_key = ""
        self.genesis: Genesis | None = None
        self._prev = ZERO

    def follow(self, line: bytes) -> Record:
        """The record of a line, checked: form, place, hash, signature where one has to be."""
        record = read_line(line, self.next_seq)
        self._check_place(record)
        if record.kind == "genesis":
            self.genesis = self._converted(record, Genesis)
            self.public_key = self.genesis.public_key
        if record.kind in SIGNED and record.sig is None:
            raise Broken(record.seq, f"{record.kind}: expected a signature")
        if record.sig is not None:
            if not is_signed(record.hash, record.sig, self.public_key):
                raise Broken(record.seq, f"not signed by the key {self.public_key}")
            self.signed_through = record.seq
        if record.kind == "key":
            self.public_key = self._converted(record, Key).new_public_key
        self.next_seq, self._prev = record.seq + 1, record.hash
        return record

    def _check_place(self, record: Record) -> None:
        if record.seq != self.next_seq:
            raise Broken(self.next_seq, f"expected seq {self.next_seq}, got {record.seq}")
        if (record.kind == "genesis") != (record.seq == 0):
            raise Broken(record.seq, f"expected genesis as record 0 alone, got {record.kind!r}")
        if record.prev != self._prev:
            raise Broken(record.seq, f"expected the hash before it, {self._prev}")
        if record.kind == "checkpoint" and record.body.get("head") != record.seq - 1:
            raise Broken(record.seq, f"checkpoint: expected head {record.seq - 1}")
        if record.hash != hash_of(record):
            raise Broken(record.seq, "the hash does not match what the record says")

    @staticmethod
    def _converted(record: Record, kind: type[_Struct]) -> _Struct:
        try:
            return msgspec.convert({**record.body, "kind": record.kind}, kind)
        except msgspec.ValidationError as error:
            raise Broken(record.seq, f"{record.kind}: {error}") from None


def lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines with their line feeds; the last may lack it. Raises Unreadable past ``LINE_MAX``."""
    number = 0
    while line := file.readline(LINE_MAX + 1):
        if len(line) > LINE_MAX:
            raise Unreadable(number, f"expected a line of at most {LINE_MAX:,} bytes")
        yield line
        number += 1


def read_line(line: bytes, seq: int) -> Record:
    """The record of one line, unchecked but for its form; ``seq`` is what it should be.

    Unreadable: no JSON object. Broken: members or their order are not those of a record.
    """
    try:
        members = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Unreadable(seq, "no line of JSON") from None
    if not isinstance(members, dict):
        raise Unreadable(seq, "expected an object")
    try:
        fits = canonical(members) + b"\n" == line
        record = msgspec.convert(members, _Wire)
    except (Refused, msgspec.ValidationError) as error:
        raise Broken(seq, getattr(error, "detail", str(error))) from None
    if not fits:
        raise Broken(seq, "not in canonical form")
    sig = None if record.sig is msgspec.UNSET else record.sig
    return Record(
        record.seq, record.prev, record.time_us, record.kind, record.body, record.hash, sig
    )


class _Wire(Struct, forbid_unknown_fields=True):
    v: Any
    seq: int
    prev: str
    time_us: int
    kind: str
    body: dict[str, Any]
    hash: str
    sig: str | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        if type(self.v) is not int or self.v != VERSION:
            raise ValueError(f"expected version {VERSION}, got {self.v!r}")


def canonical(value: object) -> bytes:
    """The one form of a value as bytes. Refused (record-invalid): floats, large integers, depth.

    >>> canonical({"b": [1, None], "a": "é"}).decode()
    '{"a":"é","b":[1,null]}'
    """
    _check(value, 0)
    try:
        return _encode(value)
    except UnicodeEncodeError:
        raise record_refused("expected text that UTF-8 can hold") from None


def _check(value: object, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise record_refused(f"expected at most {DEPTH_MAX} nested values")
    if isinstance(value, dict):
        for name, one in value.items():
            if not isinstance(name, str):
                raise record_refused(f"expected a text as key, got {type(name).__name__}")
            _check(one, depth + 1)
    elif isinstance(value, list | tuple):
        for one in value:
            _check(one, depth + 1)
    elif isinstance(value, bool) or value is None or isinstance(value, str):
        return
    elif not isinstance(value, int):
        raise record_refused(f"expected no {type(value).__name__}: numbers are integers")
    elif abs(value) >= INTEGER_END:
        raise record_refused("expected integers below 2^53")


def _hashed(record: Record) -> dict[str, Any]:
    return {
        "v": VERSION,
        "seq": record.seq,
        "prev": record.prev,
        "time_us": record.time_us,
        "kind": record.kind,
        "body": record.body,
    }


def hash_of(record: Record) -> str:
    """SHA-256 of the canonical record without hash and sig, in hex."""
    return hashlib.sha256(canonical(_hashed(record))).hexdigest()


def statement_of(hash_: str) -> bytes:
    """What is signed."""
    return f"{DOMAIN}\n{hash_}".encode()


def is_signed(hash_: str, sig: str, public_key: str) -> bool:
    """Whether the key signed the hash; hex has one form, so that no line has a second one."""
    if not _is_hex(sig, 64):
        return False
    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        public.verify(bytes.fromhex(sig), statement_of(hash_))
    except (InvalidSignature, ValueError):
        return False
    return True


def _is_hex(text: str, size: int) -> bool:
    return len(text) == 2 * size and all(one in "0123456789abcdef" for one in text)
