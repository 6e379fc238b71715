"""JA4, what a TLS client's first message looks like: a fact from a proxy that ends TLS.

The proxy computes it; the gate takes it from a field that a trusted proxy overwrites, and checks
its shape. Only JA4 itself (BSD licence); the rest of that family is licensed otherwise and is not
here. https://github.com/FoxIO-LLC/ja4
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

_SHAPE: Final = re.compile(
    r"[tqd](?:13|12|11|10|s3|s2|s1|d1|d2|d3|00)[di][0-9]{4}[0-9A-Za-z]{2}_[0-9a-f]{12}_[0-9a-f]{12}"
)
_RAW: Final = re.compile(
    r"([tqd](?:13|12|11|10|s3|s2|s1|d1|d2|d3|00)[di][0-9]{4}[0-9A-Za-z]{2})"
    r"_((?:[0-9a-f]{4}(?:,[0-9a-f]{4})*)?)_((?:[0-9a-f]{4}(?:,[0-9a-f]{4})*)?)"
    r"(?:_((?:[0-9a-f]{4}(?:,[0-9a-f]{4})*)?))?"
)
EMPTY: Final = "000000000000"


def ja4_of_field(value: str, *, is_trusted: bool) -> str | None:
    """The fingerprint in a field, None for another shape and from whom nobody trusts."""
    return value if is_trusted and _SHAPE.fullmatch(value) else None


def ja4_of_raw(raw: str) -> str:
    """The fingerprint of its raw form (``ja4_r``): what is hashed, spelt out.

    First 12 digits of SHA-256 over the ciphers, and over extensions "_" signature algorithms; no
    ciphers, or no extensions, are twelve zeros. ValueError for another form.
    """
    found = _RAW.fullmatch(raw)
    if found is None:
        raise ValueError("expected the raw form of a JA4 fingerprint")
    start, ciphers, extensions, algorithms = found.groups()
    rest = f"{extensions}_{algorithms}" if algorithms else extensions
    return f"{start}_{_hash(ciphers)}_{_hash(rest)}"


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:12] if text else EMPTY
