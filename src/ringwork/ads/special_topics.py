"""Topics that no profile is made of: what they are about reveals special categories of data.

DSA, article 26(3): no ads based on profiling with the special categories of GDPR, article 9(1):
origin, political opinions, beliefs, union membership, genetic and biometric data, health, sex life
and orientation. The ids are those of the IAB Content Taxonomy 3.1. An operator whose topics are of
another taxonomy adds its own (``history.special_topics``); none can be taken away.
"""

from __future__ import annotations

from typing import Final

HEALTH: Final = frozenset(
    {str(id) for id in range(286, 324)}  # Medical Health and all below it
    | {"224", "228", "230", "231", "233", "234", "235", "236", "237", "238"}  # of Healthy Living
    | {"399"}  # health insurance
)
POLITICS: Final = frozenset({"386", "387", "388", "8YPBBL"})
BELIEFS: Final = frozenset({str(id) for id in range(453, 464)} | {"361"})
SENSITIVE: Final = frozenset(
    {
        "v9i3On", "Rm3SiT", "avbNf2", "XtODT3", "I4GWl6", "Z7rJBM", "HxqYV1", "pg0WhF", "j9PaO9",
        "mm3UXx", "6i4dB6", "8FD8nI",
    }
)  # fmt: skip
"""The taxonomy's own "Sensitive Topics": sex, drugs, debated social issues and the like."""

SPECIAL_TOPICS: Final = HEALTH | POLITICS | BELIEFS | SENSITIVE
