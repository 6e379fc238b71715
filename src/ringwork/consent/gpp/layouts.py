"""The sections of the GPP as data: ids, names, and the fields of every US section in their order.

IAB Tech Lab, Global Privacy Platform (CC BY 3.0), as @iabgpp/cmpapi 3.2.0 implements it. ``NAME*n``
is a list of n numbers; a number has 2 bits unless ``:n`` says otherwise.
"""

from __future__ import annotations

from functools import cache
from typing import Final, Literal

from msgspec import Struct

Extra = Literal["", "gpc", "sensitive"]
"""The second subsection: ``Gpc``, or the sensitive data that the others have in the core."""

TCF_EU: Final = 2
TCF_CA: Final = 5
USP: Final = 6
US_NATIONAL: Final = 7

NAMES: Final = {
    1: "tcfeuv1", 2: "tcfeuv2", 3: "header", 4: "integrity", 5: "tcfcav1", 6: "uspv1",
    7: "usnat", 8: "usca", 9: "usva", 10: "usco", 11: "usut", 12: "usct", 13: "usfl", 14: "usmt",
    15: "usor", 16: "ustx", 17: "usde", 18: "usia", 19: "usne", 20: "usnh", 21: "usnj",
    22: "ustn", 23: "usmn", 24: "usmd", 25: "usin", 26: "usky", 27: "usri",
}  # fmt: skip
IDS: Final = {name: number for number, name in NAMES.items()}

_MSPA: Final = "MspaCoveredTransaction MspaOptOutOptionMode MspaServiceProviderMode"
_SENSITIVE: Final = "SensitiveDataProcessing"
_CHILD: Final = "KnownChildSensitiveDataConsents"
_TWO: Final = (
    "SaleOptOutNotice TargetedAdvertisingOptOutNotice SaleOptOut TargetedAdvertisingOptOut"
)
_NATIONAL: Final = (
    "SharingNotice SaleOptOutNotice SharingOptOutNotice TargetedAdvertisingOptOutNotice "
    "SensitiveDataProcessingOptOutNotice SensitiveDataLimitUseNotice SaleOptOut SharingOptOut "
    "TargetedAdvertisingOptOut"
)
_DRAFT: Final = f"MspaVersion:6 MspaCoveredTransaction MspaMode ProcessingNotice {_TWO}"

# id, version, extra subsection, fields after the version
_TABLE: Final[tuple[tuple[int, int, Extra, str], ...]] = (
    (7, 1, "gpc", f"{_NATIONAL} {_SENSITIVE}*12 {_CHILD}*2 PersonalDataConsents {_MSPA}"),
    (7, 2, "gpc", f"{_NATIONAL} {_SENSITIVE}*16 {_CHILD}*3 PersonalDataConsents {_MSPA}"),
    (8, 1, "gpc", "SaleOptOutNotice SharingOptOutNotice SensitiveDataLimitUseNotice SaleOptOut "
     f"SharingOptOut {_SENSITIVE}*9 {_CHILD}*2 PersonalDataConsents {_MSPA}"),
    (9, 1, "", f"SharingNotice {_TWO} {_SENSITIVE}*8 {_CHILD} {_MSPA}"),
    (10, 1, "gpc", f"SharingNotice {_TWO} {_SENSITIVE}*7 {_CHILD} {_MSPA}"),
    (11, 1, "", "SharingNotice SaleOptOutNotice TargetedAdvertisingOptOutNotice "
     "SensitiveDataProcessingOptOutNotice SaleOptOut TargetedAdvertisingOptOut "
     f"{_SENSITIVE}*8 {_CHILD} {_MSPA}"),
    (12, 1, "gpc", f"SharingNotice {_TWO} {_SENSITIVE}*8 {_CHILD}*3 {_MSPA}"),
    (13, 1, "", f"ProcessingNotice {_TWO} {_SENSITIVE}*8 {_CHILD}*3 "
     f"AdditionalDataProcessingConsent {_MSPA}"),
    (14, 1, "gpc", f"SharingNotice {_TWO} {_SENSITIVE}*8 {_CHILD}*3 "
     f"AdditionalDataProcessingConsent {_MSPA}"),
    (18, 1, "gpc", "ProcessingNotice SaleOptOutNotice TargetedAdvertisingOptOutNotice "
     "SensitiveDataOptOutNotice SaleOptOut TargetedAdvertisingOptOut "
     f"{_SENSITIVE}*8 {_CHILD} {_MSPA}"),
    *(
        (id, 1, "gpc", f"ProcessingNotice {_TWO} {_SENSITIVE}*{sensitive} {_CHILD}{child} "
         f"AdditionalDataProcessingConsent {_MSPA}")
        for id, sensitive, child in (
            (15, 11, "*3"), (16, 8, ""), (17, 9, "*5"), (19, 8, ""), (20, 8, "*3"),
            (21, 10, "*5"), (22, 8, ""), (23, 8, ""),
        )
    ),
    (24, 1, "gpc", f"{_DRAFT} AdditionalDataProcessingConsent"),
    *(
        (id, 1, "sensitive", f"{_DRAFT} {_CHILD} AdditionalDataProcessingConsent")
        for id in (25, 26, 27)
    ),
)  # fmt: skip

DRAFTS: Final = range(24, 28)
"""In public comment since October 2025: no version field, and two forms (see ``us``)."""

_RACE, _BELIEF, _HEALTH, _SEX = "racial-or-ethnic-origin", "religion", "health", "sexuality"
_STATUS, _GENES, _BODY, _PLACE = "citizenship", "genetics", "biometrics", "precise-location"
_GENDER, _NATION, _VICTIM = "transgender-or-nonbinary", "national-origin", "victim-of-crime"
_CARD, _ACCOUNT, _UNION, _MAIL = "government-id", "account-login", "union-membership", "mail"
_EIGHT: Final = (_RACE, _BELIEF, _HEALTH, _SEX, _STATUS, _GENES, _BODY, _PLACE)
PRECISE_LOCATION: Final = _PLACE

# What the entries of SensitiveDataProcessing are about, in the words that we use for all states.
_CATEGORIES: Final[dict[int, tuple[str, ...]]] = {
    7: (*_EIGHT, _CARD, _ACCOUNT, _UNION, _MAIL, "consumer-health", _VICTIM, _NATION, _GENDER),
    8: (_CARD, _ACCOUNT, _PLACE, f"{_RACE}, {_BELIEF}, {_UNION}", _MAIL, _GENES, _BODY, _HEALTH,
        _SEX),
    10: _EIGHT[:7],
    11: (_RACE, _BELIEF, _SEX, _STATUS, _HEALTH, _GENES, _BODY, _PLACE),
    15: (_RACE, _BELIEF, _HEALTH, _SEX, _GENDER, _STATUS, _NATION, _VICTIM, _GENES, _BODY, _PLACE),
    17: (*_EIGHT, _GENDER),
    21: (*_EIGHT, _GENDER, _ACCOUNT),
}  # fmt: skip


def categories_of(section_id: int) -> tuple[str, ...]:
    """What the entries of a section's sensitive data are about, by position."""
    return _CATEGORIES.get(section_id, _EIGHT)


class Field(Struct, frozen=True):
    """``count`` numbers of ``bits`` each; ``count`` 0: one number, no list."""

    name: str
    bits: int = 2
    count: int = 0

    @property
    def width(self) -> int:
        """Bits in all."""
        return self.bits * (self.count or 1)


class Layout(Struct, frozen=True):
    """A US section of one version."""

    id: int
    name: str
    version: int
    extra: Extra
    core: tuple[Field, ...]


VERSION: Final = Field("Version", 6)
GPC_TYPE: Final = 1
SENSITIVE: Final = Field(_SENSITIVE, 2, 8)
"""The second subsection of three of the drafts."""


def _field(text: str) -> Field:
    name, _, count = text.partition("*")
    name, _, bits = name.partition(":")
    return Field(name, int(bits or 2), int(count or 0))


@cache
def us_layouts() -> dict[int, dict[int, Layout]]:
    """Section id -> version -> layout."""
    found: dict[int, dict[int, Layout]] = {}
    for id, version, extra, names in _TABLE:
        fields = tuple(_field(one) for one in names.split())
        core = fields if id in DRAFTS else (VERSION, *fields)
        found.setdefault(id, {})[version] = Layout(id, NAMES[id], version, extra, core)
    return found
