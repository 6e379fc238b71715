"""robots.txt (RFC 9309): what a crawler was asked to leave alone.

Used to report which declared crawlers disobey, so the reading is the standard's and no kinder: a
report has to be right. ``protego`` reads real files well and was held against this: it takes a
group named "foo" for the crawler "foobot", misspelt records, ``crawl-delay`` as the end of a
group's head, "Allow: /index.html" as "Allow: /" too, "$" as itself besides the end, and U+2028 as
the end of a line. Where none of these occurs, the two agree (tests hold both).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

PARSED_MAX_BYTES: Final = 500 * 1024
"""What has to be read (RFC 9309, 2.5); the rest of a longer file is left out."""
CACHE_MAX_S: Final = 86_400
"""For how long a crawler may keep a file (2.4)."""

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_TOKEN: Final = re.compile(r"[A-Za-z_-]*")
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
)

Rule = tuple[int, bool, "Pattern"]
"""Octets of the pattern, whether it allows, the pattern."""


class Pattern:
    """The path of a rule: a prefix, ``*`` for anything, a last ``$`` for the end."""

    __slots__ = ("_is_anchored", "_parts")

    def __init__(self, text: str) -> None:
        self._is_anchored = text.endswith("$")
        self._parts = text[: -1 if self._is_anchored else None].split("*")

    def matches(self, path: str) -> bool:
        """Whether the path begins so. Linear: each part is looked for once, leftmost."""
        first, *rest = self._parts
        if not path.startswith(first):
            return False
        at = len(first)
        if not rest:
            return not self._is_anchored or at == len(path)
        last = rest.pop()
        for part in rest:
            found = path.find(part, at)
            if found < 0:
                return False
            at = found + len(part)
        if self._is_anchored:
            return len(path) - len(last) >= at and path.endswith(last)
        return path.find(last, at) >= 0


class Robots:
    """One file, read once; groups of one crawler are one group (2.2.1)."""

    __slots__ = ("_groups",)

    def __init__(self, robots_txt: str | bytes) -> None:
        octets = (
            robots_txt.encode("utf-8", "replace") if isinstance(robots_txt, str) else robots_txt
        )
        text = octets[:PARSED_MAX_BYTES].decode("utf-8", "replace").removeprefix("\ufeff")
        self._groups: dict[str, list[Rule]] = {}
        agents: list[list[Rule]] = []
        is_head = True
        for line in _LINE_END.split(text):
            key, colon, value = line.partition("#")[0].partition(":")
            key, value = key.strip().lower(), value.strip()
            if not colon:
                continue
            if key == "user-agent":
                if not is_head:
                    agents, is_head = [], True
                agents.append(self._groups.setdefault(_name_of(value), []))
            elif key in ("allow", "disallow"):
                is_head = False  # other records neither begin nor end anything (2.2.4)
                if value:
                    pattern = normalised(value if value[0] in "/*" else "/" + value)
                    for rules in {id(one): one for one in agents}.values():
                        rules.append((len(pattern), key == "allow", Pattern(pattern)))
        for rules in self._groups.values():
            rules.sort(key=lambda rule: rule[:2], reverse=True)

    def allowed(self, product_token: str, url: str) -> bool:
        """Whether the crawler may read the URL: the longest rule counts, ``Allow`` in a tie."""
        path = path_of(url)
        if path == "/robots.txt":
            return True
        rules = self._groups.get(product_token.strip().lower())
        if rules is None:
            rules = self._groups.get("*", [])
        for _, allows, pattern in rules:
            if pattern.matches(path):
                return allows
        return True


def allowed(robots_txt: str | bytes, product_token: str, url: str) -> bool:
    """Whether a robots.txt lets the crawler of this product token read the URL.

    ``url`` is absolute or a path. The last files asked about are kept read.
    """
    return _read(robots_txt).allowed(product_token, url)


@lru_cache(maxsize=64)
def _read(robots_txt: str | bytes) -> Robots:
    return Robots(robots_txt)


def of_answer(status: int | None, body: bytes) -> Robots:
    """The rules that an answer to ``GET /robots.txt`` means (2.3.1).

    2xx: the body. 4xx: none were made, all is allowed. Anything else, None for no answer: all is
    disallowed for the while.
    """
    if status is not None and 200 <= status < 300:
        return Robots(body)
    return Robots(
        b"" if status is not None and 400 <= status < 500 else b"user-agent: *\ndisallow: /"
    )


def _name_of(value: str) -> str:
    if value.startswith("*"):
        return "*"
    found = _TOKEN.match(value)
    return found[0].lower() if found else ""


def path_of(url: str) -> str:
    """Path and query, as rules are compared with them."""
    if "://" in url.partition("?")[0]:
        try:
            parts = urlsplit(url)
        except ValueError:
            return "/"
        url = (parts.path or "/") + ("?" + parts.query if "?" in url.partition("#")[0] else "")
    path = normalised(url.partition("#")[0])
    return path if path.startswith("/") else "/" + path


def normalised(text: str) -> str:
    """Escapes in one spelling: what needs none has none, what is no ASCII has one (2.2.2)."""
    escaped = "".join(
        one
        if one.isascii()
        else "".join(f"%{octet:02X}" for octet in one.encode("utf-8", "replace"))
        for one in text
    )
    return _ESCAPE.sub(_one_spelling, escaped)


def _one_spelling(found: re.Match[str]) -> str:
    octet = int(found[1], 16)
    return chr(octet) if octet in _UNRESERVED else f"%{octet:02X}"
