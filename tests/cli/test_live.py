"""Commands beside a running server: they go through its owner-only socket."""

import io
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from ringwork.app.lock import holder_of
from tests.cli.conftest import Done, Ringwork

ADVERTISER = {
    "id": "diario",
    "name": "Diário da Casa",
    "domain": "diario.example",
    "currency": "EUR",
    "contact": "ana@diario.example",
}


class Server:
    """A real ``ringwork serve`` on a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "d"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        command = [sys.executable, "-m", "ringwork", "serve", "--data", str(self.data)]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port)], cwd=folder, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        self.greeting = ""
        for line in self.process.stderr:  # the greeting comes when it listens
            if line.startswith("Ringwork serves "):
                self.greeting = line
                break

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        self.process.communicate()
        return self.process.returncode


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("s"))
    yield server
    assert server.stop() == 0


@pytest.fixture
def live(ringwork: Ringwork, server: Server) -> Ringwork:
    return lambda *tokens: ringwork(*tokens, "--data", str(server.data))


def create(live: Ringwork, noun: str, body: dict[str, object]) -> Done:
    Path("body.json").write_bytes(msgspec.json.encode(body))
    return live("ads", noun, "--create", "body.json")


def test_the_server_says_where_it_is_and_nothing_secret_into_a_pipe(server: Server) -> None:
    assert server.greeting == f"Ringwork serves http://127.0.0.1:{server.port}\n"
    holder = holder_of(server.data)
    assert holder is not None
    assert (holder.pid, holder.url) == (server.process.pid, f"http://127.0.0.1:{server.port}")
    assert Path(holder.socket).stat().st_mode & 0o777 == 0o600


def test_a_second_server_ends_with_4_and_names_the_first(live: Ringwork, server: Server) -> None:
    for port in (server.port, 1):
        done = live("serve", "--port", str(port))
        assert (done.code, done.out) == (4, "")
        assert f"in use by process {server.process.pid}, which serves http://127." in done.err


def test_another_directory_on_the_same_port_ends_with_4(ringwork: Ringwork, server: Server) -> None:
    done = ringwork("serve", "--port", str(server.port))
    assert (done.code, done.out) == (4, "")
    assert f"http.port = {server.port}: another program listens there" in done.err
    assert not Path("ringwork-data").exists()


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid"])
def test_an_address_that_is_not_ours_ends_with_2(ringwork: Ringwork, host: str) -> None:
    done = ringwork("serve", "--host", host)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"ringwork: http.host = '{host}', http.port = 8080: cannot listen")


def test_a_key_is_shown_once_opens_the_api_is_listed_without_its_secret_and_revoked(
    live: Ringwork, server: Server
) -> None:
    done = live("keys", "create", "--role", "finance", "--label", "books", "--json")
    assert (done.code, done.err) == (0, "")
    (key,) = done.lines
    secret = key["token"].split("_")[2]
    asked = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/v1/ledger/trial-balance",
        headers={"authorization": f"Bearer {key['token']}"},
    )
    with urllib.request.urlopen(asked) as answer:
        assert answer.status == 200
    listed = live("keys", "list", "--json")
    assert [
        (one["role"], one["label"], one["revoked"])
        for one in listed.lines
        if one["id"] == key["id"]
    ] == [("finance", "books", False)]
    files = [path for path in server.data.rglob("*") if path.is_file()]
    assert all(secret.encode() not in text for text in [listed.out.encode(), *map(read, files)])
    assert live("keys", "revoke", key["id"]).out == f"revoked {key['id']} (finance)\n"
    (line,) = [one for one in live("keys", "list").out.splitlines() if one.startswith(key["id"])]
    assert line.split() == [key["id"], "finance", "books", "yes"]
    token = live("keys", "create", "--role", "viewer").out
    assert token.startswith("rw_")
    assert token.count("\n") == 1, "a script takes the whole output as the token"


def read(path: Path) -> bytes:
    return path.read_bytes()


def test_a_sign_in_link_is_made_by_a_server_only(live: Ringwork, ringwork: Ringwork) -> None:
    assert "/console/sign-in?token=" in live("keys", "link").out
    message = "ringwork: no server runs on this data directory; start it with serve\n"
    assert ringwork("keys", "link") == (2, "", message)


def test_the_catalogue_is_made_from_files_listed_and_shown(
    live: Ringwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert create(live, "advertisers", ADVERTISER).out == "diario: created\n"
    assert create(live, "advertisers", ADVERTISER).code == 0, "the same file, the same command"
    (row,) = live("ads", "advertisers", "--json").lines
    assert row == {key: value for key, value in ADVERTISER.items() if key != "contact"}
    assert live("ads", "advertisers", "diario", "--json").lines == [row]
    assert "Diário da Casa" in live("ads", "advertisers").out
    publisher = b'{"id": "casa", "name": "Casa", "domain": "casa.example"}'
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(publisher)))
    assert live("ads", "publishers", "--create", "-").out == "casa: created\n"
    assert [one["id"] for one in live("ads", "publishers", "--json").lines] == ["casa"]
    for noun in ("campaigns", "creatives", "placements"):
        assert live("ads", noun, "--json") == (0, "", "")


def test_what_the_catalogue_refuses_is_told_with_the_place(live: Ringwork) -> None:
    body = {**ADVERTISER, "id": "other"}
    assert create(live, "advertisers", body).code == 0
    for change, message in (
        ({"name": "Other name"}, "other"),
        ({"currency": "euro"}, "/currency"),
        ({"colour": "red"}, "colour"),
    ):
        done = create(live, "advertisers", {**body, **change})
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith("ringwork: ")
        assert message in done.err
    done = live("ads", "advertisers", "nobody")
    assert (done.code, done.out) == (2, "")
    assert "nobody" in done.err


def test_a_file_that_cannot_be_sent_is_told(live: Ringwork) -> None:
    Path("broken.json").write_text("{")
    for name, message in (("absent.json", "no such file"), ("broken.json", "not JSON")):
        done = live("ads", "advertisers", "--create", name)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith(f"ringwork: {name}: {message}")


def test_a_key_that_is_not_there_is_told(live: Ringwork) -> None:
    done = live("keys", "revoke", "0123456789ab")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("ringwork: ")
    assert "0123456789ab" in done.err


def test_an_erasure_proves_itself(live: Ringwork) -> None:
    create(live, "advertisers", {**ADVERTISER, "id": "erased"})
    (proof,) = live("erase", "advertiser/erased", "--json").lines
    assert (proof["keys_deleted"], proof["holds"]) == (1, True)
    again = live("erase", "advertiser/erased")
    assert again.code == 0
    assert again.out.startswith("advertiser/erased: 0 keys deleted, recorded as event ")
    assert again.out.endswith("nothing can be read\n")


def test_readers_work_beside_the_server(live: Ringwork) -> None:
    create(live, "advertisers", {**ADVERTISER, "id": "read"})
    done = live("verify")
    assert (done.code, done.out.count(" holds")) == (0, 9)
    assert live("log", "verify").code == 0
    assert live("log", "export", "--out", "export").code == 0


def test_a_stopped_server_that_does_not_answer_ends_with_4(
    live: Ringwork, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ringwork.app.call.TIMEOUT_S", 0.2)
    server.process.send_signal(signal.SIGSTOP)
    try:
        done = live("keys", "list")
    finally:
        server.process.send_signal(signal.SIGCONT)
    assert (done.code, done.out) == (4, "")
    assert "the server holds the store but does not answer on" in done.err
