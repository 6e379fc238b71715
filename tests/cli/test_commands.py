"""Commands on a store of their own, without a server."""

from pathlib import Path

import msgspec
import pytest

from ringwork.app.call import call
from ringwork.app.lock import hold
from ringwork.app.settings import Settings
from tests.cli.conftest import Done, Ringwork

ADVERTISER = {
    "id": "diario",
    "name": "Diário da Casa",
    "domain": "diario.example",
    "currency": "EUR",
    "contact": "ana@diario.example",
}
NO_REQUEST = "019acf2e-8a40-7e21-9c04-5b0c33d1f0aa"


def made(ringwork: Ringwork, body: object = ADVERTISER) -> Done:
    Path("advertiser.json").write_bytes(msgspec.json.encode(body))
    return ringwork("ads", "advertisers", "--create", "advertiser.json")


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_trace_is_read_from_the_log_as_the_server_tells_it(
    ringwork: Ringwork, data: Path
) -> None:
    made(ringwork)
    settings = Settings(data=str(data))
    events = call(settings, "GET", "/v1/log/events").json
    assert isinstance(events, dict)
    request_id = events["events"][-1]["request_id"]
    told = call(settings, "GET", f"/v1/traces/{request_id}").json
    before = {path: path.read_bytes() for path in files(data)}
    assert ringwork("trace", request_id, "--json").lines == [told]
    shown = ringwork("trace", request_id).out
    assert "advertiser_registered" in shown
    assert "ana@" not in shown
    after = {path: path.read_bytes() for path in files(data)}
    # SQLite itself may make its lock file beside a database that is read; nothing else is new.
    assert before.items() <= after.items(), "a reader changes nothing"
    assert {path.suffix for path in after.keys() - before.keys()} <= {".db-shm", ".db-wal"}
    done = ringwork("trace", NO_REQUEST)
    assert done == (2, "", f"ringwork: no events of request {NO_REQUEST}\n")
    assert "expected an id like" in ringwork("trace", "7").err


def test_verify_prints_the_nine_promises_and_ends_with_1_when_one_is_broken(
    ringwork: Ringwork, data: Path
) -> None:
    made(ringwork)
    done = ringwork("verify", "--json")
    assert done.code == 0
    assert [line["name"] for line in done.lines] == [f"I{number}" for number in range(1, 10)]
    assert ringwork("verify").out.count(" holds") == 9
    break_log(data)
    done = ringwork("verify")
    assert done.code == 1
    assert "BROKEN 1 times" in done.out.splitlines()[0]


def test_what_verify_found_stands_where_it_cannot_be_kept(ringwork: Ringwork, data: Path) -> None:
    made(ringwork)
    (data / "verify.json.new").mkdir()  # as a directory that is read-only: nobody is root here
    done = ringwork("verify")
    assert (done.code, done.out.count(" holds")) == (0, 9)
    assert "the console will not show this" in done.err


def break_log(data: Path) -> None:
    """Change one byte in the middle of what the newest event says."""
    (path,) = (data / "log").glob("p0-*.db")
    content = path.read_bytes()
    at = content.rindex("Diário".encode())
    path.write_bytes(content[:at] + b"X" + content[at + 1 :])


def test_the_log_is_verified_exported_and_salvaged(ringwork: Ringwork, data: Path) -> None:
    made(ringwork)
    (report,) = ringwork("log", "verify", "--json").lines
    assert report["sound"] is True
    assert ringwork("log", "verify").out.endswith("the log is as it was written\n")
    (exported,) = ringwork("log", "export", "--out", "export", "--json").lines
    assert exported["events"] == report["partitions"][0]["events"] > 0
    assert list(Path("export").rglob("*.parquet"))
    break_log(data)
    done = ringwork("log", "verify")
    assert done.code == 3
    assert "THE LOG IS DAMAGED" in done.out
    assert ringwork("log", "salvage", "--out", "saved").code == 0
    assert Path("saved/report.json").exists()
    assert ringwork("log", "salvage", "--out", "saved").code == 2


def test_a_damaged_store_ends_with_3_and_a_sentence(ringwork: Ringwork, data: Path) -> None:
    made(ringwork)
    for name in ("state.db", "keys.db"):
        content = (data / name).read_bytes()
        (data / name).write_bytes(b"garbage" * 100)
        done = ringwork("keys", "list")
        assert (done.code, done.out) == (3, "")
        assert "file is not a database" in done.err
        assert "Traceback" not in done.err
        (data / name).write_bytes(content)
    break_log(data)
    done = ringwork("trace", NO_REQUEST)
    assert (done.code, done.out) == (3, "")
    assert "at sequence" in done.err


@pytest.mark.parametrize(
    "command",
    [
        "keys list",
        "keys revoke 0123456789ab",
        "ads campaigns",
        f"trace {NO_REQUEST}",
        "erase customer/1",
        "verify",
        "log verify",
        "log export --out x",
        "log salvage --out x",
    ],
)
def test_what_needs_a_store_makes_none(ringwork: Ringwork, data: Path, command: str) -> None:
    done = ringwork(*command.split())
    message = "ringwork: ringwork-data: no store here; name its directory with --data\n"
    assert done == (2, "", message)
    assert not data.exists()
    data.write_text("a file")
    assert ringwork(*command.split()) == (2, "", message)


@pytest.mark.parametrize(
    "command", ["keys list", "keys create --role admin", "trace " + NO_REQUEST]
)
@pytest.mark.parametrize("serves", [True, False])
def test_a_held_store_ends_with_4(
    ringwork: Ringwork, data: Path, command: str, serves: bool
) -> None:
    (data / "log").mkdir(parents=True)
    with hold(Settings(data=str(data)), serves=serves):
        done = ringwork(*command.split())
    assert (done.code, done.out) == (4, "")
    assert ("does not answer" if serves else "is in use by process") in done.err
