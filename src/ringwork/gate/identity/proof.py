"""What a directory's own signatures prove: its keys were put together for this authority.

One signature per key over ``"@authority";req`` and ``content-digest`` (draft-ietf-webbotauth-
httpsig-protocol, "Possession Proof on the Directory Response"). A verifier that read the directory
itself needs none; keys that somebody passed on count for a URL only with it.
"""

from __future__ import annotations

from typing import Final

from ringwork.gate.identity.digests import digest_matches
from ringwork.gate.identity.jwk import KeySet
from ringwork.gate.identity.messages import Headers, Unresolvable, authority_of
from ringwork.gate.identity.signatures import EXAMINED_MAX, Signature, read_signatures

TAG: Final = "http-message-signatures-directory"
_COVERED: Final = {'"@authority";req', '"content-digest"'}


def proven_keys(
    keys: KeySet, *, headers: Headers, body: bytes, authority: str, now_s: float
) -> frozenset[str]:
    """Thumbprints of the keys that signed the answer with these fields and this body.

    Never an error: a proof that is broken, has expired or was made in the future proves nothing.
    """
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        key = name.lower()
        fields[key] = fields[key] + b", " + value if key in fields else value
    digest = fields.get(b"content-digest", b"")
    if not digest.isascii() or not digest_matches(digest, body):
        return frozenset()
    try:
        found = read_signatures(fields.get(b"signature-input", b""), fields.get(b"signature", b""))
        lines = {
            '"@authority";req': authority_of("https", authority),
            '"content-digest"': digest.decode("ascii").strip(),
        }
    except (ValueError, RecursionError, Unresolvable):
        return frozenset()
    ours = [one for one in found if one.parameters.get("tag") == TAG][: 4 * EXAMINED_MAX]
    return frozenset(
        str(one.parameters["keyid"]) for one in ours if _proves(one, keys, lines, now_s)
    )


def _proves(signature: Signature, keys: KeySet, lines: dict[str, str], now_s: float) -> bool:
    told = signature.parameters
    created, expires, keyid = told.get("created"), told.get("expires"), told.get("keyid")
    if type(created) is not int or type(expires) is not int or not isinstance(keyid, str):
        return False
    covered = [one.text for one in signature.covered or ()]
    key = keys.get(keyid)
    if key is None or set(covered) != _COVERED or not created <= now_s <= expires:
        return False
    base = "".join(f"{one}: {lines[one]}\n" for one in covered)
    return key.verifies(signature.octets, f'{base}"@signature-params": {signature.line}'.encode())
