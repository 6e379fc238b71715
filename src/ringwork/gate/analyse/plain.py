"""The scanners of ``compiled`` without numba: the same columns, by regular expressions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from ringwork.gate.analyse.buckets import Buckets
from ringwork.gate.analyse.columns import AGENT, FIELDS, ODD, REFERRER, USER, Columns
from ringwork.gate.analyse.moments import clf_us

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Longs = NDArray[np.int64]

__all__ = ["Buckets", "encode", "scan_clf", "scan_nginx_json", "scan_odd"]

_QUICK_OR_LINE: Final = re.compile(
    rb'^([^ \n\["]{1,255}) - ([^ \n\[]+) \[([^\]\n]{26})\] '
    rb'"([A-Za-z_-]{1,32}) ([^ "\\\n]+) (HTTP/[^ "\\\n]*)" (\d{3}) (\d{1,18}|-)'
    rb'(?: "([^"\\\n]*)" "([^"\\\n]*)"[^\n]*|\r?)$|^[^\n]+$',
    re.MULTILINE,
)
"""The lines of people and of most machines: no escapes, no virtual host, three words a request."""
_LINE: Final = re.compile(rb"[^\n]+")


def scan_clf(block: bytes) -> Columns:
    """See ``compiled.scan_clf``."""
    places: list[int] = []
    until: list[int] = []
    numbers: list[tuple[int, int, int, int]] = []
    for found in _QUICK_OR_LINE.finditer(block):
        line, address, user, time, method, target, protocol, status, size, referrer, agent = (
            found.regs
        )
        ts_us = None if address[0] < 0 else clf_us(block[time[0] : time[1]])
        if ts_us is None:
            if found[0] == b"\r":
                continue
            places += (line[0], *_NOWHERE)
            until += (line[1], *_NOWHERE)
            numbers.append((ODD, 0, 0, 0))
            continue
        places += (
            address[0], user[0], 0, method[0], target[0], protocol[0], referrer[0], agent[0]
        )  # fmt: skip
        until += (
            address[1], user[1], 0, method[1], target[1], protocol[1], referrer[1], agent[1]
        )  # fmt: skip
        sent = block[size[0] : size[1]]
        code = int(block[status[0] : status[1]])
        numbers.append((0, ts_us, code, 0 if sent == b"-" else int(sent)))
    return _columns(block, places, until, numbers)


def scan_nginx_json(block: bytes) -> Columns:
    """See ``compiled.scan_nginx_json``; every line is left to the parser of JSON."""
    return scan_odd(block)


def scan_odd(block: bytes) -> Columns:
    """A block of which every line is read by ``formats.parse_line``."""
    places: list[int] = []
    until: list[int] = []
    numbers: list[tuple[int, int, int, int]] = []
    for found in _LINE.finditer(block):
        if found[0] == b"\r":
            continue
        begin, end = found.span()
        places += (begin, *_NOWHERE)
        until += (end, *_NOWHERE)
        numbers.append((ODD, 0, 0, 0))
    return _columns(block, places, until, numbers)


def encode(columns: Columns, field: int) -> tuple[Longs, Longs]:
    """See ``compiled.encode``."""
    numbers: dict[bytes, int] = {}
    firsts: list[int] = []
    codes = np.empty(len(columns), np.int64)
    buffer = columns.buffer
    starts, ends = columns.starts[:, field].tolist(), columns.ends[:, field].tolist()
    for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
        value = buffer[start:end]
        code = numbers.get(value)
        if code is None:
            code = numbers[value] = len(firsts)
            firsts.append(row)
        codes[row] = code
    return codes, np.array(firsts, np.int64)


_NOWHERE: Final = (0,) * (FIELDS - 1)


def _columns(
    block: bytes,
    places: list[int],
    until: list[int],
    numbers: list[tuple[int, int, int, int]],
) -> Columns:
    lines = len(numbers)
    table = np.array(numbers, np.int64).reshape(lines, 4)
    starts = np.array(places, np.int32).reshape(lines, FIELDS)
    ends = np.array(until, np.int32).reshape(lines, FIELDS)
    # A group without a match stands at -1; a lone dash is nothing.
    np.maximum(starts, 0, out=starts)
    np.maximum(ends, 0, out=ends)
    letters = np.frombuffer(block, np.uint8)
    for field in (USER, REFERRER, AGENT):
        one = ends[:, field] - starts[:, field] == 1
        one[one] = letters[starts[one, field]] == 45
        ends[one, field] = starts[one, field]
    return Columns(
        buffer=block,
        starts=starts,
        ends=ends,
        kind=table[:, 0].astype(np.uint8),
        ts_us=table[:, 1].copy(),
        status=table[:, 2].astype(np.int16),
        size=table[:, 3].copy(),
        skipped=0,
        samples=[],
    )
