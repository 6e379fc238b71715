"""Recorded runs of the proof of consent over HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from litestar import Response, get, post
from litestar.params import JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Struct

from ringwork.consent.proof_runs import (
    ConsentProved,
    ProofRun,
    ProofRunList,
    ProofRuns,
    RecordedRun,
    WallStands,
)
from ringwork.kernel.journal import Command
from ringwork.web.app import HttpRequest, principal_of, run_command
from ringwork.web.auth import needs
from ringwork.web.execute import Executor
from ringwork.web.openapi import described

TYPES: Final[tuple[type[Struct], ...]] = (ProofRun, WallStands, RecordedRun, ProofRunList)


def proof_run_routes(
    runs: ProofRuns, execute: Executor, settled: Callable[[], Awaitable[None]]
) -> list[ControllerRouterHandler]:
    """The handlers. ``settled``: resolves when what was decided is durable."""

    @post(
        "/v1/consent-proof-runs",
        opt={**needs("consent:prove"), **described(RecordedRun, key="optional")},
    )
    async def record_proof_run(request: HttpRequest, data: JSONBody[ProofRun]) -> Response[bytes]:
        """Record what a run of `ringwork consent prove` has shown."""
        actor = principal_of(request).key_id

        def decide(command: Command) -> tuple[int, Struct]:
            command.record(ConsentProved(data, actor))
            return 201, RecordedRun(command.ts_us, actor, data)

        return await run_command(request, execute, decide)

    @get("/v1/consent-proof-runs", opt=needs("consent:read"))
    async def read_proof_runs() -> ProofRunList:
        """The newest runs of the proof of consent, at most 50."""
        found = ProofRunList(list(reversed(runs.runs)))
        await settled()
        return found

    return [record_proof_run, read_proof_runs]
