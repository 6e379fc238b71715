"""The behavioural path of a request: read by grant, turn into audiences, cap by person, record.

A request of the tier ``consented`` goes the same way as every other one; what differs is its page,
which knows audiences, and a record of whom its ads went to::

    personal = behaviour.personal_context(ask, grant, now_s=...)  # GrantRefused: go contextual
    page = behaviour.begin(personal, auction_id, now_s=...)  # instead of ads.begin(...)
    ...
    behaviour.record(command, personal, page)  # when all slots are decided
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from ringwork.ads.behavioural.events import PURPOSE, PersonReached, Shown
from ringwork.ads.behavioural.segments import AudienceIndex, interest_audience, interests
from ringwork.ads.catalogue import Catalogue
from ringwork.ads.model import Ask
from ringwork.ads.outside import is_external
from ringwork.ads.page import Page
from ringwork.ads.personal import Personal
from ringwork.ads.reads import Feature, ReadRecorder
from ringwork.ads.service import Ads
from ringwork.ads.special_topics import SPECIAL_TOPICS
from ringwork.ads.visits import Seen, seen_enough
from ringwork.kernel.history import History, HistoryEvent, HistoryReader
from ringwork.kernel.ids import IdGenerator
from ringwork.kernel.journal import Command
from ringwork.kernel.purpose import Grant

RECENT_S: Final = 600
"""How long an impression is known from memory, until the history surely has it."""
RECENT_PEOPLE_MAX: Final = 100_000
"""People whose last impressions are in memory; those that were shown ads longest ago go first."""
RECENT_MAX: Final = 50
"""Pages of one person that are in memory, the newest of them."""


class PersonalAsk(Struct, frozen=True, kw_only=True, gc=False):
    """An ask of a person who consented, with what may be known of the person for it.

    Made by ``personal_context`` alone, from a grant that held; the contextual path takes none.
    """

    ask: Ask
    subject: bytes
    """The person's pseudonym."""
    service: str
    """The core service that asks: what is shown is its history."""
    audiences: tuple[str, ...]
    seen: tuple[Seen, ...]
    """Ads that the person was shown, in no order."""
    epoch: int
    """Of the grant: a decision of the person ends what is remembered under it."""
    reads: Mapping[str, int]
    """What was read for it (``ads.reads``)."""


class _Recent(Struct, gc=False):
    """The ads of one page, until the history has them."""

    epoch: int
    event_id: bytes
    service: str
    ads: tuple[Seen, ...]


class Behaviour:
    """Makes personal asks of asks and grants, and keeps what people were shown."""

    def __init__(
        self,
        *,
        ads: Ads,
        catalogue: Catalogue,
        history: HistoryReader,
        personal: Personal,
        ids: IdGenerator,
        half_life_s: int,
        interests_max: int,
        special_topics: Collection[str] = SPECIAL_TOPICS,
    ) -> None:
        """``special_topics``: what was done with them says nothing, if it was ever kept."""
        self._special_topics = special_topics
        self._ads = ads
        self._catalogue = catalogue
        self._history = history
        self._personal = personal
        self._ids = ids
        self._half_life_s = half_life_s
        self._interests_max = interests_max
        self._audiences = AudienceIndex(())
        self._generation = -1
        self._recent: OrderedDict[bytes, list[_Recent]] = OrderedDict()

    def personal_context(self, ask: Ask, grant: Grant, *, now_s: int) -> PersonalAsk:
        """Read what the grant names. Raises GrantRefused, which the reader has made known.

        The grant's first service is the one that asks.
        """
        history = self._history.read(grant, purpose=PURPOSE, request_id=ask.request_id)
        reads = ReadRecorder()
        topics = interests(
            self._events(history, grant, reads, "interests"),
            now_s=now_s,
            half_life_s=self._half_life_s,
            most=self._interests_max,
        )
        audiences = [interest_audience(topic) for topic in topics]
        index = self._followed()
        if index.count:
            audiences += index.of(self._events(history, grant, reads, "audiences"), now_s=now_s)
        return PersonalAsk(
            ask=ask,
            subject=grant.subject,
            service=grant.services[0],
            audiences=tuple(audiences),
            seen=self._seen(history, grant, reads, now_s),
            epoch=grant.epoch,
            reads=reads.bits(),
        )

    def begin(self, personal: PersonalAsk, auction_id: bytes, *, now_s: int) -> Page:
        """As ``Ads.begin``, with the person's audiences and caps."""
        page = self._ads.begin(personal.ask, auction_id, now_s=now_s)
        page.audiences, page.reads = personal.audiences, personal.reads
        page.knows_viewer = True
        for campaign_id in seen_enough(personal.seen, now_s, self._ads.index.capped_campaigns):
            page.bar(campaign_id, "frequency")
        return page

    def record(self, command: Command, personal: PersonalAsk, page: Page) -> None:
        """Record that the person was sold the page's ads; nothing where none was sold.

        An outside bidder's ads have no caps here.
        """
        sold = [one.campaign for one in page.sold if not is_external(one.campaign.id)]
        if not sold:
            return
        event_id = self._ids.new()
        shown = [Shown(one.id, one.advertiser_id) for one in sold]
        subject, sealed = self._personal.seal_bytes(
            personal.subject, msgspec.msgpack.encode(shown), event_id=event_id, member="details"
        )
        command.record(
            PersonReached(personal.service, sealed),
            event_id=event_id,
            subject=subject,
            purpose=PURPOSE,
        )
        ads = tuple(Seen(command.now_s, one.id, one.advertiser_id) for one in sold)
        self._remember(subject, _Recent(personal.epoch, event_id, personal.service, ads))

    def forget(self, subject: bytes) -> None:
        """Drop what memory knows of a person."""
        self._recent.pop(subject, None)

    def _remember(self, subject: bytes, page: _Recent) -> None:
        pages = self._recent.setdefault(subject, [])
        pages.append(page)
        del pages[:-RECENT_MAX]
        self._recent.move_to_end(subject)
        while len(self._recent) > RECENT_PEOPLE_MAX:
            self._recent.popitem(last=False)

    def _events(
        self, history: History, grant: Grant, reads: ReadRecorder, feature: Feature
    ) -> list[HistoryEvent]:
        """The things done, for one feature: the way to them goes by the recorder.

        That a service has nothing of the person is known from reading, too.
        """
        for service in grant.services:
            reads.note(PURPOSE, service, feature)
        return [one for one in history.events if one.topic not in self._special_topics]

    def _seen(
        self, history: History, grant: Grant, reads: ReadRecorder, now_s: int
    ) -> tuple[Seen, ...]:
        """What the history says, and what it may not say yet: it follows the log.

        What was shown before the person's last decision is the history's to say: after a withdrawal
        it says nothing, whatever is remembered here.
        """
        for service in grant.services:
            reads.note(PURPOSE, service, "impressions")
        seen = [Seen(one.at_s, one.campaign_id, one.advertiser_id) for one in history.impressions]
        recent = self._recent.get(grant.subject)
        if recent is None:
            return tuple(seen)
        if recent[-1].ads[0].at_s < now_s - RECENT_S:
            del self._recent[grant.subject]
            return tuple(seen)
        known = {one.event_id for one in history.impressions}
        for page in recent:
            is_of_now = page.epoch == grant.epoch and page.service in grant.services
            if is_of_now and page.event_id not in known:
                seen += page.ads
        return tuple(seen)

    def _followed(self) -> AudienceIndex:
        """The audiences as they are now."""
        generation = self._catalogue.audiences_generation
        if generation != self._generation:
            self._audiences = AudienceIndex(self._catalogue.audiences.values())
            self._generation = generation
        return self._audiences
