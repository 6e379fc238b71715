"""The conformance suite of the KeyStore port: sealing, tampering, erasure.

Each check takes an empty store; ``check_keystore(make)`` runs all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ringwork.kernel.errors import SealBroken
from ringwork.kernel.ports import KeyStore
from ringwork.testing.raises import raises

ANNA, BEN = b"a" * 16, b"b" * 16
PLACE, OTHER_PLACE = b"event-1/email", b"event-2/email"


def unseals_what_it_sealed(store: KeyStore) -> None:
    """Any bytes, the empty ones too; the sealed form does not contain them."""
    for plain in (b"anna@example.org", b"", bytes(100_000)):
        sealed = store.seal(ANNA, plain, context=PLACE)
        assert not plain or plain not in sealed
        assert store.unseal(ANNA, sealed, context=PLACE) == plain


def equal_values_seal_differently(store: KeyStore) -> None:
    """Otherwise the ciphertext would tell who shares a value."""
    sealed = {store.seal(ANNA, b"same", context=PLACE) for _ in range(3)}
    assert len(sealed) == 3


def a_sealed_value_belongs_to_its_place(store: KeyStore) -> None:
    """Another context or subject does not open it."""
    sealed = store.seal(ANNA, b"anna@example.org", context=PLACE)
    store.seal(BEN, b"ben@example.org", context=PLACE)
    with raises(SealBroken):
        store.unseal(ANNA, sealed, context=OTHER_PLACE)
    with raises(SealBroken):
        store.unseal(BEN, sealed, context=PLACE)


def every_changed_byte_is_noticed(store: KeyStore) -> None:
    """Flipped, cut or appended: SealBroken, never another plain text and never "erased"."""
    sealed = store.seal(ANNA, b"anna", context=PLACE)
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 0x01
        with raises(SealBroken):
            store.unseal(ANNA, bytes(changed), context=PLACE)
    for length in range(len(sealed)):
        with raises(SealBroken):
            store.unseal(ANNA, sealed[:length], context=PLACE)
    with raises(SealBroken):
        store.unseal(ANNA, sealed + b"\0", context=PLACE)


def an_erased_subject_is_unreadable(store: KeyStore) -> None:
    """All of the subject's values read as erased, nobody else's."""
    sealed = [store.seal(ANNA, value, context=PLACE) for value in (b"one", b"two")]
    bens = store.seal(BEN, b"ben", context=PLACE)
    assert store.holds(ANNA)
    assert store.erase(ANNA) == 1
    assert not store.holds(ANNA)
    assert [store.unseal(ANNA, value, context=PLACE) for value in sealed] == [None, None]
    assert store.unseal(BEN, bens, context=PLACE) == b"ben"


def erasing_nobody_is_harmless(store: KeyStore) -> None:
    """It deletes no key and says so, also the second time."""
    assert store.erase(ANNA) == 0
    store.seal(ANNA, b"anna", context=PLACE)
    assert [store.erase(ANNA), store.erase(ANNA)] == [1, 0]


def a_subject_that_returns_gets_a_fresh_key(store: KeyStore) -> None:
    """Sealing again after erasure works and brings nothing back."""
    old = store.seal(ANNA, b"old", context=PLACE)
    store.erase(ANNA)
    new = store.seal(ANNA, b"new", context=PLACE)
    assert store.holds(ANNA)
    assert store.unseal(ANNA, new, context=PLACE) == b"new"
    assert store.unseal(ANNA, old, context=PLACE) is None
    assert store.erase(ANNA) == 1
    assert store.unseal(ANNA, new, context=PLACE) is None


KEYSTORE_CHECKS: Final[tuple[Callable[[KeyStore], None], ...]] = (
    unseals_what_it_sealed,
    equal_values_seal_differently,
    a_sealed_value_belongs_to_its_place,
    every_changed_byte_is_noticed,
    an_erased_subject_is_unreadable,
    erasing_nobody_is_harmless,
    a_subject_that_returns_gets_a_fresh_key,
)


def check_keystore(make: Callable[[], KeyStore]) -> None:
    """Run every check, each on an empty store."""
    for check in KEYSTORE_CHECKS:
        check(make())
