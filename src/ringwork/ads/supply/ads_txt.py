"""ads.txt and app-ads.txt: who may sell a publisher's places, as the publisher itself declares it.

Source: IAB Tech Lab, ads.txt 1.1. A line is empty, a record ``system, account, DIRECT|RESELLER
[, certification authority]`` or a variable ``NAME=value``; ``#`` begins a comment, ``;`` an
extension. What cannot be read is left out and named by its line, never guessed at: a seller that is
wrongly taken for authorised is the harm that the file is there to prevent. A file that authorises
nobody says so with the standard's placeholder record.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from msgspec import Struct

Relationship = Literal["DIRECT", "RESELLER"]

TEXT_MAX_CHARS: Final = 4 * 1024 * 1024
"""The largest known files have some thousands of records of about 60 characters."""
LINES_MAX: Final = 50_000
LINE_MAX_CHARS: Final = 1024
FAULTS_MAX: Final = 1000
"""Lines that are named as wrong; a page of HTML is one that is wrong throughout."""

PLACEHOLDER: Final = "placeholder.example.com"
"""The system of the record that stands for: nobody (ads.txt 1.1, 3.2.1)."""

_DOMAIN: Final = re.compile(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*")
"""A single name too, as a platform has that is reached as ``localhost``."""
_ACCOUNT: Final = re.compile(r"[^\s,;#]{1,128}")
_VARIABLE: Final = re.compile(r"([A-Za-z]{1,40})\s*=\s*(.*)")
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_RELATIONSHIPS: Final[dict[str, Relationship]] = {"DIRECT": "DIRECT", "RESELLER": "RESELLER"}


class Record(Struct, frozen=True, forbid_unknown_fields=True):
    """A system in which an account may sell the places."""

    system: str
    """Its domain, as its sellers.json and supply chain nodes have it."""
    account: str
    relationship: Relationship
    """DIRECT: the account is the publisher's own."""
    authority: str = ""
    """Its id at a certification authority."""


class Manager(Struct, frozen=True):
    """Who alone manages the places, everywhere or in one country (ISO 3166-1 alpha-2)."""

    domain: str
    country: str = ""


def is_domain(text: str) -> bool:
    """Whether a record or a variable may name it."""
    return _DOMAIN.fullmatch(text) is not None


class AdsTxt(Struct, frozen=True, kw_only=True):
    """What a file declares."""

    records: tuple[Record, ...] = ()
    owner: str = ""
    """The domain of the business that owns the site (OWNERDOMAIN); empty: the site's own."""
    managers: tuple[Manager, ...] = ()
    contacts: tuple[str, ...] = ()
    subdomains: tuple[str, ...] = ()
    """Subdomains with a file of their own."""
    inventory_partners: tuple[str, ...] = ()

    def authorises(self, system: str, account: str) -> Relationship | None:
        """How that account may sell here; None where it may not.

        Account ids are compared as they are written (ads.txt 1.1, 3.3).
        """
        for record in self.records:
            if record.system == system.lower() and record.account == account:
                return record.relationship
        return None


class BadLine(Struct, frozen=True):
    """A line that declares nothing, and why."""

    number: int
    """From 1."""
    problem: str


def parse(text: str) -> tuple[AdsTxt, list[BadLine]]:
    r"""What a file declares, and the lines of it that could not be read.

    >>> found, wrong = parse("exchange.example, pub-1, direct\nexchange.example; pub-2")
    >>> found.authorises("exchange.example", "pub-1"), wrong[0].number
    ('DIRECT', 2)
    """
    reading = _Reading()
    for number, line in enumerate(_lines(text), 1):
        problem = reading.take(line)
        if problem and len(reading.wrong) < FAULTS_MAX:
            reading.wrong.append(BadLine(number, problem))
    return reading.found(), reading.wrong


def write(file: AdsTxt, *, comment: str = "") -> str:
    """The text of a file, a record a line; ValueError for what could not be read back."""
    lines = [f"# {one}" for one in comment.splitlines()]
    if file.owner:
        lines.append(f"OWNERDOMAIN={file.owner}")
    for manager in file.managers:
        country = f",{manager.country}" if manager.country else ""
        lines.append(f"MANAGERDOMAIN={manager.domain}{country}")
    lines += [f"CONTACT={one}" for one in file.contacts]
    lines += [f"SUBDOMAIN={one}" for one in file.subdomains]
    lines += [f"INVENTORYPARTNERDOMAIN={one}" for one in file.inventory_partners]
    if not file.records:
        lines.append(f"{PLACEHOLDER}, placeholder, DIRECT, placeholder")
    for record in file.records:
        authority = f", {record.authority}" if record.authority else ""
        lines.append(f"{record.system}, {record.account}, {record.relationship}{authority}")
    text = "\n".join([*lines, ""])
    found, wrong = parse(text)
    if wrong:
        line = text.splitlines()[wrong[0].number - 1]
        raise ValueError(f"no line that the format can hold: {line[:200]!r}: {wrong[0].problem}")
    if found != file:
        raise ValueError("a domain, account or text of the file is none that its format can hold")
    return text


def _lines(text: str) -> list[str]:
    """The lines within the bounds; CR, LF and both end a line."""
    plain = text[:TEXT_MAX_CHARS].removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return plain.split("\n")[:LINES_MAX]


class _Reading:
    """A file while it is read."""

    def __init__(self) -> None:
        self.records: dict[Record, None] = {}
        self.owner = ""
        self.managers: dict[str, Manager] = {}
        """By country."""
        self.named: dict[str, dict[str, None]] = {
            "CONTACT": {}, "SUBDOMAIN": {}, "INVENTORYPARTNERDOMAIN": {},
        }  # fmt: skip
        self.wrong: list[BadLine] = []

    def take(self, line: str) -> str:
        """Read one line; what is wrong with it, or nothing."""
        if len(line) > LINE_MAX_CHARS:
            return f"expected at most {LINE_MAX_CHARS} characters, got {len(line)}"
        line = line.partition("#")[0].strip()
        if not line:
            return ""
        variable = _VARIABLE.fullmatch(line)
        if variable is not None:
            return self._variable(variable[1].upper(), variable[2].partition(";")[0].strip())
        return self._record([one.strip() for one in line.partition(";")[0].split(",")])

    def _record(self, fields: list[str]) -> str:
        if not 3 <= len(fields) <= 4:
            return f"expected 3 or 4 values, got {len(fields)}"
        system, account, relationship = fields[0].lower(), fields[1], fields[2].upper()
        authority = fields[3] if len(fields) == 4 else ""
        if not _DOMAIN.fullmatch(system):
            return f"expected a domain first, got {system[:64]!r}"
        if not _ACCOUNT.fullmatch(account):
            return f"expected an account second, got {account[:64]!r}"
        known = _RELATIONSHIPS.get(relationship)
        if known is None:
            return f"expected DIRECT or RESELLER third, got {relationship[:64]!r}"
        if authority and not _ACCOUNT.fullmatch(authority):
            return f"expected the id of a certification authority fourth, got {authority[:64]!r}"
        if system != PLACEHOLDER:
            self.records[Record(system, account, known, authority)] = None
        return ""

    def _variable(self, name: str, value: str) -> str:
        if not value:
            return f"expected a value of {name}, got none"
        if name == "OWNERDOMAIN":
            return self._owner(value.lower())
        if name == "MANAGERDOMAIN":
            return self._manager(value)
        values = self.named.get(name)
        if values is None:
            return ""  # a later version's variable is no mistake
        if name != "CONTACT":
            value = value.lower()
            if not _DOMAIN.fullmatch(value):
                return f"expected a domain in {name}, got {value[:64]!r}"
        values[value] = None
        return ""

    def _owner(self, domain: str) -> str:
        if not _DOMAIN.fullmatch(domain):
            return f"expected a domain in OWNERDOMAIN, got {domain[:64]!r}"
        if self.owner:
            return "OWNERDOMAIN is given before, and the first one counts"
        self.owner = domain
        return ""

    def _manager(self, value: str) -> str:
        domain, _, country = (one.strip() for one in value.partition(","))
        domain, country = domain.lower(), country.upper()
        if not _DOMAIN.fullmatch(domain):
            return f"expected a domain in MANAGERDOMAIN, got {domain[:64]!r}"
        if country and not _COUNTRY.fullmatch(country):
            return f"expected a country of two letters in MANAGERDOMAIN, got {country[:64]!r}"
        if country in self.managers:
            return f"MANAGERDOMAIN is given before for {country or 'everywhere'}"
        self.managers[country] = Manager(domain, country)
        return ""

    def found(self) -> AdsTxt:
        return AdsTxt(
            records=tuple(self.records),
            owner=self.owner,
            managers=tuple(self.managers.values()),
            contacts=tuple(self.named["CONTACT"]),
            subdomains=tuple(self.named["SUBDOMAIN"]),
            inventory_partners=tuple(self.named["INVENTORYPARTNERDOMAIN"]),
        )
