"""The words: complete in every locale, priced as the locale writes it, hashed as they are shown."""

from __future__ import annotations

import re
from hashlib import sha256
from importlib.resources import files

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.consent.choice.texts import (
    LOCALES,
    OPTIONS,
    Offer,
    Texts,
    load,
    money,
    negotiate,
    notice,
)
from ringwork.kernel.purpose import PURPOSES

OFFER = Offer(plan="p", currency="EUR", price_nanos=5_990_000_000)
SLOTS = re.compile(r"\{[a-z]*\}")


def strings_of(value: object, path: str = "") -> dict[str, str]:
    if isinstance(value, dict):
        found: dict[str, str] = {}
        for key, each in value.items():
            found |= strings_of(each, f"{path}/{key}")
        return found
    return {path: str(value)}


def test_every_locale_has_every_word_and_the_same_slots():
    english = strings_of(msgspec.to_builtins(load()["en"].texts))
    for code, locale in load().items():
        words = strings_of(msgspec.to_builtins(locale.texts))
        assert words.keys() == english.keys(), code
        for path, text in words.items():
            assert text.strip() or path == "/thousands", (code, path)
            assert sorted(SLOTS.findall(text)) == sorted(SLOTS.findall(english[path])), (code, path)
        assert set(locale.texts.purposes) == set(PURPOSES)
        assert set(locale.texts.options) == set(OPTIONS)


def test_a_version_is_the_hash_of_its_file():
    for code, locale in load().items():
        data = (files("ringwork.consent.choice") / "strings" / f"{code}.json").read_bytes()
        assert locale.version == sha256(data).hexdigest()[:16]
    assert set(load()) == set(LOCALES)


@pytest.mark.parametrize(
    ("code", "currency", "nanos", "written"),
    [
        ("en", "EUR", 5_990_000_000, "€5.99"),
        ("de", "EUR", 1_234_500_000_000, "1.234,50\u00a0€"),
        ("fr", "USD", 7_990_000_000, "7,99\u00a0$"),
        ("pt", "BRL", 10_000_000_000, "10,00\u00a0R$"),
        ("en", "CHF", 12_345_000_000, "CHF\u00a012.345"),
        ("en", "EUR", 0, "€0.00"),
    ],
)
def test_money_is_written_as_the_locale_does(code, currency, nanos, written):
    assert money(load()[code].texts, currency, nanos) == written


@given(st.integers(0, 2**53 - 1), st.sampled_from(LOCALES))
def test_no_nano_of_a_price_is_lost(nanos, code):
    texts = load()[code].texts
    shown = money(texts, "EUR", nanos).replace("€", "").strip()
    units, _, fraction = shown.replace(texts.thousands, "").partition(texts.decimal)
    assert int(units) * 10**9 + int(fraction.ljust(9, "0")) == nanos


def test_the_hash_is_of_what_is_read_before_deciding():
    texts = load()["en"].texts
    seen = notice(texts, "Casa", OPTIONS, OFFER)
    lines = seen.text.split("\n")
    assert lines[0] == "How should Casa show you ads?"
    assert len(lines) == 2 + 3 * len(OPTIONS)
    assert seen.sha256 == sha256(seen.text.encode()).hexdigest()
    dearer = Offer(plan="p", currency="EUR", price_nanos=6_990_000_000)
    others = (
        notice(texts, "Casa", OPTIONS, dearer),
        notice(texts, "Casa", ("personalised", "less"), None),
        notice(texts, "Bazaar", OPTIONS, OFFER),
        notice(load()["de"].texts, "Casa", OPTIONS, OFFER),
    )
    assert len({seen.sha256, *(one.sha256 for one in others)}) == 5
    assert notice(texts, "Casa", reversed(OPTIONS), OFFER).sha256 == seen.sha256


def test_a_publishers_name_is_no_template():
    assert "{price}" in notice(load()["en"].texts, "{price}", OPTIONS, OFFER).title


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("pt-BR", "pt"), ("DE", "de"), ("it,fr;q=0.2,de;q=0.7", "de"), ("*", "en"),
        ("fr;q=oops", "en"), (";;;,,,", "en"), ("fr;q=nan", "en"), ("x" * 5000, "en"),
    ],
)  # fmt: skip
def test_the_locale_is_the_best_that_we_have(asked, found):
    assert negotiate(asked) == found


@given(st.text(max_size=100))
def test_any_header_names_a_locale(text):
    assert negotiate(text) in LOCALES


def test_a_file_with_an_unknown_or_missing_word_is_refused():
    whole = msgspec.to_builtins(load()["en"].texts)
    for broken in ({**whole, "colour": "x"}, {k: v for k, v in whole.items() if k != "title"}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(broken, type=Texts)
