"""The audit log as bytes: canonical JSON, chain, signatures, torn ends, keys, rebuilding."""

import hashlib
import io
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from ringwork.fairness.audit import audited
from ringwork.fairness.log import (
    DEPTH_MAX,
    Broken,
    Chain,
    Head,
    LogWriter,
    Signer,
    Unreadable,
    canonical,
    head_of,
    lines,
    read_line,
)
from ringwork.fairness.records import (
    KINDS,
    Control,
    Figure,
    Genesis,
    Override,
    body_to_write,
    wire_of,
)
from ringwork.fairness.trail import Trail
from ringwork.kernel.errors import Refused
from tests.fairness.logs import OTHER_SEED, SEED, START_US, ad, begun, made, plan

LOG = made(6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def test_a_record_by_hand() -> None:
    file = io.BytesIO()
    begun(file, with_model=False)
    first = file.getvalue().splitlines()[0].decode()
    public = Signer(SEED).public
    body = (
        '{"body":{"entropy":"test","log":"test","public_key":"PUBLIC","software_version":"0.0"},'
        '"kind":"genesis","prev":"ZEROS","seq":0,"time_us":1700000000000000,"v":1}'
    )
    body = body.replace("PUBLIC", public).replace("ZEROS", "0" * 64)
    digest = hashlib.sha256(body.encode()).hexdigest()
    record = json.loads(first)
    assert record["hash"] == digest
    assert (
        first
        == body[:-1]
        .replace(',"kind"', f',"hash":"{digest}","kind"')
        .replace(',"time_us"', f',"sig":"{record["sig"]}","time_us"')
        + "}"
    )
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(
        bytes.fromhex(record["sig"]), f"ringwork-fairness-log-v1\n{digest}".encode()
    )


@given(VALUES)
def test_canonical_json_is_what_the_standard_library_writes(value: object) -> None:
    expected = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical(value) == expected.encode()


@pytest.mark.parametrize(
    "value", [0.5, float("nan"), {"a": [1.0]}, 2**53, -(2**53), {1: 2}, b"x", {"a": "\ud800"}]
)
def test_what_the_format_has_no_form_for_is_refused(value: object) -> None:
    with pytest.raises(Refused, match="record-invalid"):
        canonical(value)


def test_nesting_has_a_bound() -> None:
    value: object = 1
    for _ in range(DEPTH_MAX + 1):
        value = [value]
    with pytest.raises(Refused, match="nested"):
        canonical(value)
    with pytest.raises(Unreadable):
        read_line(b"[" * 200_000, 0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda line: line.replace(b'"seq":0', b'"seq": 0'), "canonical"),
        (lambda line: line.replace(b'"v":1', b'"v":1.0'), "float"),
        (lambda line: line.replace(b'"v":1', b'"v":2'), "expected version 1"),
        (lambda line: line.replace(b'"v":1', b'"v":true'), "expected version 1"),
        (lambda line: line.replace(b'"v":1', b'"v":1,"w":1'), "unknown field"),
        (lambda line: line.replace(b'"seq":0', b'"seq":-0'), "canonical"),
        (lambda line: line.replace(b'"v":1', b'"v":1,"v":1'), "canonical"),
        (lambda line: line.replace(b'"seq":0', b'"seq":"0"'), "int"),
        (lambda line: line[:-1], "canonical"),
        (lambda line: b'{"seq":0}\n', "missing"),
        (lambda line: line.replace(b'test"', b'te\\u0073t"'), "canonical"),
    ],
)
def test_a_line_has_one_form(change: object, says: str) -> None:
    first = LOG.splitlines(keepends=True)[0]
    with pytest.raises(Broken, match=says):
        Chain().follow(change(first))  # type: ignore[operator]


@pytest.mark.parametrize("line", [b"\n", b"{\n", b"[]\n", b"7\n", b"\xff\n", b"not json\n"])
def test_what_is_no_record_is_unreadable(line: bytes) -> None:
    with pytest.raises(Unreadable, match="record 3"):
        read_line(line, 3)


def test_a_signature_has_one_form_too() -> None:
    first = json.loads(LOG.splitlines()[0])
    for sig in (first["sig"].upper(), f"{first['sig'][:-2]} {first['sig'][-2:]}"):
        line = canonical({**first, "sig": sig}) + b"\n"
        with pytest.raises(Broken, match="not signed"):
            Chain().follow(line)


def test_what_was_read_is_written_back_byte_for_byte() -> None:
    chain = Chain()
    assert b"".join(chain.follow(line).line() for line in lines(io.BytesIO(LOG))) == LOG


def test_members_of_a_later_version_are_kept_and_read_over() -> None:
    rows, prev = [], "0" * 64
    for line in made(2, with_report=False).splitlines():
        record = json.loads(line)
        record.pop("sig", None)
        record["prev"], record["body"]["later"] = prev, {"x": [1, None]}
        rows.append(resealed(record))
        prev = json.loads(rows[-1])["hash"]
    later = b"".join(rows)
    chain = Chain()
    assert b"".join(chain.follow(line).line() for line in lines(io.BytesIO(later))) == later
    assert audited(io.BytesIO(later)).found.word == "sound"


def resealed(record: dict[str, object], seed: bytes = SEED) -> bytes:
    """A record with the hash and signature of a real writer."""
    record.pop("hash", None)
    digest = hashlib.sha256(canonical(record)).hexdigest()
    sealed = {**record, "hash": digest}
    if record["kind"] in ("genesis", "key", "report", "checkpoint"):
        sealed["sig"] = Signer(seed).sign(digest)
    return canonical(sealed) + b"\n"


def test_rebuilding_from_the_same_facts_gives_the_same_bytes() -> None:
    assert made(6) == LOG
    file = io.BytesIO()
    writer = LogWriter(file, Signer(SEED))
    for line in LOG.splitlines():
        record = json.loads(line)
        writer.append(body_to_write(record["kind"], record["body"]), time_us=record["time_us"])
    assert file.getvalue() == LOG


def test_every_kind_survives_its_wire_form() -> None:
    seen = set()
    for line in LOG.splitlines():
        record = json.loads(line)
        seen.add(record["kind"])
        body = body_to_write(record["kind"], record["body"])
        assert canonical(wire_of(body)) == canonical(record["body"])
    assert seen >= KINDS.keys() - {"key"}


@pytest.mark.parametrize(
    ("kind", "body", "says"),
    [
        ("ghost", {}, "expected a kind among"),
        ("checkpoint", {"head": 1, "more": 2}, "unknown members /more"),
        ("checkpoint", {"head": -1}, "head"),
        ("checkpoint", {"head": "1"}, "head"),
        ("checkpoint", {}, "head"),
        ("key", {"new_public_key": "AB" * 32, "reason": "x"}, "new_public_key"),
        ("tables", {"name": "x", "sha256": "0" * 64, "rows": 1.5, "demo_tables": False}, "rows"),
        ("override", {"ad": "a", "action": "explode", "who": "x", "reason": "y"}, "action"),
        ("override", {"ad": "a", "action": "pause", "who": "x", "reason": ""}, "reason"),
        ("budget", {"ad": "a", "sigma": "1e999999999", "events": 1, "epsilon_micro": 1}, "sigma"),
        (
            "ad",
            {"ad": "a", "category": "CREDIT", "eligible": {"sex": {"shares_ppb": [1], "x": 1}}},
            "/eligible/sex/x",
        ),
    ],
)
def test_what_is_no_body_is_refused_with_its_member(
    kind: str, body: dict[str, object], says: str
) -> None:
    with pytest.raises(Refused, match="record-invalid") as refused:
        body_to_write(kind, body)
    assert says in refused.value.detail


def test_a_default_that_is_spelled_out_is_a_member() -> None:
    figure = {"ad": "a", "attribute": "sex", "episode": 1, "impressions": 1, "proxy_ppb": 1}
    assert body_to_write("figure", {**figure, "by": "impressions"}) == Figure(**figure)  # type: ignore[arg-type]


# ---- writing --------------------------------------------------------------------------------------
def test_a_log_begins_with_its_genesis_and_only_with_it() -> None:
    writer = LogWriter(io.BytesIO(), Signer(SEED))
    with pytest.raises(Refused, match="expected genesis"):
        writer.append(plan(), time_us=1)
    with pytest.raises(Refused, match="public key of the signer"):
        writer.append(Genesis(public_key="0" * 64, log="x"), time_us=1)
    genesis = Genesis(public_key=Signer(SEED).public, log="x")
    writer.append(genesis, time_us=1)
    with pytest.raises(Refused, match="expected genesis"):
        writer.append(genesis, time_us=1)


def test_time_may_go_back_order_does_not() -> None:
    file = io.BytesIO()
    trail = begun(file)
    trail.record(ad("a"), time_us=5)
    trail.writer.checkpoint(time_us=4)
    assert audited(io.BytesIO(file.getvalue())).found.word == "sound"


class FullDisk(io.BytesIO):
    """Takes so many bytes and half a line."""

    room = 10**9

    def write(self, line: bytes, /) -> int:  # type: ignore[override]
        if len(line) > self.room:
            super().write(line[: self.room])
            raise OSError(28, "No space left on device")
        self.room -= len(line)
        return super().write(line)


def test_after_half_a_line_nothing_follows_until_the_log_is_opened_again() -> None:
    disk = FullDisk()
    trail = begun(disk)
    disk.room = 40
    with pytest.raises(OSError, match="No space"):
        trail.record(ad("a"), time_us=1)
    disk.room = 10**9
    with pytest.raises(Refused, match="log-broken"):
        trail.writer.checkpoint(time_us=1)
    again, torn = Trail.resumed(disk, Signer(SEED))
    assert torn == 40
    again.record(ad("a"), time_us=1)
    again.writer.checkpoint(time_us=2)
    assert audited(io.BytesIO(disk.getvalue())).found.word == "sound"


@given(st.integers(1, len(LOG) - 1))
def test_a_log_that_was_torn_anywhere_is_told_and_goes_on(cut: int) -> None:
    whole = LOG[:cut].rfind(b"\n") + 1
    found = audited(io.BytesIO(LOG[:cut])).found
    assert found.torn_bytes == cut - whole
    assert found.records == LOG[:cut].count(b"\n")
    file = io.BytesIO(LOG[:cut])
    trail, torn = Trail.resumed(file, Signer(SEED))
    assert torn == cut - whole
    for line in LOG[whole:].splitlines():  # what the crash took is written again
        record = json.loads(line)
        trail.writer.append(
            body_to_write(record["kind"], record["body"]), time_us=record["time_us"]
        )
    assert file.getvalue() == LOG


def test_going_on_asks_for_the_key_in_force() -> None:
    with pytest.raises(Refused, match="log-key"):
        Trail.resumed(io.BytesIO(LOG), Signer(OTHER_SEED))


def test_a_broken_log_is_not_gone_on_with() -> None:
    with pytest.raises(Refused, match="log-broken"):
        Trail.resumed(io.BytesIO(LOG.replace(b'"seq":4,', b'"seq":5,')), Signer(SEED))


def test_what_does_not_follow_is_refused_and_not_written() -> None:
    file = io.BytesIO()
    trail = begun(file)
    before = file.getvalue()
    figure = Figure(ad="a", attribute="sex", episode=1, impressions=1, proxy_ppb=1)
    with pytest.raises(Refused, match="expected a plan, the ad and a release"):
        trail.record(figure, time_us=1)
    assert file.getvalue() == before


def test_a_key_is_followed_by_one_that_it_vouches_for() -> None:
    file = io.BytesIO()
    trail = begun(file)
    trail.writer.rotate(Signer(OTHER_SEED), "yearly", time_us=START_US)
    trail.record(ad("a"), time_us=START_US)
    trail.writer.checkpoint(time_us=START_US)
    found = audited(io.BytesIO(file.getvalue()), public_key=Signer(SEED).public).found
    assert (found.word, found.unsigned) == ("sound", 0)
    again, torn = Trail.resumed(file, Signer(OTHER_SEED))
    assert (again.writer.next_seq, torn) == (found.records, 0)
    with pytest.raises(Refused, match="log-key"):
        Trail.resumed(file, Signer(SEED))


def test_a_key_record_that_the_old_key_did_not_sign_is_found() -> None:
    rows = LOG.splitlines(keepends=True)
    body = {"new_public_key": Signer(OTHER_SEED).public, "reason": "mine now"}
    record = {
        "v": 1, "seq": len(rows), "prev": json.loads(rows[-1])["hash"], "time_us": 1, "kind": "key",
        "body": body,
    }  # fmt: skip
    found = audited(io.BytesIO(LOG + resealed(record, OTHER_SEED))).found
    assert (found.word, found.findings[0].seq) == ("broken", len(rows))


def test_overrides_and_controls_are_records_like_others() -> None:
    override = Override(ad="a", action="set", who="x", reason="y", lambda_micro=(1, -1))
    assert list(wire_of(override)["lambda_micro"]) == [1, -1]
    assert "held" not in wire_of(Control(ad="a", episode=1, lambda_micro=()))


# ---- head lines -----------------------------------------------------------------------------------
def test_a_head_line_is_read_as_it_was_written() -> None:
    head = Head("my-log", 12, "ab" * 32, "cd" * 32)
    assert head_of(head.line()) == head
    assert head_of(f"  {head.line()}\n") == head


@pytest.mark.parametrize("line", ["", "x", "ringwork-fairness-log-v1 a b c d", "a " * 5])
def test_another_text_is_no_head_line(line: str) -> None:
    with pytest.raises(ValueError, match="log head"):
        head_of(line)
