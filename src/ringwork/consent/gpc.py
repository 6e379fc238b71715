"""Global Privacy Control: the header ``Sec-GPC: 1``, and the site's own statement about it."""

from __future__ import annotations

from datetime import date
from typing import Final

from msgspec import Struct

HEADER: Final = "sec-gpc"
WELL_KNOWN: Final = "/.well-known/gpc.json"


def is_on(value: str | int | bool | None) -> bool:
    """Whether a header, or OpenRTB's ``regs.ext.gpc``, asks not to be sold.

    The standard knows the value ``1`` alone; another one is no signal.

    >>> is_on("1"), is_on("0"), is_on(None)
    (True, False, False)
    """
    return str(value).strip() == "1" if not isinstance(value, bool) else value


class GpcStatement(Struct, frozen=True, rename="camel"):
    """The body of ``/.well-known/gpc.json``: that the site honours the signal, since when."""

    last_update: date
    gpc: bool = True
