"""Errors that cross a boundary: what was expected, what came, where, and what to do next.

::

    RingworkError
    ├── Refused              a request or command that is answered: not executed, or by a rule
    │   ├── Invalid          422: well-formed but not valid, with JSON pointers
    │   ├── Conflict         409: a rule of the domain says no
    │   ├── NotFound         404
    │   └── Unavailable      503 + Retry-After
    │       ├── Overloaded   a bounded queue is full
    │       └── StorageFull  the disk has no room; reads go on
    ├── ConfigurationError   a setting, named with its file and key (exit 2)
    ├── LogCorrupt           the log on disk is not what was written (exit 3)
    ├── SealBroken           a sealed member does not authenticate
    ├── StoreDown            a shared store did not answer in time; the caller goes on without it
    └── Busy                 another process holds the store (exit 4)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct


class Fault(Struct, frozen=True):
    """One thing wrong with an input.

    Where (JSON pointer, ``query/NAME``, ``header/NAME``) and what.
    """

    pointer: str
    detail: str


class RingworkError(Exception):
    """The root: anything the platform raises on purpose."""


class Refused(RingworkError):
    """A request that gets an answer other than success; the HTTP surface renders it (RFC 9457).

    ``slug`` names the problem for programs, ``detail`` explains it to people. ``executed`` says
    whether a command ran and was refused by a rule: only then may the answer be stored under an
    idempotency key. ``extension`` holds further members of the problem (RFC 9457, section 3.2).
    """

    status = 400
    title = "Request refused"
    executed = False

    def __init__(
        self,
        slug: str,
        detail: str,
        *,
        errors: Sequence[Fault] = (),
        status: int | None = None,
        title: str | None = None,
        retry_after_s: int | None = None,
        extension: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{slug}: {detail}")
        self.slug = slug
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after_s = retry_after_s
        self.extension = dict(extension or {})
        if status is not None:
            self.status = status
        if title is not None:
            self.title = title


class Invalid(Refused):
    """The input was understood and is not acceptable (422)."""

    status = 422
    title = "Invalid request"

    def __init__(self, detail: str, errors: Sequence[Fault] = ()) -> None:
        super().__init__("invalid", detail, errors=errors)


class Conflict(Refused):
    """The command ran and a rule of the domain refused it (409)."""

    status = 409
    title = "Refused by a rule"
    executed = True


class NotFound(Refused):
    """Nothing there (404)."""

    status = 404
    title = "Not found"

    def __init__(self, detail: str) -> None:
        super().__init__("not-found", detail)


class Unavailable(Refused):
    """Not now (503): the client may retry after ``retry_after_s``."""

    status = 503
    title = "Temporarily unavailable"

    def __init__(self, slug: str, detail: str, *, retry_after_s: int = 1) -> None:
        super().__init__(slug, detail, retry_after_s=retry_after_s)


class Overloaded(Unavailable):
    """A bounded queue is full."""

    def __init__(self, detail: str) -> None:
        super().__init__("overloaded", detail)


class StorageFull(Unavailable):
    """The disk refused a write.

    Nothing of the batch was stored and nothing acknowledged was lost.
    """

    def __init__(self, detail: str) -> None:
        super().__init__("storage-full", detail, retry_after_s=5)


class ConfigurationError(RingworkError):
    """A setting that cannot be used; the text names file, key, what came and what is allowed."""


class LogCorrupt(RingworkError):
    """The log is not what was written: names the file, the sequence and what was expected there."""

    def __init__(self, where: str, seq: int, expected: str) -> None:
        super().__init__(f"{where}: at sequence {seq}: {expected}")
        self.where = where
        self.seq = seq
        self.expected = expected


class SealBroken(RingworkError):
    """A sealed member whose authentication tag does not match its place."""


class Busy(RingworkError):
    """Another process holds the data directory."""


class StoreDown(RingworkError):
    """A store that processes share is not there, or too slow, or asked too much of."""
