"""Idempotency keys: the same command twice has one effect and one answer (I2).

The key and the first answer travel inside the command's own frame, so that both are on disk or
neither; this memory of them is a fold of the log. Keys that memory has let go are asked of the
projection. Scope of a key: tenant, method and path. Fingerprint: HMAC-SHA-256 of the canonical
decoded body, so that member order, white space and ``5`` against ``5.0`` do not matter.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import sha256
from typing import ClassVar, Final

import msgspec

from ringwork.kernel.errors import Fault, Invalid, Refused
from ringwork.kernel.events import Idempotency
from ringwork.web.strict import decode_untyped

KEY_MAX_CHARS: Final = 255
REMEMBERED_MAX: Final = 65_536
"""Answers in memory; older ones are in the projection (at least 24 hours)."""

Recall = Callable[[str, str, str], Idempotency | None]
Scoped = tuple[str, str, str]
"""Tenant, ``"METHOD path"``, key."""


class IdempotencyKeys:
    """First answers by key, oldest first; ``recall`` looks further back."""

    name: ClassVar[str] = "idempotency_keys"
    version: ClassVar[int] = 1

    def __init__(self, recall: Recall) -> None:
        self._answers: dict[Scoped, Idempotency] = {}
        self._recall = recall
        self.in_flight: set[Scoped] = set()
        """Keys whose first command has not been answered yet."""

    def first_answer(self, scoped: Scoped) -> Idempotency | None:
        """The answer that a repeated key gets."""
        return self._answers.get(scoped) or self._recall(*scoped)

    def remember(self, idempotency: Idempotency, ts_us: int) -> None:
        """Fold one keyed frame."""
        answers = self._answers
        answers[idempotency.tenant, idempotency.scope, idempotency.key] = idempotency
        if len(answers) > REMEMBERED_MAX:
            del answers[next(iter(answers))]

    def clear(self) -> None:
        self._answers.clear()

    def dump(self) -> bytes:
        return msgspec.msgpack.encode(list(self._answers.values()))

    def load(self, state: bytes) -> None:
        self.clear()
        for one in _decoder.decode(state):
            self._answers[one.tenant, one.scope, one.key] = one


_decoder: Final = msgspec.msgpack.Decoder(list[Idempotency])


def fingerprint(body: bytes, secret: bytes) -> bytes:
    """What two bodies share exactly when they ask for the same.

    Keyed, because it lies in the log for ever: a plain hash of a body with a name or an address in
    it could be guessed.
    """
    canonical = msgspec.json.encode(decode_untyped(body) if body else None, order="deterministic")
    return hmac.digest(secret, canonical, sha256)


def check_key(key: str | None, *, required: bool) -> str | None:
    """The key, checked; None where it is optional and absent."""
    if key is None:
        if required:
            raise Refused(
                "idempotency-key-required",
                "this command moves money: send an Idempotency-Key, a new one for each intent",
            )
        return None
    if not 1 <= len(key) <= KEY_MAX_CHARS:
        detail = f"at most {KEY_MAX_CHARS} characters, at least 1; it has {len(key)}"
        raise Invalid(
            f"header Idempotency-Key: {detail}", [Fault("header/Idempotency-Key", detail)]
        )
    return key


def mismatch() -> Refused:
    """422: the key was used for another body."""
    return Refused(
        "idempotency-mismatch",
        "this Idempotency-Key was used for a different body; use a new key for a new intent",
        status=422,
    )


def in_flight() -> Refused:
    """409: the first command with the key is not answered yet."""
    return Refused(
        "idempotency-in-flight",
        "the first command with this Idempotency-Key is still running; try again",
        status=409,
        retry_after_s=1,
    )
