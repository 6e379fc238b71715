"""A worker process for test_withdrawal.py: reads commands, answers a line each."""

import sys
from pathlib import Path

import msgspec

from ringwork.consent.epochs import Epochs
from ringwork.consent.events import EVENTS
from ringwork.consent.grants import GrantAuthority
from ringwork.consent.ledger import ConsentLedger
from ringwork.kernel.clock import SystemClock
from ringwork.kernel.events import EventTypes
from ringwork.kernel.journal import appliers_of, replay
from ringwork.kernel.purpose import Grant, GrantRefused
from ringwork.storage.epoch_file import EpochFile
from ringwork.storage.sqlite.reader import SqliteLogReader

REQUEST = bytes(16)


class Worker:
    def __init__(self, data: Path, key: Path) -> None:
        clock = SystemClock()
        self.clock = clock
        self.file = EpochFile.read(data / "epochs")
        self.authority = GrantAuthority(key.read_bytes(), Epochs(self.file.view), clock)
        self.reader = SqliteLogReader(data / "log")
        self.ledger = ConsentLedger()

    def read(self, _: str) -> str:
        self.ledger.clear()
        replay(self.reader.rows(), EventTypes(EVENTS), appliers_of([self.ledger]))
        return "read"

    def _grant(self, subject: str) -> Grant | None:
        who = bytes.fromhex(subject)
        state = self.ledger.state(who, self.clock.wall_us())
        if "advertise" not in state.granted:
            return None
        return self.authority.grant(
            subject=who, purposes=("advertise",), services=("main",), epoch=state.epoch,
            request_id=REQUEST,
        )  # fmt: skip

    def ask(self, subject: str) -> str:
        return "no consent" if self._grant(subject) is None else "granted"

    def mint(self, subject: str) -> str:
        return msgspec.msgpack.encode(self._grant(subject)).hex()

    def verify(self, grant: str) -> str:
        made = msgspec.msgpack.decode(bytes.fromhex(grant), type=Grant)
        self.authority.verify(made, purpose="advertise", service="main", request_id=REQUEST)
        return "holds"


worker = Worker(Path(sys.argv[1]), Path(sys.argv[2]))
for line in sys.stdin:
    command, _, argument = line.strip().partition(" ")
    try:
        answer = getattr(worker, command)(argument)
    except GrantRefused as refused:
        answer = refused.reason
    print(answer, flush=True)
worker.authority = None
worker.file.close()
