"""What a written name is looked up as: the regulator's rules, and ours.

``cfpb`` is scripts/surname_parser.do of the CFPB's proxy-methodology, step by step, quirks included
(2014). ``extended`` follows the Census Bureau's own preparation of its surname list (Word, Coleman,
Nunziata, Kominski 2008, "Demographic Aspects of Surnames from Census 2000") and adds double names:
the list has no spaces or hyphens, so a name is tried whole, joined, and only then in its parts.

These are the definitions. ``compiled`` does the plain cases faster and leaves the rest to this
module; a property test holds it to the same answers.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

Rules = Literal["cfpb", "extended"]
NAME_CHARACTERS_MAX: Final = 256
"""A longer text is no name: it is read as one that is not listed."""

NONE, GENERIC, TABLE, PART = 0, 1, 2, 3
"""How a name matched: not given, not listed, listed, or a part of a double name is listed."""

# ---- cfpb ---------------------------------------------------------------------------------------
CFPB_SUFFIXES: Final = ("jr", "sr", "ii", "iii", "iv", "dds", "md", "phd")
_CFPB_SPACED: Final = str.maketrans(dict.fromkeys('`{}\\,.0123456789"', " ") | {"'": ""})
_CFPB_INITIAL: Final = re.compile(r" [a-ce-np-z] ")


def cfpb(text: str) -> tuple[str, str]:
    """The first and the second look-up, in lower case; '' where there is none.

    A lone letter goes together with both spaces around it, so of two in a row the second stays and
    is glued to its neighbour ("smith j k" -> "smithk"): that is what the regulator's rules do.
    """
    found = f" {text.lower()} ".translate(_CFPB_SPACED)
    for suffix in CFPB_SUFFIXES:
        found = found.replace(f" {suffix} ", " ")
    before = ""
    while before != found:
        before, found = found, _CFPB_INITIAL.sub("", found, count=1)
    if found.strip() in ("o", "d"):
        return "", ""
    parts = found.replace(" ", "").replace("-", " ").split()
    return parts[0] if parts else "", parts[1] if len(parts) > 1 else ""


# ---- extended -----------------------------------------------------------------------------------
def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SUFFIXES: Final = _words("JR SR II III IV DDS MD PHD JUNIOR SENIOR THIRD")
_ORDINALS: Final = _words("1ST 2ND 3RD 4TH")
PREFIXES: Final = _words(
    "MC MAC O D DE LA LAS LOS DEL DELA VAN VON DER DEN SAN SANTA ST SAINT LE DI DA DO DOS DAS "
    "AL EL BIN BEN ABU TER TEN"
)
"""Words that belong to the word after them: no part of a double name by themselves."""
_ARTICLES: Final = _words("AL EL")
"""The same across a hyphen: Al-Rashid."""
ANSWERS: Final = _words(
    "DECLINE DECLINED DECLINETOSTATE DECLINEDTOSTATE DECLINETOANSWER REFUSED REFUSEDTOSTATE NONAME "
    "NOLASTNAME NOSURNAME NONEGIVEN NOTGIVEN NOTAPPLICABLE NOTPROVIDED NOTSTATED NOTAVAILABLE "
    "SAME SAMEASABOVE SAMEASME SAMENAME ASABOVE UNKNOWN ANONYMOUS WITHHELD MISSING PREFERNOTTOSAY "
    "PREFERNOTTOSTATE"
)
"""Answers that are no names, joined. A single word that is listed as a surname is a surname."""
_NOT_GIVEN: Final = _words("N/A N.A. #N/A - ?")
_KEPT_BY_NFKD: Final = str.maketrans(
    {
        **dict(zip("ØøŁłĐđÐðı", "OoLlDdDdi", strict=True)),
        "ß": "ss",
        "ẞ": "SS",
        "Þ": "TH",
        "þ": "th",
        "Œ": "OE",
        "œ": "oe",
        "Æ": "AE",
        "æ": "ae",
        # Apostrophes: right and left quotation marks, 'okina, modifier apostrophe, acute accent.
        **dict.fromkeys("\u2019\u2018\u02bb\u02bc\u00b4", "'"),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014", "-"),
    }
)
"""Letters and signs that have no ASCII of their own for NFKD to find."""
_WORD: Final = re.compile(r"[A-Z0-9]+|-")
GLUED_REST_MIN: Final = 5
"""Letters before a JR or SR that is glued to a name (Census rules)."""


class Name(NamedTuple):
    """What a written name is looked up as, in the order in which it is tried."""

    whole: str
    """All of it, joined."""
    parts: tuple[tuple[str, ...], ...] = ()
    """Of a double name: for each part its forms, the better first."""
    is_answer: bool = False


def folded(text: str) -> str:
    """Upper-case ASCII: accents go, letters that have no accent to lose become their nearest."""
    if text.isascii():
        return text.upper()
    spread = unicodedata.normalize("NFKD", text.translate(_KEPT_BY_NFKD))
    return spread.encode("ascii", "ignore").decode().upper()


def extended(text: str) -> Name:
    """The look-ups of a written name by our rules; ``Name("")`` where it holds no name."""
    plain = folded(text).replace("'", "").replace("`", "")
    if plain.strip() in _NOT_GIVEN:
        return Name("")
    segments = _segments(plain)
    words = [word for segment in segments for word in segment]
    if all(len(word) == 1 for word in words):
        spelled = "".join(words)
        return Name(spelled if len(spelled) > 1 else "")
    segments = _without_additions(segments)
    whole = "".join(word for segment in segments for word in segment)
    parts = tuple(_parts(segments))
    return Name(whole, () if parts == ((whole,),) else parts, whole in ANSWERS)


def _segments(plain: str) -> list[list[str]]:
    """Words by spaces within segments by hyphens; digits are no letters, ordinals no names."""
    segments: list[list[str]] = [[]]
    for word in _WORD.findall(plain):
        if word == "-":
            segments.append([])
        elif word not in _ORDINALS and (letters := word.strip("0123456789")):
            segments[-1] += re.split("[0-9]+", letters)
    return [segment for segment in segments if segment]


def _without_additions(segments: list[list[str]]) -> list[list[str]]:
    """Without lone letters and suffixes that stand free, as long as something else is left."""
    shorn = [
        [word for word in segment if len(word) > 1 or word in PREFIXES] for segment in segments
    ]
    shorn = [segment for segment in shorn if segment]
    first, last = shorn[0], shorn[-1]
    # "Smith-Senior" is a double name, "Smith Senior" is not: free is what touches no hyphen.
    kept = [
        [
            word
            for at, word in enumerate(segment)
            if word not in SUFFIXES
            or (at == 0 and segment is not first)
            or (at == len(segment) - 1 and segment is not last)
        ]
        for segment in shorn
    ]
    kept = [segment for segment in kept if segment]
    return kept or shorn


def _parts(segments: list[list[str]]) -> list[tuple[str, ...]]:
    """The parts of a name, prefixes joined to what follows them; then also without them."""
    parts: list[tuple[str, ...]] = []
    carried = ""
    for segment in segments:
        prefix, carried = carried, ""
        for at, word in enumerate(segment):
            is_last = at == len(segment) - 1
            if word in PREFIXES and not is_last:
                prefix += word
            elif (
                is_last and len(segment) == 1 and word in _ARTICLES and segment is not segments[-1]
            ):
                carried = word
            elif prefix:
                parts.append((prefix + word, word))
                prefix = ""
            else:
                parts.append((word,))
    return parts


def unglued(word: str) -> str | None:
    """The name before a JR or SR that is glued to it; None where there is none."""
    is_glued = word.endswith(("JR", "SR")) and len(word) >= GLUED_REST_MIN + 2
    return word[:-2] if is_glued else None


# ---- look-up ------------------------------------------------------------------------------------
class Match(NamedTuple):
    """Row of the table (-1: none), how it matched, and the row of the second part (-1: none)."""

    row: int
    kind: int
    second: int = -1


NOT_GIVEN: Final = Match(-1, NONE)
NOT_LISTED: Final = Match(-1, GENERIC)
Find = Callable[[str], int | None]
"""The row of a key in upper case, None where it is not listed."""


def match(text: str, rules: Rules, find: Find) -> Match:
    """The row that a written name is looked up to; pure."""
    if len(text) > NAME_CHARACTERS_MAX:
        return NOT_LISTED
    return _match_cfpb(text, find) if rules == "cfpb" else _match_extended(extended(text), find)


def _match_cfpb(text: str, find: Find) -> Match:
    first, second = cfpb(text)
    for kind, word in ((TABLE, first), (PART, second)):
        # Only ASCII: the upper case of "ß" is another word, which the regulator does not look up.
        row = find(word.upper()) if word.isascii() else None
        if row is not None:
            return Match(row, kind)
    return NOT_LISTED if first else NOT_GIVEN


def _match_extended(name: Name, find: Find) -> Match:
    if not name.whole:
        return NOT_GIVEN
    row = find(name.whole)
    if row is not None:
        return Match(row, TABLE)
    if name.is_answer:
        return NOT_GIVEN
    if not name.parts:
        row = _unglued_row(name.whole, find)
        return NOT_LISTED if row is None else Match(row, TABLE)
    rows = [_row_of_part(forms, find) for forms in name.parts]
    listed = [row for row in rows if row is not None]
    if not listed:
        return NOT_LISTED
    if len(rows) == 1:
        return Match(listed[0], TABLE)
    is_pair = len(rows) == len(listed) == 2
    return Match(listed[0], PART, listed[1] if is_pair else -1)


def _row_of_part(forms: tuple[str, ...], find: Find) -> int | None:
    for form in forms:
        row = find(form)
        if row is None:
            row = _unglued_row(form, find)
        if row is not None:
            return row
    return None


def _unglued_row(word: str, find: Find) -> int | None:
    rest = unglued(word)
    return find(rest) if rest is not None else None
