"""The memory of books against plain sets, fingerprints against published vectors, sketches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringwork.gate.contacts.keyed import Secret, siphash
from ringwork.gate.contacts.numbers import canonical
from ringwork.gate.contacts.seen import SHOWN, STALE, Books, day_mark
from ringwork.gate.contacts.sketches import Sketches

KEY = bytes(range(64))


def test_siphash_is_the_published_one():
    """Vectors of the reference implementation: eight bytes 00..07 under the key 00..0f."""
    words = np.array([int.from_bytes(bytes(range(8)), "little")] * 3, dtype=np.uint64)
    assert siphash(bytes(range(16)), words).astype("<u8").tobytes().hex() == "6224939a79f5f593" * 3


def siphash_plain(key: bytes, message: bytes) -> int:
    """By the paper's pseudo code, on integers."""
    mask = 2**64 - 1
    k0, k1 = (int.from_bytes(key[i : i + 8], "little") for i in (0, 8))
    v = [
        k0 ^ 0x736F6D6570736575,
        k1 ^ 0x646F72616E646F6D,
        k0 ^ 0x6C7967656E657261,
        k1 ^ 0x7465646279746573,
    ]

    def turn(x, b):
        return ((x << b) | (x >> (64 - b))) & mask

    def rounds(n):
        for _ in range(n):
            v[0] = (v[0] + v[1]) & mask
            v[2] = (v[2] + v[3]) & mask
            v[1], v[3] = turn(v[1], 13) ^ v[0], turn(v[3], 16) ^ v[2]
            v[0] = turn(v[0], 32)
            v[2] = (v[2] + v[1]) & mask
            v[0] = (v[0] + v[3]) & mask
            v[1], v[3] = turn(v[1], 17) ^ v[2], turn(v[3], 21) ^ v[0]
            v[2] = turn(v[2], 32)

    for block in (message, bytes(7) + bytes([len(message)])):
        word = int.from_bytes(block, "little")
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xFF
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


@given(st.binary(min_size=16, max_size=16), st.integers(0, 2**64 - 1))
def test_siphash_is_the_papers(key, word):
    assert int(siphash(key, np.array([word], dtype=np.uint64))[0]) == siphash_plain(
        key, word.to_bytes(8, "little")
    )


def test_two_accounts_books_cannot_be_compared_without_the_secret():
    secret = Secret(KEY)
    books = Books(secret)
    hashes = secret.of_numbers(np.arange(10**7, 10**7 + 1000, dtype=np.uint64))
    for account in (1, 2):
        prints = books.find(account, hashes)[2]
        books.add(account, np.sort(prints), np.full(1000, day_mark(0)), np.zeros(0, np.int64))
    assert len(np.intersect1d(books.book(1)[0], books.book(2)[0])) <= 1
    assert "1000" not in repr(secret)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 5), st.sets(st.integers(0, 60), max_size=40)),
        st.tuples(st.just("erase"), st.integers(0, 60), st.just(None)),
        st.tuples(st.just("stale"), st.integers(0, 60), st.just(None)),
        st.tuples(st.just("forget"), st.integers(0, 5), st.just(None)),
        st.tuples(st.just("compact"), st.just(0), st.just(None)),
        st.tuples(st.just("reload"), st.just(0), st.just(None)),
    ),
    max_size=20,
)


@settings(max_examples=60, deadline=None)
@given(steps)
def test_books_are_sets(steps):
    secret = Secret(KEY)
    books, model, stale = Books(secret), {}, set()
    every = secret.of_numbers(np.arange(61, dtype=np.uint64))
    for what, which, people in steps:
        if what == "add":
            sent = np.array(sorted(people), dtype=np.int64)
            _, marks, prints = books.find(which, every[sent])
            order = np.argsort(prints)
            books.add(which, prints[order], marks[order] | SHOWN, np.zeros(0, np.int64))
            model.setdefault(which, set()).update(people)
        elif what == "erase":
            out_of = books.erase(int(every[which]))
            assert out_of == sum(which in book for book in model.values())
            for account, book in model.items():
                book.discard(which)
                stale.discard((account, which))
        elif what == "stale":
            books.make_stale(int(every[which]))
            stale |= {(account, which) for account, book in model.items() if which in book}
        elif what == "forget":
            books.forget(which)
            model.pop(which, None)
            stale = {pair for pair in stale if pair[0] != which}
        elif what == "compact":
            books.compact()
        else:
            again = Books(secret)
            again.restore(books.dump())
            assert again.dump() == books.dump()
            books = again
    accounts = np.arange(6)
    having, marks = books.who_have(accounts, every)
    for account in accounts.tolist():
        held, _, _ = books.find(account, every)
        assert set(np.flatnonzero(held)) == model.get(account, set())
        expected = {one for one in model.get(account, set()) if (account, one) not in stale}
        assert set(np.flatnonzero(having[account])) == expected
    assert ((marks & STALE) == 0).all()
    assert books.entries == sum(map(len, model.values()))
    assert books.sizes(accounts).tolist() == [len(model.get(a, ())) for a in accounts.tolist()]


def test_a_number_costs_six_bytes():
    secret = Secret(KEY)
    books = Books(secret)
    rng = np.random.default_rng(1)
    offsets = np.arange(0, 1001 * 217, 217)[:1001]
    hashes = secret.of_numbers(rng.integers(10**9, 10**12, 217_000).astype(np.uint64))
    books.load_rows(
        np.arange(1000), offsets, hashes, np.full(217_000, day_mark(0)), np.zeros(0, np.int64)
    )
    assert books.entries > 216_990
    assert books.size_bytes / 1000 < 217 * 6 + 20


def test_rows_that_do_not_fit_are_not_restored():
    books = Books(Secret(KEY))
    good = books.dump()
    for bad in (good[:-1], [*good[:2], b"1234", *good[3:]], ["x"] * 6):
        with pytest.raises(ValueError):
            Books(Secret(KEY)).restore(bad)


def test_a_book_that_comes_again_is_recognised_and_another_is_not():
    secret = Secret(KEY)
    rng = np.random.default_rng(2)
    numbers = rng.integers(10**9, 10**12, (50, 200)).astype(np.uint64)
    sketches = Sketches()
    sketches.load_rows(
        np.arange(25), np.arange(0, 26 * 200, 200), secret.of_numbers(numbers[:25].ravel())
    )
    for account in range(25, 50):
        sketches.add(account, secret.of_numbers(numbers[account]))
    for account in range(50):
        again = numbers[account].copy()
        again[:20] = rng.integers(10**9, 10**12, 20)
        assert sketches.alike(secret.of_numbers(again), besides=-1)[0] == account
        assert sketches.alike(secret.of_numbers(again), besides=account) == []
    restored = Sketches()
    restored.restore(sketches.dump())
    restored.forget(7)
    assert restored.alike(secret.of_numbers(numbers[7]), besides=-1) == []
    assert restored.alike(secret.of_numbers(numbers[40]), besides=-1) == [40]
    assert restored.alike(secret.of_numbers(numbers[40][:5]), besides=-1) == []


def test_texts_are_read_as_the_reference_reads_them():
    read = canonical(
        ["+49 (0)151 12345678", "+4915112345678", "+1 650-253-0000", "0151 12345678", ""], 10
    )
    assert read.numbers.tolist() == [16_502_530_000, 4_915_112_345_678]
    assert read.unreadable == 2


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=50))
def test_integers_are_sorted_distinct_and_in_range(sent):
    read = canonical(np.array(sent, dtype=np.int64), 100)
    good = [n for n in sent if 10**6 <= n < 10**15]
    assert read.numbers.tolist() == sorted(set(good))
    assert read.unreadable == len(sent) - len(good)
