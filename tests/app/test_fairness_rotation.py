"""The key of a running platform's audit log is replaced: over HTTP, by command, across crashes."""

from __future__ import annotations

import io
import itertools
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.app import fairness_keys
from ringwork.app.fairness_keys import LogKeys
from ringwork.app.fairness_log import FILE_NAME, AuditFile
from ringwork.app.secrets import FILE_NAME as SECRETS
from ringwork.app.secrets import Secrets, load_or_make, read, write
from ringwork.cli.main import run
from ringwork.fairness.audit import BROKEN, SOUND, audited
from ringwork.fairness.delivery.audit_log import Fresh
from ringwork.fairness.log import LogWriter, Signer, is_signed
from ringwork.fairness.records import AnyBody, Checkpoint, Genesis, Key, Override
from ringwork.kernel.clock import ManualClock
from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.errors import Refused
from ringwork.kernel.events import EventTypes
from ringwork.web.keys import ROLES
from tests.app.logged import unbroken
from tests.app.served import EPOCH_US, Client, serve
from tests.app.test_fairness_outside import OWN, described, registered, shown, told

PATH = "/v1/fairness/log/rotations"
SEEDS = itertools.count(21)


class Platform:
    """One directory, started as often as wanted; the scenario alone says when it is looked."""

    def __init__(self, data: Path, wall_us: int = EPOCH_US) -> None:
        self.data = data
        self.clock = ManualClock(wall_us)

    def live(self, scenario) -> None:
        self.clock.advance_us(1_000_000)
        fair = {"fairness": OWN}
        serve(self.data, scenario, clock=self.clock, seed=next(SEEDS), settings=fair)

    @property
    def log(self) -> list[dict]:
        return [msgspec.json.decode(one) for one in self.content.splitlines()]

    @property
    def content(self) -> bytes:
        return (self.data / FILE_NAME).read_bytes()

    @property
    def secrets(self) -> Secrets:
        return read(self.data / SECRETS)

    def assert_sound(self) -> None:
        """To an outsider who noted the first key, to every promise, and to the command."""
        first = self.log[0]["body"]["public_key"]
        found = audited(io.BytesIO(self.content), public_key=first).found
        assert found.verdict == SOUND, found.findings
        unbroken(self.data)
        assert run(["fairness", "audit", str(self.data / FILE_NAME), "--public-key", first]) == 0


@pytest.fixture(scope="module", autouse=True)
def looks_at_nothing_by_itself():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("ringwork.app.fairness.LOOK_S", 3600.0)
        yield


@pytest.fixture(scope="module")
def begun(tmp_path_factory) -> Platform:
    """An ad with a release: the log has a genesis, a plan, figures, a checkpoint."""
    platform = Platform(tmp_path_factory.mktemp("begun") / "data")

    async def scenario(client: Client) -> None:
        await registered(client, described())
        await told(client, "impressions", shown(range(40)))
        await client.app.platform.fairness.look()

    platform.live(scenario)
    return platform


@pytest.fixture
def platform(begun, tmp_path) -> Platform:
    """As ``begun`` left it."""
    data = shutil.copytree(begun.data, tmp_path / "data", ignore=shutil.ignore_patterns("*.sock"))
    return Platform(data, begun.clock.wall_us())


@pytest.fixture
def empty(tmp_path) -> Platform:
    return Platform(tmp_path / "data")


async def rotated(client: Client, reason: str = "yearly", key: str = "", status: int = 201) -> dict:
    headers = {"idempotency-key": key} if key else {}
    answer = await client.admin.post(PATH, json={"reason": reason}, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


async def read_page(client: Client) -> None:
    """The file follows whoever reads it."""
    await client.admin.get("/v1/fairness/log")


async def more(client: Client, since: int = 40) -> None:
    """Enough for another release, and so a checkpoint."""
    await told(client, "impressions", shown(range(since, since + 60)))
    await client.app.platform.fairness.look()


# ---- by hand -------------------------------------------------------------------------------------


def test_the_old_key_signs_the_new_one_which_signs_what_follows(platform):
    made = {}

    async def scenario(client: Client) -> None:
        made.update(await rotated(client, "the old one was on a laptop"))
        page = (await client.admin.get("/v1/fairness/log?after=0&limit=1")).json()
        assert page["public_key"] == made["public_key"]
        await more(client)

    platform.live(scenario)
    log, seeds = platform.log, platform.secrets
    old, new = Signer(seeds.fairness_log), Signer(*seeds.fairness_log_rotated)
    (key,) = [one for one in log if one["kind"] == "key"]
    assert made == {
        "seq": key["seq"], "public_key": new.public, "previous_public_key": old.public,
    }  # fmt: skip
    assert key["body"] == {"new_public_key": new.public, "reason": "the old one was on a laptop"}
    signed = {one["seq"]: one for one in log if "sig" in one}
    assert max(signed) > key["seq"] > min(signed) == 0
    for seq, one in signed.items():
        signer = old if seq <= key["seq"] else new
        assert is_signed(one["hash"], one["sig"], signer.public), one
    platform.assert_sound()


def test_records_that_the_replaced_key_signs_afterwards_are_found(platform):
    """What a rotation is for: who has the old secret goes on with the log no more."""

    async def scenario(client: Client) -> None:
        await rotated(client)
        await more(client)

    platform.live(scenario)
    *before, last = platform.log
    assert last["kind"] == "checkpoint"
    last["sig"] = Signer(platform.secrets.fairness_log).sign(last["hash"])
    forged = b"".join(msgspec.json.encode(one, order="sorted") + b"\n" for one in [*before, last])
    found = audited(io.BytesIO(forged)).found
    assert (found.verdict, found.findings[0].seq) == (BROKEN, last["seq"])


def test_no_secret_is_in_an_event_the_log_or_an_answer(platform):
    answers = []

    async def scenario(client: Client) -> None:
        await rotated(client, key="k")
        answers.append((await client.admin.get("/v1/fairness/log")).text)
        answers.append(str(await rotated(client, key="k")))

    platform.live(scenario)
    secrets = platform.secrets
    for seed in (secrets.fairness_log, *secrets.fairness_log_rotated):
        for path in sorted(platform.data.rglob("*")):
            if path.is_file() and path.name != SECRETS:
                content = path.read_bytes()
                assert seed not in content, path
                assert seed.hex().encode() not in content, path
        assert not [one for one in answers if seed.hex() in one]
    assert (platform.data / SECRETS).stat().st_mode & 0o777 == 0o600


# ---- restarts and rebuilds -----------------------------------------------------------------------


def test_the_new_key_signs_after_a_restart_and_is_replaced_again(platform):
    async def first(client: Client) -> None:
        await rotated(client)

    async def second(client: Client) -> None:
        await more(client)
        await rotated(client, "again")
        await more(client, 100)

    platform.live(first)
    platform.live(second)
    keys = [one["seq"] for one in platform.log if one["kind"] == "key"]
    assert len(keys) == len(platform.secrets.fairness_log_rotated) == 2
    assert platform.log[-1]["seq"] > keys[1] > keys[0] + 1
    platform.assert_sound()


def test_the_file_is_written_again_by_the_keys_that_signed_it(platform):
    """Without it, from half of the record that names the key, and from just behind that."""

    async def scenario(client: Client) -> None:
        await rotated(client)
        await more(client)
        await rotated(client)
        await read_page(client)

    platform.live(scenario)
    whole = platform.content
    rows = whole.splitlines(keepends=True)
    at = next(number for number, one in enumerate(platform.log) if one["kind"] == "key")
    through = len(b"".join(rows[: at + 1]))
    for left in (None, through - 50, through):
        path = platform.data / FILE_NAME
        path.unlink() if left is None else path.write_bytes(whole[:left])
        platform.live(read_page)
        assert platform.content == whole
    platform.assert_sound()


@given(
    kinds=st.lists(st.sampled_from(["key", "key", "checkpoint", "override"]), max_size=12),
    steps=st.lists(st.tuples(st.integers(1, 13), st.integers(0, 700)), max_size=6),
)
@settings(max_examples=40)
def test_whatever_is_rotated_and_torn_the_file_is_that_of_one_writer(
    tmp_path_factory, kinds, steps
):
    """Followed in any pieces, its end torn off before some of them by who knows how much."""
    folder = tmp_path_factory.mktemp("file")
    keys = LogKeys(folder, load_or_make(folder, SeededEntropy(7)), SeededEntropy(8))
    expected, fresh = written_by_one(keys, kinds)

    def opened() -> AuditFile:
        return AuditFile(folder / FILE_NAME, keys=keys, rows=tuple, types=EventTypes(()))

    file = opened()
    for until, torn in [*steps, (len(fresh), 0)]:
        if torn and file.path.exists():
            content = file.path.read_bytes()
            file.path.write_bytes(content[: max(len(content) - torn, 0)])
            file = opened()  # what was torn, a crash tore: another process goes on
        file.follow(fresh, until=min(until, len(fresh)) - 1, event_seq=0)
    assert file.path.read_bytes() == expected
    assert audited(io.BytesIO(expected)).found.verdict == SOUND


@given(steps=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 900)), min_size=1, max_size=5))
@settings(max_examples=40)
def test_half_a_line_that_a_full_disk_left_is_cut_before_the_next(tmp_path_factory, steps):
    """The system itself ends the writes, anywhere in a line; the same process goes on after it."""
    folder = tmp_path_factory.mktemp("full")
    keys = LogKeys(folder, load_or_make(folder, SeededEntropy(7)), SeededEntropy(8))
    expected, fresh = written_by_one(keys, ["key", "checkpoint", "override", "key"] * 2)
    file = AuditFile(folder / FILE_NAME, keys=keys, rows=tuple, types=EventTypes(()))
    for until, room in steps:
        with suppress(OSError), writes_up_to(size_of(file.path) + room):
            file.follow(fresh, until=until - 1, event_seq=0)
        assert b"".join(file.read(-1, 100)) == b"".join(
            expected.splitlines(keepends=True)[: file.next_seq]
        )
    file.follow(fresh, until=len(fresh) - 1, event_seq=0)
    assert file.path.read_bytes() == expected


def test_a_file_that_lost_what_was_written_is_not_appended_to(tmp_path):
    keys = LogKeys(tmp_path, load_or_make(tmp_path, SeededEntropy(7)), SeededEntropy(8))
    _, fresh = written_by_one(keys, ["override", "checkpoint"])
    file = AuditFile(tmp_path / FILE_NAME, keys=keys, rows=tuple, types=EventTypes(()))
    file.follow(fresh, until=1, event_seq=0)
    left = file.path.read_bytes()[:-9]
    file.path.write_bytes(left)
    with pytest.raises(Refused, match=f"log-broken.* got {len(left)}: start again"):
        file.follow(fresh, until=2, event_seq=0)
    assert file.path.read_bytes() == left


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@contextmanager
def writes_up_to(size: int) -> Iterator[None]:
    """No file of this process grows beyond it, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def written_by_one(keys: LogKeys, kinds: list[str]) -> tuple[bytes, list[Fresh]]:
    """The log of these records, written in one go, and what a fold would hand to the file."""
    sink, fresh = io.BytesIO(), []
    writer = LogWriter(sink, keys.first)
    genesis = Genesis(public_key=keys.first.public, log="x", software_version="1", entropy="system")
    override = Override(ad="a", action="pause", who="w", reason="r")
    for seq, kind in enumerate(["genesis", *kinds]):
        match kind:
            case "key":
                following = keys.add()
                body: AnyBody = Key(new_public_key=following.public, reason=f"{seq}")
                writer.rotate(following, f"{seq}", time_us=seq)
            case _:
                plain = {"genesis": genesis, "override": override}
                body = plain.get(kind) or Checkpoint(head=seq - 1)
                writer.append(body, time_us=seq)
        fresh.append(Fresh(0, seq, seq, body))
    return sink.getvalue(), fresh


# ---- crashes -------------------------------------------------------------------------------------


def test_a_crash_after_the_secret_and_before_the_record_leaves_the_old_key_at_work(platform):
    """As a process leaves it that died between the two: the seed is kept, nobody named it."""
    orphan = SeededEntropy("orphan").take(32)
    kept = platform.secrets
    write(platform.data / SECRETS, msgspec.structs.replace(kept, fairness_log_rotated=(orphan,)))
    old = Signer(kept.fairness_log).public

    async def scenario(client: Client) -> None:
        await more(client)
        page = (await client.admin.get("/v1/fairness/log")).json()
        assert page["public_key"] == old
        platform.assert_sound()
        made = await rotated(client)
        assert made["previous_public_key"] == old
        assert made["public_key"] != Signer(orphan).public
        await more(client, 100)

    platform.live(scenario)
    assert platform.secrets.fairness_log_rotated[0] == orphan
    assert len(platform.secrets.fairness_log_rotated) == 2
    platform.assert_sound()


def test_the_secret_is_on_disk_when_the_record_is_made(platform, monkeypatch):
    """The order of the two: no event is there yet when the secret is written."""
    seen = []

    async def scenario(client: Client) -> None:
        own = client.app.platform
        before = own.journal.seq

        def watched(path: Path, secrets: Secrets) -> None:
            write(path, secrets)
            named = own.fairness.memory.log.chronicle.keys
            seen.append((len(platform.secrets.fairness_log_rotated), named, own.journal.seq))

        monkeypatch.setattr(fairness_keys, "write", watched)
        await rotated(client)
        assert seen == [(1, 1, before)]
        assert own.fairness.memory.log.chronicle.keys == 2

    platform.live(scenario)


def test_a_disk_that_refuses_the_secret_leaves_all_as_it_was(platform):
    async def scenario(client: Client) -> None:
        (platform.data / "secrets.new").mkdir()  # where the file is written before its name is
        refused = await rotated(client, status=503)
        assert refused["type"].endswith("storage-full")
        os.rmdir(platform.data / "secrets.new")
        await more(client)

    platform.live(scenario)
    assert "key" not in {one["kind"] for one in platform.log}
    assert platform.secrets.fairness_log_rotated == ()
    platform.assert_sound()


# ---- refused -------------------------------------------------------------------------------------


def test_only_an_administrator_replaces_the_key(platform):
    allowed = []

    async def scenario(client: Client) -> None:
        anybody = await client.outside.post(PATH, json={"reason": "x"})
        assert anybody.status_code == 401
        for role in ROLES:
            headers = await client.key(role)
            answer = await client.outside.post(PATH, json={"reason": "x"}, headers=headers)
            if answer.status_code == 201:
                allowed.append(role)
            else:
                assert answer.status_code == 403, answer.text

    platform.live(scenario)
    assert allowed == ["admin"]
    assert len(platform.secrets.fairness_log_rotated) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{}", 422), (b'{"reason":""}', 422), (b'{"reason":1}', 422), (b"", 400), (b"{", 400),
        (msgspec.json.encode({"reason": "x" * 257}), 422),
        (b'{"reason":"x","public_key":"00"}', 422),
    ],
)  # fmt: skip
def test_what_is_no_reason_is_refused(empty, body, status):
    async def scenario(client: Client) -> None:
        headers = {"content-type": "application/json"}
        answer = await client.admin.post(PATH, content=body, headers=headers)
        assert answer.status_code == status, answer.text

    empty.live(scenario)
    assert empty.secrets.fairness_log_rotated == ()


def test_an_empty_log_has_no_key_to_replace(empty):
    async def scenario(client: Client) -> None:
        refused = await rotated(client, status=409)
        assert refused["type"].endswith("rule-violated")

    empty.live(scenario)
    assert empty.secrets.fairness_log_rotated == ()


def test_nobody_overrides_before_the_log_has_begun(empty):
    """A record before the genesis would make the log one that nobody can sign or audit."""

    async def scenario(client: Client) -> None:
        await told(client, "people", {"people": described()})
        ad = {"ad": "ad", "category": "HOUSING", "expected_impressions": 1000}
        await told(client, "ads", ad)
        over = {"action": "pause", "reason": "to see"}
        await told(client, "ads/ad/override", over, 409)
        await client.app.platform.fairness.look()
        await told(client, "ads/ad/override", over)
        await rotated(client)
        await read_page(client)

    empty.live(scenario)
    assert empty.log[0]["kind"] == "genesis"
    empty.assert_sound()


def test_the_number_of_keys_is_bounded(platform, monkeypatch):
    monkeypatch.setattr(fairness_keys, "KEYS_MAX", 2)

    async def scenario(client: Client) -> None:
        await rotated(client)
        assert "at most 2 keys" in (await rotated(client, status=409))["detail"]

    platform.live(scenario)
    assert len(platform.secrets.fairness_log_rotated) == 1
    platform.assert_sound()


def test_a_request_that_is_sent_twice_replaces_the_key_once(platform):
    async def scenario(client: Client) -> None:
        assert await rotated(client, key="once") == await rotated(client, key="once")
        await read_page(client)

    platform.live(scenario)
    assert [one["kind"] for one in platform.log].count("key") == 1
    assert len(platform.secrets.fairness_log_rotated) == 1


def test_secrets_of_before_the_rotation_are_refused_until_the_right_ones_are_back(platform):
    """An old backup: nothing is signed with a key that the log has left, nor rotated from it."""

    async def first(client: Client) -> None:
        await rotated(client)
        await read_page(client)

    platform.live(first)
    good = platform.secrets
    write(platform.data / SECRETS, msgspec.structs.replace(good, fairness_log_rotated=()))
    before = platform.content

    async def without(client: Client) -> None:
        fairness = client.app.platform.fairness
        await told(client, "impressions", shown(range(40, 100)))
        for _ in range(2):
            with pytest.raises(Exception, match="restore it from a backup"):
                await fairness.look()
        refused = await client.admin.get("/v1/fairness/log")
        assert (refused.status_code, refused.json()["type"].split(":")[-1]) == (409, "log-key")
        assert (await rotated(client, status=409))["type"].endswith("log-key")

    platform.live(without)
    assert platform.content == before
    assert platform.secrets.fairness_log_rotated == ()
    write(platform.data / SECRETS, good)
    platform.live(read_page)
    assert platform.content.startswith(before)
    assert len(platform.content) > len(before)
    platform.assert_sound()


def test_a_damaged_file_is_no_ground_for_a_new_key(platform):
    path = platform.data / FILE_NAME
    whole = platform.content
    path.write_bytes(whole.replace(b'"seq":2,', b'"seq":7,', 1))
    damaged = platform.content

    async def scenario(client: Client) -> None:
        for _ in range(2):
            assert (await rotated(client, status=409))["type"].endswith("log-broken")

    platform.live(scenario)
    assert platform.content == damaged, "nothing is appended to it"
    assert platform.secrets.fairness_log_rotated == ()


# ---- secrets and the command ---------------------------------------------------------------------


def test_secrets_are_those_of_an_older_version_until_a_key_is_replaced(tmp_path):
    made = load_or_make(tmp_path, SeededEntropy(1))
    written = (tmp_path / SECRETS).read_bytes()
    assert b"rotated" not in written, "older versions go on with it"
    assert load_or_make(tmp_path, SeededEntropy(2)) == made
    assert made.fairness_log_rotated == ()
    values = [value for value in msgspec.structs.astuple(made) if value != ()]
    assert {len(one) for one in values} == {32}
    assert len(set(values)) == len(values) == 7


def test_the_command_rotates_the_directory_of_a_platform(platform, tmp_path, capsys):
    command = ["fairness", "log", "rotate-key", "--reason", "yearly", "--data"]
    assert run([*command, str(tmp_path / "none")]) == 2
    assert not (tmp_path / "none").exists()
    command.append(str(platform.data))
    capsys.readouterr()
    assert run([*command, "--json"]) == 0, capsys.readouterr()
    shown_ = msgspec.json.decode(capsys.readouterr().out)
    (seed,) = platform.secrets.fairness_log_rotated
    assert shown_["public_key"] == Signer(seed).public
    assert platform.log[-1]["kind"] == "key", "the file has it already"
    assert run(command) == 0
    said = capsys.readouterr()
    assert "vouches for" in said.out
    assert "back up secrets.json" in said.out
    platform.assert_sound()


@pytest.mark.parametrize(
    ("tokens", "named"),
    [(["--key", "a"], "LOG"), (["own.jsonl"], "--key and --new"), ([], "--reason")],
)
def test_options_that_do_not_go_together_are_named(tokens, named, capsys):
    reason = ["--reason", "x"] if tokens else []
    assert run(["fairness", "log", "rotate-key", *tokens, *reason]) == 2
    assert named in capsys.readouterr().err
