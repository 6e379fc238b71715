"""The form that Meta describes: the value times ``exp(-prices . (q - e))``, q by cluster only.

Towards fairness in personalized ads (2023) and arXiv 2306.03293: a pacing multiplier per ad moves
with the gap between eligible and delivery ratio. What it multiplies grows with the value, so it
pays most where the ad gains most, which is what makes it dear (specification 4.8).
"""

from __future__ import annotations

from ringwork.fairness.control.pid import Pid


class Multiplier(Pid):
    """PI on the same deviation as ``pid``; only the form of the shift differs."""

    name = "multiplier"
    is_multiplier = True
