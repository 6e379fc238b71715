"""OpenRTB 2.5 kept some members in ``ext`` that 2.6 has a place for: move them there.

Where both are present and different the 2.6 member wins, with a warning. ``user.ext.eids`` is not
moved: nothing may read it. The 2.5 member stays where it was.
"""

from __future__ import annotations

from typing import TypeVar

from ringwork.ads.openrtb.impressions import Imp
from ringwork.ads.openrtb.structs import BidRequest

T = TypeVar("T")


def lift(request: BidRequest, warnings: list[str] | None = None) -> None:
    """Fill the 2.6 members of ``request``; append a line per contradiction to ``warnings``."""
    notes: list[str] = []
    regs, user, source = request.regs, request.user, request.source
    if regs is not None and regs.ext is not None:
        regs.gdpr = _newer(regs.gdpr, regs.ext.gdpr, "regs", "gdpr", notes)
        regs.us_privacy = _newer(regs.us_privacy, regs.ext.us_privacy, "regs", "us_privacy", notes)
    if user is not None and user.ext is not None:
        user.consent = _newer(user.consent, user.ext.consent, "user", "consent", notes)
    if source is not None and source.ext is not None:
        source.schain = _newer(source.schain, source.ext.schain, "source", "schain", notes)
    for imp in request.imp or ():
        if imp.ext is not None:
            _lift_rewarded(imp, notes)
    if warnings is not None:
        warnings += notes


def _lift_rewarded(imp: Imp, notes: list[str]) -> None:
    ext = imp.ext
    assert ext is not None
    older = ext.rwdd
    if older is None and ext.prebid is not None and ext.prebid.is_rewarded_inventory is not None:
        older = int(ext.prebid.is_rewarded_inventory)
    imp.rwdd = _newer(imp.rwdd, older, "imp", "rwdd", notes)


def _newer(newer: T | None, older: T | None, parent: str, name: str, notes: list[str]) -> T | None:
    if newer is None:
        return older
    if older is not None and older != newer:
        notes.append(f"{parent}.{name} and {parent}.ext.{name} differ: {parent}.{name} counts")
    return newer
