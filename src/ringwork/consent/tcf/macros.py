"""Consent in URLs: the macros of the TCF and of the GPP, filled in with strings as they came."""

from __future__ import annotations

import re
from typing import Final

_MACRO: Final = re.compile(
    r"\$\{(GDPR|GDPR_CONSENT_\d{1,5}|ADDTL_CONSENT|GPP_STRING_\d{1,5}|GPP_SID|US_PRIVACY)\}"
)


def expand(
    url: str,
    *,
    gdpr_applies: bool | None = None,
    tc: str = "",
    addtl: str = "",
    gpp: str = "",
    gpp_sid: tuple[int, ...] = (),
    us_privacy: str = "",
) -> str:
    """The URL with what is known filled in; what is not known becomes empty, as the TCF asks.

    Strings are passed on unmodified, whatever vendor a macro names: they are the same for all.

    >>> expand("https://a.example/p?g=${GDPR}&c=${GDPR_CONSENT_89}", gdpr_applies=True, tc="CQ.I")
    'https://a.example/p?g=1&c=CQ.I'
    """
    values = {
        "GDPR": "" if gdpr_applies is None else str(int(gdpr_applies)),
        "GDPR_CONSENT": tc,
        "ADDTL_CONSENT": addtl,
        "GPP_STRING": gpp,
        # A comma would be encoded in a query by some; the GPP separates ids by an underscore there.
        "GPP_SID": "_".join(map(str, gpp_sid)),
        "US_PRIVACY": us_privacy,
    }
    return _MACRO.sub(lambda found: values[found[1].rstrip("0123456789").rstrip("_")], url)
