"""What the choice page asks, and what follows from an answer.

A decision that says what holds already is not recorded again; saying no never fails. Choosing to
subscribe decides nothing about consent, except that it takes nothing for granted: the subscription
begins when it is paid, and until then the person sees less personalised ads.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, Protocol

from msgspec import Struct

from ringwork.consent.choice.events import ChoiceMade, ChoiceShown, NoticePublished
from ringwork.consent.choice.settings import ChoiceSettings
from ringwork.consent.choice.showings import Showings, draw_order
from ringwork.consent.choice.signals import Strings, strings_of
from ringwork.consent.choice.texts import Locale, Notice, Offer, Option, load, negotiate, notice
from ringwork.consent.choice.visits import (
    STEPS,
    TICKET_VALID_S,
    Property,
    Surface,
    Ticket,
    Visit,
)
from ringwork.consent.events import ConsentRecorded
from ringwork.consent.ledger import ConsentLedger
from ringwork.consent.model import NEVER_US, Action, locked_until_us
from ringwork.consent.receipts import receipt_of
from ringwork.consent.requests import NewConsent, Receipt
from ringwork.consent.service import Consents
from ringwork.kernel.errors import Conflict, Invalid
from ringwork.kernel.journal import Command, Journal
from ringwork.kernel.ports import Entropy
from ringwork.kernel.purpose import PURPOSES, Purpose

ASKED: Final[tuple[Purpose, ...]] = ("advertise", "measure")
"""What the option of personalised ads is about, as its text says."""
WITHDRAW: Final = "withdraw-"
"""Before a purpose: a button for this purpose alone."""
ACTOR: Final = "choice"

Current = Literal["subscribe", "personalised", "less", "undecided"]


class Subscriptions(Protocol):
    """What the choice page has to know of subscriptions."""

    def offer(self, site: str, *, region: str, channel: str, now_us: int) -> Offer | None:
        """The plan in force for a site (of a publisher without sites: its id), or None."""
        ...

    def covers(self, subject: bytes, site: str, now_us: int) -> bool:
        """Whether the person (16 bytes of pseudonym) pays and sees no ads there."""
        ...


class Held(Struct, frozen=True):
    """What choices are recorded in and read from."""

    consents: Consents
    ledger: ConsentLedger
    showings: Showings
    subscriptions: Subscriptions


class Question(Struct, frozen=True, kw_only=True):
    """A page to be shown: the options in the person's order."""

    visit: Visit
    publisher: Property
    surface: Surface
    locale: Locale
    notice: Notice
    order: tuple[Option, ...]
    """Of those that are offered."""
    current: Current
    ticket: Ticket
    records: tuple[Receipt, ...] = ()
    granted: tuple[Purpose, ...] = ()
    is_minor: bool = False


class NotAsked(Struct, frozen=True, kw_only=True):
    """The person has decided and is left in peace."""

    visit: Visit
    publisher: Property
    locale: Locale
    current: Current
    until_us: int
    """0: not known; ``NEVER_US``: for good."""


class Standpoint(Struct, frozen=True):
    """Where a person stands, for the tag."""

    choice: Current
    ask: bool
    until_us: int
    """When asking is right again; 0 where it is right now."""
    signals: Strings | None


class Choices:
    """Shows and takes choices."""

    def __init__(
        self,
        held: Held,
        *,
        journal: Journal,
        entropy: Entropy,
        settings: ChoiceSettings,
        lock_us: int,
        tenant: str,
    ) -> None:
        self._consents = held.consents
        self._ledger = held.ledger
        self._showings = held.showings
        self._subscriptions = held.subscriptions
        self._journal = journal
        self._entropy = entropy
        self._settings = settings
        self._lock_us = lock_us
        self._tenant = tenant
        self._locales = load()

    # ---- what is shown --------------------------------------------------------------------------

    def standpoint(self, visit: Visit, now_us: int) -> Standpoint:
        """What holds for a person, and whether they may be asked."""
        subject = self._consents.subject_of(visit.person)
        state, standing = self._ledger.state(subject, now_us), self._ledger.standing(subject)
        until = locked_until_us(standing, ["advertise"], lock_us=self._lock_us)
        current = self._current(visit, subject, now_us)
        ask = current != "subscribe" and not state.minor and "advertise" not in state.granted
        if "advertise" in state.granted:
            until = state.expires_us
        strings, decision = None, standing.decisions.get("advertise")
        if decision is not None and current != "subscribe":
            strings = strings_of(
                self._settings,
                advertise="advertise" in state.granted,
                measure="measure" in state.granted,
                since_us=decision.since_us,
                locale=self.locale_of(visit, "").code,
            )
        return Standpoint(current, ask and until <= now_us, max(until, 0), strings)

    def _current(self, visit: Visit, subject: bytes, now_us: int) -> Current:
        if self._subscriptions.covers(subject, visit.site or visit.publisher, now_us):
            return "subscribe"
        state, standing = self._ledger.state(subject, now_us), self._ledger.standing(subject)
        if "advertise" in state.granted:
            return "personalised"
        one = standing.decisions.get("advertise")
        if one is None:
            return visit.kept or "undecided"
        return "undecided" if one.status == "granted" else "less"

    def locale_of(self, visit: Visit, languages: str) -> Locale:
        """The words for a visit: as it says, else as the browser asks."""
        return self._locales[negotiate(visit.locale or languages)]

    async def ask(
        self,
        visit: Visit,
        publisher: Property,
        surface: Surface,
        *,
        request_id: bytes,
        languages: str,
    ) -> Question | NotAsked:
        """The page for a person; first of all logged, where they see it for the first time."""
        now_us = self._journal.clock.wall_us()
        locale = self.locale_of(visit, languages)
        stands = self.standpoint(visit, now_us)
        asked = surface in ("choice-page", "choice-embed")
        if asked and not stands.ask:
            return NotAsked(
                visit=visit, publisher=publisher, locale=locale, current=stands.choice,
                until_us=stands.until_us,
            )  # fmt: skip
        subject = self._consents.subject_of(visit.person)
        minor = self._ledger.standing(subject).minor is True
        offer = None
        if visit.subscribe_to:
            offer = self._subscriptions.offer(
                visit.site or publisher.id,
                region=visit.region,
                channel=visit.channel,
                now_us=now_us,
            )
        offered = _offered(minor=minor, subscription=offer is not None)
        seen = notice(locale.texts, publisher.name, offered, offer)
        order = await self._shown(
            subject, request_id,
            ChoiceShown(
                publisher.id, (), offered, seen.sha256, surface, asked,
                "" if offer is None else offer.plan,
                "" if offer is None else offer.currency,
                0 if offer is None else offer.price_nanos,
            ),
            NoticePublished(seen.sha256, locale.version, locale.code, seen.text),
        )  # fmt: skip
        shown = tuple(one for one in order if one in offered)
        state = self._ledger.state(subject, now_us)
        return Question(
            visit=visit, publisher=publisher, surface=surface, locale=locale, notice=seen,
            order=shown, current=stands.choice, is_minor=minor,
            granted=tuple(one for one in PURPOSES if one in state.granted),
            records=() if asked else tuple(self._records(subject)),
            ticket=Ticket(
                visit=visit, surface=surface, asked=asked, offered=offered, order=shown,
                notice=seen.sha256, version=locale.version, locale=locale.code, issued_us=now_us,
            ),
        )  # fmt: skip

    async def _shown(
        self, subject: bytes, request_id: bytes, shown: ChoiceShown, published: NoticePublished
    ) -> tuple[Option, ...]:
        """The person's order, drawn and durable before anybody sees it."""
        known = self._showings.orders.get(subject)
        order = draw_order(self._entropy) if known is None else known
        is_new_text = published.notice not in self._showings.notices
        if known is None or is_new_text:
            self._journal.log.admit()
            with self._journal.command(tenant=self._tenant, request_id=request_id) as command:
                if is_new_text:
                    command.record(published)
                if known is None:
                    command.record(
                        ChoiceShown(
                            shown.publisher_id, order, *_rest_of(shown)
                        ),
                        subject=subject, purpose="consent",
                    )  # fmt: skip
                command.commit()
        await self._journal.settled()
        return order  # type: ignore[return-value]  # what was drawn once is a tuple of options

    def _records(self, subject: bytes) -> Iterable[Receipt]:
        """The receipts of the decisions that hold, the newest first."""
        decisions = self._ledger.standing(subject).decisions.values()
        for seq in sorted({one.seq for one in decisions}, reverse=True):
            recorded = self._journal.event_at(seq)
            if recorded is not None and isinstance(recorded.payload, ConsentRecorded):
                yield receipt_of(
                    recorded.payload, id=recorded.id, subject=subject, ts_us=recorded.ts_us
                )

    # ---- what is chosen -------------------------------------------------------------------------

    async def take(self, ticket: Ticket, choice: str, *, request_id: bytes) -> None:
        """Record a choice, durably. Raises Invalid, or Conflict where a grant is refused."""
        now_us = self._journal.clock.wall_us()
        if not ticket.issued_us <= now_us < ticket.issued_us + TICKET_VALID_S * 1_000_000:
            raise Conflict("form-too-old", "the form is more than an hour old: open it again")
        wanted = frozenset((*ticket.order, *(f"{WITHDRAW}{one}" for one in PURPOSES)))
        if choice not in wanted:
            raise Invalid(f"form/choice: expected {', '.join(ticket.order)}, got {choice[:32]!r}")
        subject = self._consents.subject_of(ticket.visit.person)
        decisions = self._decisions(subject, choice, now_us, asked=ticket.asked)
        self._journal.log.admit()
        with self._journal.command(tenant=self._tenant, request_id=request_id) as command:
            # Consent first: what it refuses leaves nothing behind.
            for action, purposes in decisions:
                self._consents.record(command, _consent(ticket, action, purposes), ACTOR)
            if decisions or choice == "subscribe":
                self._note(command, ticket, choice, subject)
                command.commit()
        await self._journal.settled()

    def _note(self, command: Command, ticket: Ticket, choice: str, subject: bytes) -> None:
        place = ticket.order.index(choice) + 1 if choice in ticket.order else 0
        command.record(
            ChoiceMade(
                ticket.visit.publisher, choice, place, ticket.order, ticket.notice,
                ticket.surface, STEPS[ticket.surface], ticket.asked,
            ),
            subject=subject, purpose="consent",
        )  # fmt: skip

    def _decisions(
        self, subject: bytes, choice: str, now_us: int, *, asked: bool
    ) -> list[tuple[Action, tuple[Purpose, ...]]]:
        """What has to be recorded so that the choice holds; nothing where it holds already."""
        state, standing = self._ledger.state(subject, now_us), self._ledger.standing(subject)
        if choice == "subscribe":
            return []
        open_ = tuple(
            one
            for one in ASKED
            if one not in state.granted
            and locked_until_us(standing, [one], lock_us=self._lock_us) <= now_us
        )
        if choice == "personalised":
            # Who was asked answers for what may be asked; who comes by themselves for everything.
            missing = open_ if asked else tuple(one for one in ASKED if one not in state.granted)
            if not missing and not state.granted.issuperset(ASKED):
                raise Conflict("asked-too-soon", "you refused: change it on your own page")
            return [("grant", missing)] if missing else []
        if choice.startswith(WITHDRAW):
            meant = tuple(one for one in PURPOSES if choice == f"{WITHDRAW}{one}")
            held = tuple(one for one in meant if one in state.granted)
            return [("withdraw", held)] if held else []
        held = tuple(one for one in ASKED if one in state.granted)
        decisions: list[tuple[Action, tuple[Purpose, ...]]] = []
        if held:
            decisions.append(("withdraw", held))
        if open_:
            decisions.append(("refuse", open_))
        return decisions


def _offered(*, minor: bool, subscription: bool) -> tuple[Option, ...]:
    found: list[Option] = []
    if subscription:
        found.append("subscribe")
    if not minor:
        found.append("personalised")
    return (*found, "less")


def _rest_of(shown: ChoiceShown) -> tuple[tuple[str, ...], str, str, bool, str, str, int]:
    return (
        shown.offered, shown.notice, shown.surface, shown.asked,
        shown.plan, shown.currency, shown.price_nanos,
    )  # fmt: skip


def _consent(ticket: Ticket, action: Action, purposes: tuple[Purpose, ...]) -> NewConsent:
    return NewConsent(
        person=ticket.visit.person,
        action=action,
        purposes=purposes,
        notice=ticket.notice,
        notice_version=ticket.version,
        surface=ticket.surface,
        steps=STEPS[ticket.surface],
        asked=ticket.asked,
        locale=ticket.locale,
    )


__all__ = ["NEVER_US", "Choices", "NotAsked", "Question", "Standpoint"]
