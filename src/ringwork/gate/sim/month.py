"""Plays the honest month against a guard: friction, and recall of the matches due to people."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ringwork.gate.sim.acquaintance import Books
from ringwork.gate.sim.metrics import Friction, clopper_pearson
from ringwork.gate.sim.people import ADDED, AGAIN, CHANGES, FULL, JOIN, MOVE, Month
from ringwork.gate.sim.protocol import Guard, Numbers, Scope, SyncRequest, matched
from ringwork.gate.sim.world import DAY_S, GONE, START_S, USER, World
from ringwork.kernel.clock import ManualClock

SLOW_S: Final = 2.0
"""A longer wait is friction (spec 6)."""
ENOUGH: Final = 0.9
CAUSES: Final = {
    FULL: "whole book",
    CHANGES: "changes",
    ADDED: "new contacts",
    AGAIN: "reinstall",
    JOIN: "first book",
    MOVE: "number change",
}
Progress = Callable[[str, int], None]


def start(guard: Guard, world: World, books: Books, initial: NDArray[np.int64]) -> None:
    """The books that the platform has already: of everybody who is registered."""
    users = np.flatnonzero(world.status == USER)
    lengths = initial[users]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    at = np.repeat(books.offsets[users] - offsets[:-1], lengths) + np.arange(offsets[-1])
    guard.import_books(users.astype(np.int64), offsets, books.numbers[at])


class _Tally(Struct):
    touched: dict[int, str]
    tokens: dict[int, tuple[int, bytes]]
    """Of each person: the last token, and how many of his contacts it proves."""
    told: list[tuple[int, Numbers]]
    last: dict[int, tuple[float, int]]
    """Of each person: when he last sent all of his book, and how far it went."""
    syncs: int = 0


def play(
    guard: Guard,
    clock: ManualClock,
    world: World,
    books: Books,
    month: Month,
    progress: Progress = lambda _what, _count: None,
) -> tuple[int, dict[int, str], _Tally]:
    """All events in order; who was told to wait tries once more when he was told to."""
    tally = _Tally({}, {}, [], {})
    retries: list[tuple[float, int]] = []
    spare = iter(month.spare.tolist())
    at, people, kinds = month.at_s.tolist(), month.person.tolist(), month.kind.tolist()
    for index, when in enumerate(at):
        while retries and retries[0][0] <= when:
            late, again = heapq.heappop(retries)
            _sync(guard, clock, books, month, again, late, tally)
        person, kind = people[index], kinds[index]
        if kind == JOIN:
            world.register(person, START_S + when)
        elif kind == MOVE:
            world.move(person, next(spare))
        retry_s = _sync(guard, clock, books, month, index, when, tally)
        if retry_s is not None:
            tally.touched.setdefault(person, CAUSES[kind])
            if when + retry_s < at[-1]:
                heapq.heappush(retries, (when + retry_s, index))
        if index % 1024 == 0:
            progress("honest syncs", index)
    return tally.syncs, tally.touched, tally


def _sync(
    guard: Guard,
    clock: ManualClock,
    books: Books,
    month: Month,
    index: int,
    when: float,
    tally: _Tally,
) -> float | None:
    """One request; None where it was answered in time, else how long it would have to wait."""
    set_clock(clock, when)
    person, kind = int(month.person[index]), int(month.kind[index])
    numbers = books.numbers[month.low[index] : month.high[index]]
    # A token proves the list that it was given for: that stands first, what is new behind it.
    proven, token = tally.tokens.get(person, (0, None))
    if kind in (ADDED, AGAIN, JOIN):
        proven, token = 0, None
    if month.is_sorted[person]:
        numbers = np.concatenate([np.sort(numbers[:proven]), np.sort(numbers[proven:])])
    scope: Scope = "changes" if kind == CHANGES else "full"
    reply = guard.sync(SyncRequest(account=person, numbers=numbers, token=token, scope=scope))
    tally.syncs += 1
    if reply.status != "ok":
        wait = reply.retry_after_s
        return DAY_S if wait is None else (None if wait <= SLOW_S else float(wait))
    if reply.token is not None and kind != ADDED:
        tally.tokens[person] = (len(numbers), reply.token)
    tally.told.append((person, matched(reply)))
    if kind not in (CHANGES, ADDED):
        tally.last[person] = (when, int(month.high[index]))
    return None


def set_clock(clock: ManualClock, since_start_s: float) -> None:
    """Forward only: a retry may be due a little before the event that it is played after."""
    clock.advance_us(max(0, round((START_S + since_start_s) * 1e6) - clock.wall_us()))


def friction(
    guard: Guard,
    clock: ManualClock,
    world: World,
    books: Books,
    month: Month,
    *,
    rules: str,
    progress: Progress = lambda _what, _count: None,
) -> Friction:
    """The month's friction and recall. ``world`` is changed: give a branch."""
    start(guard, world, books, month.initial)
    syncs, touched, tally = play(guard, clock, world, books, month, progress)
    user_months = int(np.count_nonzero(world.status != GONE))
    causes: dict[str, int] = {}
    for cause in touched.values():
        causes[cause] = causes.get(cause, 0) + 1
    told, due = _recall(world, books, month, tally)
    expected, has_due = int(due.sum()), due > 0
    starved = int(np.count_nonzero(told[has_due] < ENOUGH * due[has_due]))
    return Friction(
        rules=rules,
        mode=world.mode,
        user_months=user_months,
        touched=len(touched),
        rate=len(touched) / user_months,
        rate_bound=clopper_pearson(len(touched), user_months),
        by_cause=dict(sorted(causes.items())),
        recall=int(told.sum()) / expected if expected else 1.0,
        expected=expected,
        starved=starved,
        starved_bound=clopper_pearson(starved, user_months),
        syncs=syncs,
    )


def _recall(
    world: World, books: Books, month: Month, tally: _Tally
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(told, due) of each person: entries of last books whose owner he may find.

    Everyone: who is registered and chose everyone. Mutual contacts: who had this person's number in
    a book that was sent a day before.
    """
    people = world.people
    owner = np.repeat(np.arange(people), np.diff(books.offsets))
    place = np.arange(len(owner))
    last_s, end = np.full(people, -1.0), books.offsets[:-1].copy()
    for person, (when, high) in tally.last.items():
        last_s[person], end[person] = when, high
    account = world.accounts_of(books.numbers)
    joined = world.joined_s - START_S
    is_sent = (place < end[owner]) & (account >= 0) & (account != owner)
    is_sent &= joined[account] < last_s[owner]
    # Who changed his number was found under it only from then on: left out.
    is_sent &= ~np.isin(account, month.person[month.kind == MOVE])
    owner, account, place = owner[is_sent], account[is_sent], place[is_sent]
    findable = world.findable[account]
    sent_s = _first_sent(books, month, world, place, owner)
    key = owner * people + account
    order = np.argsort(key, kind="stable")
    back = account * people + owner
    at = np.searchsorted(key[order], back).clip(max=max(len(key) - 1, 0))
    has_me = key[order][at] == back if len(key) else np.zeros(0, np.bool_)
    in_time = has_me & (sent_s[order][at] + DAY_S <= last_s[owner]) if len(key) else has_me
    is_expected = (findable == 2) | ((findable == 1) & in_time)
    wanted = np.unique(key[is_expected])
    told = np.concatenate(
        [np.int64(person) * people + world.accounts_of(numbers) for person, numbers in tally.told]
        or [np.zeros(0, np.int64)]
    )
    told.sort()
    at = np.searchsorted(told, wanted).clip(max=max(len(told) - 1, 0))
    is_told = told[at] == wanted if len(told) else np.zeros(len(wanted), np.bool_)
    due = np.bincount(wanted // people, minlength=people)
    return np.bincount(wanted[is_told] // people, minlength=people), due


def _first_sent(
    books: Books,
    month: Month,
    world: World,
    place: NDArray[np.int64],
    owner: NDArray[np.int64],
) -> NDArray[np.float64]:
    """When each entry was sent first: before the month, with the first book, or once added."""
    sent = np.where(
        place - books.offsets[owner] < month.initial[owner],
        np.maximum(world.joined_s[owner] - START_S, -DAY_S),
        np.inf,
    )
    added = month.kind == ADDED
    low, high = month.low[added], month.high[added]
    order = np.argsort(low, kind="stable")
    at = np.searchsorted(low[order], place, side="right") - 1
    is_in = (at >= 0) & (place < high[order][at])
    return np.where(is_in & np.isinf(sent), month.at_s[added][order][at], sent)
