"""The US Privacy string (CCPA), four characters: a signal of its own, and a section of the GPP."""

from __future__ import annotations

from typing import Final, Literal, cast

from msgspec import Struct

from ringwork.consent.errors import SignalError

Answer = Literal["Y", "N", "-"]
"""Yes, no, does not apply."""

_ANSWERS: Final = "YN-"
_MEANING: Final = ("version", "notice given", "opted out of sale", "LSPA covered")


class UsPrivacy(Struct, frozen=True, rename="pascal"):
    """What the string says; the members have the names of the GPP's ``uspv1``."""

    version: int
    notice: Answer
    opt_out_sale: Answer
    lspa_covered: Answer


def decode(text: str, start: int = 0) -> UsPrivacy:
    """Read it; raises SignalError. ``start`` is where it stands in a longer signal.

    >>> decode("1YNN")
    UsPrivacy(version=1, notice='Y', opt_out_sale='N', lspa_covered='N')
    """
    if len(text) != 4:
        raise SignalError(
            f"{len(text)} characters", 6 * (start + min(len(text), 4)), expected="4 characters"
        )
    for at, (letter, allowed) in enumerate(zip(text, ("1", *[_ANSWERS] * 3), strict=True)):
        if letter not in allowed:
            reason = f"{_MEANING[at]}: {letter!r}"
            raise SignalError(reason, 6 * (start + at), expected=" or ".join(allowed))
    notice, sale, covered = cast("list[Answer]", list(text[1:]))
    return UsPrivacy(1, notice, sale, covered)


def encode(us_privacy: UsPrivacy) -> str:
    """Write it; raises SignalError."""
    text = (
        f"{us_privacy.version}{us_privacy.notice}{us_privacy.opt_out_sale}{us_privacy.lspa_covered}"
    )
    decode(text)
    return text
