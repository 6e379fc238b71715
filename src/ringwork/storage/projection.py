"""What a projection is: tables that follow the log, and can be rebuilt from it at any time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ringwork.kernel.events import Event, Idempotency, Recorded

if TYPE_CHECKING:
    import sqlalchemy as sa


class Projection(Protocol):
    """Tables that a runner keeps in step with the log.

    ``hears`` names the event types that matter, decoded; None hears every event undecoded (its
    payload is ``UnknownEvent(b"")``), as an index of requests does. ``apply`` sees each event once,
    in order, in the transaction that also moves the checkpoint; it draws on nothing but its
    arguments and its own tables. A changed meaning is a new ``version``: the runner clears the
    tables and starts again.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int: ...

    @property
    def hears(self) -> tuple[type[Event], ...] | None: ...

    def apply(self, connection: sa.Connection, events: Sequence[Recorded]) -> None:
        """Bring the tables up to date with the next events it hears (never none)."""
        ...

    def clear(self, connection: sa.Connection) -> None:
        """Empty the tables."""
        ...


@runtime_checkable
class RemembersAnswers(Protocol):
    """A projection that also keeps the first answers to keyed commands."""

    def remember(
        self, connection: sa.Connection, answers: Sequence[tuple[Idempotency, int]]
    ) -> None:
        """Keep the next idempotency members, each with its command's wall time in us."""
        ...
