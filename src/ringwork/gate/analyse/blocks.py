"""A log of any size, a bounded piece at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK_BYTES: Final = 4 * 1024 * 1024
"""Read at once: about 20,000 lines, small beside the state of the actors."""
LINE_MAX_BYTES: Final = 64 * 1024
"""Servers refuse request heads of this size; a longer line is damage or an attack on the reader."""


class Readable(Protocol):
    """A binary file, plain or unpacked as it is read."""

    def read(self, size: int, /) -> bytes: ...


class Block(NamedTuple):
    """Whole lines, the last one ending with a newline, and how many were too long to be kept."""

    lines: bytes
    too_long: int


def blocks(
    file: Readable, *, block_bytes: int = BLOCK_BYTES, line_max_bytes: int = LINE_MAX_BYTES
) -> Iterator[Block]:
    """The lines of a file in order; those above the bound are counted and left out."""
    carry = b""
    is_skipping = False
    while piece := file.read(block_bytes):
        if is_skipping:
            _, newline, piece = piece.partition(b"\n")
            if not newline:
                continue
            is_skipping = False
        cut = piece.rfind(b"\n") + 1
        head = carry + piece[:cut] if cut else b""
        carry = piece[cut:] if cut else carry + piece
        lines, too_long = _without_long(head, line_max_bytes)
        if len(carry) > line_max_bytes:
            carry, is_skipping = b"", True
            too_long += 1
        if lines or too_long:
            yield Block(lines, too_long)
    if carry:
        yield Block(carry + b"\n", 0)


def _without_long(lines: bytes, line_max_bytes: int) -> tuple[bytes, int]:
    if len(lines) <= line_max_bytes:
        return lines, 0
    kept = []
    too_long = begin = 0
    at = 0
    # A line above the bound has no newline in the stretch that begins with it.
    while len(lines) - at > line_max_bytes + 1:
        last = lines.rfind(b"\n", at, at + line_max_bytes + 1)
        if last >= 0:
            at = last + 1
            continue
        end = lines.find(b"\n", at + line_max_bytes + 1)
        kept.append(lines[begin:at])
        too_long += 1
        begin = at = end + 1
    if not too_long:
        return lines, 0
    kept.append(lines[begin:])
    return b"".join(kept), too_long
