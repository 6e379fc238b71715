"""What a request target says by itself: its parts, and whether it looks like an attack.

Percent-encoding is undone once and twice, and both are looked at (gate specification 3.10): a
server behind a proxy may decode a second time.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import unquote
from zlib import crc32

from ringwork.gate.analyse import words

LOOKED_AT_BYTES: Final = 8192
"""Of a longer target only the beginning is searched: what servers accept as a request line."""


class Mark:
    """What stands out in a target, as bits of a number."""

    STATIC: Final = 1
    QUERY: Final = 2
    RANDOM_NAME: Final = 4
    """No query, the last part of the path is six upper-case letters."""
    DIGIT_QUERY: Final = 8
    """The query is 7 to 12 digits."""
    AUTHOR: Final = 16
    ABSOLUTE: Final = 32
    TRAVERSAL: Final = 64
    SENSITIVE: Final = 128
    SQL: Final = 256
    SCRIPT: Final = 512
    SHELL: Final = 1024
    ADMIN: Final = 2048
    WORDPRESS: Final = 4096
    LOGIN: Final = 8192


class Target(NamedTuple):
    """The parts of a target as hashes (what buckets compare) and its marks.

    The hashes are keyed per process, so that nobody can make two file names that count as one;
    ``path_mark`` and ``folder_mark`` (CRC-32) are the same everywhere, as features must be.
    ``entity`` is the last number in the path, else the first long one in the query, -1 for none;
    ``depth`` counts the path's parts.
    """

    marks: int
    path: int
    file: int
    query: int
    path_mark: int
    folder_mark: int
    depth: int
    entity: int


def look(target: bytes) -> Target:
    """Takes a target apart. Never fails: what is no path has no marks."""
    if b"\\" in target:
        target = _LOGGED.sub(_byte_of, target)
    path, mark, query = target.partition(b"?")
    path = path.partition(b"#")[0]
    folder, _, file = path.rpartition(b"/")
    # One character a byte: searching text is five times as fast as searching bytes.
    marks = _marks(
        target[:LOOKED_AT_BYTES].decode("latin-1"),
        path[:LOOKED_AT_BYTES].decode("latin-1"),
        query[:LOOKED_AT_BYTES].decode("latin-1"),
        file[:LOOKED_AT_BYTES].decode("latin-1"),
    )
    if mark:
        marks |= Mark.QUERY
    number = _NUMBER.search(path) or _LONG_NUMBER.search(query)
    return Target(
        marks, hash(path), hash(file), hash(query), crc32(path), crc32(folder),
        path.count(b"/"), int(number[1]) if number else -1,
    )  # fmt: skip


def path_of(referrer: bytes) -> bytes:
    """The path that a referrer names, without its host."""
    rest = referrer.partition(b"://")[2]
    slash = rest.find(b"/")
    path = rest[slash:] if slash >= 0 else (b"/" if rest else referrer)
    return path.partition(b"?")[0].partition(b"#")[0]


_LOGGED: Final = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|([\"\\]))")
_NUMBER: Final = re.compile(rb"([0-9]{1,18})[^0-9]*\Z")
_LONG_NUMBER: Final = re.compile(rb"([0-9]{5,18})")
"""An id or a phone number in a query; shorter ones are pages of a list."""
_RANDOM_NAME: Final = re.compile(r"[A-Z]{6}\Z")
_DIGIT_QUERY: Final = re.compile(r"[0-9]{7,12}\Z")
_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_STATIC: Final = frozenset(words.STATIC)
_SHELLS: Final = frozenset(words.SHELLS)
_WORDPRESS: Final = re.compile(r"/wp-[^/]*\.php\Z|/wp-content/plugins/.*\.(?:txt|md)\Z")
_COMMENT: Final = re.compile(r"/\*.*?\*/|[+\s]+")


def _marks(target: str, path: str, query: str, file: str) -> int:
    marks = 0
    low = file.lower()
    if "." in low and low.rpartition(".")[2] in _STATIC:
        marks |= Mark.STATIC
    if len(file) == 6 and "?" not in target and _RANDOM_NAME.match(file) is not None:
        marks |= Mark.RANDOM_NAME
    if _DIGIT_QUERY.match(query) is not None:
        marks |= Mark.DIGIT_QUERY
    if not target.startswith("/") and _ABSOLUTE.match(target) is not None:
        marks |= Mark.ABSOLUTE
    if _has(low, words.LOGIN):
        marks |= Mark.LOGIN
    for text in _decodings(path.lower()):
        marks |= _marks_of_path(text)
    if query:
        for text in _decodings(query.lower()):
            marks |= _marks_of_query(text)
    return marks


def _has(text: str, fragments: tuple[str, ...]) -> bool:
    # A loop of `in` beats one regular expression with all of them.
    for fragment in fragments:  # noqa: SIM110 # any() of a generator takes twice as long
        if fragment in text:
            return True
    return False


def _marks_of_path(path: str) -> int:
    marks = 0
    if _has(path, words.TRAVERSAL):
        marks |= Mark.TRAVERSAL
    if path.endswith(words.SENSITIVE):
        marks |= Mark.SENSITIVE
    if path.rpartition("/")[2] in _SHELLS:
        marks |= Mark.SHELL
    if _has(path, words.ADMIN):
        marks |= Mark.ADMIN
    if "/wp-" in path and _WORDPRESS.search(path) is not None:
        marks |= Mark.WORDPRESS
    return marks


def _marks_of_query(query: str) -> int:
    marks = 0
    if "author=" in query:
        marks |= Mark.AUTHOR
    if _has(query, words.TRAVERSAL):
        marks |= Mark.TRAVERSAL
    # Comments and runs of blanks are how a fragment hides: `union/**/select`, `union+select`.
    spaced = _COMMENT.sub(" ", query)
    if _has(query, words.SQL) or (spaced != query and _has(spaced, words.SQL)):
        marks |= Mark.SQL
    if _has(query, words.SCRIPT):
        marks |= Mark.SCRIPT
    return marks


def _decodings(text: str) -> tuple[str, ...]:
    """The text, decoded once, decoded twice; in lower case and without repeats."""
    if "%" not in text:
        return (text,)
    once = unquote(text, encoding="latin-1").lower()
    if "%" not in once:
        return (text, once)
    return (text, once, unquote(once, encoding="latin-1").lower())


def _byte_of(found: re.Match[bytes]) -> bytes:
    """The byte that a server wrote in hexadecimal, or the character that it escaped."""
    return bytes((int(found[1], 16),)) if found[1] else found[2]
