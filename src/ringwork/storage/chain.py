"""The hash chain over the rows of a log (log format 1): what makes an edited past visible.

``chain`` of a row = SHA-256(previous chain || first_seq u64 || count u32 || ts_us i64 || payload),
integers big-endian; the chain starts at SHA-256("ringwork-log-1" || log_id || partition u32).
"""

from __future__ import annotations

import hashlib
import struct
from typing import Final

from ringwork.kernel.errors import LogCorrupt
from ringwork.kernel.ports import Row

FORMAT: Final = 1
"""Of log files. Files are never migrated: a reader knows every format that was ever written."""

_pack: Final = struct.Struct(">QIq").pack


def genesis(log_id: bytes, partition: int) -> bytes:
    """The chain before the first row of a log."""
    return hashlib.sha256(b"ringwork-log-1" + log_id + partition.to_bytes(4, "big")).digest()


def link(previous: bytes, first_seq: int, count: int, ts_us: int, payload: bytes) -> bytes:
    """The chain after one more row."""
    digest = hashlib.sha256(previous + _pack(first_seq, count, ts_us))
    digest.update(payload)
    return digest.digest()


def check_row(row: Row, *, previous: bytes, expected_seq: int, where: str) -> None:
    """Raise LogCorrupt unless ``row`` starts at ``expected_seq`` and continues ``previous``."""
    if row.first_seq != expected_seq:
        raise LogCorrupt(
            where, expected_seq, f"a row that starts here was expected, the next is {row.first_seq}"
        )
    try:
        linked = link(previous, row.first_seq, row.count, row.ts_us, row.payload)
    except (struct.error, TypeError) as error:  # values that no writer ever wrote
        raise LogCorrupt(where, expected_seq, f"a readable row was expected: {error}") from error
    if row.count < 1 or linked != row.chain:
        raise LogCorrupt(
            where,
            expected_seq,
            f"the chain {linked.hex()} was expected, {_hex(row.chain)} is stored",
        )


def _hex(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else repr(value)
