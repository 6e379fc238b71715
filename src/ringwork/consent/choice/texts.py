"""The words of the choice page, a data file per locale, and the hash of what was shown.

The hash is over what a person reads to decide: title, introduction, each option with its price. The
order of the options is drawn and logged apart, so that one text has one hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from importlib.resources import files
from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from ringwork.kernel.money import NANOS

Option = Literal["subscribe", "personalised", "less"]
OPTIONS: Final[tuple[Option, ...]] = get_args(Option)
FALLBACK: Final = "en"
LOCALES: Final = ("de", "en", "fr", "pt")
RANGES_MAX: Final = 20
"""Languages that are looked at in ``Accept-Language``."""
_SYMBOLS: Final = {"EUR": "€", "GBP": "£", "USD": "$", "BRL": "R$"}


class OptionText(Struct, frozen=True, forbid_unknown_fields=True):
    """One way to go."""

    title: str
    text: str
    button: str


class Texts(Struct, frozen=True, forbid_unknown_fields=True):
    """Every word of one locale; ``{publisher}``, ``{price}`` and the like are filled in."""

    language: str
    title: str
    intro: str
    intro_without: str
    """Where no subscription is offered."""
    options: dict[Option, OptionText]
    minor: str
    mine: str
    now: dict[str, str]
    saved: str
    not_asked: str
    never_asked: str
    change: str
    current: str
    withdraw: str
    record: str
    record_text: str
    nothing_recorded: str
    kept_only: str
    when: str
    what: str
    receipt: str
    text_hash: str
    status: dict[str, str]
    purposes: dict[str, str]
    back: str
    refused_title: str
    refused_text: str
    again: str
    price: str
    periods: dict[str, str]
    tax_included: str
    tax_added: str
    extra: str
    money: str
    decimal: str
    thousands: str


class Locale(Struct, frozen=True):
    """A locale's words, and the version that they have."""

    code: str
    version: str
    """The first 16 hex digits of the SHA-256 of its file."""
    texts: Texts


class Offer(Struct, frozen=True, kw_only=True):
    """What a subscription costs here and now."""

    plan: str
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    price_nanos: int
    period: str = "P1M"
    """ISO 8601."""
    extra_account_nanos: int = 0
    tax_included: bool = True


class Notice(Struct, frozen=True):
    """What is shown: the words of each option that is offered, and their hash."""

    title: str
    intro: str
    options: dict[Option, OptionText]
    text: str
    """Everything that counts, a line each, options in their own order."""
    sha256: str
    """Of ``text`` in UTF-8, in hex."""


def load() -> dict[str, Locale]:
    """Every locale by its code."""
    root = files("ringwork.consent.choice") / "strings"
    found = {}
    for code in LOCALES:
        data = root.joinpath(f"{code}.json").read_bytes()
        version = sha256(data).hexdigest()[:16]
        found[code] = Locale(code, version, msgspec.json.decode(data, type=Texts))
    return found


def negotiate(asked: str, available: Iterable[str] = LOCALES) -> str:
    """The locale for a tag or an ``Accept-Language`` header; ``en`` where none fits.

    >>> (
    ...     negotiate("fr-CA,de;q=0.9"),
    ...     negotiate("it, pt-BR;q=0.5"),
    ...     negotiate("de-x;q=0"),
    ...     negotiate(""),
    ... )
    ('fr', 'pt', 'en', 'en')
    """
    known = frozenset(available)
    ranked = []
    for place, one in enumerate(asked.split(",")[:RANGES_MAX]):
        tag, _, parameters = one.partition(";")
        language = tag.strip().lower().partition("-")[0]
        weight = _weight(parameters)
        if language in known and weight > 0:
            ranked.append((-weight, place, language))
    return min(ranked)[2] if ranked else FALLBACK


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name != "q":
        return 1.0
    try:
        return min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 0.0


def money(texts: Texts, currency: str, nanos: int) -> str:
    r"""An amount as the locale writes it: two digits, more where the price has them.

    >>> money(load()["de"].texts, "EUR", 5_990_000_000), money(load()["en"].texts, "EUR", 10**12)
    ('5,99\xa0€', '€1,000.00')
    """
    units, rest = divmod(nanos, NANOS)
    fraction = f"{rest:09d}".rstrip("0").ljust(2, "0")
    number = f"{units:,}".replace(",", texts.thousands) + texts.decimal + fraction
    symbol = _SYMBOLS.get(currency, f"{currency}\N{NO-BREAK SPACE}")
    return texts.money.format(number=number, symbol=symbol).strip()


def price(texts: Texts, offer: Offer) -> str:
    """What a subscription costs, as a part of a sentence."""
    stated = texts.price.format(
        amount=money(texts, offer.currency, offer.price_nanos),
        period=texts.periods.get(offer.period, offer.period),
        tax=texts.tax_included if offer.tax_included else texts.tax_added,
    )
    if not offer.extra_account_nanos:
        return stated
    extra = money(texts, offer.currency, offer.extra_account_nanos)
    return f"{stated}. {texts.extra.format(amount=extra).rstrip('.')}"


def notice(texts: Texts, publisher: str, offered: Iterable[Option], offer: Offer | None) -> Notice:
    """What is shown to a person who may choose among ``offered``."""
    values: Mapping[str, str] = {
        "publisher": publisher,
        "price": "" if offer is None else price(texts, offer),
    }
    chosen = frozenset(offered)
    options = {
        name: OptionText(one.title, one.text.format_map(values), one.button)
        for name in OPTIONS
        if name in chosen
        for one in (texts.options[name],)
    }
    intro = (texts.intro if "subscribe" in chosen else texts.intro_without).format_map(values)
    title = texts.title.format_map(values)
    lines = [title, intro]
    for one in options.values():
        lines += [one.title, one.text, one.button]
    text = "\n".join(lines)
    return Notice(title, intro, options, text, sha256(text.encode()).hexdigest())
