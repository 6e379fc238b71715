"""The projections of all stores, as one: ``state.db``, and ``history.db`` apart from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ringwork.storage.sqlite.projections import ProjectionRunner
from ringwork.storage.standing import Standing


class Runners:
    """Has the face of one ProjectionRunner; each runner follows the log by itself."""

    def __init__(self, runners: Sequence[ProjectionRunner]) -> None:
        self._runners = runners

    @property
    def seq(self) -> int:
        """Every projection has applied every event up to this one."""
        return min(one.seq for one in self._runners)

    @property
    def lag(self) -> int:
        """How many durable events the slowest projection is behind."""
        return max(one.lag for one in self._runners)

    @property
    def standing(self) -> Standing:
        """Everything that can be said of the projections at this moment."""
        told = [one.standing for one in self._runners]
        return Standing(
            min(one.seq for one in told),
            tuple(stopped for one in told for stopped in one.stopped),
            "; ".join(one.trouble for one in told if one.trouble),
        )

    @property
    def troubles(self) -> Mapping[str, str]:
        """What stops a projection (by its name) or a store (``runner``)."""
        return self.standing.troubles

    def notify(self) -> None:
        """There may be new events."""
        for one in self._runners:
            one.notify()

    async def caught_up(self, seq: int) -> None:
        """Wait until all have applied ``seq``; RingworkError when one has stopped before it."""
        for one in self._runners:
            await one.caught_up(seq)

    def start(self) -> None:
        """Follow the log in threads until ``close``."""
        for one in self._runners:
            one.start()

    def close(self) -> None:
        """Stop the threads after the batches they are at."""
        for one in self._runners:
            one.close()

    def advance(self) -> bool:
        """Apply the next batches; False when none was there, or when ``troubles`` says why not."""
        return any([one.advance() for one in self._runners])  # noqa: C419  # each of them
