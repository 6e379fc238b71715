"""The response model on the server's side: says when it is published, and serves what was.

Nothing here is done per request. ``tick`` is called now and then on the event loop; what takes
longer than a moment (reading a version and laying out its weights) is done in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from ringwork.ads.model_events import ModelPublished
from ringwork.ads.service import Ads
from ringwork.app.link import Learned
from ringwork.app.model_files import ModelFiles, Rows
from ringwork.kernel.ids import IdGenerator
from ringwork.kernel.journal import Journal


class ModelInUse:
    """Which version of the model serves, and when there is a next one."""

    def __init__(
        self,
        *,
        ads: Ads,
        journal: Journal,
        ids: IdGenerator,
        tenant: str,
        data: Path,
        log: Rows,
        learned: Callable[[], Learned],
    ) -> None:
        """``learned``: how far the learner is, wherever it runs."""
        self._ads = ads
        self._journal = journal
        self._ids = ids
        self._tenant = tenant
        self._log = log
        self._files = ModelFiles(data)
        self._learner = learned
        self._publish_us = ads.settings.model_publish_s * 1_000_000
        self._published_us = journal.clock.wall_us()
        self._known_seq = journal.seq
        """No version is asked for before the learner knows of those that are published already."""
        self._tried = 0
        """The newest version that was looked for on disk."""
        self.version = 0
        """The version that serves; 0 for the priors."""

    @property
    def learned(self) -> Learned:
        """How far the learner is."""
        return self._learner()

    @property
    def rows_learned(self) -> int:
        """Rows that it has learned, of all heads."""
        return sum(self.learned.rows.values())

    def begin(self) -> None:
        """Serve the newest version on disk that is whole and whose publication is in the log."""
        newest = self._files.newest(self._log)
        if newest is not None:
            self._ads.use_model(newest.snapshot)
            self.version = self._tried = newest.snapshot.version

    async def tick(self) -> None:
        """Publish where it is time, and serve what has been published.

        Raises Unavailable where the log takes no events.
        """
        written = self.learned.written
        if written > self._tried:
            self._tried = written
            await asyncio.to_thread(self._serve, written)
        self.publish_if_due()

    def publish_if_due(self) -> bool:
        """Record that a version is published here, where it is time and it would be another one.

        Whether it did. Raises Unavailable where the log takes no events.
        """
        now_us = self._journal.clock.wall_us()
        self._published_us = min(self._published_us, now_us)  # a clock that was set back
        if now_us - self._published_us < self._publish_us:
            return False
        learned = self.learned
        if not learned.fresh or learned.seq < self._known_seq:
            return False
        with self._journal.command(tenant=self._tenant, request_id=self._ids.new()) as command:
            command.record(
                ModelPublished(learned.version + 1, dict(learned.rows), dict(learned.tiers))
            )
            command.commit()
        self._published_us, self._known_seq = now_us, self._journal.seq
        return True

    def _serve(self, number: int) -> None:
        found = self._files.version(number, self._log)
        if found is not None:
            self._ads.use_model(found.snapshot)
            self.version = number
