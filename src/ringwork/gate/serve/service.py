"""The decision service: proxies ask it about every request, and do as it says.

- Envoy's HTTP ext_authz: the request's own method and path below a prefix; 200 goes on, anything
  else is what the client gets.
- nginx's auth_request: 2xx goes on, 403 is refused, anything else becomes a 500, so every refusal
  is a 403 with the true status in ``x-gate-status``; ``x-gate-action`` is ``challenge`` where the
  client should be shown the page of ``GET /.gate/challenge``.
- Forward authentication (Traefik, Caddy): the request line stands in ``X-Forwarded-*``.
- ``POST /v1/gate/decide``: facts in, decision out, for whoever builds his own.

What a proxy asks has no body and nothing is settled: rows and entities are what the middleware and
the reverse proxy see.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from ringwork.gate.decision import Decision
from ringwork.gate.facts import Facts
from ringwork.gate.gate import Gate
from ringwork.gate.respond.answers import fields_of, refusal
from ringwork.gate.serve.challenges import TRACE, accept_of, body_of, is_own, own_answer
from ringwork.gate.serve.requests import RequestFacts

BODY_MAX: Final = 1_048_576
ENVOY: Final = "/authz/envoy"
NGINX: Final = "/authz/nginx"
FORWARD: Final = "/authz/forward"
DECIDE: Final = "/v1/gate/decide"
HEALTH: Final = "/healthz"

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Raw = Iterable[tuple[bytes, bytes]]
_JSON: Final = (b"content-type", b"application/json")
_PROBLEM: Final = (b"content-type", b"application/problem+json")


class Asked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of ``decide``."""

    method: str = "GET"
    route: str = ""
    path: str = ""
    ip: str = ""
    account: str = ""
    app: str = ""
    ad_account: str = ""
    device: str = ""
    visit: str = ""
    tier: str = ""
    user_agent: str = ""
    ja4: str = ""
    clearance: str = ""
    asn: int = 0
    estimate: int = 0
    fields: dict[str, list[str]] = field(default_factory=dict)
    counters: dict[str, float] = field(default_factory=dict)


_asked: Final = msgspec.json.Decoder(Asked)
_encode: Final = msgspec.json.Encoder().encode


class DecisionService:
    """A raw ASGI application: a router costs more than a decision."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._requests = RequestFacts(gate.policy)

    def policy_changed(self) -> None:
        """The gate decides by another policy: who asks may stand elsewhere now."""
        self._requests = RequestFacts(self._gate.policy)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        inner = path.removeprefix(ENVOY)
        if is_own(inner, self._gate.policy.challenge):
            status, fields, body = await self._own(scope, path, inner, receive)
        elif path.startswith(ENVOY):
            status, fields, body = self._envoy(scope, path)
        elif path == NGINX:
            status, fields, body = self._nginx(scope)
        elif path == FORWARD:
            status, fields, body = self._forward(scope)
        elif path == DECIDE:
            status, fields, body = await self._decide(scope, receive)
        elif path == HEALTH:
            status, fields, body = 200, [_JSON], b'{"status":"ok"}'
        else:
            status, fields, body = _problem(
                404, "not-found", f"expected {ENVOY}/…, {NGINX}, {FORWARD} or {DECIDE}"
            )
        fields.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": body})

    # ---- the gate's own paths, that proxies pass on ---------------------------------------------

    async def _own(
        self, scope: dict[str, Any], path: str, inner: str, receive: Receive
    ) -> tuple[int, list[Any], bytes]:
        """``inner``: the path without Envoy's prefix, by which it says that it is Envoy."""
        headers = scope["headers"]
        said = _said(headers, b"x-original-method")
        facts = self._requests.of(
            # Who passes on a refusal asks with GET, whatever was refused.
            method=said.get(b"x-original-method", scope["method"]),
            path=inner,
            headers=headers,
            peer=_peer(scope),
            is_envoy=path != inner,
        )
        status, told, body = await own_answer(self._gate, inner, facts, headers, receive)
        return status, _raw(told), body

    # ---- what proxies ask -----------------------------------------------------------------------

    def _envoy(self, scope: dict[str, Any], path: str) -> tuple[int, list[Any], bytes]:
        facts = self._requests.of(
            method=scope["method"],
            path=path[len(ENVOY) :] or "/",
            headers=scope["headers"],
            peer=_peer(scope),
            is_envoy=True,
        )
        return self._answered(facts, scope["headers"])

    def _nginx(self, scope: dict[str, Any]) -> tuple[int, list[Any], bytes]:
        said = _said(scope["headers"], b"x-original-method", b"x-original-uri")
        facts = self._requests.of(
            method=said.get(b"x-original-method", "GET"),
            path=said.get(b"x-original-uri", "/").partition("?")[0],
            headers=scope["headers"],
            peer=_peer(scope),
        )
        status, fields, _ = self._answered(facts, ())
        if status == 200:
            return 204, fields, b""
        # Its body is not shown to anybody, and its status would become a 500.
        return 403, [*fields, (b"x-gate-status", b"%d" % status)], b""

    def _forward(self, scope: dict[str, Any]) -> tuple[int, list[Any], bytes]:
        said = _said(scope["headers"], b"x-forwarded-method", b"x-forwarded-uri")
        facts = self._requests.of(
            method=said.get(b"x-forwarded-method", "GET"),
            path=said.get(b"x-forwarded-uri", "/").partition("?")[0],
            headers=scope["headers"],
            peer=_peer(scope),
        )
        return self._answered(facts, scope["headers"])

    def _answered(self, facts: Facts, headers: Raw) -> tuple[int, list[Any], bytes]:
        decision = self._gate.admit(facts)
        if decision.is_allowed:
            told: Iterable[tuple[str, str]] = fields_of(decision, facts)
            status, body = 200, b""
            fields = _raw(told)
        else:
            asked = self._gate.policy.challenge
            status, told, body = refusal(decision, facts, accept=accept_of(headers), asked=asked)
            fields = [*_raw(told), (TRACE, decision.trace_id.encode())]
        if decision.action not in ("allow", "block"):
            fields.append((b"x-gate-action", decision.action.encode()))
        return status, fields, body

    # ---- facts in, decision out -----------------------------------------------------------------

    async def _decide(
        self, scope: dict[str, Any], receive: Receive
    ) -> tuple[int, list[Any], bytes]:
        if scope["method"] != "POST":
            return _problem(405, "method-not-allowed", "expected POST")
        body = await body_of(receive, BODY_MAX)
        if body is None:
            return _problem(413, "too-large", f"expected at most {BODY_MAX} bytes")
        try:
            asked = _asked.decode(body)
            known = {name: getattr(asked, name) for name in Asked.__struct_fields__}
            facts = Facts.of(**known)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            return _problem(422, "invalid", str(error) or "nested too deeply")
        return 200, [_JSON], _encode(told_of(self._gate.admit(facts)))


def told_of(decision: Decision) -> Mapping[str, object]:
    """A decision as JSON has it."""
    return {
        "action": decision.action,
        "status": decision.status,
        "retry_after_s": None if decision.retry_after_s == float("inf") else decision.retry_after_s,
        "delay_s": decision.delay_s,
        "reasons": decision.reasons,
        "limits": [
            {
                "rule": one.rule.name,
                "quota": one.quota,
                "unit": one.unit,
                "window_s": one.window_s,
                "remaining": one.remaining,
                "more_s": one.more_s,
            }
            for one in decision.limits
        ],
        "headers": decision.headers,
        "rows_max": None if decision.over is None else decision.over.rows_max,
        "without": () if decision.over is None else decision.over.without,
        "challenge": msgspec.Raw(decision.challenge.encode()) if decision.challenge else None,
        "trace_id": decision.trace_id,
        "policy": decision.policy,
    }


def _raw(fields: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in fields]


def _said(headers: Raw, *names: bytes) -> dict[bytes, str]:
    return {name: value.decode("latin-1") for name, value in headers if name in names}


def _peer(scope: Mapping[str, Any]) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def _problem(status: int, slug: str, detail: str) -> tuple[int, list[Any], bytes]:
    told = {
        "type": f"urn:ringwork:problem:{slug}",
        "title": slug.replace("-", " ").capitalize(),
        "status": status,
        "detail": detail,
    }
    return status, [_PROBLEM], _encode(told)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
