"""The follower's memory: folded in steps, saved as the server would save it, never half of it."""

import sqlite3
from random import Random

import pytest

from ringwork.app import keeper as keeper_module
from ringwork.app.keeper import DurableLog, Keeper, is_snapshot_due
from ringwork.app.memory import EVENTS
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.errors import LogCorrupt, StorageFull
from ringwork.kernel.events import EventTypes
from ringwork.kernel.ports import Head, Snapshots
from ringwork.storage.memory import MemorySnapshots
from ringwork.storage.snapshot_file import FileSnapshots
from ringwork.storage.sqlite.reader import SqliteLogReader
from tests.app.life import FAIR, live, opened
from tests.app.served import Client, serve
from tests.app.test_restart import dumps

CLOCK = ManualClock()
PIECE_PAUSE_US = round(keeper_module.PIECE_PAUSE_S * 1e6)


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """An afternoon's directory, its end and what the platform's memory was then."""
    data = tmp_path_factory.mktemp("lived") / "data"

    async def afternoon(client: Client) -> None:
        await live(client, Random(3))

    serve(data, afternoon, settings={"fairness": FAIR})
    platform = opened(data, seed=6)
    head, states = platform.log.head, dumps(platform)
    platform.close()
    return data, head, states


def log_of(lived, head: Head | None = None) -> DurableLog:
    data, end, _ = lived
    return DurableLog(SqliteLogReader(data / "log"), head or end)


def keeper_of(log: DurableLog, snapshots: Snapshots, every: int) -> Keeper:
    return Keeper(log, EventTypes(EVENTS), snapshots, clock=CLOCK, snapshot_events=every)


def work(keeper: Keeper, *, is_last: bool = False) -> None:
    """As the follower does, without its pauses."""
    while keeper.step(is_last=is_last) or keeper.is_saving:
        CLOCK.advance_us(PIECE_PAUSE_US)


def saved(snapshots: Snapshots) -> dict[str, bytes]:
    return {name.partition("/")[0]: state for name, state in snapshots.load()[1].items()}


class Counting(MemorySnapshots):
    """Remembers at which sequences something was saved; fails on request."""

    fails_with: Exception | None = None

    def __init__(self) -> None:
        super().__init__()
        self.seqs: list[int] = []

    def saving(self, seq, states):
        if self.fails_with is not None:
            raise self.fails_with
        yield from super().saving(seq, states)
        self.seqs.append(seq)

    def load(self):
        if self.fails_with is not None:
            raise self.fails_with
        return super().load()


def test_what_it_saves_is_what_the_server_would_have_saved(lived, monkeypatch):
    monkeypatch.setattr(keeper_module, "STEP_EVENTS", 1)
    monkeypatch.setattr(keeper_module, "LOADED_BYTES_PER_EVENT", 10**9)
    log, snapshots = log_of(lived), Counting()
    keeper = keeper_of(log, snapshots, 50)
    work(keeper)
    assert snapshots.seqs == sorted(snapshots.seqs)
    gaps = [b - a for a, b in zip([0, *snapshots.seqs], snapshots.seqs, strict=False)]
    assert len(gaps) > 2
    assert min(gaps) >= 50, "one every 50 events"
    largest = max(row.count for row in log.rows())  # commands share a row where the disk is slow
    assert max(gaps) < 50 + largest, "and no later than the row that makes it due"
    work(keeper, is_last=True)
    assert snapshots.seqs[-1] == log.head.seq
    assert saved(snapshots) == lived[2]
    assert not keeper.step(is_last=True), "the end is saved once"


def test_a_large_snapshot_is_saved_as_often_as_its_loading_is_worth():
    class Large(MemorySnapshots):
        size_bytes = 400 * 1_000

    assert not is_snapshot_due(999, Large(), least_events=10)
    assert is_snapshot_due(1_000, Large(), least_events=10)
    assert not is_snapshot_due(1_000, Large(), least_events=1_001)
    assert is_snapshot_due(10, MemorySnapshots(), least_events=10)


def test_a_piece_after_a_pause_and_folding_goes_on_between_them(lived, tmp_path):
    """By hand: 1 step to load, one a fold to dump, then pieces of a thousand bytes."""
    log = log_of(lived, Head(0, half_of(lived), b""))
    snapshots = FileSnapshots(tmp_path, piece_bytes=1000)
    keeper = keeper_of(log, snapshots, 1)
    while not keeper.is_saving:
        assert keeper.step()
    assert keeper.step(), "the first piece"
    assert not keeper.step(), "then a pause, in which nothing else is to do"
    log.head = lived[1]
    assert keeper.step(), "but what has come meanwhile is folded"
    while keeper.step():
        pass
    (partial,) = tmp_path.iterdir()
    for pieces in (2, 3):
        CLOCK.advance_us(PIECE_PAUSE_US - 1)
        assert not keeper.step()
        CLOCK.advance_us(1)
        assert keeper.step()
        assert not keeper.step()
        assert 1000 * pieces <= partial.stat().st_size < 2000 * pieces
    assert snapshots.load() == (0, {})
    keep = FileSnapshots(tmp_path)
    while keep.load()[0] == 0:
        assert keeper.step(is_last=True), "at the end nobody waits for the disk: no pauses"
    assert keep.load()[0] == half_of(lived), "as it was when it was dumped"
    work(keeper, is_last=True)
    assert keep.load()[0] == lived[1].seq
    assert saved(keep) == lived[2]


def test_a_second_one_goes_on_from_the_snapshot(lived):
    snapshots = Counting()
    early = Head(0, half_of(lived), b"")
    first = keeper_of(log_of(lived, early), snapshots, 10**9)
    work(first, is_last=True)
    assert snapshots.seqs == [early.seq]
    second = keeper_of(log_of(lived), snapshots, 10**9)
    work(second, is_last=True)
    assert saved(snapshots) == lived[2]


def half_of(lived) -> int:
    """The last event of a row near the middle of the log."""
    data, head, _ = lived
    for row in SqliteLogReader(data / "log").rows():
        end = row.first_seq + row.count - 1
        if end >= head.seq // 2:
            return end
    raise AssertionError


def test_a_snapshot_of_another_version_is_not_used(lived):
    snapshots = Counting()
    snapshots.save(5, {"ledger/0": b"old"})
    keeper = keeper_of(log_of(lived), snapshots, 10**9)
    work(keeper, is_last=True)
    assert saved(snapshots) == lived[2]


def test_a_full_disk_costs_a_snapshot_and_is_no_trouble_of_ours(lived):
    snapshots = Counting()
    keeper = keeper_of(log_of(lived), snapshots, 50)
    keeper.step()
    snapshots.fails_with = StorageFull("no room")
    work(keeper)
    assert (snapshots.seqs, keeper.trouble) == ([], "")


def test_what_fails_is_told_and_tried_again(lived):
    log, snapshots = log_of(lived, Head(0, half_of(lived), b"")), Counting()
    snapshots.fails_with = sqlite3.OperationalError("locked")
    keeper = keeper_of(log, snapshots, 50)
    assert not keeper.step()
    assert not keeper.step()
    assert keeper.trouble == "cannot load the last snapshot: OperationalError: locked"
    snapshots.fails_with = None
    assert keeper.step()
    assert keeper.trouble == ""
    snapshots.fails_with = sqlite3.OperationalError("locked")
    work(keeper)
    assert keeper.trouble == "cannot save a snapshot: OperationalError: locked"
    snapshots.fails_with = None
    log.head = lived[1]
    work(keeper, is_last=True)
    assert (saved(snapshots), keeper.trouble) == (lived[2], "")


def test_a_log_that_ends_early_is_told_until_it_is_whole(lived):
    _, head, states = lived
    log, snapshots = log_of(lived, Head(0, head.seq + 7, b"")), Counting()
    with pytest.raises(LogCorrupt, match=f"it was durable up to {head.seq + 7}"):
        list(log.rows())
    keeper = keeper_of(log, snapshots, 10**9)
    work(keeper)
    assert keeper.trouble.startswith("cannot read the log: LogCorrupt")
    log.head = head
    work(keeper, is_last=True)
    assert keeper.trouble == ""
    assert saved(snapshots) == states


def test_a_log_that_cannot_be_folded_ends_the_snapshots(lived):
    snapshots = Counting()
    early = Head(0, half_of(lived), b"")
    first = keeper_of(log_of(lived, early), snapshots, 10**9)
    work(first, is_last=True)
    seq, states = snapshots.load()
    empty = {name: state for name, state in states.items() if not name.startswith("ledger")}
    ledger = next(name for name in states if name.startswith("ledger"))
    fresh = keeper_of(log_of(lived), Counting(), 1)._memory.ledger.dump()
    snapshots.save(seq, {**empty, ledger: fresh})  # transfers between accounts that it lacks
    broken = keeper_of(log_of(lived), snapshots, 10**9)
    work(broken, is_last=True)
    assert broken.trouble.startswith("cannot fold the log: ")
    assert not broken.step(is_last=True)
    assert snapshots.load()[0] == seq, "the half-folded state is never saved"
