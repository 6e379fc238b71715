"""Addresses, colours and seals: what a page's query and its form may say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringwork.consent.choice.visits import (
    Link,
    Seals,
    Ticket,
    Visit,
    contrast,
    is_dark,
    origin_of,
)
from ringwork.kernel.viewer import SECRET_PERSON

SEALS = Seals(b"a" * 32)
VISIT = Visit(publisher="casa", person="r.0123456789abcdefABCDEF")
LINK = Link(VISIT, 1_800_000_000)


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://casa.example/a?b#c", "https://casa.example"),
        ("http://CASA.example:8080", "http://casa.example:8080"),
        ("https://casa.example:99999/", ""),
        ("https://user@casa.example/", ""),
        ("https://casa.example\\.evil.example/", ""),
        ("https:/\tcasa.example/", ""),
        (" https://casa.example/", ""),
        ("//casa.example/", ""),
        ("javascript:alert(1)", ""),
        ("data:text/html,x", ""),
        ("https://[::1", ""),
    ],
)
def test_the_origin_of_an_address_is_where_a_browser_would_go(address, origin):
    assert origin_of(address) == origin


@given(st.text(max_size=60))
def test_no_address_is_a_bug(text):
    origin = origin_of(text)
    assert origin == "" or origin.startswith(("http://", "https://"))


def test_contrasts_are_those_of_the_standard():
    assert contrast("ffffff", "000000") == 21.0
    assert contrast("ffffff", "ffffff") == 1.0
    assert round(contrast("767676", "ffffff"), 2) == 4.54  # the lightest grey that passes on white
    assert is_dark("1a1917")
    assert not is_dark("ffffff")


def test_a_seal_opens_what_it_sealed_and_as_nothing_else():
    text = SEALS.seal(LINK)
    assert SEALS.open(text, Link) == LINK
    assert SEALS.open(text, Ticket) is None
    assert Seals(b"b" * 32).open(text, Link) is None


@given(st.data())
def test_no_other_text_opens(data):
    text = SEALS.seal(LINK)
    at = data.draw(st.integers(0, len(text) - 2))  # the last character has bits without meaning
    other = data.draw(st.characters(codec="ascii").filter(lambda one: one != text[at]))
    assert SEALS.open(text[:at] + other + text[at + 1 :], Link) in (None, LINK)
    assert SEALS.open(data.draw(st.text(max_size=80)), Link) is None


def test_only_an_id_that_nobody_guesses_is_its_own_key():
    assert SECRET_PERSON.fullmatch("r." + "a" * 22)
    for known in ("r." + "a" * 21, "a" * 40, "customer-00000000000000000017", "r." + "a" * 65):
        assert not SECRET_PERSON.fullmatch(known)
