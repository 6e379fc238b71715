"""Idempotency keys over a log that survives: the scenarios of the vectors, crash cases included."""

import asyncio
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.errors import Conflict, Refused, StorageFull
from ringwork.kernel.events import EventTypes, Idempotency
from ringwork.kernel.ids import IdGenerator
from ringwork.kernel.journal import Command, Journal
from ringwork.kernel.ledger import (
    AccountOpened,
    Ledger,
    Transfer,
    TransferCreated,
    TransferRefused,
)
from ringwork.storage.memory.log import MemoryEventLog
from ringwork.storage.memory.snapshots import MemorySnapshots
from ringwork.web.execute import Answer, CommandAnswered, Executor, Intent
from ringwork.web.idempotency import REMEMBERED_MAX, IdempotencyKeys, fingerprint
from ringwork.web.strict import decode

SCENARIOS = json.loads((Path(__file__).parents[1] / "vectors" / "idempotency.json").read_text())


class Move(msgspec.Struct, forbid_unknown_fields=True):
    kind: str
    amount: int


class Moved(msgspec.Struct):
    number: int


class Shop:
    """A purse of 100 and a command that spends from it; reopened on the same rows after a crash."""

    def __init__(self, rows=None) -> None:
        self.clock = ManualClock()
        self.rows = [] if rows is None else rows
        self.log = MemoryEventLog(clock=self.clock, rows=self.rows)
        self.ledger = Ledger()
        self.keys = IdempotencyKeys(lambda tenant, scope, key: None)
        self.journal = Journal(
            log=self.log,
            types=EventTypes([AccountOpened, TransferCreated, TransferRefused, CommandAnswered]),
            folds=[self.ledger],
            clock=self.clock,
            ids=IdGenerator(self.clock, SeededEntropy(len(self.rows))),
            snapshots=MemorySnapshots(),
            answers=self.keys,
        )
        self.journal.refold()
        self.execute = Executor(self.journal, self.keys, secret=b"s" * 32)
        self.decided = 0

    async def open(self) -> None:
        with self.journal.command(tenant="main", request_id=bytes(16)) as command:
            for name, limited in (("cash", False), ("purse", True)):
                self.ledger.open_account(command, id=name, currency="EUR", limited=limited)
            self.ledger.transfer(command, Transfer("fund", "single", "cash", "purse", 100, "EUR"))
            await command.commit()

    def intent(self, step: dict[str, object]) -> Intent:
        raw = step.get("raw")
        body = raw.encode() if isinstance(raw, str) else json.dumps(step.get("body")).encode()
        return Intent(
            tenant=step.get("tenant", "main"), request_id=b"r" * 16, method="POST",
            path=f"/v1/{step.get('path', 'moves')}", key=step["key"], body=body,
        )  # fmt: skip

    async def post(self, step: dict[str, object]) -> Answer:
        intent = self.intent(step)
        move = decode(intent.body, msgspec.json.Decoder(Move))

        def decide(command: Command) -> tuple[int, msgspec.Struct]:
            self.decided += 1
            transfer = Transfer(
                f"t{self.decided}.{len(self.rows)}", "single", "purse", "cash", move.amount, "EUR"
            )
            result = self.ledger.transfer(command, transfer)
            if result != "created":
                raise Conflict(result, "no")
            return 201, Moved(self.decided)

        return await self.execute(intent, decide, key_required=True)


async def outcome(shop: Shop, step: dict[str, object]) -> str | Answer:
    try:
        return await shop.post(step)
    except Refused as refused:
        return f"{refused.status} {refused.slug}"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["name"])
def test_scenario(scenario):
    async def play() -> None:
        shop = Shop()
        await shop.open()
        first: Answer | None = None
        held: asyncio.Task[Answer] | None = None
        for step in scenario["steps"]:
            expect = step["expect"]
            if step.get("crash"):
                shop = await crash(shop, step)
                first = None
                continue
            if step.get("hold"):
                held = asyncio.ensure_future(shop.post(step))
                await asyncio.sleep(0)  # decided, not durable yet
                continue
            if step.get("overload"):
                shop.log.capacity_bytes = 0
            got = await outcome(shop, step)
            if step.get("overload"):
                shop.log.capacity_bytes = None
                await asyncio.sleep(0)
                assert got == "503 storage-full"
            elif expect == "first":
                assert isinstance(got, Answer)
                assert (got.status, got.replayed) == (201, False)
                first = got
            elif expect.startswith("replay"):
                assert isinstance(got, Answer)
                assert got.replayed
                if first is not None:
                    assert (got.status, got.body) == (first.status, first.body)
            elif expect.startswith("409 insufficient"):
                assert isinstance(got, Answer)
                assert (got.status, got.replayed) == (409, False)
                first = got
            else:
                assert str(got) == " ".join(expect.split()[:2])
        if held is not None:
            assert (await held).status == 201

    asyncio.run(play())


async def crash(shop: Shop, step: dict[str, object]) -> Shop:
    """The process dies before or after the batch of ``step`` is durable; no answer gets out."""
    if step["crash"] == "before commit":
        pending = asyncio.ensure_future(shop.post(step))
        await asyncio.sleep(0)
        rows = list(shop.rows)  # the batch is decided, and the process is gone before it is stored
        pending.cancel()
    else:
        await shop.post(step)
        rows = shop.rows
    return Shop(rows)


def test_a_storage_failure_is_not_an_answer():
    async def play() -> None:
        shop = Shop()
        await shop.open()
        shop.log.capacity_bytes = 0
        step = {"key": "k", "body": {"kind": "single", "amount": 5}}
        with pytest.raises(StorageFull):
            await shop.post(step)
        assert shop.ledger.accounts["purse"].available_nanos == 100
        shop.log.capacity_bytes = None
        await asyncio.sleep(0)
        assert (await shop.post(step)).status == 201
        assert shop.ledger.accounts["purse"].available_nanos == 95

    asyncio.run(play())


def test_a_keyed_command_that_changes_nothing_is_remembered_too():
    async def play() -> None:
        shop = Shop()
        await shop.open()
        intent = shop.intent({"key": "k", "body": {"kind": "single", "amount": 1}})
        answer = await shop.execute(intent, lambda command: (200, Moved(0)))
        again = Shop(shop.rows)
        replayed = await again.execute(intent, lambda command: (201, Moved(9)))
        assert replayed == Answer(status=200, body=answer.body, replayed=True)

    asyncio.run(play())


def test_memory_forgets_the_oldest_and_asks_the_projection():
    kept = {("main", "POST /", "old"): Idempotency("main", "POST /", "old", b"f", 201, b"{}")}
    keys = IdempotencyKeys(lambda *scoped: kept.get(scoped))
    for number in range(REMEMBERED_MAX + 5):
        keys.remember(Idempotency("main", "POST /", f"k{number}", b"f", 201, b"{}"), 0)
    assert keys.first_answer(("main", "POST /", "k0")) is None
    assert keys.first_answer(("main", "POST /", "old")) is not None
    again = IdempotencyKeys(lambda *scoped: None)
    again.load(keys.dump())
    assert again.dump() == keys.dump()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(json_values)
def test_fingerprint_ignores_order_and_white_space(value):
    compact = json.dumps(value, separators=(",", ":")).encode()
    spaced = json.dumps(value, indent=2, sort_keys=True).encode()
    assert fingerprint(compact, b"s") == fingerprint(spaced, b"s")


def test_fingerprint_tells_other_bodies_apart():
    assert fingerprint(b'{"a":5}', b"s") == fingerprint(b'{"a":5.0}', b"s")
    assert fingerprint(b'{"a":5}', b"s") != fingerprint(b'{"a":"5"}', b"s")
    assert fingerprint(b'{"a":5}', b"s") != fingerprint(b'{"a":6}', b"s")
