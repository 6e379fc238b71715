"""What can be wrong with a consent signal.

RingworkError
└── SignalError      the text is no such signal: reason, bit, what was expected there
"""

from __future__ import annotations

from ringwork.kernel.errors import RingworkError


class SignalError(RingworkError):
    """A text that is no such signal; whoever acts on it reads it as no consent.

    ``reason`` is short and stable. ``bit`` is where: six bits are one character of the text,
    counted from its beginning, separators included, so ``bit // 6`` is the character to look at.
    ``expected`` says what would have been right.
    """

    def __init__(self, reason: str, bit: int = 0, *, expected: str = "") -> None:
        super().__init__(f"{reason} (bit {bit})" + (f": expected {expected}" if expected else ""))
        self.reason = reason
        self.bit = bit
        self.expected = expected
