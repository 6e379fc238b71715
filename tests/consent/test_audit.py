"""A whole ledger is checked from its log: what was changed behind its back is found and named."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from ringwork.app.secrets import FILE_NAME, read
from ringwork.cli.main import run
from ringwork.consent.audit import audit
from ringwork.consent.events import EVENTS, ConsentDaySealed, ConsentRecorded
from ringwork.consent.merkle import digest, link
from ringwork.consent.signing import Signer
from ringwork.kernel.events import Envelope, Event, decode_frames
from ringwork.kernel.ports import Row
from ringwork.storage.chain import link as log_link
from ringwork.storage.sqlite.reader import SqliteLogReader
from tests.app.served import Client, serve
from tests.consent.test_ledger_http import DAY_US, NOTICE, body, get, post

TYPES = {one.TYPE: one for one in EVENTS}
Change = Callable[[Envelope, Event], Event | None]


async def three_days(client: Client) -> None:
    """Eight records of two people, two days sealed, two records of the third."""
    for day in range(3):
        for number in range(3 if day < 2 else 2):
            action = "withdraw" if number == 2 else "grant"
            await post(client, body(action, "measure", person=f"p{number % 2}", asked=False))
        client.clock.advance_us(DAY_US if day < 2 else 0)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("ledger") / "data"
    serve(data, three_days)
    return data


@pytest.fixture
def rows(lived: Path) -> list[Row]:
    return list(SqliteLogReader(lived / "log").rows())


def signer(data: Path) -> Signer:
    return Signer(read(data / FILE_NAME).consent)


def changed(rows: Iterable[Row], change: Change) -> list[Row]:
    """The rows as somebody who can write the log leaves them; None takes an event out."""

    def one(envelope: Envelope) -> Envelope | None:
        if envelope.type not in TYPES:
            return envelope
        event = msgspec.msgpack.decode(envelope.payload, type=TYPES[envelope.type])
        wanted = change(envelope, event)
        if wanted is None:
            return None
        return replace(envelope, payload=msgspec.Raw(msgspec.msgpack.encode(wanted)))

    found = []
    for row in rows:
        frames = [
            replace(frame, events=[new for old in frame.events if (new := one(old)) is not None])
            for frame in decode_frames(row.payload)
        ]
        found.append(replace(row, payload=msgspec.msgpack.encode(frames)))
    return found


def test_a_sound_ledger_holds_and_says_how_much_was_checked(lived, rows):
    found = audit(rows, signer(lived).public)
    assert (found.violations, found.details) == (0, [])
    assert (found.records, found.people, found.days, found.open_records) == (8, 2, 2, 2)
    assert found.steps == {"grant": 1.0, "withdraw": 1.0}
    assert audit(changed(rows, lambda envelope, event: event), signer(lived).public) == found


def of(number: int, /, **members: object) -> Change:
    """Change the members of p0's record with that number."""
    first: list[bytes | None] = []

    def change(envelope: Envelope, event: Event) -> Event:
        if isinstance(event, ConsentRecorded):
            first.append(envelope.subject)
            if envelope.subject == first[0] and event.number == number:
                return replace(event, **members)
        return event

    return change


def forge(number: int, /, **members: object) -> Change:
    """The same by somebody who knows how: every later hash of the person is made again."""
    heads: dict[bytes, bytes] = {}
    alter = of(number, **members)

    def change(envelope: Envelope, event: Event) -> Event:
        event = alter(envelope, event)
        if isinstance(event, ConsentRecorded):
            event = replace(event, prev_hash=heads.get(envelope.subject, bytes(32)))
            hash_ = link(event.prev_hash, digest(envelope.subject, envelope.ts_us, event))
            event = replace(event, hash=hash_)
            heads[envelope.subject] = hash_
        return event

    return change


def without(wanted: Callable[[Envelope, Event], bool]) -> Change:
    return lambda envelope, event: None if wanted(envelope, event) else event


def sealed(nth: int, /, **members: object) -> Change:
    seen: list[int] = []

    def change(envelope: Envelope, event: Event) -> Event:
        if isinstance(event, ConsentDaySealed):
            seen.append(event.day)
            if len(seen) == nth:
                return replace(event, **members)
        return event

    return change


def nth_seal_gone(day: int) -> Change:
    seen: list[int] = []

    def is_it(envelope: Envelope, event: Event) -> bool:
        if not isinstance(event, ConsentDaySealed):
            return False
        seen.append(event.day)
        return len(seen) == day

    return without(is_it)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (of(2, action="grant"), "record 2 was changed"),
        (of(1, purposes=("advertise",)), "record 1 was changed"),
        (of(1, notice="b" * 64), "record 1 was changed"),
        (of(1, steps=7), "record 1 was changed"),
        (of(1, services=(("a", "b"),)), "record 1 was changed"),
        (of(3, number=4), "record 3 was expected, 4 came"),
        (of(3, prev_hash=bytes(32)), "record 3 is not chained"),
        (forge(2, action="grant"), "the root is another"),
        (forge(1, steps=9), "the root is another"),
        (without(lambda envelope, event: getattr(event, "number", 0) == 2), "was expected"),
        (without(lambda envelope, event: isinstance(event, ConsentRecorded)), "records are missing"),
        (nth_seal_gone(1), "ended without a seal"),
        (nth_seal_gone(2), "ended without a seal"),
        (sealed(1, count=2), "records are missing"),
        (sealed(1, root=bytes(32)), "the root is another"),
        (sealed(2, previous=bytes(32)), "a day was left out"),
        (sealed(2, signature=bytes(64)), "not signed by the key"),
        (sealed(2, key_id="0" * 16), "not signed by the key"),
        (sealed(1, day=1), "was expected"),
    ],
)  # fmt: skip
def test_every_planted_change_is_found(lived, rows, change, said):
    found = audit(changed(rows, change), signer(lived).public)
    assert found.violations > 0
    assert any(said in detail for detail in found.details), found.details


def test_who_has_another_key_finds_every_day(lived, rows):
    found = audit(rows, Signer(bytes(32)).public)
    assert found.violations == 2


# ---- the command line ---------------------------------------------------------------------------


def call(capsys: pytest.CaptureFixture[str], *tokens: str) -> tuple[int, str]:
    capsys.readouterr()
    code = run(["consent", "ledger", *tokens])
    out, err = capsys.readouterr()
    return code, out + err


@pytest.fixture
def data(lived: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(lived, tmp_path / "data"))


def test_the_command_line_verifies_a_directory(data, capsys):
    code, text = call(capsys, "verify", "--data", str(data))
    assert code == 0
    assert "8 records of 2 people, 2 days signed" in text
    assert text.endswith("holds\n")
    code, text = call(capsys, "verify", "--data", str(data), "--json")
    told = json.loads(text)
    assert (told["records"], told["violations"]) == (8, 0)
    assert told["public_key"] == signer(data).public.hex()
    code, text = call(capsys, "verify", "--data", str(data), "--public-key", "ab" * 32)
    assert (code, text.splitlines()[-1]) == (1, "BROKEN 2 times")
    code, text = call(capsys, "verify", "--data", str(data), "--public-key", "xy")
    assert code == 2
    assert "64 hex digits" in text


def test_the_command_line_finds_what_the_log_itself_cannot(data, capsys):
    """Somebody rewrites the log with all of its chains; the signed days tell."""
    change, previous = forge(2, action="grant"), None
    for path in sorted((data / "log").glob("p*.db")):
        with sqlite3.connect(path) as database:
            found = database.execute("SELECT * FROM frames ORDER BY first_seq")
            rows = [Row(*one) for one in found]
            meta = database.execute("SELECT value FROM meta WHERE key = 'prev_chain'").fetchone()
            previous = previous or meta[0]
            database.execute("UPDATE meta SET value = ? WHERE key = 'prev_chain'", (previous,))
            for row in changed(rows, change):
                previous = log_link(previous, row.first_seq, row.count, row.ts_us, row.payload)
                database.execute(
                    "UPDATE frames SET payload = ?, chain = ? WHERE first_seq = ?",
                    (row.payload, previous, row.first_seq),
                )
        database.close()
    (data / "log" / "anchor.json").unlink(missing_ok=True)
    code, text = call(capsys, "verify", "--data", str(data))
    assert code == 1
    assert "the root is another" in text
    assert text.endswith("BROKEN 2 times\n"), "the later day holds a later hash of the person"


def test_the_command_line_verifies_one_proof_without_a_directory(tmp_path, capsys):
    file = tmp_path / "proof.json"
    kept = {}

    async def scenario(client: Client) -> None:
        await post(client, body("grant", "measure"))
        kept.update(await get(client, "/proof"))

    serve(tmp_path / "data", scenario)
    file.write_text(json.dumps(kept))
    shutil.rmtree(tmp_path / "data")
    code, text = call(capsys, "verify", str(file), "--public-key", kept["public_key"])
    assert code == 0
    assert f"record 1 of {kept['subject']}: grant measure" in text
    file.write_text(json.dumps({**kept, "ts_us": 1}))
    done = call(capsys, "verify", str(file), "--public-key", kept["public_key"])
    assert done == (1, "BROKEN: record\n")
    file.write_text("no proof")
    done = call(capsys, "verify", str(file), "--public-key", kept["public_key"])
    assert done == (1, "BROKEN: unreadable\n")
    assert call(capsys, "verify", str(tmp_path / "none"), "--public-key", "ab" * 32)[0] == 2


def test_the_command_line_shows_what_is_held_of_a_person(data, capsys):
    code, text = call(capsys, "show", "p0", "--data", str(data))
    assert code == 0
    assert "measure    granted since 2025-11-28T12:00:00Z" in text
    assert "choice-page" in text
    code, text = call(capsys, "show", "p0", "--data", str(data), "--json")
    told = json.loads(text)
    assert told["state"]["records"] == len(told["records"]) == 5
    assert {one["receipt"]["notice"]["sha256"] for one in told["records"]} == {NOTICE, ""}
    assert call(capsys, "show", "p0", "--data", str(data / "none"))[0] == 2
