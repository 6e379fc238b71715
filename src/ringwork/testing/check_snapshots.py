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


def the_old_one_stays_until_the_last_step(store: Snapshots) -> None:
    """Saving in pieces replaces the snapshot at its end and not before."""
    old, new = {"a/1": b"old" * 1_000_000}, {"a/1": b"new" * 2_000_000}
    store.save(5, old)
    saving = store.saving(9, new)
    steps = 0
    for _ in saving:
        steps += 1
        assert store.load() == (5, old), f"it was replaced at step {steps}"
    assert steps > 0, "it was replaced at once"
    assert store.load() == (9, new)


def who_stops_half_way_has_changed_nothing(store: Snapshots) -> None:
    """Neither what is there, nor what the next one saves."""
    store.save(5, {"a/1": b"a5"})
    saving = store.saving(9, {"a/1": b"a9"})
    next(saving)
    del saving
    assert store.load() == (5, {"a/1": b"a5"})
    store.save(7, {"a/1": b"a7"})
    assert store.load() == (7, {"a/1": b"a7"})


def knows_its_size(store: Snapshots) -> None:
    """About, and of the newest."""
    assert store.size_bytes == 0
    for size in (3_000_000, 2_000_000):
        store.save(5, {"a/1": bytes(size), "b/1": b"b"})
        assert size < store.size_bytes < size + 10_000


SNAPSHOTS_CHECKS: Final[tuple[Callable[[Snapshots], None], ...]] = (
    starts_at_zero,
    loads_what_was_saved,
    the_newest_replaces_all,
    what_is_loaded_is_a_copy,
    a_snapshot_of_nothing_is_none,
    the_old_one_stays_until_the_last_step,
    who_stops_half_way_has_changed_nothing,
    knows_its_size,
)


def check_snapshots(make: Callable[[], Snapshots]) -> None:
    """Run every check, each on an empty store."""
    for check in SNAPSHOTS_CHECKS:
        check(make())
