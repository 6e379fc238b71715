"""Console sign-in: a one-time link from the terminal, then a signed cookie.

Forms carry a token against CSRF.

The link is made in memory and printed on a terminal only, never to a log. The cookie is HttpOnly
and SameSite=Strict; it names a role and an end, signed with HMAC-SHA-256, so the server keeps no
sessions.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Struct

from ringwork.kernel.ports import Clock, Entropy
from ringwork.web.keys import Principal, Role

COOKIE: Final = "rw_session"
LINK_VALID_S: Final = 900
LINKS_MAX: Final = 32
_TAG_BYTES: Final = 32


class Session(Struct, frozen=True, array_like=True):
    """What the cookie says."""

    tenant: str
    role: Role
    ends_s: int
    nonce: bytes


_decoder: Final = msgspec.msgpack.Decoder(Session)


class SignIn:
    """Issues links, turns each into one session, and reads sessions back."""

    def __init__(
        self, *, secret: bytes, clock: Clock, entropy: Entropy, tenant: str, session_s: int
    ) -> None:
        self._secret = secret
        self._clock = clock
        self._entropy = entropy
        self._tenant = tenant
        self._session_s = session_s
        self._links: dict[bytes, tuple[int, Role]] = {}

    def issue_link(self, role: Role = "admin") -> str:
        """A token for ``/console/sign-in?token=``: valid once, for a quarter of an hour."""
        token = self._entropy.take(24)
        if len(self._links) >= LINKS_MAX:
            del self._links[next(iter(self._links))]
        # Real time, not the world's: a demo day of four minutes must not outrun the link.
        ends_ns = self._clock.monotonic_ns() + LINK_VALID_S * 10**9
        self._links[sha256(token).digest()] = (ends_ns, role)
        return base64.urlsafe_b64encode(token).decode().rstrip("=")

    def redeem(self, token: str) -> str | None:
        """The cookie's value for a link's token, which is used up; None for any other."""
        link = self._links.pop(sha256(_unbase64(token)).digest(), None)
        if link is None or self._clock.monotonic_ns() >= link[0]:
            return None
        return self.make_session(link[1])

    def make_session(self, role: Role) -> str:
        """A signed cookie value."""
        now_s = self._clock.wall_us() // 1_000_000
        session = Session(self._tenant, role, now_s + self._session_s, self._entropy.take(8))
        claim = msgspec.msgpack.encode(session)
        return base64.urlsafe_b64encode(self._tag(b"session", claim) + claim).decode().rstrip("=")

    def principal(self, cookie: str) -> Principal | None:
        """Whom a cookie stands for; None for a forged or ended one."""
        raw = _unbase64(cookie)
        tag, claim = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(b"session", claim)):
            return None
        session = _decoder.decode(claim)
        if session.ends_s <= self._clock.wall_us() // 1_000_000:
            return None
        return Principal(session.tenant, session.role, "console")

    def csrf_token(self, cookie: str) -> str:
        """What a form of this session has to send back."""
        return self._tag(b"csrf", cookie.encode()).hex()

    def is_csrf_token(self, cookie: str, token: str) -> bool:
        """Whether the form came from a page of this session."""
        return hmac.compare_digest(self.csrf_token(cookie).encode(), token.encode())

    def _tag(self, purpose: bytes, value: bytes) -> bytes:
        return hmac.digest(self._secret, purpose + b"|" + value, sha256)


def set_cookie(value: str, *, max_age_s: int, is_secure: bool) -> str:
    """The ``Set-Cookie`` header."""
    secure = "; Secure" if is_secure else ""
    return f"{COOKIE}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Strict{secure}"


def _unbase64(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return b""
