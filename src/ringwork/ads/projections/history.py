"""Who changed what of campaigns, creatives and audiences: member by member, old and new.

Events hold whole items. The last state of each is kept here, flat and without what is at its
default, so that the next event can be compared with it; a creation has no members of its own, they
are what later changes and the present state leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import ClassVar, Final, Literal, TypeAlias

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from ringwork.ads.events import (
    AudienceChanged,
    AudienceCreated,
    CampaignChanged,
    CampaignCreated,
    CampaignReviewed,
    CreativeChanged,
    CreativeCreated,
    CreativeReviewed,
)
from ringwork.ads.model import Audience, Campaign, Creative
from ringwork.ads.projections.tables import ads_actors, ads_changes, ads_items, execute_many
from ringwork.kernel.events import Event, Recorded
from ringwork.kernel.money import Money
from ringwork.web.keys import ApiKeyCreated

Kind = Literal["campaign", "creative", "audience"]
Flat: TypeAlias = dict[str, object]
"""JSON pointer of a member -> its value."""

_ADD_CHANGES: Final = "INSERT INTO ads_changes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_SET_ITEMS: Final = """
INSERT INTO ads_items VALUES (?, ?, ?) ON CONFLICT (kind, id) DO UPDATE SET state = excluded.state
"""
_ADD_ACTORS: Final = "INSERT INTO ads_actors VALUES (?, ?) ON CONFLICT (key_id) DO NOTHING"
_ASKED_AT_ONCE: Final = 500
"""Ids in one SELECT: SQLite takes 32,766 parameters, older ones 999."""


class Change(Struct, frozen=True):
    """One member, before and after; null is the member's default or absence."""

    member: str
    """A JSON pointer."""
    old: msgspec.Raw
    """JSON, as it stands in the answer."""
    new: msgspec.Raw


_encode: Final = msgspec.json.Encoder().encode
_states: Final = msgspec.json.Decoder(Flat)


class AdHistory:
    """The changes of campaigns, creatives and audiences."""

    name: ClassVar[str] = "ads_history"
    version: ClassVar[int] = 1
    hears: ClassVar[tuple[type[Event], ...]] = (
        CampaignCreated,
        CampaignChanged,
        CampaignReviewed,
        CreativeCreated,
        CreativeChanged,
        CreativeReviewed,
        AudienceCreated,
        AudienceChanged,
        ApiKeyCreated,
    )

    def apply(self, connection: sa.Connection, events: Sequence[Recorded]) -> None:
        """One row per event, and the states that the next events are compared with."""
        states = _kept(connection, events)
        touched: set[tuple[Kind, str]] = set()
        changes: list[tuple[object, ...]] = []
        actors: list[tuple[object, ...]] = []
        for recorded in events:
            event = recorded.payload
            if isinstance(event, ApiKeyCreated):
                actors.append((event.key_id, event.label))
                continue
            kind, item, action, actor = _of(event)
            is_decision = action in ("approve", "reject", "return")
            reason = item.review_reason if is_decision and not isinstance(item, Audience) else ""
            state = flat(item)
            old = states.get((kind, item.id))
            found = [] if old is None else differences(old, state)
            states[kind, item.id] = state
            touched.add((kind, item.id))
            changes.append(
                (
                    recorded.seq, kind, item.id, recorded.ts_us, recorded.request_id, actor, action,
                    reason, _encode(found).decode(),
                )
            )  # fmt: skip
        execute_many(connection, _ADD_ACTORS, actors)
        execute_many(connection, _ADD_CHANGES, changes)
        rows = [(*key, _encode(states[key]).decode()) for key in sorted(touched)]
        execute_many(connection, _SET_ITEMS, rows)

    def clear(self, connection: sa.Connection) -> None:
        """Empty the tables."""
        for table in (ads_changes, ads_items, ads_actors):
            connection.execute(table.delete())


def _of(event: Event) -> tuple[Kind, Campaign | Creative | Audience, str, str]:
    """(kind, the item as it is from then on, what was done, who did it)."""
    match event:
        case CampaignCreated(campaign, actor):
            return "campaign", campaign, "create", actor
        case CampaignChanged(campaign, actor):
            return "campaign", campaign, "change", actor
        case CampaignReviewed(campaign, decision, actor):
            return "campaign", campaign, decision, actor
        case CreativeCreated(creative, actor):
            return "creative", creative, "create", actor
        case CreativeChanged(creative, actor):
            return "creative", creative, "change", actor
        case CreativeReviewed(creative, decision, actor):
            return "creative", creative, decision, actor
        case AudienceCreated(audience, actor):
            return "audience", audience, "create", actor
        case AudienceChanged(audience, actor):
            return "audience", audience, "change", actor
    raise AssertionError(f"{event.TYPE} is not heard here")


def _kept(connection: sa.Connection, events: Sequence[Recorded]) -> dict[tuple[Kind, str], Flat]:
    """The last states of what the events are about, as far as there are any."""
    wanted: dict[Kind, list[str]] = {"campaign": [], "creative": [], "audience": []}
    for recorded in events:
        if not isinstance(recorded.payload, ApiKeyCreated):
            kind, item, _, _ = _of(recorded.payload)
            wanted[kind].append(item.id)
    found: dict[tuple[Kind, str], Flat] = {}
    for kind, ids in wanted.items():
        for start in range(0, len(ids), _ASKED_AT_ONCE):
            some = ids[start : start + _ASKED_AT_ONCE]
            query = sa.select(ads_items.c.id, ads_items.c.state).where(
                ads_items.c.kind == kind, ads_items.c.id.in_(some)
            )
            for row in connection.execute(query):
                found[kind, row.id] = _states.decode(row.state)
    return found


def flat(item: Campaign | Creative | Audience) -> Flat:
    """Every member that is not at its default, by JSON pointer; sums are one value."""
    found: Flat = {}
    _flatten("", item, found)
    return found


def _flatten(pointer: str, item: Struct, found: Flat) -> None:
    for name, default in _members(type(item)):
        value = getattr(item, name)
        if value == default or value in ([], {}):
            continue
        if isinstance(value, Struct) and not isinstance(value, Money):
            _flatten(f"{pointer}/{name}", value, found)
        else:
            found[f"{pointer}/{name}"] = msgspec.to_builtins(value)


@cache
def _members(kind: type[Struct]) -> tuple[tuple[str, object], ...]:
    """The members of a struct with their defaults.

    Kept, because to find them out takes a hundred times longer than to look at an item.
    """
    return tuple((one.name, one.default) for one in msgspec.structs.fields(kind))


def differences(old: Flat, new: Flat) -> list[Change]:
    """The members that differ, in the order of their pointers."""
    return [
        Change(member, _json(old.get(member)), _json(new.get(member)))
        for member in sorted(old.keys() | new.keys())
        if old.get(member) != new.get(member)
    ]


def _json(value: object) -> msgspec.Raw:
    return msgspec.Raw(_encode(value))
