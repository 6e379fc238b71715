"""The IAB Global Privacy Platform: header, every section, both ways.

``decode`` and ``encode`` are faithful; ``split`` and ``decode_section`` read only what is asked
for, ``plain`` is the form for JSON. Layouts are data (``layouts``).
"""

from ringwork.consent.gpp.canada import CanadaRestriction, CanadaTc
from ringwork.consent.gpp.layouts import IDS, NAMES
from ringwork.consent.gpp.string import (
    GppString,
    Part,
    Section,
    decode,
    decode_section,
    encode,
    encode_section,
    plain,
    plain_section,
    split,
)
from ringwork.consent.gpp.us import UsFields

__all__ = [
    "IDS",
    "NAMES",
    "CanadaRestriction",
    "CanadaTc",
    "GppString",
    "Part",
    "Section",
    "UsFields",
    "decode",
    "decode_section",
    "encode",
    "encode_section",
    "plain",
    "plain_section",
    "split",
]
