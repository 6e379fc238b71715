"""Effective on the next request started after the acknowledgement, always (G11)."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import httpx
import msgspec
import pytest

from ringwork.app.call import call
from ringwork.app.compose import create
from ringwork.app.consent import Consent
from ringwork.app.secrets import FILE_NAME, Pseudonyms, read
from ringwork.app.settings import Settings
from ringwork.consent.audit import audit
from ringwork.consent.epochs import TABLE_BYTES, Epochs, in_memory, place_of
from ringwork.consent.grants import GrantAuthority
from ringwork.consent.settings import ConsentSettings
from ringwork.consent.signing import Signer
from ringwork.kernel.clock import ManualClock, SystemClock
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.purpose import Grant, GrantRefused
from ringwork.storage.epoch_file import EpochFile
from ringwork.storage.sqlite.reader import SqliteLogReader
from tests.app.served import Client, is_admitted, serve, until
from tests.consent.test_ledger_http import body, may_advertise, post, state_of
from tests.crash.server import Server
from tests.storage.disks import Disk

REQUEST = bytes(16)
HERE = Path(__file__).parent


def minted(consent: Consent, subject: bytes, epoch: int) -> Grant:
    return consent.grants.grant(
        subject=subject, purposes=("advertise",), services=("main",), epoch=epoch,
        request_id=REQUEST,
    )  # fmt: skip


# ---- many readers -------------------------------------------------------------------------------


class Person:
    """What the world knows of one person, who decides one thing after the other."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.changes = 0
        """Grows when a grant is sent: from then on either answer may be right."""
        self.has_said_no = True
        """Nothing was granted, or the last withdrawal was acknowledged."""
        self.has_said_yes = False
        """The last grant was acknowledged and no end of it was sent."""


async def decide(client: Client, person: Person, random: Random, decisions: int) -> None:
    for _ in range(decisions):
        person.changes += 1
        person.has_said_no = False
        await post(client, body("grant", "advertise", person=person.name, asked=False))
        person.has_said_yes = True
        for _ in range(random.randrange(4)):
            await asyncio.sleep(0)
        person.has_said_yes = False
        action = random.choice(("withdraw", "refuse", "object", "erase"))
        purposes = () if action == "erase" else ("advertise",)
        await post(client, body(action, *purposes, person=person.name))
        person.has_said_no = True
        for _ in range(random.randrange(4)):
            await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(4))
def test_no_request_that_starts_after_the_answer_is_behavioural(tmp_path, seed):
    seen = {"no": 0, "yes": 0}

    async def scenario(client: Client) -> None:
        random = Random(seed)
        people = [Person(f"p{number}") for number in range(6)]
        writers = [decide(client, person, random, 5) for person in people]
        running = asyncio.gather(*writers)

        async def read() -> None:
            platform = client.app.platform
            while not running.done():
                person = random.choice(people)
                no, yes, changes = person.has_said_no, person.has_said_yes, person.changes
                subject, state = state_of(client, person.name)
                grant = None
                if "advertise" in state.granted:
                    try:
                        grant = minted(platform.consent, subject, state.epoch)
                    except GrantRefused:
                        grant = None
                if no:
                    assert grant is None, f"{person.name} had said no before the request began"
                    seen["no"] += 1
                if yes:
                    assert grant is not None, f"{person.name} had said yes and nothing since"
                    seen["yes"] += 1
                await asyncio.sleep(0)  # the request goes on while others decide
                if grant is not None and person.has_said_no and person.changes == changes:
                    with pytest.raises(GrantRefused, match="ended"):
                        platform.consent.grants.verify(
                            grant, purpose="advertise", service="main", request_id=REQUEST
                        )

        await asyncio.gather(running, *(read() for _ in range(8)))

    serve(tmp_path / "data", scenario, seed=seed)
    assert min(seen.values()) > 20, "or the test would prove less"


def test_a_consent_counts_only_when_the_disk_has_it(tmp_path):
    """Between decision and disk memory is ahead; nothing is read on the strength of that."""

    async def scenario(client: Client) -> None:
        platform = client.app.platform
        sent = asyncio.create_task(post(client, body("grant", "advertise")))
        ahead = 0
        while not sent.done():
            subject, state = state_of(client)
            if "advertise" in state.granted and platform.consent.epochs.current(subject) == 0:
                ahead += 1
                with pytest.raises(GrantRefused, match="ended"):
                    minted(platform.consent, subject, state.epoch)
            await asyncio.sleep(0)
        assert ahead > 0
        assert may_advertise(client)

    serve(tmp_path / "data", scenario)


def test_a_full_disk_takes_nothing_back_and_gives_nothing_away(tmp_path):
    """What was refused with 503 counts neither in memory nor in the table, and later bumps fit."""
    data, disk = tmp_path / "data", Disk()

    async def scenario(client: Client) -> None:
        await post(client, body("grant", "advertise"))
        disk.fail_with = 13  # SQLITE_FULL
        await post(client, body("withdraw", "advertise"), 503)
        assert may_advertise(client), "nobody was told that it is withdrawn"
        await post(client, body("withdraw", "advertise"), 503)
        disk.fail_with = None
        await until(lambda: is_admitted(client))
        await post(client, body("grant", "advertise"))
        assert may_advertise(client)
        await post(client, body("withdraw", "advertise"))
        assert not may_advertise(client)
        subject, state = state_of(client)
        assert state.epoch == client.app.platform.consent.epochs.current(subject) == 3

    serve(data, scenario, open_database=disk.open)


# ---- two processes ------------------------------------------------------------------------------


class Worker:
    """Another process of the node: it maps the table, knows the key, and reads the log when told.

    What it has read of the log may be old: a worker must be right all the same.
    """

    def __init__(self, data: Path, key: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "worker.py"), str(data), str(key)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ask(self, *words: str) -> str:
        self._process.stdin.write(" ".join(words) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def close(self) -> None:
        self._process.stdin.close()
        assert self._process.wait(20) == 0
        self._process.stdout.close()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "grant.key"
    path.write_bytes(bytes(range(32)))
    path.chmod(0o600)
    return path


def test_a_withdrawal_counts_at_once_in_another_process(tmp_path, key):
    data = tmp_path / "data"

    async def scenario(client: Client) -> None:
        worker = Worker(data, key)
        consent = client.app.platform.consent
        for number in range(10):
            person = f"p{number}"
            await post(client, body("grant", "advertise", person=person))
            subject, state = state_of(client, person)
            who = subject.hex()
            assert worker.ask("ask", who) == "no consent", "it has not read the log"
            worker.ask("read")
            assert worker.ask("ask", who) == "granted"
            ours = msgspec.msgpack.encode(minted(consent, subject, state.epoch)).hex()
            assert worker.ask("verify", ours) == "holds"
            theirs = worker.ask("mint", who)
            assert worker.ask("verify", theirs) == "holds"
            await post(client, body("withdraw", "advertise", person=person))
            # Acknowledged: the worker has not read the log again, and must not need to.
            assert worker.ask("verify", ours) == "ended"
            assert worker.ask("verify", theirs) == "ended"
            assert worker.ask("ask", who) == "ended"
            worker.ask("read")
            assert worker.ask("ask", who) == "no consent"
        worker.close()

    settings = {"consent": ConsentSettings(grant_key_file=str(key))}
    serve(data, scenario, settings=settings, clock=SystemClock())


@pytest.mark.parametrize(
    ("mode", "content", "said"),
    [(0o644, bytes(32), "chmod 600"), (0o600, b"short", "32 bytes"), (None, b"", "No such file")],
)
def test_a_key_that_cannot_be_used_stops_the_start(tmp_path, mode, content, said):
    path = tmp_path / "grant.key"
    if mode is not None:
        path.write_bytes(content)
        path.chmod(mode)
    settings = Settings(
        data=str(tmp_path / "data"), consent=ConsentSettings(grant_key_file=str(path))
    )
    with pytest.raises(Exception, match=said):
        create(settings, clock=ManualClock(), entropy=SeededEntropy(1))


# ---- crashes ------------------------------------------------------------------------------------


def table(data: Path) -> list[int]:
    file = EpochFile.read(data / "epochs")
    found = file.view.tolist()
    file.close()
    return found


def subject_of(data: Path, person: str) -> bytes:
    return Pseudonyms(read(data / FILE_NAME).pseudonym)(f"person/{person}")


def test_killed_between_log_and_bump(tmp_path):
    """The record is durable, the table does not know: no epoch goes back, no grant comes back."""
    data = tmp_path / "data"
    died = subprocess.run(
        [sys.executable, "-m", "tests.consent.dies_before_bump", str(data)],
        check=False,
        cwd=HERE.parents[1],
    )
    assert died.returncode == -signal.SIGKILL
    before = table(data)
    subject = subject_of(data, "anna")
    assert before[place_of(subject)] == 1, "the grant was bumped, the withdrawal was not"

    async def scenario(client: Client) -> None:
        platform = client.app.platform
        epochs = platform.consent.epochs
        assert epochs.current(subject) == 2
        assert all(map(int.__le__, before, epochs.view.tolist()))
        assert not may_advertise(client, "anna")
        _, state = state_of(client, "anna")
        assert (state.withdrawn, state.epoch) == ({"advertise"}, 2)
        # A grant of the old life, from a process that shares its key and never stopped.
        shared, clock = bytes(range(32)), platform.clock
        old = Epochs(in_memory())
        old.bump(place_of(subject))
        grant = GrantAuthority(shared, old, clock).grant(
            subject=subject, purposes=("advertise",), services=("main",), epoch=1,
            request_id=REQUEST,
        )  # fmt: skip
        with pytest.raises(GrantRefused, match="ended"):
            GrantAuthority(shared, epochs, clock).verify(
                grant, purpose="advertise", service="main", request_id=REQUEST
            )

    serve(data, scenario, seed=7)


ROUNDS = 4


async def decide_until_death(
    server: Server, token: str, told: dict[str, str], answers: list[str], name: str
) -> None:
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=20) as http:
        try:
            while True:
                for action in ("grant", "withdraw"):
                    told[name] = ""  # on its way: either may be true
                    sent = body(action, "advertise", person=name, asked=False)
                    answer = await http.post("/v1/consent", json=sent)
                    assert answer.status_code in (200, 201), answer.text
                    told[name] = action
                    answers.append(name)
        except (httpx.HTTPError, OSError):
            return


def test_killed_again_and_again_no_epoch_goes_back(tmp_path):
    data, told = tmp_path / "data", {}
    token = call(Settings(data=str(data)), "POST", "/v1/keys", {"role": "choice"}).json["token"]
    server, before = Server(data), [0] * (TABLE_BYTES // 4)

    async def live(number: int) -> None:
        names = [f"p{one}" for one in range(8)]
        answers: list[str] = []
        work = asyncio.gather(
            *(decide_until_death(server, token, told, answers, one) for one in names)
        )
        enough = Random(number).randrange(20, 60)  # in the midst of the next ones
        await until(lambda: len(answers) >= enough)
        server.kill()
        await work

    for number in range(ROUNDS):
        server.start()
        after = table(data)
        assert all(map(int.__le__, before, after)), "an epoch went back"
        asyncio.run(live(number))
        before = table(data)
    server.start()
    assert server.terminate() == 0

    async def look(client: Client) -> None:
        assert all(map(int.__le__, before, client.app.platform.consent.epochs.view.tolist()))
        for name, action in told.items():
            if action:
                assert may_advertise(client, name) == (action == "grant"), name

    serve(data, look, seed=8, clock=SystemClock())
    key = Signer(read(data / FILE_NAME).consent).public
    found = audit(SqliteLogReader(data / "log").rows(), key)
    assert (found.violations, found.people) == (0, 8)
    assert found.records > 8 * ROUNDS


def test_a_table_of_another_size_is_made_anew(tmp_path):
    path = tmp_path / "epochs"
    path.write_bytes(b"half")
    file = EpochFile.open(path, TABLE_BYTES)
    assert Epochs(file.view).current(bytes(16)) == 0
    assert path.stat().st_mode & 0o777 == 0o600
    file.close()
    assert os.path.getsize(path) == TABLE_BYTES


def test_a_table_ahead_of_its_log_grants_nothing_there(tmp_path, caplog):
    """A log that was put back from a backup, without the records that the table has seen."""
    data = tmp_path / "data"

    async def first(client: Client) -> None:
        await post(client, body("grant", "advertise"))

    async def then(client: Client) -> None:
        assert not may_advertise(client)
        await post(client, body("grant", "advertise", person="ben"))
        assert may_advertise(client, "ben")

    serve(data, first)
    file = EpochFile.open(data / "epochs", TABLE_BYTES)
    Epochs(file.view).bump(place_of(subject_of(data, "anna@example.org")))
    file.close()
    serve(data, then, seed=6)
    assert "1 places have seen consent records that the log does not have" in caplog.text
