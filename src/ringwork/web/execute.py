"""Run a command of the management API: key, decision, one frame, durable, answered.

All in this order.

``decide`` is synchronous: it records events through the command it is given and returns the answer.
What a rule refuses after it ran (``Conflict``) is stored like a success; what was refused before it
ran is not (Stripe's semantics, platform specification 3.1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import msgspec
from msgspec import Struct

from ringwork.kernel.errors import Refused
from ringwork.kernel.events import Event, Idempotency
from ringwork.kernel.journal import Command, Journal
from ringwork.web.idempotency import IdempotencyKeys, check_key, fingerprint, in_flight, mismatch
from ringwork.web.problems import MEDIA_TYPE, encode, problem_of

Decide = Callable[[Command], tuple[int, Struct]]


class CommandAnswered(Event, frozen=True, array_like=True):
    """A keyed command that changed nothing (a refusal, a repetition).

    Its answer is kept all the same.
    """

    TYPE: ClassVar[str] = "command_answered"
    RETENTION: ClassVar[str] = "as long as its idempotency key, 24 hours"
    scope: str
    status: int


class Intent(Struct, frozen=True, kw_only=True):
    """Who asks for what: the parts of an HTTP request that a command depends on."""

    tenant: str
    request_id: bytes
    method: str
    path: str
    key: str | None
    body: bytes


class Answer(Struct, frozen=True, kw_only=True):
    """Status and bytes, first or replayed."""

    status: int
    body: bytes
    replayed: bool = False

    @property
    def media_type(self) -> str:
        return MEDIA_TYPE if self.status >= 400 else "application/json"


class Executor:
    """Executes intents against one journal."""

    def __init__(self, journal: Journal, keys: IdempotencyKeys, *, secret: bytes) -> None:
        """``secret`` keys the fingerprints of bodies."""
        self._journal = journal
        self._keys = keys
        self._secret = secret

    async def __call__(
        self,
        intent: Intent,
        decide: Decide,
        *,
        key_required: bool = False,
        is_new: bool = False,
    ) -> Answer:
        """Decide once per key and answer when it is durable.

        ``is_new``: the caller knows that the key was not used before, so that nobody looks for it.
        Raises what refuses before deciding.
        """
        key = check_key(intent.key, required=key_required)
        if key is None:
            answer = self._run(intent, decide, None)
            await self._journal.settled()
            return answer
        scope = f"{intent.method} {intent.path}"
        scoped = (intent.tenant, scope, key)
        print_ = fingerprint(intent.body, self._secret)
        if scoped in self._keys.in_flight:
            raise in_flight()
        first = None if is_new else self._keys.first_answer(scoped)
        if first is not None:
            if first.fingerprint != print_:
                raise mismatch()
            await self._journal.settled()
            return Answer(status=first.status, body=first.body, replayed=True)
        self._keys.in_flight.add(scoped)
        try:
            answer = self._run(intent, decide, Idempotency(*scoped, print_, 0, b""))
            await self._journal.settled()
        finally:
            self._keys.in_flight.discard(scoped)
        return answer

    def _run(self, intent: Intent, decide: Decide, keyed: Idempotency | None) -> Answer:
        with self._journal.command(tenant=intent.tenant, request_id=intent.request_id) as command:
            answer = _decide(command, intent, decide)
            if keyed is not None:
                if not command.recorded:
                    command.record(CommandAnswered(keyed.scope, answer.status))
                keyed = msgspec.structs.replace(keyed, status=answer.status, body=answer.body)
            if command.recorded:
                command.commit(keyed)
        return answer


def _decide(command: Command, intent: Intent, decide: Decide) -> Answer:
    try:
        status, result = decide(command)
    except Refused as refused:
        if not refused.executed:
            raise
        problem = problem_of(refused, path=intent.path, request_id=intent.request_id)
        return Answer(status=refused.status, body=encode(problem, refused.extension))
    return Answer(status=status, body=msgspec.json.encode(result))
