"""The answer that asks for proof of work: a page for people, a problem for programs.

Its status is 403 (RFC 9110, section 15.5.4: repeat the request with new credentials, which is what
a clearance is). Not 401, which must name a scheme of HTTP authentication and has browsers ask for a
password; not 429, which says that waiting helps, so that clients would wait and come back without;
never 200, by which a proxy lets the request through.

The page loads nothing: its style and script are in it, named by a nonce, and the computation runs
in a worker made from that script.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec

from ringwork.gate.policy.model import Challenge

STATUS: Final = 403
TYPE: Final = "urn:ringwork:problem:challenge-required"
_TOKEN: Final = re.compile(r"\{\{(\w+)\}\}")
Fields = tuple[tuple[str, str], ...]


def wants_page(accept: str) -> bool:
    """Whether HTML is named, and liked no less than JSON. ``*/*`` names nothing: a program."""
    liked = {"text/html": 0.0, "json": 0.0}
    for one in accept[:1000].lower().split(","):
        kind, _, parameters = one.partition(";")
        name = kind.strip()
        name = "json" if name.endswith(("/json", "+json")) else name
        if name in liked:
            found = re.search(r"\bq=([01](?:\.\d{0,3})?)(?:\s|;|$)", parameters)
            liked[name] = max(liked[name], float(found[1]) if found else 1.0)
    return liked["text/html"] > 0 and liked["text/html"] >= liked["json"]


def page(challenge: str, asked: Challenge, *, method: str, trace_id: str) -> tuple[Fields, bytes]:
    """Fields and body for people. ``challenge``: JSON, as ``ProofOfWork`` made it."""
    # Unpredictable, because a challenge holds fresh random bytes; and nothing has to be kept.
    digest = hashlib.sha256(b"content security policy" + challenge.encode()).digest()
    nonce = base64.b64encode(digest[:18]).decode()
    style, script, template = _parts()
    told = {
        "nonce": nonce,
        "challenge": html.escape(challenge),
        "solve": html.escape(f"{asked.path}/solve"),
        "method": html.escape(method),
        "clearance": _span(asked.clearance_s),
        "help": _help(asked.contact),
        "trace": html.escape(trace_id),
        "style": style,
        "script": script,
    }
    body = _TOKEN.sub(lambda found: told[found[1]], template).encode()
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
        "worker-src blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    fields = (
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", policy),
        ("referrer-policy", "same-origin"),
        ("x-content-type-options", "nosniff"),
        *UNCACHED,
    )
    return fields, body


def problem(challenge: str, asked: Challenge, *, trace_id: str) -> tuple[Fields, bytes]:
    """Fields and body for programs (RFC 9457), with the challenge as a member."""
    body = msgspec.json.encode(
        {
            "type": TYPE,
            "title": "Challenge required",
            "status": STATUS,
            "detail": "Solve the challenge (Altcha, version 2), POST the payload as a member "
            f"`payload` to {asked.path}/solve, and send what it answers as the header "
            f"{asked.header}, or keep its cookie.",
            "challenge": msgspec.Raw(challenge.encode()),
            "solve": f"{asked.path}/solve",
            "clearance-header": asked.header,
            "trace_id": trace_id,
        }
    )
    return (("content-type", "application/problem+json"), *UNCACHED), body


UNCACHED: Final[Fields] = (("cache-control", "no-store"), ("vary", "accept, cookie"))


@cache
def _parts() -> tuple[str, str, str]:
    folder = files("ringwork.gate.respond") / "page"
    style, script, template = (
        (folder / f"challenge.{kind}").read_text("utf-8") for kind in ("css", "js", "html")
    )
    return style, script, template


def _help(contact: str) -> str:
    if not contact:
        return "write to whoever runs this site, and name the reference below"
    shown = html.escape(contact.removeprefix("mailto:"))
    return f'write to <a href="{html.escape(contact)}">{shown}</a>, and name the reference below'


def _span(seconds: int) -> str:
    if seconds < 7200:
        return f"{max(round(seconds / 60), 1)} minutes"
    return f"{round(seconds / 3600)} hours" if seconds < 172_800 else f"{seconds // 86_400} days"
