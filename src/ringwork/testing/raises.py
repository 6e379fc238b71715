"""The one assertion the suites need besides ``assert``; they must not depend on a test runner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def raises(kind: type[Exception]) -> Iterator[None]:
    """The body must raise ``kind``."""
    try:
        yield
    except kind:
        return
    raise AssertionError(f"{kind.__name__} was expected, nothing was raised")
