"""What the numbers of the TCF stand for (policies of TCF 2.2 and later)."""

from __future__ import annotations

from typing import Final

PURPOSES: Final = {
    1: "store and access information on a device",
    2: "select basic ads",
    3: "create profiles for personalised ads",
    4: "select personalised ads",
    5: "create profiles for personalised content",
    6: "select personalised content",
    7: "measure ads",
    8: "measure content",
    9: "understand audiences by statistics",
    10: "develop and improve services",
    11: "select content by limited data",
}
SPECIAL_FEATURES: Final = {
    1: "use precise geolocation",
    2: "actively scan device characteristics",
}
RESTRICTIONS: Final = {
    0: "not allowed",
    1: "only with consent",
    2: "only by legitimate interest",
    3: "undefined, read as not allowed",
}


def purpose(number: int) -> str:
    """A purpose in words."""
    return PURPOSES.get(number, "undefined")


def special_feature(number: int) -> str:
    """A special feature in words."""
    return SPECIAL_FEATURES.get(number, "undefined")
