"""``ringwork gate serve``: the gate as a service that proxies ask."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ringwork.cli.options import DEFAULTS, Options
from ringwork.cli.serve import require_free
from ringwork.gate.policy.load import parse_policy, preset
from ringwork.kernel.clock import SystemClock
from ringwork.kernel.entropy import SystemEntropy
from ringwork.kernel.errors import Refused

if TYPE_CHECKING:
    from ringwork.gate.policy.model import Policy

SECRET_MIN = 32


def serve(
    *,
    policy: str,
    host: str = "127.0.0.1",
    port: int = 8090,
    uds: Path | None = None,
    secret: Path | None = None,
    options: Options = DEFAULTS,
) -> None:
    """Decide for Envoy, nginx, Traefik or Caddy, until Ctrl-C.

    Counters are in memory: one process decides for all. Proxies ask /authz/envoy/…, /authz/nginx or
    /authz/forward; programs POST facts to /v1/gate/decide. Needs no data directory.

    Example: ringwork gate serve --policy gate.yaml --port 8090

    Parameters
    ----------
    policy
        A policy's file (YAML, or TOML where it ends in .toml), or a preset's name.
    host
        Address to listen on.
    port
        TCP port.
    uds
        Listen on this Unix socket instead.
    secret
        A file of 32 random bytes or more, the same for all processes of a site: who has solved a
        challenge is known to all of them, and after a restart. By default fresh ones.
    """
    import uvicorn  # noqa: PLC0415  # a server's weight, for a server

    from ringwork.gate.gate import Gate  # noqa: PLC0415  # as that
    from ringwork.gate.serve.service import DecisionService  # noqa: PLC0415

    del options  # nothing of a data directory is asked for
    gate = Gate(
        policy_of(policy), clock=SystemClock(), entropy=SystemEntropy(), secret=secret_of(secret)
    )
    where = {"uds": str(uds)} if uds is not None else {"host": host, "port": port}
    if uds is None:
        require_free(host, port)
    uvicorn.run(
        DecisionService(gate),
        loop="uvloop",
        http="httptools",
        access_log=False,
        server_header=False,
        date_header=False,
        log_level="warning",
        # Who asks is read from the fields by the policy's trust, by nobody before it.
        proxy_headers=False,
        **where,
    )


def secret_of(file: Path | None) -> bytes | None:
    """What clearances are signed with. Refused (secret-invalid) for a file that is too short."""
    if file is None:
        return None
    found = file.read_bytes()
    if len(found) < SECRET_MIN:
        raise Refused(
            "secret-invalid", f"{file}: expected {SECRET_MIN} bytes or more, got {len(found)}"
        )
    return found


def policy_of(named: str) -> Policy:
    """A policy by its file or, without a dot or slash in its name, a preset."""
    if "/" in named or "." in named:
        return parse_policy(Path(named).read_bytes(), where=named)
    return preset(named)
