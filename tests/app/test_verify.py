"""``verify`` on whole directories: what holds is counted, what was broken is found and named."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ringwork.ads.events import AuctionCleared, ImpressionBilled
from ringwork.ads.model import Context
from ringwork.app.verify import VERIFICATION, check_all, keep
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.events import Event, Idempotency, encode_event, encode_frame
from ringwork.kernel.ids import IdGenerator
from ringwork.kernel.ledger import AccountOpened, TransferCreated, TransferExpired
from ringwork.storage.snapshot_file import FileSnapshots
from ringwork.storage.sqlite.log import SqliteEventLog
from ringwork.testing.invariants import Promise
from tests.app.served import EPOCH_US, Client, serve
from tests.crash.shop import BID_REQUEST

NAMES = [f"I{number}" for number in range(1, 10)]


async def afternoon(client: Client) -> None:
    """Sales with their beacons, a hold that is still open, somebody who was erased."""
    await client.stock()
    for number in range(4):
        sold = await client.outside.post("/openrtb2/auction", json=BID_REQUEST)
        bid = sold.json()["seatbid"][0]["bid"][0]
        if number < 3:
            assert (await client.outside.get(bid["burl"])).status_code == 204
    contact = {"id": "b", "name": "B", "domain": "b.example", "currency": "EUR", "contact": "Ada"}
    assert (await client.admin.post("/v1/advertisers", json=contact)).status_code == 201
    erased = await client.admin.post("/v1/erasures", json={"subject": "advertiser/b"})
    assert erased.status_code == 201


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("lived") / "data"
    serve(data, afternoon)
    return data


@pytest.fixture
def data(lived: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(lived, tmp_path / "data"))


def check(data: Path) -> dict[str, Promise]:
    found = check_all(data, lambda what, events: None)
    assert [one.name for one in found] == NAMES
    return {one.name: one for one in found}


def broken(data: Path) -> dict[str, list[str]]:
    return {name: one.detail for name, one in check(data).items() if one.violations}


def test_a_sound_directory_keeps_every_promise_and_says_how_much_was_checked(lived):
    told: list[str] = []
    found = {one.name: one for one in check_all(lived, lambda what, events: told.append(what))}
    assert [one.detail for one in found.values() if one.violations] == []
    checked = {name: one.checked for name, one in found.items()}
    assert checked["I1"] > 25
    assert checked["I2"] == 7, "the commands of the stock had keys"
    assert checked["I3"] == 42, "21 folds against the snapshot, and 21 against each other"
    assert checked["I4"] == 2 + 6, "two phases of one currency, six accounts"
    assert checked["I5"] > 7
    assert checked["I6"] == 4
    assert checked["I7"] == 2, "a member, and the history of who was erased"
    assert checked["I8"] == 3
    assert checked["I9"] == 0
    assert set(told) == {"reading the log", "folding again"}


def test_a_living_directory_is_verified_beside_its_server(tmp_path):
    data = tmp_path / "data"

    async def scenario(client: Client) -> None:
        await afternoon(client)
        await client.app.platform.indexed()
        first = check(data)["I1"].checked
        assert broken(data) == {}
        await client.key("viewer")
        await client.app.platform.journal.settled()
        assert check(data)["I1"].checked == first + 1

    serve(data, scenario)


def test_a_log_alone_is_verified_too(data):
    """What a salvage leaves: the state is built from it at the next start."""
    for path in data.iterdir():
        if path.name != "log":
            path.unlink()
    found = check(data)
    assert broken(data) == {}
    assert found["I3"].checked == 21


def test_a_snapshot_of_another_version_is_not_compared(data):
    resave(data, lambda states: {"ledger/0": states.pop("ledger/1"), **states})
    assert broken(data) == {}
    assert check(data)["I3"].checked == 41


def resave(data: Path, change: Callable[[dict[str, bytes]], dict[str, bytes]]) -> None:
    snapshots = FileSnapshots(data)
    seq, states = snapshots.read()
    snapshots.save(seq, change(states))


def change(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as database:
        assert database.execute(statement).rowcount > 0
    database.close()


# ---- a directory that was tampered with ---------------------------------------------------------


def test_a_changed_byte_breaks_i1_with_its_file_and_sequence(data):
    (file,) = (data / "log").glob("p0-*.db")
    change(file, "UPDATE frames SET payload = zeroblob(9) WHERE first_seq = 3")
    (detail,) = broken(data)["I1"]
    assert detail.startswith(f"{file.name}: at sequence 3: ")


def test_a_missing_end_breaks_i1(data):
    (file,) = (data / "log").glob("p0-*.db")
    change(file, "DELETE FROM frames WHERE first_seq = (SELECT max(first_seq) FROM frames)")
    (detail,) = broken(data)["I1"]
    assert "it was anchored at" in detail


def test_a_changed_snapshot_breaks_i3_with_its_fold(data):
    resave(data, lambda states: {**states, "ledger/1": b"\x81"})
    (detail,) = broken(data)["I3"]
    assert detail.startswith("ledger: replay gives another state than the snapshot at ")


def test_a_snapshot_that_is_not_what_was_written_breaks_i3(data):
    whole = (data / "snapshot.bin").read_bytes()
    (data / "snapshot.bin").write_bytes(whole[:-9])
    (detail,) = broken(data)["I3"]
    assert detail.startswith("snapshot.bin: at sequence 0: a snapshot was expected (")
    assert check(data)["I3"].checked == 1 + 21, "the folds are still held against each other"


# ---- a platform that would break its promises ---------------------------------------------------

HOLD = "00000000-0000-7000-8000-000000000001"


def hold(nanos: int, id: str = HOLD) -> TransferCreated:
    return TransferCreated(id, "pending", "campaign/c", "publisher/pub", nanos, "EUR", "", 60)


BILLED = ImpressionBilled(bytes(16), "c", "c.a", "pub", "", "cpm", 5, "EUR")
NOBODY = AuctionCleared("openrtb", "EUR", Context(), [], {})

BREACHES = {
    "one key, two effects": (
        [AccountOpened("x", "EUR", False), AccountOpened("y", "EUR", False)], {"key": "k"},
        "I2", "key 'k' of POST /v1/x has a second effect",
    ),
    "money released twice": (
        [hold(5), TransferExpired(HOLD), TransferExpired(HOLD)], {},
        "I4", "account campaign/c: the totals do not follow from the log",
    ),
    "more than the budget": (
        [hold(2 * 10**10)], {},
        "I5", "campaign/c is 10001200000 nanos overspent",
    ),
    "more than the day's cap": (
        [hold(2 * 10**9)], {},
        "I5", "campaign/c spends",
    ),
    "a person in an auction": (
        [NOBODY], {"subject": bytes(16)},
        "I6", "names a person",
    ),
    "a bill without a sale": (
        [BILLED], {},
        "I8", "is billed but was never sold",
    ),
    "money of nobody": (
        [TransferCreated("t", "single", "nobody", "cash", 5, "EUR")], {},
        "I4", "transfer t is between accounts that were never opened",
    ),
    "what no state follows from": (
        [TransferCreated("t", "single", "nobody", "cash", 5, "EUR")], {},
        "I3", "the log cannot be folded: KeyError('nobody')",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("events", "how", "name", "told"), BREACHES.values(), ids=BREACHES)
def test_what_a_broken_platform_wrote_is_found(data, events, how, name, told):
    assert name not in broken(data)
    record(data, *events, **how)
    details = broken(data)[name]
    assert any(told in detail for detail in details), details


def record(data: Path, *events: Event, key: str = "", **envelope: object) -> None:
    """Write to the log past every rule, as a mistake of ours would: what follows it is unknown."""
    clock = ManualClock(EPOCH_US)
    log = SqliteEventLog.open(data / "log", clock=clock, entropy=SeededEntropy(8))
    keyed = Idempotency("main", "POST /v1/x", key, bytes(32), 201, b"{}") if key else None
    ids = IdGenerator(clock, SeededEntropy(9))

    async def write() -> None:
        for event in events:
            encoded = encode_event(
                event, id=ids.new(), ts_us=EPOCH_US, request_id=ids.new(), cause_id=None,
                tenant="main", **envelope,
            )  # fmt: skip
            await log.append(encode_frame([encoded], keyed), 1)

    asyncio.run(write())
    log.close()


# ---- kept for the console -----------------------------------------------------------------------


def test_the_result_is_kept_with_its_time(data):
    promises = list(check(data).values())
    promises[1].violations = 2
    keep(data, promises, took_s=1.23456, ts_us=5)
    kept = msgspec.json.decode((data / VERIFICATION).read_bytes())
    assert (kept["ts_us"], kept["took_s"]) == (5, 1.235)
    assert [one["id"] for one in kept["promises"]] == NAMES
    assert [one["violations"] for one in kept["promises"]] == [0, 2, *[0] * 7]
    assert not list(data.glob("*.new"))
