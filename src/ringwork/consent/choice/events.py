"""The facts of the choice page. Members are appended, never edited."""

from __future__ import annotations

from typing import ClassVar, Final

from ringwork.kernel.events import Event


class NoticePublished(Event, frozen=True, array_like=True):
    """A text was shown for the first time: consents refer to it by its hash."""

    TYPE: ClassVar[str] = "consent_notice_published"
    RETENTION: ClassVar[str] = "as long as the consents that refer to it"
    notice: str
    """SHA-256 of ``text``, in hex."""
    version: str
    """Of the locale's words."""
    locale: str
    text: str


class ChoiceShown(Event, frozen=True, array_like=True):
    """A person saw the options for the first time; the envelope's subject is the pseudonym.

    From then on the person sees them in the same order.
    """

    TYPE: ClassVar[str] = "choice_shown"
    RETENTION: ClassVar[str] = "as long as consents have to be demonstrated (GDPR 7(1))"
    publisher_id: str
    order: tuple[str, ...]
    """All options, as they were drawn; those that are not offered are left out on the page."""
    offered: tuple[str, ...]
    notice: str
    surface: str
    asked: bool
    """Whether the person was asked; else they came by themselves."""
    plan: str
    currency: str
    price_nanos: int


class ChoiceMade(Event, frozen=True, array_like=True):
    """A person pressed a button; what follows for consent is in the records of the same request."""

    TYPE: ClassVar[str] = "choice_made"
    RETENTION: ClassVar[str] = "as long as consents have to be demonstrated (GDPR 7(1))"
    publisher_id: str
    choice: str
    place: int
    """Of the option on the page, from 1 on; 0 for a button that stands beside the options."""
    order: tuple[str, ...]
    notice: str
    surface: str
    steps: int
    asked: bool


EVENTS: Final[tuple[type[Event], ...]] = (NoticePublished, ChoiceShown, ChoiceMade)
