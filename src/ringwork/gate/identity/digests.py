"""``Content-Digest`` (RFC 9530): whether a covered digest is that of the body that came."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from ringwork.gate.identity.fields import dictionary_of

_ALGORITHMS: Final = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}


def digest_matches(field: bytes, body: bytes) -> bool:
    """Whether every digest of a current algorithm is the body's, and there is one."""
    try:
        told = dictionary_of(field)
    except ValueError:
        return False
    known = [(name, told[name][0]) for name in _ALGORITHMS if name in told]
    return bool(known) and all(
        isinstance(value, bytes) and hmac.compare_digest(value, _ALGORITHMS[name](body).digest())
        for name, value in known
    )
