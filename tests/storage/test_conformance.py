"""Key stores, snapshots and the ledger pass their public suites."""

from pathlib import Path

import pytest

from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.events import Event, Recorded
from ringwork.kernel.ledger import TOTALS, Ledger, Transfer
from ringwork.storage.memory import MemoryKeyStore, MemorySnapshots
from ringwork.storage.snapshot_file import FileSnapshots
from ringwork.storage.sqlite.keys import SqliteKeyStore
from ringwork.testing import (
    KEYSTORE_CHECKS,
    SNAPSHOTS_CHECKS,
    check_event_log,
    check_keystore,
    check_ledger,
    check_snapshots,
    compare_with_oracle,
    decode_scenarios,
    play_scenario,
)
from tests.storage.disks import MemoryHarness

SCENARIOS = decode_scenarios((Path(__file__).parents[1] / "vectors" / "ledger.json").read_bytes())


@pytest.mark.parametrize("check", KEYSTORE_CHECKS, ids=lambda check: check.__name__)
def test_key_store_in_memory(check):
    check(MemoryKeyStore(entropy=SeededEntropy(1)))


@pytest.mark.parametrize("check", KEYSTORE_CHECKS, ids=lambda check: check.__name__)
def test_key_store_on_sqlite(check, tmp_path):
    store = SqliteKeyStore.open(tmp_path / "keys.db", tmp_path / "kek", entropy=SeededEntropy(1))
    check(store)
    store.close()


@pytest.mark.parametrize("check", SNAPSHOTS_CHECKS, ids=lambda check: check.__name__)
def test_snapshots_in_memory(check):
    check(MemorySnapshots())


@pytest.mark.parametrize("check", SNAPSHOTS_CHECKS, ids=lambda check: check.__name__)
def test_snapshots_in_a_file(check, tmp_path):
    check(FileSnapshots(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} <= {"snapshot.bin"}


class KernelLedger:
    """The kernel's ledger as the suite drives it, without a log underneath."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.now_s = self.seq = 0

    def record(self, event: Event) -> bytes:
        self.seq += 1
        at = self.now_s * 1_000_000
        self.ledger.apply(Recorded(0, self.seq, b"", at, b"", None, "main", None, None, event))
        return b""

    def open_account(self, id: str, currency: str, *, limited: bool) -> str:
        return self.ledger.open_account(self, id=id, currency=currency, limited=limited)

    def transfer(self, now_s: int, transfer: Transfer) -> str:
        self.now_s = now_s
        self.ledger.expire_due(self)
        return self.ledger.transfer(self, transfer)

    def totals(self, account: str) -> dict[str, int]:
        return {total: getattr(self.ledger.accounts[account], total) for total in TOTALS}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_ledger_plays_the_published_scenarios(scenario):
    play_scenario(KernelLedger(), scenario)


@pytest.mark.parametrize("seed", range(60))
def test_ledger_agrees_with_the_oracle(seed):
    compare_with_oracle(KernelLedger(), seed)


def test_whole_suites_run_from_one_call():
    check_event_log(lambda: MemoryHarness(Path()))
    check_keystore(lambda: MemoryKeyStore(entropy=SeededEntropy(1)))
    check_snapshots(MemorySnapshots)
    played = check_ledger(KernelLedger, SCENARIOS, seeds=range(2))
    assert played == {"scenarios": 38, "seeds": 2}


def test_the_ledger_suite_notices_a_wrong_ledger():
    class Generous(KernelLedger):
        def transfer(self, now_s: int, transfer: Transfer) -> str:
            result = super().transfer(now_s, transfer)
            return "created" if result == "insufficient-funds" else result

    with pytest.raises(AssertionError, match=r"seed 0, command \d+"):
        compare_with_oracle(Generous(), 0)
