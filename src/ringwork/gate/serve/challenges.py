"""The gate's own paths: where a challenge is shown, and where its solution is taken.

- ``GET …/challenge``: the page, or the problem, for whoever asks. nginx shows it instead of a 403.
- ``POST …/solve``: ``{"payload": "…"}`` as Altcha's widgets send it; answered with the clearance,
  as a cookie for browsers and as a member for programs.

They stand under the policy's ``challenge.path``. How often an address may have a solution checked
is bounded where it is checked, so no limit of the policy is asked for these paths: whom a limit has
refused could never pass.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from ringwork.gate.facts import Facts
from ringwork.gate.gate import Gate, actor_of
from ringwork.gate.policy.model import Challenge
from ringwork.gate.respond.answers import Answer, challenged
from ringwork.gate.respond.challenge import STATUS, UNCACHED
from ringwork.gate.respond.pow import Verdict

BODY_MAX: Final = 8192
TRACE: Final = b"x-gate-trace"
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]


class Solved(Struct, frozen=True):
    """The body of ``solve``."""

    payload: str


_solved: Final = msgspec.json.Decoder(Solved)
SAID: Final[Mapping[Verdict, tuple[int, str]]] = {
    "malformed": (422, "expected the base64 text of an Altcha payload"),
    "foreign": (STATUS, "the challenge was made for somebody else: ask for one of your own"),
    "expired": (STATUS, "it came too late: ask for another challenge"),
    "used": (STATUS, "it was taken before: ask for another challenge"),
    "wrong": (STATUS, "it does not solve a challenge of ours"),
    "too-many": (429, "too many solutions came from this address: wait a minute"),
}


def is_own(path: str, asked: Challenge) -> bool:
    """Whether a path is one that the gate answers itself."""
    return path.startswith(asked.path) and path[len(asked.path) :] in ("/challenge", "/solve")


async def own_answer(
    gate: Gate, path: str, facts: Facts, headers: Iterable[tuple[bytes, bytes]], receive: Receive
) -> Answer:
    """The answer to a request for one of the gate's own paths."""
    asked = gate.policy.challenge
    if path.endswith("/challenge"):
        made = gate.response.challenge(actor_of(facts))
        accept, trace_id = accept_of(headers), trace_of(headers)
        return STATUS, *challenged(made, asked, facts, accept=accept, trace_id=trace_id)
    if facts.method != "POST":
        return _refused(405, "method-not-allowed", f"expected POST, got {facts.method[:20]}")
    body = await body_of(receive, BODY_MAX)
    if body is None:
        return _refused(413, "too-large", f"expected at most {BODY_MAX} bytes")
    try:
        payload = _solved.decode(body).payload
    except (msgspec.DecodeError, ValueError, RecursionError):
        return _refused(422, "challenge-failed", 'expected {"payload": "…"} as JSON')
    # An address that is not known is one address: whoever hides it shares the bound with others.
    checked = gate.response.solved(payload, actor_of(facts), address=facts.ip)
    if checked.verdict != "solved":
        status, detail = SAID[checked.verdict]
        return _refused(status, "challenge-failed", f"{checked.verdict}: {detail}")
    told = {
        "clearance": checked.clearance,
        "header": asked.header,
        "expires_in_s": asked.clearance_s,
    }
    # Secure costs nothing: browsers compute in secure contexts only.
    cookie = (
        f"{asked.cookie}={checked.clearance}; Path=/; Max-Age={asked.clearance_s}; "
        "Secure; HttpOnly; SameSite=Lax"
    )
    fields = (("content-type", "application/json"), ("set-cookie", cookie), *UNCACHED)
    return 200, fields, msgspec.json.encode(told)


def accept_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The Accept fields of a request, as one list."""
    return ", ".join(value.decode("latin-1") for name, value in headers if name == b"accept")


def trace_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The decision that a proxy shows this for: shown to who asks, never trusted."""
    found = dict(headers).get(TRACE, b"").decode("latin-1")
    return found if re.fullmatch(r"[0-9a-f]{28}", found) else ""


async def body_of(receive: Receive, most: int) -> bytes | None:
    """None where it is longer than it may be."""
    found = b""
    while True:
        message = await receive()
        found += bytes(message.get("body", b""))
        if len(found) > most:
            return None
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return found


def _refused(status: int, slug: str, detail: str) -> Answer:
    told = {
        "type": f"urn:ringwork:problem:{slug}",
        "title": slug.replace("-", " ").capitalize(),
        "status": status,
        "detail": detail,
    }
    fields = (("content-type", "application/problem+json"), *UNCACHED)
    if status == 429:
        fields = (*fields, ("retry-after", "60"))
    return status, fields, msgspec.json.encode(told)
