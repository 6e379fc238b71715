"""The gate as ASGI middleware: around an application of any framework.

    app = GateMiddleware(app, gate, usage=lambda scope: scope["state"]["usage"])

It adds no task, no stream and no copy of a body to a request: one decision before, one settlement
after the last byte.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from ringwork.gate.decision import Decision
from ringwork.gate.facts import Facts, Usage
from ringwork.gate.gate import Gate
from ringwork.gate.respond.answers import Answer, fields_of, refusal
from ringwork.gate.serve.challenges import accept_of, is_own, own_answer
from ringwork.gate.serve.requests import RequestFacts

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SLEEPERS_MAX: Final = 1000
"""Requests that are slowed at once; more of them go on at once, since waiting costs memory."""


class GateMiddleware:
    """Admits, slows or refuses; counts what was answered."""

    def __init__(
        self,
        app: App,
        gate: Gate,
        *,
        usage: Callable[[Scope], Usage | None] | None = None,
        facts: Callable[[Scope, Facts], Facts] | None = None,
    ) -> None:
        """``usage``: what a request was given, asked after its answer; None counts bytes alone.

        ``facts``: what an application knows beyond the request (its route, an account behind a
        session).
        """
        self._app = app
        self._gate = gate
        self._usage = usage
        self._facts = facts
        self._policy = gate.policy
        self._requests = RequestFacts(gate.policy)
        self._sleepers = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        facts = self._facts_of(scope)
        if is_own(scope["path"], self._policy.challenge):
            answer = await own_answer(self._gate, scope["path"], facts, scope["headers"], receive)
            await _answer(answer, send)
            return
        decision = self._gate.admit(facts)
        if not decision.is_allowed:
            accept = accept_of(scope["headers"])
            asked = self._policy.challenge
            await _answer(refusal(decision, facts, accept=accept, asked=asked), send)
            return
        if decision.delay_s:
            await self._slow(decision.delay_s)
        scope.setdefault("state", {})["gate"] = decision
        told = [(name.encode(), value.encode()) for name, value in fields_of(decision, facts)]
        sent_bytes, status = 0, 500

        async def counting(message: Message) -> None:
            nonlocal sent_bytes, status
            if message["type"] == "http.response.start":
                status = message["status"]
                if told:
                    message["headers"] = [*message.get("headers", ()), *told]
            elif message["type"] == "http.response.body":
                sent_bytes += len(message.get("body", b""))
            await send(message)

        if not decision.charged:
            # Nothing to settle: what is sent need not be counted, only told.
            await self._app(scope, receive, counting if told else send)
            return
        try:
            await self._app(scope, receive, counting)
        finally:
            self._settle(decision, scope, sent_bytes, status)

    def _facts_of(self, scope: Scope) -> Facts:
        if self._policy is not self._gate.policy:  # another one was loaded
            self._policy = self._gate.policy
            self._requests = RequestFacts(self._policy)
        client = scope.get("client")
        facts = self._requests.of(
            method=scope["method"],
            path=scope["path"],
            headers=scope["headers"],
            peer=client[0] if client else "",
        )
        return facts if self._facts is None else self._facts(scope, facts)

    def _settle(self, decision: Decision, scope: Scope, sent_bytes: int, status: int) -> None:
        used = None if self._usage is None else self._usage(scope)
        if used is None:
            used = Usage(bytes=sent_bytes, status=status)
        self._gate.settle(decision, used)

    async def _slow(self, delay_s: float) -> None:
        if self._sleepers >= SLEEPERS_MAX:
            return
        self._sleepers += 1
        try:
            await asyncio.sleep(delay_s)
        finally:
            self._sleepers -= 1


async def _answer(answer: Answer, send: Send) -> None:
    status, fields, body = answer
    headers = [(name.encode(), value.encode()) for name, value in fields]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
