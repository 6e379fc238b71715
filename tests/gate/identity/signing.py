"""Agents that sign, for tests: bases put together by hand, so that they are an oracle."""

import base64
import json
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from ringwork.gate.identity.agents import AgentPolicy, AgentVerifier, HttpMessage, StaticKeys
from ringwork.gate.identity.jwk import thumbprint_of
from ringwork.kernel.clock import ManualClock

NOW_S = 1_764_158_400  # where a ManualClock starts
ORIGIN = "https://signer.example"
DIRECTORY = ORIGIN + "/.well-known/http-message-signatures-directory"
TARGET = {"@authority": "shop.example", "@method": "GET", "@path": "/p/17", "@query": "?a=1"}


def b64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def number(value: int) -> str:
    return b64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class Key:
    """A private key of one of the three types, its JWK, and how it signs (RFC 9421, 3.3)."""

    def __init__(self, kind: str = "ed25519", seed: int = 1):
        if kind == "ed25519":
            self.private = ed25519.Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
            x = self.private.public_key().public_bytes_raw()
            self.jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64url(x)}
        elif kind == "p256":
            self.private = ec.derive_private_key(0xABCDEF + seed, ec.SECP256R1())
            at = self.private.public_key().public_numbers()
            self.jwk = {
                "kty": "EC", "crv": "P-256",
                "x": b64url(at.x.to_bytes(32, "big")), "y": b64url(at.y.to_bytes(32, "big")),
            }  # fmt: skip
        else:
            self.private = rsa.generate_private_key(65537, int(kind.removeprefix("rsa")))
            numbers = self.private.public_key().public_numbers()
            self.jwk = {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
        self.keyid = thumbprint_of(self.jwk)

    def sign(self, base: bytes) -> bytes:
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            return self.private.sign(base)
        if isinstance(self.private, ec.EllipticCurvePrivateKey):
            r, s = utils.decode_dss_signature(self.private.sign(base, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        scheme = padding.PSS(mgf=padding.MGF1(hashes.SHA512()), salt_length=64)
        return self.private.sign(base, scheme, hashes.SHA512())


KEY = Key()
OTHER = Key(seed=2)
AGENT = ("signature-agent", "sig1")


@dataclass
class Signed:
    """What goes into a signature; every part can be left out or made wrong."""

    covered: tuple = ("@authority", "@method", "@path", AGENT)
    created: object = NOW_S - 10
    expires: object = NOW_S + 290
    keyid: object = KEY.keyid
    tag: object = "web-bot-auth"
    nonce: object = None
    alg: object = None
    label: str = "sig1"
    key: Key = KEY
    agent: str | None = f'sig1="{ORIGIN}"'
    values: dict = field(default_factory=lambda: dict(TARGET))

    def line(self) -> str:
        items = [
            f'"{one}"' if isinstance(one, str) else f'"{one[0]}";key="{one[1]}"'
            for one in self.covered
        ]
        told = {
            "created": self.created, "expires": self.expires, "keyid": self.keyid,
            "alg": self.alg, "nonce": self.nonce, "tag": self.tag,
        }  # fmt: skip
        texts = [
            f";{name}={value}" if isinstance(value, int) else f';{name}="{value}"'
            for name, value in told.items()
            if value is not None
        ]
        return f"({' '.join(items)}){''.join(texts)}"

    def base(self) -> bytes:
        lines = []
        for one in self.covered:
            if isinstance(one, str):
                value = self.agent if one == "signature-agent" else self.values.get(one, "")
                lines.append(f'"{one}": {value}')
            else:
                members = dict(
                    part.split("=", 1) for part in (self.agent or "").split(", ") if part
                )
                lines.append(f'"{one[0]}";key="{one[1]}": {members.get(one[1], "")}')
        return "\n".join([*lines, f'"@signature-params": {self.line()}']).encode()

    def fields(self) -> list[tuple[bytes, bytes]]:
        octets = base64.b64encode(self.key.sign(self.base())).decode()
        found = [
            (b"user-agent", b"ExampleBot/1.0"),
            (b"signature-input", f"{self.label}={self.line()}".encode()),
            (b"signature", f"{self.label}=:{octets}:".encode()),
        ]
        if self.agent is not None:
            found.append((b"signature-agent", self.agent.encode()))
        return found

    def message(self, **changes) -> HttpMessage:
        return request(**{"headers": self.fields(), **changes})


def request(**changes) -> HttpMessage:
    given = {"method": "GET", "authority": "shop.example", "path": "/p/17", "query": "a=1"}
    return HttpMessage(**{**given, **changes})


def jwks(*keys: Key, **members) -> dict:
    return {"keys": [{**key.jwk, **members} for key in keys]}


def verifier(keys=None, clock=None, nonces=None, **policy) -> AgentVerifier:
    return AgentVerifier(
        keys=keys or StaticKeys({ORIGIN: json.dumps(jwks(KEY))}),
        clock=clock or ManualClock(),
        policy=AgentPolicy(**policy),
        nonces=nonces,
    )
