"""Signals as nobody should send them: mutations of good ones, and bombs that announce much."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Final

from ringwork.consent.bits import TEXT_MAX, text_of

_LETTERS: Final = "ABCDQgw_-059.~+=/ \x00\xe9\U0001f36a"
_SINGLE: Final = "0" + format(9, "016b")
_WIDE: Final = "1" + format(1, "016b") + format(65_535, "016b")
_CORE: Final = "000010" + "0" * 132 + "1" + "0" * 74
"""A TC string up to its vendors."""
_CANADA: Final = "000001" + "0" * 120 + "000100" + "0" * 61


def mutated(rng: random.Random, seeds: Sequence[str]) -> str:
    """One to four changes: characters replaced, cut off, doubled, put in; or two strings joined."""
    text = rng.choice(seeds)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(text) + 1)
        match rng.randrange(6):
            case 0:
                text = text[:at] + rng.choice(_LETTERS) + text[at + 1 :]
            case 1:
                text = text[:at]
            case 2:
                text = text[:at] + text[: rng.randrange(60)] + text[at:]
            case 3:
                text = text[:at] + rng.choice("~.AAAA____") * rng.choice((1, 1, 4, 40)) + text[at:]
            case 4:
                text = text[:at] + rng.choice(seeds)[-rng.randrange(1, 60) :]
            case _:
                text = text[:at] + _flipped(text[at : at + 1], rng) + text[at + 1 :]
    return text


def _flipped(letter: str, rng: random.Random) -> str:
    """A letter one bit away, as far as there is one."""
    return chr(ord(letter) ^ 1 << rng.randrange(6)) if letter else ""


def bombs() -> Iterator[tuple[str, str]]:
    """(name, GPP string or TC string) as large as is let in, each made to cost."""
    count = format(4_095, "012b")
    full = "1" + count + _WIDE * 4_095
    short = format(65_535, "016b") + full
    room = 6 * TEXT_MAX - len(_CORE) - 200
    yield (
        "two sets of 4,095 ranges of everybody",
        _tc(short + format(65_535, "016b") + "1" + count + _SINGLE * 3_000),
    )
    yield "4,095 single vendors twice, restricted", _tc(
        (format(65_535, "016b") + "1" + count + _SINGLE * 4_095) * 2
        + format(1, "012b") + "00000100" + format(3_000, "012b") + _SINGLE * 3_000
    )  # fmt: skip
    yield (
        "256 restrictions of as many ranges as fit",
        _tc(
            "0" * 34 + format(256, "012b") + ("00000100" + format(44, "012b") + _SINGLE * 44) * 256
        ),
    )
    yield "4,095 restrictions", _tc("0" * 34 + count + ("00000100" + "0" * 12) * 4_095)
    yield "ranges announced, none there", _tc(format(65_535, "016b") + "1" + count)
    yield "bit fields of 65,535", _tc((format(65_535, "016b") + "0" + "1" * 65_535) * 2)
    yield "ones", "C" + "_" * (room // 6)
    yield "zeros", "C" + "A" * (TEXT_MAX - 1)
    yield "dots", "C" + "." * (TEXT_MAX - 1)
    yield "a bad character at the end", "C" + "A" * (TEXT_MAX - 2) + "+"
    yield "longer than is let in", "C" * (4 * TEXT_MAX)
    yield "header of ones", "DB" + "_" * (2 * TEXT_MAX - 2)
    yield "header of ranges", "DB" + "A" + "m" * (2 * TEXT_MAX - 3)
    yield "tildes", "DBABMA" + "~" * (2 * TEXT_MAX - 6)
    yield "a US section of 32 KiB", "DBABRg~B" + "Q" * (TEXT_MAX - 1)
    yield "subsections of 32 KiB", "DBABRg~BQkAABA." + "Q" * (TEXT_MAX - 9)
    ids = "1" + count + "0" + "011" * 4_095
    yield "Canadian ranges", _ca(format(65_535, "016b") + ids.replace("0011", "011") * 2)
    yield (
        "Canadian restrictions",
        _ca(
            "0" * 34
            + count
            + ("00000100" + format(1, "016b") + "1" + format(1, "012b") + "011") * 4_095
        ),
    )


def _tc(vendors: str) -> str:
    return text_of(_CORE + vendors, 24)[:TEXT_MAX]


def _ca(vendors: str) -> str:
    return ("DBABjA~" + text_of(_CANADA + vendors, 8, 6))[:TEXT_MAX]
