"""Who is asking: bearer keys, console sessions, the owner's admin socket.

And who is let near at all.

Runs once per management request, before routing: finds the principal, gives the request its id,
refuses foreign hosts (DNS rebinding) and cross-site writes. Handlers state the scope they need with
``needs``.
"""

from __future__ import annotations

from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import Final

from ringwork.kernel.ids import format_id
from ringwork.web.keys import ApiKeys, Principal
from ringwork.web.lane import ASGI, Receive, Scope, Send, request_id_of
from ringwork.web.problems import MEDIA_TYPE, Forbidden, Unauthenticated, encode, problem_of
from ringwork.web.sessions import COOKIE, SignIn

LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
SCOPE_OPTION: Final = "scope"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})

SECURITY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (
        b"content-security-policy",
        b"default-src 'self'; style-src-attr 'unsafe-inline'; frame-ancestors 'none'; "
        b"base-uri 'none'; form-action 'self'",
    ),
)
"""On every management answer that does not bring a header of the name itself.

Charts set custom properties on elements, hence style-src-attr.
"""


class Authentication:
    """ASGI middleware in front of the management API and the console."""

    def __init__(
        self,
        rest: ASGI,
        *,
        keys: ApiKeys,
        sign_in: SignIn | None,
        tenant: str,
        hosts: frozenset[str],
        new_request_id: Callable[[], bytes],
    ) -> None:
        """``hosts``: names that this server answers to besides loopback.

        Empty takes loopback only. ``sign_in``: where there are pages to sign in to.
        """
        self._rest = rest
        self._keys = keys
        self._sign_in = sign_in
        self._tenant = tenant
        self._hosts = hosts | LOOPBACK_NAMES
        self._new_request_id = new_request_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])  # type: ignore[call-overload]
        request_id = request_id_of(headers.get(b"x-request-id", b"")) or self._new_request_id()
        state: dict[str, object] = scope.setdefault("state", {})  # type: ignore[assignment]
        state["request_id"] = request_id

        async def send_with_headers(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                own: list[tuple[bytes, bytes]] = list(message.get("headers", []))  # type: ignore[call-overload]
                own.append((b"x-request-id", format_id(request_id).encode()))
                given = {name for name, _ in own}
                own.extend(header for header in SECURITY_HEADERS if header[0] not in given)
                message["headers"] = own
            await send(message)

        try:
            state["principal"] = self._principal(scope, headers, state)
        except (Unauthenticated, Forbidden) as refused:
            problem = problem_of(refused, path=str(scope["path"]), request_id=request_id)
            body = encode(problem)
            start = [(b"content-type", MEDIA_TYPE.encode()), *challenge(refused)]
            await send_with_headers(
                {"type": "http.response.start", "status": refused.status, "headers": start}
            )
            await send_with_headers({"type": "http.response.body", "body": body})
            return
        await self._rest(scope, receive, send_with_headers)

    def _principal(
        self, scope: Scope, headers: dict[bytes, bytes], state: dict[str, object]
    ) -> Principal | None:
        if state.get("local_admin") is True:  # set by the admin socket's own wrapper, never by HTTP
            return Principal(self._tenant, "admin", "local")
        host = headers.get(b"host", b"").decode("latin-1").lower()
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        if name not in self._hosts:
            raise Forbidden(f"this server does not answer to the host {host[:100]!r}")
        authorization = headers.get(b"authorization")
        if authorization is not None:
            kind, _, token = authorization.decode("latin-1").partition(" ")
            principal = self._keys.principal(token) if kind.lower() == "bearer" else None
            if principal is None:
                raise Unauthenticated("the API key is wrong or was revoked")
            return principal
        return self._from_cookie(scope, headers, state, host)

    def _from_cookie(
        self, scope: Scope, headers: dict[bytes, bytes], state: dict[str, object], host: str
    ) -> Principal | None:
        value = cookie_of(headers.get(b"cookie", b""), COOKIE)
        if value is None or self._sign_in is None:
            return None
        principal = self._sign_in.principal(value)
        if principal is None:
            return None
        if scope["method"] not in _SAFE:
            origin = headers.get(b"origin", b"").decode("latin-1").lower()
            if origin.partition("://")[2] != host:
                raise Forbidden("a session may write only from this server's own pages")
        state["session"] = value
        return principal


def cookie_of(header: bytes, name: str) -> str | None:
    """One cookie's value."""
    try:
        morsel = SimpleCookie(header.decode("latin-1")).get(name)
    except CookieError:
        return None
    return None if morsel is None else morsel.value


def challenge(refused: Unauthenticated | Forbidden) -> list[tuple[bytes, bytes]]:
    """401 says how to authenticate."""
    return [(b"www-authenticate", b"Bearer")] if refused.status == 401 else []


def needs(scope: str) -> dict[str, str]:
    """A handler's ``opt``: the scope that its caller must have, checked before its body is read.

    Not a guard of the framework: that copies the handler for every request, a tenth of its time.
    """
    return {SCOPE_OPTION: scope}


def require(principal: Principal | None, scope: str) -> Principal:
    """The principal, if it has the scope."""
    if principal is None:
        raise Unauthenticated("send an API key: Authorization: Bearer rw_...")
    if not principal.may(scope):
        raise Forbidden(f"the role {principal.role} does not have the scope {scope}")
    return principal
