"""The IAB Transparency and Consent Framework, strings of version 2.

``decode`` and ``encode`` are faithful and know no clock; ``verdict`` says whether a string counts
now, ``permissions`` what it permits a vendor. ``plain`` is the form for JSON.
"""

from ringwork.consent.tcf.macros import expand
from ringwork.consent.tcf.permissions import Basis, Permissions, permissions
from ringwork.consent.tcf.rules import DEFAULT_RULES, TcfRules, Verdict, holds_all_day, verdict
from ringwork.consent.tcf.string import Restriction, TcString, decode, encode, plain

__all__ = [
    "DEFAULT_RULES",
    "Basis",
    "Permissions",
    "Restriction",
    "TcString",
    "TcfRules",
    "Verdict",
    "decode",
    "encode",
    "expand",
    "holds_all_day",
    "permissions",
    "plain",
    "verdict",
]
