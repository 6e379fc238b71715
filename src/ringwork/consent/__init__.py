"""Consent: what may be known of whom, and the proof of it.

``tcf`` and ``gpp`` read and write the strings of consent platforms, ``us_privacy`` and ``addtl``
the two small ones beside them, ``gvl`` the list of vendors. ``signals`` makes one finding of all
that a request says. Texts that are no signal raise ``SignalError(reason, bit)`` everywhere.
"""

from ringwork.consent.errors import SignalError

__all__ = ["SignalError"]
