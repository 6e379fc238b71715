"""Projections follow the log exactly once, through errors, restarts and new versions."""

import asyncio

import pytest
import sqlalchemy as sa

from ringwork.kernel.clock import ManualClock
from ringwork.kernel.errors import LogCorrupt, RingworkError
from ringwork.kernel.events import (
    Event,
    EventTypes,
    Idempotency,
    UnknownEvent,
    encode_event,
    encode_frame,
)
from ringwork.storage.memory import MemoryEventLog
from ringwork.storage.sqlite.projections import ProjectionRunner
from ringwork.storage.sqlite.state import open_state
from tests.storage.disks import open_log


class Counted(Event, frozen=True, array_like=True):
    TYPE = "counted"
    number: int


class Ignored(Event, frozen=True, array_like=True):
    TYPE = "ignored"
    text: str = ""


TYPES = EventTypes([Counted, Ignored])


class Numbers:
    """A table of the numbers it heard; fails on request."""

    version = 1
    hears: tuple[type[Event], ...] | None = (Counted,)
    fails_at: int | None = None

    def __init__(self, name: str = "numbers") -> None:
        self.name = name
        self.batches: list[int] = []

    def apply(self, connection, events):
        self.batches.append(len(events))
        for recorded in events:
            if recorded.payload.number == self.fails_at:
                raise ValueError("a bug in a projection")
            values = {"seq": recorded.seq, "number": recorded.payload.number}
            connection.execute(sa.text(f"INSERT INTO {self.name} VALUES (:seq, :number)"), values)

    def clear(self, connection):
        connection.execute(sa.text(f"DROP TABLE IF EXISTS {self.name}"))
        table = f"CREATE TABLE {self.name}(seq INTEGER PRIMARY KEY, number INTEGER)"
        connection.execute(sa.text(table))


class Index(Numbers):
    """Every event, undecoded, and the answers."""

    hears = None

    def __init__(self) -> None:
        super().__init__("index")
        self.seen = []
        self.answers = []

    def apply(self, connection, events):
        self.seen += [(recorded.seq, recorded.request_id, recorded.payload) for recorded in events]

    def clear(self, connection):
        self.seen, self.answers = [], []

    def remember(self, connection, answers):
        self.answers += answers


def frame(*events: Event, key: str | None = None) -> tuple[bytes, int]:
    answer = None if key is None else Idempotency("main", "POST /x", key, bytes(32), 201, b"{}")
    encoded = [
        encode_event(e, id=bytes(16), ts_us=77, request_id=b"r" * 16, cause_id=None, tenant="main")
        for e in events
    ]
    return encode_frame(encoded, answer), len(encoded)


def append(log, *frames: tuple[bytes, int]) -> None:
    async def all_of_them():
        await asyncio.gather(*(log.append(*one) for one in frames))

    asyncio.run(all_of_them())


def stored(state, table="numbers"):
    with state.reader.begin() as connection:
        query = sa.text(f"SELECT number FROM {table} ORDER BY seq")
        return connection.execute(query).scalars().all()


async def until(is_true):
    for _ in range(10_000):
        if is_true():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never came true")


@pytest.fixture
def log():
    return MemoryEventLog(clock=ManualClock())


@pytest.fixture
def state(tmp_path):
    state = open_state(tmp_path / "state.db")
    yield state
    state.close()


def test_a_projection_hears_its_types_in_order(log, state):
    append(log, frame(Counted(1), Ignored(), Counted(2)), frame(Ignored()), frame(Counted(3)))
    runner = ProjectionRunner(log, state, TYPES, [Numbers()])
    assert (runner.seq, runner.lag) == (0, 5)
    assert runner.catch_up() == 5
    assert stored(state) == [1, 2, 3]
    assert (runner.seq, runner.lag, runner.troubles) == (5, 0, {})


def test_every_event_is_applied_once_across_restarts(log, state):
    for first in range(0, 50, 5):
        append(log, *(frame(Counted(first + n)) for n in range(5)))
        ProjectionRunner(log, state, TYPES, [Numbers()]).catch_up()
    assert stored(state) == list(range(50))


def test_batches_are_bounded(log, state):
    append(log, *(frame(*(Counted(n) for n in range(1000))) for _ in range(10)))
    numbers = Numbers()
    numbers.apply = lambda connection, events: numbers.batches.append(len(events))
    ProjectionRunner(log, state, TYPES, [numbers]).catch_up()
    assert numbers.batches == [4000, 4000, 2000]


def test_one_may_hear_everything_undecoded_and_the_answers(log, state):
    append(log, frame(Counted(1)), frame(Ignored(), Ignored(), key="k"))
    index = Index()
    ProjectionRunner(log, state, EventTypes(), [index]).catch_up()
    nothing = UnknownEvent(b"")
    assert index.seen == [(seq, b"r" * 16, nothing) for seq in (1, 2, 3)]
    assert [(answer.key, ts_us) for answer, ts_us in index.answers] == [("k", 77)]


def test_a_failing_projection_stops_alone_and_skips_nothing(log, state):
    append(log, frame(Counted(1)))
    bad, good = Numbers("bad"), Numbers("good")
    runner = ProjectionRunner(log, state, TYPES, [bad, good])
    runner.catch_up()
    bad.fails_at = 3
    append(log, frame(Counted(2)), frame(Counted(3)), frame(Counted(4)))
    with pytest.raises(RingworkError, match="bad stopped at sequence 1: ValueError: a bug"):
        runner.catch_up()
    assert (stored(state, "bad"), stored(state, "good")) == ([1], [1, 2, 3, 4])
    assert (runner.seq, runner.lag) == (1, 3)
    assert runner.troubles == {"bad": "ValueError: a bug in a projection"}
    bad.fails_at = None
    ProjectionRunner(log, state, TYPES, [bad, good]).catch_up()
    assert stored(state, "bad") == [1, 2, 3, 4]


def test_an_undecodable_event_stops_those_who_hear_it(log, state):
    class Wrong(Event, frozen=True, array_like=True):
        TYPE = "counted"
        number: str

    append(log, frame(Wrong("one")), frame(Ignored()))
    runner = ProjectionRunner(log, state, TYPES, [Numbers(), Index()])
    with pytest.raises(RingworkError, match="UndecodableEvent"):
        runner.catch_up()
    assert list(runner.troubles) == ["numbers"]


def test_a_new_version_is_rebuilt_without_holding_up_the_others(log, state):
    append(log, frame(Counted(1)), frame(Counted(2)))
    ProjectionRunner(log, state, TYPES, [Numbers(), Numbers("other")]).catch_up()
    newer, other = Numbers(), Numbers("other")
    newer.version = 2
    runner = ProjectionRunner(log, state, TYPES, [newer, other])
    assert (stored(state), stored(state, "other")) == ([], [1, 2])
    runner.catch_up()
    assert (stored(state), stored(state, "other")) == ([1, 2], [1, 2])
    assert other.batches == []


def test_a_log_that_ends_before_a_checkpoint_is_corrupt(log, state):
    append(log, frame(Counted(1)), frame(Counted(2)))
    ProjectionRunner(log, state, TYPES, [Numbers()]).catch_up()
    shorter = MemoryEventLog(clock=ManualClock())
    append(shorter, frame(Counted(1)))
    with pytest.raises(LogCorrupt, match="the log ends at 1, before this checkpoint"):
        ProjectionRunner(shorter, state, TYPES, [Numbers()])


def test_trouble_of_the_store_moves_nobody_and_passes(log, state):
    append(log, frame(Counted(1)))
    numbers = Numbers()
    runner = ProjectionRunner(log, state, TYPES, [numbers])
    with state.writer.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE numbers RENAME TO hidden")
    with pytest.raises(sa.exc.OperationalError):
        runner.catch_up()
    assert runner.seq == 0
    with state.writer.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE hidden RENAME TO numbers")
    assert runner.catch_up() == 1
    assert stored(state) == [1]


def test_nothing_to_project_is_never_behind(log, state):
    append(log, frame(Counted(1)))
    runner = ProjectionRunner(log, state, TYPES, [])
    assert (runner.catch_up(), runner.lag) == (1, 0)


def test_the_thread_follows_a_log_on_disk(state, tmp_path):
    log = open_log(tmp_path / "log")
    runner = ProjectionRunner(log, state, TYPES, [Numbers()])
    runner.start()

    async def scenario():
        for number in range(20):
            await log.append(*frame(Counted(number)))
            runner.notify()
        await asyncio.wait_for(runner.caught_up(20), 30)
        await runner.caught_up(5)

    asyncio.run(scenario())
    assert stored(state) == list(range(20))
    runner.close()
    log.close()


def test_who_waits_for_a_stopped_projection_is_told(state, log):
    numbers = Numbers()
    numbers.fails_at = 1
    runner = ProjectionRunner(log, state, TYPES, [numbers])
    runner.start()

    async def scenario():
        waiting = asyncio.create_task(runner.caught_up(1))
        await asyncio.sleep(0)
        await log.append(*frame(Counted(1)))
        runner.notify()
        with pytest.raises(RingworkError, match="numbers stopped at sequence 0"):
            await asyncio.wait_for(waiting, 30)
        with pytest.raises(RingworkError, match="numbers stopped at sequence 0"):
            await runner.caught_up(1)

    asyncio.run(scenario())
    runner.close()


def test_the_thread_reports_what_it_cannot_do_and_tries_again(state, log):
    class Unreadable:
        partition = 0
        broken = True
        tries = 0

        @property
        def head(self):
            return log.head

        def rows(self, after_seq=0):
            self.tries += 1
            if self.broken:
                raise LogCorrupt("p0", 1, "a readable row was expected")
            return log.rows(after_seq)

    async def scenario():
        await log.append(*frame(Counted(1)))
        runner.start()
        runner.notify()
        waiting = asyncio.create_task(runner.caught_up(1))
        await until(lambda: "runner" in runner.troubles)
        tries = reader.tries
        runner.notify()
        await until(lambda: reader.tries > tries)
        assert runner.troubles["runner"].startswith("LogCorrupt: p0: at sequence 1")
        reader.broken = False
        runner.notify()
        await asyncio.wait_for(waiting, 30)
        await until(lambda: not runner.troubles)

    reader = Unreadable()
    runner = ProjectionRunner(reader, state, TYPES, [Numbers()])
    asyncio.run(scenario())
    assert stored(state) == [1]
    runner.close()


def test_a_checkpoint_within_a_row_skips_what_was_applied(log, state):
    append(log, frame(Counted(1)), frame(Counted(2)), frame(Counted(3)))
    assert [row.count for row in log.rows()] == [3]
    ProjectionRunner(log, state, TYPES, [Numbers()])
    with state.writer.begin() as connection:
        connection.exec_driver_sql("UPDATE checkpoints SET seq = 2")
    ProjectionRunner(log, state, TYPES, [Numbers()]).catch_up()
    assert stored(state) == [3]


def test_a_batch_without_anything_heard_moves_the_checkpoint_alone(log, state):
    append(log, frame(Ignored()))
    numbers = Numbers()
    assert ProjectionRunner(log, state, TYPES, [numbers]).catch_up() == 1
    assert numbers.batches == []


def test_who_stops_waiting_is_forgotten(log, state):
    runner = ProjectionRunner(log, state, TYPES, [Numbers()])

    async def scenario():
        waiting = asyncio.create_task(runner.caught_up(1))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        await log.append(*frame(Counted(1)))
        assert runner.catch_up() == 1
        await asyncio.sleep(0)

    asyncio.run(scenario())


def test_everybody_waits_for_their_own_sequence(state, log):
    runner = ProjectionRunner(log, state, TYPES, [Numbers()])

    async def scenario():
        first, second = (asyncio.create_task(runner.caught_up(seq)) for seq in (1, 2))
        await asyncio.sleep(0)
        await log.append(*frame(Counted(1)))
        runner.catch_up()
        await first
        assert not second.done()
        await log.append(*frame(Counted(2)))
        runner.catch_up()
        await second

    asyncio.run(scenario())
    runner.close()


def test_projections_of_one_type_share_its_decoding(log, state):
    append(log, frame(Counted(1)))
    seen = []
    for name in ("one", "two"):
        numbers = Numbers(name)
        numbers.apply = lambda connection, events: seen.extend(events)
        ProjectionRunner(log, state, TYPES, [numbers]).catch_up()
    both = [Numbers("three"), Numbers("four")]
    for numbers in both:
        numbers.apply = lambda connection, events: seen.extend(events)
    ProjectionRunner(log, state, TYPES, both).catch_up()
    assert len(seen) == 4
    assert seen[2] is seen[3]


def test_waiters_of_a_closed_loop_are_forgotten(state, log):
    runner = ProjectionRunner(log, state, TYPES, [Numbers()])

    async def leave():
        waiting = asyncio.create_task(runner.caught_up(1))
        await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(leave())
    append(log, frame(Counted(1)))
    assert runner.catch_up() == 1


def test_two_runners_on_one_store_apply_every_event_once(log, state):
    """As when a server was killed and its follower has not noticed yet."""
    first = ProjectionRunner(log, state, TYPES, [Numbers(), Index()])
    second = ProjectionRunner(log, state, TYPES, [Numbers(), Index()])
    for number in range(4):
        append(log, frame(Counted(number)))
        runners = (first, second) if number % 2 else (second, first)
        assert [runner.catch_up() for runner in runners] == [number + 1] * 2
    append(log, frame(Counted(4)))
    assert second.catch_up() == 5
    append(log, frame(Counted(5)))
    assert first.catch_up() == 6, "it goes on from where the other one is"
    assert stored(state) == [0, 1, 2, 3, 4, 5]


def test_a_projection_that_a_newer_version_took_over_stops(log, state):
    append(log, frame(Counted(1)))
    old = ProjectionRunner(log, state, TYPES, [Numbers()])
    newer = Numbers()
    newer.version = 2
    ProjectionRunner(log, state, TYPES, [newer]).catch_up()
    while old.advance():
        pass
    assert old.troubles == {"numbers": "version 1 was replaced by 2"}
    with pytest.raises(RingworkError, match="numbers stopped at sequence 0: version 1"):
        old.catch_up()
    assert stored(state) == [1]
