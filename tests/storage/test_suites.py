"""The public suites notice adapters that break their promises."""

import asyncio

import pytest

from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy
from ringwork.storage.memory import MemoryEventLog, MemoryKeyStore, MemorySnapshots
from ringwork.testing import check_event_log, check_keystore, check_snapshots
from ringwork.testing.raises import raises
from tests.storage.disks import MemoryHarness


class AcknowledgesEarly(MemoryEventLog):
    def append(self, frame, events):
        super().append(frame, events)
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


class ForgetsItsBounds(MemoryEventLog):
    def admit(self):
        pass


class FutureForEach(MemoryEventLog):
    def append(self, frame, events):
        return asyncio.ensure_future(asyncio.wait_for(super().append(frame, events), None))


class LosesTheTail(MemoryEventLog):
    def rows(self, after_seq=0):
        return iter(list(super().rows(after_seq))[:-1])


class CancellableBatch(MemoryEventLog):
    def append(self, frame, events):
        future = super().append(frame, events)
        assert self._open is not None
        if not hasattr(self, "plain") or self.plain.done():
            self.plain = asyncio.get_running_loop().create_future()
            self._open.future = self.plain
        return self._open.future if future is not None else future


class CountsAtCommit(MemoryEventLog):
    @property
    def next_seq(self):
        return self.head.seq + 1


class KeepsNumbersOfAFailedBatch(MemoryEventLog):
    def _store(self):
        before = self._next_seq
        super()._store()
        self._next_seq = before


BROKEN_LOGS = [
    AcknowledgesEarly,
    ForgetsItsBounds,
    FutureForEach,
    LosesTheTail,
    CancellableBatch,
    CountsAtCommit,
    KeepsNumbersOfAFailedBatch,
]


@pytest.mark.parametrize("broken", BROKEN_LOGS)
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_a_broken_log_is_noticed(broken, tmp_path):
    class Harness(MemoryHarness):
        def open(self):
            return broken(clock=ManualClock(), rows=self.rows)

    with pytest.raises((AssertionError, asyncio.CancelledError)):
        check_event_log(lambda: Harness(tmp_path))


class Plain(MemoryKeyStore):
    def seal(self, subject, plain, *, context):
        return plain


class KeepsKeys(MemoryKeyStore):
    def erase(self, subject):
        return 1 if self.holds(subject) else 0


class IgnoresContext(MemoryKeyStore):
    def seal(self, subject, plain, *, context):
        return super().seal(subject, plain, context=b"")

    def unseal(self, subject, sealed, *, context):
        return super().unseal(subject, sealed, context=b"")


@pytest.mark.parametrize("broken", [Plain, KeepsKeys, IgnoresContext])
def test_a_broken_key_store_is_noticed(broken):
    with pytest.raises(AssertionError):
        check_keystore(lambda: broken(entropy=SeededEntropy(1)))


def test_snapshots_that_mix_are_noticed():
    class Mixes(MemorySnapshots):
        def saving(self, seq, states):
            return super().saving(seq, {**self.load()[1], **states})

    with pytest.raises(AssertionError):
        check_snapshots(Mixes)


def test_raises_wants_an_error():
    with pytest.raises(AssertionError, match="KeyError was expected"), raises(KeyError):
        pass
    with pytest.raises(ValueError, match="other"), raises(KeyError):
        raise ValueError("other")
