"""Where a signature says that its keys are: the ``Signature-Agent`` field and the URLs in it.

draft-ietf-webbotauth-httpsig-protocol, sections "Signature-Agent" and "Key Distribution and
Discovery". The identifier of an agent is the URL its keys were read from, without query and
fragment, normalised (RFC 3986, 6.2.2 and 6.2.3): two spellings are one agent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from ringwork.gate.identity.fields import Member, dictionary_of, item_of, text_of_member, token_of

DIRECTORY_PATH: Final = "/.well-known/http-message-signatures-directory"
TYPES: Final = frozenset({"directory", "jwks_uri", "cimd"})
URL_MAX: Final = 1024
"""Longer ones are no addresses of a key set."""
MEMBERS_MAX: Final = 8

_URL: Final = re.compile(r"[!#$%&'()*+,\-./0-9:;=?@A-Z_a-z~\[\]]+")
"""The characters of RFC 3986, so that nothing below has to think of others."""
_ESCAPED: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_LONE_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HOST: Final = re.compile(r"[a-z0-9](?:[a-z0-9.\-]*[a-z0-9])?|\[[0-9a-f:.]+\]")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class AgentRef(Struct, frozen=True):
    """One member of ``Signature-Agent``: a claim, until its keys were read and verify.

    ``fetch`` is the URL to read, ``identifier`` what the agent is called then. ``fault`` is the
    reason why the member cannot be used, "" for one that can. ``text`` is the member as a
    signature covers it.
    """

    text: str
    kind: str = ""
    fetch: str = ""
    identifier: str = ""
    fault: str = ""


class AgentField(Struct, frozen=True):
    """The whole field. ``bare`` is the form of earlier drafts, one text without a label."""

    members: Mapping[str, AgentRef]
    bare: AgentRef | None = None


NO_AGENTS: Final = AgentField({})


def read_agents(raw: bytes) -> AgentField:
    """The field's members. ValueError for what is neither form."""
    return _remembered(raw) if len(raw) <= URL_MAX else _read(raw)


@lru_cache(maxsize=4096)  # agents repeat themselves, and each one has one spelling or a few
def _remembered(raw: bytes) -> AgentField:
    return _read(raw)


def _read(raw: bytes) -> AgentField:
    if raw.startswith(b'"'):
        return AgentField({}, reference(item_of(raw), raw.decode("ascii")))
    parsed = dictionary_of(raw)
    if len(parsed) > MEMBERS_MAX:
        raise ValueError(f"Signature-Agent: {len(parsed)} members, expected at most {MEMBERS_MAX}")
    return AgentField(
        {label: reference(member, text_of_member(member)) for label, member in parsed.items()}
    )


def reference(member: Member, text: str) -> AgentRef:
    """What a member's value and its ``type`` mean."""
    value, parameters = member
    if not isinstance(value, str):
        return AgentRef(text, fault="agent-url")
    kind = token_of(parameters["type"]) if "type" in parameters else "directory"
    if kind is None or kind not in TYPES:
        return AgentRef(text, fault="agent-type")
    try:
        return discovery(value, kind, text)
    except ValueError:
        return AgentRef(text, kind, fault="agent-url")


def discovery(url: str, kind: str, text: str = "") -> AgentRef:
    """What to read for a URL of a type. ValueError for a URL that the type does not allow."""
    identifier = identifier_of(url)
    if kind == "directory":
        parts = urlsplit(url)
        if parts.path not in ("", "/") or "?" in url or "#" in url:
            raise ValueError("expected an origin: https://host, without a path")
        identifier = identifier.rstrip("/") + DIRECTORY_PATH
        return AgentRef(text, kind, identifier, identifier)
    if "#" in url:
        raise ValueError("expected a URL without a fragment")
    return AgentRef(text, kind, url, identifier)


def identifier_of(url: str) -> str:
    """The URL normalised, without query and fragment. ValueError for no https URL of a host."""
    if len(url) > URL_MAX or not _URL.fullmatch(url) or _LONE_PERCENT.search(url):
        raise ValueError("expected a URL")
    parts = urlsplit(url)
    host = (parts.hostname or "") if "[" not in parts.netloc else f"[{parts.hostname}]"
    if parts.scheme != "https" or "@" in parts.netloc or not _HOST.fullmatch(host):
        raise ValueError("expected https, and a host without a user")
    port = parts.port  # ValueError for no number and for one beyond 65535
    authority = host if port in (None, 443) else f"{host}:{port}"
    return f"https://{authority}{_without_dots(_ESCAPED.sub(_escape, parts.path)) or '/'}"


def _escape(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return character if character in _UNRESERVED else found[0].upper()


def _without_dots(path: str) -> str:
    """RFC 3986, section 5.2.4, of an absolute path."""
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments[1:]:
        if segment == "..":
            kept[-1:] = []
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept) if path else ""
