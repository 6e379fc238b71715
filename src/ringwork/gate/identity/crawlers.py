"""What a user agent says it is. It allows nothing: whoever asks writes it himself.

Verdicts are those of ``crawleruseragents.is_crawler`` (crawler-user-agents, MIT), which searches
for 1,504 expressions one after another. Here one automaton (``pyahocorasick``) looks for a literal
of every expression at once; the few that are more than their literal are searched for only where
it occurs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Final, Protocol

REMEMBERED: Final = 4096
"""User agents whose class is kept, twice this many at most."""
LENGTH_KEPT_MAX: Final = 1024
LITERAL_MIN: Final = 3
"""Shorter literals occur everywhere and save nothing."""

_PUNCTUATION: Final = re.compile(r"\\([^A-Za-z0-9])")
_CHARACTER: Final = re.compile(r"\\[^A-Za-z0-9]|[^\\^$.|?*+()\[\]{}]")
_SET: Final = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]")


class _Automaton(Protocol):
    def iter(self, text: str) -> Iterator[tuple[int, tuple[re.Pattern[str], ...] | None]]: ...


def literals_of(pattern: str) -> tuple[str, ...] | None:
    """Literals of which one occurs in every text that the expression matches, or None.

    One for each of its alternatives, the longest that stands outside groups and repetitions.
    """
    found = [_longest(part) for part in _alternatives(pattern)]
    return tuple(found) if min(map(len, found)) >= LITERAL_MIN else None


def is_literal(pattern: str) -> str | None:
    """The text that the expression is, where it is nothing else."""
    text = _PUNCTUATION.sub("", pattern)
    return None if re.search(r"[\\^$.|?*+()\[\]{}]", text) else _PUNCTUATION.sub(r"\1", pattern)


def _alternatives(pattern: str) -> list[str]:
    parts, depth, start = [], 0, 0
    plain = _SET.sub(lambda found: "." * len(found[0]), pattern)
    plain = re.sub(r"\\.", "..", plain)
    for at, character in enumerate(plain):
        depth += (character == "(") - (character == ")")
        if character == "|" and not depth:
            parts.append(pattern[start:at])
            start = at + 1
    return [*parts, pattern[start:]]


def _longest(pattern: str) -> str:
    runs, run, at, depth = [""], "", 0, 0
    while at < len(pattern):
        found = _CHARACTER.match(pattern, at) if not depth else None
        if found is not None:
            at, follows = found.end(), pattern[found.end() : found.end() + 1]
            if follows in ("?", "*", "{"):  # perhaps it is not there
                runs.append(run)
                run = ""
                continue
            run += found[0][-1]
            if follows == "+":
                runs.append(run)
                run = ""
            continue
        runs.append(run)
        run = ""
        inside = _SET.match(pattern, at)
        if inside is not None:
            at = inside.end()
            continue
        depth += (pattern[at] == "(") - (pattern[at] == ")")
        at += 2 if pattern[at] == "\\" else 1
    return max([*runs, run], key=len)


class CrawlerAgents:
    """Whether a user agent is a known crawler's, by expressions.

    Needs ``pyahocorasick``, of the extra ``gate``, which is imported here.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        import ahocorasick  # type: ignore[import-not-found]  # no stubs  # noqa: PLC0415

        automaton = ahocorasick.Automaton()
        wanted: dict[str, list[re.Pattern[str]] | None] = {}
        always = []
        for pattern in patterns:
            literal = is_literal(pattern)
            if literal:
                wanted[literal] = None  # the literal alone decides
                continue
            literals = literals_of(pattern)
            if literals is None:
                always.append(pattern)
                continue
            for one in literals:
                expressions = wanted.setdefault(one, [])
                if expressions is not None:
                    expressions.append(re.compile(pattern))
        if not wanted:
            raise ValueError("patterns: expected one or more with a literal of three characters")
        for literal, expressions in wanted.items():
            automaton.add_word(literal, None if expressions is None else tuple(expressions))
        automaton.make_automaton()
        self._automaton: _Automaton = automaton
        self._always = re.compile("|".join(always)).search if always else None
        self._newer: dict[str, bool] = {}
        self._older: dict[str, bool] = {}

    def is_crawler(self, user_agent: str) -> bool:
        """Whether the user agent says so; remembered for those that were asked lately."""
        found = self._newer.get(user_agent)
        if found is None:
            found = self._older.get(user_agent)
            if found is None:
                found = self.search(user_agent)
            if len(user_agent) <= LENGTH_KEPT_MAX:
                if len(self._newer) >= REMEMBERED:
                    self._older, self._newer = self._newer, {}
                self._newer[user_agent] = found
        return found

    def search(self, user_agent: str) -> bool:
        """The same, searched for."""
        for _, expressions in self._automaton.iter(user_agent):
            if expressions is None or any(one.search(user_agent) for one in expressions):
                return True
        return self._always is not None and self._always(user_agent) is not None


@cache
def known_crawlers() -> CrawlerAgents:
    """Those of the package ``crawler-user-agents`` that is installed; built once, in 20 ms."""
    import crawleruseragents  # type: ignore[import-untyped]  # no stubs  # noqa: PLC0415

    return CrawlerAgents(one["pattern"] for one in crawleruseragents.CRAWLER_USER_AGENTS_DATA)


CLAIMS: Final[Mapping[str, str]] = {
    "googlebot": "google",
    "adsbot-google": "google",
    "mediapartners-google": "google",
    "google-inspectiontool": "google",
    "storebot-google": "google",
    "googleother": "google",
    "apis-google": "google",
    "feedfetcher-google": "google",
    "bingbot": "bing",
    "adidxbot": "bing",
    "msnbot": "bing",
    "applebot": "apple",
    "yandexbot": "yandex",
    "yandeximages": "yandex",
    "baiduspider": "baidu",
    "gptbot": "openai-gptbot",
    "chatgpt-user": "openai-chatgpt-user",
    "oai-searchbot": "openai-searchbot",
    "perplexitybot": "perplexity",
    "duckduckbot": "duckduckgo",
    "ccbot": "commoncrawl",
}
"""Product token in lower case -> the operator whose ranges or names can bear the claim out."""

_CLAIM: Final = re.compile("|".join(sorted(map(re.escape, CLAIMS), key=len, reverse=True)))


def claimed_operator(user_agent: str, claims: Mapping[str, str] = CLAIMS) -> str | None:
    """Whose crawler the user agent says it is: a claim to be verified, never more."""
    text = user_agent.lower()
    if claims is CLAIMS:
        found = _CLAIM.search(text)
        return CLAIMS[found[0]] if found else None
    return next((operator for token, operator in claims.items() if token in text), None)
