"""Public keys as JSON Web Keys (RFC 7517), known by their thumbprints (RFC 7638, RFC 8037 A.3).

Ed25519, ECDSA on P-256 and RSA-PSS with SHA-512; the algorithm follows from the key's type and
never from its ``alg``. A shared secret (``oct``) is no key here: Web Bot Auth forbids HMAC.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from ringwork.kernel.errors import Fault, Refused

KEYS_MAX: Final = 32
"""Of one directory: a signer that rotates needs two or three."""
RSA_BITS: Final = range(2048, 4097)
"""Below is breakable, above costs the verifier more than a request is worth."""

TEST_KEYS: Final = frozenset(
    {
        "poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U",  # RFC 9421 B.1.4, test-key-ed25519
        "oD0HwocPBSfpNy5W3bpJeyFGY_IQ_YpqxSjQ3Yd-CLA",  # RFC 9421 B.1.2, test-key-rsa-pss
        "ydQXMtvbsOsZyFir-Y7A8t7fKEM1gbKPvyFkdpu4fvI",  # RFC 9421 B.1.3, test-key-ecc-p256
        "BHj8s0GPnMEQtkaULIM-PLgEhLBbuGUQ1vMxmBWZzEo",  # RFC 9421 B.1.1, test-key-rsa
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",  # RFC 8037 A.1
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",  # RFC 7638 3.1
    }
)
"""Keys whose private halves are printed in a standard: anybody signs with them."""

_MEMBERS: Final = {
    "OKP": ("crv", "kty", "x"),
    "EC": ("crv", "kty", "x", "y"),
    "RSA": ("e", "kty", "n"),
}

Jwk = Mapping[str, object]


class PublicKey:
    """One key: how it verifies, what it is known by, and when it is good."""

    __slots__ = ("algorithm", "expires_s", "not_before_s", "thumbprint", "verifies")

    def __init__(
        self,
        thumbprint: str,
        algorithm: str,
        verifies: Callable[[bytes, bytes], bool],
        *,
        not_before_s: float | None = None,
        expires_s: float | None = None,
    ) -> None:
        """``verifies(signature, base)``; ``algorithm`` as RFC 9421, section 3.3 names it."""
        self.thumbprint = thumbprint
        self.algorithm = algorithm
        self.verifies = verifies
        self.not_before_s = not_before_s
        self.expires_s = expires_s

    @property
    def is_test_key(self) -> bool:
        """Whether the private half is public."""
        return self.thumbprint in TEST_KEYS


KeySet = Mapping[str, PublicKey]
"""Keys of one signer by thumbprint."""


def thumbprint_of(jwk: Jwk) -> str:
    """SHA-256 over the required members, base64url (RFC 7638, section 3).

    ValueError for another type of key.
    """
    members = {name: _text(jwk, name) for name in _MEMBERS.get(str(jwk.get("kty")), ())}
    if not members:
        raise ValueError("kty: expected OKP, EC or RSA")
    encoded = msgspec.json.encode(dict(sorted(members.items())))
    return base64.urlsafe_b64encode(hashlib.sha256(encoded).digest()).rstrip(b"=").decode()


def public_key_of(jwk: Jwk) -> PublicKey:
    """The key; members of its private half are not looked at.

    ValueError for what is no public key that can verify.
    """
    if jwk.get("use", "sig") != "sig" or "verify" not in _operations(jwk):
        raise ValueError("use, key_ops: expected a key for signatures")
    match jwk.get("kty"), jwk.get("crv"):
        case "OKP", "Ed25519":
            algorithm, verifies = "ed25519", _ed25519(_octets(jwk, "x"))
        case "EC", "P-256":
            algorithm, verifies = "ecdsa-p256-sha256", _p256(_number(jwk, "x"), _number(jwk, "y"))
        case "RSA", None:
            algorithm, verifies = "rsa-pss-sha512", _rsa_pss(_number(jwk, "n"), _number(jwk, "e"))
        case _:
            raise ValueError("kty, crv: expected OKP with Ed25519, EC with P-256, or RSA")
    return PublicKey(
        thumbprint_of(jwk),
        algorithm,
        verifies,
        not_before_s=_instant(jwk, "nbf"),
        expires_s=_instant(jwk, "exp"),
    )


def configured_keys(jwks: object, where: str) -> KeySet:
    """The keys of a JWK Set that the operator configured: each of them has to be good.

    ``jwks`` is the document as bytes or text, or decoded. Refused (``agent-keys-invalid``) says
    which key is not.
    """
    found: dict[str, PublicKey] = {}
    for index, jwk in enumerate(_members(jwks, where)):
        try:
            key = public_key_of(jwk)
        except ValueError as error:
            detail = f"{where}, key {index}: {error}"
            faults = [Fault(f"/keys/{index}", str(error))]
            raise Refused("agent-keys-invalid", detail, status=422, errors=faults) from error
        found[key.thumbprint] = key
    return found


def published_keys(jwks: object, where: str, *, kid_is_thumbprint: bool) -> KeySet:
    """The keys of a JWK Set that somebody else published: what is no good key is left out.

    Left out too: a key whose private half was published with it, and one whose ``kid`` is not its
    thumbprint where the profile says that it must be. Refused for what is no JWK Set.
    """
    found: dict[str, PublicKey] = {}
    for jwk in _members(jwks, where):
        try:
            key = public_key_of(jwk)
        except ValueError:
            continue
        if "d" in jwk or (kid_is_thumbprint and jwk.get("kid", key.thumbprint) != key.thumbprint):
            continue
        found[key.thumbprint] = key
    return found


def _members(jwks: object, where: str) -> Sequence[Jwk]:
    try:
        document = msgspec.json.decode(jwks) if isinstance(jwks, (bytes, str)) else jwks
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        detail = f"{where}: expected a JWK Set, got no JSON"
        raise Refused("agent-keys-invalid", detail, status=422) from error
    keys = document.get("keys") if isinstance(document, Mapping) else document
    if not isinstance(keys, Sequence) or not all(isinstance(one, Mapping) for one in keys):
        raise Refused(
            "agent-keys-invalid", f'{where}: expected {{"keys": [...]}}, an object each', status=422
        )
    if len(keys) > KEYS_MAX:
        detail = f"{where}: {len(keys)} keys, expected at most {KEYS_MAX}"
        raise Refused("agent-keys-invalid", detail, status=422)
    return cast("Sequence[Jwk]", keys)


def _operations(jwk: Jwk) -> Sequence[object]:
    found = jwk.get("key_ops", ("verify",))
    return found if isinstance(found, (list, tuple)) else ()


def _text(jwk: Jwk, name: str) -> str:
    found = jwk.get(name)
    if not isinstance(found, str):
        raise ValueError(f"{name}: expected text")
    return found


def _octets(jwk: Jwk, name: str) -> bytes:
    text = _text(jwk, name)
    try:
        found = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"{name}: expected base64url") from error
    # Other spellings of the same octets would give one key several thumbprints.
    if base64.urlsafe_b64encode(found).rstrip(b"=").decode() != text:
        raise ValueError(f"{name}: expected base64url without padding, in its one spelling")
    return found


def _number(jwk: Jwk, name: str) -> int:
    octets = _octets(jwk, name)
    if len(octets) > RSA_BITS.stop // 8:
        raise ValueError(f"{name}: longer than any key here")
    return int.from_bytes(octets, "big")


def _instant(jwk: Jwk, name: str) -> float | None:
    found = jwk.get(name)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise ValueError(f"{name}: expected seconds since 1970")
    return float(found)


def _ed25519(x: bytes) -> Callable[[bytes, bytes], bool]:
    verify = ed25519.Ed25519PublicKey.from_public_bytes(x).verify

    def verifies(signature: bytes, base: bytes) -> bool:
        try:
            verify(signature, base)
        except InvalidSignature:
            return False
        return True

    return verifies


def _p256(x: int, y: int) -> Callable[[bytes, bytes], bool]:
    key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    scheme = ec.ECDSA(hashes.SHA256())

    def verifies(signature: bytes, base: bytes) -> bool:
        if len(signature) != 64:
            return False
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        try:
            key.verify(utils.encode_dss_signature(r, s), base, scheme)
        except InvalidSignature:
            return False
        return True

    return verifies


def _rsa_pss(n: int, e: int) -> Callable[[bytes, bytes], bool]:
    if n.bit_length() not in RSA_BITS or not 3 <= e < 2**32:
        raise ValueError(
            f"n, e: expected {RSA_BITS.start} to {RSA_BITS.stop - 1} bits, e below 2^32"
        )
    key = rsa.RSAPublicNumbers(e, n).public_key()
    scheme = padding.PSS(mgf=padding.MGF1(hashes.SHA512()), salt_length=64)

    def verifies(signature: bytes, base: bytes) -> bool:
        try:
            key.verify(signature, base, scheme, hashes.SHA512())
        except InvalidSignature:
            return False
        return True

    return verifies
