"""Where the GDPR, or its twin in the United Kingdom, applies: data, by ISO 3166-1."""

from __future__ import annotations

from typing import Final

# Alpha-3 -> alpha-2; the default list of Prebid Server: EEA, United Kingdom and their territories.
EEA: Final = {
    "ALA": "AX", "AUT": "AT", "BEL": "BE", "BGR": "BG", "HRV": "HR", "CYP": "CY", "CZE": "CZ",
    "DNK": "DK", "EST": "EE", "FIN": "FI", "FRA": "FR", "GUF": "GF", "DEU": "DE", "GIB": "GI",
    "GRC": "GR", "GLP": "GP", "GGY": "GG", "HUN": "HU", "ISL": "IS", "IRL": "IE", "IMN": "IM",
    "ITA": "IT", "JEY": "JE", "LVA": "LV", "LIE": "LI", "LTU": "LT", "LUX": "LU", "MLT": "MT",
    "MTQ": "MQ", "MYT": "YT", "NLD": "NL", "NOR": "NO", "POL": "PL", "PRT": "PT", "REU": "RE",
    "ROU": "RO", "BLM": "BL", "MAF": "MF", "SPM": "PM", "SVK": "SK", "SVN": "SI", "ESP": "ES",
    "SWE": "SE", "GBR": "GB",
}  # fmt: skip

GDPR_COUNTRIES: Final = frozenset(EEA) | frozenset(EEA.values())
"""Either code of each."""
