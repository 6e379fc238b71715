"""What an ad says, as features of a linear model: phrases of the lexicon, words, letters.

Text is folded first, so that width, case, invisible characters and digits in the place of letters
change little. A feature's name is readable, for the explanation; its number is the CRC-32 of the
name, which is the same everywhere.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Final
from zlib import crc32

import msgspec

from ringwork.kernel.screening import AdContent

TEXT_MAX: Final = 2_000
"""Characters of an ad's text that are looked at; an ad has said what it is by then."""
BUCKETS: Final = 2**14
"""Where names are hashed to; about 60,000 differ in the examples, most of them once."""
_WORD: Final = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)?")
_INVISIBLE: Final = dict.fromkeys((0x00AD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF))
_LOOKALIKE: Final = str.maketrans("013457$@", "oleastsa")
_MIXED: Final = re.compile(r"\b(?=\w*[^\W\d_])(?=\w*[0-9$@])[\w$@]+\b")
_PHRASE_WORDS_MAX: Final = 4


class Features:
    """The features of one ad: number -> (value, name)."""

    def __init__(self, content: AdContent) -> None:
        self.found: dict[int, tuple[float, str]] = {}
        text, title = folded(content.text), folded(content.landing_title)
        words, titled = _WORD.findall(text), _WORD.findall(title)
        self._add(_phrases(words, titled), 1.0, root=False)
        self._add(_ngrams(words, titled, content.categories), 1.6, root=True)
        self._add(_letters([*words, *titled]), 1.0, root=True)

    def _add(self, names: Iterator[str], weight: float, *, root: bool) -> None:
        """A block of features, of a length that does not depend on how long the ad is."""
        found = dict.fromkeys(names)
        value = weight / len(found) ** 0.5 if root and found else weight
        for name in found:
            number = crc32(name.encode()) % BUCKETS
            had, first = self.found.get(number, (0.0, name))
            self.found[number] = (had + value, first)


def folded(text: str) -> str:
    """Text in one case and width, without what nobody sees, digits inside of words as letters.

    >>> folded("N0W H1RING, 24 jobs")
    'now hiring, 24 jobs'
    """
    plain = unicodedata.normalize("NFKC", text[: 4 * TEXT_MAX]).translate(_INVISIBLE).casefold()
    told = " ".join(plain.split())[:TEXT_MAX]
    return _MIXED.sub(lambda found: _as_letters(found[0]), told)


def _as_letters(word: str) -> str:
    """``l0ans`` as ``loans``; what begins with its digits stays a number (``3bd``, ``5k``)."""
    stays = word[0].isdigit() and not re.search(r"[^\W\d_]\d", word)
    return word if stays else word.replace("1", "i", 1).translate(_LOOKALIKE)


@cache
def lexicon() -> Mapping[str, tuple[str, ...]]:
    """Phrases that such ads use, by category."""
    text = (files("ringwork.fairness") / "presets" / "detector" / "lexicon.yaml").read_bytes()
    return msgspec.yaml.decode(text, type=dict[str, tuple[str, ...]])


@cache
def _known_phrases() -> Mapping[tuple[str, ...], str]:
    """Words of a phrase, as text is cut into them -> the name of its feature."""
    return {
        tuple(_WORD.findall(folded(phrase))): f"phrase: {phrase}"
        for phrases in lexicon().values()
        for phrase in phrases
    }


def _phrases(words: Sequence[str], titled: Sequence[str]) -> Iterator[str]:
    known = _known_phrases()
    for some in (words, titled):
        for start in range(len(some)):
            for length in range(1, _PHRASE_WORDS_MAX + 1):
                name = known.get(tuple(some[start : start + length]))
                if name is not None and start + length <= len(some):
                    yield name


def _ngrams(
    words: Sequence[str], titled: Sequence[str], categories: Sequence[str]
) -> Iterator[str]:
    for field, some in (("text", words), ("landing", titled)):
        for word in some:
            yield f"{field}: {word}"
        for pair in pairwise(some):
            yield f"{field}: {' '.join(pair)}"
    for category in categories:
        yield f"category: {folded(category)}"


def _letters(words: Sequence[str]) -> Iterator[str]:
    """Runs of 3 to 5 letters within words, whose ends are marked."""
    for word in words:
        marked = f"<{word}>"
        for length in (3, 4, 5):
            for start in range(len(marked) - length + 1):
                yield f"letters: {marked[start : start + length]}"
