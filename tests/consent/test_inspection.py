"""What a page's check finds of a chain, a record, a day: by hand, by property, when tampered with."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ringwork.consent import inspection
from ringwork.consent.events import ConsentRecorded
from ringwork.consent.inspection import Chain, check_chain, check_day, check_record
from ringwork.consent.merkle import GENESIS, digest, link, root_of, statement
from ringwork.consent.projections import ChainRow
from ringwork.consent.proof import SignedTree
from ringwork.consent.signing import Signer
from ringwork.kernel.events import Recorded

SUBJECT = bytes(range(16))
SIGNER, OTHER = Signer(bytes(32)), Signer(bytes([1] * 32))


def chain(length: int) -> tuple[list[ChainRow], list[Recorded]]:
    """A person's records as the service would have made them."""
    rows, log, head = [], [], GENESIS
    for number in range(1, length + 1):
        event = ConsentRecorded(
            number, "refuse", ("advertise",), (), "consent", "", "", "settings", 1, True, "",
            None, "", None, "k", head, GENESIS,
        )  # fmt: skip
        said = digest(SUBJECT, number * 10, event)
        head = link(head, said)
        event = replace(event, hash=head)
        rows.append(ChainRow(number, number * 7, said, head))
        log.append(
            Recorded(0, number * 7, b"", number * 10, b"r", None, "main", SUBJECT, "consent", event)
        )
    return rows, log


def head_of(rows: list[ChainRow]) -> bytes:
    return rows[-1].hash if rows else b""


# ---- chains -------------------------------------------------------------------------------------


@given(st.integers(0, 40))
def test_a_chain_as_it_was_made_holds(length):
    rows, log = chain(length)
    assert check_chain(rows, records=length, head=head_of(rows)) == Chain(length, length)
    for place, (row, recorded) in enumerate(zip(rows, log, strict=True)):
        before = rows[place - 1].hash if place else GENESIS
        assert check_record(SUBJECT, row, before, recorded) == ""


@given(st.data(), st.integers(1, 20))
def test_one_changed_row_is_found_where_it_is(data, length):
    rows, _ = chain(length)
    at = data.draw(st.integers(0, length - 1))
    member = data.draw(st.sampled_from(["digest", "hash"]))
    broken = rows.copy()
    broken[at] = replace(rows[at], **{member: bytes(32)})
    assert check_chain(broken, records=length, head=head_of(rows)) == Chain(
        at + 1, length, "link", at + 1
    )


@given(st.data(), st.integers(1, 20))
def test_a_record_that_is_left_out_is_missed(data, length):
    rows, _ = chain(length)
    at = data.draw(st.integers(0, length - 1))
    found = check_chain(rows[:at] + rows[at + 1 :], records=length, head=head_of(rows))
    assert (found.breach, found.broken_at) == ("number", at + 1)


@given(st.data(), st.integers(2, 20))
def test_a_chain_that_was_made_anew_ends_elsewhere(data, length):
    """Who rewrites the table consistently has another head than the ledger in memory."""
    rows, _ = chain(length)
    at = data.draw(st.integers(0, length - 1))
    forged, head = [], GENESIS
    for place, row in enumerate(rows):
        said = bytes(32) if place == at else row.digest
        head = link(head, said)
        forged.append(ChainRow(row.number, row.seq, said, head))
    found = check_chain(forged, records=length, head=head_of(rows))
    assert (found.breach, found.broken_at) == ("head", length)


def test_of_a_chain_that_is_too_long_the_first_links_are_checked_and_the_rest_is_said(monkeypatch):
    monkeypatch.setattr(inspection, "LINKS_MAX", 3)
    rows, _ = chain(5)
    found = check_chain(rows[:3], records=5, head=head_of(rows))
    assert (found.breach, found.links, found.is_whole) == ("", 3, False)
    assert check_chain([], records=0, head=b"").is_whole
    assert check_chain([], records=1, head=b"x").breach == "number"


# ---- records ------------------------------------------------------------------------------------


def test_a_record_that_says_something_else_than_its_digest_is_told():
    rows, log = chain(2)
    row, recorded, before = rows[1], log[1], rows[0].hash

    def said(**more: object) -> str:
        event = replace(recorded.payload, **more)
        return check_record(SUBJECT, row, before, replace(recorded, payload=event))

    assert said(action="grant") == "record"
    assert said(steps=2) == "record"
    assert said(number=1) == "record"
    assert said(hash=bytes(32)) == "chain"
    assert said(prev_hash=bytes([1] * 32)) == "chain"
    assert check_record(bytes(16), row, before, recorded) == "record"
    assert check_record(SUBJECT, row, before, replace(recorded, ts_us=1)) == "record"
    assert check_record(SUBJECT, row, before, None) == "gone"


# ---- days ---------------------------------------------------------------------------------------


def signed(hashes: list[bytes], previous: bytes = GENESIS, signer: Signer = SIGNER) -> SignedTree:
    root = root_of(hashes)
    text = statement(day=7, count=len(hashes), root=root, previous=previous)
    return SignedTree(
        7, len(hashes), root.hex(), previous.hex(), signer.key_id, signer.sign(text).hex(), False
    )


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=20, unique=True))
def test_a_day_holds_and_every_change_of_it_is_told(hashes):
    tree = signed(hashes)

    def found(tree: SignedTree, leaves: list[bytes] = hashes, previous: bytes = GENESIS) -> str:
        return check_day(tree, leaves, previous=previous, public_key=SIGNER.public)

    assert found(tree) == ""
    assert found(tree, hashes[:-1]) == "count"
    assert found(tree, [bytes(31) + b"x", *hashes[1:]]) == "root"
    assert found(tree, previous=bytes([9] * 32)) == "previous"
    assert found(signed(hashes, signer=OTHER)) == "key"
    assert found(replace(tree, day=8)) == "signature"
    assert found(replace(tree, signature="00" * 64)) == "signature"
    forged = replace(signed(hashes, signer=OTHER), key_id=SIGNER.key_id)
    assert found(forged) == "signature"
