"""What the key store on SQLite adds to the suite: durability, the key-encryption key, no traces."""

import sqlite3

import pytest

from ringwork.kernel.entropy import SeededEntropy
from ringwork.kernel.errors import Busy, ConfigurationError
from ringwork.storage.sqlite.keys import SqliteKeyStore

ANNA = b"a" * 16


@pytest.fixture
def open_store(tmp_path):
    stores = []

    def open_one(seed=1):
        store = SqliteKeyStore.open(
            tmp_path / "keys.db", tmp_path / "kek", entropy=SeededEntropy(seed)
        )
        stores.append(store)
        return store

    yield open_one
    for store in stores:
        store.close()


def test_keys_survive_a_restart(open_store):
    store = open_store()
    sealed = store.seal(ANNA, b"anna", context=b"c")
    store.close()
    again = open_store(seed=2)
    assert again.unseal(ANNA, sealed, context=b"c") == b"anna"
    assert again.seal(ANNA, b"more", context=b"c")[:17] == sealed[:17], "the same key"


def test_the_key_encryption_key_is_made_once_and_only_its_owner_reads_it(open_store, tmp_path):
    open_store()
    kek = (tmp_path / "kek").read_bytes()
    open_store(seed=2)
    assert len(kek) == 32
    assert (tmp_path / "kek").read_bytes() == kek
    assert (tmp_path / "kek").stat().st_mode & 0o777 == 0o600


def test_an_interrupted_first_start_leaves_no_half_key(open_store, tmp_path):
    (tmp_path / "kek.new").write_bytes(b"half")
    open_store()
    assert not (tmp_path / "kek.new").exists()


def test_a_missing_key_encryption_key_is_never_replaced(open_store, tmp_path):
    open_store()
    (tmp_path / "kek").unlink()
    with pytest.raises(ConfigurationError, match="restore it"):
        open_store()
    assert not (tmp_path / "kek").exists()


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        (bytes(32), 0o600, "not the key-encryption key"),
        (bytes(31), 0o600, "32 bytes were expected, it has 31"),
        (bytes(32), 0o644, "mode 0644 lets others read it"),
    ],
)
def test_a_wrong_key_encryption_key_is_refused(open_store, tmp_path, content, mode, message):
    open_store()
    (tmp_path / "kek").write_bytes(content)
    (tmp_path / "kek").chmod(mode)
    with pytest.raises(ConfigurationError, match=message):
        open_store()


def test_erasure_leaves_no_trace_of_the_key_on_disk(open_store, tmp_path):
    store = open_store()
    store.seal(ANNA, b"anna", context=b"c")
    query = "SELECT wrapped FROM keys"
    wrapped = sqlite3.connect(tmp_path / "keys.db").execute(query).fetchone()[0]
    files = [tmp_path / "keys.db", tmp_path / "keys.db-wal"]
    assert any(wrapped in file.read_bytes() for file in files)
    store.erase(ANNA)
    assert not any(wrapped in file.read_bytes() for file in files)


def test_an_erasure_that_a_reader_blocks_says_so_and_is_finished_by_repeating_it(
    open_store, tmp_path
):
    store = open_store()
    sealed = store.seal(ANNA, b"anna", context=b"c")
    reader = sqlite3.connect(tmp_path / "keys.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM keys").fetchone()
    with pytest.raises(Busy, match="erase again"):
        store.erase(ANNA)
    assert store.unseal(ANNA, sealed, context=b"c") is None
    reader.close()
    assert store.erase(ANNA) == 0
    assert (tmp_path / "keys.db-wal").stat().st_size == 0


def test_a_copied_database_opens_nothing_without_its_key_encryption_key(open_store, tmp_path):
    open_store().seal(ANNA, b"anna", context=b"c")
    with pytest.raises(ConfigurationError):
        SqliteKeyStore.open(
            tmp_path / "keys.db", tmp_path / "other" / "kek", entropy=SeededEntropy(3)
        )
