"""The only place where a grant can be made, and where one is checked.

``tag`` = HMAC-SHA-256 over the grant's other members under a key of this process group. What a
grant allows is in it and cannot be widened; a struct that was built by hand does not verify.
``expires_us`` counts on the monotonic clock, which the processes of one machine share: nobody
lengthens a grant by setting the wall clock back.
"""

from __future__ import annotations

import hmac
from typing import Final

import msgspec

from ringwork.consent.epochs import Epochs
from ringwork.kernel.ports import Clock
from ringwork.kernel.purpose import Grant, GrantRefused, Purpose

LIFETIME_MAX_US: Final = 2_000_000
KEY_BYTES_MIN: Final = 32
_encode: Final = msgspec.msgpack.Encoder().encode
_same: Final = hmac.compare_digest


class GrantAuthority:
    """Makes grants and implements ``kernel.purpose.GrantVerifier``."""

    __slots__ = ("_clock", "_epochs", "_keyed")

    def __init__(self, key: bytes, epochs: Epochs, clock: Clock) -> None:
        """``key``: at least 32 secret bytes, the same in every process that verifies."""
        if len(key) < KEY_BYTES_MIN:
            raise ValueError(f"a key of at least {KEY_BYTES_MIN} bytes was expected")
        self._keyed = hmac.new(key, digestmod="sha256")
        self._epochs = epochs
        self._clock = clock

    def grant(
        self,
        *,
        subject: bytes,
        purposes: tuple[Purpose, ...],
        services: tuple[str, ...],
        epoch: int,
        request_id: bytes,
        lifetime_us: int = LIFETIME_MAX_US,
    ) -> Grant:
        """A grant for one request; ``epoch`` is that of the ``State`` it was decided on.

        Raises GrantRefused("ended") where the state is not the one that all workers see: a record
        is on its way to the disk, or has not been read here yet.
        """
        if self._epochs.current(subject) != epoch:
            raise GrantRefused("ended")
        assert 0 < lifetime_us <= LIFETIME_MAX_US
        expires_us = self._clock.monotonic_ns() // 1000 + lifetime_us
        members = (subject, purposes, services, epoch, expires_us, request_id)
        return Grant(*members, self._tag(_encode(members)))

    def verify(self, grant: Grant, *, purpose: Purpose, service: str, request_id: bytes) -> None:
        """Raises GrantRefused: forged, expired, of another request, purpose or service, ended."""
        subject, epoch, expires_us = grant.subject, grant.epoch, grant.expires_us
        members = (subject, grant.purposes, grant.services, epoch, expires_us, grant.request_id)
        try:
            tag = self._tag(_encode(members))
        except (TypeError, OverflowError):  # members of other types, which no authority makes
            raise GrantRefused("forged") from None
        if not isinstance(grant.tag, bytes) or not _same(tag, grant.tag):
            raise GrantRefused("forged")
        if not 0 < expires_us - self._clock.monotonic_ns() // 1000 <= LIFETIME_MAX_US:
            raise GrantRefused("expired")
        if grant.request_id != request_id:
            raise GrantRefused("other-request")
        if purpose not in grant.purposes:
            raise GrantRefused("other-purpose")
        if service not in grant.services:
            raise GrantRefused("other-service")
        if self._epochs.current(subject) != epoch:
            raise GrantRefused("ended")

    def _tag(self, members: bytes) -> bytes:
        keyed = self._keyed.copy()  # its key is laid out already: twice as quick as from the start
        keyed.update(members)
        return keyed.digest()
