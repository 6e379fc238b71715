"""What a site wants of signatures, what it learns from one, and how it answers (Web Bot Auth)."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from ringwork.gate.identity.fields import Member, text_of_dictionary
from ringwork.gate.identity.signatures import TAG

Status = Literal["absent", "verified", "unverified", "invalid", "replayed"]


class AgentPolicy(Struct, frozen=True):
    """What a signature has to be like. The defaults are the profile's.

    ``require``: components that have to be covered. ``skew_s``: how far ``created`` may lie ahead.
    ``uses_max``: how often one nonce may be presented (None: no count). ``require_agent=False``
    lets keys that are held statically verify without ``Signature-Agent``, as far as their
    thumbprint. ``legacy_agent``: whether the bare text of earlier drafts is read.
    ``test_keys=True`` accepts keys whose private halves are printed in standards: for tests alone.
    """

    max_lifetime_s: int = 86_400
    skew_s: int = 5
    require: tuple[str, ...] = ()
    require_nonce: bool = False
    uses_max: int | None = 1
    require_agent: bool = True
    legacy_agent: bool = True
    test_keys: bool = False


SENSITIVE: Final = (("@method",), ("@path", "@target-uri"), ("@query", "@target-uri"))
"""What binds a signature to one request: one component of each group."""


class AgentVerdict(Struct, frozen=True, gc=False):
    """What is known of the sender. ``url`` only where it is verified, else ``claimed``."""

    status: Status
    reason: str = ""
    url: str | None = None
    keyid: str | None = None
    covered: tuple[str, ...] = ()
    label: str | None = None
    claimed: str | None = None


def accept_signature(policy: AgentPolicy, *, sensitive: bool = False, label: str = "sig1") -> bytes:
    """The value of ``Accept-Signature`` that asks for what the policy wants (RFC 9421, 5.1)."""
    names = ["@authority", *(("@method", "@path", "@query") if sensitive else ())]
    names += [one for one in policy.require if one not in names and ";" not in one]
    items: list[Member] = [(name, {}) for name in names]
    items.append(("signature-agent", {"key": label}))
    parameters: dict[str, object] = {"created": True, "expires": True, "keyid": True}
    if sensitive or policy.require_nonce:
        parameters["nonce"] = True
    parameters["tag"] = TAG
    return text_of_dictionary({label: (items, parameters)}).encode()


def answer_status(verdict: AgentVerdict, *, wanted: bool) -> int | None:
    """The HTTP status that the draft gives to a verdict, None for going on.

    ``wanted``: the route asks for a verified agent; answer 403 with ``Accept-Signature`` then.
    """
    if verdict.status == "replayed":
        return 429
    if verdict.reason in ("malformed", "too-large"):
        return 400
    return 403 if wanted and verdict.status != "verified" else None
