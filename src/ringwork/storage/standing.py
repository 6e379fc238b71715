"""How far projections have come: what their runner knows, and what it tells another process."""

from __future__ import annotations

from msgspec import Struct

from ringwork.kernel.errors import RingworkError


class Stopped(Struct, frozen=True):
    """A projection that stopped: the last sequence that it applied, and what is wrong."""

    projection: str
    seq: int
    error: str


class Standing(Struct, frozen=True):
    """How far the projections have come, and what stops them; travels between processes."""

    seq: int
    """Every projection has applied every event up to this one."""
    stopped: tuple[Stopped, ...] = ()
    trouble: str = ""
    """What stops all of them for now; empty when all is well."""

    @property
    def troubles(self) -> dict[str, str]:
        """What stops a projection (by its name) or all (``runner``)."""
        found = {one.projection: one.error for one in self.stopped}
        return {**found, "runner": self.trouble} if self.trouble else found

    def has_reached(self, seq: int) -> bool:
        """Whether all have applied ``seq``; RingworkError when one has stopped before it."""
        for one in self.stopped:
            if one.seq < seq:
                raise RingworkError(
                    f"projection {one.projection} stopped at sequence {one.seq}: {one.error}"
                )
        return self.seq >= seq
