"""Quotas that grow with what an account has: ``300 + 40*active_ads``.

A grammar of five lines, parsed once; nothing is ever evaluated as code.

    sum     = product (("+" | "-") product)*
    product = unary (("*" | "/") unary)*
    unary   = "-" unary | number | name | function "(" sum ("," sum)* ")" | "(" sum ")"
    function = "log2" | "min" | "max"
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import isfinite, log2
from typing import Final

from msgspec import Struct

DEPTH_MAX: Final = 32
LENGTH_MAX: Final = 500
QUOTA_MAX: Final = 10**12
_TOKEN: Final = re.compile(r"\s*(?:(\d+(?:\.\d+)?)|([a-z][a-z0-9_]*)|([-+*/(),]))")
_FUNCTIONS: Final[Mapping[str, Callable[..., float]]] = {
    "log2": lambda value: log2(value) if value > 0 else 0.0,
    "min": min,
    "max": max,
}

Counters = Mapping[str, float]
Value = Callable[[Counters], float]


class Formula(Struct, frozen=True):
    """A quota by counters that the platform supplies; a counter that it does not know is 0."""

    text: str
    names: frozenset[str]
    value: Value

    def quota(self, counters: Counters) -> int:
        """Whole units, from 1 to 10**12: rounded down, and never a limit that lets nothing pass."""
        found = self.value(counters)
        if not isfinite(found):
            return 1
        return int(min(max(found, 1), QUOTA_MAX))


def parse_formula(text: str) -> Formula:
    """Raises ValueError with what was expected, what came and at which character."""
    if len(text) > LENGTH_MAX:
        raise ValueError(f"expected at most {LENGTH_MAX} characters, got {len(text)}")
    parser = _Parser(text)
    value = parser.sum(0)
    if parser.ahead is not None:
        raise parser.fault("an operator or the end")
    return Formula(text, frozenset(parser.names), value)


class _Parser:
    """Recursive descent, one token ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._end = 0
        self.names: set[str] = set()
        self._next()

    def fault(self, expected: str) -> ValueError:
        found = "the end" if self.ahead is None else repr(self.ahead)
        return ValueError(
            f"{self._text!r}: expected {expected} at character {self._at + 1}, got {found}"
        )

    def _next(self) -> None:
        self._at = self._end
        rest = self._text[self._at :]
        if not rest.strip():
            self.ahead = self._kind = None
            return
        match = _TOKEN.match(self._text, self._at)
        if match is None:
            self._at += len(rest) - len(rest.lstrip())
            self.ahead = self._text[self._at]
            raise self.fault("a number, a name, an operator or a bracket")
        self._at = match.start(match.lastindex or 0)
        self._end = match.end()
        self.ahead, self._kind = match[match.lastindex or 0], match.lastindex

    def _took(self, *tokens: str) -> str | None:
        found = self.ahead
        if found is None or found not in tokens:
            return None
        self._next()
        return found

    def sum(self, depth: int) -> Value:
        left = self._product(depth)
        while operator := self._took("+", "-"):
            left = _joined(operator, left, self._product(depth))
        return left

    def _product(self, depth: int) -> Value:
        left = self._unary(depth)
        while operator := self._took("*", "/"):
            left = _joined(operator, left, self._unary(depth))
        return left

    def _unary(self, depth: int) -> Value:
        if depth > DEPTH_MAX:
            raise ValueError(f"expected at most {DEPTH_MAX} brackets and signs inside each other")
        if self._took("-"):
            inner = self._unary(depth + 1)
            return lambda counters: -inner(counters)
        if self._took("("):
            inner = self.sum(depth + 1)
            if not self._took(")"):
                raise self.fault("')'")
            return inner
        word, kind = self.ahead, self._kind
        if word is None or kind == 3:
            raise self.fault("a number, a name or '('")
        self._next()
        if kind == 1:
            number = float(word)
            return lambda _: number
        return self._call(word, depth) if self.ahead == "(" else self._counter(word)

    def _counter(self, name: str) -> Value:
        self.names.add(name)
        return lambda counters: float(counters.get(name, 0))

    def _call(self, name: str, depth: int) -> Value:
        function = _FUNCTIONS.get(name)
        if function is None:
            raise ValueError(f"expected a function among {', '.join(_FUNCTIONS)}; got {name!r}")
        self._next()
        given = [self.sum(depth + 1)]
        while self._took(","):
            given.append(self.sum(depth + 1))
        if not self._took(")"):
            raise self.fault("',' or ')'")
        wanted = 1 if name == "log2" else 2
        if len(given) < wanted or (name == "log2" and len(given) > 1):
            raise ValueError(f"{name}: expected {wanted} arguments, got {len(given)}")
        return lambda counters: float(function(*[one(counters) for one in given]))


def _joined(operator: str, left: Value, right: Value) -> Value:
    match operator:
        case "+":
            return lambda counters: left(counters) + right(counters)
        case "-":
            return lambda counters: left(counters) - right(counters)
        case "*":
            return lambda counters: left(counters) * right(counters)
        case _:
            return lambda counters: _divided(left(counters), right(counters))


def _divided(left: float, right: float) -> float:
    """By zero: 0, as where a counter is not known."""
    return left / right if right else 0.0
