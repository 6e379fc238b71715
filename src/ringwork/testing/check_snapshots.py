"""The conformance suite of the Snapshots port. Each check takes an empty store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ringwork.kernel.ports import Snapshots


def starts_at_zero(store: Snapshots) -> None:
    """Without a snapshot the log is folded from its start."""
    assert store.load() == (0, {})


def loads_what_was_saved(store: Snapshots) -> None:
    """Bytes for bytes: empty states, and states of several megabytes."""
    states = {"ledger/1": bytes(range(256)) * 16_384, "empty/1": b""}
    store.save(2**40, states)
    assert store.load() == (2**40, states)
    assert store.load() == (2**40, states), "loading takes nothing away"


def the_newest_replaces_all(store: Snapshots) -> None:
    """A state that is not in the newest snapshot is gone: snapshots of two moments never mix."""
    store.save(5, {"a/1": b"a5", "b/1": b"b5"})
    store.save(9, {"b/2": b"b9"})
    assert store.load() == (9, {"b/2": b"b9"})


def what_is_loaded_is_a_copy(store: Snapshots) -> None:
    """Changing it changes no snapshot."""
    states = {"a/1": b"a"}
    store.save(1, states)
    states["a/1"] = b"changed"
    store.load()[1]["b/1"] = b"added"
    assert store.load() == (1, {"a/1": b"a"})


def a_snapshot_of_nothing_is_none(store: Snapshots) -> None:
    """It replaces what was there, and the log is folded from its start."""
    store.save(5, {"a/1": b"a5"})
    store.save(9, {})
    assert store.load() == (0, {})


SNAPSHOTS_CHECKS: Final[tuple[Callable[[Snapshots], None], ...]] = (
    starts_at_zero,
    loads_what_was_saved,
    the_newest_replaces_all,
    what_is_loaded_is_a_copy,
    a_snapshot_of_nothing_is_none,
)


def check_snapshots(make: Callable[[], Snapshots]) -> None:
    """Run every check, each on an empty store."""
    for check in SNAPSHOTS_CHECKS:
        check(make())
