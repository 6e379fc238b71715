"""Where a click leads: the creative's own landing page, and nowhere else."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

PARAMETER: Final = "rwclid"
"""Carries the conversion token to the landing page, which gives it back with the conversion."""

_KEPT: Final = "!#$%&'()*+,-./:;=?@[]_~"
"""What a URL may hold as it is (RFC 3986, section 2.2), ``%`` included: it is quoted already."""


def with_rwclid(landing_url: str, rwclid: str) -> str:
    """The landing URL with the token among its parameters, in ASCII.

    >>> with_rwclid("https://shop.example/a?b=1#top", "T")
    'https://shop.example/a?b=1&rwclid=T#top'
    """
    address, mark, fragment = quote(landing_url, safe=_KEPT).partition("#")
    joint = "&" if "?" in address else "?"
    if address.endswith(("?", "&")):
        joint = ""
    return f"{address}{joint}{PARAMETER}={rwclid}{mark}{fragment}"
