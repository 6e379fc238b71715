"""The facts of the response model. Members are appended, never edited."""

from __future__ import annotations

from typing import ClassVar

from msgspec import field

from ringwork.kernel.events import Event


class ModelPublished(Event, frozen=True, array_like=True):
    """The response model is published here: from all that the log says before this event.

    Its place in the log is what counts: whoever folds the log so far has the same version, to the
    last bit. What it is (``Snapshot.digest``) is therefore not said.
    """

    TYPE: ClassVar[str] = "model_published"
    version: int
    """1 for the first, and one more each time."""
    learned: dict[str, int]
    """Head -> rows that the learner had learned when the version was asked for."""
    tiers: dict[str, int] = field(default_factory=dict)
    """Its manifest: tier of the request -> impressions that it was learned from, all of people who
    allowed that. Empty tier: from before tiers were recorded."""


EVENTS: tuple[type[Event], ...] = (ModelPublished,)
