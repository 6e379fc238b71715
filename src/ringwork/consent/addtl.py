"""Google's Additional Consent string: consents for ad technology providers outside the TCF list.

``1~1.35`` names who has consent; version 2 adds who was disclosed: ``2~1.35~dv.9.21``.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from ringwork.consent.bits import TEXT_MAX
from ringwork.consent.errors import SignalError

PROVIDER_MAX: Final = 999_999
_VERSIONS: Final = {"1": 2, "2": 3}
"""Version -> parts between tildes."""


class AdditionalConsent(Struct, frozen=True, rename="camel"):
    """Provider ids as Google numbers them."""

    version: int
    consents: tuple[int, ...]
    disclosed: tuple[int, ...] = ()
    """Shown to the person, who did not consent to them; version 2 alone."""


def decode(text: str) -> AdditionalConsent:
    """Read it; raises SignalError.

    >>> decode("2~1.35~dv.9.21")
    AdditionalConsent(version=2, consents=(1, 35), disclosed=(9, 21))
    """
    if len(text) > TEXT_MAX:
        raise SignalError(f"longer than {TEXT_MAX}", 6 * TEXT_MAX)
    version, *parts = text.split("~")
    if version not in _VERSIONS:
        raise SignalError(f"version {version[:8]!r}", expected="1~ or 2~ first")
    if len(parts) + 1 != _VERSIONS[version]:
        raise SignalError(f"{len(parts) + 1} parts", expected=f"{_VERSIONS[version]} parts")
    consents = _ids(parts[0], 2)
    if version == "1":
        return AdditionalConsent(1, consents)
    at = len(parts[0]) + 3
    if parts[1] != "dv" and not parts[1].startswith("dv."):
        raise SignalError("no disclosed providers", 6 * at, expected="dv. after the second ~")
    return AdditionalConsent(2, consents, _ids(parts[1][3:], at + 3))


def encode(given: AdditionalConsent) -> str:
    """Write it."""
    consents = ".".join(map(str, given.consents))
    if given.version == 1:
        return f"1~{consents}"
    return f"2~{consents}~" + ".".join(("dv", *map(str, given.disclosed)))


def _ids(text: str, start: int) -> tuple[int, ...]:
    found = []
    for one in text.split(".") if text else ():
        if not (one.isascii() and one.isdigit() and len(one) <= 6 and int(one) > 0):
            raise SignalError(
                f"provider {one[:8]!r}", 6 * start, expected=f"ids from 1 to {PROVIDER_MAX}"
            )
        found.append(int(one))
        start += len(one) + 1
    return tuple(found)
