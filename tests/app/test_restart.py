"""A restart finds what life left: from the snapshot, from the log alone, from both."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from ringwork.ads.model_events import EVENTS as MODEL_EVENTS
from ringwork.app.erasure import envelopes
from ringwork.app.memory import EVENTS, Memory
from ringwork.app.platform import Platform
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.journal import appliers_of, replay
from ringwork.world.payment_provider import SimulatedPaymentProvider
from tests.app.life import FAIR, live, move, opened, outside
from tests.app.logged import unbroken
from tests.app.served import EPOCH_US, Client, serve, until
from tests.app.subscribers import Network, selling, subscribe


def dumps(platform: Platform) -> dict[str, bytes]:
    """Everything that decisions read, and the answers to keys, as bytes."""
    return {fold.name: fold.dump() for fold in (*platform.memory.folds, platform.answers)}


@pytest.mark.parametrize("seed", range(3))
def test_a_restart_finds_the_state_that_life_left(tmp_path, seed):
    data, lived = tmp_path / "data", {}

    around = outside()
    provider = SimulatedPaymentProvider(lambda: clock.wall_us() // 1_000_000)
    around["settings"]["subscriptions"] = selling(tmp_path)
    around["network"] = Network(provider, around["network"])
    clock = ManualClock(EPOCH_US)

    async def scenario(client: Client) -> None:
        await live(client, Random(seed))
        await until(lambda: not client.app.platform.memory.awaiting.due())
        await subscribe(client, provider)
        await client.app.platform.journal.settled()
        lived.update(dumps(client.app.platform))

    serve(data, scenario, clock=clock, **around)
    again = opened(data)
    lived_through = {envelope.type for envelope, _ in envelopes(again.log.rows())}
    expected = {event.TYPE for event in EVENTS} - {event.TYPE for event in MODEL_EVENTS}
    assert lived_through >= expected, "or the test would prove less"
    assert again.snapshots.load()[0] == again.log.head.seq, "a clean stop leaves nothing to replay"
    assert dumps(again) == lived, "from the snapshot"
    again.close()

    (data / "snapshot.bin").unlink()
    again = opened(data)
    assert dumps(again) == lived, "from the log alone"
    again.close()

    memory = Memory()
    replay(again.reader.rows(), again.types, appliers_of(memory.folds))
    assert {fold.name: fold.dump() for fold in memory.folds}.items() <= lived.items()
    unbroken(data)


DIES = """
import os, signal, sys
from itertools import islice
from pathlib import Path
from ringwork.storage.snapshot_file import FileSnapshots
seq, states = FileSnapshots(Path(sys.argv[1])).read()
saving = FileSnapshots(Path(sys.argv[1]), piece_bytes=500).saving(seq + 10, states)
for _ in islice(saving, 5):
    pass
os.kill(os.getpid(), signal.SIGKILL)
"""


def die_while_saving(data: Path) -> None:
    """A process that is killed with half of a snapshot on disk."""
    died = subprocess.run([sys.executable, "-c", DIES, str(data)], check=False, timeout=60)
    assert died.returncode == -signal.SIGKILL
    (partial,) = data.glob("snapshot.bin.*.new")
    assert 0 < partial.stat().st_size < (data / "snapshot.bin").stat().st_size


@pytest.mark.parametrize("is_saving", [False, True])
def test_a_life_that_was_cut_off_goes_on_from_snapshot_and_log(tmp_path, is_saving):
    """The directory as a crash leaves it: an old snapshot, a log that is further.

    Also where the crash came while the next snapshot was being written.
    """
    data, crashed, lived = tmp_path / "data", tmp_path / "crashed", {}
    clock = ManualClock(EPOCH_US)

    async def first(client: Client) -> None:
        await live(client, Random(7))

    async def second(client: Client) -> None:
        for number in range(100, 140):
            await move(client, Random(number), number)
        await client.app.platform.indexed()
        lived.update(dumps(client.app.platform))
        shutil.copytree(data, crashed, ignore=shutil.ignore_patterns("admin.sock"))

    serve(data, first, clock=clock, settings={"fairness": FAIR})
    serve(data, second, clock=clock, seed=6, settings={"fairness": FAIR})
    if is_saving:
        die_while_saving(crashed)
    again = opened(crashed, seed=7)
    assert not list(crashed.glob("*.new"))
    assert 0 < again.snapshots.load()[0] < again.log.head.seq
    assert dumps(again) == lived
    again.close()
