"""Macros in markup and tag URLs of other ad servers, filled in when an ad is shown.

``${CLICK_URL}`` is our click URL as it is, ``${CLICK_URL_ENC}`` the same percent-encoded for use as
a parameter, ``${CACHEBUSTER}`` and ``[timestamp]`` a number that differs with every impression. A
text is cut into pieces once; filling it in joins them, so that what is filled in is never searched
again.
"""

from __future__ import annotations

import re
from typing import Final, Literal, cast
from urllib.parse import quote

from msgspec import Struct

Macro = Literal["${CLICK_URL}", "${CLICK_URL_ENC}", "${CACHEBUSTER}", "[timestamp]"]

CLICK_MACROS: Final = ("${CLICK_URL}", "${CLICK_URL_ENC}")

_KNOWN: Final = re.compile(r"(\$\{CLICK_URL\}|\$\{CLICK_URL_ENC\}|\$\{CACHEBUSTER\}|\[timestamp\])")
_ANY: Final = re.compile(r"\$\{[A-Z][A-Z0-9_:]{0,60}\}")


class Values(Struct, frozen=True):
    """What one impression fills in."""

    click_url: str
    """Holds nothing that HTML, XML or a string in a script would have to escape."""
    cachebuster: int

    @classmethod
    def of(cls, click_url: str, impression_id: bytes) -> Values:
        """The values of an impression; its id is random, so its last bytes bust any cache."""
        return cls(click_url, int.from_bytes(impression_id[-6:], "big"))

    def of_macro(self, macro: Macro) -> str:
        """What stands for a macro."""
        if macro == "${CLICK_URL}":
            return self.click_url
        if macro == "${CLICK_URL_ENC}":
            return quote(self.click_url, safe="")
        return str(self.cachebuster)


class Template(Struct, frozen=True):
    """A text cut at its macros: ``texts`` has one member more than ``macros``."""

    texts: tuple[str, ...]
    macros: tuple[Macro, ...]

    @classmethod
    def of(cls, text: str) -> Template:
        """Cut a text.

        >>> Template.of("a${CLICK_URL}b").fill(Values("https://c.example/c/T", 7))
        'ahttps://c.example/c/Tb'
        """
        pieces = _KNOWN.split(text)
        return cls(tuple(pieces[::2]), tuple(cast("Macro", one) for one in pieces[1::2]))

    def fill(self, values: Values) -> str:
        """The text of one impression."""
        if not self.macros:
            return self.texts[0]
        parts = [self.texts[0]]
        for macro, text in zip(self.macros, self.texts[1:], strict=True):
            parts += (values.of_macro(macro), text)
        return "".join(parts)


def unknown_macros(text: str) -> list[str]:
    """Macros in capitals that nobody fills in, each once, in the order in which they stand."""
    found = dict.fromkeys(_ANY.findall(text))
    return [one for one in found if _KNOWN.fullmatch(one) is None]
