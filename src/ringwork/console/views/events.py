"""One line of the log in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from msgspec import Struct

from ringwork.ads import events as ads
from ringwork.console.format import count, duration, plural, price
from ringwork.kernel.events import Event, Recorded, UnknownEvent
from ringwork.kernel.ids import format_id
from ringwork.kernel.ledger import (
    AccountOpened,
    TransferCreated,
    TransferExpired,
    TransferRefused,
)

Names = Mapping[str, str]
"""Ids of ads, campaigns, advertisers and publishers -> their names."""


class EventRow(Struct, frozen=True, kw_only=True):
    """An event in a table."""

    ts_us: int
    seq: int
    type: str
    what: str
    request_id: str
    id: str
    cause: str = ""
    """The type of the event that caused it; ``request`` for the first."""


def event_row(recorded: Recorded, names: Names, *, cause: str = "") -> EventRow:
    """The event as a row of a table."""
    return EventRow(
        ts_us=recorded.ts_us,
        seq=recorded.seq,
        type=event_type(recorded),
        what=describe(recorded.payload, names),
        request_id=format_id(recorded.request_id),
        id=format_id(recorded.id),
        cause=cause,
    )


def event_type(recorded: Recorded) -> str:
    """The event's name as the log has it."""
    return recorded.payload.TYPE


def describe(event: Event, names: Names) -> str:
    """What happened, in a few words; the type's name in words for an event no page knows."""
    for event_type, words in _WORDS:
        if isinstance(event, event_type):
            return words(event, names)
    if isinstance(event, UnknownEvent):
        return f"{plural(len(event.raw), 'byte')} of a type this version does not know"
    return event.TYPE.replace("_", " ")


def _named(id: str, names: Names) -> str:
    return names.get(id, id)


def _cleared(event: ads.AuctionCleared, names: Names) -> str:
    sold = [slot for slot in event.slots if slot.ad_id]
    if not sold:
        eligible = sum(slot.eligible for slot in event.slots)
        return "not sold: " + (
            "nobody was eligible" if not eligible else f"none of {count(eligible)} cleared"
        )
    first = sold[0]
    text = f"{_named(first.campaign_id, names)} at {price(first.price_nanos, event.currency)}"
    if first.pricing != "cpm":
        text += {"cpc": " a click", "cpa": " a conversion"}.get(first.pricing, "")
    return text + (f" and {len(sold) - 1} more" if len(sold) > 1 else "")


def _billed(event: ads.ImpressionBilled, names: Names) -> str:
    if event.price_nanos == 0:
        return f"{_named(event.campaign_id, names)}, paid by {_paid_by(event.pricing)}"
    return f"{_named(event.campaign_id, names)}, {price(event.price_nanos, event.currency)}"


def _paid_by(pricing: str) -> str:
    return {"cpc": "click", "cpa": "conversion"}.get(pricing, "impression")


def _clicked(event: ads.ClickRecorded, names: Names) -> str:
    text = _named(event.campaign_id, names)
    if event.charged_nanos:
        return f"{text}, {price(event.charged_nanos, event.currency)}"
    return f"{text}, unbilled: {event.unbilled_reason}" if event.unbilled_reason else text


def _converted(event: ads.ConversionRecorded, names: Names) -> str:
    text = f"{_named(event.campaign_id, names)}, worth {price(event.value_nanos, event.currency)}"
    return f"{text}, unbilled: {event.unbilled_reason}" if event.unbilled_reason else text


def _transfer(event: TransferCreated, names: Names) -> str:
    if event.kind == "void":
        return "reservation released"
    verb = {"pending": "reserved", "post": "posted"}.get(event.kind, "moved")
    amount = price(event.amount_nanos, event.currency) if event.currency else ""
    if event.kind == "post":
        return f"{verb} from its reservation{', ' + amount if amount else ''}"
    return f"{amount} {verb}, {event.debit_account} to {event.credit_account}"


_E = TypeVar("_E", bound=Event)


def _of(
    event_type: type[_E], words: Callable[[_E, Names], str]
) -> tuple[type[Event], Callable[[Event, Names], str]]:
    def checked(event: Event, names: Names) -> str:
        assert isinstance(event, event_type)
        return words(event, names)

    return event_type, checked


_WORDS: Final = (
    _of(ads.AuctionCleared, _cleared),
    _of(ads.ImpressionBilled, _billed),
    _of(TransferCreated, _transfer),
    _of(ads.AnswerTimed, lambda e, _: f"waited {duration(e.disk_ns)} for the disk"),
    _of(ads.ClickRecorded, _clicked),
    _of(ads.ConversionRecorded, _converted),
    _of(
        ads.ImpressionUnbilled, lambda e, n: f"{_named(e.campaign_id, n)}, not charged: {e.reason}"
    ),
    _of(ads.CampaignCreated, lambda e, _: f"{e.campaign.name}, budget {e.campaign.budget}"),
    _of(ads.CampaignChanged, lambda e, _: f"{e.campaign.name}, {e.campaign.status}"),
    _of(ads.CreativeCreated, lambda e, _: f"{e.creative.name}, {e.creative.format}"),
    _of(ads.CreativeChanged, lambda e, _: f"{e.creative.name}, {e.creative.status}"),
    _of(ads.AdvertiserRegistered, lambda e, _: e.advertiser.name),
    _of(ads.PublisherRegistered, lambda e, _: e.publisher.name),
    _of(
        ads.PlacementCreated,
        lambda e, n: f"{e.placement.id} of {_named(e.placement.publisher_id, n)}",
    ),
    _of(AccountOpened, lambda e, _: f"{e.id}, {e.currency}{', limited' if e.limited else ''}"),
    _of(TransferRefused, lambda e, _: f"refused: {e.result}"),
    _of(TransferExpired, lambda e, _: "reservation ran out, released"),
)
