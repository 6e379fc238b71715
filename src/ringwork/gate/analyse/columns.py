"""The lines of one block of a log as arrays: where each field stands, and the numbers in it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

ADDRESS, USER, HOST, METHOD, TARGET, PROTOCOL, REFERRER, AGENT = range(8)
FIELDS: Final = 8
"""The fields of a line that are text, in the order of the columns of ``starts`` and ``ends``."""

ODD: Final = 255
"""The kind of a line that the quick parsers leave to ``formats.parse_line``."""


class Kind(IntEnum):
    """What a line reports."""

    ACCESS = 0
    AUTH_FAILURE = 1
    LIMITED = 2
    OTHER_ERROR = 3


class Record(NamedTuple):
    """One line, parsed: the text fields as bytes (empty where unknown), the numbers as integers.

    ``method`` is empty where the request line is malformed; ``target`` then is all of it.
    """

    kind: int
    ts_us: int
    status: int
    size: int
    texts: tuple[bytes, bytes, bytes, bytes, bytes, bytes, bytes, bytes]


@dataclass(slots=True)
class Columns:
    """The parsed lines of a block, in the order of the file.

    ``starts`` and ``ends`` are int32[lines, FIELDS], places in ``buffer``; times are microseconds
    since 1970 UTC. ``samples`` are the first lines that did not parse, ``skipped`` counts them all.
    """

    buffer: bytes
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    ts_us: NDArray[np.int64]
    status: NDArray[np.int16]
    size: NDArray[np.int64]
    kind: NDArray[np.uint8]
    skipped: int
    samples: list[bytes]

    def __len__(self) -> int:
        return len(self.kind)

    def records(self) -> Iterable[Record]:
        """The same, one line at a time: for tests and for tools that want rows."""
        for row in range(len(self)):
            places = zip(self.starts[row].tolist(), self.ends[row].tolist(), strict=True)
            texts = tuple(self.buffer[start:end] for start, end in places)
            assert len(texts) == FIELDS
            yield Record(
                int(self.kind[row]),
                int(self.ts_us[row]),
                int(self.status[row]),
                int(self.size[row]),
                texts,
            )
