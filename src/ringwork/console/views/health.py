"""Health: what breaks first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from ringwork.console.facts import HealthFacts, Lag
from ringwork.console.format import (
    count,
    duration,
    percent,
    plural,
    second,
    short_id,
    size,
    stamp,
)
from ringwork.console.pages import Bold, Page, say
from ringwork.console.views.bins import quantile
from ringwork.console.views.matters import LAG_EVENTS

_DISK_LOW: Final = 0.10
"""Share of the disk that must stay free: below it a person should act while there is still time."""
_QUEUE_HIGH: Final = 0.5
_FILE_LEAST_BYTES: Final = 10_000


class Resource(Struct, frozen=True, kw_only=True):
    """One thing that can run out: now, its limit, and how much of it is used (0 to 1)."""

    name: str
    note: str
    now: str
    limit: str
    used: float
    verdict: str
    tag: str
    key: str = ""


class Health(Struct, frozen=True, kw_only=True):
    """The body of the page."""

    resources: list[Resource]
    waits_ns: list[int]
    waits_top_ns: int
    waits_title: str
    quantiles: list[tuple[str, int]]
    projections: list[Resource]
    files: list[tuple[str, int]]
    chain: str
    events: int


def health(facts: HealthFacts, *, live: bool = True) -> Page:
    """The page from its facts."""
    resources = _resources(facts)
    projections = [_projection(lag, facts.log.events) for lag in facts.lags]
    ordered = sorted(facts.waits_ns)
    quantiles = (
        [
            (name, quantile(ordered, share))
            for name, share in (
                ("Half within", 0.5),
                ("9 of 10 within", 0.9),
                ("99 of 100 within", 0.99),
                ("The slowest", 1.0),
            )
        ]
        if ordered
        else []
    )
    body = Health(
        resources=resources,
        projections=projections,
        waits_ns=facts.waits_ns,
        waits_top_ns=max(1, ordered[-1]) if ordered else 0,
        quantiles=quantiles,
        waits_title=_waits_title(ordered),
        files=_grouped(facts.store_bytes),
        chain=facts.log.chain,
        events=facts.log.events,
    )
    return Page(
        name="health",
        title="Health",
        question="What breaks first?",
        answer=say(*_answer(facts, [*resources, *projections])),
        now_us=facts.now_us,
        body=body,
        notes=(f"as of {stamp(facts.now_us)}",),
        command="ringwork log verify",
        live=health_texts(facts),
        stream="/console/live/health" if live else "",
    )


def health_texts(facts: HealthFacts) -> dict[str, str]:
    """The texts that change while one looks, by the name of their node."""
    texts = {resource.key: resource.now for resource in _resources(facts) if resource.key}
    return texts | {
        "events": count(facts.log.events),
        "chain": short_id(facts.log.chain),
        "now": f"{second(facts.now_us)} UTC",
    }


def _resources(facts: HealthFacts) -> list[Resource]:
    used = facts.disk_total_bytes - facts.disk_free_bytes
    disk_used = used / facts.disk_total_bytes if facts.disk_total_bytes else 0.0
    low = 1 - disk_used < _DISK_LOW
    queue = facts.queue_events / facts.queue_events_max if facts.queue_events_max else 0.0
    busy = queue > _QUEUE_HIGH
    return [
        Resource(
            name="Disk",
            note="log, state and keys",
            now=f"{size(facts.disk_free_bytes)} free",
            limit=f"{size(facts.disk_total_bytes)}, ask for a tenth free",
            used=disk_used,
            key="disk",
            verdict="fills up" if low else "room",
            tag="warn" if low else "good",
        ),
        Resource(
            name="Queue of the log",
            note="events that wait for their sync",
            now=count(facts.queue_events),
            limit=f"{count(facts.queue_events_max)}, then 503",
            used=queue,
            key="queue",
            verdict="busy" if busy else "short",
            tag="warn" if busy else "good",
        ),
    ]


def _projection(lag: Lag, events: int) -> Resource:
    behind = max(0, events - lag.seq)
    late = behind > LAG_EVENTS
    return Resource(
        name=lag.name,
        note=lag.trouble,
        now=count(behind),
        limit=count(LAG_EVENTS),
        used=min(1.0, behind / LAG_EVENTS),
        verdict="stopped" if lag.trouble else "late" if late else "follows",
        tag="bad" if lag.trouble else "warn" if late else "good",
    )


def _grouped(files: Mapping[str, int]) -> list[tuple[str, int]]:
    """Folders as one, databases with their journals; what is too small to matter is left out."""
    sums: dict[str, int] = {}
    for name, octets in files.items():
        folder, slash, _ = name.partition("/")
        own = folder + slash if slash else name.removesuffix("-wal").removesuffix("-shm")
        sums[own] = sums.get(own, 0) + octets
    return sorted((name, octets) for name, octets in sums.items() if octets >= _FILE_LEAST_BYTES)


def _answer(facts: HealthFacts, resources: list[Resource]) -> list[str | Bold]:
    if facts.log.refuses:
        return [Bold("The log takes nothing"), f": {facts.log.refuses}. Reads go on."]
    worried = [resource for resource in resources if resource.tag != "good"]
    head = f"{plural(facts.log.events, 'event')} are on disk"
    last = f", the last at {second(facts.log.ts_us)} UTC" if facts.log.ts_us else ""
    if worried:
        first = worried[0]
        return [Bold(f"{first.name}: {first.now}"), f", {first.verdict}. {head}{last}."]
    nearest = max(resources, key=lambda resource: resource.used, default=None)
    if nearest is None:
        return [f"{head}{last}."]
    used = percent(round(nearest.used * 1000), 1000, 0)
    return [
        Bold("Nothing is near its limit"),
        f"; nearest is {nearest.name.lower()} at {used}. {head}{last}.",
    ]


def _waits_title(ordered: list[int]) -> str:
    if not ordered:
        return "No sold answer has waited for the disk yet"
    return (
        f"Disk wait of the latest {count(len(ordered))} sold answers: half within "
        f"{duration(quantile(ordered, 0.5))}, the slowest {duration(ordered[-1])}"
    )
