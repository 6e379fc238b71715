"""Problem details (RFC 9457): one form for every answer that is not success.

``type`` is ``urn:ringwork:problem:<slug>``; programs match the slug, people read title and detail,
a pointer says where. A bug answers 500 without detail, with the request id that finds it in the log
lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from ringwork.kernel.errors import Fault, Refused
from ringwork.kernel.ids import format_id

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:ringwork:problem:"

SLUGS: Final[Mapping[str, tuple[int, str]]] = {
    "malformed-json": (400, "The body is missing, not UTF-8, or not JSON."),
    "malformed-request": (400, "The request cannot be read at all."),
    "idempotency-key-required": (400, "The command moves money and needs an Idempotency-Key."),
    "unauthenticated": (401, "No valid API key or session was given."),
    "forbidden": (403, "The key's role does not have the scope that the request needs."),
    "not-found": (404, "Nothing is there."),
    "method-not-allowed": (405, "The path knows other methods; `Allow` lists them."),
    "idempotency-in-flight": (409, "The first command with this key is still running."),
    "too-large": (413, "The body is larger than the endpoint takes."),
    "unsupported-media-type": (415, "The body's media type or content coding is not taken."),
    "invalid": (422, "The body or a parameter is not what the schema says; `errors` points at it."),
    "idempotency-mismatch": (422, "The key was used for another body."),
    "rate-limited": (429, "Too many requests; `Retry-After` says when to come back."),
    "head-too-large": (431, "Request line and headers are larger than 32 KiB."),
    "internal": (500, "A bug. The request id finds it in the server's log."),
    "overloaded": (503, "A bounded queue is full; nothing was decided."),
    "storage-full": (503, "The disk has no room; reads go on, nothing acknowledged is lost."),
    "storage-failed": (
        503,
        "The log failed and the process ends; the next start recovers it.",
    ),
    "shutting-down": (503, "The server is stopping."),
    "not-ready": (503, "The server, or a part of it, is still starting."),
}
"""The platform's own slugs: status, and when it is answered. Parts have lists of their own."""


class Problem(Struct, omit_defaults=True, kw_only=True):
    """The body of a refusal."""

    type: str
    title: str
    status: int
    detail: str = ""
    instance: str = ""
    request_id: str = ""
    errors: list[Fault] = []

    def headers(self) -> list[tuple[bytes, bytes]]:
        """What goes with the body."""
        return [(b"content-type", MEDIA_TYPE.encode())]


def problem_of(refused: Refused, *, path: str, request_id: bytes) -> Problem:
    """The problem that a refusal is answered with."""
    return Problem(
        type=TYPE_PREFIX + refused.slug,
        title=refused.title,
        status=refused.status,
        detail=refused.detail,
        instance=path,
        request_id=format_id(request_id),
        errors=list(refused.errors),
    )


def internal_problem(*, path: str, request_id: bytes) -> Problem:
    """What a bug looks like from outside: no detail, only the id to ask about."""
    return Problem(
        type=TYPE_PREFIX + "internal",
        title="Internal error",
        status=500,
        instance=path,
        request_id=format_id(request_id),
    )


def encode(problem: Problem, extension: Mapping[str, str] | None = None) -> bytes:
    """The problem as JSON, with a refusal's further members."""
    if not extension:
        return _encoder.encode(problem)
    return _encoder.encode({**msgspec.to_builtins(problem), **extension})


_encoder: Final = msgspec.json.Encoder()


class Unauthenticated(Refused):
    """No valid credentials (401)."""

    status = 401
    title = "Not authenticated"

    def __init__(self, detail: str) -> None:
        super().__init__("unauthenticated", detail)


class Forbidden(Refused):
    """Valid credentials without the scope that the request needs (403)."""

    status = 403
    title = "Not allowed"

    def __init__(self, detail: str) -> None:
        super().__init__("forbidden", detail)


class Malformed(Refused):
    """A body that cannot be read (400)."""

    title = "Malformed request"

    def __init__(self, detail: str) -> None:
        super().__init__("malformed-json", detail)


class UnsupportedMediaType(Refused):
    """A media type or content coding that is not taken (415)."""

    status = 415
    title = "Unsupported media type"

    def __init__(self, detail: str) -> None:
        super().__init__("unsupported-media-type", detail)


class TooLarge(Refused):
    """A body beyond the endpoint's bound (413)."""

    status = 413
    title = "Body too large"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__("too-large", f"the body may have at most {limit_bytes} bytes")
